//! Bytes → text → chunks.
//!
//! [`extract()`] reads a file into a [`Document`]: plain text, its sections, and what had to be
//! guessed on the way. [`chunk()`] cuts that text into passages that fit an embedder. All offsets
//! are UTF-8 byte offsets into [`Document::text`], the text that is stored, shown and cited.

mod archive;
mod chunk;
mod decode;
mod error;
mod extract;
mod language;
mod span;

pub use archive::{Expanded, expand, is_archive, readable_path};
pub use chunk::{Chunk, ChunkOptions, Chunks, chunk};
pub use decode::{Decoded, decode};
pub use error::CorpusError;
pub use extract::{Document, Format, extract};
pub use span::{Section, Span};
