//! What attention and the element-wise functions share, four lanes at a time.

use std::hint::black_box;

use wide::{f32x4, i32x4, u32x4};

/// The low halves of four words, half precision, as numbers; subnormals included.
#[inline(always)]
pub fn half_to_f32(words: u32x4) -> f32x4 {
    let magnitude: f32x4 = bytemuck::cast((words & u32x4::splat(0x7fff)) << 13u32);
    let magnitude = magnitude * f32x4::splat(f32::from_bits(0x7780_0000));
    let sign: f32x4 = bytemuck::cast((words & u32x4::splat(0x8000)) << 16u32);
    magnitude | sign
}

/// How `a·b + c` is rounded: in one instruction where there is one, else twice.
pub trait MulAdd {
    /// # Safety
    /// The instruction is there.
    unsafe fn mul_add(a: f32x4, b: f32x4, c: f32x4) -> f32x4;
}

/// Rounds twice; the same on every machine.
pub struct Plain;

impl MulAdd for Plain {
    #[inline(always)]
    unsafe fn mul_add(a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
        a * b + c
    }
}

/// Eight numbers side by side.
pub trait Eight: MulAdd {
    type Floats: Copy;

    /// # Safety
    /// The instructions of the type are there, here and below; pointers lead to eight values.
    unsafe fn zero() -> Self::Floats;
    unsafe fn floats(from: *const f32) -> Self::Floats;
    unsafe fn shorts(from: *const i16) -> Self::Floats;
    unsafe fn splat(value: f32) -> Self::Floats;
    /// `a·b + c`, rounded as [`MulAdd::mul_add`] rounds it.
    unsafe fn mul_add8(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    unsafe fn store(values: Self::Floats, to: *mut f32);
}

impl Eight for Plain {
    type Floats = [f32x4; 2];

    #[inline(always)]
    unsafe fn zero() -> [f32x4; 2] {
        [f32x4::ZERO; 2]
    }
    #[inline(always)]
    unsafe fn floats(from: *const f32) -> [f32x4; 2] {
        // SAFETY: the caller's.
        let read = |at| unsafe { f32x4::new(from.add(at).cast::<[f32; 4]>().read_unaligned()) };
        [read(0), read(4)]
    }
    #[inline(always)]
    unsafe fn shorts(from: *const i16) -> [f32x4; 2] {
        // SAFETY: the caller's.
        let [low, high] = unsafe { from.cast::<[[i16; 4]; 2]>().read_unaligned() };
        let float = |shorts: [i16; 4]| i32x4::new(shorts.map(i32::from)).round_float();
        [float(low), float(high)]
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32x4; 2] {
        [f32x4::splat(value); 2]
    }
    #[inline(always)]
    unsafe fn mul_add8([a, b]: [f32x4; 2], [c, d]: [f32x4; 2], [e, f]: [f32x4; 2]) -> [f32x4; 2] {
        [a * c + e, b * d + f]
    }
    #[inline(always)]
    unsafe fn store([a, b]: [f32x4; 2], to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[[f32; 4]; 2]>().write_unaligned([a.to_array(), b.to_array()]) }
    }
}

/// 1.5·2²³: added to a number below 2²², it leaves its nearest integer in the low bits.
pub const ROUND: f32 = 12_582_912.0;

/// `eˣ` within 2 units in the last place, with its constants at hand.
///
/// They are loaded, and the compiler does not know them: browsers make a constant vector anew at each use, of three
/// instructions.
#[repr(C)]
pub struct Exp {
    least: f32x4,
    most: f32x4,
    log2_e: f32x4,
    round: f32x4,
    /// −ln 2 in two parts, the first short enough for n times it to be exact.
    ln_2: [f32x4; 2],
    polynomial: [f32x4; 6],
    one: f32x4,
}

impl Exp {
    #[allow(clippy::new_without_default, reason = "made for a loop, not kept")]
    pub fn new() -> Self {
        let s = f32x4::splat;
        black_box(Self {
            least: s(-87.0),
            most: s(88.0),
            log2_e: s(std::f32::consts::LOG2_E),
            round: s(ROUND),
            ln_2: [s(-0.693_359_4), s(2.121_944_4e-4)],
            // Cephes, expf.c.
            polynomial: [
                s(1.987_569_1e-4),
                s(1.398_2e-3),
                s(8.333_452e-3),
                s(4.166_579_6e-2),
                s(1.666_666_5e-1),
                s(0.5),
            ],
            one: s(1.0),
        })
    }

    /// `eˣ`; `x` is kept to −87…88.
    #[inline(always)]
    pub fn of(&self, x: f32x4) -> f32x4 {
        // SAFETY: plain arithmetic.
        unsafe { self.by::<Plain>(x) }
    }

    /// # Safety
    /// As [`MulAdd::mul_add`].
    #[inline(always)]
    pub unsafe fn by<M: MulAdd>(&self, x: f32x4) -> f32x4 {
        // SAFETY: the caller's.
        let fma = |a, b, c| unsafe { M::mul_add(a, b, c) };
        // eˣ = 2ⁿ·eʳ with n = round(x / ln 2).
        let x = x.fast_max(self.least).fast_min(self.most);
        let shifted = fma(x, self.log2_e, self.round);
        let n = shifted - self.round;
        let r = fma(n, self.ln_2[1], fma(n, self.ln_2[0], x));
        let [mut p, rest @ ..] = self.polynomial;
        for c in rest {
            p = fma(p, r, c);
        }
        p = fma(p, r * r, r + self.one);
        let bits = bytemuck::cast::<f32x4, i32x4>(p) + (bytemuck::cast::<f32x4, i32x4>(shifted) << 23u32);
        bytemuck::cast(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_the_last_places() {
        let exp = Exp::new();
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let [found, ..] = exp.of(f32x4::splat(x)).to_array();
            let expected = f64::from(x).exp();
            assert!((f64::from(found) - expected).abs() <= 2.4e-7 * expected, "e^{x}: {found}");
        }
        let [low, high, ..] = exp.of(f32x4::new([f32::NEG_INFINITY, f32::INFINITY, 0.0, 0.0])).to_array();
        assert!(low > 0.0 && low < 2e-38 && high > 1e38 && high.is_finite());
    }
}
