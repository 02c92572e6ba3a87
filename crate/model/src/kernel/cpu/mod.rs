//! The CPU executor's kernels: one source for wasm simd128 and the host's SIMD through `wide`.

pub mod activation;
pub mod matmul;
pub mod norm;
pub mod vector;
