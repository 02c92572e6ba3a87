//! The lines of a page → blocks in the order in which a person reads them.

use super::{glyph::Turn, line::Line};

/// More lines than these are read from head to foot without a look for columns.
const MAX_LINES: usize = 2_000;
/// The same for blocks, whose order takes cubic time.
const MAX_BLOCKS: usize = 250;
/// The distance of two lines (in units of the font size) up to which they may belong together.
const MAX_LEADING: f32 = 2.2;
/// A table's cells are no longer than this, in characters, in the middle of all.
const MAX_CELL_CHARS: usize = 22;

/// What stands between the cells of a table's row.
pub(super) const CELL: &str = " | ";

/// Lines that follow one another in one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub lines: Vec<Line>,
    x0: f32,
    x1: f32,
    top: f32,
    foot: f32,
}

impl Block {
    fn new(lines: Vec<Line>) -> Self {
        let mut block = Self { lines, x0: f32::MAX, x1: f32::MIN, top: f32::MIN, foot: f32::MAX };
        for line in &block.lines {
            block.x0 = block.x0.min(line.x0);
            block.x1 = block.x1.max(line.x1);
            block.top = block.top.max(line.y + 0.7 * line.size);
            block.foot = block.foot.min(line.y - 0.2 * line.size);
        }
        block
    }

    fn shares_columns(&self, other: &Self) -> bool {
        let overlap = self.x1.min(other.x1) - self.x0.max(other.x0);
        overlap > 0.1 * (self.x1 - self.x0).min(other.x1 - other.x0).max(1.0)
    }
}

pub(super) fn blocks(lines: Vec<Line>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for turn in Turn::ALL {
        let lines: Vec<Line> = lines.iter().filter(|line| line.turn == turn).cloned().collect();
        if lines.len() > MAX_LINES {
            blocks.push(Block::new(lines));
            continue;
        }
        let lines = join_tables(lines);
        blocks.extend(in_order(linked(lines)));
    }
    blocks
}

/// The rows of a table, each as one line: a cell is no column of text.
fn join_tables(lines: Vec<Line>) -> Vec<Line> {
    let mut rows: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row) if row[0].row == line.row => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    let mut joined = Vec::new();
    let mut rest = rows.as_slice();
    while let Some(first) = rest.first() {
        let n = table_len(rest);
        if n == 0 {
            joined.extend_from_slice(first);
            rest = &rest[1..];
            continue;
        }
        joined.extend(rest[..n].iter().map(|row| join_row(row)));
        rest = &rest[n..];
    }
    joined
}

/// How many rows from the first on are a table.
fn table_len(rows: &[Vec<Line>]) -> usize {
    let is_next = |pair: &[Vec<Line>]| {
        let (above, below) = (&pair[0][0], &pair[1][0]);
        below.turn == above.turn && above.y - below.y < 3.0 * above.size.max(below.size)
    };
    let n_split = rows.iter().take_while(|row| row.len() > 1).count();
    let n = n_split.min(1 + rows.windows(2).take_while(|pair| is_next(pair)).count());
    let mut lengths: Vec<usize> = rows[..n].iter().flatten().map(|line| line.n_chars).collect();
    lengths.sort_unstable();
    let is_table = n >= 1 && lengths[lengths.len() / 2] <= MAX_CELL_CHARS;
    // A row by itself is one where no columns run beside it.
    let is_row = n >= 2 || rows[0].iter().all(|line| !line.in_columns);
    if is_table && is_row { n } else { 0 }
}

fn join_row(row: &[Line]) -> Line {
    let mut joined = row[0].clone();
    for cell in &row[1..] {
        joined.text += CELL;
        joined.text += &cell.text;
        joined.n_chars += cell.n_chars;
        joined.x0 = joined.x0.min(cell.x0);
        joined.x1 = joined.x1.max(cell.x1);
        joined.is_bold &= cell.is_bold;
    }
    joined
}

/// Joins each line to the one below it where either is the other's only neighbour.
fn linked(lines: Vec<Line>) -> Vec<Block> {
    let n = lines.len();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, below) in below.iter_mut().enumerate() {
        *below = nearest_below(&lines, i);
        below.iter().for_each(|&j| above[j].push(i));
    }
    let next = |i: usize| match below[i].as_slice() {
        &[j] if above[j] == [i] && belong(&lines[i], &lines[j]) => Some(j),
        _ => None,
    };
    let mut is_taken = vec![false; n];
    let mut blocks = Vec::new();
    for first in 0..n {
        if is_taken[first] {
            continue;
        }
        let mut block = Vec::new();
        let mut at = Some(first);
        while let Some(i) = at.filter(|&i| !is_taken[i]) {
            is_taken[i] = true;
            block.push(lines[i].clone());
            at = next(i);
        }
        blocks.push(Block::new(block));
    }
    blocks
}

/// Lines under line `i` with nothing between.
fn nearest_below(lines: &[Line], i: usize) -> Vec<usize> {
    let line = &lines[i];
    let mut found: Vec<usize> = Vec::new();
    for (j, other) in lines.iter().enumerate() {
        let is_below = other.row != line.row && other.y < line.y && line.y - other.y < 2.0 * MAX_LEADING * line.size;
        if !is_below || !overlap(line, other) {
            continue;
        }
        if found.iter().any(|&k| lines[k].row != other.row && lines[k].y > other.y && overlap(&lines[k], other)) {
            continue;
        }
        found.retain(|&k| lines[k].row == other.row || lines[k].y > other.y || !overlap(&lines[k], other));
        found.push(j);
    }
    found
}

fn overlap(a: &Line, b: &Line) -> bool {
    a.x1.min(b.x1) - a.x0.max(b.x0) > 0.5 * a.size.min(b.size)
}

fn belong(above: &Line, below: &Line) -> bool {
    let size = above.size.max(below.size);
    above.y - below.y < MAX_LEADING * size
        && (above.size - below.size).abs() < 0.15 * size
        && above.is_bold == below.is_bold
}

/// Blocks in reading order (Breuel): one above another comes first where they share a column, and one to the left of
/// another where nothing that spans both lies between.
fn in_order(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_by(|a, b| b.top.total_cmp(&a.top).then(a.x0.total_cmp(&b.x0)));
    widen(&mut blocks);
    let n = blocks.len();
    if !(2..=MAX_BLOCKS).contains(&n) {
        return blocks;
    }
    let mut n_before = vec![0usize; n];
    let after: Vec<Vec<usize>> =
        (0..n).map(|a| (0..n).filter(|&b| a != b && comes_before(&blocks, a, b)).collect()).collect();
    after.iter().flatten().for_each(|&b| n_before[b] += 1);
    let mut order = Vec::with_capacity(n);
    let mut is_placed = vec![false; n];
    while order.len() < n {
        let free = (0..n).find(|&i| !is_placed[i] && n_before[i] == 0);
        // A circle is cut at its highest block.
        let Some(i) = free.or_else(|| (0..n).find(|&i| !is_placed[i])) else {
            break;
        };
        is_placed[i] = true;
        order.push(i);
        for &j in &after[i] {
            n_before[j] = n_before[j].saturating_sub(1);
        }
    }
    let mut slots: Vec<Option<Block>> = blocks.into_iter().map(Some).collect();
    order.into_iter().filter_map(|i| slots[i].take()).collect()
}

/// A short block takes the width of the column that it stands in, which its neighbours tell.
fn widen(blocks: &mut [Block]) {
    let is_short = |block: &Block| block.lines.len() <= 2;
    let columns: Vec<(f32, f32)> = blocks
        .iter()
        .map(|block| {
            let reach = 4.0 * block.lines.iter().fold(0.0f32, |size, line| size.max(line.size));
            let holds = |other: &&Block| {
                let distance = (block.foot - other.top).max(other.foot - block.top);
                !is_short(other) && distance < reach && other.x0 <= block.x0 + 1.0 && other.x1 >= block.x1 - 1.0
            };
            let narrowest = blocks.iter().filter(holds).min_by(|a, b| (a.x1 - a.x0).total_cmp(&(b.x1 - b.x0)));
            narrowest.filter(|_| is_short(block)).map_or((block.x0, block.x1), |column| (column.x0, column.x1))
        })
        .collect();
    for (block, (x0, x1)) in blocks.iter_mut().zip(columns) {
        (block.x0, block.x1) = (x0, x1);
    }
}

fn comes_before(blocks: &[Block], a: usize, b: usize) -> bool {
    let (first, second) = (&blocks[a], &blocks[b]);
    if first.shares_columns(second) {
        return first.top > second.top || (first.top == second.top && a < b);
    }
    if first.x0 >= second.x0 {
        return false;
    }
    // Right to left of it, unless a third spans both and lies between them.
    let (high, low) = if first.top > second.top { (first, second) } else { (second, first) };
    !blocks.iter().enumerate().any(|(c, between)| {
        c != a
            && c != b
            && between.top <= high.foot + 1.0
            && between.foot >= low.top - 1.0
            && between.shares_columns(first)
            && between.shares_columns(second)
    })
}
