//! Softmax attention, streamed: an online softmax over tiles of positions, so that workgroup memory
//! does not grow with the context. One query against a long cache is shared by several workgroups, whose sums a second
//! launch adds up.

use super::state;
use super::unpack::{sum4, vec4};
use super::{Gpu, V4};
use cubecl::prelude::*;

/// Positions an invocation scores before the maxima are compared.
const PER_THREAD: usize = 4;

/// Shape of an attention over buffers whose rows hold heads side by side. Offsets and strides are
/// in vectors of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionShape {
    pub num_heads: usize,
    pub num_key_value_heads: usize,
    /// A multiple of 4, at most 128.
    pub head_dim: usize,
    pub threads: usize,
    /// Where queries start, and from one row of queries to the next.
    pub q_offset: usize,
    pub q_stride: usize,
    pub k_offset: usize,
    pub v_offset: usize,
    /// From one position to the next.
    pub kv_stride: usize,
    /// Whether an invocation has a query for itself.
    pub direct: bool,
    /// Workgroups that share the positions of a single query.
    pub parts: usize,
}

impl AttentionShape {
    const fn vectors(&self) -> usize {
        self.head_dim / 4
    }

    /// Invocations that share a vector of the output.
    const fn groups(&self) -> usize {
        self.threads / self.vectors()
    }

    fn scale(&self) -> f32 {
        (self.head_dim as f32).sqrt().recip()
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(&self) -> usize {
        16 * (self.vectors() + self.threads) + 4 * (self.threads * (PER_THREAD + 1) + 1)
    }

    /// Positions of a cache whose keys end where its values begin.
    const fn positions(&self) -> usize {
        (self.v_offset - self.k_offset) / self.kv_stride
    }

    /// Floats of the sums of all parts: `[heads, parts]` of a head's sums, the largest score and the weights' total.
    pub const fn partial_len(num_heads: usize, head_dim: usize, parts: usize) -> usize {
        num_heads * parts * (head_dim + 4)
    }

    /// Workgroups for `rows` queries.
    fn cubes(&self, rows: usize) -> CubeCount {
        let per_cube = if self.direct { self.threads } else { 1 };
        CubeCount::Static(self.num_heads as u32, rows.div_ceil(per_cube) as u32, 1)
    }
}

/// One head of one query against `len` positions from row `kv_row` on.
#[cube]
fn attend(
    q: &[V4],
    kv: &[V4],
    out: &mut [V4],
    q_row: usize,
    kv_row: usize,
    len: usize,
    #[comptime] cfg: AttentionShape,
) {
    let tid = UNIT_POS as usize;
    let head = CUBE_POS_X as usize;
    let threads = comptime!(cfg.threads);
    let vectors = comptime!(cfg.vectors());
    let mut query = Shared::<[V4]>::new_slice(vectors);
    let mut scores = Shared::<[f32]>::new_slice(comptime!(cfg.threads * PER_THREAD));
    let mut reduce = Shared::<[f32]>::new_slice(threads);
    let mut sums = Shared::<[V4]>::new_slice(threads);
    let mut shared_len = Shared::<[u32]>::new_slice(1usize);

    let kv_head = head / comptime!(cfg.num_heads / cfg.num_key_value_heads);
    let q_base = comptime!(cfg.q_offset) + q_row * comptime!(cfg.q_stride) + head * vectors;
    let k_base = comptime!(cfg.k_offset) + kv_row * comptime!(cfg.kv_stride) + kv_head * vectors;
    let v_base = comptime!(cfg.v_offset) + kv_row * comptime!(cfg.kv_stride) + kv_head * vectors;
    for i in range_stepped(tid, vectors, threads) {
        query[i] = q[q_base + i] * V4::new(comptime!(cfg.scale()));
    }
    if tid == 0 {
        shared_len[0] = len as u32;
    }
    // Also the barrier after which `query` can be read.
    let len = workgroup_uniform_load(&shared_len[0]) as usize;

    let lane = tid % vectors;
    let group = tid / vectors;
    let tile = comptime!(cfg.threads * PER_THREAD);
    let mut max = f32::new(-1.0e30);
    let mut total = f32::new(0.0);
    let mut sum = V4::new(0f32);
    for t in 0..len.div_ceil(tile) {
        let first = t * tile;
        let mut largest = max;
        for i in 0..PER_THREAD {
            let at = i * threads + tid;
            let mut score = f32::new(-1.0e30);
            if first + at < len {
                let base = k_base + (first + at) * comptime!(cfg.kv_stride);
                let mut dot = V4::new(0f32);
                for d in 0..vectors {
                    dot += query[d] * kv[base + d];
                }
                score = sum4(dot);
                largest = f32::max(largest, score);
            }
            scores[at] = score;
        }
        reduce[tid] = largest;
        sync_cube();
        for i in 0..threads {
            largest = f32::max(largest, reduce[i]);
        }
        let correction = f32::exp(max - largest);
        total *= correction;
        for i in 0..PER_THREAD {
            let at = i * threads + tid;
            let weight = f32::exp(scores[at] - largest);
            scores[at] = weight;
            total += weight;
        }
        max = largest;
        sync_cube();
        sum *= V4::new(correction);
        if group < comptime!(cfg.groups()) {
            for i in range_stepped(group, usize::min(tile, len - first), comptime!(cfg.groups())) {
                sum += V4::new(scores[i]) * kv[v_base + (first + i) * comptime!(cfg.kv_stride) + lane];
            }
        }
        sync_cube();
    }
    reduce[tid] = total;
    sums[tid] = sum;
    sync_cube();
    if tid < vectors {
        let mut total = f32::new(0.0);
        for i in 0..threads {
            total += reduce[i];
        }
        let mut sum = V4::new(0f32);
        for g in 0..comptime!(cfg.groups()) {
            sum += sums[g * vectors + tid];
        }
        if comptime!(cfg.parts == 1) {
            out[q_row * comptime!(cfg.num_heads * cfg.vectors()) + head * vectors + tid] = sum / V4::new(total);
        } else {
            let to = (head * comptime!(cfg.parts) + CUBE_POS_Y as usize) * comptime!(cfg.vectors() + 1);
            out[to + tid] = sum;
            if tid == 0 {
                out[to + vectors] = vec4(max, total, 0f32, 0f32);
            }
        }
    }
}

/// As [`attend`], by one invocation alone: on an adapter that is a program, neighbours then read the same keys and
/// values at the same time, and nobody waits.
#[cube]
fn attend_alone(
    q: &[V4],
    kv: &[V4],
    out: &mut [V4],
    q_row: usize,
    kv_row: usize,
    len: usize,
    #[comptime] cfg: AttentionShape,
) {
    let head = CUBE_POS_X as usize;
    let vectors = comptime!(cfg.vectors());
    let kv_head = head / comptime!(cfg.num_heads / cfg.num_key_value_heads);
    let q_base = comptime!(cfg.q_offset) + q_row * comptime!(cfg.q_stride) + head * vectors;
    let k_base = comptime!(cfg.k_offset) + kv_row * comptime!(cfg.kv_stride) + kv_head * vectors;
    let v_base = comptime!(cfg.v_offset) + kv_row * comptime!(cfg.kv_stride) + kv_head * vectors;
    let mut query = Array::<V4>::new(vectors);
    let mut sum = Array::<V4>::new(vectors);
    #[unroll]
    for i in 0..vectors {
        query[i] = q[q_base + i] * V4::new(comptime!(cfg.scale()));
        sum[i] = V4::new(0f32);
    }
    let mut max = f32::new(-1.0e30);
    let mut total = f32::new(0.0);
    for t in 0..len {
        let at = t * comptime!(cfg.kv_stride);
        let mut dot = V4::new(0f32);
        #[unroll]
        for i in 0..vectors {
            dot += query[i] * kv[k_base + at + i];
        }
        let score = sum4(dot);
        let largest = f32::max(max, score);
        let correction = f32::exp(max - largest);
        let weight = f32::exp(score - largest);
        max = largest;
        total = total * correction + weight;
        #[unroll]
        for i in 0..vectors {
            sum[i] = sum[i] * V4::new(correction) + V4::new(weight) * kv[v_base + at + i];
        }
    }
    #[unroll]
    for i in 0..vectors {
        out[q_row * comptime!(cfg.num_heads * cfg.vectors()) + head * vectors + i] = sum[i] / V4::new(total);
    }
}

/// One query against the cache up to its own position. Grid: `num_heads`, `parts`.
///
/// # Shapes
/// `cache` `[k | v | q]` as [`super::gemv_qkv`] writes it, `out` `[num_heads · head_dim]`, or for several parts
/// [`AttentionShape::partial_len`].
#[cube(launch_unchecked)]
pub fn attention_decode(cache: &[V4], step: &[u32], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    let len = step[state::POSITION] as usize + 1;
    if comptime!(cfg.parts == 1) {
        attend(cache, cache, out, 0usize, 0usize, len, cfg);
    } else {
        let share = len.div_ceil(cfg.parts);
        let first = usize::min(CUBE_POS_Y as usize * share, len);
        attend(cache, cache, out, 0usize, first, usize::min(share, len - first), cfg);
    }
}

/// Adds the parts up. Grid: `num_heads`, an invocation a vector.
///
/// # Shapes
/// `partial` as [`attention_decode`] writes it, `out` `[num_heads · head_dim]`.
#[cube(launch_unchecked)]
pub fn attention_combine(partial: &[V4], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    let vectors = comptime!(cfg.vectors());
    let (head, lane) = (CUBE_POS_X as usize, UNIT_POS as usize);
    let pitch = comptime!(cfg.vectors() + 1);
    let base = head * comptime!(cfg.parts * (cfg.vectors() + 1));
    let mut max = f32::new(-1.0e30);
    for part in 0..cfg.parts {
        max = f32::max(max, partial[base + part * pitch + vectors].extract(0usize));
    }
    let mut total = f32::new(0.0);
    let mut sum = V4::new(0f32);
    for part in 0..cfg.parts {
        let from = base + part * pitch;
        let end = partial[from + vectors];
        let weight = f32::exp(end.extract(0usize) - max);
        total += weight * end.extract(1usize);
        sum += V4::new(weight) * partial[from + lane];
    }
    out[head * vectors + lane] = sum / V4::new(total);
}

/// The query of this workgroup, or of this invocation.
#[cube]
fn query_row(#[comptime] cfg: AttentionShape) -> usize {
    if comptime!(cfg.direct) {
        CUBE_POS_Y as usize * comptime!(cfg.threads) + UNIT_POS as usize
    } else {
        CUBE_POS_Y as usize
    }
}

#[cube(launch_unchecked)]
fn attention_causal(q: &[V4], cache: &[V4], step: &[u32], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    let row = query_row(cfg);
    let len = step[state::POSITION] as usize + row + 1;
    if comptime!(cfg.direct) {
        // Rows that fill up the last workgroup may lie past the end.
        attend_alone(q, cache, out, row, 0usize, usize::min(len, comptime!(cfg.positions())), cfg);
    } else {
        attend(q, cache, out, row, 0usize, len, cfg);
    }
}

#[cube(launch_unchecked)]
fn attention_bidirectional(qkv: &[V4], lens: &[u32], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    let row = query_row(cfg);
    let width = lens[0] as usize;
    let sequence = row / width;
    let (first, len) = (sequence * width, lens[sequence + 1] as usize);
    if comptime!(cfg.direct) {
        attend_alone(qkv, qkv, out, row, first, len, cfg);
    } else {
        attend(qkv, qkv, out, row, first, len, cfg);
    }
}

/// A batch of queries, each against the cache up to its own position.
///
/// # Shapes
/// `q` rows of `q_stride`, `cache` `[k | v | …]`, the state, `out` `[rows, num_heads · head_dim]`; rows padded to 64.
pub fn launch_causal(gpu: &Gpu, rows: usize, [q, cache, step, out]: [BufferArg; 4], shape: AttentionShape) {
    let (count, dim) = (shape.cubes(rows), CubeDim::new_1d(shape.threads as u32));
    // SAFETY: the grid covers heads and rows; lengths as allocated.
    unsafe {
        attention_causal::launch_unchecked(&gpu.client, count, dim, q, cache, step, out, shape);
    }
    gpu.count();
}

/// Queries of padded sequences, each against all of its own sequence.
///
/// # Shapes
/// `qkv` `[sequences · width, 3 · hidden]`; `lens` `[width, length of each sequence…]`, lengths at
/// least 1; `out` `[sequences · width, hidden]`; rows padded to 64.
pub fn launch_bidirectional(gpu: &Gpu, rows: usize, [qkv, lens, out]: [BufferArg; 3], shape: AttentionShape) {
    let (count, dim) = (shape.cubes(rows), CubeDim::new_1d(shape.threads as u32));
    // SAFETY: as above.
    unsafe {
        attention_bidirectional::launch_unchecked(&gpu.client, count, dim, qkv, lens, out, shape);
    }
    gpu.count();
}
