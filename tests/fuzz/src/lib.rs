//! What fuzz targets share: the promises of an extraction, and well-formed files around the bytes that are changed.

pub mod index;
pub mod package;
pub mod pdf;

use lectern_corpus::{Document, extract};

/// Reads bytes as the file `name` and holds what comes to what every extraction promises.
pub fn check_extract(name: &str, bytes: &[u8]) {
    if let Ok(document) = extract(name, bytes, None) {
        check(&document);
    }
}

/// As [`check_extract`] for formats that are text, of which every input is some: what is none would be read by guesses,
/// which is the matter of a target of its own.
pub fn check_written(name: &str, bytes: &[u8]) {
    check_extract(name, String::from_utf8_lossy(bytes).as_bytes());
}

fn check(document: &Document) {
    let text = &document.text;
    assert!(!text.trim().is_empty(), "a document has text");
    let mut last = 0;
    for section in &document.sections {
        let part = section.span.of(text).expect("a section lies in the text, between characters");
        assert!(!part.is_empty() && section.span.start >= last, "sections come in order and hold something");
        last = section.span.start;
    }
    assert!(document.pages.is_sorted() && document.pages.iter().all(|&at| text.is_char_boundary(at)));
}
