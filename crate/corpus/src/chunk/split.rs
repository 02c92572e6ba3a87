//! Text → paragraphs → sentences, or parts of sentences too long to stay whole.

use unicode_segmentation::UnicodeSegmentation;

use crate::Span;

/// Text counts at least one token in this many bytes, whatever the tokenizer says: one that reads a
/// line of noise as a single unknown token must not make a passage of a megabyte.
pub(super) const MAX_BYTES_PER_TOKEN: usize = 16;
/// A plain-text line at least this long (in bytes) was wrapped: its end is no sentence's end.
const MIN_WRAPPED_BYTES: usize = 40;
/// A paragraph longer than this (in bytes) is cut where white space or at least a character ends: a log of a megabyte
/// must not be one long step.
const MAX_PARAGRAPH_BYTES: usize = 16 << 10;
/// How far (in bytes) from the middle of a spaceless run a word boundary is looked for.
const WORD_WINDOW_BYTES: usize = 96;

/// A sentence or a part of one.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub span: Span,
    pub n_tokens: usize,
}

/// Cuts text into pieces and counts them.
#[derive(Clone, Copy)]
pub(super) struct Splitter<'a> {
    pub text: &'a str,
    pub max_tokens: usize,
    /// Lines may end anywhere in a sentence.
    pub is_wrapped: bool,
    pub n_tokens: &'a dyn Fn(&str) -> usize,
}

impl Splitter<'_> {
    /// The sentences of a paragraph, none above `max_tokens`.
    pub fn pieces(&self, paragraph: Span, max_tokens: usize) -> Vec<Piece> {
        let text = &self.text[paragraph.start..paragraph.end];
        let joined = if self.is_wrapped { join_wrapped_lines(text) } else { None };
        let mut pieces = Vec::new();
        for (start, sentence) in joined.as_deref().unwrap_or(text).split_sentence_bound_indices() {
            let start = paragraph.start + start;
            let span = Span::new(start, start + sentence.len()).trimmed(self.text);
            if !span.is_empty() {
                pieces.extend(self.halve_until(span, max_tokens));
            }
        }
        pieces
    }

    /// Halves a span at word boundaries until each part has at most `max_tokens`.
    pub fn halve_until(&self, span: Span, max_tokens: usize) -> Vec<Piece> {
        let mut parts = Vec::new();
        let mut waiting = vec![span];
        while let Some(span) = waiting.pop() {
            let n_tokens = self.count(span, max_tokens);
            match split_point(&self.text[span.start..span.end]) {
                Some(middle) if n_tokens > max_tokens => {
                    let middle = span.start + middle;
                    let halves = [Span::new(middle, span.end), Span::new(span.start, middle)];
                    waiting
                        .extend(halves.map(|half| half.trimmed(self.text)).into_iter().filter(|half| !half.is_empty()));
                }
                _ => parts.push(Piece { span, n_tokens }),
            }
        }
        parts
    }

    /// Tokens of a span; a span certainly above `max_tokens` is not given to the tokenizer.
    fn count(&self, span: Span, max_tokens: usize) -> usize {
        let at_least = span.len().div_ceil(MAX_BYTES_PER_TOKEN);
        if at_least > max_tokens {
            return at_least;
        }
        (self.n_tokens)(&self.text[span.start..span.end]).max(at_least)
    }
}

/// Where to halve a text: at the white space nearest its middle if there is some in its middle half,
/// else at a word boundary, else between two characters. `None` for a single character.
fn split_point(text: &str) -> Option<usize> {
    let middle = text.floor_char_boundary(text.len() / 2);
    let low = text.floor_char_boundary(text.len() / 4);
    let high = text.floor_char_boundary(text.len() * 3 / 4);
    let before = text[low..middle].rfind(char::is_whitespace).map(|i| low + i);
    let after = text[middle..high].find(char::is_whitespace).map(|i| middle + i);
    let spaces = [before, after].into_iter().flatten().filter(|&i| i > 0);
    if let Some(space) = spaces.min_by_key(|i| i.abs_diff(middle)) {
        return Some(space);
    }
    let low = text.floor_char_boundary(middle.saturating_sub(WORD_WINDOW_BYTES));
    let high = text.floor_char_boundary((middle + WORD_WINDOW_BYTES).min(text.len()));
    text[low..high]
        .split_word_bound_indices()
        .map(|(i, _)| low + i)
        .filter(|&i| i > low)
        .min_by_key(|i| i.abs_diff(middle))
        .or_else(|| (middle > 0).then_some(middle))
        .or_else(|| text.char_indices().nth(1).map(|(i, _)| i))
}

/// Paragraphs: runs of lines that are not blank, none above [`MAX_PARAGRAPH_BYTES`].
pub(super) fn paragraphs(text: &str, region: Span) -> Vec<Span> {
    runs(text, region).into_iter().flat_map(|run| bounded(text, run)).collect()
}

/// A run of lines in parts.
fn bounded(text: &str, mut rest: Span) -> Vec<Span> {
    let mut parts = Vec::new();
    while rest.len() > MAX_PARAGRAPH_BYTES {
        let limit = text.floor_char_boundary(rest.start + MAX_PARAGRAPH_BYTES);
        let part = &text[rest.start..limit];
        let end = part.rfind('\n').or_else(|| part.rfind(char::is_whitespace)).filter(|&end| end > 0);
        let end = end.map_or(limit, |end| rest.start + end);
        parts.push(Span::new(rest.start, end).trimmed(text));
        rest = Span::new(end, rest.end).trimmed(text);
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}

fn runs(text: &str, region: Span) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = None;
    let mut at = region.start;
    for line in text[region.start..region.end].split_inclusive('\n') {
        if line.trim().is_empty() {
            found.extend(start.take().map(|start| Span::new(start, at).trimmed(text)));
        } else {
            start.get_or_insert(at);
        }
        at += line.len();
    }
    found.extend(start.map(|start| Span::new(start, at).trimmed(text)));
    found
}

/// The same text, byte for byte in place, with the ends of wrapped lines as spaces; `None` when no
/// line is wrapped.
fn join_wrapped_lines(text: &str) -> Option<String> {
    let mut joined = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let continues = lines.peek().is_some_and(|next| {
            let opens_item = next.trim_start().starts_with(['-', '*', '+', '|', '#', '\u{2022}', '>']);
            !opens_item && !next.starts_with([' ', '\t'])
        });
        match line.strip_suffix('\n') {
            Some(body) if continues && body.len() >= MIN_WRAPPED_BYTES => {
                joined.push_str(body);
                joined.push(' ');
            }
            _ => joined.push_str(line),
        }
    }
    (joined != text).then_some(joined)
}
