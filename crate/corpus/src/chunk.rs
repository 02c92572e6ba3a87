//! Document → passages: along headings, then paragraphs, then sentences, packed up to a number of
//! tokens.

use serde::Serialize;

use crate::{Document, Format, Section, Span};
use split::{Piece, Splitter, paragraphs};

mod split;

/// How to cut.
///
/// Measured on the development data with all-MiniLM-L6-v2 (256 tokens at most), first hits by words and vectors:
///
/// | tokens, sentences repeated | mdBook | Material for MkDocs | SQuAD 2.0 | CLAP NQ | COVID-QA |
/// |---|---|---|---|---|---|
/// | 128, 0 | 0.88 | 0.88 | 0.89 | 0.96 | 0.78 |
/// | 128, 1 | 0.88 | 0.88 | 0.91 | 0.95 | 0.78 |
/// | 200, 0 | 0.83 | 0.85 | 0.88 | 0.95 | 0.74 |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Upper bound of a chunk, in the tokens that `n_tokens` counts.
    pub max_tokens: usize,
    /// How many sentences of the chunk before are repeated, where a section takes several chunks.
    pub overlap_sentences: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self { max_tokens: 128, overlap_sentences: 1 }
    }
}

/// A passage of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// Without white space at its ends; never empty.
    pub span: Span,
    /// Titles of the sections it lies in, outermost first.
    pub headings: Vec<String>,
}

/// Cuts a document into chunks, in order. Together they hold every character that is not white
/// space; a heading is in the chunk of the text it heads. No chunk crosses into the next section,
/// save that a heading without text of its own goes with the first section below it.
///
/// `n_tokens` is called once per sentence and a chunk's size is the sum over its sentences; only a
/// sentence above `max_tokens` is counted again in halves. A chunk exceeds `max_tokens` only if one
/// character does.
pub fn chunk(document: &Document, options: &ChunkOptions, n_tokens: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    Chunks::new(document, options, n_tokens).flatten().collect()
}

/// As [`chunk`], a few kilobytes of text with each step, which may complete several chunks or none.
pub struct Chunks<'a> {
    packer: Packer<'a>,
    regions: std::vec::IntoIter<Region>,
    /// The region that is being cut, and its paragraphs to come.
    current: Option<(Region, std::vec::IntoIter<Span>)>,
}

impl<'a> Chunks<'a> {
    pub fn new(document: &'a Document, options: &'a ChunkOptions, n_tokens: &'a dyn Fn(&str) -> usize) -> Self {
        let text = document.text.as_str();
        let max_tokens = options.max_tokens.max(1);
        let splitter = Splitter { text, max_tokens, is_wrapped: document.format == Format::Plain, n_tokens };
        Self {
            packer: Packer { options, splitter, current: Vec::new(), spans: Vec::new() },
            regions: regions(text, &document.sections).into_iter(),
            current: None,
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Vec<Chunk>;

    fn next(&mut self) -> Option<Vec<Chunk>> {
        let Some((region, paragraphs)) = &mut self.current else {
            let region = self.regions.next()?;
            let paragraphs = paragraphs(self.packer.splitter.text, region.span).into_iter();
            self.current = Some((region, paragraphs));
            return Some(Vec::new());
        };
        if let Some(paragraph) = paragraphs.next() {
            self.packer.pack(paragraph, region.body);
            return Some(Vec::new());
        }
        self.packer.flush(0);
        self.packer.current.clear();
        let headings = std::mem::take(&mut region.headings);
        self.current = None;
        Some(self.packer.spans.drain(..).map(|span| Chunk { span, headings: headings.clone() }).collect())
    }
}

/// The text from one heading to the next.
struct Region {
    span: Span,
    headings: Vec<String>,
    /// Where the text after the heading lines begins.
    body: usize,
}

fn regions(text: &str, sections: &[Section]) -> Vec<Region> {
    let mut sections: Vec<(usize, &Section)> =
        sections.iter().map(|section| (text.floor_char_boundary(section.span.start), section)).collect();
    sections.sort_by_key(|&(start, _)| start);

    let first = sections.first().map_or(text.len(), |&(start, _)| start);
    let mut regions = vec![Region { span: Span::new(0, first), headings: Vec::new(), body: 0 }];
    let mut path: Vec<&Section> = Vec::new();
    let mut bare: Option<(usize, u8)> = None;
    for (i, &(start, section)) in sections.iter().enumerate() {
        let end = sections.get(i + 1).map_or(text.len(), |&(next, _)| next);
        while path.last().is_some_and(|above| above.level >= section.level) {
            path.pop();
        }
        path.push(section);
        let from = match bare.take() {
            Some((from, level)) if level < section.level => from,
            Some((from, _)) => {
                regions.push(Region {
                    span: Span::new(from, start),
                    headings: titles(&path[..path.len() - 1]),
                    body: start,
                });
                start
            }
            None => start,
        };
        let body = start + heading_len(&text[start..end], &section.title);
        if text[body..end].trim().is_empty() && i + 1 < sections.len() {
            bare = Some((from, section.level));
        } else {
            regions.push(Region { span: Span::new(from, end), headings: titles(&path), body });
        }
    }
    regions
}

fn titles(path: &[&Section]) -> Vec<String> {
    path.iter().filter(|section| !section.title.is_empty()).map(|section| section.title.clone()).collect()
}

/// Bytes that the heading itself takes at the start of its section's text, with its underline.
fn heading_len(text: &str, title: &str) -> usize {
    let mut title_words = title.split_whitespace();
    let mut lines = text.split_inclusive('\n').peekable();
    let mut n_bytes = 0;
    while let Some(line) = lines.next_if(|line| {
        let mut words = line.split_whitespace().peekable();
        words.peek().is_some() && words.all(|word| title_words.next() == Some(word))
    }) {
        n_bytes += line.len();
    }
    let is_underline = |line: &&str| {
        let line = line.trim();
        line.len() >= 3 && (line.bytes().all(|b| b == b'=') || line.bytes().all(|b| b == b'-'))
    };
    if n_bytes > 0
        && let Some(underline) = lines.next_if(is_underline)
    {
        n_bytes += underline.len();
    }
    n_bytes
}

struct Packer<'a> {
    options: &'a ChunkOptions,
    splitter: Splitter<'a>,
    current: Vec<Piece>,
    spans: Vec<Span>,
}

impl Packer<'_> {
    /// A paragraph of a region whose text begins at `body`.
    fn pack(&mut self, paragraph: Span, body: usize) {
        let max_tokens = self.splitter.max_tokens;
        let pieces = self.splitter.pieces(paragraph, max_tokens);
        let n_tokens: usize = pieces.iter().map(|piece| piece.n_tokens).sum();
        let only_heading = self.current.last().is_none_or(|last| last.span.end <= body);
        if self.used() + n_tokens <= max_tokens {
            self.current.extend(pieces);
        } else if n_tokens <= max_tokens && !only_heading {
            self.flush(n_tokens);
            self.current.extend(pieces);
        } else {
            if !only_heading && self.used() * 4 > max_tokens {
                self.flush(0);
            }
            self.pack_sentences(pieces, n_tokens, only_heading);
        }
    }

    /// A paragraph too long for one chunk, in chunks of about equal size.
    fn pack_sentences(&mut self, pieces: Vec<Piece>, n_tokens: usize, mut only_heading: bool) {
        let max_tokens = self.splitter.max_tokens;
        let total = self.used() + n_tokens;
        let target = total.div_ceil(total.div_ceil(max_tokens));
        for piece in pieces {
            let used = self.used();
            let fits = used + piece.n_tokens <= max_tokens;
            if fits && (used < target || only_heading) {
                self.current.push(piece);
            } else if only_heading && used * 2 <= max_tokens && !self.current.is_empty() {
                // A heading is not left alone: the sentence after it is cut to fit with it.
                for part in self.splitter.halve_until(piece.span, max_tokens - used) {
                    if self.used() + part.n_tokens > max_tokens {
                        self.flush(0);
                    }
                    self.current.push(part);
                }
            } else {
                self.flush(piece.n_tokens);
                self.current.push(piece);
            }
            only_heading = false;
        }
    }

    fn used(&self) -> usize {
        self.current.iter().map(|piece| piece.n_tokens).sum()
    }

    /// Closes the current chunk. The next one starts with the sentences that overlap, as far as they
    /// leave room for `n_next` tokens.
    fn flush(&mut self, n_next: usize) {
        let (Some(first), Some(last)) = (self.current.first(), self.current.last()) else {
            return;
        };
        let span = Span::new(first.span.start, last.span.end);
        if self.spans.last().is_none_or(|before| before.end < span.end) {
            self.spans.push(span);
        }
        let mut from = self.current.len();
        let mut n_tokens = n_next;
        let limit = if n_next == 0 { 0 } else { self.options.overlap_sentences };
        while from > 1 && self.current.len() - from < limit {
            n_tokens += self.current[from - 1].n_tokens;
            if n_tokens > self.splitter.max_tokens {
                break;
            }
            from -= 1;
        }
        self.current.drain(..from);
    }
}

#[cfg(test)]
mod tests;
