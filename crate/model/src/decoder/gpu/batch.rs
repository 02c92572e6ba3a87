//! A batch of tokens through the decoder: weights read once for up to 64 rows.

use cubecl::prelude::*;

use super::weights::{DOWN, GATE_UP, GpuVector, O, QKV};
use super::{Buffer, GpuDecoder};
use crate::kernel::gpu::{
    ColumnOrder, GemmEpilogue, GemmShape, GpuMatrix, RopeShape, launch_causal, rms_norm, rope_scatter, silu_mul,
};
use crate::packed::PackedFormat;

/// Invocations of a workgroup of the elementwise kernels.
const THREADS: usize = 32;

impl GpuDecoder {
    /// Launches `rows` ids from the state buffer through all blocks, into the residual stream.
    pub(super) fn launch_batch(&self, rows: usize) {
        let b = &self.buffers;
        self.launch_gather(rows);
        for (index, layer) in self.weights.layers.iter().enumerate() {
            self.launch_norm(&layer.attention_norm, rows);
            self.launch_gemm(index, QKV, &b.normed, &b.qkv, GemmEpilogue::Store, rows);
            self.launch_rope(index, rows);
            self.launch_causal(index, rows);
            self.launch_gemm(index, O, &b.attended, &b.x, GemmEpilogue::Add, rows);
            self.launch_norm(&layer.mlp_norm, rows);
            self.launch_gemm(index, GATE_UP, &b.normed, &b.gate_up, GemmEpilogue::Store, rows);
            self.launch_silu_mul(rows);
            self.launch_gemm(index, DOWN, &b.activated, &b.x, GemmEpilogue::Add, rows);
        }
    }

    /// Logits of all rows into `out`, `[rows, vocab padded to 4]`.
    pub(super) fn launch_head_batch(&self, out: &Buffer, rows: usize) {
        self.launch_norm(&self.weights.output_norm, rows);
        let head = self.weights.head();
        let shape = self.gemm_shape(head, rows, head.rows.next_multiple_of(4), GemmEpilogue::Store);
        let unused = [self.gpu.unused(1), self.gpu.unused(2)];
        self.launch_gemm_shape(
            shape,
            head.quants(),
            head.scales(&self.gpu),
            &self.buffers.normed,
            unused,
            out.arg4(),
            rows,
        );
    }

    fn launch_norm(&self, weight: &GpuVector, rows: usize) {
        // SAFETY: one workgroup a row; lengths as allocated.
        unsafe {
            rms_norm::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static(rows as u32, 1, 1),
                CubeDim::new_1d(THREADS as u32),
                self.buffers.x.arg4(),
                weight.arg4(),
                self.buffers.normed.arg4(),
                self.config.hidden_size,
                self.config.rms_norm_eps.to_bits(),
                THREADS,
            );
        }
        self.gpu.count();
    }

    fn launch_rope(&self, index: usize, rows: usize) {
        let c = &self.config;
        let shape = RopeShape { q_dim: c.q_dim(), kv_dim: c.kv_dim(), head_dim: c.head_dim, n_ctx: self.n_ctx };
        let vectors = (c.q_dim() + 2 * c.kv_dim()) / 4;
        // SAFETY: the grid covers a row's vectors; lengths as allocated.
        unsafe {
            rope_scatter::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static(vectors.div_ceil(THREADS) as u32, rows as u32, 1),
                CubeDim::new_1d(THREADS as u32),
                self.buffers.qkv.arg4(),
                self.weights.rope.arg4(),
                self.buffers.state.arg(),
                self.weights.layers[index].cache4(),
                shape,
            );
        }
        self.gpu.count();
    }

    fn launch_causal(&self, index: usize, rows: usize) {
        let b = &self.buffers;
        let cache = self.weights.layers[index].cache4();
        let buffers = [b.qkv.arg4(), cache, b.state.arg(), b.attended.arg4()];
        launch_causal(&self.gpu, rows, buffers, self.attention_shape(false));
    }

    fn launch_silu_mul(&self, rows: usize) {
        let cols = self.config.intermediate_size;
        // SAFETY: the grid covers a row's vectors; lengths as allocated.
        unsafe {
            silu_mul::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static((cols / 4).div_ceil(THREADS) as u32, rows as u32, 1),
                CubeDim::new_1d(THREADS as u32),
                self.buffers.gate_up.arg4(),
                self.buffers.activated.arg4(),
                cols,
            );
        }
        self.gpu.count();
    }

    /// One product a segment, after one with the adapter's `A` where there is one.
    fn launch_gemm(&self, index: usize, fused: usize, x: &Buffer, out: &Buffer, epilogue: GemmEpilogue, rows: usize) {
        let fused_rows = self.weights.layers[index].fused[fused].rows;
        for (i, segment) in self.weights.layers[index].fused[fused].segments.iter().enumerate() {
            let matrix = &segment.matrix;
            let mut shape = self.gemm_shape(matrix, rows, fused_rows, epilogue);
            shape.out_first = segment.first_row;
            let mut bound = [self.gpu.unused(1), self.gpu.unused(2)];
            if let (Some(factors), Some(lora)) = (self.factors(index, fused, i), self.lora()) {
                shape.low_rank = factors.shape;
                let a = GemmShape {
                    format: PackedFormat::F32,
                    order: ColumnOrder::Of(matrix.format),
                    rows: factors.shape.total_rank(),
                    low_rank: Default::default(),
                    epilogue: GemmEpilogue::Transposed,
                    ..shape
                };
                self.launch_gemm_shape(a, factors.words(), self.gpu.unused(0), x, bound, lora.ax4(), rows);
                bound = [factors.arg4(), lora.ax4()];
            }
            self.launch_gemm_shape(shape, matrix.quants(), matrix.scales(&self.gpu), x, bound, out.arg4(), rows);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn launch_gemm_shape(
        &self,
        shape: GemmShape,
        quants: BufferArg,
        scales: BufferArg,
        x: &Buffer,
        [extra, ax]: [BufferArg; 2],
        out: BufferArg,
        rows: usize,
    ) {
        shape.launch(&self.gpu, rows, [quants, scales, x.arg4(), extra, ax, self.buffers.state.arg(), out]);
    }

    fn gemm_shape(&self, matrix: &GpuMatrix, rows: usize, out_stride: usize, epilogue: GemmEpilogue) -> GemmShape {
        self.gpu.tuning.gemm(matrix.format, matrix.rows, matrix.cols, rows, out_stride, epilogue)
    }
}
