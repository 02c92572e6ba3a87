//! Text to tokens to tensors to tokens: a Llama-architecture decoder, a BERT encoder and a BERT re-ranker, read from GGUF
//! files.

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
pub mod likelihood;
mod lookup;
pub mod lora;
pub mod pace;
pub mod packed;
pub mod quant;
mod repeat;
pub mod sample;
pub mod tokenizer;

pub use chat::{ChatTemplate, Message};
pub use error::ModelError;
pub use gguf::{Gguf, GgufStream, GgufWriter, TensorInfo, Value};
pub use quant::TensorKind;
pub use sample::{Sampler, SamplingOptions};
pub use tokenizer::{TokenStream, Tokenizer};

/// How the CPU executor rounds activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// To 16 bits: logits within 0.05 of the reference.
    #[default]
    Exact,
    /// To 8 bits, where the machine has instructions for it (`lectern_simd`): several times quicker, at a perplexity of
    /// at most 18.51 where the reference has 18.40. The GPU executor is always exact.
    Fast,
}

/// The instructions that `fast` runs on; none when it is exact on this machine.
pub fn fast_instructions() -> Option<&'static str> {
    lectern_simd::instructions().map(lectern_simd::Instructions::name)
}

/// WebAssembly: takes the index in the module's table of the second module's products.
#[cfg(target_arch = "wasm32")]
pub use lectern_simd::relaxed::install as install_kernels;

/// A Burn device, made by whoever owns the surroundings.
#[cfg(feature = "gpu")]
pub use burn::tensor::Device;

/// Without the `gpu` feature there is no device to be had.
#[cfg(not(feature = "gpu"))]
#[derive(Clone, Debug)]
pub enum Device {}
