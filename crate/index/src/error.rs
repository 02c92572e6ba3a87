//! Why an index could not be read or added to.

/// Everything that can go wrong with an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    #[error("The stored index is damaged ({reason}). Build it again from its documents.")]
    Corrupt { reason: &'static str },
    #[error(
        "The stored index has format version {found}, this program reads version {expected}. Build it again from its documents."
    )]
    Version { found: u32, expected: u32 },
    #[error(
        "The index was built with another embedding model ({found}) than the one in use ({expected}). Load that model or build the index again."
    )]
    ModelMismatch { found: String, expected: String },
    #[error(
        "A vector has {found} dimensions where the index has {expected}. Use the embedding model the index was built with."
    )]
    Dimension { found: usize, expected: usize },
    #[error("A vector is not of unit length ({what}). Normalise vectors before adding them.")]
    NotUnit { what: &'static str },
}

impl IndexError {
    /// The stable code to branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "index-corrupt",
            Self::Version { .. } => "index-version",
            Self::ModelMismatch { .. } => "index-model-mismatch",
            Self::Dimension { .. } => "index-dimension",
            Self::NotUnit { .. } => "index-not-unit",
        }
    }
}
