use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::build_segment;

const N_DIMS: usize = 24;

/// Xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 24) as f32
    }

    fn unit(&mut self, centre: &[f32], spread: f32) -> Vec<f32> {
        let vector: Vec<f32> = centre.iter().map(|x| x + spread * (self.uniform() - 0.5)).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter().map(|x| x / length).collect()
    }
}

/// Unit vectors around a few dozen centres, and queries from the same places.
fn clustered(n: usize, n_queries: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let centres: Vec<Vec<f32>> = (0..n / 25 + 1).map(|_| random.unit(&[0.0; N_DIMS], 1.0)).collect();
    let mut near = || {
        let i = (random.uniform() * centres.len() as f32) as usize;
        random.unit(&centres[i.min(centres.len() - 1)], 0.4)
    };
    ((0..n).map(|_| near()).collect(), (0..n_queries).map(|_| near()).collect())
}

fn add(index: &mut Index, text: &str, vector: &[f32]) -> Result<ChunkId, IndexError> {
    index.add(&Entry { text, names: "", language: Language::English, vector })
}

fn asked<'a>(text: &'a str, vector: Option<&'a Vec<f32>>) -> Query<'a> {
    Query::new(text, vector.map(Vec::as_slice))
}

fn index_of(vectors: &[Vec<f32>]) -> Index {
    let mut index = Index::new(N_DIMS, "model");
    for (i, vector) in vectors.iter().enumerate() {
        add(&mut index, &format!("chunk number {i} of {}", i % 7), vector).unwrap();
    }
    index
}

fn segments_of(segment_len: usize) -> SegmentOptions {
    SegmentOptions { segment_len, min_chunks: 1, ..SegmentOptions::default() }
}

fn build_all(index: &mut Index, options: &SegmentOptions) -> usize {
    let mut n_segments = 0;
    while let Some(job) = index.next_segment_job(options) {
        index.install_segment(&build_segment(&job).unwrap()).unwrap();
        n_segments += 1;
    }
    n_segments
}

fn dense_only(dense: DenseMode) -> SearchOptions<'static> {
    SearchOptions { dense, weights: Weights::VECTORS, ..SearchOptions::default() }
}

fn chunks(ranked: &Ranked) -> Vec<ChunkId> {
    ranked.hits.iter().map(|hit| hit.chunk).collect()
}

#[test]
fn graphs_find_what_the_scan_finds() {
    let (vectors, queries) = clustered(1_300, 50);
    let mut index = index_of(&vectors);
    assert_eq!(build_all(&mut index, &segments_of(600)), 2);
    let (mut n_found, mut n_wanted) = (0, 0);
    for query in &queries {
        let exact = index.search(asked("", Some(query)), &dense_only(DenseMode::Exact)).unwrap();
        let graph = index.search(asked("", Some(query)), &dense_only(DenseMode::Graph)).unwrap();
        assert_eq!((exact.dense_path, graph.dense_path), (DensePath::Exact, DensePath::Mixed));
        let graph = chunks(&graph);
        n_wanted += exact.hits.len();
        n_found += exact.hits.iter().filter(|hit| graph.contains(&hit.chunk)).count();
    }
    assert_eq!(n_wanted, 500);
    assert!(n_found * 100 >= n_wanted * 95, "recall@10 {n_found} of {n_wanted}");
}

#[test]
fn the_scan_is_right() {
    let (vectors, queries) = clustered(90, 5);
    let mut index = index_of(&vectors);
    build_all(&mut index, &segments_of(40));
    for query in &queries {
        let cosine = |i: usize| vectors[i].iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let mut expected: Vec<usize> = (0..vectors.len()).collect();
        expected.sort_by(|&a, &b| cosine(b).total_cmp(&cosine(a)));
        let found = index.search(asked("", Some(query)), &dense_only(DenseMode::Exact)).unwrap();
        for (hit, expected) in found.hits.iter().zip(expected) {
            assert!((hit.dense.unwrap() - cosine(expected)).abs() < 1e-5);
        }
    }
}

#[test]
fn both_readings_are_fused_and_scored() {
    let mut random = Random(7);
    let vectors: Vec<_> = (0..30).map(|_| random.unit(&[0.0; N_DIMS], 1.0)).collect();
    let mut index = Index::new(N_DIMS, "model");
    for (i, vector) in vectors.iter().enumerate() {
        add(&mut index, if i == 11 { "the old lighthouse" } else { "something else" }, vector).unwrap();
    }
    let ranked = index.search(asked("lighthouses", Some(&vectors[4])), &SearchOptions::default()).unwrap();
    let top: Vec<_> = chunks(&ranked)[..2].to_vec();
    assert!(top.contains(&11) && top.contains(&4), "{top:?}");
    assert!(ranked.hits.iter().all(|hit| hit.dense.is_some() && hit.bm25.is_some()));

    let words = index.search(asked("lighthouse", None), &SearchOptions::default()).unwrap();
    assert_eq!((chunks(&words), words.dense_path), (vec![11], DensePath::None));
    assert_eq!(words.hits[0].dense, None);
    assert!(words.hits[0].bm25 > Some(0.0));
}

#[test]
fn removed_chunks_are_never_found() {
    let (vectors, _) = clustered(200, 0);
    let mut index = index_of(&vectors);
    build_all(&mut index, &segments_of(100));
    index.remove(&[3, 150, 9_999]);
    index.remove(&[3]);
    assert_eq!((index.len(), index.n_chunks()), (198, 200));
    for mode in [DenseMode::Exact, DenseMode::Graph] {
        for gone in [3, 150] {
            let options = SearchOptions { dense: mode, ..SearchOptions::default() };
            let ranked =
                index.search(asked(&format!("chunk number {gone}"), Some(&vectors[gone as usize])), &options).unwrap();
            assert_eq!(ranked.hits.len(), 10);
            assert!(!chunks(&ranked).contains(&gone));
        }
    }
    assert_eq!(add(&mut index, "new", &vectors[3]).unwrap(), 200);
}

#[test]
fn a_segment_of_mostly_removed_chunks_is_scanned() {
    let (vectors, _) = clustered(100, 0);
    let mut index = index_of(&vectors);
    build_all(&mut index, &segments_of(100));
    index.remove(&(10..100).collect::<Vec<_>>());
    let ranked = index.search(asked("", Some(&vectors[50])), &dense_only(DenseMode::Graph)).unwrap();
    assert_eq!((ranked.dense_path, ranked.hits.len()), (DensePath::Exact, 10));
}

#[test]
fn a_job_gives_the_same_graph_every_time_and_fits_one_index_only() {
    let (vectors, _) = clustered(120, 0);
    let mut index = index_of(&vectors);
    let job = index.next_segment_job(&segments_of(120)).unwrap();
    let built = build_segment(&job).unwrap();
    assert_eq!(built, build_segment(&job).unwrap());
    assert!(index.next_segment_job(&SegmentOptions::default()).is_none());

    let mut other = index_of(&clustered(121, 0).0[1..]);
    assert_eq!(other.install_segment(&built).unwrap_err().code(), "index-corrupt");
    index.install_segment(&built).unwrap();
    index.install_segment(&built).unwrap();
    assert_eq!(index.n_chunks(), 120);
    assert!(index.next_segment_job(&segments_of(120)).is_none());
}

#[test]
fn every_refusal_has_its_code() {
    let mut index = Index::new(2, "model");
    let code = |result: Result<ChunkId, IndexError>| result.unwrap_err().code();
    assert_eq!(code(add(&mut index, "", &[1.0])), "index-dimension");
    assert_eq!(code(add(&mut index, "", &[1.0, 1.0])), "index-not-unit");
    assert_eq!(code(add(&mut index, "", &[f32::NAN, 1.0])), "index-not-unit");
    assert_eq!(index.n_chunks(), 0);
    assert_eq!(index.check_model("other").unwrap_err().code(), "index-model-mismatch");
    assert!(index.check_model("model").is_ok());
    assert_eq!(Index::from_bytes(b"short").err().map(|e| e.code()), Some("index-corrupt"));
    assert_eq!(build_segment(&index.to_bytes()).unwrap_err().code(), "index-corrupt");
    let mut bytes = index.to_bytes();
    bytes[8] += 1;
    assert_eq!(Index::from_bytes(&bytes).err().map(|e| e.code()), Some("index-version"));
}

#[test]
fn an_empty_index_answers_nothing() {
    let index = Index::from_bytes(&Index::new(N_DIMS, "model").to_bytes()).unwrap();
    let (_, queries) = clustered(1, 1);
    let ranked = index.search(asked("anything", Some(&queries[0])), &SearchOptions::default()).unwrap();
    assert_eq!((ranked.hits.len(), ranked.dense_path, index.is_empty()), (0, DensePath::Exact, true));
}

/// An index with a graph, loose vectors and a removed chunk.
static STORED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut index = index_of(&clustered(70, 0).0);
    build_all(&mut index, &segments_of(60));
    index.remove(&[5, 66]);
    index.to_bytes()
});

proptest! {
    #[test]
    fn a_stored_index_finds_what_it_found(n in 1usize..80, segment_len in 10usize..50, gone in 0u32..80, seed: u64) {
        let (vectors, _) = clustered(n, 0);
        let mut index = index_of(&vectors);
        build_all(&mut index, &segments_of(segment_len));
        index.remove(&[gone]);
        let again = Index::from_bytes(&index.to_bytes()).unwrap();
        let query = Random(seed | 1).unit(&[0.0; N_DIMS], 1.0);
        for mode in [DenseMode::Exact, DenseMode::Graph] {
            let options = SearchOptions { dense: mode, ..SearchOptions::default() };
            let search = |index: &Index| index.search(asked("chunk 3 of 5", Some(&query)), &options).unwrap();
            prop_assert_eq!(search(&index), search(&again));
        }
        prop_assert_eq!(index.to_bytes(), again.to_bytes());
        prop_assert_eq!(again.model_hash(), "model");
    }

    #[test]
    fn damaged_bytes_are_refused_or_harmless(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        is_checksum_forged: bool,
    ) {
        let mut bytes = STORED.clone();
        for (at, byte) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if is_checksum_forged && bytes.len() > 16 {
            let checksum = crc32fast::hash(&bytes[16..]);
            bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        }
        match Index::from_bytes(&bytes) {
            Err(error) => prop_assert!(error.code().starts_with("index-")),
            Ok(mut index) => {
                prop_assert!(is_checksum_forged || bytes == *STORED);
                let query = clustered(1, 1).1.remove(0);
                for mode in [DenseMode::Exact, DenseMode::Graph] {
                    let options = SearchOptions { dense: mode, ..SearchOptions::default() };
                    let _ = index.search(asked("chunk number 3", Some(&query)), &options);
                }
                index.remove(&[1, 2, 3]);
                let _ = add(&mut index, "more", &query);
                let _ = build_segment(&bytes);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Index::from_bytes(&bytes).is_err());
        prop_assert!(build_segment(&bytes).is_err());
        prop_assert!(index_of(&[]).install_segment(&bytes).is_err());
    }
}

#[test]
fn a_follow_up_is_found_by_what_was_talked_about() {
    let axis = |i: usize| (0..N_DIMS).map(|j| f32::from(u8::from(i == j))).collect::<Vec<f32>>();
    let vectors: Vec<_> = (0..20).map(axis).collect();
    let mut index = Index::new(N_DIMS, "model");
    for (i, vector) in vectors.iter().enumerate() {
        let text = ["the ferry costs six crowns", "the lighthouse was built of granite", "nothing"][i.min(2)];
        add(&mut index, text, vector).unwrap();
    }
    let first = |text, vector: usize, context| {
        let query = Query { text, vector: Some(&vectors[vector]), context };
        index.search(query, &SearchOptions::default()).unwrap().hits[0].chunk
    };
    let before = Some(("When does the ferry go?", vectors[0].as_slice()));
    assert_eq!((first("How much is it?", 19, None), first("How much is it?", 19, before)), (19, 0));
    assert_eq!(first("How was the lighthouse built?", 1, before), 1);
    let short = Query { text: "it", vector: None, context: Some(("ferry", &[1.0])) };
    assert_eq!(index.search(short, &SearchOptions::default()).unwrap_err().code(), "index-dimension");
}
