//! One graph over vectors: as a job, as it is stored, and at work.

use std::cell::RefCell;
use std::collections::HashSet;

use instant_distance::{Builder, Hnsw, PointId, Search};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    ChunkId, IndexError,
    chunk::Row,
    dense::{check_unit, dot},
    format::{self, Kind},
};

/// How graphs are built. instant-distance fixes `ef_search` with the graph, so it is set here and not with each search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Loose vectors that make a graph.
    pub segment_len: usize,
    /// Two graphs of no more together become one. Every graph is searched for every query, so few large ones win;
    /// the larger one is, the longer it takes to be handed over.
    pub max_segment_len: usize,
    /// Live chunks below which no graph is built.
    pub min_chunks: usize,
    /// Candidates kept while searching; also the most hits one graph can give.
    pub ef_search: usize,
    /// Candidates kept while inserting.
    pub ef_construction: usize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            segment_len: crate::GRAPH_THRESHOLD,
            max_segment_len: 5 * crate::GRAPH_THRESHOLD,
            min_chunks: crate::GRAPH_THRESHOLD,
            ef_search: 64,
            ef_construction: 64,
        }
    }
}

/// Makes a graph the same wherever it is built.
const SEED: u64 = 0x4C65_6374_6572_6E31;
/// Bound on what a job may ask for.
const MAX_EF: usize = 4_096;

/// A vector as a graph sees it: unit length, at distance `1 - cosine`.
///
/// Its stored form is nothing at all: vectors are where the graph comes from and where it goes, and are far more bytes
/// than it has.
#[derive(Debug, Clone)]
struct Point(Box<[f32]>);

impl instant_distance::Point for Point {
    fn distance(&self, other: &Self) -> f32 {
        1.0 - dot(&self.0, &other.0)
    }
}

thread_local! {
    /// The vectors of the graph that is being read, last first.
    static ARRIVING: RefCell<Vec<Box<[f32]>>> = const { RefCell::new(Vec::new()) };
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer)?;
        Ok(Self(ARRIVING.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

/// What a job says beside the vectors.
#[derive(Serialize, Deserialize)]
struct Job {
    /// Of the model that the vectors came from.
    model_hash: String,
    chunks: Vec<ChunkId>,
    n_dims: usize,
    ef_search: usize,
    ef_construction: usize,
}

/// The job of building a graph over `vectors`, for [`build_segment`].
pub(crate) fn job<'a>(
    model_hash: &str,
    chunks: Vec<ChunkId>,
    n_dims: usize,
    options: &SegmentOptions,
    vectors: impl Iterator<Item = &'a [f32]>,
) -> Vec<u8> {
    let job = Job {
        model_hash: model_hash.to_owned(),
        chunks,
        n_dims,
        ef_search: options.ef_search.clamp(1, MAX_EF),
        ef_construction: options.ef_construction.clamp(1, MAX_EF),
    };
    format::encode(Kind::SegmentJob, &job, vectors)
}

/// A graph over the vectors of chunks, as it is stored and handed over.
#[derive(Serialize, Deserialize)]
struct Stored<G> {
    model_hash: String,
    /// By point.
    chunks: Vec<ChunkId>,
    graph: G,
}

/// The wire format of `Hnsw<Point>`, to be looked at before the library trusts it: it indexes by what it reads.
#[derive(Deserialize)]
struct Shape {
    ef_search: usize,
    points: Count,
    /// 64 neighbours a point, `u32::MAX` where there are fewer.
    zero: Vec<([u32; 32], [u32; 32])>,
    layers: Vec<Vec<[u32; 32]>>,
}

/// How many things that take no bytes there are: as many as are claimed, within reason.
struct Count(usize);

/// Points of the largest graph that is read.
const MAX_POINTS: usize = 1 << 24;

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counter;
        impl<'de> Visitor<'de> for Counter {
            type Value = Count;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(to, "at most {MAX_POINTS} points")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut points: A) -> Result<Count, A::Error> {
                let claimed = points.size_hint().filter(|&n| n <= MAX_POINTS);
                let claimed = claimed.ok_or_else(|| A::Error::custom("too many points"))?;
                while points.next_element::<()>()?.is_some() {}
                Ok(Count(claimed))
            }
        }
        deserializer.deserialize_seq(Counter)
    }
}

impl Shape {
    /// Whether every reference within the graph leads somewhere.
    fn is_sound(&self, n_points: usize) -> bool {
        let leads = |ids: &[u32], n: usize| ids.iter().all(|&id| id == u32::MAX || (id as usize) < n);
        n_points > 0
            && (1..=MAX_EF).contains(&self.ef_search)
            && self.points.0 == n_points
            && self.zero.len() == n_points
            && self.zero.iter().all(|(a, b)| leads(a, n_points) && leads(b, n_points))
            && self.layers.is_sorted_by_key(|layer| std::cmp::Reverse(layer.len()))
            && self
                .layers
                .iter()
                .all(|layer| (1..=n_points).contains(&layer.len()) && layer.iter().all(|ids| leads(ids, layer.len())))
    }
}

/// Builds a graph from what [`crate::Index::next_segment_job`] gave, for [`crate::Index::install_segment`]. Long (a
/// second or more) and pure: run it where nobody waits. The same job gives the same bytes.
///
/// # Errors
/// `index-corrupt` or `index-version` when `job` is no job of this version.
pub fn build_segment(job: &[u8]) -> Result<Vec<u8>, IndexError> {
    let (job, vectors) = format::decode::<Job>(Kind::SegmentJob, job)?;
    let Job { model_hash, chunks, n_dims, ef_search, ef_construction } = job;
    let is_sound = n_dims > 0
        && !chunks.is_empty()
        && n_dims.checked_mul(chunks.len()) == Some(vectors.len())
        && (1..=MAX_EF).contains(&ef_search)
        && (1..=MAX_EF).contains(&ef_construction)
        && vectors.chunks_exact(n_dims).all(|vector| check_unit(vector).is_ok());
    if !is_sound {
        return Err(IndexError::Corrupt { reason: "a segment job does not fit" });
    }
    let points: Vec<Point> = vectors.chunks_exact(n_dims).map(|vector| Point(vector.into())).collect();
    let build = || {
        Builder::default()
            .seed(SEED)
            // Neighbour selection by heuristic costs 10 × the build time and gained no recall.
            .select_heuristic(None)
            .ef_search(ef_search)
            .ef_construction(ef_construction)
            .build_hnsw(points)
    };
    // Threads insert in an order of their own: with one of them the graph is always the same. Where
    // there are no threads at all, as in a page, rayon runs everything in place.
    let (graph, point_ids) = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(build),
        Err(_) => build(),
    };
    let mut by_point = chunks.clone();
    for (chunk, point) in chunks.into_iter().zip(point_ids) {
        by_point[point.into_inner() as usize] = chunk;
    }
    Ok(format::encode(Kind::Segment, &Stored { model_hash, chunks: by_point, graph }, std::iter::empty()))
}

/// Whether bytes say that they are a built graph.
pub fn is_segment(bytes: &[u8]) -> bool {
    format::is(Kind::Segment, bytes)
}

/// A built graph on its way into an index.
pub(crate) struct Built<'a> {
    bytes: &'a [u8],
    pub model_hash: String,
    /// By point.
    pub chunks: Vec<ChunkId>,
}

impl<'a> Built<'a> {
    /// # Errors
    /// `index-corrupt` and `index-version`; also for a graph that does not fit itself.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let (Stored { model_hash, chunks, graph }, _) = format::decode::<Stored<Shape>>(Kind::Segment, bytes)?;
        let different: HashSet<ChunkId> = chunks.iter().copied().collect();
        if different.len() != chunks.len() || !graph.is_sound(chunks.len()) {
            return Err(IndexError::Corrupt { reason: "a graph does not fit" });
        }
        Ok(Self { bytes, model_hash, chunks })
    }

    /// What it is told apart by: 8 hexadecimal digits, the same for the same graph.
    pub fn tag(&self) -> String {
        format!("{:08x}", format::checksum(self.bytes))
    }
}

/// A graph at work. Points without a row are holes.
pub(crate) struct Segment {
    pub tag: String,
    graph: Hnsw<Point>,
    /// By point.
    rows: Vec<Option<Row>>,
    /// The library's names of the points.
    points: Vec<PointId>,
    n_live: usize,
}

impl Segment {
    /// `rows` and `vectors` are those of the points.
    ///
    /// # Errors
    /// `index-corrupt`, as [`Built::parse`].
    pub fn new(built: &Built<'_>, rows: &[Option<Row>], mut vectors: Vec<Box<[f32]>>) -> Result<Self, IndexError> {
        vectors.reverse();
        ARRIVING.set(vectors);
        let read = format::decode::<Stored<Hnsw<Point>>>(Kind::Segment, built.bytes);
        ARRIVING.take();
        let (Stored { graph, .. }, _) = read?;
        let points = graph.iter().map(|(point, _)| point).collect();
        Ok(Self { tag: built.tag(), graph, n_live: rows.iter().flatten().count(), rows: rows.to_vec(), points })
    }

    /// Points, holes among them.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn n_live(&self) -> usize {
        self.n_live
    }

    pub fn remove(&mut self, point: u32) {
        self.n_live -= usize::from(self.rows[point as usize].take().is_some());
    }

    pub fn vector(&self, point: u32) -> &[f32] {
        &self.graph[self.points[point as usize]].0
    }

    /// Rows with their vectors.
    pub fn iter(&self) -> impl Iterator<Item = (Row, &[f32])> {
        self.graph.iter().filter_map(|(point, vector)| Some((self.rows[point.into_inner() as usize]?, &*vector.0)))
    }

    /// The nearest rows with their cosines, as many as the graph's `ef_search` at most.
    pub fn search(&self, query: &[f32]) -> impl Iterator<Item = (Row, f32)> {
        let mut search = Search::default();
        let point = Point(query.into());
        let found: Vec<_> = self.graph.search(&point, &mut search).map(|item| (item.pid, item.distance)).collect();
        found
            .into_iter()
            .filter_map(|(point, distance)| Some((self.rows[point.into_inner() as usize]?, 1.0 - distance)))
    }
}
