//! Workgroup shapes per kind of adapter. All of them compute the same sums.

use super::low_rank::LowRankShape;
use super::matmul::{ColumnOrder, GemmEpilogue, GemmShape};
use crate::packed::PackedFormat;
use cubecl::client::Client;

/// Shapes that suit an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Invocations of a matrix-vector workgroup, how many share rows, and how many pairs of rows.
    pub gemv_threads: usize,
    pub gemv_lanes: usize,
    pub gemv_lane_pairs: usize,
    /// Invocations of an attention workgroup; at least as many as a head has vectors.
    pub attention_threads: usize,
    /// Whether an invocation of an attention over many queries has a query for itself, and shares no memory.
    pub attention_direct: bool,
    /// Workgroups that share the positions of a single query in a long context: a workgroup a head alone leaves most of
    /// a GPU idle.
    pub attention_parts: usize,
    /// Whether products of many rows share no memory.
    pub gemm_direct: bool,
    /// Weight rows of a matrix-matrix tile, and how many weight rows and input rows of a full tile
    /// one invocation keeps.
    pub gemm_cols: usize,
    pub gemm_thread_cols: usize,
    pub gemm_thread_rows: usize,
}

impl Tuning {
    /// A CPU that pretends to be a GPU: loads cost many times what arithmetic does and barriers more, so few
    /// invocations with many sums each, and nothing shared.
    pub const SOFTWARE: Self = Self {
        gemv_threads: 32,
        gemv_lanes: 1,
        gemv_lane_pairs: 2,
        attention_threads: 16,
        attention_direct: true,
        attention_parts: 1,
        gemm_direct: true,
        gemm_cols: 64,
        gemm_thread_cols: 8,
        gemm_thread_rows: 16,
    };
    /// A GPU: many invocations, neighbours reading neighbouring words.
    pub const HARDWARE: Self = Self {
        gemv_threads: 64,
        gemv_lanes: 8,
        gemv_lane_pairs: 1,
        attention_threads: 64,
        attention_direct: false,
        attention_parts: 8,
        gemm_direct: false,
        gemm_cols: 32,
        gemm_thread_cols: 4,
        gemm_thread_rows: 8,
    };

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
        let (tile_rows, thread_rows) = match self.gemm_direct {
            true => (self.gemm_thread_rows, self.gemm_thread_rows),
            false if n <= 16 => (16, 4),
            false => (64, self.gemm_thread_rows),
        };
        GemmShape {
            format,
            order: ColumnOrder::Natural,
            rows,
            cols,
            tile_rows,
            tile_cols: self.gemm_cols,
            thread_rows,
            thread_cols: self.gemm_thread_cols,
            out_stride,
            out_first: 0,
            epilogue,
            low_rank: LowRankShape::default(),
            direct: self.gemm_direct,
        }
    }
}
