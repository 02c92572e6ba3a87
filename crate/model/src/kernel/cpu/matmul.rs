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
    let blocks = x.quants.chunks_exact(BLOCK).zip(&x.steps).zip(&scratch.d);
    if w.format == PackedFormat::Q4 {
        for (q, ((x, step), d)) in quants.chunks_exact(16).zip(blocks) {
            let w = widen_q4(q);
            acc += to_f32(dot_block(&w, x)) * f32x4::splat(d * step);
        }
    } else {
        for (q, ((x, step), d)) in quants.chunks_exact(32).zip(blocks) {
            let w = widen_q8(q);
            acc += to_f32(dot_block(&w, x)) * f32x4::splat(d * step);
        }
    }
    acc.reduce_add() + dot(&scratch.m, &x.sums)
}

/// The widened row in `scratch` against activation rows `t .. t + T`.
#[inline(always)]
fn store_tile<const T: usize>(scratch: &Scratch, x: &Activations, t: usize, row: usize, rows: usize, out: &mut [f32]) {
    let xs: [&[i16]; T] = std::array::from_fn(|i| x.row_quants(t + i));
    let steps: [&[f32]; T] = std::array::from_fn(|i| &x.row_steps(t + i)[..scratch.d.len()]);
    let mut acc = [f32x4::ZERO; T];
    for (b, (w, d)) in scratch.quants.chunks_exact(BLOCK).zip(&scratch.d).enumerate() {
        let w: [i16x8; 4] = std::array::from_fn(|i| load_i16(&w[i * 8..]));
        for i in 0..T {
            let sum = dot_block(&w, &xs[i][b * BLOCK..(b + 1) * BLOCK]);
            acc[i] += to_f32(sum) * f32x4::splat(d * steps[i][b]);
        }
    }
    for i in 0..T {
        out[(t + i) * rows + row] = acc[i].reduce_add() + dot(&scratch.m, x.row_sums(t + i));
    }
}

#[inline(always)]
fn dot_block(w: &[i16x8; 4], x: &[i16]) -> i32x4 {
    let x: &[i16; BLOCK] = x.try_into().unwrap_or(&[0; BLOCK]);
    (w[0].dot(load_i16(&x[0..])) + w[1].dot(load_i16(&x[8..]))) + (w[2].dot(load_i16(&x[16..])) + w[3].dot(load_i16(&x[24..])))
}

#[inline(always)]
fn load_i16(x: &[i16]) -> i16x8 {
    i16x8::new(x[..8].try_into().unwrap_or_default())
}

#[inline(always)]
fn to_f32(v: i32x4) -> f32x4 {
    f32x4::from_i32x4(v)
}

/// 16 bytes of nibbles to the block's 32 elements.
#[inline(always)]
fn widen_q4(q: &[u8]) -> [i16x8; 4] {
    let q = u8x16::new(q.try_into().unwrap_or_default());
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
fn widen_q8(q: &[u8]) -> [i16x8; 4] {
    let half = |i: usize| u8x16::new(q[i * 16..(i + 1) * 16].try_into().unwrap_or_default());
    let (a, b) = (half(0), half(1));
    [i16x8::from_u8x16_low(a), i16x8::from_u8x16_high(a), i16x8::from_u8x16_low(b), i16x8::from_u8x16_high(b)]
}

fn widen(w: &PackedMatrix, row: usize, out: &mut Vec<i16>) {
    out.resize(w.cols, 0);
    let bytes = w.format.block_bytes();
    for (q, out) in w.row_quants(row).chunks_exact(bytes).zip(out.chunks_exact_mut(BLOCK)) {
        let wide = if w.format == PackedFormat::Q4 { widen_q4(q) } else { widen_q8(q) };
        for (w, out) in wide.iter().zip(out.chunks_exact_mut(8)) {
            out.copy_from_slice(&w.to_array());
        }
    }
}

/// The row's scale words to `d` and `m`; Q8's `m` is its offset, `−128 d`.
#[inline(always)]
fn unpack_scales(w: &PackedMatrix, row: usize, scratch: &mut Scratch) {
    let words = w.row_scales(row);
    scratch.d.resize(words.len(), 0.0);
    scratch.m.resize(words.len(), 0.0);
    let q4 = w.format == PackedFormat::Q4;
    let n = words.len() / 4 * 4;
    let (d4, d1) = scratch.d.split_at_mut(n);
    let (m4, m1) = scratch.m.split_at_mut(n);
    for ((words, d), m) in words.chunks_exact(4).zip(d4.chunks_exact_mut(4)).zip(m4.chunks_exact_mut(4)) {
        let words = u32x4::new(words.try_into().unwrap_or_default());
        let scale = half_to_f32(words);
        d.copy_from_slice(&scale.to_array());
        let minimum = if q4 { half_to_f32(words >> 16u32) } else { scale * f32x4::splat(-128.0) };
        m.copy_from_slice(&minimum.to_array());
    }
    for ((word, d), m) in words[n..].iter().zip(d1).zip(m1) {
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
