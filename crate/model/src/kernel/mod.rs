//! Kernels: [`cpu`] over SIMD registers, `gpu` as CubeCL shaders. Both read [`crate::packed`] weights.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
