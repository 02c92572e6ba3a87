//! Cutting into passages; the first two bytes choose how.

#![no_main]

use lectern_corpus::{Chunk, ChunkOptions, Document, chunk, extract};
use libfuzzer_sys::fuzz_target;

/// Most bytes of a sentence for each of its tokens: the counter below gives one to seven bytes, and none to fewer than
/// four, which the chunker takes for one.
const MAX_BYTES_PER_TOKEN: usize = 7;

fuzz_target!(|bytes: &[u8]| {
    let [how, format, source @ ..] = bytes else { return };
    let options = ChunkOptions { max_tokens: 1 + usize::from(how % 64), overlap_sentences: usize::from(how / 64) };
    let name = ["a.md", "a.txt"][usize::from(format % 2)];
    if let Ok(document) = extract(name, String::from_utf8_lossy(source).as_bytes(), None) {
        check(&document, &chunk(&document, &options, &|text| text.len() / 4), options.max_tokens);
    }
});

fn check(document: &Document, chunks: &[Chunk], max_tokens: usize) {
    let mut is_covered = vec![false; document.text.len()];
    let mut last = (0, 0);
    for chunk in chunks {
        let (start, end) = (chunk.span.start, chunk.span.end);
        let text = chunk.span.of(&document.text).expect("a passage lies in the text, between characters");
        assert!(!text.is_empty() && text.trim() == text, "a passage has no white space at its ends");
        assert!(start >= last.0 && end > last.1, "passages come in order");
        let n_bytes: usize = text.split_whitespace().map(str::len).sum();
        assert!(n_bytes <= max_tokens * MAX_BYTES_PER_TOKEN, "{n_bytes} bytes in {max_tokens} tokens");
        is_covered[start..end].fill(true);
        last = (start, end);
    }
    for (at, c) in document.text.char_indices() {
        assert!(c.is_whitespace() || is_covered[at], "{c:?} at {at} is in no passage");
    }
}
