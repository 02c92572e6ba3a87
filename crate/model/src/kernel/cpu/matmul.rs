//! `y = W x` for packed weights and one or many rows of activations.
//!
//! Many rows (prefill, embedding): each weight row is widened to 16 bits once and then meets the activation rows, a
//! tile at a time. One row (decode): widening and multiplying are one pass.

use bytemuck::cast;
use wide::{f32x4, i16x8, i32x4, u8x16, u16x8, u32x4};

use lectern_simd::{Format, Weights, half_to_f32};

use super::activation::{Activations, TILE, Wide};
use super::vector::{add, dot};
use crate::Precision;
use crate::packed::{BLOCK, PackedFormat, PackedMatrix, f16_to_f32};

/// Buffers of one weight row, reused over rows and calls.
#[derive(Default)]
pub struct Scratch {
    /// `[cols]`: a row's quants, widened.
    quants: Vec<i16>,
    /// `[cols]`: a row's values, for F16 weights.
    values: Vec<f32>,
    /// `[cols/32]` each: the row's scales and minima.
    d: Vec<f32>,
    m: Vec<f32>,
    fast: lectern_simd::Scratch,
    /// As `out`: what the rest of the activations adds.
    rest: Vec<f32>,
}

/// How a product rounds the activations of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    Sixteen,
    /// Once, and what that leaves once more: nearly as near as sixteen. For Q4 weights.
    EightTwice,
    Eight,
}

impl From<Precision> for Bits {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Exact => Self::Sixteen,
            Precision::Fast => Self::Eight,
        }
    }
}

/// `out[i] = W x[i]`.
///
/// # Shapes
/// `w` `[rows, cols]`, `x` `[n, cols]`, `out` `[n, rows]`.
///
/// Eight bits are sixteen where the machine has no instructions for them, and for weights that are not packed.
pub fn matmul(w: &PackedMatrix, x: &mut Activations, bits: Bits, out: &mut [f32], scratch: &mut Scratch) {
    assert_eq!(x.cols, w.cols);
    assert_eq!(out.len(), x.n * w.rows);
    if fast(w, x, bits, out, scratch) {
        return;
    }
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
                scratch
                    .values
                    .extend(w.row_quants(row).chunks_exact(2).map(|b| f16_to_f32(u16::from_le_bytes([b[0], b[1]]))));
                store_dots(&scratch.values, row, w.rows, x, out);
            }
        }
        PackedFormat::Q4 if x.n == 1 => packed_matvec(w, x.exact(), out, widen_q4),
        PackedFormat::Q8 if x.n == 1 => packed_matvec(w, x.exact(), out, widen_q8),
        PackedFormat::Q4 | PackedFormat::Q8 => packed_matmul(w, x.n, x.exact(), out, scratch),
    }
}

/// The product with 8-bit activations; false where there is none.
fn fast(w: &PackedMatrix, x: &mut Activations, bits: Bits, out: &mut [f32], scratch: &mut Scratch) -> bool {
    let format = match (w.format, bits) {
        (PackedFormat::Q4, Bits::Eight | Bits::EightTwice) => Format::Q4,
        (PackedFormat::Q8, Bits::Eight) => Format::Q8,
        _ => return false,
    };
    let Some(instructions) = lectern_simd::instructions() else { return false };
    let quants = bytemuck::cast_slice(&w.quants);
    let w = Weights { format, rows: w.rows, cols: w.cols, quants, scales: &w.scales };
    instructions.product(w, x.rounded(format.rounding()), out, &mut scratch.fast);
    if bits == Bits::EightTwice {
        scratch.rest.resize(out.len(), 0.0);
        instructions.product(w, x.rest(), &mut scratch.rest, &mut scratch.fast);
        add(out, &scratch.rest);
    }
    true
}

fn store_dots(w_row: &[f32], row: usize, rows: usize, x: &Activations, out: &mut [f32]) {
    for t in 0..x.n {
        out[t * rows + row] = dot(w_row, x.row_values(t));
    }
}

/// One row of activations against four weight rows at a time; a block of quants takes `BYTES`. Sums in the order of
/// [`tile_sums`], so that a row gives the same numbers alone as in a batch.
#[inline(always)]
fn packed_matvec<const BYTES: usize>(
    w: &PackedMatrix,
    x: &Wide,
    out: &mut [f32],
    widen: impl Fn(&[u8; BYTES]) -> [i16x8; 4],
) {
    let n = w.row_blocks();
    let quants = bytemuck::cast_slice::<u32, u8>(&w.quants).as_chunks().0;
    // Slices of one length: no index below is checked.
    let (x, steps, sums) = (&x.quants.as_chunks::<BLOCK>().0[..n], &x.steps[..n], &x.sums[..n]);
    for (group, out) in out.chunks_mut(TILE).enumerate() {
        // The last rows of a matrix that is no multiple of four high are met more than once.
        let start = |i: usize| (group * TILE + i).min(w.rows - 1) * n;
        let (q0, q1, q2, q3) =
            (&quants[start(0)..][..n], &quants[start(1)..][..n], &quants[start(2)..][..n], &quants[start(3)..][..n]);
        let (s0, s1, s2, s3) = (
            &w.scales[start(0)..][..n],
            &w.scales[start(1)..][..n],
            &w.scales[start(2)..][..n],
            &w.scales[start(3)..][..n],
        );
        let mut acc = f32x4::ZERO;
        for b in 0..n {
            let (d, m) = unpack_scales(w.format, u32x4::new([s0[b], s1[b], s2[b], s3[b]]));
            let x = &x[b];
            let dots = side_by_side(
                dot_block(&widen(&q0[b]), x),
                dot_block(&widen(&q1[b]), x),
                dot_block(&widen(&q2[b]), x),
                dot_block(&widen(&q3[b]), x),
            );
            acc += to_f32(dots) * (d * f32x4::splat(steps[b]));
            acc += m * f32x4::splat(sums[b]);
        }
        out.copy_from_slice(&acc.to_array()[..out.len()]);
    }
}

/// A batch of activations, whole tiles of rows.
fn packed_matmul(w: &PackedMatrix, n_rows: usize, x: &Wide, out: &mut [f32], scratch: &mut Scratch) {
    let n = w.row_blocks();
    let x_quants = x.quants.as_chunks::<BLOCK>().0;
    let (steps, sums) = (x.steps.as_chunks().0, x.sums.as_chunks().0);
    for row in 0..w.rows {
        widen_row(w, row, scratch);
        let row_quants = &scratch.quants.as_chunks().0[..n];
        for first in (0..n_rows).step_by(TILE) {
            let blocks = first / TILE * n;
            let x_quants = &x_quants[blocks * TILE..][..n * TILE];
            let of_tile =
                tile_sums(row_quants, &scratch.d, &scratch.m, x_quants, &steps[blocks..][..n], &sums[blocks..][..n])
                    .to_array();
            for (t, sum) in of_tile.into_iter().enumerate().take(n_rows - first) {
                out[(first + t) * w.rows + row] = sum;
            }
        }
    }
}

/// One widened weight row against the rows of a tile.
///
/// # Shapes
/// `w` `[cols/32]` blocks, `d`, `m` `[cols/32]`, `x` `[TILE, cols/32]` blocks, `steps`, `sums` `[cols/32, TILE]`.
#[inline(always)]
fn tile_sums(
    w: &[[i16; BLOCK]],
    d: &[f32],
    m: &[f32],
    x: &[[i16; BLOCK]],
    steps: &[[f32; TILE]],
    sums: &[[f32; TILE]],
) -> f32x4 {
    let n = w.len();
    let (x0, x) = x.split_at(n);
    let (x1, x) = x.split_at(n);
    let (x2, x3) = x.split_at(n);
    // Of one length, so that no index below is checked.
    let (d, m, x3, steps, sums) = (&d[..n], &m[..n], &x3[..n], &steps[..n], &sums[..n]);
    let mut acc = f32x4::ZERO;
    for b in 0..n {
        let w = load_block(&w[b]);
        let dots =
            side_by_side(dot_block(&w, &x0[b]), dot_block(&w, &x1[b]), dot_block(&w, &x2[b]), dot_block(&w, &x3[b]));
        acc += to_f32(dots) * (f32x4::splat(d[b]) * f32x4::new(steps[b]));
        acc += f32x4::splat(m[b]) * f32x4::new(sums[b]);
    }
    acc
}

/// The four sums of four vectors' lanes.
#[inline(always)]
fn side_by_side(a: i32x4, b: i32x4, c: i32x4, d: i32x4) -> i32x4 {
    let (a, b, c, d): (f32x4, f32x4, f32x4, f32x4) = (cast(a), cast(b), cast(c), cast(d));
    let add = |x: f32x4, y: f32x4| cast::<f32x4, i32x4>(x) + cast::<f32x4, i32x4>(y);
    let ac: f32x4 = cast(add(a.unpack_lo(c), a.unpack_hi(c)));
    let bd: f32x4 = cast(add(b.unpack_lo(d), b.unpack_hi(d)));
    add(ac.unpack_lo(bd), ac.unpack_hi(bd))
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
    [i16x8::from_u8x16_low(low), i16x8::from_u8x16_high(low), i16x8::from_u8x16_low(high), i16x8::from_u8x16_high(high)]
}

/// 32 bytes, stored with an offset of 128 that the row's minimum takes back.
#[inline(always)]
fn widen_q8(q: &[u8; 32]) -> [i16x8; 4] {
    let [a, b]: &[[u8; 16]; 2] = bytemuck::cast_ref(q);
    let (a, b) = (u8x16::new(*a), u8x16::new(*b));
    [i16x8::from_u8x16_low(a), i16x8::from_u8x16_high(a), i16x8::from_u8x16_low(b), i16x8::from_u8x16_high(b)]
}

/// One row's quants, scales and minima to the scratch.
fn widen_row(w: &PackedMatrix, row: usize, scratch: &mut Scratch) {
    let n = w.row_blocks();
    scratch.quants.resize(w.cols, 0);
    scratch.d.resize(n, 0.0);
    scratch.m.resize(n, 0.0);
    let out = &mut scratch.quants.as_chunks_mut::<BLOCK>().0[..n];
    if w.format == PackedFormat::Q4 {
        let quants = &w.row_quants(row).as_chunks().0[..n];
        for b in 0..n {
            store_block(&mut out[b], widen_q4(&quants[b]));
        }
    } else {
        let quants = &w.row_quants(row).as_chunks().0[..n];
        for b in 0..n {
            store_block(&mut out[b], widen_q8(&quants[b]));
        }
    }
    let (words4, words1) = w.row_scales(row).as_chunks();
    let (d4, d1) = scratch.d.as_chunks_mut();
    let (m4, m1) = scratch.m.as_chunks_mut();
    for i in 0..words4.len() {
        let (d, m) = unpack_scales(w.format, u32x4::new(words4[i]));
        (d4[i], m4[i]) = (d.to_array(), m.to_array());
    }
    let mut words = [0; 4];
    words[..words1.len()].copy_from_slice(words1);
    let (d, m) = unpack_scales(w.format, u32x4::new(words));
    d1.copy_from_slice(&d.to_array()[..d1.len()]);
    m1.copy_from_slice(&m.to_array()[..m1.len()]);
}

#[inline(always)]
fn store_block(out: &mut [i16; BLOCK], wide: [i16x8; 4]) {
    let out: &mut [[i16; 8]; 4] = bytemuck::cast_mut(out);
    for i in 0..4 {
        out[i] = wide[i].to_array();
    }
}

/// Scales and minima of four blocks; Q8's minimum is its offset, `−128 d`.
#[inline(always)]
fn unpack_scales(format: PackedFormat, words: u32x4) -> (f32x4, f32x4) {
    let d = half_to_f32(words);
    let m = if format == PackedFormat::Q4 { half_to_f32(words >> 16u32) } else { d * f32x4::splat(-128.0) };
    (d, m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packing;
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
        matmul(w, &mut x, Bits::Sixteen, &mut out, &mut Scratch::default());
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
            q41.extend(
                block[..16]
                    .iter()
                    .zip(&block[16..])
                    .map(|(a, b)| (a.to_bits() >> 20) as u8 & 15 | ((b.to_bits() >> 20) as u8 & 15) << 4),
            );
        }
        let f16: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let f32: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for (kind, data) in
            [(TensorKind::Q8_0, &q8), (TensorKind::Q4_1, &q41), (TensorKind::F16, &f16), (TensorKind::F32, &f32)]
        {
            let mut packing = Packing::new(kind, data.len());
            packing.push(data);
            let w = packing.into_matrix(rows, cols);
            for n in [1, 2, 4, 7] {
                check(&w, n);
            }
        }
    }
}
