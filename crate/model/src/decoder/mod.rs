//! A Llama-architecture decoder: one set of weights, two executors.

pub mod config;
pub mod cpu;
pub mod executor;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod weights;

pub use config::{DecoderConfig, RopeScaling};
pub use executor::{Decoder, Executor, LONG_CONTEXT, PREFILL_BATCH, compile_ahead};
pub use weights::DecoderWeights;
