//! The files of a checkpoint folder: typed JSON and tensors as f32.

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value as Json;

use crate::error::ModelError;

/// A JSON file with its name, for messages.
pub(super) struct JsonFile {
    pub name: &'static str,
    pub json: Json,
}

impl JsonFile {
    fn parse(name: &'static str, bytes: &[u8]) -> Result<Self, ModelError> {
        let json = serde_json::from_slice(bytes).map_err(|error| ModelError::invalid(name, error.to_string()))?;
        Ok(Self { name, json })
    }

    fn field<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        convert: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Result<T, ModelError> {
        let value = self.json.get(key);
        value.and_then(convert).ok_or_else(|| {
            let found = value.map_or("nothing".to_owned(), Json::to_string);
            ModelError::invalid(self.name, format!("{key} must be {wanted}, found {found}"))
        })
    }

    pub fn str(&self, key: &str) -> Result<&str, ModelError> {
        self.field(key, "a string", Json::as_str)
    }

    pub fn usize(&self, key: &str) -> Result<usize, ModelError> {
        self.field(key, "a whole number", |v| v.as_u64()?.try_into().ok())
    }

    pub fn f32(&self, key: &str) -> Result<f32, ModelError> {
        self.field(key, "a number", |v| Some(v.as_f64()? as f32))
    }

    /// The value, unless it is missing or `null`.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.json.get(key).filter(|value| !value.is_null())
    }
}

pub(super) struct Checkpoint<'a> {
    pub config: JsonFile,
    pub tokenizer: JsonFile,
    pub tokenizer_text: &'a str,
    pub tokenizer_config: Option<JsonFile>,
    pub chat_template: Option<&'a str>,
    pub pooling: Option<JsonFile>,
    weights: Vec<SafeTensors<'a>>,
}

/// One tensor of the checkpoint, row-major.
pub(super) struct Weights {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl<'a> Checkpoint<'a> {
    pub fn open(files: &[(&str, &'a [u8])]) -> Result<Self, ModelError> {
        let find = |name: &str| files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes);
        let need =
            |name: &'static str| find(name).ok_or_else(|| ModelError::invalid(name, "is not in the checkpoint folder"));
        let text = |name: &'static str, bytes: &'a [u8]| {
            std::str::from_utf8(bytes).map_err(|_| ModelError::invalid(name, "is not UTF-8"))
        };
        let optional = |name: &'static str| find(name).map(|bytes| JsonFile::parse(name, bytes)).transpose();
        let weights = files
            .iter()
            .filter(|(name, _)| name.ends_with(".safetensors"))
            .map(|(name, bytes)| {
                SafeTensors::deserialize(bytes).map_err(|error| ModelError::invalid(*name, error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if weights.is_empty() {
            return Err(ModelError::invalid("model.safetensors", "is not in the checkpoint folder"));
        }
        let tokenizer = need("tokenizer.json")?;
        Ok(Self {
            config: JsonFile::parse("config.json", need("config.json")?)?,
            tokenizer: JsonFile::parse("tokenizer.json", tokenizer)?,
            tokenizer_text: text("tokenizer.json", tokenizer)?,
            tokenizer_config: optional("tokenizer_config.json")?,
            chat_template: find("chat_template.jinja").map(|b| text("chat_template.jinja", b)).transpose()?,
            pooling: optional("1_Pooling/config.json")?,
            weights,
        })
    }

    pub fn has_tensor(&self, name: &str) -> bool {
        self.view(name).is_some()
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.view(name)?.shape().to_vec())
    }

    /// Every tensor name of every file.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.weights.iter().flat_map(|file| file.iter().map(|(name, _)| name))
    }

    /// # Errors
    /// `model-invalid` if the tensor is missing or of another shape, `model-unsupported` if it is not F32, F16 or BF16.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weights, ModelError> {
        let part = || format!("tensor {name}");
        let view = self.view(name).ok_or_else(|| ModelError::invalid(part(), "is missing"))?;
        if view.shape() != shape {
            let reason = format!("is {:?}, config.json says {shape:?}", view.shape());
            return Err(ModelError::invalid(part(), reason));
        }
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            other => {
                return Err(ModelError::unsupported(format!(
                    "tensor {name} is stored as {other:?}; use a checkpoint in F32, F16 or BF16"
                )));
            }
        };
        Ok(Weights { shape: shape.to_vec(), values })
    }

    fn view(&self, name: &str) -> Option<TensorView<'_>> {
        self.weights.iter().find_map(|file| file.tensor(name).ok())
    }
}
