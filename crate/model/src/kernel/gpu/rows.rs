//! What happens to whole rows between the products: embedding, norms, rotary positions, pooling.

use super::state;
use super::unpack::{column, f16_bits, f16_bits4, sum4, vec4};
use super::{U4, V4};
use crate::packed::{BLOCK, PackedFormat};
use cubecl::prelude::*;

/// Shape of an embedding look-up. Offsets in vectors of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GatherShape {
    pub format: PackedFormat,
    pub cols: usize,
    pub vocab: usize,
    /// Where in `x` the rotary row of the step's position goes, and its dimensions.
    pub rope: usize,
    pub head_dim: usize,
}

/// Unpacks one block of 32 to `x[to..to + 8]`.
#[cube]
fn unpack_block(
    quants: &[U4],
    scales: &[u32],
    x: &mut [V4],
    block: usize,
    to: usize,
    #[comptime] format: PackedFormat,
) {
    if comptime!(format.has_scales()) {
        let scale = scales[block];
        let d = V4::new(f16_bits(scale & 0xffffu32));
        #[unroll]
        for half in 0..2usize {
            let mut bytes = Array::<V4>::new(4usize);
            #[unroll]
            for b in 0..4usize {
                if comptime!(format == PackedFormat::Q4) {
                    let shift = comptime!((2 * b + half) as u32 * 4);
                    let m = V4::new(f16_bits(scale >> 16u32));
                    bytes[b] = V4::cast_from((quants[block] >> U4::new(shift)) & U4::new(15u32)) * d + m;
                } else {
                    let shift = comptime!(b as u32 * 8);
                    let q = (quants[block * 2 + half] >> U4::new(shift)) & U4::new(255u32);
                    bytes[b] = (V4::cast_from(q) - V4::new(128f32)) * d;
                }
            }
            #[unroll]
            for w in 0..4usize {
                x[to + comptime!(half * 4 + w)] = column(bytes[0], bytes[1], bytes[2], bytes[3], w);
            }
        }
    } else if comptime!(format == PackedFormat::F16) {
        #[unroll]
        for v in 0..4usize {
            let q = quants[block * 4 + v];
            let low = f16_bits4(q & U4::new(0xffffu32));
            let high = f16_bits4(q >> U4::new(16u32));
            let at = to + comptime!(v * 2);
            x[at] = vec4(low.extract(0usize), high.extract(0usize), low.extract(1usize), high.extract(1usize));
            x[at + 1] = vec4(low.extract(2usize), high.extract(2usize), low.extract(3usize), high.extract(3usize));
        }
    } else {
        #[unroll]
        for v in 0..8usize {
            x[to + v] = V4::reinterpret(quants[block * 8 + v]);
        }
    }
}

/// Embeddings of the step's ids, and the rotary row of its position for [`super::gemv_qkv`].
/// Grid: blocks of a row, rows.
///
/// # Shapes
/// `rope` `[n_ctx, head_dim/2][cos, sin]`; `x` `[rows, cols]`.
#[cube(launch_unchecked)]
pub fn gather(quants: &[U4], scales: &[u32], rope: &[V4], step: &[u32], x: &mut [V4], #[comptime] cfg: GatherShape) {
    let unit = ABSOLUTE_POS_X as usize;
    let row = CUBE_POS_Y as usize;
    let blocks = comptime!(cfg.cols / BLOCK);
    let id = usize::min(step[state::IDS + row] as usize, comptime!(cfg.vocab - 1));
    if unit < blocks {
        unpack_block(quants, scales, x, id * blocks + unit, (row * blocks + unit) * 8, cfg.format);
    }
    if row == 0 {
        let base = step[state::POSITION] as usize * comptime!(cfg.head_dim / 4);
        let n = CUBE_COUNT_X as usize * CUBE_DIM_X as usize;
        for i in range_stepped(unit, comptime!(cfg.head_dim / 4), n) {
            x[comptime!(cfg.rope) + i] = rope[base + i];
        }
    }
}

/// Word and position embeddings of padded sequences. Grid: blocks of a row, rows.
///
/// # Shapes
/// `positions` `[max positions, cols]`; `batch` `[width, …]` with ids `[rows]` from `ids` on.
#[cube(launch_unchecked)]
pub fn gather_encoder(
    quants: &[U4],
    scales: &[u32],
    positions: &[V4],
    batch: &[u32],
    x: &mut [V4],
    #[comptime] ids: usize,
    #[comptime] cfg: GatherShape,
) {
    let unit = ABSOLUTE_POS_X as usize;
    let row = CUBE_POS_Y as usize;
    let blocks = comptime!(cfg.cols / BLOCK);
    if unit < blocks {
        let id = usize::min(batch[ids + row] as usize, comptime!(cfg.vocab - 1));
        let to = (row * blocks + unit) * 8;
        unpack_block(quants, scales, x, id * blocks + unit, to, cfg.format);
        let position = ((row % batch[0] as usize) * blocks + unit) * 8;
        for i in 0..8usize {
            x[to + i] += positions[position + i];
        }
    }
}

/// Sum over the invocations of a workgroup; every one gets it.
#[cube]
fn cube_sum(value: f32, reduce: &mut Shared<[f32]>, #[comptime] threads: usize) -> f32 {
    reduce[UNIT_POS as usize] = value;
    sync_cube();
    let mut total = f32::new(0.0);
    for i in 0..threads {
        total += reduce[i];
    }
    sync_cube();
    total
}

/// `out = x / rms(x) · weight`, a row a workgroup.
#[cube(launch_unchecked)]
pub fn rms_norm(
    x: &[V4],
    weight: &[V4],
    out: &mut [V4],
    #[comptime] cols: usize,
    #[comptime] eps: u32,
    #[comptime] threads: usize,
) {
    let tid = UNIT_POS as usize;
    let base = CUBE_POS_X as usize * comptime!(cols / 4);
    let mut reduce = Shared::<[f32]>::new_slice(threads);
    let mut squares = V4::new(0f32);
    for i in range_stepped(tid, comptime!(cols / 4), threads) {
        let v = x[base + i];
        squares += v * v;
    }
    let total = cube_sum(sum4(squares), &mut reduce, threads);
    let inverse = V4::new(f32::inverse_sqrt(total / comptime!(cols as f32) + comptime!(f32::from_bits(eps))));
    for i in range_stepped(tid, comptime!(cols / 4), threads) {
        out[base + i] = x[base + i] * inverse * weight[i];
    }
}

/// Shape of a LayerNorm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerNormShape {
    pub cols: usize,
    /// Bits of epsilon.
    pub eps: u32,
    /// Whether `residual` is added first.
    pub residual: bool,
    pub threads: usize,
}

/// `x = layer_norm(x + residual) · weight + bias`, a row a workgroup.
///
/// # Shapes
/// `parameters` `[weight: cols | bias: cols]`.
#[cube(launch_unchecked)]
pub fn layer_norm(x: &mut [V4], residual: &[V4], parameters: &[V4], #[comptime] cfg: LayerNormShape) {
    let tid = UNIT_POS as usize;
    let cols4 = comptime!(cfg.cols / 4);
    let base = CUBE_POS_X as usize * cols4;
    let mut reduce = Shared::<[f32]>::new_slice(comptime!(cfg.threads));
    let mut sum = V4::new(0f32);
    for i in range_stepped(tid, cols4, comptime!(cfg.threads)) {
        if comptime!(cfg.residual) {
            x[base + i] += residual[base + i];
        }
        sum += x[base + i];
    }
    let mean = cube_sum(sum4(sum), &mut reduce, cfg.threads) / comptime!(cfg.cols as f32);
    let mut squares = V4::new(0f32);
    for i in range_stepped(tid, cols4, comptime!(cfg.threads)) {
        let v = x[base + i] - V4::new(mean);
        squares += v * v;
    }
    let variance = cube_sum(sum4(squares), &mut reduce, cfg.threads) / comptime!(cfg.cols as f32);
    let inverse = V4::new(f32::inverse_sqrt(variance + comptime!(f32::from_bits(cfg.eps))));
    for i in range_stepped(tid, cols4, comptime!(cfg.threads)) {
        x[base + i] = (x[base + i] - V4::new(mean)) * inverse * parameters[i] + parameters[cols4 + i];
    }
}

/// Shape of a batch's queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RopeShape {
    pub q_dim: usize,
    pub kv_dim: usize,
    pub head_dim: usize,
    pub n_ctx: usize,
}

/// Rotates the queries of a batch in place, and its keys into the cache; copies its values there.
/// Grid: vectors of a row, rows.
///
/// # Shapes
/// `qkv` `[rows, q_dim + 2 · kv_dim]`, `rope` `[n_ctx, head_dim/2][cos, sin]`, `cache` `[k | v | …]`.
#[cube(launch_unchecked)]
pub fn rope_scatter(qkv: &mut [V4], rope: &[V4], step: &[u32], cache: &mut [V4], #[comptime] cfg: RopeShape) {
    let unit = ABSOLUTE_POS_X as usize;
    let row = CUBE_POS_Y as usize;
    let q4 = comptime!(cfg.q_dim / 4);
    let kv4 = comptime!(cfg.kv_dim / 4);
    let head4 = comptime!(cfg.head_dim / 4);
    if unit < comptime!((cfg.q_dim + 2 * cfg.kv_dim) / 4) {
        let position = step[state::POSITION] as usize + row;
        let at = row * comptime!((cfg.q_dim + 2 * cfg.kv_dim) / 4) + unit;
        let v = qkv[at];
        if unit < comptime!((cfg.q_dim + cfg.kv_dim) / 4) {
            let angle = rope[position * head4 + unit % head4];
            let c0 = angle.extract(0usize);
            let s0 = angle.extract(1usize);
            let c1 = angle.extract(2usize);
            let s1 = angle.extract(3usize);
            let v0 = v.extract(0usize);
            let v1 = v.extract(1usize);
            let v2 = v.extract(2usize);
            let v3 = v.extract(3usize);
            let rotated = vec4(v0 * c0 - v1 * s0, v0 * s0 + v1 * c0, v2 * c1 - v3 * s1, v2 * s1 + v3 * c1);
            if unit < q4 {
                qkv[at] = rotated;
            } else {
                cache[position * kv4 + unit - q4] = rotated;
            }
        } else {
            cache[comptime!(cfg.n_ctx * cfg.kv_dim / 4) + position * kv4 + unit - q4 - kv4] = v;
        }
    }
}

/// `out = silu(gate) · up`. Grid: vectors of a row, rows.
///
/// # Shapes
/// `gate_up` `[rows, gate: cols | up: cols]`, `out` `[rows, cols]`.
#[cube(launch_unchecked)]
pub fn silu_mul(gate_up: &[V4], out: &mut [V4], #[comptime] cols: usize) {
    let unit = ABSOLUTE_POS_X as usize;
    let row = CUBE_POS_Y as usize;
    let cols4 = comptime!(cols / 4);
    if unit < cols4 {
        let gate = gate_up[row * 2 * cols4 + unit];
        let up = gate_up[(row * 2 + 1) * cols4 + unit];
        out[row * cols4 + unit] = gate / (V4::new(1f32) + V4::exp(-gate)) * up;
    }
}

/// Shape of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    pub cols: usize,
    /// The first token's row, or the mean of all rows of the sequence.
    pub first_token: bool,
    pub threads: usize,
}

/// One unit vector a sequence, a sequence a workgroup.
///
/// # Shapes
/// `x` `[sequences · width, cols]`, `batch` `[width, length of each sequence…]`, `out`
/// `[sequences, cols]`.
#[cube(launch_unchecked)]
pub fn pool(x: &[V4], batch: &[u32], out: &mut [V4], #[comptime] cfg: PoolShape) {
    let tid = UNIT_POS as usize;
    let sequence = CUBE_POS_X as usize;
    let cols4 = comptime!(cfg.cols / 4);
    let mut reduce = Shared::<[f32]>::new_slice(comptime!(cfg.threads));
    let first = sequence * batch[0] as usize;
    let mut n = batch[sequence + 1] as usize;
    if comptime!(cfg.first_token) {
        n = 1usize.runtime();
    }
    let mut squares = V4::new(0f32);
    for i in range_stepped(tid, cols4, comptime!(cfg.threads)) {
        let mut sum = V4::new(0f32);
        for row in 0..n {
            sum += x[(first + row) * cols4 + i];
        }
        squares += sum * sum;
        out[sequence * cols4 + i] = sum;
    }
    let total = cube_sum(sum4(squares), &mut reduce, cfg.threads);
    let inverse = V4::new(f32::inverse_sqrt(f32::max(total, 1e-24f32)));
    for i in range_stepped(tid, cols4, comptime!(cfg.threads)) {
        out[sequence * cols4 + i] = out[sequence * cols4 + i] * inverse;
    }
}
