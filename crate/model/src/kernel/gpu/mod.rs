//! CubeCL kernels over [`crate::packed`] weights: WebGPU in a page, Vulkan natively.
//!
//! Every kernel keeps to what WebGPU guarantees: 7 storage bindings besides CubeCL's own, 256
//! invocations a workgroup, 16 KiB of workgroup memory, bindings of 128 MiB. All bindings are
//! `read_write` to the driver, so no buffer may be bound twice in one launch; what a variant of a
//! kernel does not read is a [`Gpu::unused`] buffer.

#![allow(clippy::too_many_arguments, reason = "a kernel's arguments are its bindings")]
#![allow(
    clippy::collapsible_if,
    clippy::manual_is_multiple_of,
    clippy::assign_op_pattern,
    reason = "kernels are written in the part of Rust that CubeCL expands; an `if comptime!` stands alone"
)]

mod attention;
mod greedy;
mod launch;
mod low_rank;
mod matmul;
mod matmul_direct;
mod matvec;
mod row_sums;
mod rows;
mod tuning;
mod unpack;

#[cfg(test)]
mod tests;

pub use attention::{AttentionShape, attention_decode, launch_bidirectional, launch_causal};
pub use greedy::{ARGMAX_THREADS, argmax};
pub use launch::{Gpu, GpuMatrix, MAX_BINDING_BYTES, arg, lost, state_words, unavailable};
pub use low_rank::{LowRankPart, LowRankShape};
pub use matmul::{ColumnOrder, GemmBuffers, GemmEpilogue, GemmShape, MAX_PREFILL_ROWS};
pub use matvec::{QkvShape, gemv, gemv_head, gemv_qkv};
pub use row_sums::{GemvEpilogue, GemvShape};
pub use rows::{
    GatherShape, LayerNormShape, PoolShape, RopeShape, gather, gather_encoder, layer_norm, pool, rms_norm,
    rope_scatter, silu_mul,
};
pub use tuning::Tuning;

use cubecl::prelude::*;

/// Four floats, the unit of every load.
pub type V4 = Vector<f32, Const<4>>;
/// Four words of packed weights.
pub type U4 = Vector<u32, Const<4>>;

/// Words of the decoder's state buffer, which host and kernels share.
pub mod state {
    /// Position of row 0 of this step.
    pub const POSITION: usize = 0;
    /// Written by the last kernel of a step: 0 nothing yet, [`BROKEN`] for logits that are not
    /// finite or all zero, else the greedy token + 1.
    pub const RESULT: usize = 1;
    /// The row whose logits are wanted.
    pub const ROW: usize = 2;
    /// The adapter's scale, an f32's bits.
    pub const SCALE: usize = 3;
    /// Token ids of the step's rows.
    pub const IDS: usize = 4;
    /// Value of [`RESULT`] for unusable logits.
    pub const BROKEN: u32 = u32::MAX;
}
