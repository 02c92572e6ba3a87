//! Chunks with their vectors → ranked hits.
//!
//! An [`Index`] holds three readings of the same chunks: their vectors, searched exactly or through
//! graphs of up to ten thousand vectors each, and the words of their texts and of their names, searched with BM25. The
//! readings are calibrated and summed ([`Weights`]). Chunks are known by a dense [`ChunkId`]; the text itself stays with the
//! caller.
//!
//! Graphs take long to build, so the index only hands out jobs: [`Index::next_segment_job`] →
//! [`build_segment`] wherever there is time → [`Index::install_segment`]. Until then, and for what
//! no graph holds, vectors are scanned.

mod analyse;
mod bm25;
mod chunk;
mod dense;
mod error;
pub mod format;
mod fuse;
mod search;
mod segment;
mod vocabulary;

pub use analyse::Language;
pub use chunk::ChunkId;
pub use dense::GRAPH_THRESHOLD;
pub use error::IndexError;
pub use fuse::Weights;
pub use search::{Adding, DenseMode, DensePath, Entry, Index, Query, Ranked, RankedChunk, SearchOptions};
pub use segment::{SegmentJob, SegmentOptions, build_segment, is_segment};
