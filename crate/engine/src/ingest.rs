//! File bytes → text → passages → vectors → the library.

use lectern_corpus::{ChunkOptions, Chunks, Document};
use lectern_index::IndexError;
use lectern_model::host::Host;

use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::library::{Library, Passage, Source, SourceInfo};
use crate::pace::Pace;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestEvent {
    Extracted { n_chars: usize },
    Chunked { n_chunks: usize },
    Embedded { done: usize, total: usize },
}

/// A file that was read and cut into passages; what is missing are their vectors, which may be made elsewhere.
pub struct ReadSource {
    source: Source,
    /// What each passage is found by.
    pub texts: Vec<String>,
    /// Of the embedder that counted the tokens.
    model_hash: String,
}

impl ReadSource {
    /// Puts it into the library; `vectors` are those of `texts`.
    ///
    /// # Panics
    /// If they are not as many.
    ///
    /// # Errors
    /// `index-dimension`; `index-model-mismatch` when the library, or `embedder` meanwhile, is another model's.
    pub async fn lay_down<H: Host>(
        self,
        library: &mut Library,
        embedder: &Embedder,
        vectors: &[Vec<f32>],
        host: &H,
    ) -> Result<SourceInfo, EngineError> {
        assert_eq!(vectors.len(), self.texts.len());
        let n_dims = embedder.encoder.config().hidden_size;
        if self.model_hash != embedder.hash {
            let (found, expected) = (self.model_hash, embedder.hash.clone());
            return Err(IndexError::ModelMismatch { found, expected }.into());
        }
        if let Some(odd) = vectors.iter().find(|vector| vector.len() != n_dims) {
            return Err(IndexError::Dimension { expected: n_dims, found: odd.len() }.into());
        }
        library.add(self.source, n_dims, vectors.iter(), &self.model_hash, host).await
    }
}

/// Reads a file, with `password` if it is locked: one long call that needs no models, and may be made elsewhere.
///
/// # Errors
/// `file-…` for bytes that give no text.
pub fn extract(name: &str, bytes: &[u8], password: Option<&str>) -> Result<Document, EngineError> {
    lectern_corpus::extract(name, bytes, password).map_err(|error| EngineError::Corpus { name: name.to_owned(), error })
}

/// The files of an archive, one at a time, each with its contents or the reason why there are none; `None` for bytes that
/// are no archive.
///
/// # Errors
/// `file-…` for an archive that cannot be opened at all.
#[allow(clippy::type_complexity, reason = "what an archive gives, as it is")]
pub fn expand<'a>(
    name: &str,
    bytes: &'a [u8],
    password: Option<&'a str>,
) -> Option<Result<impl Iterator<Item = (String, Result<Vec<u8>, EngineError>)> + 'a, EngineError>> {
    let of = |name: &str| {
        let name = name.to_owned();
        move |error| EngineError::Corpus { name, error }
    };
    if !lectern_corpus::is_archive(bytes) {
        return None;
    }
    let files = lectern_corpus::expand(name, bytes, password).map_err(of(name));
    Some(files.map(|files| {
        files.map(move |(name, content)| {
            let content = content.map_err(of(&name));
            (name, content)
        })
    }))
}

/// Cuts a file of `n_bytes` that was read into passages.
pub async fn cut<H: Host>(
    embedder: &Embedder,
    name: &str,
    n_bytes: usize,
    document: Document,
    host: &H,
    on_event: &mut dyn FnMut(IngestEvent),
) -> ReadSource {
    on_event(IngestEvent::Extracted { n_chars: document.text.chars().count() });
    host.breathe().await;
    let (options, n_tokens) = (ChunkOptions::default(), |text: &str| embedder.n_tokens(text));
    let mut passages = Vec::new();
    let mut pace = Pace::new(host);
    for chunks in Chunks::new(&document, &options, &n_tokens) {
        passages.extend(chunks.into_iter().map(|c| Passage { span: c.span, headings: c.headings }));
        pace.step().await;
    }
    on_event(IngestEvent::Chunked { n_chunks: passages.len() });
    host.breathe().await;
    let source = Source::new(name, n_bytes, document, passages);
    let mut texts = Vec::with_capacity(source.passages.len());
    for passage in &source.passages {
        texts.push(source.search_text(passage));
        pace.step().await;
    }
    host.breathe().await;
    ReadSource { source, texts, model_hash: embedder.hash.clone() }
}

/// Reads a file into the library. Nothing is added unless all of it succeeds.
///
/// # Errors
/// As [`extract`] and [`ReadSource::lay_down`]; `cancelled`, and those of the embedder.
pub async fn ingest<H: Host>(
    library: &mut Library,
    embedder: &mut Embedder,
    name: &str,
    bytes: &[u8],
    host: &H,
    on_event: &mut dyn FnMut(IngestEvent),
) -> Result<SourceInfo, EngineError> {
    let source = cut(embedder, name, bytes.len(), extract(name, bytes, None)?, host, on_event).await;
    let total = source.texts.len();
    let mut on_batch = |done| on_event(IngestEvent::Embedded { done, total });
    let vectors = embedder.embed(&source.texts, host, &mut on_batch).await?;
    source.lay_down(library, embedder, &vectors, host).await
}
