//! What ends a command, as one line on stderr.

use std::path::PathBuf;

use lectern_engine::EngineError;
use lectern_engine::model::ModelError;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("{error} ({code})", code = error.code())]
    Engine { error: EngineError },

    #[error("cannot read {path}: {error} (file-unreadable)")]
    Read { path: PathBuf, error: std::io::Error },

    #[error("cannot write {path}: {error} (file-unwritable)")]
    Write { path: PathBuf, error: std::io::Error },

    #[error(
        "{path} is not there; run `cargo xtask models`, or set LECTERN_MODELS to the folder that holds the models (model-missing)"
    )]
    ModelMissing { path: PathBuf },

    #[error("{path}: {reason} (input-invalid)")]
    Input { path: PathBuf, reason: String },

    #[error("{path} is a run with other settings: {differ}; name another file, or remove this one (run-mismatch)")]
    RunMismatch { path: PathBuf, differ: String },

    #[error(
        "{path}, line {line}, is no line of a run of this command; name another file, or remove this one (run-invalid)"
    )]
    RunInvalid { path: PathBuf, line: usize },

    #[error("{path} is being written by another command; wait for it, or name another file (run-busy)")]
    RunBusy { path: PathBuf },

    #[error(
        "{path} holds {n_other} pages that are none of these data; name another file, or remove this one (collection-mismatch)"
    )]
    CollectionMismatch { path: PathBuf, n_other: usize },

    #[error(
        "no page and no folder of pages is called \"{name}\"; pages are called as `lectern search` and the citations of `lectern ask` name them (source-unknown)"
    )]
    SourceUnknown { name: String },

    #[error("none of the files could be read (no-documents)")]
    NoSources,

    #[error("cannot print: {0} (print-failed)")]
    Print(#[from] std::io::Error),
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        Self::Engine { error }
    }
}

impl From<ModelError> for CliError {
    fn from(error: ModelError) -> Self {
        Self::Engine { error: error.into() }
    }
}
