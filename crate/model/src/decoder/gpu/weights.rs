//! A decoder's weights in GPU buffers, fused where one launch reads several matrices.

use cubecl::prelude::BufferArg;
use cubecl::server::Handle;

use crate::decoder::config::DecoderConfig;
use crate::decoder::weights::{DecoderWeights, LayerWeights};
use crate::error::ModelError;
use crate::kernel::gpu::{Gpu, GpuMatrix, arg};
use crate::lora::Projection;
use crate::packed::PackedMatrix;

/// A vector of floats.
pub struct GpuVector {
    handle: Handle,
    len: usize,
}

impl GpuVector {
    pub fn new(gpu: &Gpu, values: &[f32]) -> Result<Self, ModelError> {
        Ok(Self { handle: gpu.upload(values)?, len: values.len() })
    }

    /// In vectors of 4.
    pub fn arg4(&self) -> BufferArg {
        arg(&self.handle, self.len / 4)
    }
}

/// Neighbouring projections that share a format, in one buffer.
pub struct Segment {
    pub matrix: GpuMatrix,
    /// Its first row among all rows of the fused matrix.
    pub first_row: usize,
    /// Its projections in order, with their rows.
    pub parts: Vec<(Projection, usize)>,
}

/// Projections of the same input. One segment, and so one launch, unless the file stores them in
/// different formats.
pub struct Fused {
    pub segments: Vec<Segment>,
    pub rows: usize,
}

impl Fused {
    fn new(gpu: &Gpu, matrices: &[(Projection, &PackedMatrix)]) -> Result<Self, ModelError> {
        let mut segments = Vec::new();
        let mut rows = 0;
        for group in matrices.chunk_by(|a, b| a.1.format == b.1.format) {
            let together: Vec<&PackedMatrix> = group.iter().map(|(_, matrix)| *matrix).collect();
            let matrix = GpuMatrix::new(gpu, &together)?;
            let first_row = rows;
            rows += matrix.rows;
            segments.push(Segment {
                matrix,
                first_row,
                parts: group.iter().map(|(projection, matrix)| (*projection, matrix.rows)).collect(),
            });
        }
        Ok(Self { segments, rows })
    }
}

/// The fused matrices of a block, in the order in which they are applied.
pub const N_FUSED: usize = 4;
pub const QKV: usize = 0;
pub const O: usize = 1;
pub const GATE_UP: usize = 2;
pub const DOWN: usize = 3;

/// One block of the decoder.
pub struct GpuLayer {
    pub attention_norm: GpuVector,
    pub mlp_norm: GpuVector,
    pub fused: [Fused; N_FUSED],
    /// `[k: n_ctx, kv_dim | v: n_ctx, kv_dim | q: q_dim]`
    cache: Handle,
    cache_len: usize,
}

impl GpuLayer {
    fn new(gpu: &Gpu, layer: &LayerWeights, config: &DecoderConfig, n_ctx: usize) -> Result<Self, ModelError> {
        use Projection::*;
        let cache_len = 2 * n_ctx * config.kv_dim() + config.q_dim();
        Ok(Self {
            attention_norm: GpuVector::new(gpu, &layer.attention_norm)?,
            mlp_norm: GpuVector::new(gpu, &layer.mlp_norm)?,
            fused: [
                Fused::new(gpu, &[(Q, &layer.q), (K, &layer.k), (V, &layer.v)])?,
                Fused::new(gpu, &[(O, &layer.o)])?,
                Fused::new(gpu, &[(Gate, &layer.gate), (Up, &layer.up)])?,
                Fused::new(gpu, &[(Down, &layer.down)])?,
            ],
            cache: gpu.empty(cache_len)?,
            cache_len,
        })
    }

    /// The cache in floats.
    pub fn cache(&self) -> BufferArg {
        arg(&self.cache, self.cache_len)
    }

    /// The cache in vectors of 4.
    pub fn cache4(&self) -> BufferArg {
        arg(&self.cache, self.cache_len / 4)
    }
}

/// All weights of a decoder.
pub struct GpuWeights {
    pub embedding: GpuMatrix,
    pub layers: Vec<GpuLayer>,
    pub output_norm: GpuVector,
    output: Option<GpuMatrix>,
    /// `[n_ctx, head_dim/2][cos, sin]`
    pub rope: GpuVector,
}

impl GpuWeights {
    pub fn new(gpu: &Gpu, weights: &DecoderWeights, n_ctx: usize) -> Result<Self, ModelError> {
        let config = &weights.config;
        let frequencies = config.inverse_frequencies();
        let rope: Vec<f32> = (0..n_ctx)
            .flat_map(|position| {
                frequencies.iter().flat_map(move |frequency| {
                    let (sin, cos) = (position as f32 * frequency).sin_cos();
                    [cos, sin]
                })
            })
            .collect();
        Ok(Self {
            embedding: GpuMatrix::new(gpu, &[&weights.embedding])?,
            layers: weights
                .layers
                .iter()
                .map(|layer| GpuLayer::new(gpu, layer, config, n_ctx))
                .collect::<Result<_, _>>()?,
            output_norm: GpuVector::new(gpu, &weights.output_norm)?,
            output: weights.output.as_ref().map(|output| GpuMatrix::new(gpu, &[output])).transpose()?,
            rope: GpuVector::new(gpu, &rope)?,
        })
    }

    /// The matrix that makes logits.
    pub fn head(&self) -> &GpuMatrix {
        self.output.as_ref().unwrap_or(&self.embedding)
    }
}
