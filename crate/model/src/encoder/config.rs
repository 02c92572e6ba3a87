//! Hyper-parameters of a BERT-architecture encoder, read from GGUF metadata.

use crate::error::ModelError;
use crate::gguf::Gguf;

/// What only a re-ranker has; not every converter names its way of pooling.
pub(super) const CLASSIFIER: &str = "cls.output.weight";

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all tokens.
    Mean,
    /// The first token.
    Cls,
    /// The first token through a pooler and a classifier: no vector but one score, a re-ranker's.
    Rank,
}

/// A BERT-architecture encoder's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub layer_norm_eps: f32,
    /// Tokens of a text that are read; what follows is left out.
    pub max_tokens: usize,
    pub pooling: Pooling,
}

impl EncoderConfig {
    /// # Errors
    /// `model-unsupported` for another architecture or pooling, `model-invalid` where numbers are
    /// missing or contradict each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let architecture = gguf.str("general.architecture")?;
        if architecture != "bert" {
            return Err(ModelError::unsupported(format!(
                "its architecture is \"{architecture}\"; choose a BERT-architecture encoder"
            )));
        }
        let count = |name: &str| gguf.u32(&format!("bert.{name}")).map(|v| v as usize);
        let config = Self {
            vocab_size: gguf.tensor("token_embd.weight")?.shape.first().copied().unwrap_or(0),
            hidden_size: count("embedding_length")?,
            intermediate_size: count("feed_forward_length")?,
            num_hidden_layers: count("block_count")?,
            num_attention_heads: count("attention.head_count")?,
            layer_norm_eps: gguf.f32("bert.attention.layer_norm_epsilon")?,
            max_tokens: count("context_length")?,
            pooling: match gguf.opt_u32("bert.pooling_type")? {
                None if gguf.has_tensor(CLASSIFIER) => Pooling::Rank,
                None | Some(1) => Pooling::Mean,
                Some(2) => Pooling::Cls,
                Some(4) => Pooling::Rank,
                Some(other) => {
                    let what = format!("it pools in way {other}; mean, CLS and rank can be done");
                    return Err(ModelError::unsupported(what));
                }
            },
        };
        let sizes = [
            config.vocab_size,
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.max_tokens,
        ];
        if sizes.contains(&0) || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return Err(ModelError::invalid("metadata", "the encoder's dimensions contradict each other"));
        }
        if !config.head_dim().is_multiple_of(8) {
            return Err(ModelError::unsupported(format!(
                "its heads have {} values, not a multiple of 8",
                config.head_dim()
            )));
        }
        Ok(config)
    }

    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}
