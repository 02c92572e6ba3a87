//! The tensors of a decoder, packed, by their role.

use crate::decoder::config::DecoderConfig;
use crate::error::ModelError;
use crate::gguf::Gguf;
use crate::packed::PackedMatrix;
use crate::quant::dequantize;

/// One block of the decoder. Rows of `q` and `k` are in GGUF order: rotary pairs are neighbours.
#[derive(Debug)]
pub struct LayerWeights {
    /// `[hidden_size]`
    pub attention_norm: Vec<f32>,
    /// `[q_dim, hidden_size]`
    pub q: PackedMatrix,
    /// `[kv_dim, hidden_size]`
    pub k: PackedMatrix,
    /// `[kv_dim, hidden_size]`
    pub v: PackedMatrix,
    /// `[hidden_size, q_dim]`
    pub o: PackedMatrix,
    /// `[hidden_size]`
    pub mlp_norm: Vec<f32>,
    /// `[intermediate_size, hidden_size]`
    pub gate: PackedMatrix,
    /// `[intermediate_size, hidden_size]`
    pub up: PackedMatrix,
    /// `[hidden_size, intermediate_size]`
    pub down: PackedMatrix,
}

/// All weights of a decoder.
#[derive(Debug)]
pub struct DecoderWeights {
    pub config: DecoderConfig,
    /// `[vocab_size, hidden_size]`
    pub embedding: PackedMatrix,
    pub layers: Vec<LayerWeights>,
    /// `[hidden_size]`
    pub output_norm: Vec<f32>,
    /// `[vocab_size, hidden_size]`; `None` when the embedding serves as the head.
    pub output: Option<PackedMatrix>,
}

impl DecoderWeights {
    /// # Errors
    /// Those of [`DecoderConfig::from_gguf`], and `model-invalid` for a tensor that is missing or
    /// has another shape than the metadata says.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, ModelError> {
        let config = DecoderConfig::from_gguf(gguf)?;
        let (hidden, ff) = (config.hidden_size, config.intermediate_size);
        let (q_dim, kv_dim, vocab) = (config.q_dim(), config.kv_dim(), config.vocab_size);
        let layers = (0..config.num_hidden_layers)
            .map(|layer| {
                let matrix_of =
                    |name: &str, rows, cols| matrix(gguf, &format!("blk.{layer}.{name}.weight"), rows, cols);
                let norm_of = |name: &str| vector(gguf, &format!("blk.{layer}.{name}.weight"), hidden);
                Ok(LayerWeights {
                    attention_norm: norm_of("attn_norm")?,
                    q: matrix_of("attn_q", q_dim, hidden)?,
                    k: matrix_of("attn_k", kv_dim, hidden)?,
                    v: matrix_of("attn_v", kv_dim, hidden)?,
                    o: matrix_of("attn_output", hidden, q_dim)?,
                    mlp_norm: norm_of("ffn_norm")?,
                    gate: matrix_of("ffn_gate", ff, hidden)?,
                    up: matrix_of("ffn_up", ff, hidden)?,
                    down: matrix_of("ffn_down", hidden, ff)?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Self {
            embedding: matrix(gguf, "token_embd.weight", vocab, hidden)?,
            layers,
            output_norm: vector(gguf, "output_norm.weight", hidden)?,
            output: if config.tied_head { None } else { Some(matrix(gguf, "output.weight", vocab, hidden)?) },
            config,
        })
    }

    /// The matrix that turns the last hidden state into logits, `[vocab_size, hidden_size]`.
    pub fn head(&self) -> &PackedMatrix {
        self.output.as_ref().unwrap_or(&self.embedding)
    }
}

/// A matrix tensor of the shape the metadata promises.
pub(crate) fn matrix(gguf: &Gguf<'_>, name: &str, rows: usize, cols: usize) -> Result<PackedMatrix, ModelError> {
    let tensor = gguf.tensor(name)?;
    if tensor.shape != [rows, cols] {
        return Err(wrong_shape(name, &tensor.shape, &[rows, cols]));
    }
    PackedMatrix::from_tensor(&tensor)
}

/// A vector tensor as plain numbers, `[len]`.
pub(crate) fn vector(gguf: &Gguf<'_>, name: &str, len: usize) -> Result<Vec<f32>, ModelError> {
    let tensor = gguf.tensor(name)?;
    if tensor.shape != [len] {
        return Err(wrong_shape(name, &tensor.shape, &[len]));
    }
    Ok(dequantize(tensor.kind, tensor.data))
}

fn wrong_shape(name: &str, got: &[usize], expected: &[usize]) -> ModelError {
    ModelError::invalid(format!("tensor {name}"), format!("its shape is {got:?} where the metadata says {expected:?}"))
}
