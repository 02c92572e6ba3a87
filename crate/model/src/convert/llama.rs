//! Llama-architecture decoders (`LlamaForCausalLM`).

use serde_json::Value as Json;

use super::checkpoint::{Checkpoint, JsonFile};
use super::{Output, vocab};
use crate::error::ModelError;

pub(super) fn write(checkpoint: &Checkpoint, out: &mut Output) -> Result<(), ModelError> {
    let config = &checkpoint.config;
    for key in ["attention_bias", "mlp_bias"] {
        if config.get(key).and_then(Json::as_bool) == Some(true) {
            return Err(ModelError::unsupported(format!("it has {key}; only layers without biases are computed")));
        }
    }
    match config.get("hidden_act") {
        None => {}
        Some(Json::String(act)) if act == "silu" => {}
        Some(act) => return Err(ModelError::unsupported(format!("its hidden_act is {act}; only silu is computed"))),
    }
    let hidden_size = config.usize("hidden_size")?;
    let intermediate_size = config.usize("intermediate_size")?;
    let n_layers = config.usize("num_hidden_layers")?;
    let n_heads = config.usize("num_attention_heads")?;
    let n_kv_heads = config.get("num_key_value_heads").map_or(Ok(n_heads), |_| config.usize("num_key_value_heads"))?;
    let vocab_size = config.usize("vocab_size")?;
    if n_heads == 0 || n_kv_heads == 0 || n_heads % n_kv_heads != 0 {
        return Err(ModelError::invalid("config.json", format!("{n_heads} heads cannot share {n_kv_heads}")));
    }
    let head_dim = config.get("head_dim").map_or(Ok(hidden_size / n_heads), |_| config.usize("head_dim"))?;
    if head_dim == 0 || head_dim % 2 != 0 {
        return Err(ModelError::unsupported(format!("its head_dim is {head_dim}; rotary positions need an even one")));
    }

    out.set("llama.block_count", n_layers as u32);
    out.set("llama.context_length", config.usize("max_position_embeddings")? as u32);
    out.set("llama.embedding_length", hidden_size as u32);
    out.set("llama.feed_forward_length", intermediate_size as u32);
    out.set("llama.attention.head_count", n_heads as u32);
    out.set("llama.attention.head_count_kv", n_kv_heads as u32);
    out.set("llama.attention.key_length", head_dim as u32);
    out.set("llama.attention.value_length", head_dim as u32);
    out.set("llama.attention.layer_norm_rms_epsilon", config.f32("rms_norm_eps")?);
    out.set("llama.vocab_size", vocab_size as u32);
    out.set("llama.rope.dimension_count", head_dim as u32);
    write_rope(config, head_dim, out)?;
    vocab::write_bpe(checkpoint, vocab_size, out)?;

    let matrix = |out: &mut Output, from: &str, to: &str, shape: [usize; 2]| {
        let weights = checkpoint.tensor(from, &shape)?;
        out.matrix(to, &shape, &weights.values)
    };
    let rotated = |out: &mut Output, from: &str, to: &str, n_heads: usize| {
        let shape = [n_heads * head_dim, hidden_size];
        let weights = checkpoint.tensor(from, &shape)?;
        out.matrix(to, &shape, &interleave_rotary_rows(&weights.values, n_heads, head_dim, hidden_size))
    };
    let norm = |out: &mut Output, from: &str, to: &str| {
        let weights = checkpoint.tensor(from, &[hidden_size])?;
        out.exact(to, &weights.shape, &weights.values)
    };
    matrix(out, "model.embed_tokens.weight", "token_embd.weight", [vocab_size, hidden_size])?;
    for layer in 0..n_layers {
        let from = |name: &str| format!("model.layers.{layer}.{name}.weight");
        let to = |name: &str| format!("blk.{layer}.{name}.weight");
        norm(out, &from("input_layernorm"), &to("attn_norm"))?;
        rotated(out, &from("self_attn.q_proj"), &to("attn_q"), n_heads)?;
        rotated(out, &from("self_attn.k_proj"), &to("attn_k"), n_kv_heads)?;
        matrix(out, &from("self_attn.v_proj"), &to("attn_v"), [n_kv_heads * head_dim, hidden_size])?;
        matrix(out, &from("self_attn.o_proj"), &to("attn_output"), [hidden_size, n_heads * head_dim])?;
        norm(out, &from("post_attention_layernorm"), &to("ffn_norm"))?;
        matrix(out, &from("mlp.gate_proj"), &to("ffn_gate"), [intermediate_size, hidden_size])?;
        matrix(out, &from("mlp.up_proj"), &to("ffn_up"), [intermediate_size, hidden_size])?;
        matrix(out, &from("mlp.down_proj"), &to("ffn_down"), [hidden_size, intermediate_size])?;
    }
    norm(out, "model.norm.weight", "output_norm.weight")?;
    let tied = config.get("tie_word_embeddings").and_then(Json::as_bool) == Some(true);
    if !tied && checkpoint.has_tensor("lm_head.weight") {
        matrix(out, "lm_head.weight", "output.weight", [vocab_size, hidden_size])?;
    }
    match checkpoint.tensor_names().find(|name| name.ends_with(".bias")) {
        Some(name) => Err(ModelError::unsupported(format!("it has {name}; only layers without biases are computed"))),
        None => Ok(()),
    }
}

/// Rows of q or k from the half-split rotary layout of Hugging Face to GGUF's interleaved pairs: of each head, row
/// `j * head_dim / 2 + i` becomes row `2 * i + j`.
///
/// # Shapes
/// `values`: `[n_heads * head_dim, columns]`, row-major, in and out.
fn interleave_rotary_rows(values: &[f32], n_heads: usize, head_dim: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for head in 0..n_heads {
        for i in 0..head_dim / 2 {
            for j in 0..2 {
                let row = head * head_dim + j * (head_dim / 2) + i;
                out.extend_from_slice(&values[row * columns..(row + 1) * columns]);
            }
        }
    }
    out
}

/// `rope_theta` and scaling, from the top level or from the newer `rope_parameters`.
fn write_rope(config: &JsonFile, head_dim: usize, out: &mut Output) -> Result<(), ModelError> {
    let parameters = config.get("rope_parameters");
    let scaling = parameters.or_else(|| config.get("rope_scaling"));
    let number = |key: &str| scaling?.get(key)?.as_f64();
    let rope_theta =
        number("rope_theta").or_else(|| config.get("rope_theta").and_then(Json::as_f64)).unwrap_or(10_000.0);
    out.set("llama.rope.freq_base", rope_theta as f32);
    let kind = scaling.and_then(|s| s.get("rope_type").or_else(|| s.get("type"))).and_then(Json::as_str);
    let need = |key: &str| {
        number(key)
            .filter(|x| *x > 0.0)
            .ok_or_else(|| ModelError::invalid("config.json", format!("RoPE scaling needs {key}, a number above 0")))
    };
    match kind {
        None | Some("default") => Ok(()),
        Some("linear") => {
            out.set("llama.rope.scaling.type", "linear");
            out.set("llama.rope.scaling.factor", need("factor")? as f32);
            Ok(())
        }
        Some("llama3") => {
            let factors = llama3_rope_factors(
                rope_theta,
                head_dim,
                need("factor")?,
                need("low_freq_factor")?,
                need("high_freq_factor")?,
                need("original_max_position_embeddings")?,
            );
            out.exact("rope_freqs.weight", &[factors.len()], &factors)
        }
        Some(other) => {
            Err(ModelError::unsupported(format!("its RoPE scaling is {other}; only linear and llama3 are computed")))
        }
    }
}

/// Divisors of the rotary frequencies, one per pair: 1 for short wavelengths, `factor` for long ones, a smooth passage
/// between. Source: `LlamaModel.generate_extra_tensors` of llama.cpp's `convert_hf_to_gguf.py`.
fn llama3_rope_factors(
    rope_theta: f64,
    head_dim: usize,
    factor: f64,
    low_freq_factor: f64,
    high_freq_factor: f64,
    original_context: f64,
) -> Vec<f32> {
    (0..head_dim / 2)
        .map(|i| {
            let wavelength = std::f64::consts::TAU * rope_theta.powf(2.0 * i as f64 / head_dim as f64);
            if wavelength < original_context / high_freq_factor {
                1.0
            } else if wavelength > original_context / low_freq_factor {
                factor as f32
            } else {
                let smooth = (original_context / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            }
        })
        .collect()
}
