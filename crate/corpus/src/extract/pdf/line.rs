//! Glyphs → words → the lines of a page, cut where a column ends.

use super::{
    glyph::{Glyph, PageGlyphs, Turn},
    letters::{accented, is_bullet, is_right_to_left, is_unspaced},
};

/// A gap (in units of the font size) that is a space.
const SPACE: f32 = 0.13;
/// The same between characters that are written without spaces.
const UNSPACED_SPACE: f32 = 0.6;
/// A gap that always ends a line's part.
const WIDE_GAP: f32 = 1.8;
/// The least gap that ends a line's part where it lies in a gutter.
const GUTTER_GAP: f32 = 0.6;
/// What stands for the dots between an entry of a table of contents and its page, and how many they are at least.
pub(super) const LEADER: &str = "…";
const MIN_LEADER: usize = 5;
/// The gap after a bullet or a number, which belong to what follows.
const MARKER_GAP: f32 = 4.0;
/// As many lines in a row make a gutter.
const GUTTER_ROWS: usize = 6;
/// More words than these on a page are not searched for gutters.
const MAX_WORDS: usize = 10_000;

/// A line, or the part of one that lies in a column. Coordinates are those of its direction.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub text: String,
    pub turn: Turn,
    pub x0: f32,
    pub x1: f32,
    pub y: f32,
    /// That of most of its characters.
    pub size: f32,
    pub is_bold: bool,
    /// Lines with the same number stand on one baseline.
    pub row: usize,
    /// It ends or begins at a gutter between columns.
    pub in_columns: bool,
    pub n_chars: usize,
    /// The width of its first word in points: what would have fit on the line before or not.
    pub first_word: f32,
}

/// Lines of one page, by direction, from its head to its foot.
pub(super) fn lines(page: &PageGlyphs) -> Vec<Line> {
    let has_body = page.glyphs.iter().any(|glyph| !glyph.is_artifact);
    let mut lines = Vec::new();
    let mut n_rows = 0;
    for turn in Turn::ALL {
        let glyphs = page.glyphs.iter().filter(|glyph| glyph.turn == turn && !(has_body && glyph.is_artifact));
        let words = words(page, glyphs);
        let rows = rows(words);
        let gutters = gutters(&rows);
        for (i, row) in rows.into_iter().enumerate() {
            let in_columns = gutters.iter().any(|gutter| gutter.rows.contains(&i));
            for part in parts(page, row, &gutters, i) {
                lines.extend(line(page, turn, part).map(|line| Line { row: n_rows, in_columns, ..line }));
            }
            n_rows += 1;
        }
    }
    lines
}

/// Glyphs that touch.
#[derive(Debug, Clone)]
struct Word<'a> {
    glyphs: Vec<&'a Glyph>,
    x0: f32,
    x1: f32,
    y: f32,
    size: f32,
    after_space: bool,
}

fn words<'a>(page: &PageGlyphs, glyphs: impl Iterator<Item = &'a Glyph>) -> Vec<Word<'a>> {
    let mut words: Vec<Word<'a>> = Vec::new();
    let mut after_space = false;
    for glyph in glyphs {
        let text = page.text(glyph);
        if text.is_empty() {
            continue;
        }
        if text.chars().all(|c| c == ' ') {
            after_space = true;
            continue;
        }
        match words.last_mut() {
            Some(word) if !after_space && word.touches(glyph) => word.push(glyph),
            _ => words.push(Word {
                glyphs: vec![glyph],
                x0: glyph.x0,
                x1: glyph.x1,
                y: glyph.y,
                size: glyph.size,
                after_space,
            }),
        }
        after_space = false;
    }
    words
}

impl<'a> Word<'a> {
    fn touches(&self, glyph: &Glyph) -> bool {
        let size = self.size.max(glyph.size);
        let gap = (glyph.x0 - self.x1).max(self.x0 - glyph.x1);
        (glyph.y - self.y).abs() < 0.1 * size
            && gap < SPACE * size
            && gap > -0.7 * size - (self.x1 - self.x0)
            && (glyph.size - self.size).abs() < 0.2 * size
    }

    fn push(&mut self, glyph: &'a Glyph) {
        self.x0 = self.x0.min(glyph.x0);
        self.x1 = self.x1.max(glyph.x1);
        self.glyphs.push(glyph);
    }

    /// How far the heights of two words overlap, as a part of the smaller one.
    fn overlap(&self, y: f32, size: f32) -> f32 {
        let top = (self.y + 0.7 * self.size).min(y + 0.7 * size);
        let foot = (self.y - 0.2 * self.size).max(y - 0.2 * size);
        (top - foot) / (0.9 * self.size.min(size))
    }
}

/// Words that stand on one baseline, from left to right.
type Row<'a> = Vec<Word<'a>>;

fn rows(mut words: Vec<Word<'_>>) -> Vec<Row<'_>> {
    words.sort_by(|a, b| b.y.total_cmp(&a.y));
    let mut rows: Vec<(f32, f32, Row<'_>)> = Vec::new();
    for word in words {
        // A row's height is that of its largest word, so that raised figures find it too.
        let found = rows.iter_mut().rev().take(3).find(|(y, size, _)| word.overlap(*y, *size) > 0.55);
        match found {
            Some((y, size, row)) => {
                if word.size > *size {
                    (*y, *size) = (word.y, word.size);
                }
                row.push(word);
            }
            None => rows.push((word.y, word.size, vec![word])),
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.into_iter()
        .map(|(_, _, mut row)| {
            row.sort_by(|a, b| a.x0.total_cmp(&b.x0));
            row
        })
        .collect()
}

/// A strip between two columns that no word of these rows crosses.
struct Gutter {
    x: f32,
    rows: std::ops::Range<usize>,
}

fn gutters(rows: &[Row<'_>]) -> Vec<Gutter> {
    if rows.iter().map(Vec::len).sum::<usize>() > MAX_WORDS {
        return Vec::new();
    }
    let gaps: Vec<Vec<(f32, f32)>> = rows.iter().map(wide_gaps).collect();
    let mut gutters: Vec<Gutter> = Vec::new();
    for (i, row_gaps) in gaps.iter().enumerate() {
        for &(x0, x1) in row_gaps {
            if gutters.iter().any(|gutter: &Gutter| gutter.rows.contains(&i) && x0 < gutter.x && gutter.x < x1) {
                continue;
            }
            // The strip narrows row by row to what all have in common.
            let (mut left, mut right) = (x0, x1);
            let (mut n_split, mut end) = (1, i + 1);
            for j in i + 1..rows.len() {
                let shared = gaps[j].iter().find(|gap| gap.0.max(left) + 1.0 < gap.1.min(right));
                if let Some(gap) = shared {
                    (left, right) = (left.max(gap.0), right.min(gap.1));
                    n_split += 1;
                    end = j + 1;
                } else if crosses(&rows[j], left, right) {
                    break;
                }
            }
            if n_split >= GUTTER_ROWS {
                gutters.push(Gutter { x: (left + right) / 2.0, rows: i..end });
            }
        }
    }
    gutters
}

fn wide_gaps(row: &Row<'_>) -> Vec<(f32, f32)> {
    let mut gaps = Vec::new();
    let mut reach = f32::MIN;
    for word in row {
        if reach > f32::MIN && word.x0 - reach > GUTTER_GAP * word.size {
            gaps.push((reach, word.x0));
        }
        reach = reach.max(word.x1);
    }
    gaps
}

fn crosses(row: &Row<'_>, left: f32, right: f32) -> bool {
    let ends: (bool, bool) =
        row.iter().fold((false, false), |(l, r), word| (l || word.x0 < left, r || word.x1 > right));
    row.iter().any(|word| word.x0 < right && word.x1 > left) || ends == (true, true)
}

fn parts<'a>(page: &PageGlyphs, row: Row<'a>, gutters: &[Gutter], i: usize) -> Vec<Row<'a>> {
    let mut parts: Vec<Row<'a>> = Vec::new();
    let mut reach = f32::MIN;
    for word in row {
        let gap = word.x0 - reach;
        let in_gutter = || {
            gap > GUTTER_GAP * word.size
                && gutters.iter().any(|gutter| gutter.rows.contains(&i) && reach <= gutter.x && gutter.x <= word.x0)
        };
        let is_apart = gap > WIDE_GAP * word.size || in_gutter();
        let after_marker = || {
            gap < MARKER_GAP * word.size
                && matches!(parts.as_slice(), [part] if matches!(part.as_slice(), [marker] if marks(page, marker, &word)))
        };
        let starts_part = parts.is_empty() || (is_apart && !after_marker());
        reach = reach.max(word.x1);
        match parts.last_mut() {
            Some(part) if !starts_part => part.push(word),
            _ => parts.push(vec![word]),
        }
    }
    parts
}

/// Whether a row's first word is the bullet or the number of what follows.
fn marks(page: &PageGlyphs, marker: &Word<'_>, next: &Word<'_>) -> bool {
    let text = |word: &Word<'_>| word.glyphs.iter().map(|glyph| page.text(glyph)).collect::<String>();
    if marker.glyphs.len() > 6 {
        return false;
    }
    let marker = text(marker);
    let is_number = marker.starts_with(|c: char| c.is_ascii_digit() || c == '(') && marker.contains(['.', ')']);
    is_bullet(&marker) || (is_number && text(next).starts_with(char::is_alphabetic))
}

/// Text with the place of each glyph on the line.
struct Cluster {
    text: String,
    x0: f32,
    x1: f32,
    space_before: bool,
}

fn line(page: &PageGlyphs, turn: Turn, words: Row<'_>) -> Option<Line> {
    let (x0, x1) = words.iter().fold((f32::MAX, f32::MIN), |(x0, x1), word| (x0.min(word.x0), x1.max(word.x1)));
    let n_glyphs: usize = words.iter().map(|word| word.glyphs.len()).sum();
    let main =
        words.iter().max_by(|a, b| (a.glyphs.len() as f32 * a.size).total_cmp(&(b.glyphs.len() as f32 * b.size)))?;
    let (y, size) = (main.y, main.size);
    let n_bold = words.iter().flat_map(|word| &word.glyphs).filter(|glyph| glyph.is_bold).count();
    let first_word = words.first().map_or(0.0, |word| word.x1 - word.x0);
    let clusters = clusters(page, &words);
    let text = if clusters.iter().any(|cluster| cluster.text.chars().any(is_right_to_left)) {
        logical_order(clusters)
    } else {
        clusters.iter().fold(String::new(), |mut text, cluster| {
            append(&mut text, &cluster.text, cluster.space_before);
            text
        })
    };
    let text = tidied(&text);
    let n_chars = text.chars().count();
    let is_bold = n_bold * 10 >= n_glyphs * 9;
    let line = Line { text, turn, x0, x1, y, size, is_bold, row: 0, in_columns: false, n_chars, first_word };
    (n_chars > 0).then_some(line)
}

/// One space between words, soft hyphens only where the line ends, and one sign for a row of dots.
fn tidied(text: &str) -> String {
    let ends_soft = text.trim_end().ends_with('\u{AD}');
    let text = text.replace('\u{AD}', "");
    let is_dots = |word: &str| word.bytes().all(|byte| byte == b'.');
    let mut words: Vec<&str> = Vec::new();
    let mut rest = text.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        let mut n_dots = if is_dots(word) { word.len() } else { 0 };
        let first = words.len();
        words.push(word);
        while n_dots > 0
            && let Some(more) = rest.next_if(|word| is_dots(word))
        {
            n_dots += more.len();
            words.push(more);
        }
        if n_dots >= MIN_LEADER {
            words.splice(first.., [LEADER]);
        }
    }
    let mut text = words.join(" ");
    if ends_soft {
        text.push('\u{AD}');
    }
    text
}

fn clusters(page: &PageGlyphs, words: &Row<'_>) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for word in words {
        let is_rtl = word.glyphs.iter().any(|glyph| page.text(glyph).chars().any(is_right_to_left));
        let mut glyphs = word.glyphs.clone();
        if is_rtl {
            glyphs.sort_by(|a, b| a.x0.total_cmp(&b.x0));
        }
        for (i, glyph) in glyphs.into_iter().enumerate() {
            let text = page.text(glyph);
            let Some(last) = clusters.last_mut() else {
                clusters.push(Cluster { text: text.to_owned(), x0: glyph.x0, x1: glyph.x1, space_before: false });
                continue;
            };
            // A shadow of the glyph before: bold by drawing twice.
            if last.text == text && (glyph.x0 - last.x0).abs() < 0.15 * glyph.size {
                continue;
            }
            if let Some(joined) = joined_accent(last, glyph, text) {
                last.text = joined;
                last.x1 = last.x1.max(glyph.x1);
                continue;
            }
            let gap = glyph.x0 - last.x1;
            let unspaced = last.text.ends_with(is_unspaced) && text.starts_with(is_unspaced);
            let least = if unspaced { UNSPACED_SPACE } else { SPACE } * glyph.size;
            let space_before = i == 0 && (gap > least || (word.after_space && gap > -0.5 * glyph.size && !unspaced));
            clusters.push(Cluster { text: text.to_owned(), x0: glyph.x0, x1: glyph.x1, space_before });
        }
    }
    clusters
}

/// The letter that an accent and its letter make, whichever is drawn first, where one lies over the other.
fn joined_accent(last: &Cluster, glyph: &Glyph, text: &str) -> Option<String> {
    let mut one = text.chars();
    let (c, None) = (one.next()?, one.next()) else {
        return None;
    };
    let before = last.text.chars().next_back()?;
    let overlap = last.x1.min(glyph.x1) - last.x0.max(glyph.x0);
    if overlap < 0.5 * (glyph.x1 - glyph.x0).min(last.x1 - last.x0) {
        return None;
    }
    let letter = accented(before, c).or_else(|| accented(c, before))?;
    let mut joined = last.text.clone();
    joined.pop();
    joined.push(letter);
    Some(joined)
}

fn append(text: &mut String, more: &str, with_space: bool) {
    if with_space {
        text.push(' ');
    }
    text.push_str(more);
}

/// Clusters from left to right → text as it is read. The line runs from right to left where most of its letters do.
fn logical_order(clusters: Vec<Cluster>) -> String {
    #[derive(Clone, Copy, PartialEq)]
    enum Way {
        Right,
        Left,
        Either,
    }
    let way = |cluster: &Cluster| {
        if cluster.text.chars().any(is_right_to_left) {
            Way::Left
        } else if cluster.text.chars().any(char::is_alphanumeric) {
            Way::Right
        } else {
            Way::Either
        }
    };
    let mut ways: Vec<Way> = clusters.iter().map(way).collect();
    let count = |wanted| ways.iter().filter(|&&way| way == wanted).count();
    let base = if count(Way::Left) * 2 >= count(Way::Right) { Way::Left } else { Way::Right };
    // What has no direction goes with its neighbours where they agree, else with the line.
    let mut i = 0;
    while i < ways.len() {
        let end = (i..ways.len()).find(|&j| ways[j] != Way::Either).unwrap_or(ways.len());
        let before = if i > 0 { ways[i - 1] } else { base };
        let after = ways.get(end).copied().unwrap_or(base);
        ways[i..end].fill(if before == after { before } else { base });
        i = end + 1;
    }
    let mut runs: Vec<(Way, Vec<Cluster>)> = Vec::new();
    for (cluster, way) in clusters.into_iter().zip(ways) {
        match runs.last_mut() {
            Some((last, run)) if *last == way => run.push(cluster),
            _ => runs.push((way, vec![cluster])),
        }
    }
    if base == Way::Left {
        runs.reverse();
    }
    let mut text = String::new();
    for (way, run) in runs {
        // A space stands on the left of its cluster; read from the right it comes after it.
        let space = if run.first().is_some_and(|cluster| cluster.space_before) { " " } else { "" };
        let run = run_text(run, way == Way::Left);
        text += &if base == Way::Left { run + space } else { space.to_owned() + &run };
    }
    text
}

/// The text of clusters from left to right, without the space before the first.
fn run_text(run: Vec<Cluster>, is_right_to_left: bool) -> String {
    let mut text = String::new();
    if is_right_to_left {
        for (i, cluster) in run.iter().enumerate().rev() {
            text.extend(cluster.text.chars().map(mirror));
            text.push_str(if i > 0 && cluster.space_before { " " } else { "" });
        }
    } else {
        for (i, cluster) in run.iter().enumerate() {
            append(&mut text, &cluster.text, i > 0 && cluster.space_before);
        }
    }
    text
}

/// Brackets are drawn as they look, and stored as they are read.
fn mirror(c: char) -> char {
    match c {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '«' => '»',
        '»' => '«',
        c => c,
    }
}
