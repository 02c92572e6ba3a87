//! What can go wrong between a model file and a generated token.

/// Errors of this crate. `Display` is a sentence for people that says what to do; [`ModelError::code`] is what programs
/// branch on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error(
        "the model file ends early: {part} needs {needed} bytes at offset {offset} of {len}; download the file again"
    )]
    Truncated { part: String, offset: u64, needed: u64, len: u64 },

    #[error("this is not a GGUF file (it starts with {found:02x?}); choose a model in the .gguf format")]
    Magic { found: [u8; 4] },

    #[error("GGUF version {found} cannot be read, only versions 2 and 3; convert the model with a current llama.cpp")]
    Version { found: u32 },

    #[error("the model file is damaged: {part}: {reason}; download or convert it again")]
    Invalid { part: String, reason: String },

    #[error("this model cannot be used: {what}")]
    Unsupported { what: String },

    #[error("the model file is not the expected one (SHA-256 {found}, expected {expected}); download it again")]
    HashMismatch { expected: String, found: String },

    #[error("the prompt has {n_tokens} tokens and the model reads at most {n_ctx}; shorten it")]
    PromptTooLong { n_tokens: usize, n_ctx: usize },

    #[error("cancelled")]
    Cancelled,

    #[error("the graphics device was lost: {reason}; continue on the CPU or reload the page")]
    GpuLost { reason: String },

    #[error("no usable graphics device: {reason}; use the CPU instead")]
    GpuUnavailable { reason: String },
}

impl ModelError {
    /// Stable kebab-case code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "model-truncated",
            Self::Magic { .. } => "model-magic",
            Self::Version { .. } => "model-version",
            Self::Invalid { .. } => "model-invalid",
            Self::Unsupported { .. } => "model-unsupported",
            Self::HashMismatch { .. } => "model-hash-mismatch",
            Self::PromptTooLong { .. } => "prompt-too-long",
            Self::Cancelled => "cancelled",
            Self::GpuLost { .. } => "gpu-lost",
            Self::GpuUnavailable { .. } => "gpu-unavailable",
        }
    }

    /// A damaged or contradictory `part` of a model file.
    pub fn invalid(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { part: part.into(), reason: reason.into() }
    }

    /// A well-formed model that needs something this crate does not do.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_fixed() {
        let errors = [
            ModelError::Truncated { part: "x".into(), offset: 0, needed: 1, len: 0 },
            ModelError::Magic { found: *b"PK\x03\x04" },
            ModelError::Version { found: 9 },
            ModelError::invalid("x", "y"),
            ModelError::unsupported("x"),
            ModelError::HashMismatch { expected: "a".into(), found: "b".into() },
            ModelError::PromptTooLong { n_tokens: 2, n_ctx: 1 },
            ModelError::Cancelled,
            ModelError::GpuLost { reason: "x".into() },
            ModelError::GpuUnavailable { reason: "x".into() },
        ];
        assert_eq!(
            errors.map(|error| error.code()),
            [
                "model-truncated",
                "model-magic",
                "model-version",
                "model-invalid",
                "model-unsupported",
                "model-hash-mismatch",
                "prompt-too-long",
                "cancelled",
                "gpu-lost",
                "gpu-unavailable",
            ]
        );
    }
}
