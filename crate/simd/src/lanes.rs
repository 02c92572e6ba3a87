//! What the products need of an instruction set: eight rows side by side.

use wide::f32x4;

use crate::math::Eight;

/// # Safety
/// Every function may only run where the instructions are; pointers lead to as many values as the name says.
pub trait Lanes: Eight {
    /// Four bytes of eight rows.
    type Bytes: Copy;
    /// Four bytes, for every row.
    type Quad: Copy;
    /// Sums of eight rows that are not whole yet.
    type Sums: Copy;
    /// 32 bytes of one row.
    type Block: Copy;
    /// Sums of one row that are not whole yet.
    type Dot: Copy;

    unsafe fn bytes(from: *const [u8; 32]) -> Self::Bytes;
    unsafe fn quad(from: &[u8; 4]) -> Self::Quad;
    unsafe fn none() -> Self::Sums;
    /// `sums + Σ₈ w·x`: unsigned weights below 16 with signed activations, or with `Q8` signed weights with activations
    /// below 128. Four times at most before [`Self::total`].
    ///
    /// Sums of four products of the latter may be kept to 16 bits. It takes four of the largest products of one sign to
    /// get there, and what is lost then is less than the activations lost in rounding.
    unsafe fn add_dots<const Q8: bool>(
        sums: Self::Sums,
        w0: Self::Bytes,
        x0: Self::Quad,
        w1: Self::Bytes,
        x1: Self::Quad,
    ) -> Self::Sums;
    unsafe fn total<const Q8: bool>(sums: Self::Sums) -> Self::Floats;

    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn block(from: *const u8) -> Self::Block;
    /// A block of Q4 weights, 16 bytes, with a block of signed activations.
    unsafe fn dot_q4(w: *const u8, x: Self::Block) -> Self::Dot;
    /// The sums of four rows.
    unsafe fn side_by_side(dots: [Self::Dot; 4]) -> f32x4;
}
