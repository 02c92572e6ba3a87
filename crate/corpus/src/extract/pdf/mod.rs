//! PDF → text: glyphs with their places → lines → columns in reading order → paragraphs and headings.
//!
//! One parser serves the page and the command line, `hayro-syntax` with `hayro-font`, since it reads as well as what it
//! was measured against: 20 files of many makers with 20 strings to be found, and two articles of 71 paragraphs, in one
//! column and in two, to be found word for word.
//!
//! | | strings | paragraphs | milliseconds for all | panics |
//! |---|---|---|---|---|
//! | this module | 20 | 71 | 140 | 0 |
//! | pdf.js 5.6 | 20 | 67 | 5,380 | 0 |
//! | `pdf_oxide` 0.3 | 19 | 67 | 780 | 0 |
//! | `pdf-extract` 0.12 | 12 | 67 | 42 | 1 |
//!
//! The four paragraphs run over a page's end, where the others leave a running header or a page number within.
//! The time of pdf.js is that of one process per file.

mod arabic;
#[cfg(test)]
mod assemble;
mod content;
mod document;
mod fonts;
mod furniture;
mod glyph;
mod inline;
mod letters;
mod line;
mod matrix;
mod meta;
mod open;
mod order;
mod paragraph;
mod stream;
mod whole;

use self::{content::Reader, document::Assembled, line::Line, paragraph::Words, whole::Flaw};
use super::{Extracted, Format, Read, limits::MAX_TEXT_BYTES};
use crate::CorpusError;

pub(super) use self::open::start;

/// Pages that are read; a book of more is read up to here.
const MAX_PAGES: usize = 5_000;
/// A page on which more glyphs than one in this many have no known character cannot be read.
const UNKNOWN_SHARE: usize = 4;

/// Reads a PDF that begins at the first byte.
///
/// # Errors
/// `file-password`, `file-damaged`, `file-too-large`; of a file whose bytes are all there `file-no-text` where its pages
/// hold only pictures, and `file-empty` where they hold nothing.
pub(super) fn extract(bytes: &[u8], password: Option<&str>) -> Result<Read, CorpusError> {
    let flaw = whole::flaw(bytes);
    let pdf = open::open(bytes, password, flaw)?;
    let n_pages = pdf.pages().len();
    let mut reader = Reader::new();
    let title = meta::title(&pdf, &mut reader.budget);
    let mut report = Report { flaw, ..Report::default() };
    let mut pages: Vec<Vec<Line>> = Vec::new();
    let mut n_bytes = 0;
    for (i, page) in pdf.pages().iter().take(MAX_PAGES).enumerate() {
        let content = reader.read(page);
        let n_glyphs = content.glyphs.len();
        let lines = line::lines(&content.glyphs);
        n_bytes += lines.iter().map(|line| line.text.len()).sum::<usize>();
        report.note(i, &content, n_glyphs, lines.is_empty());
        pages.push(lines);
        if n_bytes > MAX_TEXT_BYTES {
            break;
        }
    }
    report.n_read = pages.len();
    report.is_exceeded = reader.budget.is_exceeded;
    furniture::remove(&mut pages);
    let words = Words::of(pages.iter().flatten());
    let Assembled { text, sections, pages } = document::assemble(pages, &words, &meta::outline(&pdf));
    if text.is_empty() {
        return Err(report.refusal(n_pages));
    }
    let mut pages = pages;
    pages.resize(n_pages, text.len());
    Ok(Read {
        format: Format::Pdf,
        extracted: Extracted { text, sections, title },
        pages,
        encoding: None,
        warnings: report.warnings(n_pages),
    })
}

/// What could not be read, by page from 0.
#[derive(Default)]
struct Report {
    flaw: Option<Flaw>,
    cut: Vec<usize>,
    without_text: Vec<usize>,
    unknown: Vec<usize>,
    has_drawings: bool,
    n_read: usize,
    is_exceeded: bool,
}

impl Report {
    fn note(&mut self, page: usize, content: &content::PageContent, n_glyphs: usize, is_empty: bool) {
        let is_unknown = content.glyphs.n_unknown * UNKNOWN_SHARE > n_glyphs && content.glyphs.n_unknown > 8;
        self.has_drawings |= content.has_drawings;
        if content.is_cut {
            self.cut.push(page);
        } else if is_unknown {
            self.unknown.push(page);
        } else if is_empty && content.has_drawings {
            self.without_text.push(page);
        }
    }

    /// Why there is no text at all.
    fn refusal(&self, n_pages: usize) -> CorpusError {
        let pages = if n_pages == 1 { "one page".to_owned() } else { format!("{n_pages} pages") };
        if self.is_exceeded {
            CorpusError::TooLarge {
                reason: format!("unpacked, a page has more than {} MB", stream::MAX_STREAM_BYTES >> 20),
            }
        } else if let Some(flaw) = self.flaw {
            // Text may have been in what is missing: what is left says nothing of the whole.
            CorpusError::Damaged { reason: flaw.reason().to_owned() }
        } else if !self.cut.is_empty() {
            CorpusError::Damaged { reason: format!("nothing on its {pages} could be read") }
        } else if !self.unknown.is_empty() {
            CorpusError::NoText {
                what: format!("shapes of letters on {pages}, whose fonts do not say which letters they are"),
            }
        } else if self.has_drawings {
            CorpusError::NoText { what: format!("a scan of {pages}") }
        } else {
            CorpusError::Empty
        }
    }

    fn warnings(&self, n_pages: usize) -> Vec<String> {
        let mut warnings: Vec<String> = self.flaw.iter().map(|flaw| flaw.warning().to_owned()).collect();
        if !self.cut.is_empty() {
            warnings.push(format!(
                "{} could not be read in full: the file is damaged there, or too large.",
                named(&self.cut)
            ));
        }
        if !self.unknown.is_empty() {
            warnings.push(format!(
                "On {} letters are missing: the fonts do not say which letters their shapes are.",
                named(&self.unknown).to_lowercase()
            ));
        }
        if !self.without_text.is_empty() {
            warnings.push(format!(
                "{} no text, only pictures. Have the text recognised (OCR) by another program to find it.",
                if self.without_text.len() == 1 {
                    named(&self.without_text) + " holds"
                } else {
                    named(&self.without_text) + " hold"
                }
            ));
        }
        if self.n_read < n_pages {
            warnings.push(format!("Of {n_pages} pages the first {} were read; the rest was left out.", self.n_read));
        }
        warnings
    }
}

/// `Page 3` or `Pages 1, 4–6`.
fn named(pages: &[usize]) -> String {
    const MAX_NAMED: usize = 12;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == page => *last = page,
            _ => runs.push((page, page)),
        }
    }
    let mut parts: Vec<String> = runs
        .iter()
        .take(MAX_NAMED)
        .map(|&(first, last)| match first == last {
            true => format!("{}", first + 1),
            false => format!("{}–{}", first + 1, last + 1),
        })
        .collect();
    if runs.len() > MAX_NAMED {
        parts.push("and others".to_owned());
    }
    format!("{} {}", if pages.len() == 1 { "Page" } else { "Pages" }, parts.join(", "))
}

#[cfg(test)]
mod tests;
