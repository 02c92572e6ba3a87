//! Quotation marks that are opened and never closed: written so that they are read as text, and the rows behind them
//! stay rows.

use std::borrow::Cow;

/// A cell over more lines than this is an open quotation mark that nobody closed.
const MAX_CELL_LINES: usize = 500;
/// A cell whose lines all hold as many delimiters as a row, together this many or more, is rows.
const MIN_DELIMITERS: usize = 20;
/// Where more are open, the table knows no quotation marks. For each, the file may be read up to its end.
const MAX_OPEN: usize = 20;

/// A table whose open quotation marks are text.
pub(super) struct Mended<'a> {
    pub source: Cow<'a, str>,
    pub n_open: usize,
}

/// Makes text of the quotation marks that are open. `None` where there are so many that none is what it seems.
pub(super) fn mend(source: &str, delimiter: u8) -> Option<Mended<'_>> {
    let bytes = source.as_bytes();
    let mut mended = String::new();
    let (mut n_copied, mut n_open) = (0, 0);
    // Cells of the row that is read, and of the one before it.
    let (mut n_cells, mut n_columns) = (1, 0);
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'"' && delimiter != b'"' {
            if let Some(end) = closed(bytes, at, delimiter, n_columns) {
                at = end;
            } else {
                n_open += 1;
                if n_open > MAX_OPEN {
                    return None;
                }
                let end = cell_end(bytes, at, delimiter);
                mended.push_str(&source[n_copied..at]);
                mended.push_str(&format!("\"{}\"", source[at..end].replace('"', "\"\"")));
                n_copied = end;
            }
        }
        at = cell_end(bytes, at, delimiter);
        if bytes.get(at) == Some(&delimiter) {
            n_cells += 1;
        } else if n_cells > 1 {
            n_columns = std::mem::replace(&mut n_cells, 1);
        }
        at += 1;
    }
    if n_open == 0 {
        return Some(Mended { source: Cow::Borrowed(source), n_open });
    }
    mended.push_str(&source[n_copied..]);
    Some(Mended { source: Cow::Owned(mended), n_open })
}

/// Where a cell without quotation marks ends that goes on at `at`.
fn cell_end(bytes: &[u8], at: usize, delimiter: u8) -> usize {
    let is_end = |&byte: &u8| byte == delimiter || matches!(byte, b'\n' | b'\r');
    bytes[at..].iter().position(is_end).map_or(bytes.len(), |i| at + i)
}

/// Where the quotation mark at `open` is closed, behind the one that does it; `None` where it is not.
fn closed(bytes: &[u8], open: usize, delimiter: u8, n_columns: usize) -> Option<usize> {
    let mut n_lines = 0;
    let mut at = open + 1;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 1,
            (b'"', next) => {
                let is_sound = next.is_none_or(|&next| next == delimiter || matches!(next, b'\n' | b'\r'));
                // A mark between a delimiter and a word opens a cell.
                let opens = !is_sound && (bytes[at - 1] == delimiter || bytes[at - 1] == b'\n');
                let is_open = n_lines > 0 && (opens || holds_rows(&bytes[open..at], delimiter, n_columns));
                return (!is_open).then_some(at + 1);
            }
            (b'\n', _) => n_lines += 1,
            _ => {}
        }
        if n_lines > MAX_CELL_LINES {
            return None;
        }
        at += 1;
    }
    // On the last line it takes nothing from other rows.
    let line_end = bytes[open..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |i| open + i);
    bytes[line_end..].trim_ascii().is_empty().then_some(bytes.len())
}

/// Whether the lines within a cell, save the first and the last, are all rows.
fn holds_rows(cell: &[u8], delimiter: u8, n_columns: usize) -> bool {
    let n_delimiters = |line: &[u8]| line.iter().filter(|&&byte| byte == delimiter).count();
    let lines: Vec<&[u8]> = cell.split(|&byte| byte == b'\n').collect();
    let inner = lines.get(1..lines.len() - 1).unwrap_or_default();
    n_columns > 1
        && inner.len() > 1
        && inner.len() * (n_columns - 1) >= MIN_DELIMITERS
        && inner.iter().all(|line| n_delimiters(line) == n_columns - 1)
}
