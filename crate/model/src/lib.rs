//! Text to tokens to tensors to tokens: a Llama-architecture decoder and a BERT encoder, read from GGUF files.

pub mod decoder;
pub mod kernel;
pub mod kv_cache;
pub mod lora;
pub mod packed;
pub mod error;
pub mod gguf;
pub mod quant;

pub use error::ModelError;
pub use gguf::{Gguf, GgufWriter, Tensor, TensorInfo, Value};
pub use quant::TensorKind;
