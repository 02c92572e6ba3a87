//! The GPU executor of the encoder: batches padded to their longest sequence, weights packed.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::Device;
use crate::encoder::config::{EncoderConfig, Pooling};
use crate::encoder::weights::{EncoderWeights, LayerNorm, Linear};
use crate::error::ModelError;
use crate::kernel::gpu::{
    AttentionShape, GatherShape, GemmEpilogue, Gpu, GpuMatrix, LayerNormShape, MAX_PREFILL_ROWS, PoolShape, arg,
    gather_encoder, launch_bidirectional, layer_norm, lost, pool, unavailable,
};
use crate::packed::BLOCK;

/// Rows of one pass, padding included, unless one sequence alone is longer.
const MAX_ROWS: usize = 1024;
/// Sequences of one pass.
const MAX_SEQUENCES: usize = 256;
/// Where ids start in the batch buffer: after the width, the lengths, and those of sequences that are not there, which
/// rows that fill up a workgroup belong to.
const IDS: usize = 1 + MAX_SEQUENCES + MAX_PREFILL_ROWS;
/// Invocations of a workgroup of everything but the products.
const THREADS: usize = 32;

/// A product with a bias, writing columns from `first` on.
struct GpuLinear {
    matrix: GpuMatrix,
    bias: Handle,
    first: usize,
}

impl GpuLinear {
    /// Neighbours of one format fuse into one product.
    fn fused(gpu: &Gpu, linears: &[&Linear]) -> Result<Vec<Self>, ModelError> {
        let mut first = 0;
        linears
            .chunk_by(|a, b| a.weight.format == b.weight.format)
            .map(|group| {
                let matrices: Vec<_> = group.iter().map(|linear| &linear.weight).collect();
                let bias: Vec<f32> = group.iter().flat_map(|linear| linear.bias.iter().copied()).collect();
                let linear = Self { matrix: GpuMatrix::new(gpu, &matrices)?, bias: gpu.upload(&bias)?, first };
                first += linear.matrix.rows;
                Ok(linear)
            })
            .collect()
    }
}

/// One block of the encoder.
struct GpuEncoderLayer {
    qkv: Vec<GpuLinear>,
    o: Vec<GpuLinear>,
    attention_norm: Handle,
    up: Vec<GpuLinear>,
    down: Vec<GpuLinear>,
    output_norm: Handle,
}

/// Activations of one pass.
struct Buffers {
    rows: usize,
    /// `[width | length of each sequence | ids]`
    batch: Handle,
    /// `[rows, hidden_size]`, two that take turns as the residual stream.
    stream: [Handle; 2],
    /// `[rows, 3 · hidden_size]`
    qkv: Handle,
    /// `[rows, hidden_size]`
    attended: Handle,
    /// `[rows, intermediate_size]`
    inner: Handle,
    /// `[sequences, hidden_size]`
    pooled: Handle,
}

/// Runs an encoder's weights on a GPU.
pub struct GpuEncoder {
    gpu: Gpu,
    config: EncoderConfig,
    token_embedding: GpuMatrix,
    /// `[max_tokens, hidden_size]`: position and segment embeddings.
    positions: Handle,
    embedding_norm: Handle,
    layers: Vec<GpuEncoderLayer>,
    buffers: Buffers,
}

impl GpuEncoder {
    /// Uploads the weights and runs one short sequence, so that a device that cannot says so here.
    ///
    /// # Errors
    /// `gpu-unavailable` for a device or a model that does not fit the other, `gpu-lost`.
    pub async fn new(device: &Device, weights: &EncoderWeights) -> Result<Self, ModelError> {
        let gpu = Gpu::new(device)?;
        let config = weights.config.clone();
        if config.head_dim() > 128 {
            return Err(unavailable(format!("attention heads of {} dimensions; 128 at most run", config.head_dim())));
        }
        let hidden = config.hidden_size;
        let positions: Vec<f32> = (0..config.max_tokens)
            .flat_map(|position| {
                let row = weights.position_embedding.row(position);
                row.into_iter().zip(&weights.token_types).map(|(p, t)| p + t).collect::<Vec<_>>()
            })
            .collect();
        let layers = weights
            .layers
            .iter()
            .map(|layer| {
                Ok(GpuEncoderLayer {
                    qkv: GpuLinear::fused(&gpu, &[&layer.q, &layer.k, &layer.v])?,
                    o: GpuLinear::fused(&gpu, &[&layer.o])?,
                    attention_norm: upload_norm(&gpu, &layer.attention_norm)?,
                    up: GpuLinear::fused(&gpu, &[&layer.up])?,
                    down: GpuLinear::fused(&gpu, &[&layer.down])?,
                    output_norm: upload_norm(&gpu, &layer.output_norm)?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        let rows = MAX_ROWS.max(config.max_tokens.next_multiple_of(MAX_PREFILL_ROWS));
        let buffers = Buffers {
            rows,
            batch: gpu.empty(IDS + rows)?,
            stream: [gpu.empty(rows * hidden)?, gpu.empty(rows * hidden)?],
            qkv: gpu.empty(rows * 3 * hidden)?,
            attended: gpu.empty(rows * hidden)?,
            inner: gpu.empty(rows * config.intermediate_size)?,
            pooled: gpu.empty(MAX_SEQUENCES * hidden)?,
        };
        let mut encoder = Self {
            token_embedding: GpuMatrix::new(&gpu, &[&weights.token_embedding])?,
            positions: gpu.upload(&positions)?,
            embedding_norm: upload_norm(&gpu, &weights.embedding_norm)?,
            layers,
            buffers,
            config,
            gpu,
        };
        encoder.embed(&[&[0, 0]]).await?;
        Ok(encoder)
    }

    /// One unit vector `[hidden_size]` a sequence, in the batch's order. Sequences of like length
    /// side by side cost the least padding.
    ///
    /// # Errors
    /// `model-invalid` for an empty sequence or one over `max_tokens`, `gpu-lost`.
    pub async fn embed(&mut self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut vectors = Vec::with_capacity(batch.len());
        let mut rest = batch;
        while !rest.is_empty() {
            let n = self.pass_len(rest)?;
            let (pass, later) = rest.split_at(n);
            vectors.extend(self.pass(pass).await?);
            rest = later;
        }
        Ok(vectors)
    }

    /// How many of the first sequences fit one pass.
    fn pass_len(&self, batch: &[&[u32]]) -> Result<usize, ModelError> {
        let mut width = 0;
        for (i, ids) in batch.iter().enumerate() {
            if ids.is_empty() || ids.len() > self.config.max_tokens {
                return Err(ModelError::invalid(
                    "text",
                    format!("it has {} tokens; 1 to {} can be read", ids.len(), self.config.max_tokens),
                ));
            }
            width = width.max(ids.len());
            if i == MAX_SEQUENCES || (i > 0 && (i + 1) * width > self.buffers.rows) {
                return Ok(i);
            }
        }
        Ok(batch.len())
    }

    async fn pass(&mut self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
        let width = batch.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let mut words = vec![0; IDS + self.buffers.rows];
        words[0] = width as u32;
        for (i, ids) in batch.iter().enumerate() {
            words[1 + i] = ids.len() as u32;
            words[IDS + i * width..][..ids.len()].copy_from_slice(ids);
        }
        self.gpu.write(&self.buffers.batch, &words);
        self.launch(batch.len(), batch.len() * width);
        let hidden = self.config.hidden_size;
        let values: Vec<f32> = self.gpu.read(&self.buffers.pooled, 0, batch.len() * hidden).await?;
        let vectors: Vec<Vec<f32>> = values.chunks_exact(hidden).map(<[f32]>::to_vec).collect();
        // Unit length is what a pass that ran leaves behind.
        let is_unit = |v: &Vec<f32>| (v.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-3;
        if !vectors.iter().all(is_unit) {
            return Err(lost("the vectors are not of unit length"));
        }
        Ok(vectors)
    }

    fn launch(&self, sequences: usize, rows: usize) {
        let b = &self.buffers;
        let [x, y] = &b.stream;
        self.launch_gather(x, rows);
        self.launch_norm(x, None, &self.embedding_norm, rows);
        for layer in &self.layers {
            let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
            self.launch_linear(&layer.qkv, x, &b.qkv, 3 * hidden, GemmEpilogue::Bias, rows);
            self.launch_attention(rows);
            self.launch_linear(&layer.o, &b.attended, y, hidden, GemmEpilogue::Bias, rows);
            self.launch_norm(y, Some(x), &layer.attention_norm, rows);
            self.launch_linear(&layer.up, y, &b.inner, inner, GemmEpilogue::BiasGelu, rows);
            self.launch_linear(&layer.down, &b.inner, x, hidden, GemmEpilogue::Bias, rows);
            self.launch_norm(x, Some(y), &layer.output_norm, rows);
        }
        self.launch_pool(x, sequences);
    }

    /// `rows` rows of a buffer of `cols` columns, in vectors of 4.
    fn rows4(&self, handle: &Handle, cols: usize) -> BufferArg {
        arg(handle, self.buffers.rows * cols / 4)
    }

    fn batch(&self) -> BufferArg {
        arg(&self.buffers.batch, IDS + self.buffers.rows)
    }

    fn launch_gather(&self, x: &Handle, rows: usize) {
        let c = &self.config;
        let shape = GatherShape {
            format: self.token_embedding.format,
            cols: c.hidden_size,
            vocab: c.vocab_size,
            rope: 0,
            head_dim: 0,
        };
        // SAFETY: the grid covers a row's blocks; lengths as allocated.
        unsafe {
            gather_encoder::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static((c.hidden_size / BLOCK).div_ceil(THREADS) as u32, rows as u32, 1),
                CubeDim::new_1d(THREADS as u32),
                self.token_embedding.quants4(),
                self.token_embedding.scales(&self.gpu),
                arg(&self.positions, c.max_tokens * c.hidden_size / 4),
                self.batch(),
                self.rows4(x, c.hidden_size),
                IDS,
                shape,
            );
        }
        self.gpu.count();
    }

    fn launch_norm(&self, x: &Handle, residual: Option<&Handle>, parameters: &Handle, rows: usize) {
        let cols = self.config.hidden_size;
        let shape = LayerNormShape {
            cols,
            eps: self.config.layer_norm_eps.to_bits(),
            residual: residual.is_some(),
            threads: THREADS,
        };
        // SAFETY: one workgroup a row; lengths as allocated.
        unsafe {
            layer_norm::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static(rows as u32, 1, 1),
                CubeDim::new_1d(THREADS as u32),
                self.rows4(x, cols),
                residual.map_or_else(|| self.gpu.unused(0), |residual| self.rows4(residual, cols)),
                arg(parameters, 2 * cols / 4),
                shape,
            );
        }
        self.gpu.count();
    }

    fn launch_linear(
        &self,
        linears: &[GpuLinear],
        x: &Handle,
        out: &Handle,
        out_cols: usize,
        epilogue: GemmEpilogue,
        rows: usize,
    ) {
        for linear in linears {
            let matrix = &linear.matrix;
            let mut shape = self.gpu.tuning.gemm(matrix.format, matrix.rows, matrix.cols, rows, out_cols, epilogue);
            shape.out_first = linear.first;
            let (quants, scales) = (matrix.quants(), matrix.scales(&self.gpu));
            let (x, out) = (self.rows4(x, matrix.cols), self.rows4(out, out_cols));
            let bias = arg(&linear.bias, matrix.rows / 4);
            shape.launch(&self.gpu, rows, [quants, scales, x, bias, self.gpu.unused(1), self.gpu.unused(2), out]);
        }
    }

    fn launch_attention(&self, rows: usize) {
        let c = &self.config;
        let hidden4 = c.hidden_size / 4;
        let shape = AttentionShape {
            num_heads: c.num_attention_heads,
            num_key_value_heads: c.num_attention_heads,
            head_dim: c.head_dim(),
            threads: self.gpu.tuning.attention_threads.max(c.head_dim() / 4),
            q_offset: 0,
            q_stride: 3 * hidden4,
            k_offset: hidden4,
            v_offset: 2 * hidden4,
            kv_stride: 3 * hidden4,
            direct: self.gpu.tuning.attention_direct,
            parts: 1,
        };
        let b = &self.buffers;
        let buffers = [self.rows4(&b.qkv, 3 * c.hidden_size), self.batch(), self.rows4(&b.attended, c.hidden_size)];
        launch_bidirectional(&self.gpu, rows, buffers, shape);
    }

    fn launch_pool(&self, x: &Handle, sequences: usize) {
        let cols = self.config.hidden_size;
        let shape = PoolShape { cols, first_token: self.config.pooling == Pooling::Cls, threads: THREADS };
        // SAFETY: one workgroup a sequence; lengths as allocated.
        unsafe {
            pool::launch_unchecked(
                &self.gpu.client,
                CubeCount::Static(sequences as u32, 1, 1),
                CubeDim::new_1d(THREADS as u32),
                self.rows4(x, cols),
                self.batch(),
                arg(&self.buffers.pooled, MAX_SEQUENCES * cols / 4),
                shape,
            );
        }
        self.gpu.count();
    }
}

/// `[weight | bias]`
fn upload_norm(gpu: &Gpu, norm: &LayerNorm) -> Result<Handle, ModelError> {
    gpu.upload(&[norm.weight.as_slice(), &norm.bias].concat())
}
