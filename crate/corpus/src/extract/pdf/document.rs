//! Paragraphs → the document's text with its headings and the starts of its pages.

use super::{
    line::Line,
    meta::Bookmark,
    order,
    paragraph::{self, Paragraph, Words},
};
use crate::span::{Heading, Section, sections};

/// A heading is at least so much larger than the text.
const HEADING_SIZE: f32 = 1.12;
/// A heading longer than this (in bytes), or of more lines, is a paragraph in a large font.
const MAX_HEADING_BYTES: usize = 240;
const MAX_HEADING_LINES: usize = 3;
/// A bold line of the text's own size is a heading up to this length, in characters.
const MAX_BOLD_CHARS: usize = 100;
const MAX_LEVEL: u8 = 6;

pub(super) struct Assembled {
    pub text: String,
    pub sections: Vec<Section>,
    /// Where each page begins in the text.
    pub pages: Vec<usize>,
}

pub(super) fn assemble(pages: Vec<Vec<Line>>, words: &Words, outline: &[Bookmark]) -> Assembled {
    let n_pages = pages.len();
    let body_size = body_size(pages.iter().flatten());
    let mut paragraphs = Vec::new();
    for (i, lines) in pages.into_iter().enumerate() {
        paragraphs.extend(paragraph::paragraphs(&order::blocks(lines), i, words));
    }
    let paragraphs = paragraph::join_runs(paragraphs, body_size, words);
    let levels = levels(&paragraphs, body_size, outline);

    let mut text = String::new();
    let mut headings = Vec::new();
    // Where the text of a page begins, for the pages that have any.
    let mut starts: Vec<(usize, usize)> = Vec::new();
    for (paragraph, level) in paragraphs.iter().zip(levels) {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        let start = text.len();
        starts.push((paragraph.page, start));
        starts.extend(paragraph.turns.iter().map(|&(at, page)| (page, start + at)));
        text.push_str(&paragraph.text);
        if let Some(level) = level {
            headings.push(Heading { title: paragraph.text.clone(), level, start });
        }
    }
    let sections = sections(&text, headings);
    Assembled { pages: page_starts(&starts, n_pages, text.len()), sections, text }
}

/// A page without text begins where the next one with text does.
fn page_starts(starts: &[(usize, usize)], n_pages: usize, end: usize) -> Vec<usize> {
    let mut pages = vec![usize::MAX; n_pages];
    for &(page, start) in starts {
        pages[page] = pages[page].min(start);
    }
    let mut next = end;
    for page in pages.iter_mut().rev() {
        next = next.min(*page);
        *page = next;
    }
    pages
}

/// The size of most characters.
fn body_size<'a>(lines: impl Iterator<Item = &'a Line>) -> f32 {
    let mut n_chars: std::collections::BTreeMap<u32, usize> = Default::default();
    for line in lines {
        *n_chars.entry(key(line.size)).or_default() += line.n_chars;
    }
    let most = n_chars.into_iter().max_by_key(|&(_, n)| n);
    most.map_or(10.0, |(key, _)| key as f32 / 4.0)
}

/// Quarters of a point.
fn key(size: f32) -> u32 {
    (size * 4.0).round().clamp(1.0, 1e6) as u32
}

/// Which paragraphs are headings: those that the outline names, where it names most of its own; else the large and the
/// bold ones.
fn levels(paragraphs: &[Paragraph], body_size: f32, outline: &[Bookmark]) -> Vec<Option<u8>> {
    let by_look = levels_by_look(paragraphs, body_size);
    let by_outline = levels_by_outline(paragraphs, outline);
    let n_found = by_outline.iter().flatten().count();
    if n_found < 2 || n_found * 2 < outline.len() {
        return by_look;
    }
    // The title stands above all that the outline names.
    let first = by_outline.iter().position(Option::is_some).unwrap_or(0);
    let title = |i: usize| by_look[i].filter(|&level| i < first && level == 1 && paragraphs[i].page == 0);
    by_outline.iter().enumerate().map(|(i, level)| level.or_else(|| title(i))).collect()
}

fn levels_by_outline(paragraphs: &[Paragraph], outline: &[Bookmark]) -> Vec<Option<u8>> {
    let mut levels = vec![None; paragraphs.len()];
    let names: Vec<(usize, String)> =
        paragraphs.iter().enumerate().filter(|(_, p)| can_head(p)).map(|(i, p)| (i, letters(&p.text))).collect();
    let mut rest = names.as_slice();
    for bookmark in outline {
        let title = letters(&bookmark.title);
        let found = rest.iter().position(|(_, name)| !title.is_empty() && is_titled(name, &title));
        if let Some(at) = found {
            levels[rest[at].0] = Some(bookmark.level);
            rest = &rest[at + 1..];
        }
    }
    levels
}

/// The title itself, or the title after its number.
fn is_titled(name: &str, title: &str) -> bool {
    name.strip_suffix(title).is_some_and(|number| {
        number.len() <= 6 && number.chars().all(|c| c.is_ascii_digit() || "ivxabcdef".contains(c))
    })
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn can_head(paragraph: &Paragraph) -> bool {
    let text = &paragraph.text;
    text.len() <= MAX_HEADING_BYTES
        && paragraph.n_lines <= MAX_HEADING_LINES
        && !paragraph.is_row
        && text.chars().filter(|c| c.is_alphabetic()).count() >= 2
}

fn levels_by_look(paragraphs: &[Paragraph], body_size: f32) -> Vec<Option<u8>> {
    let n_bold: usize = paragraphs.iter().filter(|p| p.is_bold).map(|p| p.text.len()).sum();
    let n_all: usize = paragraphs.iter().map(|p| p.text.len()).sum();
    let bold_counts = n_bold * 4 < n_all;
    let is_heading = |paragraph: &Paragraph| {
        let is_large = paragraph.size >= HEADING_SIZE * body_size;
        let is_bold_line = bold_counts
            && paragraph.is_bold
            && paragraph.size > 0.92 * body_size
            && paragraph.text.chars().count() <= MAX_BOLD_CHARS
            && !paragraph.text.ends_with(['.', ',', ';', ':']);
        can_head(paragraph) && (is_large || is_bold_line)
    };
    // The largest first; sizes that nearly agree are one, and a bold line of the text's size is the last.
    let rank = |paragraph: &Paragraph| key(paragraph.size.max(body_size));
    let mut sizes: Vec<u32> = paragraphs.iter().filter(|p| is_heading(p)).map(rank).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup_by(|small, large| f64::from(*small) > 0.95 * f64::from(*large));
    let level = |paragraph: &Paragraph| {
        let size = rank(paragraph);
        let above = sizes.iter().take_while(|&&larger| f64::from(size) <= 0.95 * f64::from(larger)).count();
        (above as u8).saturating_add(1).min(MAX_LEVEL)
    };
    paragraphs.iter().map(|paragraph| is_heading(paragraph).then(|| level(paragraph))).collect()
}
