//! WebAssembly: the kernels are a second module, built of this crate with relaxed SIMD, that works in the memory of the
//! first. The page makes it and puts two of its functions into the first module's table; [`install`] takes their places.
//!
//! The product has two forms. Processors with an instruction for the dot product of four bytes (most ARM, and x86 with
//! AVX-VNNI) do sixteen products by one. Other x86 takes three for that, and sums in 16 bits take fewer.

use std::mem::transmute;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Instructions;
use crate::attention::AttentionCall;
use crate::call::Call;

/// Places in this module's table; the first is no function's.
static PRODUCT: AtomicUsize = AtomicUsize::new(0);
static ATTENTION: AtomicUsize = AtomicUsize::new(0);

/// Takes the places of [the second module's functions](self) in this module's table.
pub fn install(product: usize, attention: usize) {
    PRODUCT.store(product, Ordering::Relaxed);
    ATTENTION.store(attention, Ordering::Relaxed);
}

pub(crate) fn installed() -> Option<Instructions> {
    let (product, attention) = (PRODUCT.load(Ordering::Relaxed), ATTENTION.load(Ordering::Relaxed));
    // SAFETY: on this platform a function is its index in the table.
    (product != 0).then(|| unsafe {
        Instructions {
            name: "relaxed SIMD",
            product: transmute::<usize, unsafe extern "C" fn(&Call)>(product),
            attention: transmute::<usize, unsafe extern "C" fn(&AttentionCall)>(attention),
        }
    })
}

/// # Safety
/// As [`crate::kernel::run`].
#[cfg(target_feature = "relaxed-simd")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lectern_product(call: &Call) {
    // SAFETY: the caller's.
    unsafe { crate::kernel::run::<lanes::Relaxed<false>>(call) }
}

/// As [`lectern_product`], for where [`lectern_has_dot`].
///
/// # Safety
/// As [`crate::kernel::run`].
#[cfg(target_feature = "relaxed-simd")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lectern_product_dot(call: &Call) {
    // SAFETY: the caller's.
    unsafe { crate::kernel::run::<lanes::Relaxed<true>>(call) }
}

/// Whether dot products of four bytes are the better form: everywhere but on x86 without an instruction for them.
///
/// The browser makes `i32x4.relaxed_dot_i8x16_i7x16_add` of what there is, and that shows where the second operand has
/// more than seven bits: only that x86 adds two products in 16 bits and cuts their sum off at 32,767.
#[cfg(target_feature = "relaxed-simd")]
#[unsafe(no_mangle)]
pub extern "C" fn lectern_has_dot() -> u32 {
    use std::arch::wasm32::{i8x16_splat, i32x4_extract_lane, i32x4_relaxed_dot_i8x16_i7x16_add, i32x4_splat};
    let sums = i32x4_relaxed_dot_i8x16_i7x16_add(i8x16_splat(127), i8x16_splat(-1), i32x4_splat(0));
    u32::from(i32x4_extract_lane::<0>(sums) != 2 * 32_767)
}

/// # Safety
/// As [`crate::attention::attend`].
#[cfg(target_feature = "relaxed-simd")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lectern_attention(call: &AttentionCall) {
    // SAFETY: the caller's.
    unsafe { crate::attention::attend::<lanes::Relaxed<false>>(call) }
}

#[cfg(target_feature = "relaxed-simd")]
mod lanes {
    #![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic")]

    use std::arch::wasm32::*;

    use wide::f32x4;

    use crate::lanes::Lanes;
    use crate::math::{Eight, MulAdd};

    /// `DOT`: dot products of four bytes are one instruction.
    pub struct Relaxed<const DOT: bool>;

    /// Eight lanes are two vectors.
    type Two = [v128; 2];

    #[inline(always)]
    fn of(v: v128) -> f32x4 {
        // SAFETY: both are 128 bits.
        unsafe { std::mem::transmute(v) }
    }

    #[inline(always)]
    fn raw(v: f32x4) -> v128 {
        // SAFETY: as above.
        unsafe { std::mem::transmute(v) }
    }

    impl<const DOT: bool> MulAdd for Relaxed<DOT> {
        #[inline(always)]
        unsafe fn mul_add(a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
            of(f32x4_relaxed_madd(raw(a), raw(b), raw(c)))
        }
    }

    impl<const DOT: bool> Eight for Relaxed<DOT> {
        type Floats = Two;

        #[inline(always)]
        unsafe fn zero() -> Two {
            [f32x4_splat(0.0); 2]
        }
        #[inline(always)]
        unsafe fn floats(from: *const f32) -> Two {
            [v128_load(from.cast()), v128_load(from.add(4).cast())]
        }
        #[inline(always)]
        unsafe fn shorts(from: *const i16) -> Two {
            let four = |from: *const i16| f32x4_convert_i32x4(i32x4_load_extend_i16x4(from));
            [four(from), four(from.add(4))]
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Two {
            [f32x4_splat(value); 2]
        }
        #[inline(always)]
        unsafe fn mul_add8([a, b]: Two, [c, d]: Two, [e, f]: Two) -> Two {
            [f32x4_relaxed_madd(a, c, e), f32x4_relaxed_madd(b, d, f)]
        }
        #[inline(always)]
        unsafe fn store([a, b]: Two, to: *mut f32) {
            v128_store(to.cast(), a);
            v128_store(to.add(4).cast(), b);
        }
    }

    impl<const DOT: bool> Lanes for Relaxed<DOT> {
        type Bytes = Two;
        type Quad = v128;
        type Sums = Two;
        type Block = Two;
        type Dot = v128;

        #[inline(always)]
        unsafe fn bytes(from: *const [u8; 32]) -> Two {
            // Panels are aligned; a load that says so gets its offset into the instruction.
            *from.cast()
        }
        #[inline(always)]
        unsafe fn quad(from: &[u8; 4]) -> v128 {
            i32x4_splat(*from.as_ptr().cast())
        }
        #[inline(always)]
        unsafe fn none() -> Two {
            [i32x4_splat(0); 2]
        }
        /// Nibbles times bytes: eight pairs fit 16 bits. Bytes times seven bits: one pair does, and nearly always two.
        #[inline(always)]
        unsafe fn add_dots<const Q8: bool>([a, b]: Two, [v0, w0]: Two, x0: v128, [v1, w1]: Two, x1: v128) -> Two {
            if DOT {
                let dot = |w, x, sum| {
                    let (signed, seven) = if Q8 { (w, x) } else { (x, w) };
                    i32x4_relaxed_dot_i8x16_i7x16_add(signed, seven, sum)
                };
                [dot(v1, x1, dot(v0, x0, a)), dot(w1, x1, dot(w0, x0, b))]
            } else if Q8 {
                let ones = i16x8_splat(1);
                let (v, w) = (i16x8_relaxed_dot_i8x16_i7x16(v0, x0), i16x8_relaxed_dot_i8x16_i7x16(w0, x0));
                let v = i16x8_add_sat(v, i16x8_relaxed_dot_i8x16_i7x16(v1, x1));
                let w = i16x8_add_sat(w, i16x8_relaxed_dot_i8x16_i7x16(w1, x1));
                [i32x4_add(a, i32x4_dot_i16x8(v, ones)), i32x4_add(b, i32x4_dot_i16x8(w, ones))]
            } else {
                let (v, w) = (i16x8_relaxed_dot_i8x16_i7x16(x0, v0), i16x8_relaxed_dot_i8x16_i7x16(x0, w0));
                let (a, b) = (i16x8_add(a, v), i16x8_add(b, w));
                let (v, w) = (i16x8_relaxed_dot_i8x16_i7x16(x1, v1), i16x8_relaxed_dot_i8x16_i7x16(x1, w1));
                [i16x8_add(a, v), i16x8_add(b, w)]
            }
        }
        #[inline(always)]
        unsafe fn total<const Q8: bool>(sums: Two) -> Two {
            let [a, b] = sums;
            if Q8 || DOT {
                [f32x4_convert_i32x4(a), f32x4_convert_i32x4(b)]
            } else {
                let ones = i16x8_splat(1);
                [f32x4_convert_i32x4(i32x4_dot_i16x8(a, ones)), f32x4_convert_i32x4(i32x4_dot_i16x8(b, ones))]
            }
        }
        #[inline(always)]
        unsafe fn mul([a, b]: Two, [c, d]: Two) -> Two {
            [f32x4_mul(a, c), f32x4_mul(b, d)]
        }
        #[inline(always)]
        unsafe fn block(from: *const u8) -> Two {
            [v128_load(from.cast()), v128_load(from.add(16).cast())]
        }
        #[inline(always)]
        unsafe fn dot_q4(w: *const u8, [low, high]: Two) -> v128 {
            let q = v128_load(w.cast());
            let mask = u8x16_splat(15);
            let (first, second) = (v128_and(q, mask), v128_and(u16x8_shr(q, 4), mask));
            if DOT {
                let sum = i32x4_relaxed_dot_i8x16_i7x16_add(low, first, i32x4_splat(0));
                return i32x4_relaxed_dot_i8x16_i7x16_add(high, second, sum);
            }
            let a = i16x8_relaxed_dot_i8x16_i7x16(low, first);
            let b = i16x8_relaxed_dot_i8x16_i7x16(high, second);
            i32x4_dot_i16x8(i16x8_add(a, b), i16x8_splat(1))
        }
        #[inline(always)]
        unsafe fn side_by_side([a, b, c, d]: [v128; 4]) -> f32x4 {
            let ab = i32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
            let cd = i32x4_add(i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
            let sums = i32x4_add(i64x2_shuffle::<0, 2>(ab, cd), i64x2_shuffle::<1, 3>(ab, cd));
            of(f32x4_convert_i32x4(sums))
        }
    }
}
