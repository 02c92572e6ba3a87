//! A question to the passages that may answer it.

use lectern_index::{DenseMode, DensePath, SearchOptions};
use lectern_model::host::Host;
use serde::Serialize;

use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::library::Library;

/// Cosine below which the best passage is taken to be about something else, unless BM25 says that it is
/// not: measured with all-MiniLM-L6-v2, see [`is_relevant`].
pub const MIN_COSINE: f32 = 0.28;
/// BM25 from which the words shared with the question are taken to be more than chance. It grows with
/// the collection, so that this stands well above what chance reached in small ones.
pub const MIN_BM25: f32 = 12.0;

/// Hits that the two thresholds were measured on.
pub const N_JUDGED: usize = 3;

/// A passage with its scores.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    pub source_id: u32,
    pub source: String,
    /// UTF-8 byte offsets into the source's extracted text.
    pub start: usize,
    pub end: usize,
    pub text: String,
    pub headings: Vec<String>,
    /// Reciprocal rank fusion of the two rankings.
    pub score: f32,
    /// Cosine.
    pub dense: Option<f32>,
    pub bm25: Option<f32>,
}

/// What a search found and how.
#[derive(Clone, Debug)]
pub struct Retrieval {
    pub hits: Vec<Hit>,
    pub dense_path: DensePath,
    pub embed_ms: f64,
    pub retrieve_ms: f64,
}

/// The `top_k` best passages for a question.
///
/// # Errors
/// `no-documents`, `index-model-mismatch`, and those of the embedder.
pub async fn retrieve<H: Host>(
    library: &Library,
    embedder: &mut Embedder,
    question: &str,
    top_k: usize,
    dense: DenseMode,
    host: &H,
) -> Result<Retrieval, EngineError> {
    let index = library.index().ok_or(EngineError::NoDocuments)?;
    index.check_model(&embedder.hash)?;
    let started = host.now_ms();
    let vector = embedder.embed_question(question, host).await?;
    let embedded = host.now_ms();
    let options = SearchOptions { k: top_k, dense, ..SearchOptions::default() };
    let ranked = index.search(question, Some(&vector), &options)?;
    let hits = ranked
        .hits
        .iter()
        .filter_map(|hit| {
            let (source, passage) = library.passage(hit.chunk)?;
            Some(Hit {
                source_id: source.id,
                source: source.name.clone(),
                start: passage.span.start,
                end: passage.span.end,
                text: source.text[passage.span.start..passage.span.end].to_owned(),
                headings: passage.headings.clone(),
                score: hit.score,
                dense: hit.dense,
                bm25: hit.bm25,
            })
        })
        .collect();
    Ok(Retrieval {
        hits,
        dense_path: ranked.dense_path,
        embed_ms: embedded - started,
        retrieve_ms: host.now_ms() - embedded,
    })
}

/// Whether any of the first [`N_JUDGED`] hits is near enough to be worth reading. On the scores themselves, never on the fused
/// rank, which is as high for the best of nothing.
///
/// Measured on the first three hits of `lectern eval qa --retrieval-only --run`, for questions that the
/// collection answers and for 40 about something else (cooking, sport, programming, pets, …):
///
/// | collection | chunks' best cosine, 3rd percentile of answerable | refused: answerable | refused: off-topic |
/// |---|---|---|---|
/// | SQuAD 2.0, 7 articles, 200 questions | 0.37 | 0.5 % | 90 % |
/// | CLAP NQ, 80 questions to a search engine | 0.29 | 2.5 % | 92.5 % |
/// | mdBook guide, 40 page queries | 0.33 | 0 % | 92.5 % |
///
/// No off-topic question reached a BM25 above 8.2, half of SQuAD's answerable ones exceed 9.9. Questions
/// that are on the topic but not answered (SQuAD's unanswerable ones) pass nearly all: those are the
/// reader's to refuse.
pub fn is_relevant(hits: &[Hit]) -> bool {
    hits.iter().take(N_JUDGED).any(|hit| hit.dense.unwrap_or(0.0) >= MIN_COSINE || hit.bm25.unwrap_or(0.0) >= MIN_BM25)
}
