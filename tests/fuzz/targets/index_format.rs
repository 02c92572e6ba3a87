//! What an index stores and hands to workers. The first byte chooses the kind, the rest is what its envelope holds.

#![no_main]

use lectern_fuzz::index::{N_DIMS, Stored, sealed, small_index};
use lectern_index::{DenseMode, Index, Query, SearchOptions, SegmentOptions, build_segment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, payload)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => read_index(&sealed(Stored::Index, payload)),
        1 => {
            if let Ok(built) = build_segment(&sealed(Stored::Job, payload)) {
                let _ = small_index().install_segment(&built);
            }
        }
        _ => {
            let mut index = small_index();
            if index.install_segment(&sealed(Stored::Segment, payload)).is_ok() {
                search(&index);
            }
        }
    }
});

fn read_index(bytes: &[u8]) {
    let Ok(mut index) = Index::from_bytes(bytes) else { return };
    search(&index);
    index.remove(&[0, 2]);
    search(&index);
    let _ = index.next_segment_job(&SegmentOptions { segment_len: 2, min_chunks: 1, ..SegmentOptions::default() });
    let again = Index::from_bytes(&index.to_bytes()).expect("what is stored can be read");
    assert_eq!((again.len(), again.n_chunks()), (index.len(), index.n_chunks()));
}

/// Searches by words and vectors, of the index's own dimensions where those are the small index's.
fn search(index: &Index) {
    let vector = [1.0 / (N_DIMS as f32).sqrt(); N_DIMS];
    for dense in [DenseMode::Exact, DenseMode::Graph] {
        let options = SearchOptions { k: 3, dense, diversity: 0.5, ..SearchOptions::default() };
        for vector in [None, Some(&vector[..])] {
            if let Ok(found) = index.search(Query::new("the keeper of the light", vector), &options) {
                assert!(found.hits.len() <= 3 && found.hits.iter().all(|hit| (hit.chunk as usize) < index.n_chunks()));
            }
        }
    }
}
