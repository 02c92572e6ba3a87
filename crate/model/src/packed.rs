//! Weight matrices as both executors read them: GGML's blocks with the scales taken out.
//!
//! One layout serves SIMD and shaders. A row is a run of 32-element blocks; quants of all rows lie
//! in one buffer, one scale word per block in another, so that vector loads are aligned and the
//! scales of neighbouring blocks can be read together.

use std::hint::black_box;

use crate::quant::{TensorKind, dequantize};

pub use lectern_simd::BLOCK;

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

    /// Reads all of it and does nothing with it; how many bytes that is.
    pub fn read_through(&self) -> usize {
        for words in [&self.quants, &self.scales] {
            black_box(words.iter().fold(0u32, |sum, &word| sum.wrapping_add(word)));
        }
        self.n_bytes()
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

/// The elements of a tensor, taken into this layout as they come: no byte is held twice.
#[derive(Clone, Debug)]
pub struct Packing {
    kind: TensorKind,
    quants: Vec<u32>,
    scales: Vec<u32>,
    /// The beginning of a block whose end has not come.
    part: Vec<u8>,
}

impl Packing {
    /// Room for `n_bytes` of elements stored as `kind`.
    pub fn new(kind: TensorKind, n_bytes: usize) -> Self {
        let n_blocks = n_bytes.div_ceil(unit(kind));
        let (quants, scales) = match kind {
            TensorKind::F32 | TensorKind::F16 => (1, 0),
            TensorKind::Q4_0 | TensorKind::Q4_1 => (4, 1),
            TensorKind::Q8_0 => (8, 1),
        };
        Self {
            kind,
            quants: Vec::with_capacity(n_blocks * quants),
            scales: Vec::with_capacity(n_blocks * scales),
            part: Vec::with_capacity(unit(kind)),
        }
    }

    /// `n_bytes` of elements that are 0.
    pub fn zeros(kind: TensorKind, n_bytes: usize) -> Self {
        let mut packing = Self::new(kind, n_bytes);
        packing.quants = vec![0; packing.quants.capacity()];
        packing.scales = vec![0; packing.scales.capacity()];
        packing
    }

    /// Takes the next bytes; they may end anywhere.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let unit = unit(self.kind);
        if !self.part.is_empty() {
            let n = bytes.len().min(unit - self.part.len());
            self.part.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.part.len() < unit {
                return;
            }
            let block = std::mem::take(&mut self.part);
            self.pack(&block);
        }
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % unit);
        self.pack(whole);
        self.part.extend_from_slice(rest);
    }

    fn pack(&mut self, blocks: &[u8]) {
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let half = |block: &[u8]| u16::from_le_bytes([block[0], block[1]]);
        let scales = blocks.chunks_exact(unit(self.kind));
        match self.kind {
            TensorKind::F32 | TensorKind::F16 => self.quants.extend(blocks.chunks_exact(4).map(word)),
            TensorKind::Q4_0 => {
                self.scales.extend(scales.map(|block| q4_0_scale(half(block))));
                self.bodies::<18, 2, 4>(blocks, 0);
            }
            TensorKind::Q4_1 => {
                self.scales.extend(scales.map(word));
                self.bodies::<20, 4, 4>(blocks, 0);
            }
            TensorKind::Q8_0 => {
                self.scales.extend(scales.map(|block| half(block) as u32));
                self.bodies::<34, 2, 8>(blocks, 0x8080_8080);
            }
        }
    }

    /// Appends the `WORDS` words that follow the `HEAD` bytes of every block of `UNIT`, with the bits of `flip` turned.
    fn bodies<const UNIT: usize, const HEAD: usize, const WORDS: usize>(&mut self, blocks: &[u8], flip: u32) {
        let start = self.quants.len();
        self.quants.resize(start + blocks.len() / UNIT * WORDS, 0);
        let words = self.quants[start..].as_chunks_mut::<WORDS>().0;
        for (words, block) in words.iter_mut().zip(blocks.as_chunks::<UNIT>().0) {
            for (word, bytes) in words.iter_mut().zip(block[HEAD..].as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*bytes) ^ flip;
            }
        }
    }

    /// The tensor as a matrix; `cols` is a multiple of [`BLOCK`].
    pub fn into_matrix(self, rows: usize, cols: usize) -> PackedMatrix {
        let format = match self.kind {
            TensorKind::F32 => PackedFormat::F32,
            TensorKind::F16 => PackedFormat::F16,
            TensorKind::Q4_0 | TensorKind::Q4_1 => PackedFormat::Q4,
            TensorKind::Q8_0 => PackedFormat::Q8,
        };
        let matrix = PackedMatrix { rows, cols, format, quants: self.quants, scales: self.scales };
        assert_eq!(matrix.quants.len() * 4, rows * matrix.row_blocks() * format.block_bytes());
        matrix
    }

    /// All elements as plain numbers, `[n]`.
    pub fn to_f32(&self, n: usize) -> Vec<f32> {
        let mut values = match self.kind {
            TensorKind::F32 => self.quants.iter().map(|&word| f32::from_bits(word)).collect(),
            TensorKind::F16 => {
                let last = [&self.part[..], &[0; 2][..]].concat();
                let mut values = dequantize(TensorKind::F16, bytemuck::cast_slice(&self.quants));
                values.extend(dequantize(TensorKind::F16, &last));
                values
            }
            TensorKind::Q4_0 | TensorKind::Q4_1 | TensorKind::Q8_0 => self.clone().into_matrix(1, n).row(0),
        };
        values.truncate(n);
        values
    }
}

/// Bytes that are packed together: a block, or a word of plain numbers.
fn unit(kind: TensorKind) -> usize {
    match kind {
        TensorKind::F32 | TensorKind::F16 => 4,
        TensorKind::Q4_0 | TensorKind::Q4_1 | TensorKind::Q8_0 => kind.block_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::quantize_q8_0;

    fn check(kind: TensorKind, data: &[u8], shape: [usize; 2]) {
        let expected = dequantize(kind, data);
        for piece in [1, 7, 40, data.len()] {
            let mut packing = Packing::new(kind, data.len());
            data.chunks(piece).for_each(|bytes| packing.push(bytes));
            assert_eq!(packing.to_f32(shape[0] * shape[1]), expected, "{kind:?} in pieces of {piece}");
            let packed = packing.into_matrix(shape[0], shape[1]);
            for row in 0..shape[0] {
                assert_eq!(packed.row(row), expected[row * shape[1]..(row + 1) * shape[1]], "{kind:?} row {row}");
            }
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
    fn an_odd_number_of_half_precision_values_keeps_its_last() {
        let bytes: Vec<u8> = [1.5f32, -2.0, 0.25].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let mut packing = Packing::new(TensorKind::F16, bytes.len());
        packing.push(&bytes);
        assert_eq!(packing.to_f32(3), [1.5, -2.0, 0.25]);
    }
}
