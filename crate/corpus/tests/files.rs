//! The files that people drop: what the development data promises of each, and that no damage to them does harm.

use std::{
    io::{Read, Write},
    path::PathBuf,
};

use lectern_corpus::{ChunkOptions, Document, Format, chunk, expand, extract};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

fn data() -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    assert!(path.is_dir(), "the development data is missing: {} should be a folder", path.display());
    path
}

fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(data().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn lines(path: &str) -> Vec<Value> {
    String::from_utf8(bytes(path)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn without_space(text: &str) -> String {
    text.split_whitespace().collect()
}

/// What is wrong with one row of the manifest, if anything.
fn complaint(row: &Value) -> Option<String> {
    let file = row["file"].as_str()?;
    let read = extract(file, &bytes(&format!("files/{file}")), None);
    let code = read.as_ref().err().map(|error| error.code());
    let fits = match row["expect"].as_str()? {
        "text" => code.is_none(),
        "no_text" => code == Some("file-no-text"),
        "empty" => code == Some("file-empty"),
        "password" => code == Some("file-password"),
        "error" => code.is_some(),
        _ => true,
    };
    if !fits {
        return Some(format!("{file}: {} expected, {read:?}", row["expect"]));
    }
    let text = without_space(&read.ok()?.text);
    let promised = row["must_contain"].as_array().into_iter().flatten().filter_map(Value::as_str);
    promised
        .filter(|promise| !text.contains(&without_space(promise)))
        .map(|promise| format!("{file}: {promise:?} is not in the text"))
        .next()
}

#[test]
fn every_file_keeps_its_promise() {
    let rows = lines("files/manifest.jsonl");
    let is_read_here = |row: &&Value| row["kind"] != "pdf" || row["file"] == "html-named.pdf";
    let complaints: Vec<String> = rows.iter().filter(is_read_here).filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(rows.iter().filter(is_read_here).count() >= 35);
}

#[test]
fn every_passage_is_found_verbatim() {
    let passages = lines("qa/squad2.passages.jsonl");
    for file in lines("qa/squad2.files.jsonl") {
        let name = file["file"].as_str().unwrap();
        if name.ends_with(".pdf") {
            continue;
        }
        let document = extract(name, &bytes(&format!("qa/squad2.files/{name}")), None).unwrap();
        let text = without_space(&document.text);
        let wanted = passages.iter().filter(|passage| passage["doc_id"] == file["doc_id"]);
        let lost: Vec<&str> = wanted
            .filter_map(|passage| passage["text"].as_str())
            .filter(|passage| !text.contains(&without_space(passage)))
            .collect();
        assert!(lost.is_empty(), "{name}: {} passages lost, such as {:?}", lost.len(), lost[0]);
    }
}

#[test]
fn encodings_are_read_as_the_references_say() {
    for row in lines("files/manifest.jsonl") {
        let (Some(file), Some(reference)) = (row["file"].as_str(), row["reference"].as_str()) else { continue };
        if row["kind"] != "text" {
            continue;
        }
        let document = extract(file, &bytes(&format!("files/{file}")), None).unwrap();
        let expected = String::from_utf8(bytes(&format!("files/reference/{reference}"))).unwrap();
        assert_eq!(without_space(&document.text), without_space(expected.trim_start_matches('\u{FEFF}')), "{file}");
        let is_ambiguous = file.starts_with("cp1251") || file.starts_with("latin1");
        assert_eq!(!document.warnings.is_empty(), is_ambiguous, "{file}: {:?}", document.warnings);
    }
}

/// What every extraction promises, and that it can be cut into chunks.
fn check(document: &Document) {
    assert!(!document.text.trim().is_empty());
    let mut last = 0;
    for section in &document.sections {
        assert!(section.span.of(&document.text).is_some_and(|text| !text.is_empty()), "{section:?}");
        assert!(section.span.start >= last);
        last = section.span.start;
    }
    chunk(document, &ChunkOptions::default(), &|text| text.len() / 4);
}

#[test]
fn every_text_can_be_cut_and_cited() {
    for row in lines("files/manifest.jsonl") {
        let file = row["file"].as_str().unwrap();
        if let Ok(document) = extract(file, &bytes(&format!("files/{file}")), None) {
            check(&document);
        }
    }
}

#[test]
fn a_lying_name_does_not_matter() {
    let word = bytes("files/pandoc-lists.docx");
    assert_eq!(extract("notes.txt", &word, None).unwrap().format, Format::Docx);
    let page = bytes("files/html-named.pdf");
    assert_eq!(extract("html-named.pdf", &page, None).unwrap().format, Format::Html);
}

/// Files that stand for their formats, small enough to be damaged many times.
const SAMPLES: [&str; 14] = [
    "pandoc-lists.docx",
    "pandoc-notes.docx",
    "pandoc-tables.docx",
    "word-comments.docx",
    "truncated.docx",
    "wasteland.epub",
    "saved-v8-blog.html",
    "saved-rtl-1.html",
    "spectrum-comma_in_quotes.csv",
    "front-matter-material-blog.md",
    "code-bisect.py",
    "cp1251-russian.txt",
    "utf16le-bom-chinese.txt",
    "binary-named.txt",
];
/// Names under which any bytes may come.
const NAMES: [&str; 12] =
    ["a.md", "a.html", "a.csv", "a.json", "a.rst", "a.adoc", "a.py", "a.rs", "a.c", "a.java", "a.txt", "a"];

/// One damage: where, what kind, and how much.
type Damage = (Index, Index, u8, u8);

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>(), any::<u8>()), 1..6)
}

/// Flips, cuts, repeats and splices bytes.
fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for (at, other, kind, value) in damages {
        if bytes.is_empty() {
            break;
        }
        let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
        let end = (at + usize::from(*value)).min(bytes.len());
        match kind % 6 {
            0 => bytes[at] ^= 1 << (value % 8),
            1 => bytes[at] = *value,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(other..other, part);
            }
            _ => drop(bytes.splice(at..end, b"<w:p>{\"[`|,\n".iter().copied())),
        }
    }
    bytes
}

fn read_all(name: &str, bytes: &[u8]) {
    if let Ok(document) = extract(name, bytes, None) {
        check(&document);
    }
    if let Ok(files) = expand(name, bytes, Some("x")) {
        files.take(8).for_each(drop);
    }
}

/// The same ZIP file with one of its parts damaged and all checksums right.
fn with_damaged_part(bytes: &[u8], part: Index, damages: &[Damage]) -> Vec<u8> {
    let archive = rawzip::ZipArchive::from_slice(bytes).unwrap();
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().unwrap() {
        let name = String::from_utf8(entry.file_path().as_bytes().to_vec()).unwrap();
        if [".xml", ".rels", ".xhtml", ".opf"].iter().any(|end| name.ends_with(end)) {
            let mut content = Vec::new();
            let packed = archive.get_entry(entry.wayfinder()).unwrap();
            flate2::read::DeflateDecoder::new(packed.data()).read_to_end(&mut content).unwrap();
            texts.push((name, content));
        }
    }
    let chosen = part.index(texts.len());
    texts[chosen].1 = damaged(std::mem::take(&mut texts[chosen].1), damages);
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    for (name, content) in texts {
        let (mut entry, config) = archive.new_file(name.as_str()).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(&content).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(file in prop::sample::select(&SAMPLES[..]), damages in damages()) {
        read_all(file, &damaged(bytes(&format!("files/{file}")), &damages));
    }

    #[test]
    fn damaged_parts_never_panic(
        file in prop::sample::select(vec!["pandoc-lists.docx", "pandoc-notes.docx", "word-comments.docx", "wasteland.epub"]),
        part in any::<Index>(),
        damages in damages(),
    ) {
        read_all(file, &with_damaged_part(&bytes(&format!("files/{file}")), part, &damages));
    }

    #[test]
    fn files_under_another_name_never_panic(
        file in prop::sample::select(&SAMPLES[..]),
        name in prop::sample::select(&NAMES[..]),
        damages in damages(),
    ) {
        read_all(name, &damaged(bytes(&format!("files/{file}")), &damages));
    }

    #[test]
    fn arbitrary_syntax_never_panics(
        parts in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", "\"", ":", ",", ";", "\t", "|", "\n", "\n\n", "  ", "a", "\u{e9}", "\u{65e5}\u{672c}", "1", "null",
            "\\u00", "fn ", "class A", "def f(", "(", ")", "=> {", "impl ", "pub(", "const X = ", "func (", "//", "/*", "#[", "@x",
            ".. ", "::", "===", "---", "+--+", "`", "``", "*", "**", "<", ">", ":ref:`", ".. code::", "- ", "1. ", "= T", "== U",
            "----", "|===", "////", "[a]", "<<", ">>", "link:", "https://x[", "\u{200b}", "\u{a0}", "\r", "'", "sep=",
        ]), 0..80),
        name in prop::sample::select(&NAMES[..]),
    ) {
        read_all(name, parts.concat().as_bytes());
    }
}
