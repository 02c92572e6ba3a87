//! The header, the metadata and the tensor directory. Every count and offset is checked against the length of the file
//! before anything is allocated for it.

use std::collections::HashMap;

use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, TensorInfo, Value, n_bytes};
use crate::error::ModelError;
use crate::quant::TensorKind;

const MAX_DIMS: u32 = 4;
const MAX_ARRAY_DEPTH: usize = 4;
/// Metadata values, array elements included, that one file may hold: each takes 32 bytes here but as little as one in
/// the file. The largest vocabularies in use need about a million.
const MAX_VALUES: usize = 8 << 20;
/// Shortest metadata entry: key length 8, type 4, one byte of value.
const MIN_ENTRY_BYTES: usize = 13;
/// Shortest tensor entry: name length 8, n_dims 4, one dim 8, type 4, offset 8.
const MIN_TENSOR_BYTES: usize = 32;

/// What comes before the tensors.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub metadata: HashMap<String, Value>,
    pub tensors: Vec<TensorInfo>,
    pub by_name: HashMap<String, usize>,
}

impl Directory {
    /// Reads it from the beginning of a file of `len` bytes; a beginning that is too short is `model-truncated`.
    ///
    /// # Errors
    /// `model-magic`, `model-version`, `model-truncated`, `model-invalid` (damaged or contradictory directory),
    /// `model-unsupported` (big-endian file, tensor type other than [`TensorKind`]).
    pub fn parse(bytes: &[u8], len: usize) -> Result<Self, ModelError> {
        let mut reader = Reader { bytes, len, at: 0, n_values: 0 };
        let magic: [u8; 4] = reader.array("the header")?;
        if magic != MAGIC {
            return Err(ModelError::Magic { found: magic });
        }
        let version = reader.u32("the header")?;
        if version != 0 && version & 0xffff == 0 {
            return Err(ModelError::unsupported("it is a big-endian GGUF file; convert it to little-endian"));
        }
        if !(2..=3).contains(&version) {
            return Err(ModelError::Version { found: version });
        }
        let n_tensors = reader.u64("the header")?;
        let n_entries = reader.u64("the header")?;
        let n_entries = reader.count(n_entries, MIN_ENTRY_BYTES, "the metadata")?;
        let metadata = reader.metadata(n_entries)?;
        let n_tensors = reader.count(n_tensors, MIN_TENSOR_BYTES, "the tensor directory")?;
        let entries = (0..n_tensors).map(|_| reader.tensor_entry()).collect::<Result<Vec<_>, _>>()?;

        let alignment = match metadata.get(ALIGNMENT_KEY) {
            None => DEFAULT_ALIGNMENT,
            Some(value) => value
                .as_u32()
                .filter(|a| a.is_power_of_two())
                .ok_or_else(|| ModelError::invalid(ALIGNMENT_KEY, format!("must be a power of two, not {value:?}")))?,
        };
        let tensors = place(entries, reader.at, alignment as usize, len)?;
        let mut by_name = HashMap::with_capacity(tensors.len());
        for (i, tensor) in tensors.iter().enumerate() {
            if by_name.insert(tensor.name.clone(), i).is_some() {
                return Err(ModelError::invalid(format!("tensor {}", tensor.name), "appears twice"));
            }
        }
        Ok(Self { metadata, tensors, by_name })
    }

    /// That of the first block alone, without what has no part in shapes: vocabularies, factors of frequencies.
    pub fn outline(&self) -> Self {
        let shapes = |name: &str| match name.strip_prefix("blk.") {
            Some(rest) => rest.starts_with("0."),
            None => name != "rope_freqs.weight",
        };
        let tensors: Vec<_> = self.tensors.iter().filter(|tensor| shapes(&tensor.name)).cloned().collect();
        let metadata = self.metadata.iter().filter(|(_, value)| !matches!(value, Value::Array(_)));
        let one_block = |(key, value): (&String, &Value)| {
            let value = if key.ends_with(".block_count") { Value::U32(1) } else { value.clone() };
            (key.clone(), value)
        };
        Self {
            metadata: metadata.map(one_block).collect(),
            by_name: tensors.iter().enumerate().map(|(i, tensor)| (tensor.name.clone(), i)).collect(),
            tensors,
        }
    }
}

struct TensorEntry {
    name: String,
    shape: Vec<usize>,
    kind: TensorKind,
    offset: u64,
}

/// Turns offsets relative to the data section into checked ranges of the file.
fn place(
    entries: Vec<TensorEntry>,
    directory_end: usize,
    alignment: usize,
    len: usize,
) -> Result<Vec<TensorInfo>, ModelError> {
    let data_start = directory_end.checked_next_multiple_of(alignment);
    let mut tensors = Vec::with_capacity(entries.len());
    for TensorEntry { name, shape, kind, offset } in entries {
        let part = || format!("tensor {name}");
        let size = n_bytes(&shape, kind).ok_or_else(|| {
            ModelError::invalid(part(), format!("shape {shape:?} is not whole blocks of {}", kind.name()))
        })?;
        if !offset.is_multiple_of(alignment as u64) {
            return Err(ModelError::invalid(part(), format!("offset {offset} is not a multiple of {alignment}")));
        }
        let start = usize::try_from(offset).ok().and_then(|offset| data_start?.checked_add(offset));
        let range = start.and_then(|start| Some(start..start.checked_add(size)?)).filter(|range| range.end <= len);
        let Some(range) = range else {
            return Err(ModelError::Truncated { part: part(), offset, needed: size as u64, len: len as u64 });
        };
        tensors.push(TensorInfo { name, shape, kind, range });
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.range.start);
    for pair in order.windows(2) {
        if pair[0].range.end > pair[1].range.start {
            let reason = format!("overlaps tensor {}", pair[1].name);
            return Err(ModelError::invalid(format!("tensor {}", pair[0].name), reason));
        }
    }
    Ok(tensors)
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Of the whole file.
    len: usize,
    at: usize,
    n_values: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize, part: &str) -> Result<&'a [u8], ModelError> {
        let taken = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.truncated(n as u64, part))?;
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, part: &str) -> Result<[u8; N], ModelError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, part)?);
        Ok(array)
    }

    fn u32(&mut self, part: &str) -> Result<u32, ModelError> {
        Ok(u32::from_le_bytes(self.array(part)?))
    }

    fn u64(&mut self, part: &str) -> Result<u64, ModelError> {
        Ok(u64::from_le_bytes(self.array(part)?))
    }

    /// `count` if that many things of at least `min_bytes` can still follow.
    fn count(&self, count: u64, min_bytes: usize, part: &str) -> Result<usize, ModelError> {
        let left = self.len.saturating_sub(self.at) / min_bytes;
        match usize::try_from(count) {
            Ok(count) if count <= left => Ok(count),
            _ => Err(self.truncated(count.saturating_mul(min_bytes as u64), part)),
        }
    }

    fn truncated(&self, needed: u64, part: &str) -> ModelError {
        ModelError::Truncated { part: part.to_owned(), offset: self.at as u64, needed, len: self.len as u64 }
    }

    fn string(&mut self, part: &str) -> Result<String, ModelError> {
        let n = self.u64(part)?;
        let n = self.count(n, 1, part)?;
        match std::str::from_utf8(self.take(n, part)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(ModelError::invalid(part, "is not UTF-8")),
        }
    }

    fn metadata(&mut self, n_entries: usize) -> Result<HashMap<String, Value>, ModelError> {
        let mut metadata = HashMap::new();
        for _ in 0..n_entries {
            let key = self.string("a metadata key")?;
            let type_id = self.u32(&key)?;
            let value = self.value(type_id, &key, 0)?;
            if metadata.contains_key(&key) {
                return Err(ModelError::invalid(format!("metadata {key}"), "appears twice"));
            }
            metadata.insert(key, value);
        }
        Ok(metadata)
    }

    fn value(&mut self, type_id: u32, key: &str, depth: usize) -> Result<Value, ModelError> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(ModelError::invalid("the metadata", format!("has more than {MAX_VALUES} values")));
        }
        Ok(match type_id {
            0 => Value::U8(self.array::<1>(key)?[0]),
            1 => Value::I8(i8::from_le_bytes(self.array(key)?)),
            2 => Value::U16(u16::from_le_bytes(self.array(key)?)),
            3 => Value::I16(i16::from_le_bytes(self.array(key)?)),
            4 => Value::U32(self.u32(key)?),
            5 => Value::I32(i32::from_le_bytes(self.array(key)?)),
            6 => Value::F32(f32::from_le_bytes(self.array(key)?)),
            7 => Value::Bool(self.array::<1>(key)?[0] != 0),
            8 => Value::String(self.string(key)?),
            9 if depth < MAX_ARRAY_DEPTH => {
                let element = self.u32(key)?;
                let count = self.u64(key)?;
                let count = self.count(count, min_value_bytes(element), key)?;
                let mut values = Vec::with_capacity(count.min(MAX_VALUES - self.n_values));
                for _ in 0..count {
                    values.push(self.value(element, key, depth + 1)?);
                }
                Value::Array(values)
            }
            9 => {
                return Err(ModelError::invalid(format!("metadata {key}"), "nests arrays too deeply"));
            }
            10 => Value::U64(self.u64(key)?),
            11 => Value::I64(i64::from_le_bytes(self.array(key)?)),
            12 => Value::F64(f64::from_le_bytes(self.array(key)?)),
            other => {
                return Err(ModelError::invalid(format!("metadata {key}"), format!("has unknown type {other}")));
            }
        })
    }

    fn tensor_entry(&mut self) -> Result<TensorEntry, ModelError> {
        let name = self.string("a tensor name")?;
        let part = format!("tensor {name}");
        let n_dims = self.u32(&part)?;
        if !(1..=MAX_DIMS).contains(&n_dims) {
            return Err(ModelError::invalid(part, format!("has {n_dims} dimensions, not 1 to {MAX_DIMS}")));
        }
        let mut shape = Vec::with_capacity(n_dims as usize);
        for _ in 0..n_dims {
            let dim = self.u64(&part)?;
            shape.push(usize::try_from(dim).map_err(|_| ModelError::invalid(&*part, format!("dimension {dim}")))?);
        }
        shape.reverse();
        let kind = TensorKind::from_ggml(self.u32(&part)?)?;
        let offset = self.u64(&part)?;
        Ok(TensorEntry { name, shape, kind, offset })
    }
}

fn min_value_bytes(type_id: u32) -> usize {
    match type_id {
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        9 => 12,
        _ => 1,
    }
}
