//! Text to tokens to tensors to tokens: a Llama-architecture decoder and a BERT encoder, read from GGUF files.

pub mod chat;
pub mod convert;
pub mod decoder;
pub mod encoder;
pub mod error;
pub mod generate;
pub mod gguf;
pub mod host;
pub mod kernel;
pub mod kv_cache;
pub mod lora;
pub mod packed;
pub mod quant;
pub mod sample;
pub mod tokenizer;

pub use chat::{ChatTemplate, Message};
pub use error::ModelError;
pub use gguf::{Gguf, GgufWriter, Tensor, TensorInfo, Value};
pub use quant::TensorKind;
pub use sample::{Sampler, SamplingOptions};
pub use tokenizer::{TokenStream, Tokenizer};

/// A Burn device, made by whoever owns the surroundings.
#[cfg(feature = "gpu")]
pub use burn::tensor::Device;

/// Without the `gpu` feature there is no device to be had.
#[cfg(not(feature = "gpu"))]
#[derive(Clone, Debug)]
pub enum Device {}
