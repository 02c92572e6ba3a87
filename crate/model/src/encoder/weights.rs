//! The tensors of an encoder, packed, by their role.

use crate::encoder::config::{EncoderConfig, Pooling};
use crate::error::ModelError;
use crate::gguf::Gguf;
use crate::packed::PackedMatrix;

/// A linear layer with a bias.
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: PackedMatrix,
    /// `[out]`
    pub bias: Vec<f32>,
}

/// A layer normalisation's gain and shift, `[hidden_size]` each.
#[derive(Debug)]
pub struct LayerNorm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// One block of the encoder (post-norm).
#[derive(Debug)]
pub struct EncoderLayer {
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub o: Linear,
    pub attention_norm: LayerNorm,
    pub up: Linear,
    pub down: Linear,
    pub output_norm: LayerNorm,
}

/// All weights of an encoder.
#[derive(Debug)]
pub struct EncoderWeights {
    pub config: EncoderConfig,
    /// `[vocab_size, hidden_size]`
    pub token_embedding: PackedMatrix,
    /// `[max_tokens, hidden_size]`
    pub position_embedding: PackedMatrix,
    /// `[segments, hidden_size]`: an embedder uses segment 0 alone.
    pub token_types: Vec<f32>,
    pub embedding_norm: LayerNorm,
    pub layers: Vec<EncoderLayer>,
}

impl EncoderWeights {
    /// Takes the matrices of an embedder out of the file.
    ///
    /// # Errors
    /// Those of [`EncoderConfig::from_gguf`], `model-unsupported` for a re-ranker, and `model-invalid` for a tensor that
    /// is missing or has another shape than the metadata says.
    pub fn from_gguf(gguf: &mut Gguf) -> Result<Self, ModelError> {
        let config = EncoderConfig::from_gguf(gguf)?;
        if config.pooling == Pooling::Rank {
            return Err(ModelError::unsupported(
                "it is a re-ranker, which scores pairs of texts and makes no vectors; choose an embedder here",
            ));
        }
        Self::take(gguf, config)
    }

    /// Those of an encoder of any pooling.
    pub(super) fn take(gguf: &mut Gguf, config: EncoderConfig) -> Result<Self, ModelError> {
        let (hidden, ff) = (config.hidden_size, config.intermediate_size);
        let layers = (0..config.num_hidden_layers)
            .map(|layer| {
                let name = |part: &str| format!("blk.{layer}.{part}");
                Ok(EncoderLayer {
                    q: linear(gguf, &name("attn_q"), hidden, hidden)?,
                    k: linear(gguf, &name("attn_k"), hidden, hidden)?,
                    v: linear(gguf, &name("attn_v"), hidden, hidden)?,
                    o: linear(gguf, &name("attn_output"), hidden, hidden)?,
                    attention_norm: norm(gguf, &name("attn_output_norm"), hidden)?,
                    up: linear(gguf, &name("ffn_up"), ff, hidden)?,
                    down: linear(gguf, &name("ffn_down"), hidden, ff)?,
                    output_norm: norm(gguf, &name("layer_output_norm"), hidden)?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        let token_types = gguf.values("token_types.weight")?;
        if token_types.len() < hidden {
            return Err(ModelError::invalid("tensor token_types.weight", "it is shorter than one row"));
        }
        Ok(Self {
            token_embedding: gguf.take_matrix("token_embd.weight", config.vocab_size, hidden)?,
            position_embedding: gguf.take_matrix("position_embd.weight", config.max_tokens, hidden)?,
            token_types,
            embedding_norm: norm(gguf, "token_embd_norm", hidden)?,
            layers,
            config,
        })
    }

    /// The sum of token, position and segment embeddings before the first normalisation,
    /// appended to `out` as `[ids.len(), hidden_size]`. The first `n_first` ids are of segment 0, the others of segment 1.
    pub fn embed_tokens(&self, ids: &[u32], n_first: usize, out: &mut Vec<f32>) {
        let hidden = self.config.hidden_size;
        for (position, &id) in ids.iter().enumerate() {
            let token = self.token_embedding.row(id as usize);
            let place = self.position_embedding.row(position);
            let segment = &self.token_types[usize::from(position >= n_first) * hidden..][..hidden];
            out.extend(token.iter().zip(&place).zip(segment).map(|((t, p), s)| t + p + s));
        }
    }

    /// # Errors
    /// `model-invalid` for no ids, or one outside the vocabulary.
    pub(super) fn check_ids(&self, ids: &[u32]) -> Result<(), ModelError> {
        if ids.is_empty() || ids.iter().any(|&id| id as usize >= self.config.vocab_size) {
            return Err(ModelError::invalid("text", "it has no tokens of this model"));
        }
        Ok(())
    }
}

pub(super) fn linear(gguf: &mut Gguf, name: &str, rows: usize, cols: usize) -> Result<Linear, ModelError> {
    Ok(Linear {
        weight: gguf.take_matrix(&format!("{name}.weight"), rows, cols)?,
        bias: gguf.vector(&format!("{name}.bias"), rows)?,
    })
}

fn norm(gguf: &Gguf, name: &str, len: usize) -> Result<LayerNorm, ModelError> {
    Ok(LayerNorm {
        weight: gguf.vector(&format!("{name}.weight"), len)?,
        bias: gguf.vector(&format!("{name}.bias"), len)?,
    })
}
