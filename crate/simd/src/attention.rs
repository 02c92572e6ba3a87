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
    /// `[ROWS, positions rounded up to 8]`: scratch.
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
        // Blocks are met in twos.
        let pitch = n_blocks.next_multiple_of(2) * LANES;
        // The head's keys, and its place in the group. Not by division: a module without a stack has no panics.
        let (mut first, mut place) = (0, 0);
        for head in 0..group * num_key_value_heads {
            let q = Sum {
                n: head_dim,
                scalars: call.q.add(row * q_dim + head * head_dim),
                vectors: call.keys.add(first * LANES),
                step: LANES,
                apart: kv_dim * LANES,
            };
            let at = |b: usize| Sum { vectors: q.vectors.add(b * q.apart), ..q };
            let mut b = 0;
            if rows == ROWS {
                while b + 2 <= n_blocks {
                    store4x2(sum4x2::<M>(at(b), q_dim), call.scores.add(b * LANES), pitch);
                    b += 2;
                }
            } else {
                while b + 8 <= n_blocks {
                    store8(sum1x8::<M>(at(b)), call.scores.add(b * LANES));
                    b += 8;
                }
                while b + 2 <= n_blocks {
                    store2(sum1x2::<M>(at(b)), call.scores.add(b * LANES));
                    b += 2;
                }
            }
            if b < n_blocks {
                // A last block alone: it stands for its neighbour too, whose scores are never looked at.
                let last = Sum { apart: 0, ..at(b) };
                if rows == ROWS {
                    store4x2(sum4x2::<M>(last, q_dim), call.scores.add(b * LANES), pitch);
                } else {
                    store2(sum1x2::<M>(last), call.scores.add(b * LANES));
                }
            }
            for r in 0..rows {
                softmax::<M>(call.scores.add(r * pitch).cast(), n_blocks, first_len + r * step, scale);
            }
            let out = call.out.add(row * q_dim + head * head_dim);
            let weights =
                Sum { n: seen, scalars: call.scores, vectors: call.values.add(first), step: kv_dim, apart: LANES };
            let at = |d: usize| Sum { vectors: weights.vectors.add(d), ..weights };
            let mut d = 0;
            if rows == ROWS {
                while d < head_dim {
                    store4x2(sum4x2::<M>(at(d), pitch), out.add(d), q_dim);
                    d += 8;
                }
            } else {
                while d + 32 <= head_dim {
                    store8(sum1x8::<M>(at(d)), out.add(d));
                    d += 32;
                }
                while d < head_dim {
                    store2(sum1x2::<M>(at(d)), out.add(d));
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

/// Scalars of `n` steps, and vectors that each step's scalar multiplies: dimensions of a query with keys, or weights of
/// positions with values.
#[derive(Clone, Copy)]
struct Sum {
    n: usize,
    scalars: *const f32,
    vectors: *const f32,
    /// From a step's vectors to the next's.
    step: usize,
    /// From a vector to the next of the same step.
    apart: usize,
}

/// `Σ scalar·vector` for one row of scalars and two vectors a step. Variables, since arrays would live in memory.
#[inline(always)]
unsafe fn sum1x2<M: MulAdd>(Sum { n, scalars, vectors, step, apart }: Sum) -> [f32x4; 2] {
    let (mut a, mut b) = (f32x4::ZERO, f32x4::ZERO);
    let mut v = vectors;
    for i in 0..n {
        let s = splat(scalars.add(i));
        a = M::mul_add(s, load(v), a);
        b = M::mul_add(s, load(v.add(apart)), b);
        v = v.wrapping_add(step);
    }
    [a, b]
}

/// As [`sum1x2`], for eight vectors.
#[inline(always)]
unsafe fn sum1x8<M: MulAdd>(Sum { n, scalars, vectors, step, apart }: Sum) -> [f32x4; 8] {
    let zero = f32x4::ZERO;
    let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
    let (mut e, mut f, mut g, mut h) = (zero, zero, zero, zero);
    let mut v = vectors;
    for i in 0..n {
        let s = splat(scalars.add(i));
        a = M::mul_add(s, load(v), a);
        b = M::mul_add(s, load(v.add(apart)), b);
        c = M::mul_add(s, load(v.add(2 * apart)), c);
        d = M::mul_add(s, load(v.add(3 * apart)), d);
        e = M::mul_add(s, load(v.add(4 * apart)), e);
        f = M::mul_add(s, load(v.add(5 * apart)), f);
        g = M::mul_add(s, load(v.add(6 * apart)), g);
        h = M::mul_add(s, load(v.add(7 * apart)), h);
        v = v.wrapping_add(step);
    }
    [a, b, c, d, e, f, g, h]
}

/// As [`sum1x2`], for four rows of scalars, `pitch` apart: each row's two.
#[inline(always)]
unsafe fn sum4x2<M: MulAdd>(Sum { n, scalars, vectors, step, apart }: Sum, pitch: usize) -> [[f32x4; 2]; 4] {
    let zero = f32x4::ZERO;
    let (mut a0, mut a1, mut a2, mut a3) = (zero, zero, zero, zero);
    let (mut b0, mut b1, mut b2, mut b3) = (zero, zero, zero, zero);
    let mut v = vectors;
    for i in 0..n {
        let (va, vb) = (load(v), load(v.add(apart)));
        let s = scalars.add(i);
        let (s0, s1) = (splat(s), splat(s.add(pitch)));
        a0 = M::mul_add(s0, va, a0);
        b0 = M::mul_add(s0, vb, b0);
        a1 = M::mul_add(s1, va, a1);
        b1 = M::mul_add(s1, vb, b1);
        let (s2, s3) = (splat(s.add(2 * pitch)), splat(s.add(3 * pitch)));
        a2 = M::mul_add(s2, va, a2);
        b2 = M::mul_add(s2, vb, b2);
        a3 = M::mul_add(s3, va, a3);
        b3 = M::mul_add(s3, vb, b3);
        v = v.wrapping_add(step);
    }
    [[a0, b0], [a1, b1], [a2, b2], [a3, b3]]
}

/// Two vectors side by side.
#[inline(always)]
unsafe fn store2([a, b]: [f32x4; 2], to: *mut f32) {
    store(a, to);
    store(b, to.add(4));
}

/// Eight vectors side by side.
#[inline(always)]
unsafe fn store8([a, b, c, d, e, f, g, h]: [f32x4; 8], to: *mut f32) {
    store2([a, b], to);
    store2([c, d], to.add(8));
    store2([e, f], to.add(16));
    store2([g, h], to.add(24));
}

/// Four rows, `pitch` apart.
#[inline(always)]
unsafe fn store4x2([a, b, c, d]: [[f32x4; 2]; 4], to: *mut f32, pitch: usize) {
    store2(a, to);
    store2(b, to.add(pitch));
    store2(c, to.add(2 * pitch));
    store2(d, to.add(3 * pitch));
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
