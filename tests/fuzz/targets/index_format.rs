//! What an index hands to workers and takes from them. The first byte chooses the kind, the rest is what its envelope
//! holds.

#![no_main]

use lectern_fuzz::index::{N_DIMS, Stored, sealed, small_index};
use lectern_index::{DenseMode, Index, Query, SearchOptions, SegmentOptions, build_segment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, payload)) = bytes.split_first() else { return };
    let built = match kind % 2 {
        0 => match build_segment(&sealed(Stored::Job, payload)) {
            Ok(built) => built,
            Err(_) => return,
        },
        _ => sealed(Stored::Segment, payload),
    };
    let mut index = small_index();
    if index.install_segment(&built).is_err() {
        return;
    }
    search(&index);
    index.remove(0);
    index.remove(2);
    search(&index);
    assert_eq!(index.len(), 4);
    let options = SegmentOptions { segment_len: 2, min_chunks: 1, ..SegmentOptions::default() };
    if let Some(job) = index.next_segment_job(&options).map(|job| job.to_bytes()) {
        index.install_segment(&build_segment(&job).expect("a job of its own")).expect("a graph of its own");
        search(&index);
    }
});

/// Searches by words and vectors.
fn search(index: &Index) {
    let vector = [1.0 / (N_DIMS as f32).sqrt(); N_DIMS];
    for dense in [DenseMode::Exact, DenseMode::Graph] {
        let options = SearchOptions { k: 3, dense, diversity: 0.5, ..SearchOptions::default() };
        for vector in [None, Some(&vector[..])] {
            let found = index.search(Query::new("the keeper of the light", vector), &options).expect("a unit vector");
            assert!(found.hits.len() <= 3 && found.hits.iter().all(|hit| index.has(hit.chunk.source)));
        }
    }
}
