//! Activations as 8-bit integers, in blocks of 32 with a step each.

use std::hint::black_box;

use wide::{f32x4, i8x16, i32x4};

use crate::BLOCK;
use crate::math::ROUND;

/// Rows of a batch that meet weights together.
pub const TILE: usize = 4;

/// How a block's values become integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// `value = q·step`, q in ±127.
    Signed8,
    /// `value = q·step + low`, q in 0..=127: x86 and WebAssembly multiply signed bytes with unsigned ones only.
    Unsigned7,
}

/// One block of the rows of a tile, each four elements of all rows side by side.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TileBlock<const T: usize> {
    /// `[32/4, T, 4]`
    pub quants: [[[u8; 4]; T]; BLOCK / 4],
    pub steps: [f32; T],
    /// What a weight block's minimum multiplies: the sum of the block's values, or its low for [`Rounding::Unsigned7`].
    pub offsets: [f32; T],
}

/// `[n, cols]` activations, rounded; reused from call to call.
pub struct Quantised {
    n: usize,
    cols: usize,
    rounding: Rounding,
    /// `[tiles, cols/32]` of [`TileBlock<TILE>`], or of `TileBlock<1>` for one signed row; as words, since both are made of them.
    words: Vec<u32>,
}

impl Quantised {
    pub fn new(rounding: Rounding) -> Self {
        Self { n: 0, cols: 0, rounding, words: Vec::new() }
    }

    pub fn n(&self) -> usize {
        self.n
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn rounding(&self) -> Rounding {
        self.rounding
    }

    pub(crate) fn tiles(&self) -> &[u32] {
        &self.words
    }

    /// Takes `values`, `[n, cols]`.
    pub fn set(&mut self, values: &[f32], cols: usize) {
        assert_eq!((cols % BLOCK, values.len() % cols), (0, 0));
        self.n = values.len() / cols;
        self.cols = cols;
        if self.n == 1 && self.rounding == Rounding::Signed8 {
            self.fill::<1>(values);
        } else {
            self.fill::<TILE>(values);
        }
    }

    fn fill<const T: usize>(&mut self, values: &[f32]) {
        let n_blocks = self.cols / BLOCK;
        let words = size_of::<TileBlock<T>>() / 4;
        // Rows that fill up the last tile have to be zero.
        self.words.clear();
        self.words.resize(self.n.div_ceil(T) * n_blocks * words, 0);
        let rounding = self.rounding;
        // As [`Exp`](crate::Exp) holds its constants.
        let round = black_box(f32x4::splat(ROUND));
        for (row, values) in values.chunks_exact(self.cols).enumerate() {
            let tile = &mut self.words[row / T * n_blocks * words..][..n_blocks * words];
            for (block, tile) in values.as_chunks().0.iter().zip(tile.chunks_exact_mut(words)) {
                let (quants, step, offset) = match rounding {
                    Rounding::Signed8 => signed8(block, round),
                    Rounding::Unsigned7 => unsigned7(block, round),
                };
                let t = row % T;
                for k in 0..BLOCK / 4 {
                    tile[k * T + t] = quants[k];
                }
                tile[BLOCK / 4 * T + t] = step.to_bits();
                tile[BLOCK / 4 * T + T + t] = offset.to_bits();
            }
        }
    }
}

/// Bytes in words, step and sum.
#[inline(always)]
fn signed8(block: &[f32; BLOCK], round: f32x4) -> ([u32; 8], f32, f32) {
    let v = load(block);
    let largest = largest(&v);
    if largest == 0.0 {
        return ([0; 8], 0.0, 0.0);
    }
    let (quants, sum) = rounded(&v, f32x4::ZERO, f32x4::splat(127.0 / largest), round);
    let step = largest / 127.0;
    (quants, step, sum as f32 * step)
}

/// What [`Rounding::Signed8`] leaves of `values`, in blocks of 32: rounded in its turn, both together are as near as 15
/// bits.
pub fn signed8_rest(values: &[f32], rest: &mut Vec<f32>) {
    rest.clear();
    for block in values.as_chunks().0 {
        let v = load(block);
        let largest = largest(&v);
        let (inverse, step) = (f32x4::splat(127.0 / largest), f32x4::splat(-largest / 127.0));
        let round = f32x4::splat(ROUND);
        for v in v {
            // A block of zeros leaves zeros, and not what 0/0 is.
            let left = v + ((v * inverse + round) - round) * step;
            rest.extend(if largest == 0.0 { [0.0; 4] } else { left.to_array() });
        }
    }
}

/// Bytes in words, step and low.
#[inline(always)]
fn unsigned7(block: &[f32; BLOCK], round: f32x4) -> ([u32; 8], f32, f32) {
    let v = load(block);
    let low =
        v[0].fast_min(v[1]).fast_min(v[2].fast_min(v[3])).fast_min(v[4].fast_min(v[5]).fast_min(v[6].fast_min(v[7])));
    let high =
        v[0].fast_max(v[1]).fast_max(v[2].fast_max(v[3])).fast_max(v[4].fast_max(v[5]).fast_max(v[6].fast_max(v[7])));
    let (low, high) = (-max4(-low), max4(high));
    if high == low {
        return ([0; 8], 0.0, low);
    }
    let (quants, _) = rounded(&v, f32x4::splat(low), f32x4::splat(127.0 / (high - low)), round);
    (quants, (high - low) / 127.0, low)
}

#[inline(always)]
fn load(block: &[f32; BLOCK]) -> [f32x4; 8] {
    let [a, b, c, d, e, f, g, h]: &[[f32; 4]; 8] = bytemuck::cast_ref(block);
    let new = f32x4::new;
    [new(*a), new(*b), new(*c), new(*d), new(*e), new(*f), new(*g), new(*h)]
}

#[inline(always)]
fn largest(v: &[f32x4; 8]) -> f32 {
    let largest = v[0].abs().fast_max(v[1].abs()).fast_max(v[2].abs().fast_max(v[3].abs()));
    max4(largest.fast_max(v[4].abs().fast_max(v[5].abs()).fast_max(v[6].abs().fast_max(v[7].abs()))))
}

#[inline(always)]
fn max4(v: f32x4) -> f32 {
    let [a, b, c, d] = v.to_array();
    // `f32::max` is a call in WebAssembly, for the sake of NaN.
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    larger(larger(a, b), larger(c, d))
}

/// `(v − low)·inverse` to the nearest integers, which fit a byte, and their sum; `round` is [`ROUND`].
#[inline(always)]
fn rounded(v: &[f32x4; 8], low: f32x4, inverse: f32x4, round: f32x4) -> ([u32; 8], i32) {
    let bias: i32x4 = bytemuck::cast(round);
    let int = |v: f32x4| bytemuck::cast::<f32x4, i32x4>((v - low) * inverse + round) - bias;
    let (a, b, c, d) = (int(v[0]), int(v[1]), int(v[2]), int(v[3]));
    let (e, f, g, h) = (int(v[4]), int(v[5]), int(v[6]), int(v[7]));
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    // Two narrowings from 16 bits: the halves of what fits a byte fit one each. The one from 32 bits becomes twelve
    // instructions in WebAssembly.
    let narrow = |a: [i32x4; 2]| i8x16::from_i16x16_saturate(bytemuck::cast(a));
    let narrow = |a: i32x4, b: i32x4, c: i32x4, d: i32x4| -> [u32; 4] {
        bytemuck::cast(i8x16::from_i16x16_saturate(bytemuck::cast([narrow([a, b]), narrow([c, d])])))
    };
    (bytemuck::cast([narrow(a, b, c, d), narrow(e, f, g, h)]), sum.reduce_add())
}
