//! Matrix times matrix over packed weights for adapters that are programs: no workgroup memory and no barriers.
//!
//! Such an adapter runs neighbouring invocations as the lanes of one SIMD register. A load is cheap where all lanes read
//! the same word and dear where they read apart, and barriers cost a switch of stacks. So every invocation has columns of
//! the output for itself, unpacks its own weight rows into registers and meets input that all of them share, many rows at
//! a time. SwiftShader, 256 × 384 × 1536, Q8: 1.0 to 1.3 billion products a second where [`super::gemm`] has 0.27.

use super::matmul::{ColumnOrder, GemmEpilogue, GemmShape, MAX_PREFILL_ROWS, gelu};
use super::state;
use super::unpack::{f16_bits, uvec4, vec4};
use super::{U4, V4};
use crate::packed::{BLOCK, PackedFormat};
use cubecl::prelude::*;

/// Where in its block the F32 weight of natural column `vector · 4 + component` lies.
#[cube]
fn word_of(vector: usize, #[comptime] component: usize, #[comptime] order: ColumnOrder) -> usize {
    if comptime!(order == ColumnOrder::Of(PackedFormat::F16)) {
        ((vector / 2) * 2 + comptime!(component % 2)) * 4 + ((vector % 2) * 4 + component) / 2
    } else if comptime!(matches!(order, ColumnOrder::Of(PackedFormat::Q4 | PackedFormat::Q8))) {
        ((vector / 4) * 4 + component) * 4 + vector % 4
    } else {
        vector * 4 + component
    }
}

/// Natural columns `vector · 4 ..` of the block that starts at word `first`.
#[cube]
fn weights_of(quants: &[u32], first: usize, vector: usize, d: f32, m: f32, #[comptime] g: GemmShape) -> V4 {
    if comptime!(g.format == PackedFormat::Q4) {
        let word = quants[first + vector % 4] >> (vector as u32 / 4u32 * 4u32);
        let q = uvec4(word, word >> 8u32, word >> 16u32, word >> 24u32) & U4::new(15u32);
        V4::cast_from(q) * V4::new(d) + V4::new(m)
    } else if comptime!(g.format == PackedFormat::Q8) {
        let word = quants[first + vector];
        let q = uvec4(word, word >> 8u32, word >> 16u32, word >> 24u32) & U4::new(255u32);
        (V4::cast_from(q) - V4::new(128f32)) * V4::new(d)
    } else if comptime!(g.format == PackedFormat::F16) {
        let low = quants[first + vector * 2];
        let high = quants[first + vector * 2 + 1];
        vec4(f16_bits(low & 0xffffu32), f16_bits(low >> 16u32), f16_bits(high & 0xffffu32), f16_bits(high >> 16u32))
    } else {
        vec4(
            f32::from_bits(quants[first + word_of(vector, 0usize, g.order)]),
            f32::from_bits(quants[first + word_of(vector, 1usize, g.order)]),
            f32::from_bits(quants[first + word_of(vector, 2usize, g.order)]),
            f32::from_bits(quants[first + word_of(vector, 3usize, g.order)]),
        )
    }
}

/// As [`super::gemm`], with the last four buffers in numbers.
#[cube(launch_unchecked)]
pub fn gemm_direct(
    quants: &[u32],
    scales: &[u32],
    x: &[V4],
    extra: &[f32],
    ax: &[f32],
    step: &[u32],
    out: &mut [f32],
    #[comptime] g: GemmShape,
) {
    let threads = comptime!(g.threads());
    let n_rows = comptime!(g.thread_rows);
    let n_cols = comptime!(g.thread_cols);
    let first_row = CUBE_POS_Y as usize * n_rows;
    let first_col = CUBE_POS_X as usize * comptime!(g.tile_cols) + UNIT_POS as usize;
    let row_blocks = comptime!(g.cols / BLOCK);
    let stride = comptime!(g.cols / 4);
    // Sums [row][column].
    let mut sums = Array::<f32>::new(comptime!(g.thread_rows * g.thread_cols));
    #[unroll]
    for i in 0..comptime!(g.thread_rows * g.thread_cols) {
        sums[i] = 0f32;
    }
    let mut weights = Array::<V4>::new(n_cols);
    let mut d = Array::<f32>::new(n_cols);
    let mut m = Array::<f32>::new(n_cols);
    for block in 0..row_blocks {
        #[unroll]
        for j in 0..n_cols {
            if comptime!(g.format.has_scales()) {
                let row = usize::min(first_col + comptime!(j * g.threads()), comptime!(g.rows - 1));
                let words = scales[row * row_blocks + block];
                d[j] = f16_bits(words & 0xffffu32);
                m[j] = f16_bits(words >> 16u32);
            } else {
                d[j] = 0f32;
                m[j] = 0f32;
            }
        }
        for vector in 0..comptime!(BLOCK / 4) {
            #[unroll]
            for j in 0..n_cols {
                let row = usize::min(first_col + comptime!(j * g.threads()), comptime!(g.rows - 1));
                let first = (row * row_blocks + block) * comptime!(g.format.block_bytes() / 4);
                weights[j] = weights_of(quants, first, vector, d[j], m[j], g);
            }
            #[unroll]
            for i in 0..n_rows {
                let v = x[(first_row + i) * stride + block * comptime!(BLOCK / 4) + vector];
                #[unroll]
                for j in 0..n_cols {
                    let w = weights[j];
                    let at = comptime!(i * g.thread_cols + j);
                    sums[at] += v.extract(0usize) * w.extract(0usize)
                        + v.extract(1usize) * w.extract(1usize)
                        + v.extract(2usize) * w.extract(2usize)
                        + v.extract(3usize) * w.extract(3usize);
                }
            }
        }
    }
    if comptime!(g.low_rank.is_active()) {
        let scale = f32::from_bits(step[state::SCALE]);
        #[unroll]
        for p in 0..comptime!(g.low_rank.n_parts) {
            let part = comptime!(g.low_rank.parts[p]);
            let a_row = comptime!(g.low_rank.a_row(p));
            let start = comptime!(g.low_rank.start(p));
            for rank in 0..comptime!(part.rank) {
                let at = (a_row + rank) * MAX_PREFILL_ROWS + first_row;
                #[unroll]
                for j in 0..n_cols {
                    let row = first_col + j * threads;
                    let mut b = 0f32;
                    if row >= start && row < comptime!(part.end) {
                        b = extra[comptime!(part.b * 4) + (row - start) * comptime!(part.rank) + rank] * scale;
                    }
                    #[unroll]
                    for i in 0..n_rows {
                        sums[comptime!(i * g.thread_cols + j)] += b * ax[at + i];
                    }
                }
            }
        }
    }
    #[unroll]
    for j in 0..n_cols {
        let col = first_col + j * threads;
        if col < comptime!(g.rows) {
            #[unroll]
            for i in 0..n_rows {
                let y = sums[comptime!(i * g.thread_cols + j)];
                let row = first_row + i;
                let to = row * comptime!(g.out_stride) + comptime!(g.out_first) + col;
                if comptime!(g.epilogue == GemmEpilogue::Transposed) {
                    out[col * MAX_PREFILL_ROWS + row] = y;
                } else if comptime!(g.epilogue == GemmEpilogue::Add) {
                    out[to] += y;
                } else if comptime!(g.epilogue == GemmEpilogue::Bias) {
                    out[to] = y + extra[col];
                } else if comptime!(g.epilogue == GemmEpilogue::BiasGelu) {
                    out[to] = gelu(V4::new(y + extra[col])).extract(0usize);
                } else {
                    out[to] = y;
                }
            }
        }
    }
}
