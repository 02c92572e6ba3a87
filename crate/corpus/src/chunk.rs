//! Document → passages: along headings, then paragraphs, then sentences, packed up to a number of
//! tokens.

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::{Document, Format, Section, Span};

/// Text counts at least one token in this many bytes, whatever the tokenizer says: one that reads a
/// line of noise as a single unknown token must not make a passage of a megabyte.
const MAX_BYTES_PER_TOKEN: usize = 16;
/// A plain-text line at least this long (in bytes) was wrapped: its end is no sentence's end.
const MIN_WRAPPED_BYTES: usize = 40;
/// How far (in bytes) from the middle of a spaceless run a word boundary is looked for.
const WORD_WINDOW_BYTES: usize = 96;

/// How to cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Upper bound of a chunk, in the tokens that `n_tokens` counts.
    pub max_tokens: usize,
    /// How many sentences of the chunk before are repeated, where a section takes several chunks.
    pub overlap_sentences: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self {
            max_tokens: 128,
            overlap_sentences: 0,
        }
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
pub fn chunk(
    document: &Document,
    options: &ChunkOptions,
    n_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Chunk> {
    let text = document.text.as_str();
    let splitter = Splitter {
        text,
        max_tokens: options.max_tokens.max(1),
        is_wrapped: document.format == Format::Plain,
        n_tokens,
    };
    let mut chunks = Vec::new();
    for region in regions(text, &document.sections) {
        let mut packer = Packer {
            options,
            splitter: &splitter,
            current: Vec::new(),
            spans: Vec::new(),
        };
        packer.pack(&region);
        chunks.extend(packer.spans.into_iter().map(|span| Chunk {
            span,
            headings: region.headings.clone(),
        }));
    }
    chunks
}

/// The text from one heading to the next.
struct Region {
    span: Span,
    headings: Vec<String>,
    /// Where the text after the heading lines begins.
    body: usize,
}

fn regions(text: &str, sections: &[Section]) -> Vec<Region> {
    let mut sections: Vec<(usize, &Section)> = sections
        .iter()
        .map(|section| (text.floor_char_boundary(section.span.start), section))
        .collect();
    sections.sort_by_key(|&(start, _)| start);

    let first = sections.first().map_or(text.len(), |&(start, _)| start);
    let mut regions = vec![Region {
        span: Span::new(0, first),
        headings: Vec::new(),
        body: 0,
    }];
    let mut path: Vec<&Section> = Vec::new();
    let mut bare: Option<(usize, u8)> = None;
    for (i, &(start, section)) in sections.iter().enumerate() {
        let end = sections.get(i + 1).map_or(text.len(), |&(next, _)| next);
        while path
            .last()
            .is_some_and(|above| above.level >= section.level)
        {
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
            regions.push(Region {
                span: Span::new(from, end),
                headings: titles(&path),
                body,
            });
        }
    }
    regions
}

fn titles(path: &[&Section]) -> Vec<String> {
    path.iter()
        .filter(|section| !section.title.is_empty())
        .map(|section| section.title.clone())
        .collect()
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

/// A sentence or a part of one.
#[derive(Clone, Copy)]
struct Piece {
    span: Span,
    n_tokens: usize,
}

struct Packer<'a> {
    options: &'a ChunkOptions,
    splitter: &'a Splitter<'a>,
    current: Vec<Piece>,
    spans: Vec<Span>,
}

impl Packer<'_> {
    fn pack(&mut self, region: &Region) {
        let max_tokens = self.splitter.max_tokens;
        for paragraph in paragraphs(self.splitter.text, region.span) {
            let pieces = self.splitter.pieces(paragraph, max_tokens);
            let n_tokens: usize = pieces.iter().map(|piece| piece.n_tokens).sum();
            let only_heading = self
                .current
                .last()
                .is_none_or(|last| last.span.end <= region.body);
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
        self.flush(0);
        self.current.clear();
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
        let limit = if n_next == 0 {
            0
        } else {
            self.options.overlap_sentences
        };
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

struct Splitter<'a> {
    text: &'a str,
    max_tokens: usize,
    /// Lines may end anywhere in a sentence.
    is_wrapped: bool,
    n_tokens: &'a dyn Fn(&str) -> usize,
}

impl Splitter<'_> {
    /// The sentences of a paragraph, none above `max_tokens`.
    fn pieces(&self, paragraph: Span, max_tokens: usize) -> Vec<Piece> {
        let text = &self.text[paragraph.start..paragraph.end];
        let joined = if self.is_wrapped {
            join_wrapped_lines(text)
        } else {
            None
        };
        let mut pieces = Vec::new();
        for (start, sentence) in joined
            .as_deref()
            .unwrap_or(text)
            .split_sentence_bound_indices()
        {
            let start = paragraph.start + start;
            let span = Span::new(start, start + sentence.len()).trimmed(self.text);
            if !span.is_empty() {
                pieces.extend(self.halve_until(span, max_tokens));
            }
        }
        pieces
    }

    /// Halves a span at word boundaries until each part has at most `max_tokens`.
    fn halve_until(&self, span: Span, max_tokens: usize) -> Vec<Piece> {
        let mut parts = Vec::new();
        let mut waiting = vec![span];
        while let Some(span) = waiting.pop() {
            let n_tokens = self.count(span, max_tokens);
            match split_point(&self.text[span.start..span.end]) {
                Some(middle) if n_tokens > max_tokens => {
                    let middle = span.start + middle;
                    let halves = [Span::new(middle, span.end), Span::new(span.start, middle)];
                    waiting.extend(
                        halves
                            .map(|half| half.trimmed(self.text))
                            .into_iter()
                            .filter(|half| !half.is_empty()),
                    );
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
    let before = text[low..middle]
        .rfind(char::is_whitespace)
        .map(|i| low + i);
    let after = text[middle..high]
        .find(char::is_whitespace)
        .map(|i| middle + i);
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

/// Paragraphs: runs of lines that are not blank.
fn paragraphs(text: &str, region: Span) -> Vec<Span> {
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
            let opens_item = next
                .trim_start()
                .starts_with(['-', '*', '+', '|', '#', '\u{2022}', '>']);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract;
    use proptest::prelude::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn options(max_tokens: usize, overlap_sentences: usize) -> ChunkOptions {
        ChunkOptions {
            max_tokens,
            overlap_sentences,
        }
    }

    fn cut(name: &str, source: &str, options: &ChunkOptions) -> Vec<(String, Vec<String>)> {
        let document = extract(name, source.as_bytes()).unwrap();
        chunk(&document, options, &words)
            .into_iter()
            .map(|chunk| {
                (
                    chunk.span.of(&document.text).unwrap().to_owned(),
                    chunk.headings,
                )
            })
            .collect()
    }

    fn texts(name: &str, source: &str, options: &ChunkOptions) -> Vec<String> {
        cut(name, source, options)
            .into_iter()
            .map(|(text, _)| text)
            .collect()
    }

    #[test]
    fn short_paragraphs_of_a_section_go_together_and_sections_stay_apart() {
        let source =
            "intro here\n\n# A\n\none two\n\nthree four\n\n## B\n\nfive six\n\n# C\n\nseven";
        assert_eq!(
            cut("a.md", source, &options(20, 0)),
            [
                ("intro here".into(), vec![]),
                ("A\n\none two\n\nthree four".into(), vec!["A".into()]),
                ("B\n\nfive six".into(), vec!["A".into(), "B".into()]),
                ("C\n\nseven".into(), vec!["C".to_owned()]),
            ]
        );
    }

    #[test]
    fn a_paragraph_is_kept_whole_before_it_is_packed_tight() {
        let source = "One two three four. Five six.\n\nSeven eight nine. Ten eleven.";
        assert_eq!(
            texts("a.txt", source, &options(8, 0)),
            [
                "One two three four. Five six.",
                "Seven eight nine. Ten eleven."
            ]
        );
    }

    #[test]
    fn a_long_paragraph_is_cut_evenly_between_sentences() {
        let source = "A b c. D e f. G h i. J k l.";
        assert_eq!(
            texts("a.txt", source, &options(9, 0)),
            ["A b c. D e f.", "G h i. J k l."]
        );
    }

    #[test]
    fn sentences_overlap_within_a_section() {
        let source = "A b c. D e f. G h i. J k l.";
        assert_eq!(
            texts("a.txt", source, &options(9, 1)),
            ["A b c. D e f.", "D e f. G h i.", "G h i. J k l."]
        );
    }

    #[test]
    fn a_long_sentence_is_cut_between_words() {
        let source = "one two three four five six seven eight nine ten";
        let found = texts("a.txt", source, &options(4, 0));
        assert_eq!(found.join(" "), source);
        assert!(found.iter().all(|text| words(text) <= 4));
    }

    #[test]
    fn a_heading_without_text_goes_with_the_section_below() {
        let found = cut(
            "a.md",
            "# A\n\n## B\n\nbody\n\n# Empty\n\n# Last",
            &options(20, 0),
        );
        assert_eq!(
            found[0],
            ("A\n\nB\n\nbody".into(), vec!["A".into(), "B".into()])
        );
        assert_eq!(found[1].0, "Empty");
        assert_eq!(found[2], ("Last".into(), vec!["Last".to_owned()]));
    }

    #[test]
    fn a_heading_is_not_left_alone_by_a_long_paragraph() {
        let body = "word ".repeat(30);
        let found = texts("a.md", &format!("# Title\n\n{body}"), &options(10, 0));
        assert!(words(&found[0]) > 1, "{found:?}");
    }

    #[test]
    fn a_title_line_goes_with_the_long_paragraph_below() {
        let body = "A b c d. E f g h. I j k l.";
        assert_eq!(
            texts("a.txt", &format!("Warsaw\n\n{body}"), &options(8, 0)),
            ["Warsaw\n\nA b c d.", "E f g h. I j k l."]
        );
    }

    #[test]
    fn wrapped_lines_of_plain_text_are_one_sentence() {
        let line = "The harbour master keeps the keys of the old";
        let source = format!("{line}\ngranary. {line}\nstore. The end.");
        let found = texts("a.txt", &source, &options(12, 0));
        assert_eq!(found[0], format!("{line}\ngranary."));
    }

    #[test]
    fn a_megabyte_on_one_line_is_cut_in_bounded_time() {
        for word in ["x", "x ", "日", "a. ", "1."] {
            let text = word.repeat(1_000_000 / word.len());
            let document = extract("a.txt", text.as_bytes()).unwrap();
            let chunks = chunk(&document, &options(128, 0), &words);
            let longest = chunks.iter().map(|chunk| chunk.span.len()).max();
            assert!(
                longest <= Some(128 * MAX_BYTES_PER_TOKEN),
                "{word}: {longest:?}"
            );
            assert_eq!(chunks.last().unwrap().span.end, document.text.len());
        }
    }

    proptest! {
        #[test]
        fn chunks_cover_the_text_in_order(
            parts in prop::collection::vec(prop::sample::select(vec![
                "# A\n\n", "## B c\n\n", "# ", "\n", "\n\n", "- x\n", "word ", "Another sentence. ", "日本語。", "é",
                "```\ncode here\n```\n", "Title\n=====\n", "longwordwithoutanyspaceinit", "? ", "\u{2003}",
            ]), 1..80),
            name in prop::sample::select(vec!["a.md", "a.txt"]),
            max_tokens in 1usize..12,
            overlap_sentences in 0usize..3,
        ) {
            let Ok(document) = extract(name, parts.concat().as_bytes()) else { return Ok(()) };
            let text = &document.text;
            let chunks = chunk(&document, &options(max_tokens, overlap_sentences), &words);
            let mut covered = 0;
            let mut last: Option<Span> = None;
            for chunk in &chunks {
                let passage = chunk.span.of(text).expect("a span on character boundaries");
                prop_assert!(!passage.is_empty());
                prop_assert_eq!(passage.trim(), passage);
                prop_assert!(words(passage) <= max_tokens || passage.chars().count() == 1, "{:?}", passage);
                if let Some(last) = last {
                    prop_assert!(chunk.span.start > last.start && chunk.span.end > last.end);
                }
                if chunk.span.start > covered {
                    prop_assert!(text[covered..chunk.span.start].trim().is_empty());
                }
                covered = chunk.span.end;
                last = Some(chunk.span);
            }
            prop_assert!(text[covered..].trim().is_empty());
        }
    }
}
