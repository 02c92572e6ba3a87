//! The writer: version 3, little-endian, alignment 32.

use std::borrow::Cow;

use super::{DEFAULT_ALIGNMENT, MAGIC, Value, n_bytes};
use crate::error::ModelError;
use crate::quant::TensorKind;

const VERSION: u32 = 3;

/// Collects metadata and tensors, then lays out a file.
#[derive(Debug, Default)]
pub struct GgufWriter<'a> {
    metadata: Vec<(String, Value)>,
    tensors: Vec<PendingTensor<'a>>,
}

#[derive(Debug)]
struct PendingTensor<'a> {
    name: String,
    shape: Vec<usize>,
    kind: TensorKind,
    data: Cow<'a, [u8]>,
}

impl<'a> GgufWriter<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a metadata value, replacing an earlier one of the same key.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.metadata.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.metadata.push((key, value)),
        }
    }

    /// Adds a tensor. `shape` is row-major: `[rows, cols]` of a matrix.
    ///
    /// # Errors
    /// `model-invalid` if the name is taken or `data` is not as long as shape and kind say.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        kind: TensorKind,
        data: impl Into<Cow<'a, [u8]>>,
    ) -> Result<(), ModelError> {
        let (name, data) = (name.into(), data.into());
        if n_bytes(shape, kind) != Some(data.len()) || shape.len() > 4 {
            let reason = format!("{} bytes do not hold {shape:?} as {}", data.len(), kind.name());
            return Err(ModelError::invalid(format!("tensor {name}"), reason));
        }
        if self.tensors.iter().any(|tensor| tensor.name == name) {
            return Err(ModelError::invalid(format!("tensor {name}"), "appears twice"));
        }
        self.tensors.push(PendingTensor { name, shape: shape.to_vec(), kind, data });
        Ok(())
    }

    /// The file.
    pub fn finish(self) -> Vec<u8> {
        let alignment = DEFAULT_ALIGNMENT as usize;
        let data_len: usize = self.tensors.iter().map(|t| t.data.len().next_multiple_of(alignment)).sum();
        let mut out = Vec::with_capacity(data_len + (64 << 10));
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_string(&mut out, key);
            out.extend(value.type_id().to_le_bytes());
            put_value(&mut out, value);
        }
        let mut offset = 0usize;
        for tensor in &self.tensors {
            put_string(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            for &dim in tensor.shape.iter().rev() {
                out.extend((dim as u64).to_le_bytes());
            }
            out.extend(tensor.kind.ggml_id().to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += tensor.data.len().next_multiple_of(alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(alignment), 0);
            out.extend_from_slice(&tensor.data);
        }
        out.resize(out.len().next_multiple_of(alignment), 0);
        out
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(x) => out.push(*x),
        Value::I8(x) => out.extend(x.to_le_bytes()),
        Value::U16(x) => out.extend(x.to_le_bytes()),
        Value::I16(x) => out.extend(x.to_le_bytes()),
        Value::U32(x) => out.extend(x.to_le_bytes()),
        Value::I32(x) => out.extend(x.to_le_bytes()),
        Value::F32(x) => out.extend(x.to_le_bytes()),
        Value::Bool(x) => out.push(u8::from(*x)),
        Value::String(x) => put_string(out, x),
        Value::Array(values) => {
            let element = values.first().map_or(0, Value::type_id);
            debug_assert!(values.iter().all(|value| value.type_id() == element), "GGUF arrays are homogeneous");
            out.extend(element.to_le_bytes());
            out.extend((values.len() as u64).to_le_bytes());
            for value in values {
                put_value(out, value);
            }
        }
        Value::U64(x) => out.extend(x.to_le_bytes()),
        Value::I64(x) => out.extend(x.to_le_bytes()),
        Value::F64(x) => out.extend(x.to_le_bytes()),
    }
}
