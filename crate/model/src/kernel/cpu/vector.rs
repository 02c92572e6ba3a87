//! Dot products and scaled additions over f32 slices.

use wide::f32x4;

use super::activation::load;

/// `Σ a·b`; slices of equal length, a multiple of 4.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [f32x4::ZERO; 2];
    let mut pairs = a.chunks_exact(8).zip(b.chunks_exact(8));
    for (a, b) in &mut pairs {
        sums[0] += load(&a[..4]) * load(&b[..4]);
        sums[1] += load(&a[4..]) * load(&b[4..]);
    }
    let n = a.len() / 8 * 8;
    let mut sum = (sums[0] + sums[1]).reduce_add();
    for (a, b) in a[n..].iter().zip(&b[n..]) {
        sum += a * b;
    }
    sum
}

/// `y += scale · x`.
#[inline(always)]
pub fn add_scaled(y: &mut [f32], scale: f32, x: &[f32]) {
    debug_assert_eq!(y.len(), x.len());
    let s = f32x4::splat(scale);
    let n = y.len() / 4 * 4;
    for (y, x) in y.chunks_exact_mut(4).zip(x.chunks_exact(4)) {
        y.copy_from_slice(&(load(y) + s * load(x)).to_array());
    }
    for (y, x) in y[n..].iter_mut().zip(&x[n..]) {
        *y += scale * x;
    }
}

/// `y += x`.
#[inline(always)]
pub fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}
