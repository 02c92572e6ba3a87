//! BERT-architecture encoders: token ids to one unit vector.

pub mod config;
pub mod cpu;
pub mod executor;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod weights;

pub use config::{EncoderConfig, Pooling};
pub use executor::Encoder;
pub use weights::EncoderWeights;
