//! The tensors of a decoder, packed, by their role.

use crate::decoder::config::DecoderConfig;
use crate::error::ModelError;
use crate::gguf::Gguf;
use crate::packed::PackedMatrix;

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
    /// Takes the matrices out of the file.
    ///
    /// # Errors
    /// Those of [`DecoderConfig::from_gguf`], and `model-invalid` for a tensor that is missing or
    /// has another shape than the metadata says.
    pub fn from_gguf(gguf: &mut Gguf) -> Result<Self, ModelError> {
        let config = DecoderConfig::from_gguf(gguf)?;
        let (hidden, ff) = (config.hidden_size, config.intermediate_size);
        let (q_dim, kv_dim, vocab) = (config.q_dim(), config.kv_dim(), config.vocab_size);
        let layers = (0..config.num_hidden_layers)
            .map(|layer| {
                let name_of = |part: &str| format!("blk.{layer}.{part}.weight");
                let attention_norm = gguf.vector(&name_of("attn_norm"), hidden)?;
                let mlp_norm = gguf.vector(&name_of("ffn_norm"), hidden)?;
                let mut matrix_of = |part: &str, rows, cols| gguf.take_matrix(&name_of(part), rows, cols);
                Ok(LayerWeights {
                    attention_norm,
                    q: matrix_of("attn_q", q_dim, hidden)?,
                    k: matrix_of("attn_k", kv_dim, hidden)?,
                    v: matrix_of("attn_v", kv_dim, hidden)?,
                    o: matrix_of("attn_output", hidden, q_dim)?,
                    mlp_norm,
                    gate: matrix_of("ffn_gate", ff, hidden)?,
                    up: matrix_of("ffn_up", ff, hidden)?,
                    down: matrix_of("ffn_down", hidden, ff)?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Self {
            embedding: gguf.take_matrix("token_embd.weight", vocab, hidden)?,
            layers,
            output_norm: gguf.vector("output_norm.weight", hidden)?,
            output: if config.tied_head { None } else { Some(gguf.take_matrix("output.weight", vocab, hidden)?) },
            config,
        })
    }

    /// The matrix that turns the last hidden state into logits, `[vocab_size, hidden_size]`.
    pub fn head(&self) -> &PackedMatrix {
        self.output.as_ref().unwrap_or(&self.embedding)
    }

    /// Reads everything that a token meets and does nothing with it; how many bytes that is.
    pub fn read_through(&self) -> usize {
        let layers = self.layers.iter().flat_map(|l| [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down]);
        layers.chain([self.head()]).map(PackedMatrix::read_through).sum()
    }
}
