//! Bytes of a file → a [`Document`].

mod asciidoc;
mod builder;
mod code;
mod csv;
mod docx;
mod epub;
mod html;
mod json;
mod limits;
mod markdown;
mod package;
mod packed;
#[cfg(feature = "pdf")]
mod pdf;
mod plain;
mod rst;
mod salvage;
mod xml;

pub(crate) use limits::{MAX_ENTRIES, MAX_TOTAL_BYTES};
#[cfg(test)]
pub(crate) use package::tests::{pack, pack_aes, pack_bytes, pack_locked};
pub(crate) use package::{Package, is_zip};
pub(crate) use packed::{Kind, kind};
pub(crate) use salvage::salvaged;
use serde::{Deserialize, Serialize};

use crate::{CorpusError, Section, decode::decode, language::language};

/// What a file's text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Markdown,
    Html,
    Plain,
    /// reStructuredText.
    Rst,
    AsciiDoc,
    /// Comma- or tab-separated values.
    Csv,
    Json,
    /// Source code.
    Code,
    Docx,
    Epub,
    Pdf,
}

impl Format {
    /// By the name's extension; where that says nothing, by whether the bytes open like an HTML page.
    pub fn from_name(name: &str, bytes: &[u8]) -> Self {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
        match extension.as_deref() {
            Some("md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd") => Self::Markdown,
            Some("html" | "htm" | "xhtml" | "xht") => Self::Html,
            Some("rst" | "rest") => Self::Rst,
            Some("adoc" | "asciidoc" | "asc") => Self::AsciiDoc,
            Some("csv" | "tsv" | "tab") => Self::Csv,
            Some("json" | "jsonl" | "ndjson" | "geojson" | "ipynb") => Self::Json,
            Some("txt" | "text" | "log") => Self::Plain,
            Some(extension) if code::is_code(extension) => Self::Code,
            _ if opens_like_html(bytes) => Self::Html,
            _ => Self::Plain,
        }
    }
}

/// A file, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Bytes of the file.
    pub n_bytes: usize,
    /// Readable plain text, block elements a blank line apart. Never empty. All spans refer to it.
    pub text: String,
    /// In order of appearance; deeper ones lie within the ones above them.
    pub sections: Vec<Section>,
    /// Where each page begins, from page 1 on; empty where the format has no pages.
    pub pages: Vec<usize>,
    /// From front matter, `<title>` or the first top-level heading.
    pub title: Option<String>,
    pub format: Format,
    /// ISO 639-1 code of the language it is written in, where that is certain.
    pub language: Option<String>,
    /// The name of the encoding in the Encoding Standard; none where the format has its own.
    pub encoding: Option<String>,
    /// Sentences for people: what was guessed and what was lost.
    pub warnings: Vec<String>,
}

/// Text with its structure, before the file's own facts are added.
struct Extracted {
    text: String,
    sections: Vec<Section>,
    title: Option<String>,
}

/// Reads a file. `name` serves only to tell its format; `password` opens a file that is locked.
///
/// # Errors
/// `file-empty` without a word of text, `file-no-text` where there are pictures only, `file-password` for a locked file
/// and a password that is missing or wrong, `file-damaged`, `file-too-large`, `file-binary`, `file-undecodable`, and
/// `file-unsupported` for formats that are known and not read here.
pub fn extract(name: &str, bytes: &[u8], password: Option<&str>) -> Result<Document, CorpusError> {
    let Read { format, mut extracted, mut pages, encoding, mut warnings } = read(name, bytes, password)?;
    limits::cut_long_text(&mut extracted, &mut warnings);
    limits::cut_sections(&mut extracted, &mut warnings);
    if extracted.text.trim().is_empty() {
        return Err(CorpusError::Empty);
    }
    let text_len = extracted.text.len();
    pages.iter_mut().for_each(|start| *start = (*start).min(text_len));
    for section in &mut extracted.sections {
        let n = pages.partition_point(|&start| start <= section.span.start);
        section.page = u32::try_from(n).ok().filter(|&n| n > 0);
    }
    // A file of code is not called after its first function.
    let first_heading = extracted.sections.iter().find(|section| section.level == 1).filter(|_| format != Format::Code);
    Ok(Document {
        n_bytes: bytes.len(),
        title: extracted.title.or_else(|| first_heading.map(|section| section.title.clone())),
        language: language(&extracted.text).map(str::to_owned),
        text: extracted.text,
        sections: extracted.sections,
        pages,
        format,
        encoding,
        warnings,
    })
}

/// What one of the readers makes of a file.
struct Read {
    format: Format,
    extracted: Extracted,
    pages: Vec<usize>,
    encoding: Option<String>,
    warnings: Vec<String>,
}

fn read(name: &str, bytes: &[u8], password: Option<&str>) -> Result<Read, CorpusError> {
    #[cfg(feature = "pdf")]
    if let Some(start) = pdf::start(name, bytes) {
        return pdf::extract(&bytes[start..], password);
    }
    if package::is_zip(bytes) {
        let (format, extracted, warnings) = packed::extract(bytes, password)?;
        return Ok(Read { format, extracted, pages: Vec::new(), encoding: None, warnings });
    }
    written(name, bytes)
}

/// Reads a file that is text as it stands, with the name of its encoding and warnings.
fn written(name: &str, bytes: &[u8]) -> Result<Read, CorpusError> {
    if let Some(kind) = unsupported_kind(bytes) {
        return Err(CorpusError::Unsupported { kind });
    }
    let mut decoded = decode(bytes)?;
    let format = Format::from_name(name, decoded.text.as_bytes());
    let extracted = match format {
        Format::Markdown => markdown::extract(&decoded.text),
        Format::Html => html::extract(&decoded.text),
        Format::Rst => rst::extract(&decoded.text),
        Format::AsciiDoc => asciidoc::extract(&decoded.text),
        Format::Code => code::extract(name, &decoded.text),
        Format::Csv => csv::extract(&decoded.text, &mut decoded.warnings),
        Format::Json => json::extract(&decoded.text, &mut decoded.warnings).unwrap_or_else(|| {
            decoded.warnings.push("The file is not valid JSON; it was read as plain text.".to_owned());
            plain::extract(&decoded.text)
        }),
        _ => plain::extract(&decoded.text),
    };
    let encoding = Some(decoded.encoding.to_owned());
    Ok(Read { format, extracted, pages: Vec::new(), encoding, warnings: decoded.warnings })
}

/// Formats that are told by their first bytes and read elsewhere or not at all.
fn unsupported_kind(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 7] = [
        // Where it is read, it never comes here.
        (b"%PDF-", "PDF"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "Old Office"),
        (b"{\\rtf", "RTF"),
        (b"\x1F\x8B", "Gzip"),
        (b"\x89PNG\r\n", "Picture"),
        (b"\xFF\xD8\xFF", "Picture"),
        (b"GIF8", "Picture"),
    ];
    match MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, "Old Office")) if is_locked_office(bytes) => Some("Password-protected Office"),
        found => found.map(|&(_, kind)| kind),
    }
}

/// A new Office document under a password is an old one that holds a stream of this name.
fn is_locked_office(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(name.len()).any(|window| window == name)
}

fn opens_like_html(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]);
    let head = head.trim_start_matches('\u{FEFF}').trim_start().to_ascii_lowercase();
    let is_xhtml = head.starts_with("<?xml") && head.contains("<html");
    is_xhtml || head.starts_with("<!doctype html") || head.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_name_tells_the_format_and_the_bytes_where_it_does_not() {
        assert_eq!(Format::from_name("Read Me.MD", b""), Format::Markdown);
        assert_eq!(Format::from_name("a.b.htm", b""), Format::Html);
        assert_eq!(Format::from_name("notes", b"plain"), Format::Plain);
        assert_eq!(Format::from_name("page.pdf", b"\n<!DOCTYPE HTML><p>x"), Format::Html);
        assert_eq!(Format::from_name("page.txt", b"<html>"), Format::Plain);
    }

    #[test]
    fn every_refusal_has_its_code() {
        let code = |name, bytes: &[u8]| extract(name, bytes, None).unwrap_err().code();
        assert_eq!(code("a.md", b" \n\t\n "), "file-empty");
        assert_eq!(code("a.html", b"<script>1</script><img src=x>"), "file-empty");
        assert_eq!(code("a.txt", b""), "file-empty");
        assert_eq!(code("a.pdf", b"%PDF-1.7"), "file-damaged");
        assert_eq!(code("a.txt", &[7; 90]), "file-binary");
        assert_eq!(code("a.txt", b"\xFF\xFE\x00\xD8\x00\xD8\x00\xD8\x00\xD8"), "file-undecodable");
    }

    /// What every extraction promises.
    fn check(document: &Document) {
        assert!(!document.text.trim().is_empty());
        let mut last = 0;
        for section in &document.sections {
            assert!(section.span.of(&document.text).is_some_and(|text| !text.is_empty()));
            assert!(section.span.start >= last);
            last = section.span.start;
        }
        assert!(document.pages.is_sorted() && document.pages.iter().all(|&at| document.text.is_char_boundary(at)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            name in prop::sample::select(vec!["a.md", "a.html", "a.txt", "a"]),
        ) {
            if let Ok(document) = extract(name, &bytes, None) {
                check(&document);
            }
        }

        #[test]
        fn arbitrary_markup_never_panics(
            parts in prop::collection::vec(prop::sample::select(vec![
                "# ", "## é", "\n", "\n\n", "- ", "1. ", "| a | b |\n|--|--|\n", "```", "> ", "---\n",
                "<div>", "</div>", "<h1>", "</h1>", "<nav>", "</nav>", "<main>", "</main>", "<ul><li>",
                "</ul>", "<pre>", "<td>", "<script>", "</script>", "<!--", "-->", "<title>", "日本",
                " word ", "&amp;", "[^1]", "[^1]: ", "title: x\n", "===\n", "<p hidden>", "\u{200B}",
            ]), 0..60),
            name in prop::sample::select(vec!["a.md", "a.html", "a.txt"]),
        ) {
            if let Ok(document) = extract(name, parts.concat().as_bytes(), None) {
                check(&document);
            }
        }
    }
}
