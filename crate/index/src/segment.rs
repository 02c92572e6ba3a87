//! One graph over vectors: as a job, as it is stored, and at work.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::rc::Rc;

use instant_distance::Builder;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    ChunkId, IndexError,
    chunk::Row,
    dense::{check_unit, dot},
    format::{self, Kind},
};

/// When graphs are built, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Loose vectors that make a graph.
    pub segment_len: usize,
    /// The most that become one graph, as two of no more together do. Each graph is searched for every query, so few win;
    /// the larger one is, the longer it takes to be built and handed over, and the more it misses: links lead to the
    /// nearest alone, and no way out of more vectors alike than there are links (64 each). Of 10,000 vectors around 150
    /// places recall@10 is 0.991, of 25,000 0.948, with 128 candidates.
    pub max_segment_len: usize,
    /// Live chunks below which no graph is built.
    pub min_chunks: usize,
    /// Candidates kept while inserting.
    pub ef_construction: usize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            segment_len: crate::GRAPH_THRESHOLD,
            max_segment_len: crate::GRAPH_THRESHOLD,
            min_chunks: crate::GRAPH_THRESHOLD,
            ef_construction: 64,
        }
    }
}

/// Candidates kept while a graph is searched; also the most hits that one can give. Recall@10 of 12,566 real passages with
/// 64, 128 and 192: 0.989, 0.995, 0.997; of 10,000 made vectors around 150 places 0.975, 0.991, 0.996.
pub(crate) const EF_SEARCH: usize = 160;
/// Makes a graph the same wherever it is built.
const SEED: u64 = 0x4C65_6374_6572_6E31;
/// Bound on what a job may ask for.
const MAX_EF: usize = 4_096;

const JOB: Kind = Kind { magic: b"LECTSJOB", version: 4, is_stored: false };
const SEGMENT: Kind = Kind { magic: b"LECTSGMT", version: 4, is_stored: true };

/// A vector as a graph's builder sees it: unit length, at distance `1 - cosine`.
#[derive(Clone)]
struct Point(Box<[f32]>);

impl instant_distance::Point for Point {
    fn distance(&self, other: &Self) -> f32 {
        1.0 - dot(&self.0, &other.0)
    }
}

/// What is wanted of a graph are its links.
impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// The job of building a graph, for [`build_segment`]: chunks and their vectors, which are copied when it is taken away.
pub struct SegmentJob<'a> {
    /// The envelope without its tail.
    head: Vec<u8>,
    vectors: Vec<&'a [f32]>,
}

/// What a job says beside the vectors.
#[derive(Serialize, Deserialize)]
struct JobHead {
    /// Of the model that the vectors came from.
    model_hash: String,
    chunks: Vec<ChunkId>,
    n_dims: usize,
    ef_construction: usize,
}

/// Bytes of a job that are copied at once, or few more.
const PART_BYTES: usize = 1 << 20;

impl<'a> SegmentJob<'a> {
    pub(crate) fn new(
        model_hash: &str,
        chunks: Vec<ChunkId>,
        n_dims: usize,
        options: &SegmentOptions,
        vectors: Vec<&'a [f32]>,
    ) -> Self {
        let ef_construction = options.ef_construction.clamp(1, MAX_EF);
        let head = JobHead { model_hash: model_hash.to_owned(), chunks, n_dims, ef_construction };
        Self { head: JOB.open(&head, 0), vectors }
    }

    /// How many bytes its parts have together.
    pub fn n_bytes(&self) -> usize {
        self.head.len() + self.vectors.iter().map(|vector| size_of_val(*vector)).sum::<usize>()
    }

    /// Its bytes, one part after the other.
    pub fn parts(&self) -> impl Iterator<Item = Vec<u8>> {
        let n_vectors = (PART_BYTES / self.vectors.first().map_or(1, |vector| size_of_val(*vector)).max(1)).max(1);
        std::iter::once(self.head.clone()).chain(self.vectors.chunks(n_vectors).map(|vectors| {
            let mut part = Vec::with_capacity(PART_BYTES);
            vectors.iter().for_each(|vector| format::push_numbers(&mut part, vector));
            part
        }))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.n_bytes());
        self.parts().for_each(|part| bytes.extend(part));
        bytes
    }
}

/// Links of a point at the bottom of a graph, and above it; [`NONE`] where there are fewer.
const ZERO_LINKS: usize = 64;
const UPPER_LINKS: usize = 32;
const NONE: u32 = u32::MAX;

/// The wire format of instant-distance's graph.
#[derive(Deserialize)]
struct Wire {
    _ef_search: usize,
    _points: Vec<()>,
    /// Serde knows no arrays of 64.
    zero: Vec<([u32; UPPER_LINKS], [u32; UPPER_LINKS])>,
    /// From below.
    layers: Vec<Vec<[u32; UPPER_LINKS]>>,
}

/// What is stored of a graph beside its links, which are the tail: those of each point at the bottom, then those of each
/// layer's points.
#[derive(Serialize, Deserialize)]
struct Stored {
    model_hash: String,
    /// By point.
    chunks: Vec<ChunkId>,
    /// Points of the layers above the bottom, from below; those of a layer are the first of the one below.
    layers: Vec<usize>,
}

/// Builds a graph from what [`crate::Index::next_segment_job`] gave, for [`crate::Index::install_segment`]. Long (a
/// second or more) and pure: run it where nobody waits. The same job gives the same bytes.
///
/// # Errors
/// `index-corrupt` or `index-version` when `job` is no job of this version.
pub fn build_segment(job: &[u8]) -> Result<Vec<u8>, IndexError> {
    let corrupt = IndexError::Corrupt { reason: "a segment job does not fit" };
    let (JobHead { model_hash, chunks, n_dims, ef_construction }, tail) = JOB.decode::<JobHead>(job)?;
    let is_sound = n_dims > 0
        && !chunks.is_empty()
        && n_dims.checked_mul(chunks.len()) == Some(tail.len())
        && (1..=MAX_EF).contains(&ef_construction);
    if !is_sound {
        return Err(corrupt);
    }
    let points: Vec<Point> = tail.chunks_exact(n_dims).map(|tail| Point(format::numbers(tail).into())).collect();
    if points.iter().any(|point| check_unit(&point.0).is_err()) {
        return Err(corrupt);
    }
    let build = || {
        Builder::default()
            .seed(SEED)
            // Neighbour selection by heuristic costs 10 × the build time and gained no recall.
            .select_heuristic(None)
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
    // The library gives its links in this way only.
    let wire = postcard::to_allocvec(&graph).ok();
    drop(graph);
    let graph = wire.and_then(|wire| postcard::from_bytes::<Wire>(&wire).ok());
    let Wire { zero, layers, .. } = graph.ok_or(IndexError::Corrupt { reason: "a graph has another form" })?;
    let stored = Stored { model_hash, chunks: by_point, layers: layers.iter().map(Vec::len).collect() };
    let n_links = zero.len() * ZERO_LINKS + stored.layers.iter().sum::<usize>() * UPPER_LINKS;
    let mut bytes = SEGMENT.open(&stored, 4 * n_links);
    let links = zero.iter().flat_map(|(near, far)| near.iter().chain(far)).chain(layers.iter().flatten().flatten());
    bytes.extend(links.flat_map(|link| link.to_le_bytes()));
    Ok(SEGMENT.seal(bytes))
}

/// Whether bytes say that they are a built graph.
pub fn is_segment(bytes: &[u8]) -> bool {
    SEGMENT.is(bytes)
}

/// A built graph on its way into an index.
pub(crate) struct Built {
    /// What it is told apart by: 8 hexadecimal digits, the same for the same graph.
    pub tag: String,
    pub model_hash: String,
    /// By point.
    pub chunks: Vec<ChunkId>,
    links: Links,
}

/// Who is near whom in a graph.
struct Links {
    /// By point of the bottom.
    zero: Vec<u32>,
    /// By layer, from below, and point.
    layers: Vec<Vec<u32>>,
}

impl Built {
    /// # Errors
    /// `index-corrupt` and `index-version`; also for a graph that does not fit itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        let (Stored { model_hash, chunks, layers }, tail) = SEGMENT.decode::<Stored>(bytes)?;
        let links = Links::parse(chunks.len(), &layers, tail);
        let is_once = chunks.iter().collect::<HashSet<_>>().len() == chunks.len();
        let links = links.filter(|_| is_once).ok_or(IndexError::Corrupt { reason: "a graph does not fit" })?;
        Ok(Self { tag: format!("{:08x}", format::checksum(bytes)), model_hash, chunks, links })
    }
}

impl Links {
    /// `None` unless every link leads somewhere.
    fn parse(n_points: usize, layers: &[usize], tail: &[[u8; 4]]) -> Option<Self> {
        let mut below = n_points;
        let (zero, mut tail) = tail.split_at_checked(n_points.checked_mul(ZERO_LINKS)?)?;
        let zero = links(zero, n_points)?;
        let mut upper = Vec::new();
        for &n in layers {
            let (layer, rest) = tail.split_at_checked(n.checked_mul(UPPER_LINKS)?)?;
            if n == 0 || n > below {
                return None;
            }
            upper.push(links(layer, n)?);
            (below, tail) = (n, rest);
        }
        (n_points > 0 && tail.is_empty()).then_some(Self { zero, layers: upper })
    }
}

/// Links among `n` points.
fn links(tail: &[[u8; 4]], n: usize) -> Option<Vec<u32>> {
    let links: Vec<u32> = tail.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    links.iter().all(|&link| (link == NONE) | ((link as usize) < n)).then_some(links)
}

/// The links of a point.
fn of(links: &[u32], n_links: usize, point: u32) -> impl Iterator<Item = u32> {
    let at = point as usize * n_links;
    links[at..at + n_links].iter().copied().take_while(|&link| link != NONE)
}

/// A graph at work. Points without a row are holes, which lead on to others.
pub(crate) struct Segment {
    pub tag: String,
    links: Links,
    /// By point.
    rows: Vec<Option<Row>>,
    vectors: Vec<Rc<[f32]>>,
    n_live: usize,
}

/// A point as near as its cosine says; of equals, the lower number.
#[derive(PartialEq)]
struct Near(f32, u32);

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Segment {
    /// `rows` and `vectors` are those of the points, as many as there are.
    pub fn new(built: Built, rows: Vec<Option<Row>>, vectors: Vec<Rc<[f32]>>) -> Self {
        Self { tag: built.tag, links: built.links, n_live: rows.iter().flatten().count(), rows, vectors }
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

    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().copied().flatten()
    }

    /// The nearest rows with their cosines, [`EF_SEARCH`] at most: greedily down to the bottom, and there the best of
    /// what the best lead to (Malkov and Yashunin, algorithms 2 and 5).
    pub fn search(&self, query: &[f32]) -> impl Iterator<Item = (Row, f32)> {
        let near = |point: u32| Near(dot(query, &self.vectors[point as usize]), point);
        let mut entry = near(0);
        for layer in self.links.layers.iter().rev() {
            while let Some(better) = of(layer, UPPER_LINKS, entry.1).map(near).max().filter(|best| *best > entry) {
                entry = better;
            }
        }
        let mut is_seen = vec![false; self.rows.len()];
        is_seen[entry.1 as usize] = true;
        let mut waiting = BinaryHeap::from([Near(entry.0, entry.1)]);
        let mut found = BinaryHeap::from([Reverse(entry)]);
        while let Some(next) = waiting.pop() {
            if found.len() == EF_SEARCH && found.peek().is_some_and(|worst| next.0 < worst.0.0) {
                break;
            }
            for link in of(&self.links.zero, ZERO_LINKS, next.1) {
                if std::mem::replace(&mut is_seen[link as usize], true) {
                    continue;
                }
                let near = near(link);
                if found.len() < EF_SEARCH || found.peek().is_some_and(|worst| near > worst.0) {
                    waiting.push(Near(near.0, near.1));
                    found.push(Reverse(near));
                    if found.len() > EF_SEARCH {
                        found.pop();
                    }
                }
            }
        }
        found.into_iter().filter_map(|Reverse(Near(cosine, point))| Some((self.rows[point as usize]?, cosine)))
    }
}
