//! What a question is answered from.

use lectern_model::encoder::CrossEncoder;
use lectern_model::host::Host;

use crate::answer::AskOptions;
use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::library::Library;
use crate::reader::Reader;
use crate::rerank::Judge;
use crate::retrieve::{Retrieval, RetrieveOptions, retrieve, widened};

/// The pages, and what finds passages in them.
pub struct Finder<'a, H: Host> {
    pub library: &'a Library,
    pub embedder: Option<&'a mut Embedder>,
    pub reranker: Option<&'a mut CrossEncoder>,
    pub host: &'a H,
}

impl<H: Host> Finder<'_, H> {
    /// As [`retrieve`]; the best [`RetrieveOptions::rerank`] are then put in the order that the re-ranker gives them, or,
    /// where there is none, `reader`. Whether they are relevant is what retrieval said. Passages for a question of several
    /// parts stay in turn: judged by the whole, those of one part could be all.
    ///
    /// # Errors
    /// As [`retrieve`]; `not-loaded` without an embedder, and where there is nothing to re-rank with.
    pub async fn search(
        &mut self,
        reader: Option<&mut Reader>,
        question: &str,
        options: &RetrieveOptions<'_>,
    ) -> Result<Retrieval, EngineError> {
        let embedder = self.embedder.as_deref_mut().ok_or(EngineError::NotLoaded("embedder"))?;
        let wanted = RetrieveOptions { top_k: options.top_k.max(options.rerank), ..*options };
        let mut retrieval = retrieve(self.library, embedder, question, &wanted, self.host).await?;
        if options.rerank > 0 && !retrieval.has_parts {
            let reranker = self.reranker.as_deref_mut().map(Judge::CrossEncoder);
            let judge = reranker.or(reader.map(Judge::Reader));
            let mut judge = judge.ok_or(EngineError::NotLoaded("language model"))?;
            let started = self.host.now_ms();
            retrieval.hits = judge.rerank(&retrieval.question, retrieval.hits, options.rerank, self.host).await?;
            retrieval.retrieve_ms += self.host.now_ms() - started;
        }
        retrieval.hits.truncate(options.top_k);
        Ok(retrieval)
    }

    /// The `n_shown` passages that `question` is answered from; none where pages are not used.
    pub(crate) async fn find(
        &mut self,
        reader: Option<&mut Reader>,
        n_shown: usize,
        question: &str,
        options: &AskOptions,
    ) -> Result<Retrieval, EngineError> {
        if !options.rag {
            return Ok(Retrieval::none(question));
        }
        if self.library.is_empty() {
            return Err(EngineError::NoDocuments);
        }
        let how = RetrieveOptions {
            top_k: n_shown,
            dense: options.dense,
            before: options.before.as_ref(),
            sources: &options.sources,
            rerank: options.rerank,
        };
        let mut retrieval = self.search(reader, question, &how).await?;
        if options.neighbours > 0 {
            retrieval.hits = widened(self.library, retrieval.hits, options.neighbours);
        }
        Ok(retrieval)
    }
}
