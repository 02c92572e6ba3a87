//! Which row of a table names its columns, told from how it differs from the rows below it.

use std::collections::HashSet;

use super::Row;

/// Rows at a table's start that its header is told from.
pub(super) const SAMPLE_ROWS: usize = 32;
/// Rows with one cell that may stand above the header.
const MAX_TITLE_ROWS: usize = 3;
/// A name longer than this (in bytes) is rather a text: it counts only where the cells below are shorter.
const MAX_NAME_BYTES: usize = 80;
/// A column's name is no longer than this (in bytes), since every row repeats it.
const MAX_QUESTION_BYTES: usize = 300;
/// More words than this and a full stop are a sentence.
const MAX_SHORT_WORDS: usize = 3;
/// Numbers that are years.
const YEARS: std::ops::RangeInclusive<u32> = 1500..=2200;

/// The row that names the columns, counted from 0: rows above it are the table's title. `None` where there is none.
pub(super) fn find(rows: &[Row]) -> Option<usize> {
    let n_titles = rows.iter().take_while(|row| n_filled(row) == 1).take(MAX_TITLE_ROWS).count();
    if n_titles > 0
        && let Some((first, below)) = rows.get(n_titles..).and_then(<[Row]>::split_first)
        && is_header(first, below)
        && (n_filled(first) > 2 || (0..first.len()).any(|i| mostly(below, i, is_number)))
    {
        return Some(n_titles);
    }
    let (first, below) = rows.split_first()?;
    is_header(first, below).then_some(0)
}

fn n_filled(row: &Row) -> usize {
    row.iter().filter(|cell| !cell.is_empty()).count()
}

/// Whether a row names the columns: more than half of them, with words or, beside words, with periods of time; none of
/// the names like the cells below it, and none twice that is also a value.
fn is_header(first: &Row, below: &[Row]) -> bool {
    let mut seen = HashSet::new();
    let mut periods: Vec<(usize, &str)> = Vec::new();
    let mut n_long = 0;
    for (i, name) in first.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if is_number(name) {
            periods.push((i, name));
        } else if let Some(is_odd) = oddity(name) {
            n_long += usize::from(name.len() > MAX_NAME_BYTES && !name.ends_with('?'));
            if name.len() > MAX_QUESTION_BYTES || is_sentence(name) || mostly(below, i, is_odd) {
                return false;
            }
        }
        if !seen.insert(name) && below.iter().any(|row| row.get(i) == Some(name)) {
            return false;
        }
    }
    let n_named = n_filled(first);
    !below.is_empty()
        && n_named * 2 > first.len()
        && n_long * 2 <= n_named
        && (seen.len() > 1 || n_named == 1)
        && (periods.is_empty() || (periods.len() < n_named && are_periods(&periods, below)))
}

/// A name may end in a full stop where it is short for something.
fn is_sentence(cell: &str) -> bool {
    cell.ends_with(['.', '!']) && cell.split_whitespace().count() > MAX_SHORT_WORDS
}

/// What makes a cell more likely a value than a name, if anything.
fn oddity(name: &str) -> Option<fn(&str) -> bool> {
    let oddities: [fn(&str) -> bool; 4] = [
        |cell| cell.len() > MAX_NAME_BYTES,
        |cell| cell.ends_with(['.', '!']),
        |cell| cell.ends_with('?'),
        |cell| cell.contains('\n'),
    ];
    oddities.into_iter().find(|is_odd| is_odd(name))
}

/// Whether numbers can be names: several, all years or dates or all counted up from 0 or 1, over columns of numbers
/// that are something else.
fn are_periods(names: &[(usize, &str)], below: &[Row]) -> bool {
    let is_count = |start: usize| names.iter().zip(start..).all(|((_, name), n)| **name == n.to_string());
    let is_time = names.iter().all(|(_, name)| is_period(name));
    let is_counted = names.len() > 2 && (is_count(0) || is_count(1));
    let is_amount = |cell: &str| is_number(cell) && !(is_time && is_period(cell));
    let distinct: HashSet<&str> = names.iter().map(|&(_, name)| name).collect();
    names.len() > 1
        && distinct.len() == names.len()
        && (is_time || is_counted)
        && names.iter().all(|&(i, _)| filled(below, i).next().is_none() || mostly(below, i, is_amount))
}

/// The cells of a column that are not empty.
fn filled(rows: &[Row], column: usize) -> impl Iterator<Item = &str> {
    rows.iter().filter_map(move |row| row.get(column)).map(String::as_str).filter(|cell| !cell.is_empty())
}

/// Whether half of a column's cells or more are so.
fn mostly(rows: &[Row], column: usize, is_so: impl Fn(&str) -> bool) -> bool {
    let (n_so, n) = filled(rows, column).fold((0, 0), |(n_so, n), cell| (n_so + usize::from(is_so(cell)), n + 1));
    n > 0 && n_so * 2 >= n
}

/// Figures, dates, amounts of money.
fn is_number(cell: &str) -> bool {
    cell.contains(|c: char| c.is_ascii_digit())
        && !cell.contains(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E' | 'T' | 'Z'))
}

/// A year, or numbers with strokes between them.
fn is_period(cell: &str) -> bool {
    match cell.parse::<u32>() {
        Ok(year) => cell.len() == 4 && YEARS.contains(&year),
        Err(_) => {
            let mut parts = cell.split(['-', '/']);
            parts.clone().count() > 1 && parts.all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
        }
    }
}
