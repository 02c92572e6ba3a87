//! File bytes → text → passages → vectors → the library.

use lectern_corpus::{ChunkOptions, Document, chunk, extract};
use lectern_model::host::Host;

use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::library::{Library, SourceInfo};

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestEvent {
    Extracted { n_chars: usize },
    Chunked { n_chunks: usize },
    Embedded { done: usize, total: usize },
}

/// Reads a file into the library. Nothing is added unless all of it succeeds.
///
/// # Errors
/// `file-…` for bytes that give no text, `cancelled`, and those of the embedder.
pub async fn ingest<H: Host>(
    library: &mut Library,
    embedder: &mut Embedder,
    name: &str,
    bytes: &[u8],
    host: &H,
    on_event: &mut dyn FnMut(IngestEvent),
) -> Result<SourceInfo, EngineError> {
    let document = extract(name, bytes).map_err(|error| EngineError::Corpus { name: name.to_owned(), error })?;
    on_event(IngestEvent::Extracted { n_chars: document.text.chars().count() });
    host.breathe().await;
    let chunks = chunk(&document, &ChunkOptions::default(), &|text| embedder.n_tokens(text));
    on_event(IngestEvent::Chunked { n_chunks: chunks.len() });
    host.breathe().await;
    let texts: Vec<String> =
        chunks.iter().map(|c| search_text(&document, &c.headings, &document.text[c.span.start..c.span.end])).collect();
    let total = texts.len();
    let vectors = embedder.embed(&texts, host, &mut |done| on_event(IngestEvent::Embedded { done, total })).await?;
    let passages = chunks.into_iter().map(|c| (c.span, c.headings)).collect();
    library.add(name, bytes.len(), document, passages, &texts, &vectors, &embedder.hash)
}

/// What a passage is found by: its text under the headings it stands below.
fn search_text(document: &Document, headings: &[String], text: &str) -> String {
    let mut path: Vec<&str> = headings.iter().map(String::as_str).collect();
    if let Some(title) = document.title.as_deref().filter(|title| !path.contains(title)) {
        path.insert(0, title);
    }
    path.retain(|heading| !text.starts_with(heading));
    if path.is_empty() {
        return text.to_owned();
    }
    format!("{}\n{text}", path.join(" – "))
}
