//! How an adapter's factors for one fused matrix lie in a buffer.
//!
//! First the `A` of all its parts, `[Σ rank, cols]` with columns in the order in which the kernel
//! keeps its input (see [`super::ColumnOrder`]); then each part's `B`, `[rows, rank]`, multiplied by
//! the factor's own `scaling`. Ranks are padded to multiples of 4 with zeros.

/// The most fused projections of one matrix (q, k, v).
pub const MAX_PARTS: usize = 3;

/// The rows of a fused matrix that belong to one projection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LowRankPart {
    /// One past its last row.
    pub end: usize,
    /// Padded rank; 0 where the adapter leaves this projection alone.
    pub rank: usize,
    /// Offset of `B` in the buffer, in vectors of 4.
    pub b: usize,
}

/// The shape of a low-rank buffer; no parts: no adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LowRankShape {
    pub n_parts: usize,
    pub parts: [LowRankPart; MAX_PARTS],
}

impl LowRankShape {
    /// Lays out parts of `(rows, rank)` for a matrix of `cols` columns. Returns the buffer's length
    /// in floats too.
    pub fn new(parts: &[(usize, usize)], cols: usize) -> (Self, usize) {
        let mut shape = Self { n_parts: parts.len(), ..Self::default() };
        let total: usize = parts.iter().map(|(_, rank)| rank.next_multiple_of(4)).sum();
        let (mut offset, mut end) = (total * cols, 0);
        for (part, &(rows, rank)) in shape.parts.iter_mut().zip(parts) {
            let rank = rank.next_multiple_of(4);
            end += rows;
            *part = LowRankPart { end, rank, b: offset / 4 };
            offset += rows * rank;
        }
        (shape, offset)
    }

    /// Whether there is anything to add.
    pub fn is_active(&self) -> bool {
        self.total_rank() > 0
    }

    /// Rows of all `A` together.
    pub fn total_rank(&self) -> usize {
        self.parts[..self.n_parts].iter().map(|part| part.rank).sum()
    }

    /// First row of part `i`.
    pub fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.parts[i - 1].end }
    }

    /// First row of part `i`'s `A` among all.
    pub fn a_row(&self, i: usize) -> usize {
        self.parts[..i].iter().map(|part| part.rank).sum()
    }
}
