//! A Hugging Face checkpoint folder → one GGUF file: BERT sentence encoders and re-rankers, Llama-architecture decoders.
//!
//! Keys and tensor names are those of llama.cpp's `convert_hf_to_gguf.py`, so its tools read the result too. The
//! checkpoint's own `tokenizer.json` travels inside the file, under [`crate::tokenizer::EMBEDDED_KEY`].

mod bert;
mod checkpoint;
mod llama;
mod vocab;

use std::str::FromStr;

use half::f16;

use crate::error::ModelError;
use crate::gguf::{GgufWriter, Value};
use crate::quant::{self, TensorKind};
use checkpoint::Checkpoint;

/// How matrices are stored; vectors are always F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quantization {
    #[default]
    Q8_0,
    F16,
    F32,
}

impl FromStr for Quantization {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "q8_0" => Ok(Self::Q8_0),
            "f16" => Ok(Self::F16),
            "f32" => Ok(Self::F32),
            other => Err(ModelError::unsupported(format!("no quantisation {other}; choose q8_0, f16 or f32"))),
        }
    }
}

impl Quantization {
    /// llama.cpp's `general.file_type`.
    fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 7,
        }
    }

    /// What a matrix with rows of `columns` is stored as: rows that are not whole blocks fall back to F16.
    fn kind(self, columns: usize) -> TensorKind {
        match self {
            Self::F32 => TensorKind::F32,
            Self::Q8_0 if columns.is_multiple_of(quant::BLOCK_LEN) => TensorKind::Q8_0,
            Self::Q8_0 | Self::F16 => TensorKind::F16,
        }
    }
}

/// Whether [`convert`] reads the file of this name (relative to the checkpoint folder, with `/`).
pub fn wants(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "1_Pooling/config.json"];
    NAMES.contains(&name) || (!name.contains('/') && name.starts_with("model") && name.ends_with(".safetensors"))
}

/// Converts the files of a checkpoint folder, given as (name relative to the folder, bytes); see [`wants`]. `name`
/// becomes `general.name`.
///
/// # Errors
/// `model-invalid` for a missing, damaged or contradictory file, `model-unsupported` for an architecture, activation,
/// pooling or RoPE variant that the executors do not compute.
pub fn convert(name: &str, files: &[(&str, &[u8])], quantization: Quantization) -> Result<Vec<u8>, ModelError> {
    let checkpoint = Checkpoint::open(files)?;
    let mut out = Output { writer: GgufWriter::new(), quantization };
    let architecture = checkpoint.config.str("model_type")?;
    if !matches!(architecture, "bert" | "llama") {
        return Err(ModelError::unsupported(format!(
            "the checkpoint's architecture is {architecture}; convert a bert or a llama checkpoint"
        )));
    }
    out.set("general.architecture", architecture);
    out.set("general.type", "model");
    out.set("general.name", name);
    out.set("general.file_type", quantization.file_type());
    out.set("general.quantization_version", 2u32);
    match architecture {
        "bert" => bert::write(&checkpoint, &mut out)?,
        _ => llama::write(&checkpoint, &mut out)?,
    }
    Ok(out.writer.finish())
}

/// The file being written and how its matrices are stored.
struct Output {
    writer: GgufWriter<'static>,
    quantization: Quantization,
}

impl Output {
    fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.writer.set(key, value);
    }

    /// A matrix, in the chosen quantisation. `shape`: `[rows, cols]`.
    fn matrix(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<(), ModelError> {
        let kind = self.quantization.kind(shape.last().copied().unwrap_or(0));
        self.writer.tensor(name, shape, kind, encode(kind, values))
    }

    /// A vector or small table, as F32.
    fn exact(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<(), ModelError> {
        self.writer.tensor(name, shape, TensorKind::F32, encode(TensorKind::F32, values))
    }
}

fn encode(kind: TensorKind, values: &[f32]) -> Vec<u8> {
    match kind {
        TensorKind::Q8_0 => quant::quantize_q8_0(values),
        TensorKind::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests;
