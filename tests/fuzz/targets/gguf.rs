//! GGUF files: at once, and in pieces, which must come to the same.

#![no_main]

use lectern_model::{Gguf, GgufStream, ModelError};
use libfuzzer_sys::fuzz_target;

/// Sizes of the pieces, over and over; the last makes an end of long files.
const PIECES: [usize; 6] = [1, 3, 7, 33, 129, 4099];
/// Shortest row that a matrix can be taken with.
const BLOCK: usize = 32;

fuzz_target!(|bytes: &[u8]| match (Gguf::parse(bytes), in_pieces(bytes)) {
    (Ok(whole), Ok(pieced)) => check(whole, &pieced),
    (Err(whole), Err(pieced)) => assert_eq!(whole.code(), pieced.code()),
    (whole, pieced) => panic!("{:?} at once, {:?} in pieces", whole.err(), pieced.err()),
});

fn in_pieces(bytes: &[u8]) -> Result<Gguf, ModelError> {
    let mut stream = GgufStream::new(bytes.len());
    let mut rest = bytes;
    for &size in PIECES.iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        stream.push(piece)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let _ = stream.outline();
    stream.finish()
}

fn check(mut whole: Gguf, pieced: &Gguf) {
    assert_eq!(whole.tensors(), pieced.tensors());
    for tensor in whole.tensors().to_vec() {
        let bits = |gguf: &Gguf| gguf.values(&tensor.name).map(|values| values.iter().map(|v| v.to_bits()).collect());
        let values: Vec<u32> = bits(&whole).expect("a tensor of the directory is there");
        assert_eq!(values, bits(pieced).expect("a tensor of the directory is there"));
        assert_eq!(values.len(), tensor.shape.iter().product::<usize>());
        if let [rows, cols] = tensor.shape[..] {
            let taken = whole.take_matrix(&tensor.name, rows, cols);
            assert_eq!(taken.is_ok(), cols.is_multiple_of(BLOCK));
        }
    }
    for key in whole.keys() {
        let _ = (whole.opt_str(key), whole.opt_f32s(key), whole.opt_u32(key), whole.opt_strs(key));
    }
}
