//! The sums under every matrix-vector kernel: rows of packed weights times one vector, with RMSNorm
//! before and an adapter's low-rank delta inside.
//!
//! A workgroup loads the input into workgroup memory once, in the order in which words of weights
//! unpack: component `w` of a vector belongs to word `w` of four, so that one vector operation
//! multiplies four words. `lanes` invocations share pairs of rows, so that what is loaded of the input
//! serves all of them.

use super::low_rank::LowRankShape;
use super::state;
use super::unpack::{column, f16_bits, f16_bits4, sum4, vec4};
use super::{U4, V4};
use crate::packed::{BLOCK, PackedFormat};
use cubecl::prelude::*;

/// Columns held in workgroup memory at once when there are more than [`WHOLE`].
const CHUNK: usize = 2048;
/// The most columns held at once without chunks.
const WHOLE: usize = 3072;

/// What happens to a row's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GemvEpilogue {
    /// `out = y`
    Store,
    /// `out += y`
    Add,
    /// `out[i] = silu(y[i]) · y[i + rows/2]`: gate rows first, up rows after them.
    SiluMul,
    /// `out = silu(out) · y`, when gate and up do not share a matrix.
    MulSilu,
}

/// Shape of a matrix-vector product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GemvShape {
    pub format: PackedFormat,
    pub rows: usize,
    pub cols: usize,
    pub threads: usize,
    pub lanes: usize,
    /// Pairs of rows that the same lanes compute.
    pub lane_pairs: usize,
    /// Bits of RMSNorm's epsilon, when the input is normalised first.
    pub norm_eps: Option<u32>,
    pub low_rank: LowRankShape,
}

impl GemvShape {
    /// Pairs of rows a workgroup computes.
    pub(super) const fn pairs(&self) -> usize {
        self.groups() * self.lane_pairs
    }

    /// Groups of lanes.
    pub(super) const fn groups(&self) -> usize {
        self.threads / self.lanes
    }

    /// Rows that the same lanes compute.
    pub(super) const fn lane_rows(&self) -> usize {
        2 * self.lane_pairs
    }

    /// Workgroups of a launch.
    pub fn cubes(&self) -> u32 {
        self.rows.div_ceil(2).div_ceil(self.pairs()) as u32
    }

    pub(super) const fn chunk(&self) -> usize {
        if self.cols <= WHOLE { self.cols } else { CHUNK }
    }

    pub(super) const fn n_chunks(&self) -> usize {
        self.cols.div_ceil(self.chunk())
    }

    pub(super) const fn chunk_blocks(&self, chunk: usize) -> usize {
        let rest = self.cols - chunk * self.chunk();
        (if rest < self.chunk() { rest } else { self.chunk() }) / BLOCK
    }

    /// Invocations that share a row of an `A` of this rank.
    fn a_lanes(&self, rank: usize) -> usize {
        let lanes = self.threads / rank.next_power_of_two();
        if lanes == 0 { 1 } else { lanes }
    }

    fn norm_eps_value(&self) -> f32 {
        f32::from_bits(self.norm_eps.unwrap_or(0))
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(&self) -> usize {
        4 * (self.chunk() + self.chunk() / 16 + self.lane_rows() * self.threads + self.low_rank.total_rank().max(4))
    }
}

/// Workgroup memory of a product.
#[derive(CubeType)]
pub(super) struct Scratch {
    /// The input chunk, permuted.
    pub(super) x: Shared<[V4]>,
    /// Sum of each half block of it.
    pub(super) sums: Shared<[f32]>,
    /// A number an invocation and row.
    pub(super) reduce: Shared<[f32]>,
    /// `A x` of the adapter.
    pub(super) ax: Shared<[f32]>,
}

#[cube]
pub(super) fn scratch(#[comptime] g: GemvShape) -> Scratch {
    Scratch {
        x: Shared::<[V4]>::new_slice(comptime!(g.chunk() / 4)),
        sums: Shared::<[f32]>::new_slice(comptime!(g.chunk() / 16)),
        reduce: Shared::<[f32]>::new_slice(comptime!(g.threads * g.lane_rows())),
        ax: Shared::<[f32]>::new_slice(comptime!(g.low_rank.total_rank().max(4))),
    }
}

/// `1 / rms(x)`, or 1 without a norm.
#[cube]
fn inverse_rms(x: &[V4], x_base: usize, s: &mut Scratch, #[comptime] g: GemvShape) -> f32 {
    let mut inverse = f32::new(1.0);
    if comptime!(g.norm_eps.is_some()) {
        let tid = UNIT_POS as usize;
        let mut squares = V4::new(0f32);
        for i in range_stepped(tid, comptime!(g.cols / 4), comptime!(g.threads)) {
            let v = x[x_base + i];
            squares += v * v;
        }
        s.reduce[tid] = sum4(squares);
        sync_cube();
        let mut total = f32::new(0.0);
        for i in 0..comptime!(g.threads) {
            total += s.reduce[i];
        }
        inverse = f32::inverse_sqrt(total / comptime!(g.cols as f32) + comptime!(g.norm_eps_value()));
        sync_cube();
    }
    inverse
}

/// Loads `blocks` blocks of input from column `first · 4` on, permuted for the format.
#[cube]
fn load_chunk(
    x: &[V4],
    norm: &[V4],
    x_base: usize,
    inverse: f32,
    s: &mut Scratch,
    #[comptime] first: usize,
    #[comptime] blocks: usize,
    #[comptime] g: GemvShape,
) {
    for half in range_stepped(UNIT_POS as usize, comptime!(blocks * 2), comptime!(g.threads)) {
        let at = first + half * 4;
        let mut v0 = x[x_base + at];
        let mut v1 = x[x_base + at + 1];
        let mut v2 = x[x_base + at + 2];
        let mut v3 = x[x_base + at + 3];
        if comptime!(g.norm_eps.is_some()) {
            let scale = V4::new(inverse);
            v0 = v0 * scale * norm[at];
            v1 = v1 * scale * norm[at + 1];
            v2 = v2 * scale * norm[at + 2];
            v3 = v3 * scale * norm[at + 3];
        }
        s.sums[half] = sum4(v0 + v1 + v2 + v3);
        let to = half * 4;
        if comptime!(g.format.has_scales()) {
            s.x[to] = column(v0, v1, v2, v3, 0usize);
            s.x[to + 1] = column(v0, v1, v2, v3, 1usize);
            s.x[to + 2] = column(v0, v1, v2, v3, 2usize);
            s.x[to + 3] = column(v0, v1, v2, v3, 3usize);
        } else if comptime!(g.format == PackedFormat::F16) {
            s.x[to] = vec4(v0.extract(0usize), v0.extract(2usize), v1.extract(0usize), v1.extract(2usize));
            s.x[to + 1] = vec4(v0.extract(1usize), v0.extract(3usize), v1.extract(1usize), v1.extract(3usize));
            s.x[to + 2] = vec4(v2.extract(0usize), v2.extract(2usize), v3.extract(0usize), v3.extract(2usize));
            s.x[to + 3] = vec4(v2.extract(1usize), v2.extract(3usize), v3.extract(1usize), v3.extract(3usize));
        } else {
            s.x[to] = v0;
            s.x[to + 1] = v1;
            s.x[to + 2] = v2;
            s.x[to + 3] = v3;
        }
    }
    sync_cube();
}

/// Adds block `local` of the chunk to this invocation's rows, whose blocks in the matrix `blocks` are.
#[cube]
fn add_block(
    quants: &[U4],
    scales: &[u32],
    s: &mut Scratch,
    sums: &mut Array<f32>,
    first_blocks: &Array<usize>,
    block: usize,
    local: usize,
    #[comptime] g: GemvShape,
) {
    let at = local * 8;
    let n_rows = comptime!(g.lane_rows());
    let mut dots = Array::<V4>::new(n_rows);
    let mut words = Array::<U4>::new(n_rows);
    #[unroll]
    for r in 0..n_rows {
        dots[r] = V4::new(0f32);
    }
    if comptime!(g.format == PackedFormat::Q4) {
        #[unroll]
        for r in 0..n_rows {
            words[r] = quants[first_blocks[r] + block];
        }
        #[unroll]
        for p in 0..8usize {
            let shift = comptime!(p as u32 * 4);
            let index = comptime!((p % 2) * 4 + p / 2);
            let x = s.x[at + index];
            #[unroll]
            for r in 0..n_rows {
                dots[r] += V4::cast_from((words[r] >> U4::new(shift)) & U4::new(15u32)) * x;
            }
        }
    } else if comptime!(g.format == PackedFormat::Q8) {
        #[unroll]
        for half in 0..2usize {
            #[unroll]
            for r in 0..n_rows {
                words[r] = quants[(first_blocks[r] + block) * 2 + half];
            }
            #[unroll]
            for byte in 0..4usize {
                let shift = comptime!(byte as u32 * 8);
                let index = comptime!(half * 4 + byte);
                let x = s.x[at + index];
                #[unroll]
                for r in 0..n_rows {
                    dots[r] += V4::cast_from((words[r] >> U4::new(shift)) & U4::new(255u32)) * x;
                }
            }
        }
    } else if comptime!(g.format == PackedFormat::F16) {
        #[unroll]
        for v in 0..4usize {
            let index = comptime!(v * 2);
            let low = s.x[at + index];
            let high = s.x[at + index + 1];
            #[unroll]
            for r in 0..n_rows {
                let q = quants[(first_blocks[r] + block) * 4 + v];
                dots[r] += f16_bits4(q & U4::new(0xffffu32)) * low;
                dots[r] += f16_bits4(q >> U4::new(16u32)) * high;
            }
        }
    } else {
        #[unroll]
        for v in 0..8usize {
            let x = s.x[at + v];
            #[unroll]
            for r in 0..n_rows {
                dots[r] += V4::reinterpret(quants[(first_blocks[r] + block) * 8 + v]) * x;
            }
        }
    }
    if comptime!(g.format.has_scales()) {
        let x_sum = s.sums[local * 2] + s.sums[local * 2 + 1];
        #[unroll]
        for r in 0..n_rows {
            let scale = scales[first_blocks[r] + block];
            let d = f16_bits(scale & 0xffffu32);
            if comptime!(g.format == PackedFormat::Q4) {
                sums[r] += sum4(dots[r]) * d + f16_bits(scale >> 16u32) * x_sum;
            } else {
                sums[r] += (sum4(dots[r]) - 128f32 * x_sum) * d;
            }
        }
    } else {
        #[unroll]
        for r in 0..n_rows {
            sums[r] += sum4(dots[r]);
        }
    }
}

/// Adds this chunk's `A x` to `s.ax`, for the parts whose rows this workgroup computes.
#[cube]
fn low_rank_input(
    factors: &[V4],
    s: &mut Scratch,
    first_row: usize,
    end_row: usize,
    #[comptime] chunk: usize,
    #[comptime] all_parts: bool,
    #[comptime] g: GemvShape,
) {
    let tid = UNIT_POS as usize;
    #[unroll]
    for i in 0..comptime!(g.low_rank.n_parts) {
        let rank = comptime!(g.low_rank.parts[i].rank);
        if comptime!(rank > 0) {
            let start = comptime!(g.low_rank.start(i));
            let end = comptime!(g.low_rank.parts[i].end);
            let a_row = comptime!(g.low_rank.a_row(i));
            let lanes = comptime!(g.a_lanes(rank));
            let at_once = comptime!(g.threads / lanes);
            if all_parts || (first_row < end && end_row > start) {
                #[unroll]
                for pass in 0..comptime!(rank.div_ceil(at_once)) {
                    let r = comptime!(pass * at_once) + tid / lanes;
                    let mut sum = V4::new(0f32);
                    if r < rank {
                        let base = (a_row + r) * comptime!(g.cols / 4) + comptime!(chunk * g.chunk() / 4);
                        for k in range_stepped(tid % lanes, comptime!(g.chunk_blocks(chunk) * 8), lanes) {
                            sum += factors[base + k] * s.x[k];
                        }
                    }
                    s.reduce[tid] = sum4(sum);
                    sync_cube();
                    let r = comptime!(pass * at_once) + tid;
                    if tid < at_once && r < rank {
                        let mut total = f32::new(0.0);
                        for lane in 0..lanes {
                            total += s.reduce[tid * lanes + lane];
                        }
                        if comptime!(chunk == 0) {
                            s.ax[a_row + r] = total;
                        } else {
                            s.ax[a_row + r] += total;
                        }
                    }
                    sync_cube();
                }
            }
        }
    }
}

/// This lane's share of `B[row] · (A x)`, scaled.
#[cube]
fn low_rank_row(factors: &[V4], s: &mut Scratch, scale: f32, row: usize, lane: usize, #[comptime] g: GemvShape) -> f32 {
    let mut sum = f32::new(0.0);
    #[unroll]
    for i in 0..comptime!(g.low_rank.n_parts) {
        let rank = comptime!(g.low_rank.parts[i].rank);
        if comptime!(rank > 0) {
            let start = comptime!(g.low_rank.start(i));
            let end = comptime!(g.low_rank.parts[i].end);
            let a_row = comptime!(g.low_rank.a_row(i));
            let b = comptime!(g.low_rank.parts[i].b);
            if row >= start && row < end {
                let base = b + (row - start) * comptime!(rank / 4);
                for r in range_stepped(lane, comptime!(rank / 4), comptime!(g.lanes)) {
                    let v = factors[base + r];
                    let at = a_row + r * 4;
                    sum += v.extract(0usize) * s.ax[at]
                        + v.extract(1usize) * s.ax[at + 1]
                        + v.extract(2usize) * s.ax[at + 2]
                        + v.extract(3usize) * s.ax[at + 3];
                }
            }
        }
    }
    sum * scale
}

/// Pair `i` of this invocation's pairs.
#[cube]
pub(super) fn pair_index(#[comptime] i: usize, #[comptime] g: GemvShape) -> usize {
    CUBE_POS_X as usize * comptime!(g.pairs()) + comptime!(i * g.groups()) + UNIT_POS as usize / comptime!(g.lanes)
}

/// Row `r` of this invocation's rows: neighbours are a pair, or with `halves` as far apart as the
/// halves of the matrix. May lie outside the matrix.
#[cube]
pub(super) fn row_index(#[comptime] r: usize, #[comptime] halves: bool, #[comptime] g: GemvShape) -> usize {
    let pair = pair_index(comptime!(r / 2), g);
    if halves { pair + comptime!(r % 2 * (g.rows / 2)) } else { pair * 2 + comptime!(r % 2) }
}

/// The sums of this invocation's rows, whole on lane 0.
#[cube]
pub(super) fn row_sums(
    quants: &[U4],
    scales: &[u32],
    x: &[V4],
    norm: &[V4],
    factors: &[V4],
    x_base: usize,
    scale: f32,
    s: &mut Scratch,
    #[comptime] halves: bool,
    #[comptime] g: GemvShape,
) -> Array<f32> {
    let tid = UNIT_POS as usize;
    let lane = tid % comptime!(g.lanes);
    let n_rows = comptime!(g.lane_rows());
    let last = comptime!(g.rows - 1);
    let inverse = inverse_rms(x, x_base, s, g);
    let mut sums = Array::<f32>::new(n_rows);
    let mut first_blocks = Array::<usize>::new(n_rows);
    #[unroll]
    for r in 0..n_rows {
        sums[r] = 0f32;
        first_blocks[r] = usize::min(row_index(r, halves, g), last) * comptime!(g.cols / BLOCK);
    }
    #[unroll]
    for chunk in 0..comptime!(g.n_chunks()) {
        let first = comptime!(chunk * g.chunk() / 4);
        let blocks = comptime!(g.chunk_blocks(chunk));
        load_chunk(x, norm, x_base, inverse, s, first, blocks, g);
        for block in range_stepped(lane, blocks, comptime!(g.lanes)) {
            let at = block + comptime!(chunk * g.chunk() / BLOCK);
            add_block(quants, scales, s, &mut sums, &first_blocks, at, block, g);
        }
        if comptime!(g.low_rank.is_active()) {
            let first_row = CUBE_POS_X as usize * comptime!(g.pairs() * 2);
            low_rank_input(factors, s, first_row, first_row + comptime!(g.pairs() * 2), chunk, halves, g);
        }
        if comptime!(g.n_chunks() > 1) {
            sync_cube();
        }
    }
    if comptime!(g.low_rank.is_active()) {
        #[unroll]
        for r in 0..n_rows {
            sums[r] += low_rank_row(factors, s, scale, usize::min(row_index(r, halves, g), last), lane, g);
        }
    }
    if comptime!(g.lanes > 1) {
        #[unroll]
        for r in 0..n_rows {
            s.reduce[comptime!(r * g.threads) + tid] = sums[r];
        }
        sync_cube();
        if lane == 0 {
            #[unroll]
            for r in 0..n_rows {
                let mut sum = f32::new(0.0);
                #[unroll]
                for i in 0..comptime!(g.lanes) {
                    sum += s.reduce[comptime!(r * g.threads) + tid + i];
                }
                sums[r] = sum;
            }
        }
    }
    sums
}

#[cube]
pub(super) fn silu(v: f32) -> f32 {
    v / (1f32 + f32::exp(-v))
}

#[cube]
pub(super) fn low_rank_scale(step: &[u32], #[comptime] g: GemvShape) -> f32 {
    if comptime!(g.low_rank.is_active()) { f32::from_bits(step[state::SCALE]) } else { f32::new(1.0) }
}
