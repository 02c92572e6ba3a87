//! Weight matrices as both executors read them: GGML's blocks with the scales taken out.
//!
//! One layout serves SIMD and shaders. A row is a run of 32-element blocks; quants of all rows lie
//! in one buffer, one scale word per block in another, so that vector loads are aligned and the
//! scales of neighbouring blocks can be read together.

use crate::error::ModelError;
use crate::gguf::Tensor;
use crate::quant::{TensorKind, dequantize};

/// Elements of a block, in every format.
pub const BLOCK: usize = 32;

/// How the elements of a [`PackedMatrix`] are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackedFormat {
    /// 16 bytes a block: low nibbles are elements 0..16, high nibbles 16..32. `value = q·d + m`.
    Q4,
    /// 32 bytes a block, `q + 128`. `value = (q − 128)·d`.
    Q8,
    /// 64 bytes a block, IEEE half precision. No scales.
    F16,
    /// 128 bytes a block. No scales.
    F32,
}

impl PackedFormat {
    /// Bytes of quants per block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4 => 16,
            Self::Q8 => 32,
            Self::F16 => 64,
            Self::F32 => 128,
        }
    }

    /// Whether blocks carry a scale word.
    pub const fn has_scales(self) -> bool {
        matches!(self, Self::Q4 | Self::Q8)
    }
}

/// A matrix `[rows, cols]`, rows being outputs; `y = W x`.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    pub rows: usize,
    /// A multiple of [`BLOCK`].
    pub cols: usize,
    pub format: PackedFormat,
    /// `rows · cols/32 · block_bytes` bytes, row-major, as little-endian words.
    pub quants: Vec<u32>,
    /// One word a block, row-major: `d` as f16 in the low half, `m` as f16 in the high half (0 for
    /// Q8). Empty for F16 and F32.
    pub scales: Vec<u32>,
}

impl PackedMatrix {
    /// Takes a two-dimensional tensor into this layout.
    ///
    /// # Errors
    /// `model-invalid` when it is not a matrix, `model-unsupported` when its rows are not a
    /// multiple of 32 long.
    pub fn from_tensor(tensor: &Tensor<'_>) -> Result<Self, ModelError> {
        let [rows, cols] = tensor.shape[..] else {
            return Err(ModelError::invalid(
                format!("tensor {}", tensor.name),
                format!("its shape is {:?}, not a matrix", tensor.shape),
            ));
        };
        if cols % BLOCK != 0 {
            return Err(ModelError::unsupported(format!(
                "tensor {} has rows of {cols} values, not a multiple of {BLOCK}",
                tensor.name
            )));
        }
        let n_blocks = rows * cols / BLOCK;
        let data = tensor.data;
        let (format, quants, scales) = match tensor.kind {
            TensorKind::Q4_0 => {
                let (quants, d) = split_blocks(data, 2, 16, n_blocks);
                let scales = d.chunks_exact(2).map(|d| q4_0_scale(u16::from_le_bytes([d[0], d[1]]))).collect();
                (PackedFormat::Q4, words(&quants), scales)
            }
            TensorKind::Q4_1 => {
                let (quants, scales) = split_blocks(data, 4, 16, n_blocks);
                (PackedFormat::Q4, words(&quants), words(&scales))
            }
            TensorKind::Q8_0 => {
                let (mut quants, d) = split_blocks(data, 2, 32, n_blocks);
                quants.iter_mut().for_each(|q| *q ^= 0x80);
                let scales = d.chunks_exact(2).map(|d| u16::from_le_bytes([d[0], d[1]]) as u32).collect();
                (PackedFormat::Q8, words(&quants), scales)
            }
            TensorKind::F16 => (PackedFormat::F16, words(data), Vec::new()),
            TensorKind::F32 => (PackedFormat::F32, words(data), Vec::new()),
        };
        Ok(Self { rows, cols, format, quants, scales })
    }

    /// A matrix of plain numbers, `values` row-major `[rows, cols]`.
    pub fn from_f32(rows: usize, cols: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), rows * cols);
        let quants = values.iter().map(|v| v.to_bits()).collect();
        Self { rows, cols, format: PackedFormat::F32, quants, scales: Vec::new() }
    }

    /// Blocks in a row.
    pub fn row_blocks(&self) -> usize {
        self.cols / BLOCK
    }

    /// The quants of one row, as bytes.
    pub fn row_quants(&self, row: usize) -> &[u8] {
        let n = self.row_blocks() * self.format.block_bytes();
        &bytemuck::cast_slice::<u32, u8>(&self.quants)[row * n..(row + 1) * n]
    }

    /// The scale words of one row; empty for F16 and F32.
    pub fn row_scales(&self, row: usize) -> &[u32] {
        if !self.format.has_scales() {
            return &[];
        }
        let n = self.row_blocks();
        &self.scales[row * n..(row + 1) * n]
    }

    /// One row as plain numbers, `[cols]`.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let quants = self.row_quants(row);
        match self.format {
            PackedFormat::F32 => bytemuck::allocation::pod_collect_to_vec(quants),
            PackedFormat::F16 => dequantize(TensorKind::F16, quants),
            PackedFormat::Q8 => {
                quants.iter().enumerate().map(|(i, &q)| (q as f32 - 128.0) * self.scale(row, i / BLOCK).0).collect()
            }
            PackedFormat::Q4 => (0..self.cols)
                .map(|i| {
                    let byte = quants[i / BLOCK * 16 + i % 16];
                    let q = if i % BLOCK < 16 { byte & 15 } else { byte >> 4 };
                    let (d, m) = self.scale(row, i / BLOCK);
                    q as f32 * d + m
                })
                .collect(),
        }
    }

    /// Bytes held.
    pub fn n_bytes(&self) -> usize {
        (self.quants.len() + self.scales.len()) * 4
    }

    fn scale(&self, row: usize, block: usize) -> (f32, f32) {
        let word = self.row_scales(row)[block];
        (f16_to_f32(word as u16), f16_to_f32((word >> 16) as u16))
    }
}

/// Half precision bits to f32, subnormals included.
#[inline(always)]
pub fn f16_to_f32(bits: u16) -> f32 {
    // Shift exponent and fraction into place and correct the exponent's bias (127 − 15) by a multiplication.
    let magnitude = f32::from_bits((bits as u32 & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(magnitude.to_bits() | ((bits as u32 & 0x8000) << 16))
}

/// Q4_0's implied offset of 8 becomes Q4_1's minimum: `−8d`, exact in half precision.
fn q4_0_scale(d: u16) -> u32 {
    let d = half::f16::from_bits(d);
    let m = half::f16::from_f32(-8.0 * d.to_f32());
    d.to_bits() as u32 | (m.to_bits() as u32) << 16
}

/// Splits `[head | body]` blocks into all bodies and all heads.
fn split_blocks(data: &[u8], head: usize, body: usize, n_blocks: usize) -> (Vec<u8>, Vec<u8>) {
    let mut bodies = Vec::with_capacity(n_blocks * body);
    let mut heads = Vec::with_capacity(n_blocks * head);
    for block in data.chunks_exact(head + body) {
        heads.extend_from_slice(&block[..head]);
        bodies.extend_from_slice(&block[head..]);
    }
    (bodies, heads)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytemuck::allocation::pod_collect_to_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::quantize_q8_0;

    fn check(kind: TensorKind, data: &[u8], shape: [usize; 2]) {
        let tensor = Tensor { name: "w".into(), shape: shape.to_vec(), kind, data };
        let packed = PackedMatrix::from_tensor(&tensor).unwrap();
        let expected = dequantize(kind, data);
        for row in 0..shape[0] {
            assert_eq!(packed.row(row), expected[row * shape[1]..(row + 1) * shape[1]], "{kind:?} row {row}");
        }
    }

    fn noise(n: usize) -> Vec<u8> {
        (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    /// Random quants under finite scales.
    fn blocks(head: usize, body: usize, n: usize) -> Vec<u8> {
        noise((head + body) * n)
            .chunks_exact(head + body)
            .enumerate()
            .flat_map(|(i, block)| {
                let mut block = block.to_vec();
                for h in 0..head / 2 {
                    let scale = half::f16::from_f32((i as f32 - 1.5) * if h == 0 { 0.01 } else { -0.3 });
                    block[2 * h..2 * h + 2].copy_from_slice(&scale.to_le_bytes());
                }
                block
            })
            .collect()
    }

    #[test]
    fn every_format_unpacks_to_its_dequantised_values() {
        check(TensorKind::Q4_0, &blocks(2, 16, 6), [3, 64]);
        check(TensorKind::Q4_1, &blocks(4, 16, 6), [3, 64]);
        check(
            TensorKind::Q8_0,
            &quantize_q8_0(&(0..192).map(|i| (i as f32 - 90.0) * 0.37).collect::<Vec<_>>()),
            [3, 64],
        );
        let f32s: Vec<u8> = (0..192).flat_map(|i| (i as f32 * 0.5 - 3.0).to_le_bytes()).collect();
        check(TensorKind::F32, &f32s, [3, 64]);
        let f16s: Vec<u8> = (0..192).flat_map(|i| half::f16::from_f32(i as f32 * 0.5 - 3.0).to_le_bytes()).collect();
        check(TensorKind::F16, &f16s, [3, 64]);
    }

    #[test]
    fn half_precision_bits_convert_exactly() {
        for bits in 0..0x7c00u16 {
            assert_eq!(f16_to_f32(bits), half::f16::from_bits(bits).to_f32());
            assert_eq!(f16_to_f32(bits | 0x8000), half::f16::from_bits(bits | 0x8000).to_f32());
        }
    }

    #[test]
    fn rows_that_do_not_fill_blocks_are_refused() {
        let data = vec![0u8; 4 * 33];
        let tensor = Tensor { name: "w".into(), shape: vec![1, 33], kind: TensorKind::F32, data: &data };
        assert_eq!(PackedMatrix::from_tensor(&tensor).unwrap_err().code(), "model-unsupported");
    }
}
