//! The tensor encodings of GGML that are read here, and the one that is written.
//!
//! Source: ggml `ggml-common.h` (block layouts) and `ggml-quants.c` (`dequantize_row_*`, `quantize_row_q8_0_ref`).

use half::f16;

use crate::error::ModelError;

/// Elements in one block of every block-quantised kind.
pub const BLOCK_LEN: usize = 32;

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
pub enum TensorKind {
    F32,
    F16,
    /// Blocks of 32: f16 scale `d`, 16 bytes of nibbles; value `d * (q - 8)`.
    Q4_0,
    /// Blocks of 32: f16 scale `d`, f16 minimum `m`, 16 bytes of nibbles; value `d * q + m`.
    Q4_1,
    /// Blocks of 32: f16 scale `d`, 32 signed bytes; value `d * q`.
    Q8_0,
}

impl TensorKind {
    /// # Errors
    /// `model-unsupported`, naming the type, for every other GGML type.
    pub fn from_ggml(id: u32) -> Result<Self, ModelError> {
        Ok(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            8 => Self::Q8_0,
            other => {
                return Err(ModelError::unsupported(format!(
                    "its tensors are stored as {}; use a file quantised as Q8_0, Q4_1, Q4_0, F16 or F32",
                    ggml_type_name(other)
                )));
            }
        })
    }

    /// The GGML type id.
    pub fn ggml_id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 8,
        }
    }

    /// Elements per block; 1 for the unquantised kinds.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q8_0 => BLOCK_LEN,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q8_0 => 34,
        }
    }

    /// The name llama.cpp prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
        }
    }
}

/// Decodes whole blocks; a trailing partial block is ignored ([`crate::gguf::Gguf`] never hands one out).
///
/// # Shapes
/// `data`: `n * kind.block_bytes()` bytes → `n * kind.block_len()` values.
pub fn dequantize(kind: TensorKind, data: &[u8]) -> Vec<f32> {
    let blocks = data.chunks_exact(kind.block_bytes());
    let mut values = Vec::with_capacity(blocks.len() * kind.block_len());
    match kind {
        TensorKind::F32 => values.extend(blocks.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        TensorKind::F16 => values.extend(blocks.map(|b| f16_at(b, 0))),
        TensorKind::Q4_0 => {
            for block in blocks {
                let d = f16_at(block, 0);
                values.extend(nibbles(&block[2..]).map(|q| d * (f32::from(q) - 8.0)));
            }
        }
        TensorKind::Q4_1 => {
            for block in blocks {
                let (d, m) = (f16_at(block, 0), f16_at(block, 2));
                values.extend(nibbles(&block[4..]).map(|q| d * f32::from(q) + m));
            }
        }
        TensorKind::Q8_0 => {
            for block in blocks {
                let d = f16_at(block, 0);
                values.extend(block[2..].iter().map(|&q| d * f32::from(q as i8)));
            }
        }
    }
    values
}

/// Encodes as Q8_0: per block `d = max|x| / 127`, `q = round(x / d)` with halves away from zero; the division uses the
/// scale before it is rounded to f16, as `quantize_row_q8_0_ref` does. A last partial block is padded with zeros.
///
/// # Shapes
/// `values`: `n * 32` → `n * 34` bytes.
pub fn quantize_q8_0(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len().div_ceil(BLOCK_LEN) * TensorKind::Q8_0.block_bytes());
    for block in values.chunks(BLOCK_LEN) {
        let amax = block.iter().fold(0.0f32, |amax, x| amax.max(x.abs()));
        let d = amax / 127.0;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        bytes.extend(f16::from_f32(d).to_le_bytes());
        bytes.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
        bytes.resize(bytes.len() + BLOCK_LEN - block.len(), 0);
    }
    bytes
}

/// Low nibbles of the 16 bytes are elements 0..16 of the block, high nibbles 16..32.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().map(|b| b & 15).chain(bytes.iter().map(|b| b >> 4))
}

fn f16_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn ggml_type_name(id: u32) -> String {
    let name = match id {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("GGML type {id}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block whose byte `i` holds `i` in the low and `15 - i` in the high nibble.
    fn nibble_block(header: &[f32]) -> Vec<u8> {
        let mut block: Vec<u8> = header.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        block.extend((0..16u8).map(|i| i | ((15 - i) << 4)));
        block
    }

    #[test]
    fn q4_low_nibbles_are_the_first_half_of_the_block() {
        let values = dequantize(TensorKind::Q4_1, &nibble_block(&[0.5, -1.0]));
        let expected: Vec<f32> =
            (0..16).map(|i| i as f32 * 0.5 - 1.0).chain((0..16).map(|i| (15 - i) as f32 * 0.5 - 1.0)).collect();
        assert_eq!(values, expected);

        let values = dequantize(TensorKind::Q4_0, &nibble_block(&[2.0]));
        let expected: Vec<f32> =
            (0..16).map(|i| 2.0 * (i as f32 - 8.0)).chain((0..16).map(|i| 2.0 * (7.0 - i as f32))).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn q8_0_rounds_halves_away_from_zero() {
        // amax 127 makes d exactly 1, so the codes are the rounded values themselves.
        let mut values = [0.0f32; 32];
        values[..6].copy_from_slice(&[127.0, 0.5, -0.5, 2.5, -2.5, 1.49]);
        let bytes = quantize_q8_0(&values);
        assert_eq!(bytes.len(), 34);
        assert_eq!(&bytes[..2], &f16::ONE.to_le_bytes());
        let codes: Vec<i8> = bytes[2..8].iter().map(|&b| b as i8).collect();
        assert_eq!(codes, [127, 1, -1, 3, -3, 1]);
    }

    #[test]
    fn q8_0_of_zeros_is_zero() {
        assert_eq!(quantize_q8_0(&[0.0; 32]), [0u8; 34]);
    }

    #[test]
    fn unknown_types_are_named() {
        let error = TensorKind::from_ggml(12).unwrap_err();
        assert_eq!(error.code(), "model-unsupported");
        assert!(error.to_string().contains("Q4_K"), "{error}");
        for kind in [TensorKind::F32, TensorKind::F16, TensorKind::Q4_0, TensorKind::Q4_1, TensorKind::Q8_0] {
            assert_eq!(TensorKind::from_ggml(kind.ggml_id()), Ok(kind));
        }
    }

    proptest! {
        #[test]
        fn q8_0_is_within_half_a_step(values in prop::collection::vec(-50.0f32..50.0, 32..=96)) {
            let whole = &values[..values.len() / 32 * 32];
            let back = dequantize(TensorKind::Q8_0, &quantize_q8_0(whole));
            for (block, decoded) in whole.chunks(32).zip(back.chunks(32)) {
                let amax = block.iter().fold(0.0f32, |amax, x| amax.max(x.abs()));
                // half a step, and 127 times the rounding of the scale to f16 (2^-11)
                let tolerance = amax / 127.0 * 0.5 + amax / 2048.0 + 1e-6;
                for (x, y) in block.iter().zip(decoded) {
                    prop_assert!((x - y).abs() <= tolerance, "{x} {y} {tolerance}");
                }
            }
        }
    }
}
