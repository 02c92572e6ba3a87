//! The index itself: both readings of the chunks under one roof.

use serde::{Deserialize, Serialize};

use crate::{
    ChunkId, IndexError, SegmentOptions,
    bm25::{Bm25, StoredBm25},
    dense::{Dense, GraphShape, Point, StoredDense, StoredSegment},
    format::{self, Kind},
    fuse::{reciprocal_rank, top},
};

/// Which way vectors are searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenseMode {
    /// Graphs from [`crate::GRAPH_THRESHOLD`] live chunks on, a scan below.
    #[default]
    Auto,
    /// Scan every vector.
    Exact,
    /// Every graph there is; the rest is scanned.
    Graph,
}

/// Which way vectors were searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DensePath {
    None,
    Exact,
    Graph,
    /// Graphs for a part, a scan for the rest.
    Mixed,
}

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchOptions {
    /// Hits wanted.
    pub k: usize,
    pub dense: DenseMode,
    /// Hits taken from each ranking before they are fused; at least `k` are.
    pub n_candidates: usize,
    /// The constant of reciprocal rank fusion.
    pub rrf_k: f32,
    /// Rank by vectors, where the query has one.
    pub use_dense: bool,
    /// Rank by words.
    pub use_bm25: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { k: 10, dense: DenseMode::Auto, n_candidates: 100, rrf_k: 60.0, use_dense: true, use_bm25: true }
    }
}

/// Hits, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub hits: Vec<RankedChunk>,
    pub dense_path: DensePath,
}

/// A hit. Both readings' scores are given whichever found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedChunk {
    pub chunk: ChunkId,
    /// Fused by reciprocal rank.
    pub score: f32,
    /// Cosine, exact; `None` for a query without a vector.
    pub dense: Option<f32>,
    /// 0 where no word is shared; `None` for a query without words.
    pub bm25: Option<f32>,
}

/// A searchable collection of chunks.
pub struct Index {
    model_hash: String,
    dense: Dense,
    bm25: Bm25,
}

#[derive(Serialize, Deserialize)]
struct Stored<S> {
    model_hash: String,
    dense: StoredDense<S>,
    bm25: StoredBm25,
}

impl Index {
    /// An empty index for vectors of `n_dims` from the model with this hash.
    pub fn new(n_dims: usize, model_hash: &str) -> Self {
        Self { model_hash: model_hash.to_owned(), dense: Dense::new(n_dims), bm25: Bm25::default() }
    }

    /// Adds a chunk: its text for BM25, and its vector (of unit length).
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit`; the index is then unchanged.
    pub fn add(&mut self, text: &str, vector: &[f32]) -> Result<ChunkId, IndexError> {
        self.dense.check(vector)?;
        let chunk = self.bm25.n_chunks() as ChunkId;
        self.dense.add(vector);
        self.bm25.add(text);
        Ok(chunk)
    }

    /// Takes chunks out of every search. Ids that are unknown or gone already are passed over.
    pub fn remove(&mut self, ids: &[ChunkId]) {
        self.bm25.remove(ids);
    }

    /// Chunks not removed.
    pub fn len(&self) -> usize {
        self.bm25.n_live()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Chunks ever added: the next [`ChunkId`].
    pub fn n_chunks(&self) -> usize {
        self.bm25.n_chunks()
    }

    /// The hash of the model the vectors came from.
    pub fn model_hash(&self) -> &str {
        &self.model_hash
    }

    /// # Errors
    /// `index-model-mismatch` when the vectors came from another model.
    pub fn check_model(&self, model_hash: &str) -> Result<(), IndexError> {
        if self.model_hash == model_hash {
            return Ok(());
        }
        Err(IndexError::ModelMismatch { found: self.model_hash.clone(), expected: model_hash.to_owned() })
    }

    /// Ranks chunks for a query given as text, as a unit vector, or both.
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit` for a vector that does not fit.
    pub fn search(&self, text: &str, vector: Option<&[f32]>, options: &SearchOptions) -> Result<Ranked, IndexError> {
        if let Some(vector) = vector {
            self.dense.check(vector)?;
        }
        let n_candidates = options.n_candidates.max(options.k);
        let mut dense_path = DensePath::None;
        let mut rankings: Vec<Vec<ChunkId>> = Vec::new();
        if let (Some(vector), true) = (vector, options.use_dense) {
            let is_live = |chunk| self.bm25.is_live(chunk);
            let (found, path) = self.dense.search(vector, n_candidates, options.dense, self.len(), &is_live);
            rankings.push(found.into_iter().map(|(chunk, _)| chunk).collect());
            dense_path = path;
        }
        if options.use_bm25 {
            let found = top(self.bm25.scores(text), n_candidates);
            rankings.push(found.into_iter().map(|(chunk, _)| chunk).collect());
        }
        let rankings: Vec<&[ChunkId]> = rankings.iter().map(Vec::as_slice).collect();
        let has_words = text.contains(char::is_alphanumeric);
        let hits = reciprocal_rank(&rankings, options.rrf_k)
            .into_iter()
            .take(options.k)
            .map(|(chunk, score)| RankedChunk {
                chunk,
                score,
                dense: vector.and_then(|vector| self.dense.score(vector, chunk)),
                bm25: has_words.then(|| self.bm25.score(text, chunk)),
            })
            .collect();
        Ok(Ranked { hits, dense_path })
    }

    /// The vectors that should get a graph next, for [`crate::build_segment`]; `None` below
    /// `min_chunks` live chunks and when less than a segment is loose. The same job is given until
    /// its segment is installed.
    pub fn next_segment_job(&self, options: &SegmentOptions) -> Option<Vec<u8>> {
        if self.len() < options.min_chunks {
            return None;
        }
        self.dense.next_segment_job(options)
    }

    /// Puts a built graph to use. One that is installed already is passed over.
    ///
    /// # Errors
    /// `index-corrupt` and `index-version`; also for a graph of other vectors than this index holds.
    /// The index is then unchanged.
    pub fn install_segment(&mut self, built: &[u8]) -> Result<(), IndexError> {
        self.dense.install_segment(built)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let stored =
            Stored { model_hash: self.model_hash.clone(), dense: self.dense.to_stored(), bm25: self.bm25.to_stored() };
        format::encode(Kind::Index, &stored)
    }

    /// # Errors
    /// `index-corrupt` and `index-version`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        // Read twice: a graph is looked at before instant-distance, which trusts what it reads, may.
        let shape: Stored<StoredSegment<GraphShape>> = format::decode(Kind::Index, bytes)?;
        shape.dense.check()?;
        drop(shape);
        let stored: Stored<StoredSegment<instant_distance::Hnsw<Point>>> = format::decode(Kind::Index, bytes)?;
        let dense = Dense::from_stored(stored.dense);
        let bm25 = Bm25::from_stored(stored.bm25)?;
        if dense.n_chunks() != bm25.n_chunks() {
            return Err(IndexError::Corrupt { reason: "words and vectors do not fit" });
        }
        Ok(Self { model_hash: stored.model_hash, dense, bm25 })
    }
}

#[cfg(test)]
mod tests;
