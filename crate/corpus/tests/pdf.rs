//! PDF files of many makers, which lie beside the repository, and what becomes of them when their bytes are changed.

use std::{fs, path::PathBuf};

use lectern_corpus::{CorpusError, Document, Format, extract};
use proptest::prelude::*;
use serde_json::Value;

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path)
}

fn bytes(path: &str) -> Vec<u8> {
    let path = data(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{} is needed for this test: {error}", path.display()))
}

fn rows(path: &str) -> Vec<Value> {
    let text = String::from_utf8(bytes(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pdf_rows() -> Vec<Value> {
    rows("files/manifest.jsonl").into_iter().filter(|row| row["kind"] == "pdf").collect()
}

fn read(row: &Value, password: Option<&str>) -> Result<Document, CorpusError> {
    let name = row["file"].as_str().unwrap();
    extract(name, &bytes(&format!("files/{name}")), password)
}

/// What every document promises.
fn check(document: &Document) {
    let text = &document.text;
    assert!(!text.trim().is_empty());
    assert!(document.pages.is_sorted() && document.pages.iter().all(|&at| text.is_char_boundary(at)));
    for section in &document.sections {
        assert!(section.span.of(text).is_some_and(|text| text.starts_with(&section.title)));
        assert!(document.format != Format::Pdf || section.page.is_some());
    }
}

#[test]
fn files_of_many_makers_give_their_text_or_say_why_not() {
    for row in pdf_rows() {
        let name = &row["file"];
        let result = read(&row, row["password"].as_str());
        if let Ok(document) = &result {
            check(document);
        }
        match row["expect"].as_str().unwrap() {
            "no_text" => assert_eq!(result.unwrap_err().code(), "file-no-text", "{name}"),
            "error" => assert!(result.is_err(), "{name}"),
            "any" if result.is_err() => {}
            _ => {
                let text = result.unwrap_or_else(|error| panic!("{name}: {error}")).text;
                for wanted in row["must_contain"].as_array().into_iter().flatten() {
                    assert!(text.contains(wanted.as_str().unwrap()), "{name}: {wanted} is not in {text}");
                }
            }
        }
        if row["expect"] == "password" {
            assert_eq!(read(&row, None), Err(CorpusError::Password { is_wrong: false }), "{name}");
            assert_eq!(read(&row, Some("not it")), Err(CorpusError::Password { is_wrong: true }), "{name}");
        }
    }
}

#[test]
fn passages_are_found_word_for_word_in_one_column_and_in_two() {
    let passages = rows("qa/squad2.passages.jsonl");
    for file in rows("qa/squad2.files.jsonl") {
        let name = file["file"].as_str().unwrap();
        if !name.ends_with(".pdf") {
            continue;
        }
        let document = extract(name, &bytes(&format!("qa/squad2.files/{name}")), None).unwrap();
        check(&document);
        let text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for passage in passages.iter().filter(|passage| passage["doc_id"] == file["doc_id"]) {
            let wanted = passage["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(&wanted), "{name} lacks {}: {wanted}", passage["passage_id"]);
        }
    }
}

/// One change of a file's bytes; places are parts of its length.
#[derive(Debug, Clone)]
enum Change {
    Flip { at: f64, bits: u8 },
    Cut { at: f64, n: usize },
    Truncate { at: f64 },
    Insert { at: f64, part: &'static str },
    Splice { at: f64, file: usize, from: f64, n: usize },
    Number { at: f64, number: u64 },
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, files: &[Vec<u8>]) {
        let place = |at: f64, n: usize| ((at * n as f64) as usize).min(n);
        let n = bytes.len();
        match self {
            Self::Flip { at, bits } => {
                if let Some(byte) = bytes.get_mut(place(*at, n)) {
                    *byte ^= bits;
                }
            }
            Self::Cut { at, n: n_cut } => {
                let start = place(*at, n);
                bytes.drain(start..(start + n_cut).min(n));
            }
            Self::Truncate { at } => bytes.truncate(place(*at, n)),
            Self::Insert { at, part } => {
                let at = place(*at, n);
                bytes.splice(at..at, part.bytes());
            }
            Self::Splice { at, file, from, n: n_part } => {
                let other = &files[file % files.len()];
                let start = place(*from, other.len());
                let part = other[start..(start + n_part).min(other.len())].to_vec();
                let at = place(*at, n);
                bytes.splice(at..at, part);
            }
            Self::Number { at, number } => {
                let at = place(*at, n);
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    let start = at + digit;
                    let end = start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    bytes.splice(start..end, number.to_string().into_bytes());
                }
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Change> {
    let parts = [
        "<<",
        ">>",
        "[",
        "]",
        "(",
        " 0 R ",
        " endobj ",
        " stream\n",
        " endstream ",
        "/Kids",
        "/Length 5 0 R",
        "/W",
        "/Prev ",
        "/Filter/FlateDecode",
        " BI ",
        " q ",
        " Do ",
        "((((((((",
        "[[[[[[[[",
        "<<<<<<<<",
    ];
    let at = || 0.0..1.0f64;
    prop_oneof![
        (at(), 1u8..).prop_map(|(at, bits)| Change::Flip { at, bits }),
        (at(), 1usize..400).prop_map(|(at, n)| Change::Cut { at, n }),
        at().prop_map(|at| Change::Truncate { at }),
        (at(), prop::sample::select(parts.to_vec())).prop_map(|(at, part)| Change::Insert { at, part }),
        (at(), any::<usize>(), at(), 1usize..4000).prop_map(|(at, file, from, n)| Change::Splice { at, file, from, n }),
        (at(), prop::sample::select(vec![0, 1, 7, 99_999, 2_147_483_648, 4_294_967_295, u64::MAX]))
            .prop_map(|(at, number)| Change::Number { at, number }),
    ]
}

/// Small files only, so that many changes are tried.
const MAX_BYTES: usize = 50_000;

#[test]
fn changed_bytes_never_panic() {
    let files: Vec<Vec<u8>> = pdf_rows()
        .iter()
        .map(|row| bytes(&format!("files/{}", row["file"].as_str().unwrap())))
        .filter(|bytes| (1..MAX_BYTES).contains(&bytes.len()))
        .collect();
    proptest!(|(file in 0..files.len(), changes in prop::collection::vec(changes(), 1..8))| {
        let mut bytes = files[file].clone();
        for change in &changes {
            change.apply(&mut bytes, &files);
        }
        for password in [None, Some("test"), Some("openpassword")] {
            if let Ok(document) = extract("a.pdf", &bytes, password) {
                check(&document);
            }
        }
    });
}
