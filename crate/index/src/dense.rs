//! Nearest vectors by cosine: an exact scan, or HNSW graphs (Malkov and Yashunin 2018) built by instant-distance.
//!
//! A built graph never changes, so vectors are loose at first and scanned; when there are many, they move into a
//! graph, whose building is a job for another thread. A removed vector leaves a hole in its graph. Small graphs and
//! those of many holes are merged by further jobs.

use std::rc::Rc;

use crate::{
    DenseMode, DensePath, IndexError, SegmentOptions,
    chunk::Row,
    fuse::top,
    segment::{Built, Segment},
};

/// Live vectors from which graphs are built and, by default, searched. Below it a scan takes milliseconds, less than
/// embedding the query does: of 10,000 × 384 a query takes 6.2 ms as a scan and 0.7 ms through a graph (128 candidates;
/// x86-64 with SSE2, one thread on two cores under load, means of 380 queries); in a page, with words, some 3 and 1.6.
pub const GRAPH_THRESHOLD: usize = 10_000;
/// A graph with fewer live vectors than one in this many is scanned: its search would spend its candidates on holes.
const MIN_LIVE_SHARE: usize = 2;
/// Rounding allowed in a unit vector's squared length.
const UNIT_TOLERANCE: f32 = 1e-2;

/// Inner product; over unit vectors the cosine.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// # Errors
/// `index-not-unit` for a vector that is not finite or not of length 1.
pub(crate) fn check_unit(vector: &[f32]) -> Result<(), IndexError> {
    let squared = dot(vector, vector);
    if !squared.is_finite() {
        return Err(IndexError::NotUnit { what: "it holds a number that is not finite" });
    }
    if (squared - 1.0).abs() > UNIT_TOLERANCE {
        return Err(IndexError::NotUnit { what: "its length is not 1" });
    }
    Ok(())
}

/// Where a row's vector is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Loose(usize),
    /// Segment and point.
    Graph(usize, u32),
}

/// The vectors of an index, by row.
pub(crate) struct Dense {
    n_dims: usize,
    vectors: Vec<Option<Rc<[f32]>>>,
    places: Vec<Place>,
    /// `None` where it was merged into another or has no live vector left.
    segments: Vec<Option<Segment>>,
    /// Rows in no graph, in no order.
    loose: Vec<Row>,
    n_live: usize,
}

impl Dense {
    pub fn new(n_dims: usize) -> Self {
        Self { n_dims, vectors: Vec::new(), places: Vec::new(), segments: Vec::new(), loose: Vec::new(), n_live: 0 }
    }

    /// # Errors
    /// `index-dimension` and `index-not-unit`.
    pub fn check(&self, vector: &[f32]) -> Result<(), IndexError> {
        if vector.len() != self.n_dims {
            return Err(IndexError::Dimension { found: vector.len(), expected: self.n_dims });
        }
        check_unit(vector)
    }

    /// Adds the vector, which [`Dense::check`] has passed, of a row that has none.
    pub fn add(&mut self, row: Row, vector: &[f32]) {
        let at = row as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, Place::Nowhere);
            self.vectors.resize(at + 1, None);
        }
        self.vectors[at] = Some(vector.into());
        self.places[at] = Place::Loose(self.loose.len());
        self.loose.push(row);
        self.n_live += 1;
    }

    pub fn remove(&mut self, row: Row) {
        if self.vectors.get_mut(row as usize).and_then(Option::take).is_some() {
            self.n_live -= 1;
            self.leave(row, Place::Nowhere);
        }
    }

    /// Takes a row out of where it is.
    fn leave(&mut self, row: Row, next: Place) {
        match std::mem::replace(&mut self.places[row as usize], next) {
            Place::Nowhere => {}
            Place::Loose(slot) => {
                self.loose.swap_remove(slot);
                if let Some(&moved) = self.loose.get(slot) {
                    self.places[moved as usize] = Place::Loose(slot);
                }
            }
            Place::Graph(number, point) => {
                let Some(segment) = &mut self.segments[number] else { return };
                segment.remove(point);
                if segment.n_live() == 0 {
                    self.segments[number] = None;
                }
            }
        }
    }

    /// Vectors not removed.
    pub fn n_live(&self) -> usize {
        self.n_live
    }

    /// The cosine of `query` with one row's vector.
    pub fn score(&self, query: &[f32], row: Row) -> Option<f32> {
        Some(dot(query, self.vector(row)?))
    }

    /// The cosine of two rows.
    pub fn likeness(&self, a: Row, b: Row) -> f32 {
        self.vector(a).zip(self.vector(b)).map_or(0.0, |(a, b)| dot(a, b))
    }

    pub fn vector(&self, row: Row) -> Option<&[f32]> {
        self.vectors.get(row as usize)?.as_deref()
    }

    /// Those of the graphs in use.
    pub fn segment_tags(&self) -> Vec<String> {
        self.segments.iter().flatten().map(|segment| segment.tag.clone()).collect()
    }

    /// The `n` nearest rows that `is_allowed` lets through, best first, and how they were found.
    pub fn search(
        &self,
        query: &[f32],
        n: usize,
        mode: DenseMode,
        is_allowed: &dyn Fn(Row) -> bool,
    ) -> (Vec<(Row, f32)>, DensePath) {
        let wants_graph = match mode {
            DenseMode::Exact => false,
            DenseMode::Graph => true,
            DenseMode::Auto => self.n_live() >= GRAPH_THRESHOLD,
        };
        let mut found = Vec::new();
        let (mut n_graphs, mut n_scans) = (0, usize::from(!self.loose.is_empty()));
        let scan = |row: Row| is_allowed(row).then(|| self.score(query, row)).flatten().map(|score| (row, score));
        for segment in self.segments.iter().flatten() {
            if wants_graph && segment.n_live() * MIN_LIVE_SHARE >= segment.len() {
                n_graphs += 1;
                found.extend(segment.search(query).filter(|&(row, _)| is_allowed(row)));
            } else {
                n_scans += 1;
                found.extend(segment.rows().filter_map(scan));
            }
        }
        found.extend(self.loose.iter().copied().filter_map(scan));
        let path = match (n_graphs, n_scans) {
            (0, _) => DensePath::Exact,
            (_, 0) => DensePath::Graph,
            _ => DensePath::Mixed,
        };
        (top(found, n), path)
    }

    /// The rows that should become one graph next, if any should: loose ones where there are enough, else those of
    /// graphs that are small or have many holes.
    pub fn next_segment(&self, options: &SegmentOptions) -> Option<Vec<Row>> {
        if self.n_live() < options.min_chunks {
            return None;
        }
        let sorted = |mut rows: Vec<Row>| {
            rows.sort_unstable();
            Some(rows)
        };
        if self.loose.len() >= options.segment_len {
            let n = self.loose.len().min(options.max_segment_len);
            return sorted(self.loose[..n].to_vec());
        }
        let mut graphs: Vec<&Segment> = self.segments.iter().flatten().collect();
        graphs.sort_by_key(|graph| graph.n_live());
        if let Some(holed) = graphs.iter().find(|graph| graph.n_live() * MIN_LIVE_SHARE < graph.len()) {
            return sorted(holed.rows().collect());
        }
        match graphs[..] {
            [a, b, ..] if a.n_live() + b.n_live() <= options.max_segment_len => {
                sorted(a.rows().chain(b.rows()).collect())
            }
            _ => None,
        }
    }

    /// Puts a built graph to use: its rows, by point, move into it from wherever they were.
    pub fn install(&mut self, built: Built, rows: Vec<Option<Row>>) {
        // A point whose row is gone is a hole; whatever stands there is passed through.
        let gone: Rc<[f32]> = vec![0.0; self.n_dims].into();
        let vector = |row: &Option<Row>| row.and_then(|row| self.vectors[row as usize].clone());
        let vectors = rows.iter().map(|row| vector(row).unwrap_or_else(|| gone.clone())).collect();
        let number = self.segments.iter().position(Option::is_none).unwrap_or(self.segments.len());
        // Its place is taken before old graphs are given up.
        for (point, row) in rows.iter().enumerate().filter_map(|(point, row)| Some((point, (*row)?))) {
            self.leave(row, Place::Graph(number, point as u32));
        }
        let segment = Some(Segment::new(built, rows, vectors));
        match self.segments.get_mut(number) {
            Some(place) => *place = segment,
            None => self.segments.push(segment),
        }
    }
}
