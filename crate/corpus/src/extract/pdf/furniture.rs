//! Running headers, footers and page numbers: what repeats at one height over the pages.

use std::collections::{HashMap, HashSet};

use super::{glyph::Turn, line::Line};

/// So many lines from the head and the foot of a page may be furniture.
const DEPTH: usize = 3;
/// The same line at the same height on so many pages is furniture.
const MIN_PAGES: usize = 3;
/// Heights (in points) that count as one.
const SAME_HEIGHT: f32 = 4.0;

/// A line without what changes from page to page, and its height.
type Key = (String, i32);

/// Takes the furniture out of all pages.
pub(super) fn remove(pages: &mut [Vec<Line>]) {
    let mut seen: HashMap<Key, HashSet<usize>> = HashMap::new();
    for (i, page) in pages.iter().enumerate() {
        for at in edges(page) {
            for key in keys(&page[at]) {
                seen.entry(key).or_default().insert(i);
            }
        }
    }
    let n_pages = pages.len();
    let repeats = |i: usize, line: &Line| {
        let on_pages = |key: &Key| seen.get(key).map_or(0, HashSet::len);
        let n = keys(line).iter().map(on_pages).max().unwrap_or(0);
        // Two pages tell only of their own numbers.
        let is_own_number = || is_number(line) && numbers(&line.text).any(|number| number == i + 1);
        n >= MIN_PAGES || (n_pages == 2 && n == 2 && is_own_number())
    };
    let slots = slots(pages, &repeats);
    for (i, page) in pages.iter_mut().enumerate() {
        let drop = drop_from_edges(page, |line| repeats(i, line) || slots.contains(&slot(line)));
        let mut at = 0;
        page.retain(|_| {
            at += 1;
            !drop.contains(&(at - 1))
        });
    }
}

/// Height and size of a line, in half points.
type Slot = (i32, i32);

fn slot(line: &Line) -> Slot {
    ((line.y * 2.0).round() as i32, (line.size * 2.0).round() as i32)
}

/// Where most pages have furniture there is nothing else: a running header may change from page to page.
fn slots(pages: &[Vec<Line>], repeats: &impl Fn(usize, &Line) -> bool) -> HashSet<Slot> {
    let mut n_pages: HashMap<Slot, usize> = HashMap::new();
    for (i, page) in pages.iter().enumerate() {
        let found: HashSet<Slot> =
            drop_from_edges(page, |line| repeats(i, line)).into_iter().map(|at| slot(&page[at])).collect();
        for slot in found {
            *n_pages.entry(slot).or_default() += 1;
        }
    }
    n_pages.retain(|_, n| *n > MIN_PAGES && *n * 2 >= pages.len());
    n_pages.into_keys().collect()
}

/// Lines are furniture only with all that lies between them and the page's edge.
fn drop_from_edges(page: &[Line], is_furniture: impl Fn(&Line) -> bool) -> HashSet<usize> {
    let order = by_height(page);
    let row = |at: usize| page[at].row;
    let mut drop = HashSet::new();
    let mut drop_while = |order: &mut dyn Iterator<Item = usize>| {
        let order: Vec<usize> = order.collect();
        let mut rest = order.as_slice();
        for _ in 0..DEPTH {
            let Some(&first) = rest.first() else {
                break;
            };
            let n = rest.iter().take_while(|&&at| row(at) == row(first)).count();
            let (line, tail) = rest.split_at(n);
            let is_number_row = line.iter().all(|&at| is_furniture(&page[at]) || is_number(&page[at]));
            if !(is_number_row && line.iter().any(|&at| is_furniture(&page[at]))) {
                break;
            }
            drop.extend(line);
            rest = tail;
        }
    };
    drop_while(&mut order.iter().copied());
    drop_while(&mut order.iter().rev().copied());
    drop
}

fn by_height(page: &[Line]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..page.len()).filter(|&at| page[at].turn == Turn::Right).collect();
    order.sort_by(|&a, &b| page[b].y.total_cmp(&page[a].y));
    order
}

/// The lines next to the head and the foot, whole rows of them.
fn edges(page: &[Line]) -> Vec<usize> {
    let order = by_height(page);
    let near = |order: &mut dyn Iterator<Item = usize>| -> Vec<usize> {
        let mut rows: Vec<usize> = Vec::new();
        order
            .take_while(|&at| {
                if !rows.contains(&page[at].row) {
                    rows.push(page[at].row);
                }
                rows.len() <= DEPTH
            })
            .collect()
    };
    let mut edges = near(&mut order.iter().copied());
    edges.extend(near(&mut order.iter().rev().copied()));
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The line at its height, rounded both ways so that a small difference does not part two pages.
fn keys(line: &Line) -> [Key; 2] {
    let mut text = String::new();
    for word in line.text.split_whitespace() {
        let is_count = word.chars().any(|c| c.is_ascii_digit()) || is_roman(word);
        text += if is_count { "#" } else { word };
        text.push(' ');
    }
    let height = (line.y / SAME_HEIGHT).floor() as i32;
    let shifted = (line.y / SAME_HEIGHT + 0.5).floor() as i32;
    [(text.clone(), height), (text + "~", shifted)]
}

/// Nothing but a page number, such as `12`, `- 12 -`, `Page 12 of 40`, `xii`.
fn is_number(line: &Line) -> bool {
    let text = line.text.trim();
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric());
    let n_letters = text.chars().filter(|c| c.is_alphabetic()).count();
    is_roman(bare) || (n_letters <= 8 && text.len() <= 24 && numbers(text).next().is_some())
}

fn is_roman(word: &str) -> bool {
    (1..=8).contains(&word.len()) && word.bytes().all(|b| b"ivxlc".contains(&b))
}

fn numbers(text: &str) -> impl Iterator<Item = usize> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok())
}
