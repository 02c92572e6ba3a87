//! A file that has been read: its metadata, and its tensors until they are taken.

use super::directory::Directory;
use super::{GgufStream, TensorInfo, Value};
use crate::error::ModelError;
use crate::packed::{BLOCK, PackedMatrix, Packing};

/// A GGUF file, its tensors in the layout of [`PackedMatrix`].
#[derive(Debug)]
pub struct Gguf {
    directory: Directory,
    /// One for each of the directory; `None` once it was taken.
    tensors: Vec<Option<Packing>>,
}

impl Gguf {
    /// Reads a file that is in memory.
    ///
    /// # Errors
    /// As [`GgufStream`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut stream = GgufStream::new(bytes.len());
        stream.push(bytes)?;
        stream.finish()
    }

    pub(super) fn new(directory: Directory, tensors: Vec<Option<Packing>>) -> Self {
        Self { directory, tensors }
    }

    /// As [`GgufStream::outline`].
    pub(super) fn outline(directory: &Directory) -> Self {
        let directory = directory.outline();
        let zeros = |tensor: &TensorInfo| Some(Packing::zeros(tensor.kind, tensor.range.len()));
        Self { tensors: directory.tensors.iter().map(zeros).collect(), directory }
    }

    /// The tensor directory, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.directory.tensors
    }

    pub fn has_tensor(&self, name: &str) -> bool {
        self.directory.by_name.contains_key(name)
    }

    /// # Errors
    /// `model-invalid` if the file has no tensor of that name.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, ModelError> {
        Ok(&self.directory.tensors[self.index(name)?])
    }

    /// A tensor as plain numbers, row-major.
    ///
    /// # Errors
    /// `model-invalid` if there is none of that name, or it was taken.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let index = self.index(name)?;
        let packing = self.tensors[index].as_ref().ok_or_else(|| missing(name))?;
        Ok(packing.to_f32(self.directory.tensors[index].shape.iter().product()))
    }

    /// A vector of the length that the metadata promises, `[len]`.
    ///
    /// # Errors
    /// As [`Self::values`]; `model-invalid` for another shape.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, ModelError> {
        self.check_shape(name, &[len])?;
        self.values(name)
    }

    /// Takes a matrix of the shape that the metadata promises, `[rows, cols]`, out of the file.
    ///
    /// # Errors
    /// `model-invalid` if there is none of that name, it was taken, or has another shape; `model-unsupported` when its
    /// rows are not a multiple of 32 long.
    pub fn take_matrix(&mut self, name: &str, rows: usize, cols: usize) -> Result<PackedMatrix, ModelError> {
        self.check_shape(name, &[rows, cols])?;
        if !cols.is_multiple_of(BLOCK) {
            let reason = format!("tensor {name} has rows of {cols} values, not a multiple of {BLOCK}");
            return Err(ModelError::unsupported(reason));
        }
        let index = self.index(name)?;
        let packing = self.tensors[index].take().ok_or_else(|| missing(name))?;
        Ok(packing.into_matrix(rows, cols))
    }

    /// Every metadata key, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.directory.metadata.keys().map(String::as_str)
    }

    pub fn value(&self, key: &str) -> Option<&Value> {
        self.directory.metadata.get(key)
    }

    fn index(&self, name: &str) -> Result<usize, ModelError> {
        self.directory.by_name.get(name).copied().ok_or_else(|| missing(name))
    }

    fn check_shape(&self, name: &str, expected: &[usize]) -> Result<(), ModelError> {
        match &self.tensor(name)?.shape {
            shape if shape == expected => Ok(()),
            shape => Err(ModelError::invalid(
                format!("tensor {name}"),
                format!("its shape is {shape:?} where the metadata says {expected:?}"),
            )),
        }
    }

    fn opt<'s, T>(
        &'s self,
        key: &str,
        wanted: &str,
        convert: impl FnOnce(&'s Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| {
                ModelError::invalid(format!("metadata {key}"), format!("is {}, not {wanted}", value.type_name()))
            }),
        }
    }
}

fn missing(name: &str) -> ModelError {
    ModelError::invalid(format!("tensor {name}"), "is missing")
}

/// Typed metadata. `opt_*` answer `None` for a missing key, the others `model-invalid`; a value of another type is
/// `model-invalid` in both.
macro_rules! getters {
    ($($name:ident, $opt:ident: $type:ty = $wanted:literal, $convert:expr;)*) => {
        impl Gguf {
            $(
                #[doc = concat!("Metadata value that must be ", $wanted, ".")]
                ///
                /// # Errors
                /// `model-invalid` if it is missing or of another type.
                pub fn $name(&self, key: &str) -> Result<$type, ModelError> {
                    self.$opt(key)?.ok_or_else(|| ModelError::invalid(format!("metadata {key}"), "is missing"))
                }

                #[doc = concat!("Metadata value that may be missing but otherwise must be ", $wanted, ".")]
                ///
                /// # Errors
                /// `model-invalid` if it is of another type.
                pub fn $opt(&self, key: &str) -> Result<Option<$type>, ModelError> {
                    self.opt(key, $wanted, $convert)
                }
            )*
        }
    };
}

getters! {
    str, opt_str: &str = "a string", Value::as_str;
    u32, opt_u32: u32 = "a whole number below 2^32", Value::as_u32;
    u64, opt_u64: u64 = "a whole number", Value::as_u64;
    f32, opt_f32: f32 = "a real number", Value::as_f32;
    bool, opt_bool: bool = "a boolean", Value::as_bool;
    strs, opt_strs: Vec<&str> = "an array of strings", |v| v.as_array()?.iter().map(Value::as_str).collect();
    u32s, opt_u32s: Vec<u32> = "an array of whole numbers", |v| v.as_array()?.iter().map(Value::as_u32).collect();
    f32s, opt_f32s: Vec<f32> = "an array of real numbers", |v| v.as_array()?.iter().map(Value::as_f32).collect();
}
