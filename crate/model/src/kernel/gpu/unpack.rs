//! Arithmetic on packed weights and vectors that every kernel shares.

use super::{U4, V4};
use cubecl::prelude::*;

/// The f32 of a half-precision number in the low 16 bits, subnormals included, without `f16`
/// support of the device: shift into place, correct the exponent's bias by 2^112.
#[cube]
pub fn f16_bits(h: u32) -> f32 {
    let magnitude = f32::from_bits((h & 0x7fffu32) << 13u32) * 5.192_297e33_f32;
    f32::from_bits(magnitude.to_bits() | ((h & 0x8000u32) << 16u32))
}

/// [`f16_bits`] of four numbers.
#[cube]
pub fn f16_bits4(h: U4) -> V4 {
    let magnitude = V4::reinterpret((h & U4::new(0x7fffu32)) << U4::new(13u32)) * V4::new(5.192_297e33_f32);
    V4::reinterpret(U4::reinterpret(magnitude) | ((h & U4::new(0x8000u32)) << U4::new(16u32)))
}

/// The sum of a vector's components.
#[cube]
pub fn sum4(v: V4) -> f32 {
    v.extract(0usize) + v.extract(1usize) + v.extract(2usize) + v.extract(3usize)
}

/// A vector of its components.
#[cube]
pub fn vec4(a: f32, b: f32, c: f32, d: f32) -> V4 {
    let mut v = V4::new(a);
    v.insert(1usize, b);
    v.insert(2usize, c);
    v.insert(3usize, d);
    v
}

/// A vector of its components.
#[cube]
pub fn uvec4(a: u32, b: u32, c: u32, d: u32) -> U4 {
    let mut v = U4::new(a);
    v.insert(1usize, b);
    v.insert(2usize, c);
    v.insert(3usize, d);
    v
}

/// Component `i` of each of four vectors.
#[cube]
pub fn column(a: V4, b: V4, c: V4, d: V4, #[comptime] i: usize) -> V4 {
    vec4(a.extract(i), b.extract(i), c.extract(i), d.extract(i))
}
