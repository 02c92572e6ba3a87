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
mod choose;
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

pub use attention::{AttentionShape, attention_combine, attention_decode, launch_bidirectional, launch_causal};
pub use choose::{CHOOSE_THREADS, choose_by_chance, choose_largest};
pub use launch::{Gpu, GpuMatrix, MAX_BINDING_BYTES, arg, draw_words, lost, state_words, unavailable};
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
    /// The row whose logits are wanted.
    pub const ROW: usize = 1;
    /// The adapter's scale, an f32's bits.
    pub const SCALE: usize = 2;
    /// How a token is drawn, as in [`crate::sample::SamplingOptions`]: an f32's bits, a number, an f32's bits, two words.
    pub const TEMPERATURE: usize = 3;
    pub const TOP_K: usize = 4;
    pub const TOP_P: usize = 5;
    pub const SEED: usize = 6;
    /// Tokens drawn since the sampler was made.
    pub const N_DRAWN: usize = 8;
    /// Tokens chosen since the host wrote the state.
    pub const N_RESULTS: usize = 9;
    /// Each of them + 1, or [`BROKEN`] for logits that are not finite or all zero; 0 where there is nothing yet.
    pub const RESULTS: usize = 10;
    /// Tokens that are chosen at most before the host writes the state again.
    pub const MAX_RUN: usize = 16;
    /// Token ids of the step's rows.
    pub const IDS: usize = RESULTS + MAX_RUN;
    /// A result for unusable logits.
    pub const BROKEN: u32 = u32::MAX;
}
