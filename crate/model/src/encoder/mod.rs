//! BERT-architecture encoders: token ids to one unit vector, or a question and a passage to one score.

pub mod config;
pub mod cpu;
pub mod cross_encoder;
pub mod executor;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod weights;

pub use config::{EncoderConfig, Pooling};
pub use cross_encoder::CrossEncoder;
pub use executor::Encoder;
pub use weights::EncoderWeights;
