//! Scaled dot-product attention over cached keys and values, four query rows at a time.
//!
//! Four rows share each load of keys and values. A row gives the same bits alone as in a batch: every sum runs over
//! dimensions, or positions, in order, and positions that a row does not see weigh nothing.

#![allow(unsafe_op_in_unsafe_fn, reason = "every line is one: pointers into buffers that `attend` has measured")]

use wide::f32x4;

use crate::math::{MulAdd, exp_by};

/// Positions whose keys lie side by side.
pub const LANES: usize = 4;

/// Query rows that meet keys together.
pub const ROWS: usize = 4;

/// One attention, as it crosses to another module.
#[repr(C)]
pub struct AttentionCall {
    /// Query rows.
    pub n: usize,
    /// Query heads that share one head of keys and values.
    pub group: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    /// Positions that the first row sees; each further row sees `step` more.
    pub len: usize,
    pub step: usize,
    /// `[n, heads·head_dim]`
    pub q: *const f32,
    /// `[⌈positions/4⌉, kv_heads·head_dim, 4]`
    pub keys: *const f32,
    /// `[positions, kv_heads·head_dim]`
    pub values: *const f32,
    /// `[ROWS, positions rounded up to 4]`: scratch.
    pub scores: *mut f32,
    /// `[n, heads·head_dim]`
    pub out: *mut f32,
}

/// # Safety
/// The instructions of `M` are there, and the buffers of the call as long as it says.
#[inline(always)]
pub unsafe fn attend<M: MulAdd>(call: &AttentionCall) {
    let &AttentionCall { n, group, num_key_value_heads, head_dim, len, step, .. } = call;
    let kv_dim = num_key_value_heads * head_dim;
    let q_dim = group * kv_dim;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let mut row = 0;
    while row < n {
        let rows = if row + ROWS <= n { ROWS } else { 1 };
        let first_len = len + row * step;
        let seen = first_len + (rows - 1) * step;
        let n_blocks = seen.div_ceil(LANES);
        // The head's keys, and its place in the group. Not by division: a module without a stack has no panics.
        let (mut first, mut place) = (0, 0);
        for head in 0..group * num_key_value_heads {
            let q = call.q.add(row * q_dim + head * head_dim);
            let keys = call.keys.add(first * LANES);
            let scores = call.scores.cast::<[f32; 4]>();
            if rows == ROWS {
                score4::<M>(q, q_dim, keys, kv_dim, head_dim, n_blocks, scores);
            } else {
                score1::<M>(q, keys, kv_dim, head_dim, n_blocks, scores);
            }
            for r in 0..rows {
                softmax::<M>(scores.add(r * n_blocks), n_blocks, first_len + r * step, scale);
            }
            let out = call.out.add(row * q_dim + head * head_dim);
            let values = call.values.add(first);
            let weights = call.scores.cast_const();
            let mut d = 0;
            if rows == ROWS {
                while d < head_dim {
                    weigh4::<M>(weights, n_blocks * LANES, values.add(d), kv_dim, seen, out.add(d), q_dim);
                    d += 8;
                }
            } else {
                while d + 32 <= head_dim {
                    weigh1::<M>(weights, values.add(d), kv_dim, seen, out.add(d));
                    d += 32;
                }
                while d < head_dim {
                    weigh1_narrow::<M>(weights, values.add(d), kv_dim, seen, out.add(d));
                    d += 8;
                }
            }
            place += 1;
            if place == group {
                (first, place) = (first + head_dim, 0);
            }
        }
        row += rows;
    }
}

#[inline(always)]
unsafe fn load(from: *const f32) -> f32x4 {
    f32x4::new(from.cast::<[f32; 4]>().read_unaligned())
}

#[inline(always)]
unsafe fn splat(from: *const f32) -> f32x4 {
    f32x4::splat(*from)
}

#[inline(always)]
unsafe fn store(value: f32x4, to: *mut f32) {
    to.cast::<[f32; 4]>().write_unaligned(value.to_array());
}

/// Four rows against all blocks of keys, two at a time; variables, since arrays would live in memory.
#[inline(always)]
unsafe fn score4<M: MulAdd>(
    q: *const f32,
    q_dim: usize,
    keys: *const f32,
    kv_dim: usize,
    head_dim: usize,
    n_blocks: usize,
    scores: *mut [f32; 4],
) {
    let mut b = 0;
    while b < n_blocks {
        let is_pair = b + 1 < n_blocks;
        let mut k = keys.add(b * kv_dim * LANES);
        // Without a second block the first stands for it.
        let second = if is_pair { kv_dim * LANES } else { 0 };
        let zero = f32x4::ZERO;
        let (mut a0, mut a1, mut a2, mut a3) = (zero, zero, zero, zero);
        let (mut b0, mut b1, mut b2, mut b3) = (zero, zero, zero, zero);
        let mut at = q;
        let end = q.add(head_dim);
        while at != end {
            let (ka, kb) = (load(k), load(k.add(second)));
            let (q0, q1) = (splat(at), splat(at.add(q_dim)));
            a0 = M::mul_add(q0, ka, a0);
            b0 = M::mul_add(q0, kb, b0);
            a1 = M::mul_add(q1, ka, a1);
            b1 = M::mul_add(q1, kb, b1);
            let (q2, q3) = (splat(at.add(2 * q_dim)), splat(at.add(3 * q_dim)));
            a2 = M::mul_add(q2, ka, a2);
            b2 = M::mul_add(q2, kb, b2);
            a3 = M::mul_add(q3, ka, a3);
            b3 = M::mul_add(q3, kb, b3);
            k = k.add(LANES);
            at = at.add(1);
        }
        let to = scores.add(b).cast::<f32>();
        store(a0, to);
        store(a1, to.add(n_blocks * LANES));
        store(a2, to.add(2 * n_blocks * LANES));
        store(a3, to.add(3 * n_blocks * LANES));
        if is_pair {
            let to = to.add(LANES);
            store(b0, to);
            store(b1, to.add(n_blocks * LANES));
            store(b2, to.add(2 * n_blocks * LANES));
            store(b3, to.add(3 * n_blocks * LANES));
        }
        b += 2;
    }
}

/// One row against all blocks of keys, four at a time.
#[inline(always)]
unsafe fn score1<M: MulAdd>(
    q: *const f32,
    keys: *const f32,
    kv_dim: usize,
    head_dim: usize,
    n_blocks: usize,
    scores: *mut [f32; 4],
) {
    let mut b = 0;
    let stride = kv_dim * LANES;
    while b + 4 <= n_blocks {
        let mut k = keys.add(b * stride);
        let zero = f32x4::ZERO;
        let (mut a0, mut a1, mut a2, mut a3) = (zero, zero, zero, zero);
        let mut at = q;
        let end = q.add(head_dim);
        while at != end {
            let q = splat(at);
            a0 = M::mul_add(q, load(k), a0);
            a1 = M::mul_add(q, load(k.add(stride)), a1);
            a2 = M::mul_add(q, load(k.add(2 * stride)), a2);
            a3 = M::mul_add(q, load(k.add(3 * stride)), a3);
            k = k.add(LANES);
            at = at.add(1);
        }
        let to = scores.add(b).cast::<f32>();
        store(a0, to);
        store(a1, to.add(4));
        store(a2, to.add(8));
        store(a3, to.add(12));
        b += 4;
    }
    while b < n_blocks {
        let k = keys.add(b * stride);
        let mut a = f32x4::ZERO;
        for d in 0..head_dim {
            a = M::mul_add(splat(q.add(d)), load(k.add(d * LANES)), a);
        }
        store(a, scores.add(b).cast());
        b += 1;
    }
}

/// `exp(s·scale) / Σ exp(s·scale)` in place over the first `len` scores; 0 for those after.
#[inline(always)]
unsafe fn softmax<M: MulAdd>(scores: *mut [f32; 4], n_blocks: usize, len: usize, scale: f32) {
    let all = scores.cast::<f32>();
    for t in len..n_blocks * LANES {
        *all.add(t) = f32::NEG_INFINITY;
    }
    let mut largest = f32x4::splat(f32::NEG_INFINITY);
    for b in 0..n_blocks {
        largest = largest.max(f32x4::new(*scores.add(b)));
    }
    let [a, b, c, d] = largest.to_array();
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let largest = f32x4::splat(larger(larger(a, b), larger(c, d)));
    let scale = f32x4::splat(scale);
    let mut sum = f32x4::ZERO;
    for b in 0..n_blocks {
        let score = f32x4::new(*scores.add(b));
        // −∞ is kept to a finite number by the exponential, so it is masked.
        let e = exp_by::<M>((score - largest) * scale) & score.simd_gt(f32x4::splat(f32::NEG_INFINITY));
        *scores.add(b) = e.to_array();
        sum += e;
    }
    let [a, b, c, d] = sum.to_array();
    let inverse = f32x4::splat(1.0 / ((a + c) + (b + d)));
    for b in 0..n_blocks {
        *scores.add(b) = (f32x4::new(*scores.add(b)) * inverse).to_array();
    }
}

/// `out[r] = Σ weights[r][t] · values[t·stride ..]` for four rows, eight numbers wide.
#[inline(always)]
unsafe fn weigh4<M: MulAdd>(
    weights: *const f32,
    pitch: usize,
    values: *const f32,
    stride: usize,
    len: usize,
    out: *mut f32,
    q_dim: usize,
) {
    let zero = f32x4::ZERO;
    let (mut a0, mut a1, mut a2, mut a3) = (zero, zero, zero, zero);
    let (mut b0, mut b1, mut b2, mut b3) = (zero, zero, zero, zero);
    let mut value = values;
    let mut at = weights;
    let end = weights.add(len);
    while at != end {
        let (va, vb) = (load(value), load(value.add(4)));
        let (w0, w1) = (splat(at), splat(at.add(pitch)));
        a0 = M::mul_add(w0, va, a0);
        b0 = M::mul_add(w0, vb, b0);
        a1 = M::mul_add(w1, va, a1);
        b1 = M::mul_add(w1, vb, b1);
        let (w2, w3) = (splat(at.add(2 * pitch)), splat(at.add(3 * pitch)));
        a2 = M::mul_add(w2, va, a2);
        b2 = M::mul_add(w2, vb, b2);
        a3 = M::mul_add(w3, va, a3);
        b3 = M::mul_add(w3, vb, b3);
        value = value.wrapping_add(stride);
        at = at.add(1);
    }
    store(a0, out);
    store(b0, out.add(4));
    store(a1, out.add(q_dim));
    store(b1, out.add(q_dim + 4));
    store(a2, out.add(2 * q_dim));
    store(b2, out.add(2 * q_dim + 4));
    store(a3, out.add(3 * q_dim));
    store(b3, out.add(3 * q_dim + 4));
}

/// One row, 32 numbers wide.
#[inline(always)]
unsafe fn weigh1<M: MulAdd>(weights: *const f32, values: *const f32, stride: usize, len: usize, out: *mut f32) {
    let zero = f32x4::ZERO;
    let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
    let (mut e, mut f, mut g, mut h) = (zero, zero, zero, zero);
    let mut value = values;
    for t in 0..len {
        let w = splat(weights.add(t));
        a = M::mul_add(w, load(value), a);
        b = M::mul_add(w, load(value.add(4)), b);
        c = M::mul_add(w, load(value.add(8)), c);
        d = M::mul_add(w, load(value.add(12)), d);
        e = M::mul_add(w, load(value.add(16)), e);
        f = M::mul_add(w, load(value.add(20)), f);
        g = M::mul_add(w, load(value.add(24)), g);
        h = M::mul_add(w, load(value.add(28)), h);
        value = value.wrapping_add(stride);
    }
    store(a, out);
    store(b, out.add(4));
    store(c, out.add(8));
    store(d, out.add(12));
    store(e, out.add(16));
    store(f, out.add(20));
    store(g, out.add(24));
    store(h, out.add(28));
}

/// One row, eight numbers wide.
#[inline(always)]
unsafe fn weigh1_narrow<M: MulAdd>(weights: *const f32, values: *const f32, stride: usize, len: usize, out: *mut f32) {
    let (mut a, mut b) = (f32x4::ZERO, f32x4::ZERO);
    let mut value = values;
    for t in 0..len {
        let w = splat(weights.add(t));
        a = M::mul_add(w, load(value), a);
        b = M::mul_add(w, load(value.add(4)), b);
        value = value.wrapping_add(stride);
    }
    store(a, out);
    store(b, out.add(4));
}
