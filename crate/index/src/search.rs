//! The index itself: both readings of the chunks under one roof.

use serde::{Deserialize, Serialize};

use crate::{
    ChunkId, IndexError, Language, SegmentOptions,
    analyse::{query_terms, terms},
    bm25::{Bm25, Scores},
    chunk::{Row, Rows},
    dense::Dense,
    fuse::{Weights, diverse, top},
    segment::{self, Built},
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
/// A graph is taken where at least so many of so many of its chunks are here: points that stand for nothing lead nowhere.
const MIN_INSTALLED_SHARE: (usize, usize) = (3, 4);

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
    rows: Rows,
    n_dims: usize,
    dense: Dense,
    text: Bm25,
    names: Bm25,
    /// By source instead of by chunk.
    sources: Bm25,
    /// Those of the chunks, each once.
    languages: Vec<Language>,
}

impl Index {
    /// An empty index for vectors of `n_dims` from the model with this hash.
    pub fn new(n_dims: usize, model_hash: &str) -> Self {
        Self {
            model_hash: model_hash.to_owned(),
            rows: Rows::default(),
            n_dims,
            dense: Dense::new(n_dims),
            text: Bm25::default(),
            names: Bm25::default(),
            sources: Bm25::default(),
            languages: Vec::new(),
        }
    }

    /// Adds the chunks of a source, in order; they take the place of those it had.
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit`; the index is then unchanged.
    pub fn add(&mut self, source: u32, entries: &[Entry<'_>]) -> Result<(), IndexError> {
        entries.iter().try_for_each(|entry| self.dense.check(entry.vector))?;
        self.remove(source);
        self.rows.add(source, entries.len());
        let mut whole = Vec::new();
        for entry in entries {
            self.dense.add(entry.vector);
            let text = terms(entry.text, entry.language);
            whole.extend_from_slice(&text);
            self.text.add(text);
            self.names.add(terms(entry.names, entry.language));
            if !self.languages.contains(&entry.language) {
                self.languages.push(entry.language);
            }
        }
        self.sources.add(whole);
        Ok(())
    }

    /// Takes the chunks of a source out. One that is unknown is passed over.
    pub fn remove(&mut self, source: u32) {
        let rows = self.rows.remove(source);
        rows.clone().for_each(|row| self.dense.remove(row));
        self.sources.remove(self.rows.source_row(rows.start).filter(|_| !rows.is_empty()));
        self.text.remove(rows.clone());
        self.names.remove(rows);
    }

    pub fn has(&self, source: u32) -> bool {
        self.rows.has(source)
    }

    /// Chunks of all sources.
    pub fn len(&self) -> usize {
        self.dense.n_live()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// The vector of a chunk.
    pub fn vector(&self, chunk: ChunkId) -> Option<&[f32]> {
        self.dense.vector(self.rows.row(chunk)?)
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
        let is_allowed =
            |row| self.rows.is_live(row) && options.filter.is_none_or(|filter| filter(self.rows.chunk(row)));
        let readings = Readings::new(self, query.text);
        let before = query.context.map(|(text, _)| Readings::new(self, text));
        let words = |row| {
            let own = readings.share(row, self.rows.source_row(row), &weights);
            let Some(before) = &before else { return own };
            (1.0 - CONTEXT_WEIGHT) * own + CONTEXT_WEIGHT * before.share(row, self.rows.source_row(row), &weights)
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
        let mut candidates: Vec<Row> = Vec::new();
        if let Some(vector) = mixed.as_deref().filter(|_| weights.dense > 0.0) {
            let (found, path) = self.dense.search(vector, n_candidates, options.dense, &is_allowed);
            candidates.extend(found.into_iter().map(|(row, _)| row));
            dense_path = path;
        }
        let worded = readings.rows().map(|row| (row, words(row))).filter(|&(_, score)| score > 0.0);
        let worded = worded.filter(|&(row, _)| is_allowed(row)).collect();
        candidates.extend(top(worded, n_candidates).into_iter().map(|(row, _)| row));
        candidates.sort_unstable();
        candidates.dedup();

        let has_dense = dense_path != DensePath::None;
        let whole = weights.text + weights.names + weights.source + if has_dense { weights.dense } else { 0.0 };
        let cosine = |vector: Option<&[f32]>, row| vector.and_then(|vector| self.dense.score(vector, row));
        let score = |row| {
            let near = cosine(mixed.as_deref(), row).unwrap_or(0.0).max(0.0);
            let dense = if has_dense { weights.dense * near } else { 0.0 };
            (dense + words(row)) / whole.max(f32::MIN_POSITIVE)
        };
        let scored = candidates.into_iter().map(|row| (row, score(row))).collect();
        let ranked = match options.diversity > 0.0 {
            true => diverse(top(scored, n_candidates), options.k, options.diversity, &|a, b| self.dense.likeness(a, b)),
            false => top(scored, options.k),
        };
        let hits = ranked.into_iter().map(|(row, score)| RankedChunk {
            chunk: self.rows.chunk(row),
            score,
            dense: cosine(query.vector, row),
            bm25: readings.has_words.then(|| readings.text.by_row[row as usize]),
        });
        Ok(Ranked { hits: hits.collect(), dense_path })
    }

    /// The vectors that should get a graph next, for [`crate::build_segment`]; `None` when there is nothing to build or
    /// to merge. The same job is given until its segment is installed.
    pub fn next_segment_job(&self, options: &SegmentOptions) -> Option<Vec<u8>> {
        let rows = self.dense.next_segment(options)?;
        let chunks = rows.iter().map(|&row| self.rows.chunk(row)).collect();
        Some(segment::job(
            &self.model_hash,
            chunks,
            self.n_dims,
            options,
            rows.iter().filter_map(|&row| self.dense.vector(row)),
        ))
    }

    /// Puts a built graph to use, as far as its chunks are still here, and gives its tag; `None` where they are too few
    /// of them, and the graph is not taken.
    ///
    /// # Errors
    /// `index-corrupt` and `index-version`; `index-model-mismatch` for a graph over another model's vectors. The index is
    /// then unchanged.
    pub fn install_segment(&mut self, built: &[u8]) -> Result<Option<String>, IndexError> {
        let built = Built::parse(built)?;
        if built.model_hash != self.model_hash {
            let (found, expected) = (built.model_hash, self.model_hash.clone());
            return Err(IndexError::ModelMismatch { found, expected });
        }
        let rows: Vec<Option<Row>> = built.chunks.iter().map(|&chunk| self.rows.row(chunk)).collect();
        if rows.iter().flatten().count() * MIN_INSTALLED_SHARE.1 < rows.len() * MIN_INSTALLED_SHARE.0 {
            return Ok(None);
        }
        self.dense.install(&built, &rows)?;
        Ok(Some(built.tag()))
    }

    /// The tags of the graphs in use, as [`Self::install_segment`] gave them: of graphs that are stored, all others were
    /// merged into these or have no chunk left.
    pub fn segment_tags(&self) -> Vec<String> {
        self.dense.segment_tags()
    }
}

/// How much of a text every chunk holds, in its own text and in what it is called.
struct Readings {
    text: Scores,
    names: Scores,
    sources: Scores,
    has_words: bool,
}

impl Readings {
    fn new(index: &Index, text: &str) -> Self {
        let terms = query_terms(text, &index.languages);
        Self {
            text: index.text.scores(&terms),
            names: index.names.scores(&terms),
            sources: index.sources.scores(&terms),
            has_words: !terms.is_empty(),
        }
    }

    fn share(&self, row: Row, source: Option<Row>, weights: &Weights) -> f32 {
        let source = source.map_or(0.0, |source| self.sources.share(source));
        weights.text * self.text.share(row) + weights.names * self.names.share(row) + weights.source * source
    }

    /// All rows there ever were.
    fn rows(&self) -> std::ops::Range<Row> {
        0..self.text.by_row.len() as Row
    }
}

#[cfg(test)]
mod tests;
