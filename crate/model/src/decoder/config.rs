//! Hyper-parameters of a Llama-architecture decoder, read from GGUF metadata.

use crate::error::ModelError;
use crate::gguf::Gguf;

/// How rotary positions are stretched beyond the trained context.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    /// Positions divided by `factor`.
    Linear {
        factor: f32,
    },
    /// Each frequency divided by its own factor (`rope_freqs.weight`, `[head_dim/2]`; Llama 3).
    Frequencies(Vec<f32>),
}

/// A Llama-architecture decoder's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub rms_norm_eps: f32,
    pub rope_theta: f32,
    pub rope_scaling: RopeScaling,
    /// Positions the model was made for.
    pub context_length: usize,
    /// Whether the output head is the embedding matrix.
    pub tied_head: bool,
}

impl DecoderConfig {
    /// # Errors
    /// `model-unsupported` for another architecture or a rotary scaling that is not implemented,
    /// `model-invalid` where numbers are missing or contradict each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let architecture = gguf.str("general.architecture")?;
        if architecture != "llama" {
            return Err(ModelError::unsupported(format!(
                "its architecture is \"{architecture}\"; choose a Llama-architecture GGUF"
            )));
        }
        let key = |name: &str| format!("llama.{name}");
        let count = |name: &str| gguf.u32(&key(name)).map(|v| v as usize);
        let hidden_size = count("embedding_length")?;
        let num_attention_heads = count("attention.head_count")?;
        if num_attention_heads == 0 {
            return Err(ModelError::invalid("llama.attention.head_count", "it is 0"));
        }
        let head_dim = match gguf.opt_u32(&key("attention.key_length"))? {
            Some(n) => n as usize,
            None => hidden_size / num_attention_heads,
        };
        let config = Self {
            vocab_size: gguf.tensor("token_embd.weight")?.shape.first().copied().unwrap_or(0),
            hidden_size,
            intermediate_size: count("feed_forward_length")?,
            num_hidden_layers: count("block_count")?,
            num_attention_heads,
            num_key_value_heads: gguf
                .opt_u32(&key("attention.head_count_kv"))?
                .map_or(num_attention_heads, |n| n as usize),
            head_dim,
            rms_norm_eps: gguf.f32(&key("attention.layer_norm_rms_epsilon"))?,
            rope_theta: gguf.opt_f32(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            rope_scaling: rope_scaling(gguf, head_dim)?,
            context_length: count("context_length")?,
            tied_head: !gguf.has_tensor("output.weight"),
        };
        config.check(gguf.opt_u32(&key("rope.dimension_count"))?.map(|n| n as usize))?;
        Ok(config)
    }

    /// Width of the queries, `num_attention_heads · head_dim`.
    pub fn q_dim(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of the keys and of the values, `num_key_value_heads · head_dim`.
    pub fn kv_dim(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// Angular frequency of each rotated pair, `[head_dim/2]`.
    pub fn inverse_frequencies(&self) -> Vec<f32> {
        (0..self.head_dim / 2)
            .map(|i| {
                let frequency = (self.rope_theta as f64).powf(-2.0 * i as f64 / self.head_dim as f64) as f32;
                match &self.rope_scaling {
                    RopeScaling::None => frequency,
                    RopeScaling::Linear { factor } => frequency / factor,
                    RopeScaling::Frequencies(factors) => frequency / factors[i],
                }
            })
            .collect()
    }

    fn check(&self, rope_dimensions: Option<usize>) -> Result<(), ModelError> {
        let fail = |what: &str| Err(ModelError::invalid("metadata", what));
        let sizes = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            self.num_hidden_layers,
            self.head_dim,
            self.context_length,
        ];
        if sizes.contains(&0) || self.num_key_value_heads == 0 {
            return fail("a dimension of the model is 0");
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return fail("the number of attention heads is not a multiple of the key-value heads");
        }
        if !self.head_dim.is_multiple_of(8) {
            return Err(ModelError::unsupported(format!(
                "it has heads of {} dimensions; multiples of 8 can be run",
                self.head_dim
            )));
        }
        if rope_dimensions.is_some_and(|n| n != self.head_dim) {
            return Err(ModelError::unsupported("its rotary positions cover a part of each head only"));
        }
        Ok(())
    }
}

fn rope_scaling(gguf: &Gguf, head_dim: usize) -> Result<RopeScaling, ModelError> {
    if gguf.has_tensor("rope_freqs.weight") {
        let factors = gguf.values("rope_freqs.weight")?;
        if factors.len() != head_dim / 2 || factors.iter().any(|f| !f.is_normal()) {
            return Err(ModelError::invalid("rope_freqs.weight", "it does not fit the heads"));
        }
        return Ok(RopeScaling::Frequencies(factors));
    }
    let factor = gguf.opt_f32("llama.rope.scaling.factor")?.or(gguf.opt_f32("llama.rope.scale_linear")?);
    match (gguf.opt_str("llama.rope.scaling.type")?, factor) {
        (Some("none"), _) | (None, None) => Ok(RopeScaling::None),
        (Some("linear") | None, Some(factor)) if factor > 0.0 => Ok(RopeScaling::Linear { factor }),
        (kind, _) => {
            Err(ModelError::unsupported(format!("it needs rotary scaling \"{}\"", kind.unwrap_or("without a factor"))))
        }
    }
}
