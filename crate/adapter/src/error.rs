//! Why an adapter is refused.

/// Errors of this crate; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    #[error(
        "the adapter cannot be read: {0}; choose adapter_config.json and adapter_model.safetensors as PEFT writes them"
    )]
    Invalid(String),

    #[error("the adapter uses {0}, which cannot be applied; train it with plain LoRA")]
    Unsupported(String),

    #[error(
        "the adapter was made for {adapter_base}, the model here is {model}; load that model or choose another adapter"
    )]
    BaseMismatch { adapter_base: String, model: String },

    #[error(
        "the adapter changes {0}, which this model does not have; choose an adapter for this model's linear layers"
    )]
    UnknownTarget(String),

    #[error(
        "the adapter does not fit this model: {tensor} is {got:?} where {expected:?} is needed; choose an adapter made for it"
    )]
    Shape { tensor: String, got: Vec<usize>, expected: Vec<usize> },

    #[error("the adapter would change nothing: all its factors are zero; it may not have been trained")]
    NoEffect,
}

impl AdapterError {
    /// Stable kebab-case code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "adapter-invalid",
            Self::Unsupported(_) => "adapter-unsupported",
            Self::BaseMismatch { .. } => "adapter-base-mismatch",
            Self::UnknownTarget(_) => "adapter-unknown-target",
            Self::Shape { .. } => "adapter-shape",
            Self::NoEffect => "adapter-no-effect",
        }
    }
}
