//! Nearest vectors by cosine: an exact scan, or HNSW graphs (Malkov and Yashunin 2018) built by instant-distance.
//!
//! A built graph never changes, so vectors are loose at first and scanned; when there are many, they move into a
//! graph, whose building is a job for another thread. A removed vector leaves a hole in its graph. Small graphs and
//! those of many holes are merged by further jobs.

use crate::{
    DenseMode, DensePath, IndexError, SegmentOptions,
    chunk::Row,
    fuse::top,
    segment::{Built, Segment},
};

/// Live vectors from which graphs are built and, by default, searched. Below it a scan takes milliseconds, less than
/// embedding the query does: of 10,000 × 384 clustered vectors a query takes 3.3–5.0 ms as a scan, 8.3 ms through five
/// graphs of 2,000 and 2.0 ms through one of 10,000 (`ef` 64, recall@10 1.0; x86-64 with SSE2, one thread on two cores
/// under load, means of 100 queries).
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

/// Where a row's vector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Removed,
    Loose(usize),
    /// Segment and point.
    Graph(usize, u32),
}

/// The vectors of an index, by row.
pub(crate) struct Dense {
    n_dims: usize,
    places: Vec<Place>,
    /// `None` where it was merged into another or has no live vector left.
    segments: Vec<Option<Segment>>,
    /// Vectors in no graph and their rows, in no order.
    loose: Vec<f32>,
    loose_rows: Vec<Row>,
}

impl Dense {
    pub fn new(n_dims: usize) -> Self {
        Self { n_dims, places: Vec::new(), segments: Vec::new(), loose: Vec::new(), loose_rows: Vec::new() }
    }

    /// # Errors
    /// `index-dimension` and `index-not-unit`.
    pub fn check(&self, vector: &[f32]) -> Result<(), IndexError> {
        if vector.len() != self.n_dims {
            return Err(IndexError::Dimension { found: vector.len(), expected: self.n_dims });
        }
        check_unit(vector)
    }

    /// Adds the next row's vector, which [`Dense::check`] has passed.
    pub fn add(&mut self, vector: &[f32]) {
        self.places.push(Place::Loose(self.loose_rows.len()));
        self.loose_rows.push((self.places.len() - 1) as Row);
        self.loose.extend_from_slice(vector);
    }

    pub fn remove(&mut self, row: Row) {
        match std::mem::replace(&mut self.places[row as usize], Place::Removed) {
            Place::Removed => {}
            Place::Loose(slot) => self.drop_loose(slot),
            Place::Graph(segment, point) => self.leave(segment, point),
        }
    }

    /// The last loose vector takes the slot.
    fn drop_loose(&mut self, slot: usize) {
        let last = self.loose_rows.len() - 1;
        if slot != last {
            self.loose.copy_within(last * self.n_dims.., slot * self.n_dims);
            self.places[self.loose_rows[last] as usize] = Place::Loose(slot);
        }
        self.loose_rows.swap_remove(slot);
        self.loose.truncate(last * self.n_dims);
    }

    fn leave(&mut self, segment: usize, point: u32) {
        let Some(graph) = &mut self.segments[segment] else { return };
        graph.remove(point);
        if graph.n_live() == 0 {
            self.segments[segment] = None;
        }
    }

    /// Vectors not removed.
    pub fn n_live(&self) -> usize {
        self.loose_rows.len() + self.segments.iter().flatten().map(Segment::n_live).sum::<usize>()
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
        match *self.places.get(row as usize)? {
            Place::Removed => None,
            Place::Loose(slot) => self.loose.get(slot * self.n_dims..(slot + 1) * self.n_dims),
            Place::Graph(segment, point) => Some(self.segments[segment].as_ref()?.vector(point)),
        }
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
        let (mut n_graphs, mut n_scans) = (0, usize::from(!self.loose_rows.is_empty()));
        for segment in self.segments.iter().flatten() {
            if wants_graph && segment.n_live() * MIN_LIVE_SHARE >= segment.len() {
                n_graphs += 1;
                found.extend(segment.search(query).filter(|&(row, _)| is_allowed(row)));
            } else {
                n_scans += 1;
                let live = segment.iter().filter(|&(row, _)| is_allowed(row));
                found.extend(live.map(|(row, vector)| (row, dot(query, vector))));
            }
        }
        let loose = self.loose_rows.iter().zip(self.loose.chunks_exact(self.n_dims.max(1)));
        let loose = loose.filter(|&(&row, _)| is_allowed(row));
        found.extend(loose.map(|(&row, vector)| (row, dot(query, vector))));
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
        if self.loose_rows.len() >= options.segment_len {
            let mut rows = self.loose_rows[..options.segment_len].to_vec();
            rows.sort_unstable();
            return Some(rows);
        }
        let mut graphs: Vec<&Segment> = self.segments.iter().flatten().collect();
        graphs.sort_by_key(|graph| graph.n_live());
        let rows = |graphs: &[&Segment]| {
            let mut rows: Vec<Row> = graphs.iter().flat_map(|graph| graph.iter().map(|(row, _)| row)).collect();
            rows.sort_unstable();
            Some(rows)
        };
        if let Some(holed) = graphs.iter().find(|graph| graph.n_live() * MIN_LIVE_SHARE < graph.len()) {
            return rows(&[holed]);
        }
        match graphs[..] {
            [a, b, ..] if a.n_live() + b.n_live() <= options.max_segment_len => rows(&[a, b]),
            _ => None,
        }
    }

    /// Puts a built graph to use: the live ones among its rows move into it from wherever they were.
    ///
    /// # Errors
    /// `index-corrupt` when the graph does not fit its own points, or none of its rows is here.
    pub fn install(&mut self, built: &Built<'_>, rows: &[Option<Row>]) -> Result<(), IndexError> {
        let zeros = vec![0.0; self.n_dims];
        // A point whose row is gone is a hole; whatever stands there is passed through.
        let mut vectors: Vec<Box<[f32]>> = Vec::with_capacity(rows.len());
        for row in rows {
            vectors.push(row.and_then(|row| self.vector(row)).unwrap_or(&zeros).into());
        }
        let segment = Segment::new(built, rows, vectors)?;
        let number = self.segments.len();
        for (point, row) in rows.iter().enumerate().filter_map(|(point, row)| Some((point, (*row)?))) {
            let place = std::mem::replace(&mut self.places[row as usize], Place::Graph(number, point as u32));
            match place {
                Place::Removed => self.places[row as usize] = Place::Removed,
                Place::Loose(slot) => self.drop_loose(slot),
                Place::Graph(old, point) => self.leave(old, point),
            }
        }
        self.segments.push(Some(segment));
        Ok(())
    }
}
