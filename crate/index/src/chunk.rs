//! What chunks are called inside and outside of an index.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A chunk: which one of a source, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    pub source: u32,
    pub ordinal: u32,
}

/// The number of a chunk within one index while it is in memory; never given twice.
pub(crate) type Row = u32;

/// Which rows belong to which source.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    by_source: HashMap<u32, Range<Row>>,
    chunks: Vec<ChunkId>,
    /// By row: the how many-eth source that was added.
    source_rows: Vec<Row>,
    n_sources: Row,
}

impl Rows {
    /// Gives rows to the `n` chunks of a source that has none yet.
    pub fn add(&mut self, source: u32, n: usize) {
        let start = self.chunks.len() as Row;
        self.chunks.extend((0..n as u32).map(|ordinal| ChunkId { source, ordinal }));
        self.source_rows.resize(self.chunks.len(), self.n_sources);
        self.n_sources += 1;
        self.by_source.insert(source, start..self.chunks.len() as Row);
    }

    /// The rows of a source, which is forgotten.
    pub fn remove(&mut self, source: u32) -> Range<Row> {
        self.by_source.remove(&source).unwrap_or(0..0)
    }

    pub fn has(&self, source: u32) -> bool {
        self.by_source.contains_key(&source)
    }

    pub fn is_live(&self, row: Row) -> bool {
        self.chunks.get(row as usize).is_some_and(|chunk| self.row(*chunk) == Some(row))
    }

    pub fn row(&self, chunk: ChunkId) -> Option<Row> {
        let rows = self.by_source.get(&chunk.source)?;
        rows.start.checked_add(chunk.ordinal).filter(|row| rows.contains(row))
    }

    /// The source of a row, as rows count sources.
    pub fn source_row(&self, row: Row) -> Option<Row> {
        self.source_rows.get(row as usize).copied()
    }

    pub fn chunk(&self, row: Row) -> ChunkId {
        self.chunks[row as usize]
    }
}
