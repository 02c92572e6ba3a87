//! Scaled dot-product attention over cached keys and values, four queries at a time.
//!
//! Queries of four rows, or of heads that share theirs, share each load of keys and values. A row gives the same bits
//! alone as in a batch: every sum runs over dimensions, or positions, in order, and positions that a row does not see
//! weigh nothing.

#![allow(unsafe_op_in_unsafe_fn, reason = "every line is one: pointers into buffers that `attend` has measured")]

use wide::f32x4;

use crate::math::{Eight, Exp, MulAdd};

/// Positions whose keys, and dimensions whose values, lie side by side.
pub const EIGHT: usize = 8;

/// Queries that meet keys together.
pub const QUERIES: usize = 4;

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
    /// `[⌈positions/8⌉, kv_heads·head_dim, 8]` of `f32`, or of `i16` where there are steps.
    pub keys: *const u8,
    /// `[positions, kv_heads·head_dim]`, likewise.
    pub values: *const u8,
    /// `[⌈positions/8⌉, kv_heads, 8]`, or null.
    pub key_steps: *const f32,
    pub value_steps: *const f32,
    pub exp: *const Exp,
    /// `[QUERIES, positions rounded up to 8]`: scratch.
    pub scores: *mut f32,
    /// `[n, heads·head_dim]`
    pub out: *mut f32,
}

/// # Safety
/// The instructions of `E` are there, and the buffers of the call as long as it says.
#[inline(always)]
pub unsafe fn attend<E: Eight>(call: &AttentionCall) {
    if call.key_steps.is_null() {
        attend_over::<E, f32>(call);
    } else {
        attend_over::<E, i16>(call);
    }
}

/// What a number of a key or a value is held as.
trait Number: Copy {
    /// Whether it counts steps of a size that each position has for itself.
    const HAS_STEPS: bool;

    unsafe fn eight<E: Eight>(from: *const Self) -> E::Floats;
}

impl Number for f32 {
    const HAS_STEPS: bool = false;

    #[inline(always)]
    unsafe fn eight<E: Eight>(from: *const f32) -> E::Floats {
        E::floats(from)
    }
}

impl Number for i16 {
    const HAS_STEPS: bool = true;

    #[inline(always)]
    unsafe fn eight<E: Eight>(from: *const i16) -> E::Floats {
        E::shorts(from)
    }
}

/// A head's query in a row.
#[derive(Clone, Copy)]
struct Query {
    row: usize,
    /// Among the heads that share keys and values.
    place: usize,
    /// Where it lies.
    at: usize,
}

/// Variables of a tile's queries: an array would live in memory, and a module of its own has no stack.
#[derive(Clone, Copy)]
struct Four<T>(T, T, T, T);

#[inline(always)]
unsafe fn attend_over<E: Eight, N: Number>(call: &AttentionCall) {
    let &AttentionCall { n, group, num_key_value_heads, head_dim, len, step, .. } = call;
    let kv_dim = num_key_value_heads * head_dim;
    let q_dim = group * kv_dim;
    let scores = call.scores;
    let after = |q: Query| match q.place + 1 < group {
        true => Query { place: q.place + 1, at: q.at + head_dim, ..q },
        false => Query { row: q.row + 1, place: 0, at: q.at + head_dim + q_dim - group * head_dim },
    };
    for head in 0..num_key_value_heads {
        let keys = call.keys.cast::<N>().add(head * head_dim * EIGHT);
        let values = call.values.cast::<N>().add(head * head_dim);
        let mut left = n * group;
        let mut first = Query { row: 0, place: 0, at: head * group * head_dim };
        while left > 0 {
            let rows = left.min(QUERIES);
            let q = Four(first, after(first), after(after(first)), after(after(after(first))));
            let last = match rows {
                1 => q.0,
                2 => q.1,
                3 => q.2,
                _ => q.3,
            };
            let seen = len + last.row * step;
            let n_eights = seen.div_ceil(EIGHT);
            let pitch = n_eights * EIGHT;
            let weights = Four(scores, scores.add(pitch), scores.add(2 * pitch), scores.add(3 * pitch));
            let from = |q: Query| call.q.wrapping_add(q.at);
            let to = |q: Query| call.out.wrapping_add(q.at);
            weighted::<E, N>(Weighted {
                sums: Sum { n: head_dim, numbers: keys, step: EIGHT },
                rows,
                scalars: Four(from(q.0), from(q.1), from(q.2), from(q.3)),
                n_eights,
                apart: kv_dim * EIGHT,
                out: weights,
            });
            // Not a closure, which would be built without the instructions.
            softmax::<E, N>(call, head, q.0, weights.0, n_eights);
            if rows > 1 {
                softmax::<E, N>(call, head, q.1, weights.1, n_eights);
            }
            if rows > 2 {
                softmax::<E, N>(call, head, q.2, weights.2, n_eights);
            }
            if rows > 3 {
                softmax::<E, N>(call, head, q.3, weights.3, n_eights);
            }
            weighted::<E, N>(Weighted {
                sums: Sum { n: seen, numbers: values, step: kv_dim },
                rows,
                scalars: Four(weights.0, weights.1, weights.2, weights.3),
                n_eights: head_dim / EIGHT,
                apart: EIGHT,
                out: Four(to(q.0), to(q.1), to(q.2), to(q.3)),
            });
            first = after(last);
            left -= rows;
        }
    }
}

/// Numbers of `n` steps, eight side by side, that each step's scalar multiplies: keys with dimensions of a query, or
/// values with weights of positions.
#[derive(Clone, Copy)]
struct Sum<N> {
    n: usize,
    numbers: *const N,
    /// From a step's numbers to the next's.
    step: usize,
}

/// `out[r] = Σ scalars[r]·numbers`, for up to [`QUERIES`] rows.
struct Weighted<N> {
    sums: Sum<N>,
    rows: usize,
    scalars: Four<*const f32>,
    n_eights: usize,
    /// From an eight to the next of the same step.
    apart: usize,
    out: Four<*mut f32>,
}

#[inline(always)]
unsafe fn weighted<E: Eight, N: Number>(w: Weighted<N>) {
    match w.rows {
        1 => weighted_row::<E, N>(w),
        2 => weighted_rows::<E, N, 2>(w),
        3 => weighted_rows::<E, N, 3>(w),
        _ => weighted_rows::<E, N, 4>(w),
    }
}

#[inline(always)]
unsafe fn weighted_rows<E: Eight, N: Number, const ROWS: usize>(w: Weighted<N>) {
    let Weighted { sums, scalars, n_eights, apart, out, .. } = w;
    for i in 0..n_eights {
        let sums = Sum { numbers: sums.numbers.wrapping_add(i * apart), ..sums };
        let Four(a, b, c, d) = sum_rows::<E, N, ROWS>(sums, scalars);
        let i = i * EIGHT;
        E::store(a, out.0.add(i));
        E::store(b, out.1.add(i));
        if ROWS > 2 {
            E::store(c, out.2.add(i));
        }
        if ROWS > 3 {
            E::store(d, out.3.add(i));
        }
    }
}

#[inline(always)]
unsafe fn weighted_row<E: Eight, N: Number>(w: Weighted<N>) {
    let Weighted { sums, scalars: Four(scalars, ..), n_eights, apart, out: Four(out, ..), .. } = w;
    let at = |i: usize| Sum { numbers: sums.numbers.wrapping_add(i * apart), ..sums };
    let mut i = 0;
    while i + 4 <= n_eights {
        let Four(a, b, c, d) = sum_eights::<E, N>(at(i), scalars, apart);
        let out = out.add(i * EIGHT);
        E::store(a, out);
        E::store(b, out.add(EIGHT));
        E::store(c, out.add(2 * EIGHT));
        E::store(d, out.add(3 * EIGHT));
        i += 4;
    }
    while i < n_eights {
        E::store(sum_one::<E, N>(at(i), scalars), out.add(i * EIGHT));
        i += 1;
    }
}

/// One row of scalars, eight sums.
#[inline(always)]
unsafe fn sum_one<E: Eight, N: Number>(Sum { n, numbers, step }: Sum<N>, scalars: *const f32) -> E::Floats {
    let mut a = E::zero();
    let mut from = numbers;
    for i in 0..n {
        a = E::mul_add8(E::splat(*scalars.add(i)), N::eight::<E>(from), a);
        from = from.wrapping_add(step);
    }
    a
}

/// As [`sum_one`], for four eights.
#[inline(always)]
unsafe fn sum_eights<E: Eight, N: Number>(sum: Sum<N>, scalars: *const f32, apart: usize) -> Four<E::Floats> {
    let (mut a, mut b, mut c, mut d) = (E::zero(), E::zero(), E::zero(), E::zero());
    let mut from = sum.numbers;
    for i in 0..sum.n {
        let s = E::splat(*scalars.add(i));
        a = E::mul_add8(s, N::eight::<E>(from), a);
        b = E::mul_add8(s, N::eight::<E>(from.wrapping_add(apart)), b);
        c = E::mul_add8(s, N::eight::<E>(from.wrapping_add(2 * apart)), c);
        d = E::mul_add8(s, N::eight::<E>(from.wrapping_add(3 * apart)), d);
        from = from.wrapping_add(sum.step);
    }
    Four(a, b, c, d)
}

/// As [`sum_one`], for the first `ROWS` rows of scalars, two at least.
#[inline(always)]
unsafe fn sum_rows<E: Eight, N: Number, const ROWS: usize>(sum: Sum<N>, scalars: Four<*const f32>) -> Four<E::Floats> {
    let (mut a, mut b, mut c, mut d) = (E::zero(), E::zero(), E::zero(), E::zero());
    let mut from = sum.numbers;
    for i in 0..sum.n {
        let v = N::eight::<E>(from);
        a = E::mul_add8(E::splat(*scalars.0.add(i)), v, a);
        b = E::mul_add8(E::splat(*scalars.1.add(i)), v, b);
        if ROWS > 2 {
            c = E::mul_add8(E::splat(*scalars.2.add(i)), v, c);
        }
        if ROWS > 3 {
            d = E::mul_add8(E::splat(*scalars.3.add(i)), v, d);
        }
        from = from.wrapping_add(sum.step);
    }
    Four(a, b, c, d)
}

/// `exp(s·scale) / Σ exp(s·scale)` in place over the scores that the query sees; 0 for those after. Scores come in steps
/// of the keys and go in steps of the values, where they have steps.
#[inline(always)]
unsafe fn softmax<M: MulAdd, N: Number>(
    call: &AttentionCall,
    head: usize,
    query: Query,
    scores: *mut f32,
    n_eights: usize,
) {
    let exp = &*call.exp;
    let len = call.len + query.row * call.step;
    let scale = 1.0 / (call.head_dim as f32).sqrt();
    // From an eight of steps to the next.
    let apart = call.num_key_value_heads * EIGHT;
    let blocks = scores.cast::<[f32; 4]>();
    let n_blocks = n_eights * 2;
    if N::HAS_STEPS {
        scale_by(blocks, n_eights, call.key_steps.add(head * EIGHT), apart);
    }
    for t in len..n_eights * EIGHT {
        *scores.add(t) = f32::NEG_INFINITY;
    }
    let mut largest = f32x4::splat(f32::NEG_INFINITY);
    for b in 0..n_blocks {
        largest = largest.fast_max(f32x4::new(*blocks.add(b)));
    }
    let [a, b, c, d] = largest.to_array();
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let largest = f32x4::splat(larger(larger(a, b), larger(c, d)));
    let scale = f32x4::splat(scale);
    let mut sum = f32x4::ZERO;
    for b in 0..n_blocks {
        let score = f32x4::new(*blocks.add(b));
        // −∞ is kept to a finite number by the exponential, so it is masked.
        let e = exp.by::<M>((score - largest) * scale) & score.simd_gt(f32x4::splat(f32::NEG_INFINITY));
        *blocks.add(b) = e.to_array();
        sum += e;
    }
    let [a, b, c, d] = sum.to_array();
    let inverse = f32x4::splat(1.0 / ((a + c) + (b + d)));
    for b in 0..n_blocks {
        *blocks.add(b) = (f32x4::new(*blocks.add(b)) * inverse).to_array();
    }
    if N::HAS_STEPS {
        scale_by(blocks, n_eights, call.value_steps.add(head * EIGHT), apart);
    }
}

#[inline(always)]
unsafe fn scale_by(numbers: *mut [f32; 4], n_eights: usize, steps: *const f32, apart: usize) {
    for i in 0..n_eights {
        let steps = steps.add(i * apart).cast::<[f32; 4]>();
        for half in 0..2 {
            let at = numbers.add(2 * i + half);
            *at = (f32x4::new(*at) * f32x4::new(*steps.add(half))).to_array();
        }
    }
}
