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

/// Adds a source of one chunk.
fn add(index: &mut Index, source: u32, text: &str, vector: &[f32]) -> Result<(), IndexError> {
    index.add(source, &[Entry { text, names: "", language: Language::English, vector }])
}

fn asked<'a>(text: &'a str, vector: Option<&'a Vec<f32>>) -> Query<'a> {
    Query::new(text, vector.map(Vec::as_slice))
}

fn index_of(vectors: &[Vec<f32>]) -> Index {
    let mut index = Index::new(N_DIMS, "model");
    for (i, vector) in vectors.iter().enumerate() {
        add(&mut index, i as u32, &format!("chunk number {i} of {}", i % 7), vector).unwrap();
    }
    index
}

fn segments_of(segment_len: usize) -> SegmentOptions {
    SegmentOptions { segment_len, max_segment_len: segment_len, min_chunks: 1, ..SegmentOptions::default() }
}

fn build_all(index: &mut Index, options: &SegmentOptions) -> usize {
    let mut n_segments = 0;
    while let Some(job) = index.next_segment_job(options) {
        let built = build_segment(&job.to_bytes()).unwrap();
        index.install_segment(&built).unwrap();
        n_segments += 1;
    }
    n_segments
}

fn dense_only(dense: DenseMode) -> SearchOptions<'static> {
    SearchOptions { dense, weights: Weights::VECTORS, ..SearchOptions::default() }
}

fn chunks(ranked: &Ranked) -> Vec<u32> {
    ranked.hits.iter().map(|hit| hit.chunk.source).collect()
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
        n_found += exact.hits.iter().filter(|hit| graph.contains(&hit.chunk.source)).count();
    }
    assert_eq!(n_wanted, 500);
    assert!(n_found * 100 >= n_wanted * 99, "recall@10 {n_found} of {n_wanted}");
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
        add(&mut index, i as u32, if i == 11 { "the old lighthouse" } else { "something else" }, vector).unwrap();
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
fn removed_sources_are_never_found() {
    let (vectors, _) = clustered(200, 0);
    let mut index = index_of(&vectors);
    build_all(&mut index, &segments_of(100));
    [3, 150, 9_999, 3].into_iter().for_each(|source| index.remove(source));
    assert_eq!(index.len(), 198);
    for mode in [DenseMode::Exact, DenseMode::Graph] {
        for gone in [3, 150] {
            let options = SearchOptions { dense: mode, ..SearchOptions::default() };
            let query = format!("chunk number {gone}");
            let ranked = index.search(asked(&query, Some(&vectors[gone as usize])), &options).unwrap();
            assert_eq!(ranked.hits.len(), 10);
            assert!(!chunks(&ranked).contains(&gone));
        }
    }
}

#[test]
fn a_source_that_comes_again_takes_its_own_place() {
    let (vectors, _) = clustered(90, 0);
    let mut index = index_of(&vectors);
    build_all(&mut index, &segments_of(60));
    add(&mut index, 7, "quite another text", &vectors[80]).unwrap();
    assert_eq!(index.len(), 90);
    let found = index.search(asked("another", None), &SearchOptions::default()).unwrap();
    assert_eq!(chunks(&found), [7]);
    assert_eq!(index.vector(ChunkId { source: 7, ordinal: 0 }), Some(vectors[80].as_slice()));
    assert_eq!(index.vector(ChunkId { source: 7, ordinal: 1 }), None);
}

#[test]
fn what_is_replaced_for_ever_takes_no_more_room() {
    let (vectors, _) = clustered(60, 0);
    let mut index = index_of(&vectors);
    for round in 0..200 {
        let texts: Vec<String> = (0..20).map(|i| format!("word{i} of round{round}")).collect();
        let entry = |(text, vector)| Entry { text, names: "names", language: Language::Other, vector };
        let entries: Vec<Entry<'_>> =
            texts.iter().map(String::as_str).zip(vectors.iter().map(Vec::as_slice)).map(entry).collect();
        index.add(500, &entries).unwrap();
    }
    assert_eq!(index.len(), 80);
    assert!(index.rows.len() <= 160, "{} rows", index.rows.len());
    let found =
        index.search(asked("word7 round199", None), &SearchOptions { k: 1, ..SearchOptions::default() }).unwrap();
    assert_eq!(found.hits[0].chunk, ChunkId { source: 500, ordinal: 7 });
    let gone = index.search(asked("round198", None), &SearchOptions::default()).unwrap();
    assert!(gone.hits.is_empty());
}

#[test]
fn a_source_that_is_not_finished_leaves_nothing() {
    let (vectors, _) = clustered(30, 0);
    let mut index = index_of(&vectors);
    let entry = Entry { text: "quite another", names: "", language: Language::English, vector: &vectors[3] };
    let mut adding = index.adding(7);
    adding.push(&entry).unwrap();
    assert_eq!(adding.push(&Entry { vector: &[1.0], ..entry }).unwrap_err().code(), "index-dimension");
    drop(adding);
    let found = index.search(asked("another", None), &SearchOptions::default()).unwrap();
    assert_eq!((found.hits.len(), index.len(), index.dense.n_live()), (0, 30, 30));
    assert_eq!(index.vector(ChunkId { source: 7, ordinal: 0 }), Some(vectors[7].as_slice()));
}

#[test]
fn a_filter_lets_only_its_own_through() {
    let (vectors, _) = clustered(400, 0);
    let mut index = index_of(&vectors);
    build_all(&mut index, &segments_of(400));
    let even = |chunk: ChunkId| chunk.source.is_multiple_of(2);
    for dense in [DenseMode::Exact, DenseMode::Graph] {
        let options = SearchOptions { dense, filter: Some(&even), ..SearchOptions::default() };
        let found = index.search(asked("chunk", Some(&vectors[1])), &options).unwrap();
        assert!(found.hits.len() == 10 && found.hits.iter().all(|hit| even(hit.chunk)));
        // However far from the query: more chunks are nearer than a graph looks at.
        let furthest = (0..400).min_by(|&a, &b| index.dense.likeness(1, a).total_cmp(&index.dense.likeness(1, b)));
        let only = |chunk: ChunkId| Some(chunk.source) == furthest;
        let found =
            index.search(asked("", Some(&vectors[1])), &SearchOptions { filter: Some(&only), ..options }).unwrap();
        assert!(found.hits.len() == 1 && only(found.hits[0].chunk));
    }
}

#[test]
fn graphs_of_many_holes_are_scanned_and_built_anew() {
    let (vectors, _) = clustered(100, 0);
    let mut index = index_of(&vectors);
    let options = segments_of(100);
    build_all(&mut index, &options);
    (20..100).for_each(|source| index.remove(source));
    let search = |index: &Index| index.search(asked("", Some(&vectors[50])), &dense_only(DenseMode::Graph)).unwrap();
    let before = search(&index);
    assert_eq!((before.dense_path, before.hits.len()), (DensePath::Exact, 10));
    assert_eq!(build_all(&mut index, &options), 1);
    let after = search(&index);
    assert_eq!((after.dense_path, &after.hits), (DensePath::Graph, &before.hits));
}

#[test]
fn small_graphs_are_merged() {
    let (vectors, queries) = clustered(90, 5);
    let mut index = Index::new(N_DIMS, "model");
    let options = SegmentOptions { segment_len: 30, max_segment_len: 60, min_chunks: 1, ..SegmentOptions::default() };
    let mut tags = Vec::new();
    for (i, vector) in vectors.iter().enumerate() {
        add(&mut index, i as u32, "chunk", vector).unwrap();
        if build_all(&mut index, &options) > 0 {
            tags.push(index.segment_tags().len());
        }
    }
    // The second graph of 30 goes into the first, the third has no room there.
    assert_eq!(tags, [1, 1, 2]);
    for query in &queries {
        let search = |dense| index.search(asked("", Some(query)), &dense_only(dense)).unwrap();
        assert_eq!(search(DenseMode::Graph).hits, search(DenseMode::Exact).hits);
    }
}

#[test]
fn a_graph_fits_wherever_its_chunks_are() {
    let (vectors, queries) = clustered(120, 5);
    let mut index = index_of(&vectors);
    let job = index.next_segment_job(&segments_of(120)).unwrap().to_bytes();
    let built = build_segment(&job).unwrap();
    assert_eq!(built, build_segment(&job).unwrap());
    assert!(index.next_segment_job(&SegmentOptions::default()).is_none());
    let tag = index.install_segment(&built).unwrap().unwrap();
    assert_eq!(index.segment_tags(), [tag]);
    assert!(index.next_segment_job(&segments_of(120)).is_none());

    // The same sources in another order, one of them gone and one more.
    let mut other = Index::new(N_DIMS, "model");
    for source in (0..119).rev() {
        add(&mut other, source, "text", &vectors[source as usize]).unwrap();
    }
    add(&mut other, 500, "text", &vectors[119]).unwrap();
    assert_eq!(other.install_segment(&built).unwrap(), index.segment_tags().pop());
    for query in &queries {
        let search = |dense| other.search(asked("", Some(query)), &dense_only(dense)).unwrap();
        assert_eq!(search(DenseMode::Graph).dense_path, DensePath::Mixed);
        assert_eq!(search(DenseMode::Graph).hits, search(DenseMode::Exact).hits);
    }
    let mut strange = index_of(&vectors[..30]);
    assert_eq!((strange.install_segment(&built).unwrap(), strange.segment_tags()), (None, vec![]));
    assert_eq!(strange.len(), 30);
}

#[test]
fn every_refusal_has_its_code() {
    let mut index = Index::new(2, "model");
    let code = |result: Result<(), IndexError>| result.unwrap_err().code();
    assert_eq!(code(add(&mut index, 0, "", &[1.0])), "index-dimension");
    assert_eq!(code(add(&mut index, 0, "", &[1.0, 1.0])), "index-not-unit");
    assert_eq!(code(add(&mut index, 0, "", &[f32::NAN, 1.0])), "index-not-unit");
    assert!(index.is_empty() && !index.has(0));
    assert_eq!(index.check_model("other").unwrap_err().code(), "index-model-mismatch");
    assert!(index.check_model("model").is_ok());
    assert_eq!(index.install_segment(b"short").unwrap_err().code(), "index-corrupt");
    let (vectors, _) = clustered(20, 0);
    let strange = build_segment(&index_of(&vectors).next_segment_job(&segments_of(20)).unwrap().to_bytes()).unwrap();
    let mut other = Index::new(N_DIMS, "another model");
    assert_eq!(other.install_segment(&strange).unwrap_err().code(), "index-model-mismatch");
    let mut built = strange;
    assert_eq!(build_segment(&built).unwrap_err().code(), "index-corrupt");
    built[8] += 1;
    assert_eq!(index.install_segment(&built).unwrap_err().code(), "index-version");
}

#[test]
fn an_empty_index_answers_nothing() {
    let (_, queries) = clustered(1, 1);
    let index = Index::new(N_DIMS, "model");
    let ranked = index.search(asked("anything", Some(&queries[0])), &SearchOptions::default()).unwrap();
    assert_eq!((ranked.hits.len(), ranked.dense_path, index.is_empty()), (0, DensePath::Exact, true));
}

proptest! {
    #[test]
    fn damaged_graphs_are_refused_or_harmless(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        is_checksum_forged: bool,
    ) {
        let (vectors, queries) = clustered(70, 1);
        let mut index = index_of(&vectors);
        let built = build_segment(&index.next_segment_job(&segments_of(60)).unwrap().to_bytes()).unwrap();
        let mut bytes = built.clone();
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
        match index.install_segment(&bytes) {
            Err(error) => prop_assert!(error.code().starts_with("index-")),
            Ok(_) => prop_assert!(is_checksum_forged || bytes == built),
        }
        prop_assert_eq!(index.len(), 70);
        for mode in [DenseMode::Exact, DenseMode::Graph] {
            let options = SearchOptions { dense: mode, ..SearchOptions::default() };
            let _ = index.search(asked("chunk number 3", Some(&queries[0])), &options);
        }
        (0..9).for_each(|source| index.remove(source));
        let _ = add(&mut index, 100, "more", &queries[0]);
        let _ = build_segment(&bytes);
    }

    #[test]
    fn sources_come_and_go_and_what_is_there_is_found(
        steps in prop::collection::vec((0u32..12, 1usize..4, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let (vectors, _) = clustered(60, 0);
        let mut index = Index::new(N_DIMS, "model");
        let mut there: std::collections::BTreeMap<u32, Vec<usize>> = std::collections::BTreeMap::new();
        for (at, (source, n, is_removed, is_built)) in steps.into_iter().enumerate() {
            if is_removed {
                index.remove(source);
                there.remove(&source);
            } else {
                let own: Vec<usize> = (0..n).map(|i| (at * 5 + i) % vectors.len()).collect();
                let texts: Vec<String> = own.iter().map(|i| format!("word{i}")).collect();
                let entries: Vec<Entry<'_>> = own.iter().zip(&texts).map(|(&i, text)| {
                    Entry { text, names: "", language: Language::Other, vector: &vectors[i] }
                }).collect();
                index.add(source, &entries).unwrap();
                there.insert(source, own);
            }
            let options = SegmentOptions { segment_len: 7, max_segment_len: 20, min_chunks: 1, ..SegmentOptions::default() };
            if let Some(job) = index.next_segment_job(&options).filter(|_| is_built) {
                let built = build_segment(&job.to_bytes()).unwrap();
                index.install_segment(&built).unwrap();
            }
        }
        prop_assert_eq!(index.len(), there.values().map(Vec::len).sum::<usize>());
        for (&source, own) in &there {
            for (ordinal, &i) in own.iter().enumerate() {
                let chunk = ChunkId { source, ordinal: ordinal as u32 };
                prop_assert_eq!(index.vector(chunk), Some(vectors[i].as_slice()));
                let found = index.search(asked(&format!("word{i}"), None), &SearchOptions { k: 60, ..SearchOptions::default() }).unwrap();
                prop_assert!(found.hits.iter().any(|hit| hit.chunk == chunk));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(build_segment(&bytes).is_err());
        prop_assert!(index_of(&[]).install_segment(&bytes).is_err());
    }
}

#[test]
fn a_word_of_no_chunk_is_read_as_the_nearest_of_one() {
    let (vectors, _) = clustered(3, 0);
    let mut index = Index::new(N_DIMS, "model");
    assert_eq!(index.respelling("lighthuose"), None);
    let names = "Ferry timetable";
    let entry =
        Entry { text: "The keepers of the lighthouse", names, language: Language::English, vector: &vectors[0] };
    index.add(0, &[entry]).unwrap();
    for (word, read) in [
        ("lighthuose", Some("lighthouse")),
        ("Lighthuose", Some("lighthouse")),
        ("timtable", Some("timetable")),
        // Held itself, by its stem, or nowhere near.
        ("lighthouse", None),
        ("keeping", None),
        ("Paris", None),
        ("two words", None),
        ("", None),
    ] {
        assert_eq!(index.respelling(word), read, "{word}");
    }
    index.take_out(0);
    assert_eq!(index.respelling("lighthuose"), None);
}

#[test]
fn a_follow_up_is_found_by_what_was_talked_about() {
    let axis = |i: usize| (0..N_DIMS).map(|j| f32::from(u8::from(i == j))).collect::<Vec<f32>>();
    let vectors: Vec<_> = (0..20).map(axis).collect();
    let mut index = Index::new(N_DIMS, "model");
    for (i, vector) in vectors.iter().enumerate() {
        let text = ["the ferry costs six crowns", "the lighthouse was built of granite", "nothing"][i.min(2)];
        add(&mut index, i as u32, text, vector).unwrap();
    }
    let first = |text, vector: usize, context| {
        let vector = axis(vector);
        let query = Query { text, vector: Some(&vector), context };
        index.search(query, &SearchOptions::default()).unwrap().hits[0].chunk.source
    };
    let before = Some(("When does the ferry go?", vectors[0].as_slice()));
    assert_eq!(first("How much is it?", N_DIMS - 1, before), 0);
    assert_eq!(first("How much is it?", 19, None), 19);
    assert_eq!(first("How was the lighthouse built?", 1, before), 1);
    let short = Query { text: "it", vector: None, context: Some(("ferry", &[1.0])) };
    assert_eq!(index.search(short, &SearchOptions::default()).unwrap_err().code(), "index-dimension");
}
