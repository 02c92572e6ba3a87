//! The index itself: both readings of the chunks under one roof.

use serde::{Deserialize, Serialize};

use crate::{
    ChunkId, IndexError, Language, SegmentOptions,
    analyse::{query_terms, terms},
    bm25::{Bm25, Scores, StoredBm25},
    dense::{Dense, GraphShape, Point, StoredDense, StoredSegment},
    format::{self, Kind},
    fuse::{Weights, diverse, top},
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
#[derive(Clone, Copy)]
pub struct SearchOptions<'a> {
    /// Hits wanted.
    pub k: usize,
    pub dense: DenseMode,
    /// Hits taken from each reading before they are fused; at least `k` are.
    pub n_candidates: usize,
    pub weights: Weights,
    /// From 0 to 1: how much a hit loses for being like one before it (maximal marginal relevance, Carbonell and
    /// Goldstein 1998). 0 ranks by score alone.
    pub diversity: f32,
    /// Only chunks that this lets through are ranked.
    pub filter: Option<&'a dyn Fn(ChunkId) -> bool>,
}

impl Default for SearchOptions<'_> {
    fn default() -> Self {
        Self {
            k: 10,
            dense: DenseMode::Auto,
            n_candidates: 100,
            weights: Weights::default(),
            diversity: 0.0,
            filter: None,
        }
    }
}

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub text: &'a str,
    /// Of unit length.
    pub vector: Option<&'a [f32]>,
    /// What was talked about before, for a question that only follows up; it counts for [`CONTEXT_WEIGHT`].
    pub context: Option<(&'a str, &'a [f32])>,
}

impl<'a> Query<'a> {
    /// A question that stands for itself.
    pub fn new(text: &'a str, vector: Option<&'a [f32]>) -> Self {
        Self { text, vector, context: None }
    }
}

/// Share of a chunk's score that is its score for what was talked about before.
///
/// MTRAG-UN's government pages, 101 follow-up questions whose context is the turn before, and SQuAD 2.0, 200 questions
/// whose context is another's question, first hits and hits among five:
///
/// | | follow-ups | after a change of topic |
/// |---|---|---|
/// | 0 | 0.79, 0.92 | 0.91, 0.99 |
/// | 0.2 | 0.86, 0.95 | 0.90, 0.99 |
/// | 0.3 | 0.88, 0.99 | 0.88, 0.99 |
/// | 0.4 | 0.90, 1.00 | 0.80, 0.96 |
const CONTEXT_WEIGHT: f32 = 0.3;

/// What a chunk is found by.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its text under the headings it stands below.
    pub text: &'a str,
    /// What it is called: its file's name, its document's title, its headings.
    pub names: &'a str,
    pub language: Language,
    /// Of unit length.
    pub vector: &'a [f32],
}

/// Hits, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub hits: Vec<RankedChunk>,
    pub dense_path: DensePath,
}

/// A hit. Every reading's score is given whichever found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedChunk {
    pub chunk: ChunkId,
    /// From 0 to 1, comparable between queries and collections; see [`Weights`].
    pub score: f32,
    /// Cosine, exact; `None` for a query without a vector.
    pub dense: Option<f32>,
    /// Of the chunk's text; 0 where no word is shared, `None` for a query without words.
    pub bm25: Option<f32>,
}

/// A searchable collection of chunks.
pub struct Index {
    model_hash: String,
    dense: Dense,
    text: Bm25,
    names: Bm25,
    /// Those of the chunks, each once.
    languages: Vec<Language>,
}

#[derive(Serialize, Deserialize)]
struct Stored<S> {
    model_hash: String,
    dense: StoredDense<S>,
    text: StoredBm25,
    names: StoredBm25,
    languages: Vec<Language>,
}

impl Index {
    /// An empty index for vectors of `n_dims` from the model with this hash.
    pub fn new(n_dims: usize, model_hash: &str) -> Self {
        Self {
            model_hash: model_hash.to_owned(),
            dense: Dense::new(n_dims),
            text: Bm25::default(),
            names: Bm25::default(),
            languages: Vec::new(),
        }
    }

    /// Adds a chunk.
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit`; the index is then unchanged.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<ChunkId, IndexError> {
        self.dense.check(entry.vector)?;
        let chunk = self.n_chunks() as ChunkId;
        self.dense.add(entry.vector);
        self.text.add(terms(entry.text, entry.language));
        self.names.add(terms(entry.names, entry.language));
        if !self.languages.contains(&entry.language) {
            self.languages.push(entry.language);
        }
        Ok(chunk)
    }

    /// Takes chunks out of every search. Ids that are unknown or gone already are passed over.
    pub fn remove(&mut self, ids: &[ChunkId]) {
        self.text.remove(ids);
        self.names.remove(ids);
    }

    /// Chunks not removed.
    pub fn len(&self) -> usize {
        self.text.n_live()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Chunks ever added: the next [`ChunkId`].
    pub fn n_chunks(&self) -> usize {
        self.text.n_chunks()
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

    /// Ranks chunks for a query.
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit` for a vector that does not fit.
    pub fn search(&self, query: Query<'_>, options: &SearchOptions<'_>) -> Result<Ranked, IndexError> {
        for vector in query.vector.iter().chain(query.context.iter().map(|(_, vector)| vector)) {
            self.dense.check(vector)?;
        }
        let weights = options.weights;
        let n_candidates = options.n_candidates.max(options.k);
        let is_allowed = |chunk| self.text.is_live(chunk) && options.filter.is_none_or(|filter| filter(chunk));
        let readings = Readings::new(self, query.text);
        let before = query.context.map(|(text, _)| Readings::new(self, text));
        let words = |chunk| match &before {
            None => readings.share(chunk, &weights),
            Some(before) => {
                (1.0 - CONTEXT_WEIGHT) * readings.share(chunk, &weights)
                    + CONTEXT_WEIGHT * before.share(chunk, &weights)
            }
        };
        // Cosines add up as vectors do.
        let mixed = query.vector.map(|vector| match query.context {
            None => vector.to_vec(),
            Some((_, before)) => {
                let mix = |(a, b): (&f32, &f32)| (1.0 - CONTEXT_WEIGHT) * a + CONTEXT_WEIGHT * b;
                vector.iter().zip(before).map(mix).collect()
            }
        });

        let mut dense_path = DensePath::None;
        let mut candidates: Vec<ChunkId> = Vec::new();
        if let Some(vector) = mixed.as_deref().filter(|_| weights.dense > 0.0) {
            let (found, path) = self.dense.search(vector, n_candidates, options.dense, self.len(), &is_allowed);
            candidates.extend(found.into_iter().map(|(chunk, _)| chunk));
            dense_path = path;
        }
        let n_chunks = self.n_chunks() as ChunkId;
        let worded = (0..n_chunks).map(|chunk| (chunk, words(chunk))).filter(|&(_, score)| score > 0.0);
        let worded = worded.filter(|&(chunk, _)| is_allowed(chunk)).collect();
        candidates.extend(top(worded, n_candidates).into_iter().map(|(chunk, _)| chunk));
        candidates.sort_unstable();
        candidates.dedup();

        let has_dense = dense_path != DensePath::None;
        let whole = weights.text + weights.names + if has_dense { weights.dense } else { 0.0 };
        let cosine = |vector: Option<&[f32]>, chunk| vector.and_then(|vector| self.dense.score(vector, chunk));
        let score = |chunk| {
            let near = cosine(mixed.as_deref(), chunk).unwrap_or(0.0).max(0.0);
            let dense = if has_dense { weights.dense * near } else { 0.0 };
            (dense + words(chunk)) / whole.max(f32::MIN_POSITIVE)
        };
        let scored = candidates.into_iter().map(|chunk| (chunk, score(chunk))).collect();
        let ranked = match options.diversity > 0.0 {
            true => diverse(top(scored, n_candidates), options.k, options.diversity, &|a, b| self.dense.likeness(a, b)),
            false => top(scored, options.k),
        };
        let hits = ranked.into_iter().map(|(chunk, score)| RankedChunk {
            chunk,
            score,
            dense: cosine(query.vector, chunk),
            bm25: readings.has_words.then(|| readings.text.by_chunk[chunk as usize]),
        });
        Ok(Ranked { hits: hits.collect(), dense_path })
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
        let stored = Stored {
            model_hash: self.model_hash.clone(),
            dense: self.dense.to_stored(),
            text: self.text.to_stored(),
            names: self.names.to_stored(),
            languages: self.languages.clone(),
        };
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
        let (text, names) = (Bm25::from_stored(stored.text)?, Bm25::from_stored(stored.names)?);
        if dense.n_chunks() != text.n_chunks() || text.n_chunks() != names.n_chunks() {
            return Err(IndexError::Corrupt { reason: "words and vectors do not fit" });
        }
        Ok(Self { model_hash: stored.model_hash, dense, text, names, languages: stored.languages })
    }
}

/// How much of a text every chunk holds, in its own text and in what it is called.
struct Readings {
    text: Scores,
    names: Scores,
    has_words: bool,
}

impl Readings {
    fn new(index: &Index, text: &str) -> Self {
        let terms = query_terms(text, &index.languages);
        Self { text: index.text.scores(&terms), names: index.names.scores(&terms), has_words: !terms.is_empty() }
    }

    fn share(&self, chunk: ChunkId, weights: &Weights) -> f32 {
        weights.text * self.text.share(chunk) + weights.names * self.names.share(chunk)
    }
}

#[cfg(test)]
mod tests;
