//! Blocks of lines → paragraphs, joined over lines, columns and pages.

use std::collections::HashSet;

use super::{
    letters::{is_bullet, is_unspaced},
    line::{LEADER, Line},
    order::{Block, CELL},
};

/// More space between lines than this, in units of the block's usual distance, parts paragraphs.
const PARAGRAPH_GAP: f32 = 1.3;
/// An indent (in units of the font size) that begins a paragraph.
const INDENT: f32 = 0.8;

/// Running text, without line ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paragraph {
    pub text: String,
    /// From 0.
    pub page: usize,
    /// Where the text of later pages begins in `text`, for a paragraph that runs on: byte offset and page.
    pub turns: Vec<(usize, usize)>,
    pub size: f32,
    pub is_bold: bool,
    pub n_lines: usize,
    /// It is a row of a table.
    pub is_row: bool,
}

/// Words of a document, to tell a hyphen that parts a word from one that belongs to it.
#[derive(Debug, Default)]
pub(super) struct Words(HashSet<String>);

impl Words {
    pub fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut words = HashSet::new();
        for line in lines {
            // A line's last word may be one that is cut.
            let mut rest = line.text.split_whitespace().rev();
            rest.next().filter(|last| !last.ends_with('-')).map(|last| words.insert(bare(last)));
            words.extend(rest.map(bare));
        }
        Self(words)
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&bare(word))
    }
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// The paragraphs of one page's blocks, in order.
pub(super) fn paragraphs(blocks: &[Block], page: usize, words: &Words) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    for block in blocks {
        let leading = leading(&block.lines);
        let (left, right) = edges(&block.lines);
        let column = column_right(blocks, block);
        let mut above: Option<&Line> = None;
        for line in &block.lines {
            let runs_on = above
                .is_some_and(|above| !starts_paragraph(above, line, leading, &Column { left, right, full: column }));
            match paragraphs.last_mut() {
                Some(paragraph) if runs_on => {
                    join(&mut paragraph.text, &line.text, words);
                    paragraph.n_lines += 1;
                    paragraph.is_bold &= line.is_bold;
                }
                _ => paragraphs.push(Paragraph {
                    text: line.text.clone(),
                    page,
                    turns: Vec::new(),
                    size: line.size,
                    is_bold: line.is_bold,
                    n_lines: 1,
                    is_row: line.text.contains(CELL),
                }),
            }
            above = Some(line);
        }
    }
    paragraphs
}

/// The usual distance of two lines.
fn leading(lines: &[Line]) -> f32 {
    let mut distances: Vec<f32> = lines.windows(2).map(|pair| pair[0].y - pair[1].y).filter(|d| *d > 0.0).collect();
    distances.sort_by(f32::total_cmp);
    // The lower third: between short paragraphs most distances are larger ones.
    distances.get(distances.len() / 3).copied().unwrap_or(f32::MAX)
}

fn edges(lines: &[Line]) -> (f32, f32) {
    let mut lefts: Vec<f32> = lines.iter().map(|line| line.x0).collect();
    lefts.sort_by(f32::total_cmp);
    let right = lines.iter().fold(f32::MIN, |right, line| right.max(line.x1));
    (lefts.get(lefts.len() / 3).copied().unwrap_or(0.0), right)
}

fn starts_paragraph(above: &Line, line: &Line, leading: f32, column: &Column) -> bool {
    let Column { left, right, full } = *column;
    let distance = above.y - line.y;
    if distance > PARAGRAPH_GAP * leading.max(line.size * 0.8) || above.text.contains(CELL) || line.text.contains(CELL)
    {
        return true;
    }
    let indent = line.x0 - left;
    let room = right - above.x1;
    let is_closed = ends_sentence(&above.text) || room > 2.0 * line.size;
    if indent > INDENT * line.size && (above.x0 - left) < 0.5 * indent && indent < 0.3 * (right - left) && is_closed {
        return true;
    }
    // Every line of a table of contents is one of its own.
    if above.text.split(' ').any(|word| word == LEADER) {
        return true;
    }
    if starts_item(&line.text) && (line.x0 < above.x0 + 0.3 * line.size) {
        return true;
    }
    // The next word would have fit on the line above.
    let is_centred =
        ((above.x0 + above.x1) - (line.x0 + line.x1)).abs() < line.size && (above.x0 - line.x0).abs() > 1.0;
    let fits = |room: f32| room > line.first_word + 2.0 * line.size;
    (fits(room) && ends_sentence(&above.text))
        || (fits(full - above.x1) && full - above.x1 > 0.5 * (full - left) && !is_centred)
}

/// Where the lines of a block begin and end, and where those of the column could end.
struct Column {
    left: f32,
    right: f32,
    full: f32,
}

/// The right edge of what else stands on the page from the same left edge on: a short block does not know its own.
fn column_right(blocks: &[Block], block: &Block) -> f32 {
    let right = |block: &Block| block.lines.iter().fold(f32::MIN, |right, line| right.max(line.x1));
    let left = |block: &Block| block.lines.iter().fold(f32::MAX, |left, line| left.min(line.x0));
    if block.lines.len() > 3 {
        return right(block);
    }
    let starts_alike =
        |other: &&Block| other.lines[0].turn == block.lines[0].turn && (left(other) - left(block)).abs() < 24.0;
    blocks.iter().filter(starts_alike).map(right).fold(right(block), f32::max)
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', ')', ']', '»']);
    text.ends_with(['.', '!', '?', ':', '…', '。', '！', '？', '؟', '۔'])
}

/// A bullet or a number of a list.
fn starts_item(text: &str) -> bool {
    let Some((marker, _)) = text.split_once(' ') else {
        return false;
    };
    let number = marker.trim_start_matches('(').trim_end_matches(['.', ')']);
    let is_number = marker.ends_with(['.', ')']) && (1..=4).contains(&number.len());
    let is_roman = || number.bytes().all(|b| b"ivx".contains(&b));
    let is_letter = || number.len() == 1 && number.is_ascii();
    is_bullet(marker) || (is_number && (number.bytes().all(|b| b.is_ascii_digit()) || is_roman() || is_letter()))
}

/// Joins what a column or page end parts, where the second plainly goes on.
pub(super) fn join_runs(paragraphs: Vec<Paragraph>, body_size: f32, words: &Words) -> Vec<Paragraph> {
    let mut joined: Vec<Paragraph> = Vec::new();
    for paragraph in paragraphs {
        match joined.last_mut() {
            Some(last) if runs_on(last, &paragraph, body_size) => {
                let at = join(&mut last.text, &paragraph.text, words);
                if last.turns.last().map_or(last.page, |turn| turn.1) != paragraph.page {
                    last.turns.push((at, paragraph.page));
                }
                last.n_lines += paragraph.n_lines;
            }
            _ => joined.push(paragraph),
        }
    }
    joined
}

fn runs_on(above: &Paragraph, below: &Paragraph, body_size: f32) -> bool {
    let alike = (above.size - below.size).abs() < 0.1 * body_size && above.is_bold == below.is_bold;
    let is_body = (above.size - body_size).abs() < 0.1 * body_size;
    let goes_on = below.text.starts_with(|c: char| c.is_lowercase());
    let is_open = !ends_sentence(&above.text) && !above.is_row;
    alike && is_body && is_open && goes_on && above.n_lines > 1 && !starts_item(&below.text)
}

/// Appends a line. Returns where its text begins.
fn join(text: &mut String, line: &str, words: &Words) -> usize {
    let is_unspaced_pair = text.ends_with(is_unspaced) && line.starts_with(is_unspaced);
    if text.ends_with('\u{AD}') || parts_word(text, line, words) {
        text.pop();
    } else if !is_unspaced_pair && !ends_with_joint(text) {
        text.push(' ');
    }
    let at = text.len();
    text.push_str(line);
    at
}

/// A hyphen that was there before the line ended: nothing is lost and nothing added.
fn ends_with_joint(text: &str) -> bool {
    let mut back = text.chars().rev();
    matches!(back.next(), Some('-' | '\u{2010}' | '–' | '—')) && back.next().is_some_and(char::is_alphanumeric)
}

/// Whether the hyphen at the end of `text` is there only because the line ended.
fn parts_word(text: &str, line: &str, words: &Words) -> bool {
    let Some(stem) = text.strip_suffix(['-', '\u{2010}']) else {
        return false;
    };
    if !stem.ends_with(char::is_alphabetic) || !line.starts_with(char::is_lowercase) {
        return false;
    }
    let head = stem.rsplit(char::is_whitespace).next().unwrap_or_default();
    let tail = line.split(char::is_whitespace).next().unwrap_or_default();
    let (whole, hyphened) = (format!("{head}{tail}"), format!("{head}-{tail}"));
    words.has(&whole) || !words.has(&hyphened)
}
