//! AVX2, and VNNI on vectors of the same width.

#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic")]

use std::arch::x86_64::*;
use std::sync::OnceLock;

use wide::f32x4;

use crate::Instructions;
use crate::attention::{self, AttentionCall};
use crate::call::Call;
use crate::kernel;
use crate::lanes::Lanes;
use crate::math::{Eight, MulAdd};

const AVX2: Instructions = Instructions { name: "AVX2", product: product_avx2, attention: attention_fma };
const VNNI: Instructions = Instructions { name: "AVX-512 VNNI", product: product_vnni, attention: attention_fma };

/// The best this processor has.
pub fn best() -> Option<Instructions> {
    static BEST: OnceLock<Option<Instructions>> = OnceLock::new();
    *BEST.get_or_init(|| all().pop())
}

/// All that this processor has, the best last.
pub fn all() -> Vec<Instructions> {
    let mut all = Vec::new();
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        all.push(AVX2);
        if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
            all.push(VNNI);
        }
    }
    all
}

#[target_feature(enable = "avx2,fma")]
unsafe extern "C" fn product_avx2(call: &Call) {
    kernel::run::<Avx2>(call);
}

#[target_feature(enable = "avx2,fma,avx512vnni,avx512vl")]
unsafe extern "C" fn product_vnni(call: &Call) {
    kernel::run::<Vnni>(call);
}

#[target_feature(enable = "avx2,fma")]
unsafe extern "C" fn attention_fma(call: &AttentionCall) {
    attention::attend::<Avx2>(call);
}

struct Avx2;
struct Vnni;

/// 16 bytes of nibbles to 32 bytes in the block's order.
#[inline(always)]
unsafe fn nibbles(w: *const u8) -> __m256i {
    let packed = _mm_loadu_si128(w.cast());
    let both = _mm256_set_m128i(_mm_srli_epi16(packed, 4), packed);
    _mm256_and_si256(both, _mm256_set1_epi8(15))
}

/// The four sums of four vectors' lanes.
#[inline(always)]
unsafe fn reduce([a, b, c, d]: [__m256i; 4]) -> f32x4 {
    let all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    bytemuck::cast(_mm_cvtepi32_ps(sums))
}

macro_rules! common {
    () => {
        type Bytes = __m256i;
        type Quad = __m256i;
        type Sums = __m256i;
        type Block = __m256i;
        type Dot = __m256i;

        #[inline(always)]
        unsafe fn bytes(from: *const [u8; 32]) -> __m256i {
            _mm256_loadu_si256(from.cast())
        }
        #[inline(always)]
        unsafe fn quad(from: &[u8; 4]) -> __m256i {
            _mm256_set1_epi32(i32::from_le_bytes(*from))
        }
        #[inline(always)]
        unsafe fn none() -> __m256i {
            _mm256_setzero_si256()
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            _mm256_mul_ps(a, b)
        }
        #[inline(always)]
        unsafe fn block(from: *const u8) -> __m256i {
            _mm256_loadu_si256(from.cast())
        }
        #[inline(always)]
        unsafe fn side_by_side(dots: [__m256i; 4]) -> f32x4 {
            reduce(dots)
        }
    };
}

/// What needs no more than AVX2.
macro_rules! floats {
    ($lanes:ident) => {
        impl MulAdd for $lanes {
            #[inline(always)]
            unsafe fn mul_add(a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
                bytemuck::cast(_mm_fmadd_ps(bytemuck::cast(a), bytemuck::cast(b), bytemuck::cast(c)))
            }
        }

        impl Eight for $lanes {
            type Floats = __m256;

            #[inline(always)]
            unsafe fn zero() -> __m256 {
                _mm256_setzero_ps()
            }
            #[inline(always)]
            unsafe fn floats(from: *const f32) -> __m256 {
                _mm256_loadu_ps(from)
            }
            #[inline(always)]
            unsafe fn shorts(from: *const i16) -> __m256 {
                _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast())))
            }
            #[inline(always)]
            unsafe fn splat(value: f32) -> __m256 {
                _mm256_set1_ps(value)
            }
            #[inline(always)]
            unsafe fn mul_add8(a: __m256, b: __m256, c: __m256) -> __m256 {
                _mm256_fmadd_ps(a, b, c)
            }
            #[inline(always)]
            unsafe fn store(values: __m256, to: *mut f32) {
                _mm256_storeu_ps(to, values);
            }
        }
    };
}

floats!(Avx2);
floats!(Vnni);

impl Lanes for Avx2 {
    common!();

    /// Nibbles times bytes: eight pairs fit 16 bits. Bytes times seven bits: one pair does, and nearly always two.
    #[inline(always)]
    unsafe fn add_dots<const Q8: bool>(sums: __m256i, w0: __m256i, x0: __m256i, w1: __m256i, x1: __m256i) -> __m256i {
        if Q8 {
            let pairs = _mm256_adds_epi16(_mm256_maddubs_epi16(x0, w0), _mm256_maddubs_epi16(x1, w1));
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        } else {
            let pairs = _mm256_add_epi16(_mm256_maddubs_epi16(w0, x0), _mm256_maddubs_epi16(w1, x1));
            _mm256_add_epi16(sums, pairs)
        }
    }
    #[inline(always)]
    unsafe fn total<const Q8: bool>(sums: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(if Q8 { sums } else { _mm256_madd_epi16(sums, _mm256_set1_epi16(1)) })
    }
    #[inline(always)]
    unsafe fn dot_q4(w: *const u8, x: __m256i) -> __m256i {
        _mm256_madd_epi16(_mm256_maddubs_epi16(nibbles(w), x), _mm256_set1_epi16(1))
    }
}

impl Lanes for Vnni {
    common!();

    #[inline(always)]
    unsafe fn add_dots<const Q8: bool>(sums: __m256i, w0: __m256i, x0: __m256i, w1: __m256i, x1: __m256i) -> __m256i {
        if Q8 {
            _mm256_dpbusd_epi32(_mm256_dpbusd_epi32(sums, x0, w0), x1, w1)
        } else {
            _mm256_dpbusd_epi32(_mm256_dpbusd_epi32(sums, w0, x0), w1, x1)
        }
    }
    #[inline(always)]
    unsafe fn total<const Q8: bool>(sums: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(sums)
    }
    #[inline(always)]
    unsafe fn dot_q4(w: *const u8, x: __m256i) -> __m256i {
        _mm256_dpbusd_epi32(_mm256_setzero_si256(), nibbles(w), x)
    }
}
