//! Matrix times matrix over packed weights: a batch of rows at once, weights unpacked tile by tile
//! into workgroup memory and read once for up to 64 rows.
//!
//! Tiles are kept transposed, `[k][rows/4]`, so that one vector holds the same column of four rows
//! and an outer product needs two loads for sixteen products.

use super::low_rank::LowRankShape;
use super::matmul_direct::gemm_direct;
use super::state;
use super::unpack::{column, f16_bits, f16_bits4, uvec4, vec4};
use super::{Gpu, U4, V4};
use crate::packed::{BLOCK, PackedFormat};
use cubecl::prelude::*;

/// The most rows of input a workgroup takes; inputs are padded to it.
pub const MAX_PREFILL_ROWS: usize = 64;

/// What happens to a tile of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GemmEpilogue {
    /// `out = y`
    Store,
    /// `out += y`
    Add,
    /// `out = y + bias`
    Bias,
    /// `out = gelu(y + bias)`, with the error function.
    BiasGelu,
    /// `out[n][row] = y`, for an adapter's `A x`.
    Transposed,
}

/// In which order F32 weights hold the columns of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnOrder {
    Natural,
    /// As [`super::gemv`] keeps its input for this format.
    Of(PackedFormat),
}

impl ColumnOrder {
    /// The column of a block that the weight at `word` belongs to.
    pub fn natural(self, word: usize) -> usize {
        let (j, c) = (word / 4, word % 4);
        match self {
            Self::Of(PackedFormat::F16) => (j / 2) * 8 + c * 2 + j % 2,
            Self::Of(PackedFormat::Q4 | PackedFormat::Q8) => (j / 4) * 16 + c * 4 + j % 4,
            Self::Natural | Self::Of(PackedFormat::F32) => word,
        }
    }
}

/// Shape of a matrix-matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GemmShape {
    pub format: PackedFormat,
    pub order: ColumnOrder,
    /// Rows of weights, the outputs.
    pub rows: usize,
    pub cols: usize,
    /// Rows of input a tile takes, a divisor of 64.
    pub tile_rows: usize,
    pub tile_cols: usize,
    /// Rows of input and of weights an invocation keeps, multiples of 4 unless `direct`.
    pub thread_rows: usize,
    pub thread_cols: usize,
    /// Columns of an output row, a multiple of 4 not below `rows`.
    pub out_stride: usize,
    /// Column of the first output, a multiple of 4.
    pub out_first: usize,
    pub epilogue: GemmEpilogue,
    pub low_rank: LowRankShape,
    /// Whether [`super::matmul_direct::gemm_direct`] runs it.
    pub direct: bool,
}

/// What a product is bound to: `quants`, `scales`, `x`, `extra`, `ax`, the state, `out`, as [`gemm`] names them.
pub type GemmBuffers = [BufferArg; 7];

impl GemmShape {
    const fn row_groups(&self) -> usize {
        self.tile_rows / 4
    }

    const fn col_groups(&self) -> usize {
        self.tile_cols / 4
    }

    const fn row_threads(&self) -> usize {
        self.tile_rows / self.thread_rows
    }

    const fn col_threads(&self) -> usize {
        self.tile_cols / self.thread_cols
    }

    /// Invocations of a workgroup.
    pub const fn threads(&self) -> usize {
        self.row_threads() * self.col_threads()
    }

    /// Workgroups for `n` rows of input.
    pub fn cubes(&self, n: usize) -> (u32, u32) {
        (self.rows.div_ceil(self.tile_cols) as u32, n.div_ceil(self.tile_rows) as u32)
    }

    const fn words(&self) -> usize {
        self.format.block_bytes() / 4
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(&self) -> usize {
        if self.direct { 0 } else { BLOCK * 4 * (self.tile_rows + self.tile_cols) }
    }

    /// Launches the product for `n` rows of input.
    pub fn launch(self, gpu: &Gpu, n: usize, [quants, scales, x, extra, ax, step, out]: GemmBuffers) {
        let (cols, tiles) = self.cubes(n);
        let (count, dim) = (CubeCount::Static(cols, tiles, 1), CubeDim::new_1d(self.threads() as u32));
        // SAFETY: weight rows outside the matrix are clamped in the kernel, input rows are padded to the largest tile;
        // lengths as allocated.
        unsafe {
            if self.direct {
                gemm_direct::launch_unchecked(&gpu.client, count, dim, quants, scales, x, extra, ax, step, out, self);
            } else {
                gemm::launch_unchecked(&gpu.client, count, dim, quants, scales, x, extra, ax, step, out, self);
            }
        }
        gpu.count();
    }
}

/// [`ColumnOrder::natural`] in a kernel.
#[cube]
fn natural_column(word: usize, #[comptime] order: ColumnOrder) -> usize {
    let j = word / 4;
    let c = word % 4;
    if comptime!(order == ColumnOrder::Of(PackedFormat::F16)) {
        (j / 2) * 8 + c * 2 + j % 2
    } else if comptime!(matches!(order, ColumnOrder::Of(PackedFormat::Q4 | PackedFormat::Q8))) {
        (j / 4) * 16 + c * 4 + j % 4
    } else {
        word
    }
}

/// Unpacks block `block` of the tile's weight rows into `[column][row/4]`.
#[cube]
fn load_weights(
    quants: &[u32],
    scales: &[u32],
    tile: &mut Shared<[V4]>,
    first: usize,
    block: usize,
    #[comptime] g: GemmShape,
) {
    let words = comptime!(g.words());
    let groups = comptime!(g.col_groups());
    let row_blocks = comptime!(g.cols / BLOCK);
    let last = comptime!(g.rows - 1);
    for task in range_stepped(UNIT_POS as usize, comptime!(g.col_groups() * g.words()), comptime!(g.threads())) {
        let group = task / words;
        let word = task % words;
        let row = first + group * 4;
        let b0 = usize::min(row, last) * row_blocks + block;
        let b1 = usize::min(row + 1, last) * row_blocks + block;
        let b2 = usize::min(row + 2, last) * row_blocks + block;
        let b3 = usize::min(row + 3, last) * row_blocks + block;
        let q = uvec4(
            quants[b0 * words + word],
            quants[b1 * words + word],
            quants[b2 * words + word],
            quants[b3 * words + word],
        );
        if comptime!(g.format.has_scales()) {
            let s0 = scales[b0];
            let s1 = scales[b1];
            let s2 = scales[b2];
            let s3 = scales[b3];
            let d = vec4(
                f16_bits(s0 & 0xffffu32),
                f16_bits(s1 & 0xffffu32),
                f16_bits(s2 & 0xffffu32),
                f16_bits(s3 & 0xffffu32),
            );
            if comptime!(g.format == PackedFormat::Q4) {
                let m =
                    vec4(f16_bits(s0 >> 16u32), f16_bits(s1 >> 16u32), f16_bits(s2 >> 16u32), f16_bits(s3 >> 16u32));
                #[unroll]
                for p in 0..8usize {
                    let shift = comptime!(p as u32 * 4);
                    let at = comptime!((p % 2) * 16 + p / 2) + word * 4;
                    tile[at * groups + group] = V4::cast_from((q >> U4::new(shift)) & U4::new(15u32)) * d + m;
                }
            } else {
                #[unroll]
                for byte in 0..4usize {
                    let shift = comptime!(byte as u32 * 8);
                    let value = V4::cast_from((q >> U4::new(shift)) & U4::new(255u32)) - V4::new(128f32);
                    tile[(word * 4 + byte) * groups + group] = value * d;
                }
            }
        } else if comptime!(g.format == PackedFormat::F16) {
            tile[word * 2 * groups + group] = f16_bits4(q & U4::new(0xffffu32));
            tile[(word * 2 + 1) * groups + group] = f16_bits4(q >> U4::new(16u32));
        } else {
            tile[natural_column(word, g.order) * groups + group] = V4::reinterpret(q);
        }
    }
}

/// Loads block `block` of the tile's input rows into `[column][row/4]`.
#[cube]
fn load_input(x: &[V4], tile: &mut Shared<[V4]>, first: usize, block: usize, #[comptime] g: GemmShape) {
    let groups = comptime!(g.row_groups());
    let stride = comptime!(g.cols / 4);
    for task in range_stepped(UNIT_POS as usize, comptime!(g.row_groups() * 8), comptime!(g.threads())) {
        let group = task / 8;
        let vector = task % 8;
        let at = (first + group * 4) * stride + block * 8 + vector;
        let r0 = x[at];
        let r1 = x[at + stride];
        let r2 = x[at + stride * 2];
        let r3 = x[at + stride * 3];
        let to = vector * 4 * groups + group;
        tile[to] = column(r0, r1, r2, r3, 0usize);
        tile[to + groups] = column(r0, r1, r2, r3, 1usize);
        tile[to + groups * 2] = column(r0, r1, r2, r3, 2usize);
        tile[to + groups * 3] = column(r0, r1, r2, r3, 3usize);
    }
}

/// `v/2 · (1 + erf(v/√2))`, `erf` by Abramowitz and Stegun 7.1.26 (error below 1.5e-7).
#[cube]
pub(super) fn gelu(v: V4) -> V4 {
    let z = v * V4::new(0.707_106_77f32);
    let a = V4::abs(z);
    let t = V4::new(1f32) / (V4::new(1f32) + V4::new(0.327_591_1f32) * a);
    let p = ((((V4::new(1.061_405_4f32) * t - V4::new(1.453_152f32)) * t + V4::new(1.421_413_7f32)) * t
        - V4::new(0.284_496_74f32))
        * t
        + V4::new(0.254_829_6f32))
        * t;
    // 1 − erf(|z|); the sign decides which half of the bell is kept.
    let tail = p * V4::exp(-(a * a));
    let magnitude = V4::new(0.5f32) * V4::abs(v) * (V4::new(1f32) - tail);
    V4::new(0.5f32) * v + magnitude
}

/// Loads 32 of the adapter's ranks as if they were columns: `scale · B` as weights, `A x` as input.
#[cube]
fn load_low_rank(
    factors: &[V4],
    ax: &[V4],
    scale: f32,
    weights: &mut Shared<[V4]>,
    input: &mut Shared<[V4]>,
    first_col: usize,
    first_row: usize,
    first_rank: usize,
    #[comptime] g: GemmShape,
) {
    let groups = comptime!(g.col_groups());
    for task in range_stepped(UNIT_POS as usize, comptime!(g.col_groups() * 8), comptime!(g.threads())) {
        let group = task / 8;
        let vector = task % 8;
        let row = first_col + group * 4;
        let rank = first_rank + vector * 4;
        let mut b0 = V4::new(0f32);
        let mut b1 = V4::new(0f32);
        let mut b2 = V4::new(0f32);
        let mut b3 = V4::new(0f32);
        #[unroll]
        for i in 0..comptime!(g.low_rank.n_parts) {
            let part = comptime!(g.low_rank.parts[i]);
            let a_row = comptime!(g.low_rank.a_row(i));
            let start = comptime!(g.low_rank.start(i));
            if rank >= a_row && rank < comptime!(a_row + part.rank) && row >= start && row < comptime!(part.end) {
                let stride = comptime!(part.rank / 4);
                let at = comptime!(part.b) + (row - start) * stride + (rank - a_row) / 4;
                b0 = factors[at];
                b1 = factors[at + stride];
                b2 = factors[at + stride * 2];
                b3 = factors[at + stride * 3];
            }
        }
        let to = vector * 4 * groups + group;
        let scale = V4::new(scale);
        weights[to] = column(b0, b1, b2, b3, 0usize) * scale;
        weights[to + groups] = column(b0, b1, b2, b3, 1usize) * scale;
        weights[to + groups * 2] = column(b0, b1, b2, b3, 2usize) * scale;
        weights[to + groups * 3] = column(b0, b1, b2, b3, 3usize) * scale;
    }
    for task in range_stepped(UNIT_POS as usize, comptime!(g.row_groups() * BLOCK), comptime!(g.threads())) {
        let k = task / comptime!(g.row_groups());
        let group = task % comptime!(g.row_groups());
        let mut v = V4::new(0f32);
        if first_rank + k < comptime!(g.low_rank.total_rank()) {
            v = ax[(first_rank + k) * comptime!(MAX_PREFILL_ROWS / 4) + first_row / 4 + group];
        }
        input[task] = v;
    }
}

/// `out = epilogue(x Wᵀ)` for a batch of rows.
///
/// # Shapes
/// `x` `[rows padded to 64, cols]`, `out` `[…, out_stride]` or `[rows of W, 64]` transposed.
/// `extra` is the bias `[rows of W]` or the adapter's factors; `ax` `[Σ rank, 64]`.
#[cube(launch_unchecked)]
pub fn gemm(
    quants: &[u32],
    scales: &[u32],
    x: &[V4],
    extra: &[V4],
    ax: &[V4],
    step: &[u32],
    out: &mut [V4],
    #[comptime] g: GemmShape,
) {
    let tid = UNIT_POS as usize;
    let mut weights = Shared::<[V4]>::new_slice(comptime!(BLOCK * g.col_groups()));
    let mut input = Shared::<[V4]>::new_slice(comptime!(BLOCK * g.row_groups()));
    let first_col = CUBE_POS_X as usize * comptime!(g.tile_cols);
    let first_row = CUBE_POS_Y as usize * comptime!(g.tile_rows);
    let tx = tid % comptime!(g.col_threads());
    let ty = tid / comptime!(g.col_threads());
    let n_i = comptime!(g.thread_rows / 4);
    let n_j = comptime!(g.thread_cols / 4);
    // Sums [i][column], each of four rows.
    let mut sums = Array::<V4>::new(comptime!(g.thread_rows / 4 * g.thread_cols));
    #[unroll]
    for i in 0..comptime!(g.thread_rows / 4 * g.thread_cols) {
        sums[i] = V4::new(0f32);
    }
    let blocks = comptime!(g.cols / BLOCK);
    for block in 0..comptime!(g.cols / BLOCK + g.low_rank.total_rank().div_ceil(BLOCK)) {
        if block < blocks {
            load_weights(quants, scales, &mut weights, first_col, block, g);
            load_input(x, &mut input, first_row, block, g);
        }
        if comptime!(g.low_rank.is_active()) {
            if block >= blocks {
                let scale = f32::from_bits(step[state::SCALE]);
                let rank = (block - blocks) * BLOCK;
                load_low_rank(extra, ax, scale, &mut weights, &mut input, first_col, first_row, rank, g);
            }
        }
        sync_cube();
        for k in 0..BLOCK {
            let row_base = k * comptime!(g.row_groups()) + ty;
            let col_base = k * comptime!(g.col_groups()) + tx;
            #[unroll]
            for j in 0..n_j {
                let w = weights[col_base + comptime!(j * g.col_threads())];
                #[unroll]
                for i in 0..n_i {
                    let v = input[row_base + comptime!(i * g.row_threads())];
                    #[unroll]
                    for c in 0..4usize {
                        let at = comptime!(i * g.thread_cols + j * 4 + c);
                        sums[at] += v * V4::new(w.extract(c));
                    }
                }
            }
        }
        sync_cube();
    }
    #[unroll]
    for j in 0..n_j {
        let col = first_col + (tx + comptime!(j * g.col_threads())) * 4;
        if col < comptime!(g.rows) {
            #[unroll]
            for i in 0..n_i {
                let row = first_row + (ty + comptime!(i * g.row_threads())) * 4;
                let at = comptime!(i * g.thread_cols + j * 4);
                let c0 = sums[at];
                let c1 = sums[comptime!(at + 1)];
                let c2 = sums[comptime!(at + 2)];
                let c3 = sums[comptime!(at + 3)];
                if comptime!(g.epilogue == GemmEpilogue::Transposed) {
                    let to = col * comptime!(MAX_PREFILL_ROWS / 4) + row / 4;
                    out[to] = c0;
                    out[to + comptime!(MAX_PREFILL_ROWS / 4)] = c1;
                    out[to + comptime!(MAX_PREFILL_ROWS / 2)] = c2;
                    out[to + comptime!(MAX_PREFILL_ROWS / 4 * 3)] = c3;
                } else {
                    #[unroll]
                    for r in 0..4usize {
                        let to = (row + r) * comptime!(g.out_stride / 4) + comptime!(g.out_first / 4) + col / 4;
                        let y = column(c0, c1, c2, c3, r);
                        if comptime!(g.epilogue == GemmEpilogue::Add) {
                            out[to] += y;
                        } else if comptime!(g.epilogue == GemmEpilogue::Bias) {
                            out[to] = y + extra[col / 4];
                        } else if comptime!(g.epilogue == GemmEpilogue::BiasGelu) {
                            out[to] = gelu(y + extra[col / 4]);
                        } else {
                            out[to] = y;
                        }
                    }
                }
            }
        }
    }
}
