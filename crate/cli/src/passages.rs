//! Which passages a language model is shown, for every command that asks one.

use lectern_engine::AskOptions;
use serde::Serialize;

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct PassageArgs {
    /// Passages shown to the language model
    ///
    /// Without it, as many as the model reads best: 2, or 3 in an adapter's voice.
    #[arg(long)]
    top_k: Option<usize>,
    /// Passages of the same section that are shown before and behind each that is found; with many, short documents are
    /// shown whole
    #[arg(long, value_name = "N", default_value_t = 0)]
    neighbours: usize,
    /// Search also for what the language model would answer without pages
    #[arg(long)]
    hyde: bool,
    /// Put the best N passages in another order: by how likely the language model takes the question to be after each
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rerank: usize,
}

impl PassageArgs {
    /// `options` with these.
    pub fn over(&self, options: AskOptions) -> AskOptions {
        let Self { top_k, neighbours, hyde, rerank } = *self;
        AskOptions { top_k, neighbours, hyde, rerank, ..options }
    }
}
