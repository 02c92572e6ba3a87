//! Softmax attention, streamed: an online softmax over tiles of positions, so that workgroup memory
//! does not grow with the context.

use super::V4;
use super::state;
use super::unpack::sum4;
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
        out[q_row * comptime!(cfg.num_heads * cfg.vectors()) + head * vectors + tid] = sum / V4::new(total);
    }
}

/// One query against the cache up to its own position. Grid: `num_heads`.
///
/// # Shapes
/// `cache` `[k | v | q]` as [`super::gemv_qkv`] writes it, `out` `[num_heads · head_dim]`.
#[cube(launch_unchecked)]
pub fn attention_decode(cache: &[V4], step: &[u32], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    attend(cache, cache, out, 0usize, 0usize, step[state::POSITION] as usize + 1, cfg);
}

/// A batch of queries, each against the cache up to its own position. Grid: `num_heads, rows`.
///
/// # Shapes
/// `q` rows of `q_stride`, `cache` `[k | v | …]`, `out` `[rows, num_heads · head_dim]`.
#[cube(launch_unchecked)]
pub fn attention_causal(q: &[V4], cache: &[V4], step: &[u32], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    let row = CUBE_POS_Y as usize;
    attend(q, cache, out, row, 0usize, step[state::POSITION] as usize + row + 1, cfg);
}

/// Queries of padded sequences, each against all of its own sequence. Grid: `num_heads, rows`.
///
/// # Shapes
/// `qkv` `[sequences · width, 3 · hidden]`; `lens` `[width, length of each sequence…]`, lengths at
/// least 1; `out` `[sequences · width, hidden]`.
#[cube(launch_unchecked)]
pub fn attention_bidirectional(qkv: &[V4], lens: &[u32], out: &mut [V4], #[comptime] cfg: AttentionShape) {
    let row = CUBE_POS_Y as usize;
    let width = lens[0] as usize;
    let sequence = row / width;
    attend(qkv, qkv, out, row, sequence * width, lens[sequence + 1] as usize, cfg);
}
