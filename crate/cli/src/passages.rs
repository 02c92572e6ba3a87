//! Which passages a language model is shown, for every command that asks one.

use std::path::PathBuf;

use lectern_engine::model::decoder::Executor;
use lectern_engine::{AskOptions, ModelInfo, Session};
use serde::Serialize;

use crate::error::CliError;
use crate::host::Terminal;
use crate::models::model_file;

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct PassageArgs {
    /// Passages shown to the language model
    ///
    /// Without it, as many as the model reads best: 2, or 3 in an adapter's voice.
    #[arg(long)]
    top_k: Option<usize>,
    /// Passages of the same section that are shown before and behind each that is found; with many, a short section is
    /// shown whole
    #[arg(long, value_name = "N", default_value_t = 0)]
    neighbours: usize,
    /// Search also for what the language model would answer without pages
    #[arg(long)]
    hyde: bool,
    /// Put the best N passages in another order: by how likely the language model takes the question to be after each
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rerank: usize,
    /// A BERT cross-encoder's GGUF, which says the order in the language model's place; see `lectern convert`
    #[arg(long, value_name = "FILE", requires = "rerank")]
    #[serde(skip)]
    pub reranker: Option<PathBuf>,
}

impl PassageArgs {
    /// Whether the language model says the order.
    pub fn asks_reader(&self) -> bool {
        self.rerank > 0 && self.reranker.is_none()
    }

    /// Loads the cross-encoder, if there is one.
    pub fn load(&self, session: &mut Session<Terminal>) -> Result<Option<(ModelInfo, Executor)>, CliError> {
        let Some(path) = &self.reranker else { return Ok(None) };
        Ok(Some((session.load_reranker(model_file(path)?)?, Executor::Cpu)))
    }

    /// `options` with these.
    pub fn over(&self, options: AskOptions) -> AskOptions {
        let Self { top_k, neighbours, hyde, rerank, .. } = *self;
        AskOptions { top_k, neighbours, hyde, rerank, ..options }
    }
}
