//! Dot products and scaled additions over f32 slices.

use wide::f32x4;

/// `Σ a·b`; slices of equal length.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    // Indices, not zips: a zip is made by a call, which these short loops feel.
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    let (b8, b1) = (&b8[..a8.len()], &b1[..a1.len()]);
    let mut sums = [f32x4::ZERO; 2];
    for i in 0..a8.len() {
        let [x0, x1]: &[[f32; 4]; 2] = bytemuck::cast_ref(&a8[i]);
        let [y0, y1]: &[[f32; 4]; 2] = bytemuck::cast_ref(&b8[i]);
        sums[0] += f32x4::new(*x0) * f32x4::new(*y0);
        sums[1] += f32x4::new(*x1) * f32x4::new(*y1);
    }
    let mut sum = (sums[0] + sums[1]).reduce_add();
    for i in 0..a1.len() {
        sum += a1[i] * b1[i];
    }
    sum
}

/// `Σ a`
#[inline(always)]
pub fn sum(a: &[f32]) -> f32 {
    let (a4, a1) = a.as_chunks();
    let mut sum = f32x4::ZERO;
    for a in a4 {
        sum += f32x4::new(*a);
    }
    sum.reduce_add() + a1.iter().sum::<f32>()
}

/// `y += x`.
#[inline(always)]
pub fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}
