//! What an index hands over and stores, and how bytes get into its envelope: its checksum would stop them otherwise.

use lectern_index::{Entry, Index, Language, SegmentOptions, build_segment};

pub const N_DIMS: usize = 4;
/// Of the envelope: kind, version, checksum.
const HEADER_LEN: usize = 16;
const CHECKSUM_AT: usize = 12;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Job,
    Segment,
}

/// An index of six sources of one chunk each.
pub fn small_index() -> Index {
    let mut index = Index::new(N_DIMS, "model");
    for i in 0..6u8 {
        let mut vector = [0.0; N_DIMS];
        vector[usize::from(i) % N_DIMS] = 0.8;
        vector[usize::from(i + 1 + i / 4) % N_DIMS] = 0.6;
        let language = if i == 5 { Language::German } else { Language::English };
        let text = format!("The keeper of light {i} writes page {}", i % 2);
        let entry = Entry { text: &text, names: "Keepers", language, vector: &vector };
        index.add(u32::from(i), &[entry]).expect("a unit vector");
    }
    index
}

/// A job that the small index gives, or the graph that comes of it.
pub fn stored(kind: Stored) -> Vec<u8> {
    let options =
        SegmentOptions { segment_len: 4, max_segment_len: 4, min_chunks: 1, ef_construction: 4 };
    let job = small_index().next_segment_job(&options).expect("enough chunks for a graph").to_bytes();
    match kind {
        Stored::Segment => build_segment(&job).expect("a job of its own"),
        Stored::Job => job,
    }
}

/// What lies in the envelope of `stored(kind)`.
pub fn payload(kind: Stored) -> Vec<u8> {
    stored(kind).split_off(HEADER_LEN)
}

/// `payload` in an envelope of that kind whose checksum is right.
pub fn sealed(kind: Stored, payload: &[u8]) -> Vec<u8> {
    static HEADERS: std::sync::OnceLock<[[u8; HEADER_LEN]; 2]> = std::sync::OnceLock::new();
    let header = |kind| *stored(kind).first_chunk().expect("an envelope has a header");
    let headers = HEADERS.get_or_init(|| [Stored::Job, Stored::Segment].map(header));
    let mut bytes = [&headers[kind as usize], payload].concat();
    bytes[CHECKSUM_AT..HEADER_LEN].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes
}
