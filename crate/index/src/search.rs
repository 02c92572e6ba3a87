//! The index itself: both readings of the chunks under one roof.

use serde::{Deserialize, Serialize};

use crate::{
    ChunkId, IndexError, Language, SegmentJob, SegmentOptions,
    analyse::query_terms,
    bm25::{Bm25, Scores},
    chunk::{Row, Rows},
    dense::Dense,
    fuse::{Weights, diverse, top},
    segment::Built,
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
    /// Only chunks that this lets through are ranked. Their vectors are scanned: what a graph leads to may be none of
    /// them.
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
    /// Those of the chunks, each once.
    languages: Vec<Language>,
    /// Rows of removed chunks, which lists of words may still hold.
    dead: Vec<Row>,
    sweep: Option<Sweep>,
}

/// Lists of words on their way to hold no more of what was removed before it began.
struct Sweep {
    dead: Vec<Row>,
    /// Lists that are done.
    text: usize,
    names: usize,
}

/// Removed chunks are cleared away once they are one in this many.
const MAX_DEAD_SHARE: usize = 4;
/// Postings that are looked at in one go, in a page some 3 ms.
const SWEPT_AT_ONCE: usize = 500_000;

/// A source on its way into an index; one that is not finished leaves nothing behind.
pub struct Adding<'a> {
    index: &'a mut Index,
    source: u32,
    rows: Vec<Row>,
}

impl Adding<'_> {
    /// Adds the next chunk, in the time of its own words. It is found once the source is finished.
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit`; the source cannot be finished then.
    pub fn push(&mut self, entry: &Entry<'_>) -> Result<(), IndexError> {
        let index = &mut *self.index;
        index.dense.check(entry.vector)?;
        let row = index.rows.give();
        self.rows.push(row);
        index.dense.add(row, entry.vector);
        index.text.add(row, entry.text, entry.language);
        index.names.add(row, entry.names, entry.language);
        if !index.languages.contains(&entry.language) {
            index.languages.push(entry.language);
        }
        Ok(())
    }

    /// The chunks take the place of those that the source had.
    pub fn finish(mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.index.take_out(self.source);
        self.index.rows.assign(self.source, rows);
    }
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        self.index.bury(std::mem::take(&mut self.rows));
    }
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
            languages: Vec::new(),
            dead: Vec::new(),
            sweep: None,
        }
    }

    /// Adds the chunks of a source, in order; they take the place of those it had.
    ///
    /// # Errors
    /// `index-dimension` and `index-not-unit`; the index is then unchanged.
    pub fn add(&mut self, source: u32, entries: &[Entry<'_>]) -> Result<(), IndexError> {
        let mut adding = self.adding(source);
        entries.iter().try_for_each(|entry| adding.push(entry))?;
        adding.finish();
        while self.tidy() {}
        Ok(())
    }

    /// As [`Self::add`], chunk by chunk; [`Self::tidy`] is then to be called.
    pub fn adding(&mut self, source: u32) -> Adding<'_> {
        Adding { index: self, source, rows: Vec::new() }
    }

    /// Takes the chunks of a source out. One that is unknown is passed over.
    pub fn remove(&mut self, source: u32) {
        self.take_out(source);
        while self.tidy() {}
    }

    /// As [`Self::remove`], quickly; [`Self::tidy`] is then to be called.
    pub fn take_out(&mut self, source: u32) {
        let rows = self.rows.remove(source);
        self.bury(rows);
    }

    /// Takes out what rows hold that belong to no source.
    fn bury(&mut self, rows: Vec<Row>) {
        for &row in &rows {
            self.dense.remove(row);
            self.text.remove(row);
            self.names.remove(row);
        }
        self.dead.extend(rows);
    }

    /// Clears away a part of what removed chunks left in the lists of words, if they are many; whether there is more of
    /// it. Their rows are then given again.
    pub fn tidy(&mut self) -> bool {
        if self.sweep.is_none() && self.dead.len() * MAX_DEAD_SHARE > self.rows.len() {
            self.sweep = Some(Sweep { dead: std::mem::take(&mut self.dead), text: 0, names: 0 });
        }
        let Some(mut sweep) = self.sweep.take() else { return false };
        let mut budget = SWEPT_AT_ONCE;
        if self.text.sweep(&mut sweep.text, &mut budget) && self.names.sweep(&mut sweep.names, &mut budget) {
            self.text.forget_terms();
            self.names.forget_terms();
            self.rows.take_back(sweep.dead);
            return false;
        }
        self.sweep = Some(sweep);
        true
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

    /// The word of the chunks or of what they are called that `word` may be misspelt: one of five letters or more with
    /// one edit, of ten or more with two, the first letter alike. `None` for a word that is held itself, or by its stem.
    pub fn respelling(&self, word: &str) -> Option<&str> {
        let readings = [&self.text, &self.names];
        let [spellings] = &query_terms(word, &self.languages)[..] else { return None };
        if readings.iter().any(|reading| reading.holds(spellings)) {
            return None;
        }
        let word = word.to_lowercase();
        let near = readings.into_iter().filter_map(|reading| reading.nearest(&word));
        near.max_by(|a, b| a.rank().cmp(&b.rank())).map(|near| near.word)
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
            |row| self.rows.chunk(row).is_some_and(|chunk| options.filter.is_none_or(|filter| filter(chunk)));
        let readings = Readings::new(self, query.text, weights);
        let before = query.context.map(|(text, _)| Readings::new(self, text, weights));
        let words = |row| {
            let own = readings.share(row);
            let Some(before) = &before else { return own };
            (1.0 - CONTEXT_WEIGHT) * own + CONTEXT_WEIGHT * before.share(row)
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
            let mode = if options.filter.is_some() { DenseMode::Exact } else { options.dense };
            let (found, path) = self.dense.search(vector, n_candidates, mode, &is_allowed);
            candidates.extend(found.into_iter().map(|(row, _)| row));
            dense_path = path;
        }
        let worded = (0..self.rows.len() as Row).map(|row| (row, words(row))).filter(|&(_, score)| score > 0.0);
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
        let hits = ranked.into_iter().filter_map(|(row, score)| {
            let chunk = self.rows.chunk(row)?;
            let bm25 = readings.has_words.then(|| readings.text.each[row as usize]);
            Some(RankedChunk { chunk, score, dense: cosine(query.vector, row), bm25 })
        });
        Ok(Ranked { hits: hits.collect(), dense_path })
    }

    /// The vectors that should get a graph next, for [`crate::build_segment`]; `None` when there is nothing to build or
    /// to merge. The same job is given until its segment is installed.
    pub fn next_segment_job(&self, options: &SegmentOptions) -> Option<SegmentJob<'_>> {
        let rows = self.dense.next_segment(options)?;
        let points = rows.iter().filter_map(|&row| Some((self.rows.chunk(row)?, self.dense.vector(row)?)));
        let (chunks, vectors) = points.unzip();
        Some(SegmentJob::new(&self.model_hash, chunks, self.n_dims, options, vectors))
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
        let tag = built.tag.clone();
        self.dense.install(built, rows);
        Ok(Some(tag))
    }

    /// The tags of the graphs in use, as [`Self::install_segment`] gave them: of graphs that are stored, all others were
    /// merged into these or have no chunk left.
    pub fn segment_tags(&self) -> Vec<String> {
        self.dense.segment_tags()
    }
}

/// How much of a text every chunk holds, in its own text, in what it is called, and in its whole source.
struct Readings {
    weights: Weights,
    text: Scores,
    names: Scores,
    /// And the source of each row, where it counts.
    sources: Option<(Scores, Vec<usize>)>,
    has_words: bool,
}

impl Readings {
    fn new(index: &Index, text: &str, weights: Weights) -> Self {
        let terms = query_terms(text, &index.languages);
        Self {
            weights,
            text: index.text.scores(&terms),
            names: index.names.scores(&terms),
            sources: (weights.source > 0.0).then(|| index.text.source_scores(&terms, index.rows.sources())),
            has_words: !terms.is_empty(),
        }
    }

    fn share(&self, row: Row) -> f32 {
        let row = row as usize;
        let own = self.weights.text * self.text.share(row) + self.weights.names * self.names.share(row);
        let Some((sources, source_of)) = &self.sources else { return own };
        own + self.weights.source * sources.share(source_of[row])
    }
}

#[cfg(test)]
mod tests;
