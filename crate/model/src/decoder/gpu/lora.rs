//! An adapter's factors in GPU buffers, one buffer a fused matrix, beside its captured steps.

use std::rc::{Rc, Weak};

use cubecl::prelude::BufferArg;
use cubecl::server::Handle;

use super::Captured;
use super::weights::{GpuWeights, N_FUSED, Segment};
use crate::error::ModelError;
use crate::kernel::gpu::{ColumnOrder, Gpu, LowRankShape, MAX_PREFILL_ROWS, arg};
use crate::lora::{LoraLayer, LoraSet};
use crate::packed::{BLOCK, PackedFormat};

/// The factors for one segment of a fused matrix.
pub struct SegmentFactors {
    pub shape: LowRankShape,
    handle: Handle,
    len: usize,
}

impl SegmentFactors {
    /// `None` where the adapter leaves the segment alone.
    fn new(gpu: &Gpu, segment: &Segment, layer: &LoraLayer) -> Result<Option<Self>, ModelError> {
        let matrix = &segment.matrix;
        let ranks: Vec<(usize, usize)> = segment
            .parts
            .iter()
            .map(|&(projection, rows)| (rows, layer.get(projection).map_or(0, |factors| factors.rank)))
            .collect();
        let (shape, len) = LowRankShape::new(&ranks, matrix.cols);
        if !shape.is_active() {
            return Ok(None);
        }
        let mut data = vec![0f32; len];
        for (i, &(projection, rows)) in segment.parts.iter().enumerate() {
            let Some(factors) = layer.get(projection) else { continue };
            for r in 0..factors.rank {
                let row = &factors.a[r * matrix.cols..(r + 1) * matrix.cols];
                let to = (shape.a_row(i) + r) * matrix.cols;
                permute(row, matrix.format, &mut data[to..to + matrix.cols]);
            }
            let part = shape.parts[i];
            for row in 0..rows {
                for r in 0..factors.rank {
                    data[part.b * 4 + row * part.rank + r] = factors.b[row * factors.rank + r] * factors.scaling;
                }
            }
        }
        Ok(Some(Self { shape, handle: gpu.upload(&data)?, len }))
    }

    /// In vectors of 4.
    pub fn arg4(&self) -> BufferArg {
        arg(&self.handle, self.len / 4)
    }

    /// As words of F32 weights: the rows of all `A`.
    pub fn words(&self) -> BufferArg {
        arg(&self.handle, self.len)
    }
}

/// Puts the columns of a row of `A` in the order in which kernels keep their input.
fn permute(row: &[f32], format: PackedFormat, out: &mut [f32]) {
    for (from, to) in row.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK)) {
        for (word, value) in to.iter_mut().enumerate() {
            *value = from[ColumnOrder::Of(format).natural(word)];
        }
    }
}

/// An uploaded adapter.
pub struct GpuLora {
    set: Weak<LoraSet>,
    /// `[layer][fused][segment]`
    layers: Vec<[Vec<Option<SegmentFactors>>; N_FUSED]>,
    /// `A x` of a batch, `[Σ rank, 64]`.
    ax: Handle,
    ax_len: usize,
    pub graphs: Vec<Captured>,
}

impl GpuLora {
    pub fn new(gpu: &Gpu, weights: &GpuWeights, set: &Rc<LoraSet>) -> Result<Self, ModelError> {
        let nothing = LoraLayer::default();
        let mut max_rank = 4;
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (index, layer) in weights.layers.iter().enumerate() {
            let factors = set.layers.get(index).unwrap_or(&nothing);
            let mut fused: [Vec<Option<SegmentFactors>>; N_FUSED] = Default::default();
            for (to, from) in fused.iter_mut().zip(&layer.fused) {
                for segment in &from.segments {
                    let uploaded = SegmentFactors::new(gpu, segment, factors)?;
                    max_rank = max_rank.max(uploaded.as_ref().map_or(0, |f| f.shape.total_rank()));
                    to.push(uploaded);
                }
            }
            layers.push(fused);
        }
        let ax_len = max_rank * MAX_PREFILL_ROWS;
        Ok(Self { set: Rc::downgrade(set), layers, ax: gpu.empty(ax_len)?, ax_len, graphs: Vec::new() })
    }

    pub fn is(&self, set: &Rc<LoraSet>) -> bool {
        std::ptr::eq(self.set.as_ptr(), Rc::as_ptr(set))
    }

    /// Whether anyone still holds the adapter.
    pub fn is_alive(&self) -> bool {
        self.set.strong_count() > 0
    }

    pub fn factors(&self, layer: usize, fused: usize, segment: usize) -> Option<&SegmentFactors> {
        self.layers[layer][fused][segment].as_ref()
    }

    /// `A x` in vectors of 4.
    pub fn ax4(&self) -> BufferArg {
        arg(&self.ax, self.ax_len / 4)
    }
}
