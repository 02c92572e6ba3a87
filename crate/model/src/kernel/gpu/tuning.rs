//! Workgroup shapes per kind of adapter. All of them compute the same sums.

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

    /// Chooses by the adapter's name, which software rasterizers carry.
    pub fn of(client: &Client) -> Self {
        let name = client.properties().identity.name.to_lowercase();
        let software = ["llvmpipe", "lavapipe", "swiftshader", "warp", "basic render", "software"];
        if software.iter().any(|s| name.contains(s)) { Self::SOFTWARE } else { Self::HARDWARE }
    }
}
