//! Scaled dot-product attention over cached keys and values, four query rows at a time.
//!
//! Four rows share each load of keys and values. A row gives the same bits alone as in a batch: every sum runs over
//! dimensions, or positions, in order, and positions that a row does not see weigh nothing.

#![allow(unsafe_op_in_unsafe_fn, reason = "every line is one: pointers into buffers that `attend` has measured")]

use wide::f32x4;

use crate::math::{Eight, Exp, MulAdd};

/// Positions whose keys, and dimensions whose values, lie side by side.
pub const EIGHT: usize = 8;

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
    /// `[⌈positions/8⌉, kv_heads·head_dim, 8]`
    pub keys: *const f32,
    /// `[positions, kv_heads·head_dim]`
    pub values: *const f32,
    pub exp: *const Exp,
    /// `[ROWS, positions rounded up to 8]`: scratch.
    pub scores: *mut f32,
    /// `[n, heads·head_dim]`
    pub out: *mut f32,
}

/// # Safety
/// The instructions of `E` are there, and the buffers of the call as long as it says.
#[inline(always)]
pub unsafe fn attend<E: Eight>(call: &AttentionCall) {
    let &AttentionCall { n, group, num_key_value_heads, head_dim, len, step, .. } = call;
    let kv_dim = num_key_value_heads * head_dim;
    let q_dim = group * kv_dim;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let mut row = 0;
    while row < n {
        let rows = if row + ROWS <= n { ROWS } else { 1 };
        let first_len = len + row * step;
        let seen = first_len + (rows - 1) * step;
        let n_eights = seen.div_ceil(EIGHT);
        let pitch = n_eights * EIGHT;
        // The head's keys, and its place in the group. Not by division: a module without a stack has no panics.
        let (mut first, mut place) = (0, 0);
        for head in 0..group * num_key_value_heads {
            let q = call.q.add(row * q_dim + head * head_dim);
            let keys = call.keys.add(first * EIGHT);
            weighted::<E>(Weighted {
                sums: Sum { n: head_dim, scalars: q, eights: keys, step: EIGHT },
                rows,
                pitch: q_dim,
                n_eights,
                apart: kv_dim * EIGHT,
                out: call.scores,
                out_pitch: pitch,
            });
            for r in 0..rows {
                softmax::<E>(&*call.exp, call.scores.add(r * pitch).cast(), pitch / 4, first_len + r * step, scale);
            }
            let values = call.values.add(first);
            weighted::<E>(Weighted {
                sums: Sum { n: seen, scalars: call.scores, eights: values, step: kv_dim },
                rows,
                pitch,
                n_eights: head_dim / EIGHT,
                apart: EIGHT,
                out: call.out.add(row * q_dim + head * head_dim),
                out_pitch: q_dim,
            });
            place += 1;
            if place == group {
                (first, place) = (first + head_dim, 0);
            }
        }
        row += rows;
    }
}

/// Scalars of `n` steps, and numbers that each step's scalar multiplies: dimensions of a query with keys, or weights of
/// positions with values.
#[derive(Clone, Copy)]
struct Sum {
    n: usize,
    scalars: *const f32,
    eights: *const f32,
    /// From a step's numbers to the next's.
    step: usize,
}

/// `out[r] = Σ scalars[r]·numbers`, for one row or for [`ROWS`].
#[derive(Clone, Copy)]
struct Weighted {
    sums: Sum,
    rows: usize,
    /// From a row's scalars to the next's.
    pitch: usize,
    n_eights: usize,
    /// From an eight to the next of the same step.
    apart: usize,
    out: *mut f32,
    out_pitch: usize,
}

#[inline(always)]
unsafe fn weighted<E: Eight>(w: Weighted) {
    let Weighted { sums, rows, pitch, n_eights, apart, out, out_pitch } = w;
    let at = |i: usize| Sum { eights: sums.eights.wrapping_add(i * apart), ..sums };
    let mut i = 0;
    if rows == ROWS {
        while i < n_eights {
            let [a, b, c, d] = sum_rows::<E>(at(i), pitch);
            let out = out.add(i * EIGHT);
            E::store(a, out);
            E::store(b, out.add(out_pitch));
            E::store(c, out.add(2 * out_pitch));
            E::store(d, out.add(3 * out_pitch));
            i += 1;
        }
    } else {
        while i + 4 <= n_eights {
            let [a, b, c, d] = sum_eights::<E>(at(i), apart);
            let out = out.add(i * EIGHT);
            E::store(a, out);
            E::store(b, out.add(EIGHT));
            E::store(c, out.add(2 * EIGHT));
            E::store(d, out.add(3 * EIGHT));
            i += 4;
        }
        while i < n_eights {
            E::store(sum_one::<E>(at(i)), out.add(i * EIGHT));
            i += 1;
        }
    }
}

/// One row of scalars, eight sums. Variables here and below, since arrays would live in memory.
#[inline(always)]
unsafe fn sum_one<E: Eight>(Sum { n, scalars, eights, step }: Sum) -> E::Floats {
    let mut a = E::zero();
    let mut from = eights;
    for i in 0..n {
        a = E::mul_add8(E::splat(*scalars.add(i)), E::floats(from), a);
        from = from.wrapping_add(step);
    }
    a
}

/// As [`sum_one`], for four eights.
#[inline(always)]
unsafe fn sum_eights<E: Eight>(Sum { n, scalars, eights, step }: Sum, apart: usize) -> [E::Floats; 4] {
    let (mut a, mut b, mut c, mut d) = (E::zero(), E::zero(), E::zero(), E::zero());
    let mut from = eights;
    for i in 0..n {
        let s = E::splat(*scalars.add(i));
        a = E::mul_add8(s, E::floats(from), a);
        b = E::mul_add8(s, E::floats(from.wrapping_add(apart)), b);
        c = E::mul_add8(s, E::floats(from.wrapping_add(2 * apart)), c);
        d = E::mul_add8(s, E::floats(from.wrapping_add(3 * apart)), d);
        from = from.wrapping_add(step);
    }
    [a, b, c, d]
}

/// As [`sum_one`], for four rows of scalars, `pitch` apart.
#[inline(always)]
unsafe fn sum_rows<E: Eight>(Sum { n, scalars, eights, step }: Sum, pitch: usize) -> [E::Floats; 4] {
    let (mut a, mut b, mut c, mut d) = (E::zero(), E::zero(), E::zero(), E::zero());
    let mut from = eights;
    for i in 0..n {
        let v = E::floats(from);
        let s = scalars.add(i);
        a = E::mul_add8(E::splat(*s), v, a);
        b = E::mul_add8(E::splat(*s.add(pitch)), v, b);
        c = E::mul_add8(E::splat(*s.add(2 * pitch)), v, c);
        d = E::mul_add8(E::splat(*s.add(3 * pitch)), v, d);
        from = from.wrapping_add(step);
    }
    [a, b, c, d]
}

/// `exp(s·scale) / Σ exp(s·scale)` in place over the first `len` scores; 0 for those after.
#[inline(always)]
unsafe fn softmax<M: MulAdd>(exp: &Exp, scores: *mut [f32; 4], n_blocks: usize, len: usize, scale: f32) {
    let all = scores.cast::<f32>();
    for t in len..n_blocks * 4 {
        *all.add(t) = f32::NEG_INFINITY;
    }
    let mut largest = f32x4::splat(f32::NEG_INFINITY);
    for b in 0..n_blocks {
        largest = largest.fast_max(f32x4::new(*scores.add(b)));
    }
    let [a, b, c, d] = largest.to_array();
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let largest = f32x4::splat(larger(larger(a, b), larger(c, d)));
    let scale = f32x4::splat(scale);
    let mut sum = f32x4::ZERO;
    for b in 0..n_blocks {
        let score = f32x4::new(*scores.add(b));
        // −∞ is kept to a finite number by the exponential, so it is masked.
        let e = exp.by::<M>((score - largest) * scale) & score.simd_gt(f32x4::splat(f32::NEG_INFINITY));
        *scores.add(b) = e.to_array();
        sum += e;
    }
    let [a, b, c, d] = sum.to_array();
    let inverse = f32x4::splat(1.0 / ((a + c) + (b + d)));
    for b in 0..n_blocks {
        *scores.add(b) = (f32x4::new(*scores.add(b)) * inverse).to_array();
    }
}
