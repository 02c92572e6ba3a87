//! Activations as integers, so that a dot product with packed weights is integer work.
//!
//! `exact` precision: 16 bits; each 32-element block is scaled to ±32767, a relative step of 3e-5 of the block's largest
//! value, and the dot products themselves are exact in i32. `fast`: 8 bits, see `lectern_simd`. What a product asks for
//! is made once.

use lectern_simd::{Quantised, Rounding, signed8_rest};
use wide::{f32x4, i32x4};

use crate::packed::BLOCK;

const I16_MAX: f32 = 32767.0;

/// Rows of a batch that meet a weight row together.
pub const TILE: usize = 4;

/// `[n, cols]` activations.
pub struct Activations {
    pub n: usize,
    pub cols: usize,
    /// `[n, cols]`: for F16 and F32 weights and for adapters.
    pub values: Vec<f32>,
    exact: Fresh<Wide>,
    signed: Fresh<Quantised>,
    /// What `signed` leaves, rounded in its turn.
    rest: Fresh<Quantised>,
    /// `[n, cols]`: the same, before.
    rest_values: Vec<f32>,
    unsigned: Fresh<Quantised>,
}

/// 16-bit activations. A batch of more than one row is filled up with zero rows to whole tiles.
#[derive(Default)]
pub struct Wide {
    /// `[tiles, TILE, cols]`, one row `[cols]`.
    pub quants: Vec<i16>,
    /// `[tiles, cols/32, TILE]`, one row `[cols/32]`: value of one step.
    pub steps: Vec<f32>,
    /// As `steps`: sum of the block's values, what a weight block's minimum multiplies.
    pub sums: Vec<f32>,
}

/// A form of the values, and whether it is that of the values held now.
struct Fresh<T> {
    form: T,
    is_fresh: bool,
}

impl<T> Fresh<T> {
    fn new(form: T) -> Self {
        Self { form, is_fresh: false }
    }

    fn or_make(&mut self, make: impl FnOnce(&mut T)) -> &T {
        if !std::mem::replace(&mut self.is_fresh, true) {
            make(&mut self.form);
        }
        &self.form
    }
}

impl Default for Activations {
    fn default() -> Self {
        Self {
            n: 0,
            cols: 0,
            values: Vec::new(),
            exact: Fresh::new(Wide::default()),
            signed: Fresh::new(Quantised::new(Rounding::Signed8)),
            rest: Fresh::new(Quantised::new(Rounding::Signed8)),
            rest_values: Vec::new(),
            unsigned: Fresh::new(Quantised::new(Rounding::Unsigned7)),
        }
    }
}

impl Activations {
    /// Takes `values`, `[n, cols]`; buffers are reused from call to call.
    pub fn set(&mut self, values: &[f32], cols: usize) {
        self.n = values.len() / cols;
        self.cols = cols;
        self.values.clear();
        self.values.extend_from_slice(values);
        self.exact.is_fresh = false;
        self.signed.is_fresh = false;
        self.rest.is_fresh = false;
        self.unsigned.is_fresh = false;
    }

    pub fn row_values(&self, row: usize) -> &[f32] {
        &self.values[row * self.cols..(row + 1) * self.cols]
    }

    /// The 16-bit form.
    pub fn exact(&mut self) -> &Wide {
        self.exact.or_make(|wide| wide.set(&self.values, self.n, self.cols))
    }

    /// An 8-bit form.
    pub fn rounded(&mut self, rounding: Rounding) -> &Quantised {
        let form = match rounding {
            Rounding::Signed8 => &mut self.signed,
            Rounding::Unsigned7 => &mut self.unsigned,
        };
        form.or_make(|quantised| quantised.set(&self.values, self.cols))
    }
}

impl Activations {
    /// What [`Rounding::Signed8`] leaves, as 8 bits.
    pub fn rest(&mut self) -> &Quantised {
        self.rest.or_make(|quantised| {
            signed8_rest(&self.values, &mut self.rest_values);
            quantised.set(&self.rest_values, self.cols);
        })
    }
}

impl Wide {
    fn set(&mut self, values: &[f32], n: usize, cols: usize) {
        let lanes = if n == 1 { 1 } else { TILE };
        let rows = n.next_multiple_of(lanes);
        let n_blocks = cols / BLOCK;
        self.quants.clear();
        self.quants.resize(rows * cols, 0);
        self.steps.clear();
        self.steps.resize(rows * n_blocks, 0.0);
        self.sums.clear();
        self.sums.resize(rows * n_blocks, 0.0);
        for (i, (block, out)) in values.as_chunks().0.iter().zip(self.quants.as_chunks_mut().0).enumerate() {
            let (row, b) = (i / n_blocks, i % n_blocks);
            let at = (row / lanes * n_blocks + b) * lanes + row % lanes;
            (self.steps[at], self.sums[at]) = quantise_block(block, out);
        }
    }
}

/// Returns the step and the sum of the quantised block.
#[inline(always)]
fn quantise_block(block: &[f32; BLOCK], out: &mut [i16; BLOCK]) -> (f32, f32) {
    let block = block.as_chunks().0;
    let mut largest = f32x4::ZERO;
    for v in block {
        largest = largest.fast_max(f32x4::new(*v).abs());
    }
    let largest = largest.to_array().into_iter().fold(0.0, f32::max);
    if largest == 0.0 {
        out.fill(0);
        return (0.0, 0.0);
    }
    let inverse = f32x4::splat(I16_MAX / largest);
    let mut sum = i32x4::ZERO;
    for (v, out) in block.iter().zip(out.as_chunks_mut::<4>().0) {
        let q = (f32x4::new(*v) * inverse).round_int();
        *out = q.to_array().map(|q| q as i16);
        sum += q;
    }
    let step = largest / I16_MAX;
    (step, sum.reduce_add() as f32 * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_within_half_a_step() {
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 0.7).sin() * if i < 32 { 1e-3 } else { 50.0 }).collect();
        let mut activations = Activations::default();
        activations.set(&values, 64);
        let activations = activations.exact();
        for (i, value) in values.iter().enumerate() {
            let step = activations.steps[i / 32];
            assert!((activations.quants[i] as f32 * step - value).abs() <= step * 0.51);
        }
        let sum: f32 = values[..32].iter().sum();
        assert!((activations.sums[0] - sum).abs() < 32.0 * activations.steps[0]);
    }

    #[test]
    fn rows_of_a_tile_lie_side_by_side() {
        let values: Vec<f32> = (0..5 * 64).map(|i| i as f32).collect();
        let mut activations = Activations::default();
        activations.set(&values, 64);
        let activations = activations.exact();
        let largest = |row: usize, b: usize| activations.steps[(row / TILE * 2 + b) * TILE + row % TILE] * 32767.0;
        for row in 0..5 {
            for b in 0..2 {
                assert!((largest(row, b) - (row * 64 + b * 32 + 31) as f32).abs() < 0.1);
            }
        }
        assert_eq!((largest(6, 0), activations.quants.len()), (0.0, 8 * 64));
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut activations = Activations::default();
        activations.set(&[0.0; 32], 32);
        let activations = activations.exact();
        assert_eq!((activations.steps[0], activations.sums[0]), (0.0, 0.0));
        assert!(activations.quants.iter().all(|&q| q == 0));
    }
}
