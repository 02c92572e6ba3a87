//! LoRA adapters in PEFT's layout: read from files, matched to a model.

pub mod attach;
pub mod error;
pub mod format;

pub use attach::{BaseModel, attach};
pub use error::AdapterError;
pub use format::{AdapterConfig, PeftAdapter};
