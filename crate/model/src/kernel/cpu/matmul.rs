//! `y = W x` for packed weights and one or many rows of activations.
//!
//! Many rows (prefill, embedding): each weight row is widened to 16 bits once and then meets every
//! activation row, four at a time. One row (decode): widening and multiplying are one pass.

use bytemuck::cast;
use wide::{f32x4, i16x8, i32x4, u8x16, u16x8, u32x4};

use super::activation::Activations;
use super::vector::dot;
use crate::packed::{BLOCK, PackedFormat, PackedMatrix, f16_to_f32};

/// Activation rows that share one pass over a widened weight row.
const TILE: usize = 4;

/// Buffers of one weight row, reused over rows and calls.
#[derive(Default)]
pub struct Scratch {
    /// `[cols]`: the row's quants, widened.
    quants: Vec<i16>,
    /// `[cols]`: the row's values, for F16 weights.
    values: Vec<f32>,
    /// `[cols/32]` each: the row's scales and minima.
    d: Vec<f32>,
    m: Vec<f32>,
}

/// `out[i] = W x[i]`.
///
/// # Shapes
/// `w` `[rows, cols]`, `x` `[n, cols]`, `out` `[n, rows]`.
pub fn matmul(w: &PackedMatrix, x: &Activations, out: &mut [f32], scratch: &mut Scratch) {
    assert_eq!(x.cols, w.cols);
    assert_eq!(out.len(), x.n * w.rows);
    match w.format {
        PackedFormat::F32 => {
            let values: &[f32] = bytemuck::cast_slice(&w.quants);
            for (row, w_row) in values.chunks_exact(w.cols).enumerate() {
                store_dots(w_row, row, w.rows, x, out);
            }
        }
        PackedFormat::F16 => {
            for row in 0..w.rows {
                scratch.values.clear();
                scratch.values.extend(w.row_quants(row).chunks_exact(2).map(|b| f16_to_f32(u16::from_le_bytes([b[0], b[1]]))));
                store_dots(&scratch.values, row, w.rows, x, out);
            }
        }
        PackedFormat::Q4 | PackedFormat::Q8 if x.n == 1 => {
            for (row, out) in out.iter_mut().enumerate() {
                *out = packed_dot(w, row, x, scratch);
            }
        }
        PackedFormat::Q4 | PackedFormat::Q8 => {
            for row in 0..w.rows {
                unpack_scales(w, row, scratch);
                widen(w, row, &mut scratch.quants);
                let mut t = 0;
                while t + TILE <= x.n {
                    store_tile::<TILE>(scratch, x, t, row, w.rows, out);
                    t += TILE;
                }
                while t < x.n {
                    store_tile::<1>(scratch, x, t, row, w.rows, out);
                    t += 1;
                }
            }
        }
    }
}

fn store_dots(w_row: &[f32], row: usize, rows: usize, x: &Activations, out: &mut [f32]) {
    for t in 0..x.n {
        out[t * rows + row] = dot(w_row, x.row_values(t));
    }
}

/// One weight row against one activation row.
#[inline(always)]
fn packed_dot(w: &PackedMatrix, row: usize, x: &Activations, scratch: &mut Scratch) -> f32 {
    unpack_scales(w, row, scratch);
    let quants = w.row_quants(row);
    let mut acc = f32x4::ZERO;
    let blocks = x.quants.as_chunks::<BLOCK>().0.iter().zip(&x.steps).zip(&scratch.d);
    if w.format == PackedFormat::Q4 {
        for (q, ((x, step), d)) in quants.as_chunks().0.iter().zip(blocks) {
            acc += to_f32(dot_block(&widen_q4(q), x)) * f32x4::splat(d * step);
        }
    } else {
        for (q, ((x, step), d)) in quants.as_chunks().0.iter().zip(blocks) {
            acc += to_f32(dot_block(&widen_q8(q), x)) * f32x4::splat(d * step);
        }
    }
    acc.reduce_add() + dot(&scratch.m, &x.sums)
}

/// The widened row in `scratch` against activation rows `t .. t + T`.
#[inline(always)]
fn store_tile<const T: usize>(scratch: &Scratch, x: &Activations, t: usize, row: usize, rows: usize, out: &mut [f32]) {
    let n = scratch.d.len();
    let w = &scratch.quants.as_chunks::<BLOCK>().0[..n];
    let d = &scratch.d[..n];
    let xs = &x.quants.as_chunks::<BLOCK>().0[t * n..(t + T) * n];
    let steps = &x.steps[t * n..(t + T) * n];
    let mut acc = [f32x4::ZERO; T];
    for b in 0..n {
        let w = load_block(&w[b]);
        for i in 0..T {
            acc[i] += to_f32(dot_block(&w, &xs[i * n + b])) * f32x4::splat(d[b] * steps[i * n + b]);
        }
    }
    for i in 0..T {
        out[(t + i) * rows + row] = acc[i].reduce_add() + dot(&scratch.m, x.row_sums(t + i));
    }
}

#[inline(always)]
fn dot_block(w: &[i16x8; 4], x: &[i16; BLOCK]) -> i32x4 {
    let x = load_block(x);
    (w[0].dot(x[0]) + w[1].dot(x[1])) + (w[2].dot(x[2]) + w[3].dot(x[3]))
}

#[inline(always)]
fn load_block(x: &[i16; BLOCK]) -> [i16x8; 4] {
    // Spelt out: a closure for each element is a call for each element.
    let [a, b, c, d]: &[[i16; 8]; 4] = bytemuck::cast_ref(x);
    [i16x8::new(*a), i16x8::new(*b), i16x8::new(*c), i16x8::new(*d)]
}

#[inline(always)]
fn to_f32(v: i32x4) -> f32x4 {
    f32x4::from_i32x4(v)
}

/// 16 bytes of nibbles to the block's 32 elements.
#[inline(always)]
fn widen_q4(q: &[u8; 16]) -> [i16x8; 4] {
    let q = u8x16::new(*q);
    let mask = u8x16::splat(15);
    let low = q & mask;
    let high = cast::<u16x8, u8x16>(cast::<u8x16, u16x8>(q) >> 4u32) & mask;
    [
        i16x8::from_u8x16_low(low),
        i16x8::from_u8x16_high(low),
        i16x8::from_u8x16_low(high),
        i16x8::from_u8x16_high(high),
    ]
}

/// 32 bytes, stored with an offset of 128 that the row's minimum takes back.
#[inline(always)]
fn widen_q8(q: &[u8; 32]) -> [i16x8; 4] {
    let [a, b]: &[[u8; 16]; 2] = bytemuck::cast_ref(q);
    let (a, b) = (u8x16::new(*a), u8x16::new(*b));
    [i16x8::from_u8x16_low(a), i16x8::from_u8x16_high(a), i16x8::from_u8x16_low(b), i16x8::from_u8x16_high(b)]
}

fn widen(w: &PackedMatrix, row: usize, out: &mut Vec<i16>) {
    out.resize(w.cols, 0);
    let out = out.as_chunks_mut::<BLOCK>().0;
    let store = |out: &mut [i16; BLOCK], wide: [i16x8; 4]| {
        for (out, w) in out.as_chunks_mut().0.iter_mut().zip(wide) {
            *out = w.to_array();
        }
    };
    if w.format == PackedFormat::Q4 {
        w.row_quants(row).as_chunks().0.iter().zip(out).for_each(|(q, out)| store(out, widen_q4(q)));
    } else {
        w.row_quants(row).as_chunks().0.iter().zip(out).for_each(|(q, out)| store(out, widen_q8(q)));
    }
}

/// The row's scale words to `d` and `m`; Q8's `m` is its offset, `−128 d`.
#[inline(always)]
fn unpack_scales(w: &PackedMatrix, row: usize, scratch: &mut Scratch) {
    let words = w.row_scales(row);
    scratch.d.resize(words.len(), 0.0);
    scratch.m.resize(words.len(), 0.0);
    let q4 = w.format == PackedFormat::Q4;
    let (words4, words1) = words.as_chunks();
    let (d4, d1) = scratch.d.as_chunks_mut();
    let (m4, m1) = scratch.m.as_chunks_mut();
    for ((words, d), m) in words4.iter().zip(d4).zip(m4) {
        let words = u32x4::new(*words);
        let scale = half_to_f32(words);
        *d = scale.to_array();
        let minimum = if q4 { half_to_f32(words >> 16u32) } else { scale * f32x4::splat(-128.0) };
        *m = minimum.to_array();
    }
    for ((word, d), m) in words1.iter().zip(d1).zip(m1) {
        *d = f16_to_f32(*word as u16);
        *m = if q4 { f16_to_f32((word >> 16) as u16) } else { -128.0 * *d };
    }
}

/// The low halves of four words, as in [`f16_to_f32`].
#[inline(always)]
fn half_to_f32(words: u32x4) -> f32x4 {
    let magnitude: f32x4 = cast((words & u32x4::splat(0x7fff)) << 13u32);
    let magnitude = magnitude * f32x4::splat(f32::from_bits(0x7780_0000));
    let sign: f32x4 = cast((words & u32x4::splat(0x8000)) << 16u32);
    magnitude | sign
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Tensor;
    use crate::quant::{TensorKind, quantize_q8_0};

    fn wave(n: usize, salt: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37 + salt).sin() * (1.0 + (i % 7) as f32)).collect()
    }

    /// Every product within 1e-4 of the largest, against f64 sums over the dequantised rows.
    fn check(w: &PackedMatrix, n: usize) {
        let values = wave(n * w.cols, 0.3);
        let mut x = Activations::default();
        x.set(&values, w.cols);
        let mut out = vec![0.0; n * w.rows];
        matmul(w, &x, &mut out, &mut Scratch::default());
        for row in 0..w.rows {
            let w_row = w.row(row);
            for t in 0..n {
                let terms = w_row.iter().zip(&values[t * w.cols..]).map(|(a, b)| *a as f64 * *b as f64);
                let (expected, size) = terms.fold((0.0, 0.0), |(sum, size), v| (sum + v, size + v.abs()));
                let error = (out[t * w.rows + row] as f64 - expected).abs();
                assert!(error <= 4e-5 * size + 1e-6, "{:?} row {row} of {t}: {error} of {size}", w.format);
            }
        }
    }

    #[test]
    fn products_match_the_dequantised_weights() {
        let (rows, cols) = (5, 5 * BLOCK);
        let values = wave(rows * cols, 1.7);
        let q8 = quantize_q8_0(&values);
        let mut q41 = Vec::new();
        for (i, block) in values.chunks_exact(BLOCK).enumerate() {
            q41.extend(half::f16::from_f32(0.02 * i as f32).to_le_bytes());
            q41.extend(half::f16::from_f32(-0.1).to_le_bytes());
            q41.extend(block[..16].iter().zip(&block[16..]).map(|(a, b)| (a.to_bits() >> 20) as u8 & 15 | ((b.to_bits() >> 20) as u8 & 15) << 4));
        }
        let f16: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let f32: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for (kind, data) in [(TensorKind::Q8_0, &q8), (TensorKind::Q4_1, &q41), (TensorKind::F16, &f16), (TensorKind::F32, &f32)] {
            let tensor = Tensor { name: "w".into(), shape: vec![rows, cols], kind, data };
            let w = PackedMatrix::from_tensor(&tensor).unwrap();
            for n in [1, 4, 7] {
                check(&w, n);
            }
        }
    }
}
