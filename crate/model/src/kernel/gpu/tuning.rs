//! Workgroup shapes per kind of adapter. All of them compute the same sums.

use super::low_rank::LowRankShape;
use super::matmul::{ColumnOrder, GemmEpilogue, GemmShape};
use crate::packed::PackedFormat;
use cubecl::client::Client;

/// Shapes that suit an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Invocations of a matrix-vector workgroup.
    pub gemv_threads: usize,
    /// Invocations that share a pair of rows.
    pub gemv_lanes: usize,
    /// Invocations of an attention workgroup.
    pub attention_threads: usize,
    /// Weight rows of a matrix-matrix tile, and how many vectors of them one invocation keeps.
    pub gemm_cols: usize,
    pub gemm_cols_per_thread: usize,
}

impl Tuning {
    /// A CPU that pretends to be a GPU: few invocations with much work each.
    pub const SOFTWARE: Self =
        Self { gemv_threads: 32, gemv_lanes: 1, attention_threads: 32, gemm_cols: 32, gemm_cols_per_thread: 8 };
    /// A GPU: many invocations, neighbours reading neighbouring words.
    pub const HARDWARE: Self =
        Self { gemv_threads: 64, gemv_lanes: 8, attention_threads: 64, gemm_cols: 32, gemm_cols_per_thread: 4 };

    /// Chooses by the adapter's name, which software rasterizers carry natively, and by the width of
    /// its planes: a browser hides the name, and only rasterizers in SIMD registers have planes of 4.
    pub fn of(client: &Client) -> Self {
        let properties = client.properties();
        let name = properties.identity.name.to_lowercase();
        let software = ["llvmpipe", "lavapipe", "swiftshader", "warp", "basic render", "software"];
        let narrow = (1..=4).contains(&properties.hardware.plane_size_max);
        if narrow || software.iter().any(|s| name.contains(s)) { Self::SOFTWARE } else { Self::HARDWARE }
    }

    /// The shape of a product of `n` rows of input with a matrix `[rows, cols]`.
    pub fn gemm(
        &self,
        format: PackedFormat,
        rows: usize,
        cols: usize,
        n: usize,
        out_stride: usize,
        epilogue: GemmEpilogue,
    ) -> GemmShape {
        let (tile_rows, thread_rows) = if n <= 16 { (16, 4) } else { (64, 8) };
        GemmShape {
            format,
            order: ColumnOrder::Natural,
            rows,
            cols,
            tile_rows,
            tile_cols: self.gemm_cols,
            thread_rows,
            thread_cols: self.gemm_cols_per_thread,
            out_stride,
            out_first: 0,
            epilogue,
            low_rank: LowRankShape::default(),
        }
    }
}
