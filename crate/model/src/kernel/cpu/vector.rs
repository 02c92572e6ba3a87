//! Dot products and scaled additions over f32 slices.

use wide::f32x4;

/// `Σ a·b`; slices of equal length.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    let mut sums = [f32x4::ZERO; 2];
    for (a, b) in a8.iter().zip(b8) {
        let [a0, a1]: &[[f32; 4]; 2] = bytemuck::cast_ref(a);
        let [b0, b1]: &[[f32; 4]; 2] = bytemuck::cast_ref(b);
        sums[0] += f32x4::new(*a0) * f32x4::new(*b0);
        sums[1] += f32x4::new(*a1) * f32x4::new(*b1);
    }
    let rest: f32 = a1.iter().zip(b1).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]).reduce_add() + rest
}

/// `y += scale · x`.
#[inline(always)]
pub fn add_scaled(y: &mut [f32], scale: f32, x: &[f32]) {
    debug_assert_eq!(y.len(), x.len());
    let s = f32x4::splat(scale);
    let (y4, y1) = y.as_chunks_mut();
    let (x4, x1) = x.as_chunks();
    for (y, x) in y4.iter_mut().zip(x4) {
        *y = (f32x4::new(*y) + s * f32x4::new(*x)).to_array();
    }
    for (y, x) in y1.iter_mut().zip(x1) {
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
