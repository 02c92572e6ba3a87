//! Nearest vectors by cosine: an exact scan, or HNSW graphs (Malkov and Yashunin 2018) of a fixed
//! number of vectors each, built by instant-distance.
//!
//! A built graph never changes, so vectors are gathered into segments: chunks `0..SEGMENT_LEN` are
//! the first, and so on. Vectors after the last built segment are loose and always scanned.

use instant_distance::{Builder, Hnsw, PointId, Search};
use serde::{Deserialize, Serialize};

use crate::{
    ChunkId, DenseMode, DensePath, IndexError,
    format::{self, Kind},
    fuse::top,
};

/// Vectors in one graph. Every graph is searched for every query, so few large ones win: over
/// 10,000 × 384 clustered vectors a query takes 3.3–5.0 ms as an exact scan, 8.3 ms through five graphs
/// of 2,000 and 2.0 ms through one of 10,000, whose build takes 17 s against 5 s (`ef` 64, recall@10
/// 1.0; x86-64 with SSE2, one thread on two cores under load, means of 100 queries).
pub const SEGMENT_LEN: usize = 10_000;
/// Live chunks from which graphs are built and, by default, searched: below it a scan takes
/// milliseconds (see [`SEGMENT_LEN`]), less than embedding the query does.
pub const GRAPH_THRESHOLD: usize = 10_000;
/// A segment with fewer live chunks than one in this many is scanned: its graph would spend its
/// candidates on removed ones.
const MIN_LIVE_SHARE: usize = 2;
/// Makes a graph the same wherever it is built.
const SEED: u64 = 0x4C65_6374_6572_6E31;
/// Bound on what a job may ask for.
const MAX_EF: usize = 4_096;
/// Rounding allowed in a unit vector's squared length.
const UNIT_TOLERANCE: f32 = 1e-2;

/// How a graph is built. instant-distance fixes `ef_search` with the graph, so it is set here and
/// not with each search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Vectors in one graph.
    pub segment_len: usize,
    /// Live chunks below which no graph is built.
    pub min_chunks: usize,
    /// Candidates kept while searching; also the most hits one segment can give.
    pub ef_search: usize,
    /// Candidates kept while inserting.
    pub ef_construction: usize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { segment_len: SEGMENT_LEN, min_chunks: GRAPH_THRESHOLD, ef_search: 64, ef_construction: 64 }
    }
}

/// A vector as a graph sees it: unit length, at distance `1 - cosine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point(Vec<f32>);

impl instant_distance::Point for Point {
    fn distance(&self, other: &Self) -> f32 {
        1.0 - dot(&self.0, &other.0)
    }
}

/// Inner product; over unit vectors the cosine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
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

#[derive(Serialize, Deserialize)]
struct SegmentJob {
    first: ChunkId,
    n_dims: usize,
    ef_search: usize,
    ef_construction: usize,
    vectors: Vec<f32>,
}

/// A graph over chunks `first..first + offsets.len()`; `G` is the graph, or its shape to be checked.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSegment<G> {
    first: ChunkId,
    /// By point of the graph: its chunk, counted from `first`.
    offsets: Vec<u32>,
    graph: G,
}

/// The wire format of `Hnsw<Point>`, to be looked at before the library trusts it: it indexes by
/// what it reads.
#[derive(Deserialize)]
pub(crate) struct GraphShape {
    ef_search: usize,
    points: Vec<Point>,
    /// 64 neighbours a point, `u32::MAX` where there are fewer.
    zero: Vec<([u32; 32], [u32; 32])>,
    layers: Vec<Vec<[u32; 32]>>,
}

impl StoredSegment<GraphShape> {
    /// Whether every reference within the graph leads somewhere.
    fn check(&self, n_dims: usize) -> Result<(), IndexError> {
        let n_points = self.offsets.len();
        let graph = &self.graph;
        let mut is_seen = vec![false; n_points];
        let is_permutation = self
            .offsets
            .iter()
            .all(|&offset| is_seen.get_mut(offset as usize).is_some_and(|seen| !std::mem::replace(seen, true)));
        let leads = |ids: &[u32], n: usize| ids.iter().all(|&id| id == u32::MAX || (id as usize) < n);
        let sound = n_points > 0
            && is_permutation
            && (1..=MAX_EF).contains(&graph.ef_search)
            && graph.points.len() == n_points
            && graph.zero.len() == n_points
            && graph.points.iter().all(|point| point.0.len() == n_dims && check_unit(&point.0).is_ok())
            && graph.zero.iter().all(|(a, b)| leads(a, n_points) && leads(b, n_points))
            && graph.layers.is_sorted_by_key(|layer| std::cmp::Reverse(layer.len()))
            && graph
                .layers
                .iter()
                .all(|layer| (1..=n_points).contains(&layer.len()) && layer.iter().all(|ids| leads(ids, layer.len())));
        if sound { Ok(()) } else { Err(IndexError::Corrupt { reason: "a graph does not fit" }) }
    }
}

/// Builds a graph from what [`crate::Index::next_segment_job`] gave, for
/// [`crate::Index::install_segment`]. Long (a second or more) and pure: run it where nobody waits.
/// The same job gives the same bytes.
///
/// # Errors
/// `index-corrupt` or `index-version` when `job` is no job of this version.
pub fn build_segment(job: &[u8]) -> Result<Vec<u8>, IndexError> {
    let job: SegmentJob = format::decode(Kind::SegmentJob, job)?;
    let is_sound = job.n_dims > 0
        && !job.vectors.is_empty()
        && job.vectors.len().is_multiple_of(job.n_dims)
        && (1..=MAX_EF).contains(&job.ef_search)
        && (1..=MAX_EF).contains(&job.ef_construction)
        && job.vectors.chunks_exact(job.n_dims).all(|vector| check_unit(vector).is_ok());
    if !is_sound {
        return Err(IndexError::Corrupt { reason: "a segment job does not fit" });
    }
    let points: Vec<Point> = job.vectors.chunks_exact(job.n_dims).map(|v| Point(v.to_vec())).collect();
    let build = || {
        Builder::default()
            .seed(SEED)
            // Neighbour selection by heuristic costs 10 × the build time and gained no recall.
            .select_heuristic(None)
            .ef_search(job.ef_search)
            .ef_construction(job.ef_construction)
            .build_hnsw(points)
    };
    // Threads insert in an order of their own: with one of them the graph is always the same. Where
    // there are no threads at all, as in a page, rayon runs everything in place.
    let (graph, point_ids) = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(build),
        Err(_) => build(),
    };
    let mut offsets = vec![0; point_ids.len()];
    for (offset, point) in point_ids.into_iter().enumerate() {
        offsets[point.into_inner() as usize] = offset as u32;
    }
    Ok(format::encode(Kind::Segment, &StoredSegment { first: job.first, offsets, graph }))
}

/// # Errors
/// `index-not-unit` for a vector that is not finite or not of length 1.
fn check_unit(vector: &[f32]) -> Result<(), IndexError> {
    let squared = dot(vector, vector);
    if !squared.is_finite() {
        return Err(IndexError::NotUnit { what: "it holds a number that is not finite" });
    }
    if (squared - 1.0).abs() > UNIT_TOLERANCE {
        return Err(IndexError::NotUnit { what: "its length is not 1" });
    }
    Ok(())
}

struct Segment {
    first: ChunkId,
    graph: Hnsw<Point>,
    /// By point: its chunk, counted from `first`.
    offsets: Vec<u32>,
    /// The inverse of `offsets`.
    points: Vec<PointId>,
}

impl Segment {
    fn new(stored: StoredSegment<Hnsw<Point>>) -> Self {
        let mut points = vec![PointId::default(); stored.offsets.len()];
        for (point, _) in stored.graph.iter() {
            points[stored.offsets[point.into_inner() as usize] as usize] = point;
        }
        Self { first: stored.first, graph: stored.graph, offsets: stored.offsets, points }
    }

    fn vector(&self, offset: usize) -> &[f32] {
        &self.graph[self.points[offset]].0
    }
}

/// The vectors of an index, by chunk.
pub(crate) struct Dense {
    n_dims: usize,
    /// One after the other from chunk 0.
    segments: Vec<Segment>,
    /// Vectors after the last segment, end to end.
    loose: Vec<f32>,
}

/// What is stored of a [`Dense`].
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredDense<S> {
    n_dims: usize,
    segments: Vec<S>,
    loose: Vec<f32>,
}

impl Dense {
    pub fn new(n_dims: usize) -> Self {
        Self { n_dims, segments: Vec::new(), loose: Vec::new() }
    }

    /// # Errors
    /// `index-dimension` and `index-not-unit`.
    pub fn check(&self, vector: &[f32]) -> Result<(), IndexError> {
        if vector.len() != self.n_dims {
            return Err(IndexError::Dimension { found: vector.len(), expected: self.n_dims });
        }
        check_unit(vector)
    }

    /// Adds the next chunk's vector, which [`Dense::check`] has passed.
    pub fn add(&mut self, vector: &[f32]) {
        self.loose.extend_from_slice(vector);
    }

    /// Chunks that segments hold.
    fn n_segmented(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.first as usize + segment.offsets.len())
    }

    fn n_loose(&self) -> usize {
        self.loose.len().checked_div(self.n_dims).unwrap_or(0)
    }

    pub fn n_chunks(&self) -> usize {
        self.n_segmented() + self.n_loose()
    }

    /// The cosine of `query` with one chunk's vector.
    pub fn score(&self, query: &[f32], chunk: ChunkId) -> Option<f32> {
        Some(dot(query, self.vector(chunk)?))
    }

    /// The cosine of two chunks.
    pub fn likeness(&self, a: ChunkId, b: ChunkId) -> f32 {
        self.vector(a).zip(self.vector(b)).map_or(0.0, |(a, b)| dot(a, b))
    }

    fn vector(&self, chunk: ChunkId) -> Option<&[f32]> {
        let n_segmented = self.n_segmented();
        if let Some(i) = (chunk as usize).checked_sub(n_segmented) {
            return self.loose.chunks_exact(self.n_dims.max(1)).nth(i);
        }
        let after = self.segments.partition_point(|segment| segment.first <= chunk);
        let segment = &self.segments[after.checked_sub(1)?];
        Some(segment.vector((chunk - segment.first) as usize))
    }

    /// The `n` nearest chunks that `is_live` lets through, best first, and how they were found.
    pub fn search(
        &self,
        query: &[f32],
        n: usize,
        mode: DenseMode,
        n_live: usize,
        is_live: &dyn Fn(ChunkId) -> bool,
    ) -> (Vec<(ChunkId, f32)>, DensePath) {
        let wants_graph = match mode {
            DenseMode::Exact => false,
            DenseMode::Graph => true,
            DenseMode::Auto => n_live >= GRAPH_THRESHOLD,
        };
        let mut found = Vec::new();
        let (mut n_graphs, mut n_scans) = (0, usize::from(!self.loose.is_empty()));
        let mut search = Search::default();
        let point = Point(query.to_vec());
        for segment in &self.segments {
            let chunks = segment.first..segment.first + segment.offsets.len() as ChunkId;
            let n_live = chunks.clone().filter(|&chunk| is_live(chunk)).count();
            if wants_graph && n_live * MIN_LIVE_SHARE >= segment.offsets.len() {
                n_graphs += 1;
                found.extend(segment.graph.search(&point, &mut search).filter_map(|item| {
                    let chunk = segment.first + segment.offsets[item.pid.into_inner() as usize];
                    is_live(chunk).then_some((chunk, 1.0 - item.distance))
                }));
            } else {
                n_scans += 1;
                found.extend(segment.graph.iter().filter_map(|(point, vector)| {
                    let chunk = segment.first + segment.offsets[point.into_inner() as usize];
                    is_live(chunk).then(|| (chunk, dot(query, &vector.0)))
                }));
            }
        }
        let loose = (self.n_segmented() as ChunkId..).zip(self.loose.chunks_exact(self.n_dims.max(1)));
        found.extend(loose.filter(|&(chunk, _)| is_live(chunk)).map(|(chunk, v)| (chunk, dot(query, v))));
        let path = match (n_graphs, n_scans) {
            (0, _) => DensePath::Exact,
            (_, 0) => DensePath::Graph,
            _ => DensePath::Mixed,
        };
        (top(found, n), path)
    }

    pub fn next_segment_job(&self, options: &SegmentOptions) -> Option<Vec<u8>> {
        let vectors = self.loose.get(..options.segment_len.checked_mul(self.n_dims)?)?;
        let job = SegmentJob {
            first: self.n_segmented() as ChunkId,
            n_dims: self.n_dims,
            ef_search: options.ef_search.clamp(1, MAX_EF),
            ef_construction: options.ef_construction.clamp(1, MAX_EF),
            vectors: vectors.to_vec(),
        };
        (!vectors.is_empty()).then(|| format::encode(Kind::SegmentJob, &job))
    }

    /// # Errors
    /// `index-corrupt` when the graph is damaged or holds other vectors than those that wait for one.
    pub fn install_segment(&mut self, built: &[u8]) -> Result<(), IndexError> {
        let shape: StoredSegment<GraphShape> = format::decode(Kind::Segment, built)?;
        shape.check(self.n_dims)?;
        let (first, n_points) = (shape.first as usize, shape.offsets.len());
        let matches =
            |start: usize| {
                shape.graph.points.iter().zip(&shape.offsets).all(|(point, &offset)| {
                    self.vector((start + offset as usize) as ChunkId) == Some(point.0.as_slice())
                })
            };
        if first > self.n_segmented() || !matches(first) {
            return Err(IndexError::Corrupt { reason: "a graph of other vectors" });
        }
        if first < self.n_segmented() {
            return Ok(());
        }
        self.segments.push(Segment::new(format::decode(Kind::Segment, built)?));
        self.loose.drain(..n_points * self.n_dims);
        Ok(())
    }

    pub fn to_stored(&self) -> StoredDense<StoredSegment<&Hnsw<Point>>> {
        let segments = self.segments.iter().map(|segment| StoredSegment {
            first: segment.first,
            offsets: segment.offsets.clone(),
            graph: &segment.graph,
        });
        StoredDense { n_dims: self.n_dims, segments: segments.collect(), loose: self.loose.clone() }
    }

    /// Takes what [`StoredDense::check`] has passed.
    pub fn from_stored(stored: StoredDense<StoredSegment<Hnsw<Point>>>) -> Self {
        let segments = stored.segments.into_iter().map(Segment::new).collect();
        Self { n_dims: stored.n_dims, segments, loose: stored.loose }
    }
}

impl StoredDense<StoredSegment<GraphShape>> {
    /// # Errors
    /// `index-corrupt` when vectors or graphs do not fit together.
    pub fn check(&self) -> Result<(), IndexError> {
        let corrupt = Err(IndexError::Corrupt { reason: "vectors do not fit" });
        let mut next = 0;
        for segment in &self.segments {
            segment.check(self.n_dims)?;
            if segment.first as usize != next {
                return corrupt;
            }
            next += segment.offsets.len();
        }
        let fits = match self.n_dims {
            0 => self.loose.is_empty() && self.segments.is_empty(),
            n_dims => self.loose.len().is_multiple_of(n_dims),
        };
        let all_unit = || self.loose.chunks_exact(self.n_dims.max(1)).all(|v| check_unit(v).is_ok());
        if fits && all_unit() { Ok(()) } else { corrupt }
    }
}
