//! One token through the decoder: five launches a block, six in a long context, and three more.

use cubecl::prelude::*;

use super::GpuDecoder;
use super::weights::{DOWN, GATE_UP, GpuLayer, GpuVector, O, QKV};
use crate::kernel::gpu::{
    AttentionShape, CHOOSE_THREADS, GatherShape, GemvEpilogue, GemvShape, GpuMatrix, QkvShape, attention_combine,
    attention_decode, choose_by_chance, choose_largest, gather, gemv, gemv_head, gemv_qkv,
};

/// What a captured step depends on besides the adapter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StepKind {
    /// Whether its token is drawn by chance.
    pub by_chance: bool,
    /// Workgroups that share a head's attention.
    pub attention_parts: usize,
}

impl GpuDecoder {
    /// The kind of the step at the next position.
    pub(super) fn step_kind(&self, by_chance: bool) -> StepKind {
        let attention_parts = if self.len < self.long_context { 1 } else { self.gpu.tuning.attention_parts };
        StepKind { by_chance, attention_parts }
    }

    /// Launches one step from the id and position in the state buffer, up to the state's result.
    pub(super) fn launch_step(&self, kind: StepKind) {
        self.launch_gather(1);
        for index in 0..self.weights.layers.len() {
            self.launch_layer(index, kind.attention_parts);
        }
        self.launch_head();
        let b = &self.buffers;
        let n = self.head_shape().cubes() as usize;
        let (count, dim) = (CubeCount::Static(1, 1, 1), CubeDim::new_1d(CHOOSE_THREADS as u32));
        let (client, logits, best, state) = (&self.gpu.client, b.logits.arg(), b.best.arg(), b.state.arg());
        // SAFETY: one workgroup of the kernels' own size; lengths as allocated.
        unsafe {
            match kind.by_chance {
                true => {
                    let vocab = self.config.vocab_size;
                    choose_by_chance::launch_unchecked(client, count, dim, logits, best, state, n, vocab);
                }
                false => choose_largest::launch_unchecked(client, count, dim, best, state, n),
            }
        }
        self.gpu.count();
    }

    /// Embeddings of `rows` ids.
    pub(super) fn launch_gather(&self, rows: usize) {
        let c = &self.config;
        let threads = 32;
        let shape = GatherShape {
            format: self.weights.embedding.format,
            cols: c.hidden_size,
            vocab: c.vocab_size,
            rope: self.buffers.rope_offset(),
            head_dim: c.head_dim,
        };
        // SAFETY: the grid covers the row's blocks; lengths as allocated.
        unsafe {
            gather::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static((c.hidden_size / 32).div_ceil(threads) as u32, rows as u32, 1),
                CubeDim::new_1d(threads as u32),
                self.weights.embedding.quants4(),
                self.weights.embedding.scales(&self.gpu),
                self.weights.rope.arg4(),
                self.buffers.state.arg(),
                self.buffers.x.arg4(),
                shape,
            );
        }
        self.gpu.count();
    }

    fn launch_layer(&self, index: usize, attention_parts: usize) {
        let layer = &self.weights.layers[index];
        let b = &self.buffers;
        self.launch_qkv(index, layer);
        self.launch_attention(layer, attention_parts);
        self.launch_gemv(index, O, &b.attended, None, &b.x, GemvEpilogue::Add);
        let gate_up =
            if layer.fused[GATE_UP].segments.len() == 1 { GemvEpilogue::SiluMul } else { GemvEpilogue::Store };
        self.launch_gemv(index, GATE_UP, &b.x, Some(&layer.mlp_norm), &b.activated, gate_up);
        self.launch_gemv(index, DOWN, &b.activated, None, &b.x, GemvEpilogue::Add);
    }

    fn launch_qkv(&self, index: usize, layer: &GpuLayer) {
        let c = &self.config;
        for (i, segment) in layer.fused[QKV].segments.iter().enumerate() {
            let factors = self.factors(index, QKV, i);
            let mut shape = self.gemv_shape(&segment.matrix, true);
            shape.low_rank = factors.map_or(Default::default(), |f| f.shape);
            let to = QkvShape {
                first_row: segment.first_row,
                q_dim: c.q_dim(),
                kv_dim: c.kv_dim(),
                head_dim: c.head_dim,
                n_ctx: self.n_ctx,
                rope: self.buffers.rope_offset(),
            };
            // SAFETY: rows outside the matrix are clamped in the kernel; lengths as allocated.
            unsafe {
                gemv_qkv::launch_unchecked(
                    &self.gpu.client,
                    CubeCount::Static(shape.cubes(), 1, 1),
                    CubeDim::new_1d(shape.threads as u32),
                    segment.matrix.quants4(),
                    segment.matrix.scales(&self.gpu),
                    self.buffers.x.arg4(),
                    layer.attention_norm.arg4(),
                    factors.map_or_else(|| self.gpu.unused(1), |f| f.arg4()),
                    self.buffers.state.arg(),
                    layer.cache(),
                    to,
                    shape,
                );
            }
            self.gpu.count();
        }
    }

    fn launch_attention(&self, layer: &GpuLayer, parts: usize) {
        let shape = AttentionShape { parts, ..self.attention_shape(true) };
        let heads = self.config.num_attention_heads as u32;
        let (client, b) = (&self.gpu.client, &self.buffers);
        let to = if parts == 1 { &b.attended } else { &b.attention_parts };
        // SAFETY: one workgroup a head and part; lengths as allocated.
        unsafe {
            attention_decode::launch_unchecked(
                client,
                CubeCount::Static(heads, parts as u32, 1),
                CubeDim::new_1d(shape.threads as u32),
                layer.cache4(),
                b.state.arg(),
                to.arg4(),
                shape,
            );
        }
        self.gpu.count();
        if parts == 1 {
            return;
        }
        // SAFETY: an invocation a vector of the output; lengths as allocated.
        unsafe {
            attention_combine::launch_unchecked(
                client,
                CubeCount::Static(heads, 1, 1),
                CubeDim::new_1d(self.config.head_dim as u32 / 4),
                to.arg4(),
                b.attended.arg4(),
                shape,
            );
        }
        self.gpu.count();
    }

    /// One launch a segment. A second segment of gate and up multiplies into the first's output.
    fn launch_gemv(
        &self,
        index: usize,
        fused: usize,
        x: &super::Buffer,
        norm: Option<&GpuVector>,
        out: &super::Buffer,
        epilogue: GemvEpilogue,
    ) {
        for (i, segment) in self.weights.layers[index].fused[fused].segments.iter().enumerate() {
            let factors = self.factors(index, fused, i);
            let mut shape = self.gemv_shape(&segment.matrix, norm.is_some());
            shape.low_rank = factors.map_or(Default::default(), |f| f.shape);
            let epilogue = if i == 0 { epilogue } else { GemvEpilogue::MulSilu };
            // SAFETY: rows outside the matrix are clamped in the kernel; lengths as allocated.
            unsafe {
                gemv::launch_unchecked(
                    &self.gpu.client,
                    CubeCount::Static(shape.cubes(), 1, 1),
                    CubeDim::new_1d(shape.threads as u32),
                    segment.matrix.quants4(),
                    segment.matrix.scales(&self.gpu),
                    x.arg4(),
                    norm.map_or_else(|| self.gpu.unused(2), GpuVector::arg4),
                    factors.map_or_else(|| self.gpu.unused(1), |f| f.arg4()),
                    self.buffers.state.arg(),
                    out.arg(),
                    epilogue,
                    shape,
                );
            }
            self.gpu.count();
        }
    }

    /// Logits of the row that the state names.
    pub(super) fn launch_head(&self) {
        let head = self.weights.head();
        let shape = self.head_shape();
        // SAFETY: rows outside the matrix are clamped in the kernel; lengths as allocated.
        unsafe {
            gemv_head::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static(shape.cubes(), 1, 1),
                CubeDim::new_1d(shape.threads as u32),
                head.quants4(),
                head.scales(&self.gpu),
                self.buffers.x.arg4(),
                self.weights.output_norm.arg4(),
                self.buffers.state.arg(),
                self.buffers.logits.arg(),
                self.buffers.best.arg(),
                shape,
            );
        }
        self.gpu.count();
    }

    pub(super) fn head_shape(&self) -> GemvShape {
        self.gemv_shape(self.weights.head(), true)
    }

    pub(super) fn gemv_shape(&self, matrix: &GpuMatrix, norm: bool) -> GemvShape {
        GemvShape {
            format: matrix.format,
            rows: matrix.rows,
            cols: matrix.cols,
            threads: self.gpu.tuning.gemv_threads,
            lanes: self.gpu.tuning.gemv_lanes,
            lane_pairs: self.gpu.tuning.gemv_lane_pairs,
            norm_eps: norm.then(|| self.config.rms_norm_eps.to_bits()),
            low_rank: Default::default(),
        }
    }

    /// Over the cache; queries of a single step lie behind it, those of a batch in their own rows.
    pub(super) fn attention_shape(&self, single: bool) -> AttentionShape {
        let c = &self.config;
        AttentionShape {
            num_heads: c.num_attention_heads,
            num_key_value_heads: c.num_key_value_heads,
            head_dim: c.head_dim,
            threads: self.gpu.tuning.attention_threads.max(c.head_dim / 4),
            q_offset: if single { 2 * self.n_ctx * c.kv_dim() / 4 } else { 0 },
            q_stride: (c.q_dim() + 2 * c.kv_dim()) / 4,
            k_offset: 0,
            v_offset: self.n_ctx * c.kv_dim() / 4,
            kv_stride: c.kv_dim() / 4,
            direct: !single && self.gpu.tuning.attention_direct,
            parts: 1,
        }
    }
}
