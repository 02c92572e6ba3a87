//! File bytes → text → passages → vectors → the library.

use lectern_corpus::{ChunkOptions, Chunks, Document};
use lectern_index::{IndexError, is_segment};
use lectern_model::host::Host;
use lectern_model::pace::Pace;

use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::library::{Library, Passage, Source, SourceInfo, stored_document};
use crate::stored::{PAGE, is_collection, parts};

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

/// Reads a file, with `password` if it is locked: one long call that needs no models, and may be made elsewhere. A page as
/// it is stored is read as its file was, whichever embedder it was for.
///
/// # Errors
/// `file-…` for bytes that give no text, `collection-invalid` for a stored page that is damaged.
pub fn extract(name: &str, bytes: &[u8], password: Option<&str>) -> Result<Document, EngineError> {
    if PAGE.is(bytes) {
        return Ok(stored_document(bytes)?.1);
    }
    lectern_corpus::extract(name, bytes, password).map_err(|error| EngineError::Corpus { name: name.to_owned(), error })
}

/// Names and contents, or the reasons why there are none.
pub type Files<'a> = Box<dyn Iterator<Item = (String, Result<Vec<u8>, EngineError>)> + 'a>;

/// The files of an archive, one at a time; `None` for bytes that are no archive.
///
/// # Errors
/// `file-…` for an archive that cannot be opened at all.
pub fn expand<'a>(name: &str, bytes: &'a [u8], password: Option<&'a str>) -> Option<Result<Files<'a>, EngineError>> {
    let of = |name: &str| {
        let name = name.to_owned();
        move |error| EngineError::Corpus { name, error }
    };
    if !lectern_corpus::is_archive(bytes) {
        return None;
    }
    let files = lectern_corpus::expand(name, bytes, password).map_err(of(name));
    Some(files.map(|files| {
        Box::new(files.map(move |(name, content)| {
            let content = content.map_err(of(&name));
            (name, content)
        })) as Files<'a>
    }))
}

/// The pages of a collection, as they are stored, for [`extract`]; `None` for bytes that are no collection.
///
/// # Errors
/// `collection-invalid` for one that cannot be opened at all.
pub fn stored_pages(bytes: &[u8]) -> Option<Result<Files<'_>, EngineError>> {
    if !is_collection(bytes) {
        return None;
    }
    let parts = parts(bytes.len(), &|range| bytes[range].to_vec());
    Some(parts.map(|parts| {
        let pages = parts.into_iter().map(|range| &bytes[range]).filter(|part| !is_segment(part));
        Box::new(pages.enumerate().map(|(i, page)| match stored_document(page) {
            Ok((name, _)) => (name, Ok(page.to_vec())),
            Err(error) => (format!("page {}", i + 1), Err(error)),
        })) as Files<'_>
    }))
}

/// Cuts a file that was read into passages.
pub async fn cut<H: Host>(
    embedder: &Embedder,
    name: &str,
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
    let source = Source::new(name, document, passages);
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
    let source = cut(embedder, name, extract(name, bytes, None)?, host, on_event).await;
    let total = source.texts.len();
    let mut on_batch = |done| on_event(IngestEvent::Embedded { done, total });
    let vectors = embedder.embed(&source.texts, host, &mut on_batch).await?;
    source.lay_down(library, embedder, &vectors, host).await
}
