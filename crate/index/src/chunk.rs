//! What chunks are called inside and outside of an index.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A chunk: which one of a source, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    pub source: u32,
    pub ordinal: u32,
}

/// The number of a chunk within one index while it is in memory.
pub(crate) type Row = u32;

/// Which rows belong to which source.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// In the order of the chunks.
    by_source: HashMap<u32, Vec<Row>>,
    /// By row; `None` where it belongs to no source.
    chunks: Vec<Option<ChunkId>>,
    /// Rows to be given again.
    free: Vec<Row>,
}

impl Rows {
    /// A row that belongs to no source yet.
    pub fn give(&mut self) -> Row {
        self.free.pop().unwrap_or_else(|| {
            self.chunks.push(None);
            (self.chunks.len() - 1) as Row
        })
    }

    /// Takes back rows that belong to no source, to be given again.
    pub fn take_back(&mut self, rows: Vec<Row>) {
        self.free.extend(rows);
    }

    /// Makes rows the chunks of a source that has none, in order.
    pub fn assign(&mut self, source: u32, rows: Vec<Row>) {
        for (ordinal, &row) in rows.iter().enumerate() {
            self.chunks[row as usize] = Some(ChunkId { source, ordinal: ordinal as u32 });
        }
        self.by_source.insert(source, rows);
    }

    /// The rows of a source, which is forgotten.
    pub fn remove(&mut self, source: u32) -> Vec<Row> {
        let rows = self.by_source.remove(&source).unwrap_or_default();
        rows.iter().for_each(|&row| self.chunks[row as usize] = None);
        rows
    }

    pub fn has(&self, source: u32) -> bool {
        self.by_source.contains_key(&source)
    }

    pub fn row(&self, chunk: ChunkId) -> Option<Row> {
        self.by_source.get(&chunk.source)?.get(chunk.ordinal as usize).copied()
    }

    pub fn chunk(&self, row: Row) -> Option<ChunkId> {
        *self.chunks.get(row as usize)?
    }

    /// How many rows there are, those of no source among them.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The rows of each source.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = &[Row]> {
        self.by_source.values().map(Vec::as_slice)
    }
}
