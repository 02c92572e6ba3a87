//! What a person can be told when something does not work.

use lectern_adapter::AdapterError;
use lectern_corpus::CorpusError;
use lectern_index::IndexError;
use lectern_model::ModelError;

/// Errors of the product. `Display` says what to do; [`EngineError::code`] is what programs branch on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Model(#[from] ModelError),

    #[error(transparent)]
    Adapter(#[from] AdapterError),

    #[error(transparent)]
    Index(#[from] IndexError),

    #[error("{name}: {error}")]
    Corpus { name: String, error: CorpusError },

    #[error("no pages are laid down yet; lay some down, or ask without them")]
    NoDocuments,

    #[error("the {0} is not loaded yet; load it first")]
    NotLoaded(&'static str),

    #[error("there is no voice called \"{0}\"; choose one that is loaded")]
    AdapterUnknown(String),

    #[error("there is no page with the number {0}; it may have been removed")]
    SourceUnknown(u32),

    #[error("the question is empty; type one")]
    EmptyQuestion,

    #[error("the collection cannot be read: {0}; build it again")]
    Collection(String),
}

impl EngineError {
    /// Stable kebab-case code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Model(error) => error.code(),
            Self::Adapter(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Corpus { error, .. } => error.code(),
            Self::NoDocuments => "no-documents",
            Self::NotLoaded(_) => "not-loaded",
            Self::AdapterUnknown(_) => "adapter-unknown",
            Self::SourceUnknown(_) => "source-unknown",
            Self::EmptyQuestion => "question-empty",
            Self::Collection(_) => "collection-invalid",
        }
    }
}
