use proptest::prelude::*;

use super::*;
use crate::quant::dequantize;

fn small_file() -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama");
    writer.set("llama.block_count", 30u32);
    writer.set("llama.rope.freq_base", 10000.0f32);
    writer.set("tokenizer.ggml.tokens", vec!["a", "b", "ü"]);
    writer.set("tokenizer.ggml.token_type", vec![1i32, 3, 4]);
    writer.set("tokenizer.ggml.add_bos_token", false);
    writer.tensor("matrix", &[2, 32], TensorKind::Q8_0, vec![7; 68]).unwrap();
    writer.tensor("vector", &[3], TensorKind::F32, vec![0; 12]).unwrap();
    writer.finish()
}

#[test]
fn getters_read_what_was_set() {
    let bytes = small_file();
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.str("general.architecture").unwrap(), "llama");
    assert_eq!(gguf.u32("llama.block_count").unwrap(), 30);
    assert_eq!(gguf.f32("llama.rope.freq_base").unwrap(), 10000.0);
    assert_eq!(gguf.strs("tokenizer.ggml.tokens").unwrap(), ["a", "b", "ü"]);
    assert_eq!(gguf.u32s("tokenizer.ggml.token_type").unwrap(), [1, 3, 4]);
    assert_eq!(gguf.opt_bool("tokenizer.ggml.add_bos_token"), Ok(Some(false)));
    assert_eq!(gguf.opt_u32("absent"), Ok(None));
    assert_eq!(gguf.u32("absent").unwrap_err().code(), "model-invalid");
    assert_eq!(gguf.opt_u32("general.architecture").unwrap_err().code(), "model-invalid");

    let matrix = gguf.tensor("matrix").unwrap();
    assert_eq!((&matrix.shape[..], matrix.kind), (&[2usize, 32][..], TensorKind::Q8_0));
    assert_eq!(gguf.values("matrix").unwrap(), dequantize(TensorKind::Q8_0, &[7; 68]));
    assert_eq!(gguf.tensor("absent").unwrap_err().code(), "model-invalid");
}

#[test]
fn a_matrix_is_taken_once_and_only_in_its_own_shape() {
    let mut gguf = Gguf::parse(&small_file()).unwrap();
    assert_eq!(gguf.take_matrix("matrix", 1, 64).unwrap_err().code(), "model-invalid");
    assert_eq!(gguf.vector("vector", 4).unwrap_err().code(), "model-invalid");
    assert_eq!(gguf.vector("vector", 3).unwrap(), [0.0; 3]);
    assert_eq!(gguf.take_matrix("matrix", 2, 32).unwrap().row(1), dequantize(TensorKind::Q8_0, &[7; 34]));
    assert_eq!(gguf.take_matrix("matrix", 2, 32).unwrap_err().code(), "model-invalid");
    let mut writer = GgufWriter::new();
    writer.tensor("narrow", &[2, 3], TensorKind::F32, vec![0; 24]).unwrap();
    let mut narrow = Gguf::parse(&writer.finish()).unwrap();
    assert_eq!(narrow.take_matrix("narrow", 2, 3).unwrap_err().code(), "model-unsupported");
}

#[test]
fn a_file_may_come_in_any_pieces_but_must_come_whole() {
    let bytes = small_file();
    let whole = Gguf::parse(&bytes).unwrap();
    for piece in [1, 3, 64, 1000] {
        let mut stream = GgufStream::new(bytes.len());
        bytes.chunks(piece).for_each(|piece| stream.push(piece).unwrap());
        let gguf = stream.finish().unwrap();
        assert_eq!(gguf.strs("tokenizer.ggml.tokens").unwrap(), whole.strs("tokenizer.ggml.tokens").unwrap());
        assert_eq!(gguf.values("matrix").unwrap(), whole.values("matrix").unwrap());
    }
    let end = whole.tensors()[1].range.end;
    for n in 0..end {
        let mut stream = GgufStream::new(bytes.len());
        let pushed = stream.push(&bytes[..n]);
        assert_eq!(pushed.and_then(|()| stream.finish()).unwrap_err().code(), "model-truncated", "broke off at {n}");
    }
    let mut stream = GgufStream::new(bytes.len());
    assert_eq!(stream.push(b"PK\x03\x04").unwrap_err().code(), "model-magic", "known at its first bytes");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = small_file();
    let end = Gguf::parse(&bytes).unwrap().tensors()[1].range.end;
    for n in 0..end {
        let error = Gguf::parse(&bytes[..n]).expect_err("a cut file");
        assert_eq!(error.code(), "model-truncated", "cut at {n}");
    }
}

#[test]
fn wrong_magic_and_versions_are_refused() {
    let code = |bytes: &[u8]| Gguf::parse(bytes).unwrap_err().code();
    assert_eq!(code(b"PK\x03\x04 and so on, a zip file"), "model-magic");
    let mut bytes = small_file();
    bytes[4..8].copy_from_slice(&1u32.to_le_bytes());
    assert_eq!(code(&bytes), "model-version");
    bytes[4..8].copy_from_slice(&3u32.to_be_bytes());
    assert_eq!(code(&bytes), "model-unsupported");
    bytes[4..8].copy_from_slice(&2u32.to_le_bytes());
    assert!(Gguf::parse(&bytes).is_ok());
}

#[test]
fn absurd_counts_are_refused_before_allocating() {
    let code = |bytes: &[u8]| Gguf::parse(bytes).unwrap_err().code();
    for at in [8, 16] {
        let mut bytes = small_file();
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(code(&bytes), "model-truncated");
    }
    // one entry: key "k", an array of 2^60 bytes
    let mut bytes = small_file()[..8].to_vec();
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.push(b'k');
    bytes.extend(9u32.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend((1u64 << 60).to_le_bytes());
    bytes.extend([0; 64]);
    assert_eq!(code(&bytes), "model-truncated");
}

/// A file with two F32 vectors of 8 whose directory entries the caller may rewrite.
fn with_directory(alignment: Option<u32>, entries: &[(&str, u64, u32, u64)]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((entries.len() as u64).to_le_bytes());
    bytes.extend(u64::from(alignment.is_some()).to_le_bytes());
    if let Some(alignment) = alignment {
        bytes.extend((ALIGNMENT_KEY.len() as u64).to_le_bytes());
        bytes.extend(ALIGNMENT_KEY.as_bytes());
        bytes.extend(4u32.to_le_bytes());
        bytes.extend(alignment.to_le_bytes());
    }
    for (name, dim, kind, offset) in entries {
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(dim.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + 64, 0);
    bytes
}

#[test]
fn contradictory_directories_are_refused() {
    let code = |alignment, entries: &[_]| Gguf::parse(&with_directory(alignment, entries)).map_err(|e| e.code()).err();
    assert_eq!(code(None, &[("a", 8, 0, 0), ("b", 8, 0, 32)]), None);
    assert_eq!(code(None, &[("a", 9, 0, 0), ("b", 8, 0, 32)]), Some("model-invalid"), "overlap");
    assert_eq!(code(None, &[("a", 8, 0, 0), ("a", 8, 0, 32)]), Some("model-invalid"), "name twice");
    assert_eq!(code(None, &[("a", 8, 0, 4)]), Some("model-invalid"), "not aligned");
    assert_eq!(code(Some(4), &[("a", 8, 0, 4)]), None);
    assert_eq!(code(Some(0), &[("a", 8, 0, 0)]), Some("model-invalid"), "alignment 0");
    assert_eq!(code(Some(24), &[("a", 8, 0, 0)]), Some("model-invalid"), "alignment 24");
    assert_eq!(code(None, &[("a", 8, 0, 96)]), Some("model-truncated"), "past the end");
    assert_eq!(code(None, &[("a", 8, 0, u64::MAX - 31)]), Some("model-truncated"), "offset overflow");
    assert_eq!(code(None, &[("a", u64::MAX, 0, 0)]), Some("model-invalid"), "size overflow");
    assert_eq!(code(None, &[("a", 0, 0, 0)]), Some("model-invalid"), "empty");
    assert_eq!(code(None, &[("a", 8, 8, 0)]), Some("model-invalid"), "part of a block");
    assert_eq!(code(None, &[("a", 8, 12, 0)]), Some("model-unsupported"), "Q4_K");
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        (-1e9f32..1e9).prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        ".{0,12}".prop_map(Value::String),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        (-1e99f64..1e99).prop_map(Value::F64),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        scalar(),
        (scalar(), 0usize..5).prop_map(|(value, n)| Value::Array(vec![value; n])),
        prop::collection::vec("[a-zé]{0,6}", 0..6).prop_map(Value::from),
        prop::collection::vec(prop::collection::vec(any::<u32>(), 0..3), 0..3).prop_map(Value::from),
    ]
}

fn tensor() -> impl Strategy<Value = (TensorKind, Vec<usize>)> {
    let kind = prop_oneof![
        Just(TensorKind::F32),
        Just(TensorKind::F16),
        Just(TensorKind::Q4_0),
        Just(TensorKind::Q4_1),
        Just(TensorKind::Q8_0)
    ];
    (kind, prop::collection::vec(1usize..4, 1..=4)).prop_map(|(kind, mut shape)| {
        *shape.last_mut().expect("at least one axis") *= kind.block_len();
        (kind, shape)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        metadata in prop::collection::btree_map("[a-z.]{1,10}", value(), 0..6),
        tensors in prop::collection::vec(tensor(), 0..6),
    ) {
        let mut writer = GgufWriter::new();
        for (key, value) in &metadata {
            writer.set(key.clone(), value.clone());
        }
        let mut all = Vec::new();
        for (i, (kind, shape)) in tensors.iter().enumerate() {
            let data: Vec<u8> = (0..n_bytes(shape, *kind).unwrap()).map(|j| (i * 31 + j) as u8 & 0x3f).collect();
            writer.tensor(format!("t{i}"), shape, *kind, data.clone()).unwrap();
            all.push(data);
        }
        let bytes = writer.finish();
        let gguf = Gguf::parse(&bytes).unwrap();
        prop_assert_eq!(gguf.keys().count(), metadata.len());
        for (key, value) in &metadata {
            prop_assert_eq!(gguf.value(key), Some(value));
        }
        prop_assert_eq!(gguf.tensors().len(), tensors.len());
        for (i, (kind, shape)) in tensors.iter().enumerate() {
            let tensor = gguf.tensor(&format!("t{i}")).unwrap();
            prop_assert_eq!(tensor.kind, *kind);
            prop_assert_eq!(&tensor.shape, shape);
            prop_assert_eq!(gguf.values(&tensor.name).unwrap(), dequantize(*kind, &all[i]));
        }
    }

    #[test]
    fn random_bytes_never_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Gguf::parse(&tail);
        let mut bytes = small_file()[..8].to_vec();
        bytes.extend(&tail);
        let _ = Gguf::parse(&bytes);
    }

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = small_file();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(gguf) = Gguf::parse(&bytes) {
            for tensor in gguf.tensors() {
                let _ = gguf.values(&tensor.name);
            }
        }
    }
}
