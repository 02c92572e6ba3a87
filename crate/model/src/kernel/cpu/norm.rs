//! Normalisation and the element-wise functions between matrix products.

use std::hint::black_box;

use lectern_simd::Exp;
use wide::f32x4;

use super::vector::{dot, sum};

/// `x / rms(x) · weight` for every row of `x`, `[n, weight.len()]` (Zhang & Sennrich 2019, eq. 4).
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        let inverse = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * inverse * w;
        }
    }
}

/// `(x − mean) / √(variance + eps) · weight + bias` for every row, in place (Ba et al. 2016).
pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let n = weight.len() as f32;
    for x in x.chunks_exact_mut(weight.len()) {
        let mean = sum(x) / n;
        x.iter_mut().for_each(|v| *v -= mean);
        let inverse = 1.0 / (dot(x, x) / n + eps).sqrt();
        for ((x, w), b) in x.iter_mut().zip(weight).zip(bias) {
            *x = *x * inverse * w + b;
        }
    }
}

/// `silu(gate) · up`, into `gate`.
pub fn silu_mul(gate: &mut [f32], up: &[f32]) {
    let exp = Exp::new();
    for (gate, up) in gate.as_chunks_mut().0.iter_mut().zip(up.as_chunks().0) {
        let g = f32x4::new(*gate);
        *gate = (g / (f32x4::ONE + exp.of(-g)) * f32x4::new(*up)).to_array();
    }
}

/// Exact GELU, `x · Φ(x)`, in place.
pub fn gelu(x: &mut [f32]) {
    let exp = Exp::new();
    for x in x.as_chunks_mut().0 {
        let v = f32x4::new(*x);
        *x = (v * f32x4::HALF * (f32x4::ONE + erf(v * f32x4::splat(std::f32::consts::FRAC_1_SQRT_2), &exp))).to_array();
    }
}

/// GELU for activations that are rounded to 8 bits after it: within 1.3e-4 up to `x` = 4, and 4.2e-5 of `x` beyond.
///
/// Φ(x) − ½ is an odd polynomial in x/4, least squares weighted until the error of x·Φ(x) is even; it ends at 4.
pub fn gelu_fast(x: &mut [f32]) {
    const ODD: [f32; 8] =
        [-0.349_312_96, 1.748_117_2, -3.834_778_3, 4.905_698, -4.122_583_4, 2.433_381_8, -1.054_205_4, 0.398_673_4];
    // As `Exp` holds its constants.
    let [least, most, sixteenth, half] = black_box([-4.0, 4.0, 1.0 / 16.0, 0.5].map(f32x4::splat));
    let [first, rest @ ..] = black_box(ODD.map(f32x4::splat));
    for x in x.as_chunks_mut().0 {
        let v = f32x4::new(*x);
        let end = v.fast_min(most).fast_max(least);
        let square = end * end * sixteenth;
        let mut p = first;
        for c in rest {
            p = p * square + c;
        }
        *x = (v * (half + end * p)).to_array();
    }
}

/// Error function to 1.5e-7 (Abramowitz & Stegun 7.1.26).
fn erf(x: f32x4, exp: &Exp) -> f32x4 {
    let a = x.abs();
    let t = f32x4::ONE / (f32x4::ONE + f32x4::splat(0.327_591_1) * a);
    let mut p = f32x4::splat(1.061_405_4);
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        p = p * t + f32x4::splat(c);
    }
    (f32x4::ONE - p * t * exp.of(-a * a)).copysign(x)
}

/// Rotates neighbouring pairs of every head of every row: `(x₀, x₁) → (x₀c − x₁s, x₀s + x₁c)`
/// (Su et al. 2021, eq. 34, in GGUF's interleaved order).
///
/// # Shapes
/// `x` `[n, heads·head_dim]`; `cos`, `sin` `[n, head_dim/2]`.
pub fn rope(x: &mut [f32], width: usize, cos: &[f32], sin: &[f32], half: usize) {
    for ((x, cos), sin) in x.chunks_exact_mut(width).zip(cos.chunks_exact(half)).zip(sin.chunks_exact(half)) {
        for head in x.chunks_exact_mut(half * 2) {
            for (pair, (c, s)) in head.chunks_exact_mut(2).zip(cos.iter().zip(sin)) {
                let (a, b) = (pair[0], pair[1]);
                pair[0] = a * c - b * s;
                pair[1] = a * s + b * c;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_follows_its_integral() {
        // Φ by the trapezium rule in f64.
        let phi = |x: f64| {
            let n = 20_000;
            let (lo, h) = (-10.0, (x + 10.0) / n as f64);
            let pdf = |v: f64| (-v * v / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            (0..n).map(|i| (pdf(lo + i as f64 * h) + pdf(lo + (i + 1) as f64 * h)) / 2.0 * h).sum::<f64>()
        };
        for x in [-9.0, -4.0, -3.3, -1.3, -0.2, 0.0, 0.7, 2.5, 3.9, 6.0f32] {
            let expected = x as f64 * phi(x as f64);
            let mut v = [x; 4];
            gelu(&mut v);
            assert!((v[0] as f64 - expected).abs() < 1e-5, "{x}: {}", v[0]);
            v = [x; 4];
            gelu_fast(&mut v);
            assert!((v[0] as f64 - expected).abs() < 1.3e-4f64.max(4.2e-5 * x.abs() as f64), "{x}: {}", v[0]);
        }
    }

    #[test]
    fn a_rotation_keeps_lengths_and_position_zero() {
        let mut x = vec![1.0, 2.0, 3.0, 4.0];
        rope(&mut x, 4, &[1.0, 1.0], &[0.0, 0.0], 2);
        assert_eq!(x, [1.0, 2.0, 3.0, 4.0]);
        let (s, c) = 0.8f32.sin_cos();
        rope(&mut x, 4, &[c, c], &[s, s], 2);
        assert!((x[0].hypot(x[1]) - 5f32.sqrt()).abs() < 1e-6);
    }
}
