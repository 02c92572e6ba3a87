//! The kernels of the `fast` precision: `y = W x` with packed weights and 8-bit activations, and attention.
//!
//! One source for every instruction set ([`lanes`]): AVX2 and VNNI, chosen when the program runs, and WebAssembly's
//! relaxed SIMD. A module with relaxed SIMD is refused as a whole by a browser that does not know it, so these kernels
//! are a module of their own there, which works in the memory of the first ([`relaxed`]). Where none of these is had,
//! [`instructions`] is `None` and the caller takes its exact path; attention then rounds once more a step.
//!
//! A row of activations gives the same bits alone as in a batch: the sum over a block of 32 is integer and exact, and
//! blocks are added in order.

mod activation;
mod attention;
mod call;
#[cfg(any(target_arch = "x86_64", target_feature = "relaxed-simd"))]
mod kernel;
#[cfg(any(target_arch = "x86_64", target_feature = "relaxed-simd"))]
mod lanes;
mod math;
#[cfg(target_arch = "wasm32")]
pub mod relaxed;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ptr::null;

pub use activation::{Quantised, Rounding, signed8_rest};
use attention::{AttentionCall, EIGHT, QUERIES};
use call::{Call, PanelBlock};
pub use math::{Exp, half_to_f32};

/// Elements of a block.
pub const BLOCK: usize = 32;

/// How weights are stored, in blocks of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 16 bytes a block: low nibbles are elements 0..16, high nibbles 16..32. `value = q·d + m`.
    Q4,
    /// 32 bytes a block, `q + 128`. `value = (q − 128)·d`.
    Q8,
}

impl Format {
    /// Bytes of a block's quants.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4 => 16,
            Self::Q8 => 32,
        }
    }

    /// How activations are rounded that meet these weights: one side of a product is signed, the other is not.
    pub const fn rounding(self) -> Rounding {
        match self {
            Self::Q4 => Rounding::Signed8,
            Self::Q8 => Rounding::Unsigned7,
        }
    }
}

/// A packed matrix `[rows, cols]`, rows being outputs.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    pub format: Format,
    pub rows: usize,
    /// A multiple of [`BLOCK`].
    pub cols: usize,
    /// `[rows, cols/32]` blocks of [`Format::block_bytes`].
    pub quants: &'a [u8],
    /// `[rows, cols/32]`: `d` as f16 in the low half, `m` as f16 in the high half (Q4).
    pub scales: &'a [u32],
}

/// Room for a few unpacked rows, reused from call to call.
#[derive(Default)]
pub struct Scratch(Vec<PanelBlock>);

impl Instructions {
    /// Their name, for people.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// `out[i] = W x[i]`
    ///
    /// # Shapes
    /// `w` `[rows, cols]`, `x` `[n, cols]` rounded as `w.format` says, `out` `[n, rows]`.
    pub fn product(self, w: Weights<'_>, x: &Quantised, out: &mut [f32], scratch: &mut Scratch) {
        let n_blocks = w.cols / BLOCK;
        assert_eq!(w.cols % BLOCK, 0);
        assert_eq!(w.quants.len(), w.rows * n_blocks * w.format.block_bytes());
        assert_eq!(w.scales.len(), w.rows * n_blocks);
        assert_eq!((x.cols(), x.rounding()), (w.cols, w.format.rounding()));
        assert_eq!(out.len(), x.n() * w.rows);
        if out.is_empty() {
            return;
        }
        scratch.0.resize(n_blocks + 1, PanelBlock::ZERO);
        let call = Call {
            is_q8: u32::from(w.format == Format::Q8),
            rows: w.rows,
            n_blocks,
            n: x.n(),
            quants: w.quants.as_ptr(),
            scales: w.scales.as_ptr(),
            tiles: x.tiles().as_ptr(),
            out: out.as_mut_ptr(),
            panel: scratch.0.as_mut_ptr(),
        };
        // SAFETY: the lengths above are what the kernel reads and writes.
        unsafe { (self.product)(&call) };
    }
}

/// Keys and values of positions.
#[derive(Clone, Copy)]
pub enum Held<'a> {
    Single {
        /// `[⌈positions/8⌉, kv_heads·head_dim, 8]`
        keys: &'a [[f32; EIGHT]],
        /// `[positions, kv_heads·head_dim]`
        values: &'a [f32],
    },
    /// Whole numbers of steps, of a size that each head has for itself at each position.
    Short {
        /// As above.
        keys: &'a [[i16; EIGHT]],
        values: &'a [i16],
        /// `[⌈positions/8⌉, kv_heads, 8]`
        key_steps: &'a [[f32; EIGHT]],
        value_steps: &'a [[f32; EIGHT]],
    },
}

/// Keys, values and the queries that attend to them.
pub struct Attention<'a> {
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    /// A multiple of 8.
    pub head_dim: usize,
    /// Positions that the first query sees; each further one sees `step` more.
    pub len: usize,
    pub step: usize,
    /// `[n, heads·head_dim]`
    pub q: &'a [f32],
    pub held: Held<'a>,
}

/// `out[i] = Σₜ softmax(q[i]·k / √head_dim)ₜ · v[t]` for every head.
///
/// # Shapes
/// `out` `[n, heads·head_dim]`; `scores` is scratch. `is_fast` takes the machine's own instructions, if there are any.
pub fn attend(attention: &Attention<'_>, is_fast: bool, scores: &mut Vec<f32>, out: &mut [f32]) {
    let &Attention { num_attention_heads, num_key_value_heads, head_dim, len, step, q, held } = attention;
    let (q_dim, kv_dim) = (num_attention_heads * head_dim, num_key_value_heads * head_dim);
    assert!(head_dim.is_multiple_of(8) && num_attention_heads.is_multiple_of(num_key_value_heads));
    let n = q.len() / q_dim;
    assert_eq!((q.len(), out.len()), (n * q_dim, n * q_dim));
    if n == 0 {
        return;
    }
    let positions = len + (n - 1) * step;
    let n_eights = positions.div_ceil(EIGHT);
    let (keys, values, steps): ((*const u8, usize), (*const u8, usize), _) = match held {
        Held::Single { keys, values } => {
            ((keys.as_ptr().cast(), keys.len()), (values.as_ptr().cast(), values.len()), None)
        }
        Held::Short { keys, values, key_steps, value_steps } => {
            ((keys.as_ptr().cast(), keys.len()), (values.as_ptr().cast(), values.len()), Some([key_steps, value_steps]))
        }
    };
    assert!(len > 0 && keys.1 >= n_eights * kv_dim && values.1 >= positions * kv_dim);
    assert!(steps.iter().flatten().all(|steps| steps.len() >= n_eights * num_key_value_heads));
    let [key_steps, value_steps] = steps.map_or([null(); 2], |steps| steps.map(|steps| steps.as_ptr().cast()));
    scores.resize(scores.len().max(QUERIES * n_eights * EIGHT), 0.0);
    let call = AttentionCall {
        n,
        group: num_attention_heads / num_key_value_heads,
        num_key_value_heads,
        head_dim,
        len,
        step,
        q: q.as_ptr(),
        keys: keys.0,
        values: values.0,
        key_steps,
        value_steps,
        exp: &math::Exp::new(),
        scores: scores.as_mut_ptr(),
        out: out.as_mut_ptr(),
    };
    // SAFETY: the lengths above are what the kernel reads and writes.
    match instructions().filter(|_| is_fast) {
        Some(Instructions { attention: run, .. }) => unsafe { run(&call) },
        None => unsafe { attention::attend::<math::Plain>(&call) },
    }
}

/// The kernels, built for one instruction set.
#[derive(Clone, Copy)]
pub struct Instructions {
    name: &'static str,
    product: unsafe extern "C" fn(&Call),
    attention: unsafe extern "C" fn(&AttentionCall),
}

/// The best instructions that this machine has, if it has any.
pub fn instructions() -> Option<Instructions> {
    #[cfg(target_arch = "x86_64")]
    return x86::best();
    #[cfg(target_arch = "wasm32")]
    return relaxed::installed();
    #[cfg(not(any(target_arch = "x86_64", target_arch = "wasm32")))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(value: f32) -> u16 {
        // The few that the tests use are exact.
        let bits = value.to_bits();
        ((bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | bits >> 13 & 0x3ff) as u16
    }

    struct Matrix {
        format: Format,
        rows: usize,
        cols: usize,
        quants: Vec<u8>,
        scales: Vec<u32>,
    }

    impl Matrix {
        fn new(format: Format, rows: usize, cols: usize) -> Self {
            let n = rows * cols / BLOCK;
            let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 15;
            let quants = (0..n * format.block_bytes()).map(|i| noise(i) as u8).collect();
            let d = [0.5, -0.25, 0.125, 1.0, 0.75];
            let scales = (0..n).map(|i| u32::from(half(d[i % 5])) | u32::from(half(d[(i + 2) % 5])) << 16).collect();
            Self { format, rows, cols, quants, scales }
        }

        fn value(&self, row: usize, col: usize) -> f64 {
            let block = (row * self.cols + col) / BLOCK;
            let d = [0.5, -0.25, 0.125, 1.0, 0.75];
            let (d, m, at) = (d[block % 5], d[(block + 2) % 5], col % BLOCK);
            match self.format {
                Format::Q8 => (f64::from(self.quants[block * 32 + at]) - 128.0) * d,
                Format::Q4 => f64::from(self.quants[block * 16 + at % 16] >> (at / 16 * 4) & 15) * d + m,
            }
        }
    }

    fn wave(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37).sin() * (1.0 + (i % 7) as f32) + 0.5).collect()
    }

    /// With `run` in place of what the machine would choose.
    fn product_by(found: &Instructions, w: &Matrix, values: &[f32]) -> Vec<f32> {
        let mut x = Quantised::new(w.format.rounding());
        x.set(values, w.cols);
        let mut panel = vec![PanelBlock::ZERO; w.cols / BLOCK + 1];
        let mut out = vec![f32::NAN; x.n() * w.rows];
        let call = Call {
            is_q8: u32::from(w.format == Format::Q8),
            rows: w.rows,
            n_blocks: w.cols / BLOCK,
            n: x.n(),
            quants: w.quants.as_ptr(),
            scales: w.scales.as_ptr(),
            tiles: x.tiles().as_ptr(),
            out: out.as_mut_ptr(),
            panel: panel.as_mut_ptr(),
        };
        unsafe { (found.product)(&call) };
        out
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn products_are_those_of_the_rounded_activations_on_all_instructions() {
        let runs = x86::all();
        assert!(!runs.is_empty(), "no instructions to test on this machine");
        for found in runs {
            let name = found.name;
            for format in [Format::Q4, Format::Q8] {
                for (rows, cols) in [(1, 32), (7, 96), (8, 64), (21, 160)] {
                    let w = Matrix::new(format, rows, cols);
                    let values = wave(9 * cols);
                    for n in [1, 2, 4, 7, 9] {
                        let out = product_by(&found, &w, &values[..n * cols]);
                        for row in 0..rows {
                            for t in 0..n {
                                let (mut expected, mut size) = (0.0, 0.0);
                                for col in 0..cols {
                                    let term = w.value(row, col) * f64::from(values[t * cols + col]);
                                    (expected, size) = (expected + term, size + term.abs());
                                }
                                let error = (f64::from(out[t * rows + row]) - expected).abs();
                                // The rounding of a block is at most half of a step, 1/127 of its range.
                                assert!(error <= 0.02 * size, "{name} {format:?} {row}, {t} of {n}: {error} of {size}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_row_has_the_same_bits_alone_as_in_a_batch_and_on_all_instructions() {
        for format in [Format::Q4, Format::Q8] {
            let w = Matrix::new(format, 13, 576);
            let values = wave(6 * 576);
            let mut all = Vec::new();
            for found in x86::all() {
                let batch = product_by(&found, &w, &values);
                for t in 0..6 {
                    assert_eq!(product_by(&found, &w, &values[t * 576..][..576]), batch[t * 13..][..13]);
                }
                all.push(batch);
            }
            assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    struct Cache {
        keys: Vec<[f32; 8]>,
        values: Vec<f32>,
        short: Short,
        /// Keys and values by position, as they are and as the steps leave them.
        plain: [[Vec<f32>; 2]; 2],
    }

    /// The same, in steps.
    struct Short {
        keys: Vec<[i16; 8]>,
        values: Vec<i16>,
        key_steps: Vec<[f32; 8]>,
        value_steps: Vec<[f32; 8]>,
    }

    impl Cache {
        fn held(&self, is_short: bool) -> Held<'_> {
            match is_short {
                false => Held::Single { keys: &self.keys, values: &self.values },
                true => Held::Short {
                    keys: &self.short.keys,
                    values: &self.short.values,
                    key_steps: &self.short.key_steps,
                    value_steps: &self.short.value_steps,
                },
            }
        }
    }

    fn cache(positions: usize, kv_heads: usize, head_dim: usize) -> Cache {
        let kv_dim = kv_heads * head_dim;
        let plain_keys: Vec<f32> = wave(positions * kv_dim).iter().map(|v| v * 0.7).collect();
        let values = wave(positions * kv_dim + 5)[5..].to_vec();
        let mut stepped = [Vec::new(), Vec::new()];
        let n_eights = positions.div_ceil(8);
        let mut keys = vec![[0.0; 8]; n_eights * kv_dim];
        let mut short = Short {
            keys: vec![[0; 8]; n_eights * kv_dim],
            values: Vec::new(),
            // What lies behind the last position must not matter.
            key_steps: vec![[7.0; 8]; n_eights * kv_heads],
            value_steps: vec![[7.0; 8]; n_eights * kv_heads],
        };
        for t in 0..positions {
            // Steps that differ from head to head and from position to position.
            let step = |head: usize| (1 + (t + head) % 3) as f32 / 2_000.0;
            for head in 0..kv_heads {
                short.key_steps[t / 8 * kv_heads + head][t % 8] = step(head);
                short.value_steps[t / 8 * kv_heads + head][t % 8] = step(head + 1);
            }
            for d in 0..kv_dim {
                let (key, value) = (plain_keys[t * kv_dim + d], values[t * kv_dim + d]);
                keys[t / 8 * kv_dim + d][t % 8] = key;
                let (key_step, value_step) = (step(d / head_dim), step(d / head_dim + 1));
                let (short_key, short_value) = ((key / key_step) as i16, (value / value_step) as i16);
                short.keys[t / 8 * kv_dim + d][t % 8] = short_key;
                short.values.push(short_value);
                stepped[0].push(f32::from(short_key) * key_step);
                stepped[1].push(f32::from(short_value) * value_step);
            }
        }
        Cache { keys, values: values.clone(), short, plain: [[plain_keys, values], stepped] }
    }

    #[test]
    fn attention_equals_its_definition_and_rows_their_batch() {
        for (heads, kv_heads, head_dim) in [(6, 2, 40), (3, 3, 32), (8, 1, 16)] {
            let q_dim = heads * head_dim;
            let cache = cache(39, kv_heads, head_dim);
            for (n, len, step) in [(1, 1, 0), (1, 17, 0), (5, 1, 1), (4, 9, 1), (9, 21, 0), (7, 33, 1)] {
                let q = wave(n * q_dim);
                for (is_fast, is_short) in [(false, false), (true, false), (false, true), (true, true)] {
                    let held = cache.held(is_short);
                    let attention = |q, len, step| Attention {
                        num_attention_heads: heads,
                        num_key_value_heads: kv_heads,
                        head_dim,
                        len,
                        step,
                        q,
                        held,
                    };
                    let (mut scores, mut out) = (Vec::new(), vec![f32::NAN; n * q_dim]);
                    attend(&attention(&q, len, step), is_fast, &mut scores, &mut out);
                    for i in 0..n {
                        let (q, out) = (&q[i * q_dim..][..q_dim], &out[i * q_dim..][..q_dim]);
                        let mut alone = vec![f32::NAN; q_dim];
                        attend(&attention(q, len + i * step, 0), is_fast, &mut scores, &mut alone);
                        assert_eq!(out, alone, "row {i} of {n}");
                        for (head, out) in out.chunks_exact(head_dim).enumerate() {
                            let query = &q[head * head_dim..][..head_dim];
                            let plain = &cache.plain[usize::from(is_short)];
                            let expected = defined(plain, query, head * kv_heads / heads, kv_heads, len + i * step);
                            for (found, expected) in out.iter().zip(expected) {
                                assert!((f64::from(*found) - expected).abs() < 3e-4, "{found} for {expected}");
                            }
                        }
                    }
                }
            }
        }
    }

    /// `Σₜ softmax(q·k / √head_dim)ₜ · v[t]` over the first `len` positions of a head.
    fn defined([keys, values]: &[Vec<f32>; 2], q: &[f32], kv_head: usize, kv_heads: usize, len: usize) -> Vec<f64> {
        let at = |t: usize, d: usize| (t * kv_heads + kv_head) * q.len() + d;
        let score = |t: usize| -> f64 { (0..q.len()).map(|d| f64::from(q[d]) * f64::from(keys[at(t, d)])).sum() };
        let scores: Vec<f64> = (0..len).map(|t| score(t) / (q.len() as f64).sqrt()).collect();
        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        (0..q.len())
            .map(|d| weights.iter().enumerate().map(|(t, w)| w / sum * f64::from(values[at(t, d)])).sum())
            .collect()
    }

    #[test]
    fn what_is_left_is_what_rounding_took() {
        let mut values = wave(96);
        values[32..64].fill(0.0);
        let mut x = Quantised::new(Rounding::Signed8);
        x.set(&values, 96);
        let mut rest = Vec::new();
        signed8_rest(&values, &mut rest);
        for (i, value) in values.iter().enumerate() {
            let block = &x.tiles()[i / 32 * 10..][..10];
            let q = block[i % 32 / 4].to_le_bytes()[i % 4] as i8;
            let kept = f32::from(q) * f32::from_bits(block[8]);
            assert!((value - kept - rest[i]).abs() < 1e-6, "{i}: {value} is not {kept} and {}", rest[i]);
        }
        assert!(rest.iter().any(|left| *left != 0.0));
    }

    #[test]
    fn a_block_comes_back_within_half_a_step() {
        let mut values = wave(64);
        values[32..].fill(-3.0);
        for rounding in [Rounding::Signed8, Rounding::Unsigned7] {
            let mut x = Quantised::new(rounding);
            x.set(&values, 64);
            let rows = if rounding == Rounding::Signed8 { 1 } else { activation::TILE };
            for (b, block) in x.tiles().chunks_exact(10 * rows).enumerate() {
                let (step, offset) = (f32::from_bits(block[8 * rows]), f32::from_bits(block[9 * rows]));
                let mut sum = 0.0;
                for i in 0..BLOCK {
                    let q = block[i / 4 * rows].to_le_bytes()[i % 4] as i8;
                    let low = if rounding == Rounding::Unsigned7 { offset } else { 0.0 };
                    let value = f32::from(q) * step + low;
                    assert!((value - values[b * BLOCK + i]).abs() <= step * 0.501, "{rounding:?} {value}");
                    sum += value;
                }
                assert!(rounding == Rounding::Unsigned7 || (sum - offset).abs() < 1e-3);
            }
        }
    }
}
