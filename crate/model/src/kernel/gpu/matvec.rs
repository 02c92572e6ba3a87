//! Matrix times vector over packed weights, with what follows it in a decoder fused in: epilogues,
//! rotary positions, cache writes or argmax. The sums themselves are in `row_sums.rs`.

use super::row_sums::{GemvEpilogue, GemvShape, low_rank_scale, pair_index, row_index, row_sums, scratch, silu};
use super::state;
use super::{U4, V4};
use cubecl::prelude::*;

/// `out = epilogue(W norm(x) + scale · B A norm(x))`.
///
/// # Shapes
/// `x` and `norm` `[cols]`, `out` `[rows]`, or `[rows/2]` for [`GemvEpilogue::SiluMul`].
#[cube(launch_unchecked)]
pub fn gemv(
    quants: &[U4],
    scales: &[u32],
    x: &[V4],
    norm: &[V4],
    factors: &[V4],
    step: &[u32],
    out: &mut [f32],
    #[comptime] epilogue: GemvEpilogue,
    #[comptime] g: GemvShape,
) {
    let mut s = scratch(g);
    let halves = comptime!(epilogue == GemvEpilogue::SiluMul);
    let scale = low_rank_scale(step, g);
    let sums = row_sums(quants, scales, x, norm, factors, 0usize, scale, &mut s, halves, g);
    if UNIT_POS as usize % comptime!(g.lanes) == 0 {
        if halves {
            #[unroll]
            for i in 0..comptime!(g.lane_pairs) {
                let pair = pair_index(i, g);
                if pair < comptime!(g.rows / 2) {
                    out[pair] = silu(sums[comptime!(i * 2)]) * sums[comptime!(i * 2 + 1)];
                }
            }
        } else {
            #[unroll]
            for r in 0..comptime!(g.lane_rows()) {
                let row = row_index(r, halves, g);
                if row < comptime!(g.rows) {
                    if comptime!(epilogue == GemvEpilogue::Add) {
                        out[row] += sums[r];
                    } else if comptime!(epilogue == GemvEpilogue::MulSilu) {
                        out[row] = silu(out[row]) * sums[r];
                    } else {
                        out[row] = sums[r];
                    }
                }
            }
        }
    }
}

/// Where queries, keys and values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QkvShape {
    /// First row of this matrix among all rows `[q | k | v]`.
    pub first_row: usize,
    pub q_dim: usize,
    pub kv_dim: usize,
    pub head_dim: usize,
    pub n_ctx: usize,
    /// Offset in `x` of this position's cosines and sines, in vectors.
    pub rope: usize,
}

/// Queries, keys and values of one position: RMSNorm, product, rotary positions, cache write.
///
/// # Shapes
/// `x` `[hidden]` with `[head_dim/2][cos, sin]` at `rope`; `cache`
/// `[k: n_ctx, kv_dim | v: n_ctx, kv_dim | q: q_dim]`.
#[cube(launch_unchecked)]
pub fn gemv_qkv(
    quants: &[U4],
    scales: &[u32],
    x: &[V4],
    norm: &[V4],
    factors: &[V4],
    step: &[u32],
    cache: &mut [f32],
    #[comptime] to: QkvShape,
    #[comptime] g: GemvShape,
) {
    let mut s = scratch(g);
    let scale = low_rank_scale(step, g);
    let sums = row_sums(quants, scales, x, norm, factors, 0usize, scale, &mut s, false, g);
    if UNIT_POS as usize % comptime!(g.lanes) == 0 {
        let position = step[state::POSITION] as usize;
        #[unroll]
        for i in 0..comptime!(g.lane_pairs) {
            let local = pair_index(i, g) * 2;
            if local < comptime!(g.rows) {
                let row = local + comptime!(to.first_row);
                let a = sums[comptime!(i * 2)];
                let b = sums[comptime!(i * 2 + 1)];
                if row < comptime!(to.q_dim + to.kv_dim) {
                    let index = (row % comptime!(to.head_dim)) / 2;
                    let both = x[comptime!(to.rope) + index / 2];
                    let mut cos = both.extract(0usize);
                    let mut sin = both.extract(1usize);
                    if index % 2 == 1 {
                        cos = both.extract(2usize);
                        sin = both.extract(3usize);
                    }
                    let mut at = position * comptime!(to.kv_dim) + row - comptime!(to.q_dim);
                    if row < comptime!(to.q_dim) {
                        at = comptime!(2 * to.n_ctx * to.kv_dim) + row;
                    }
                    cache[at] = a * cos - b * sin;
                    cache[at + 1] = a * sin + b * cos;
                } else {
                    let at = comptime!(to.n_ctx * to.kv_dim) + position * comptime!(to.kv_dim) + row
                        - comptime!(to.q_dim + to.kv_dim);
                    cache[at] = a;
                    cache[at + 1] = b;
                }
            }
        }
    }
}

/// Whether a float is neither infinite nor NaN, by its bits: shaders may assume there are none.
#[cube]
fn is_finite(v: f32) -> bool {
    (v.to_bits() & 0x7f80_0000u32) != 0x7f80_0000u32
}

/// Logits of row `step[ROW]` of `x`, and each workgroup's largest: `best` holds `[bits, index]` a
/// workgroup, the index being [`state::BROKEN`] when a logit is not finite.
#[cube(launch_unchecked)]
pub fn gemv_head(
    quants: &[U4],
    scales: &[u32],
    x: &[V4],
    norm: &[V4],
    step: &[u32],
    logits: &mut [f32],
    best: &mut [u32],
    #[comptime] g: GemvShape,
) {
    let mut s = scratch(g);
    let mut indices = Shared::<[u32]>::new_slice(comptime!(g.groups()));
    let tid = UNIT_POS as usize;
    let x_base = step[state::ROW] as usize * comptime!(g.cols / 4);
    let sums = row_sums(quants, scales, x, norm, norm, x_base, 1f32, &mut s, false, g);
    sync_cube();
    if tid % comptime!(g.lanes) == 0 {
        let mut value = f32::new(-3.0e38);
        let mut index = 0u32;
        #[unroll]
        for r in 0..comptime!(g.lane_rows()) {
            let row = row_index(r, false, g);
            if row < comptime!(g.rows) {
                logits[row] = sums[r];
                if !is_finite(sums[r]) {
                    value = f32::new(3.0e38);
                    index = state::BROKEN;
                } else if sums[r] > value {
                    value = sums[r];
                    index = row as u32;
                }
            }
        }
        s.reduce[tid / comptime!(g.lanes)] = value;
        indices[tid / comptime!(g.lanes)] = index;
    }
    sync_cube();
    if tid == 0 {
        let mut value = s.reduce[0];
        let mut index = indices[0];
        for i in 1..comptime!(g.groups()) {
            let v = s.reduce[i];
            if v > value || (v == value && indices[i] < index) {
                value = v;
                index = indices[i];
            }
        }
        best[CUBE_POS_X as usize * 2] = value.to_bits();
        best[CUBE_POS_X as usize * 2 + 1] = index;
    }
}
