//! BERT sentence encoders (`BertModel` and sentence-transformers around it), and re-rankers
//! (`BertForSequenceClassification` of one label).

use serde_json::Value as Json;

use super::checkpoint::{Checkpoint, JsonFile};
use super::{Output, vocab};
use crate::error::ModelError;

/// llama.cpp's `bert.pooling_type`.
const POOLING_MEAN: u32 = 1;
const POOLING_CLS: u32 = 2;
const POOLING_RANK: u32 = 4;

pub(super) fn write(checkpoint: &Checkpoint, out: &mut Output) -> Result<(), ModelError> {
    let config = &checkpoint.config;
    require(config, "hidden_act", "gelu")?;
    require(config, "position_embedding_type", "absolute")?;
    let hidden_size = config.usize("hidden_size")?;
    let intermediate_size = config.usize("intermediate_size")?;
    let n_layers = config.usize("num_hidden_layers")?;
    let n_ctx = config.usize("max_position_embeddings")?;
    let is_reranker = is_reranker(checkpoint)?;
    let pooling = if is_reranker { POOLING_RANK } else { pooling_type(checkpoint.pooling.as_ref())? };

    out.set("bert.block_count", n_layers as u32);
    out.set("bert.context_length", n_ctx as u32);
    out.set("bert.embedding_length", hidden_size as u32);
    out.set("bert.feed_forward_length", intermediate_size as u32);
    out.set("bert.attention.head_count", config.usize("num_attention_heads")? as u32);
    out.set("bert.attention.layer_norm_epsilon", config.f32("layer_norm_eps")?);
    out.set("bert.attention.causal", false);
    out.set("bert.pooling_type", pooling);
    vocab::write_wordpiece(checkpoint, out)?;
    out.set("tokenizer.ggml.token_type_count", config.usize("type_vocab_size")? as u32);

    let prefix = if checkpoint.has_tensor("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
    let matrix = |out: &mut Output, from: &str, to: &str, shape: [usize; 2]| {
        let weights = checkpoint.tensor(&format!("{prefix}{from}.weight"), &shape)?;
        out.matrix(&format!("{to}.weight"), &weights.shape, &weights.values)
    };
    let vector = |out: &mut Output, from: &str, to: &str, part: &str, n: usize| {
        let weights = checkpoint.tensor(&format!("{prefix}{from}.{part}"), &[n])?;
        out.exact(&format!("{to}.{part}"), &weights.shape, &weights.values)
    };
    let table = |out: &mut Output, from: &str, to: &str, rows: usize| {
        let weights = checkpoint.tensor(&format!("{prefix}{from}.weight"), &[rows, hidden_size])?;
        out.exact(&format!("{to}.weight"), &weights.shape, &weights.values)
    };

    matrix(out, "embeddings.word_embeddings", "token_embd", [config.usize("vocab_size")?, hidden_size])?;
    table(out, "embeddings.position_embeddings", "position_embd", n_ctx)?;
    table(out, "embeddings.token_type_embeddings", "token_types", config.usize("type_vocab_size")?)?;
    for part in ["weight", "bias"] {
        vector(out, "embeddings.LayerNorm", "token_embd_norm", part, hidden_size)?;
    }
    for layer in 0..n_layers {
        let linears = [
            ("attention.self.query", "attn_q", hidden_size, hidden_size),
            ("attention.self.key", "attn_k", hidden_size, hidden_size),
            ("attention.self.value", "attn_v", hidden_size, hidden_size),
            ("attention.output.dense", "attn_output", hidden_size, hidden_size),
            ("intermediate.dense", "ffn_up", intermediate_size, hidden_size),
            ("output.dense", "ffn_down", hidden_size, intermediate_size),
        ];
        for (from, to, rows, columns) in linears {
            let (from, to) = (format!("encoder.layer.{layer}.{from}"), format!("blk.{layer}.{to}"));
            matrix(out, &from, &to, [rows, columns])?;
            vector(out, &from, &to, "bias", rows)?;
        }
        for (from, to) in
            [("attention.output.LayerNorm", "attn_output_norm"), ("output.LayerNorm", "layer_output_norm")]
        {
            let (from, to) = (format!("encoder.layer.{layer}.{from}"), format!("blk.{layer}.{to}"));
            vector(out, &from, &to, "weight", hidden_size)?;
            vector(out, &from, &to, "bias", hidden_size)?;
        }
    }
    if is_reranker {
        matrix(out, "pooler.dense", "cls", [hidden_size, hidden_size])?;
        vector(out, "pooler.dense", "cls", "bias", hidden_size)?;
        for (part, shape) in [("weight", &[1, hidden_size][..]), ("bias", &[1])] {
            let weights = checkpoint.tensor(&format!("classifier.{part}"), shape)?;
            out.exact(&format!("cls.output.{part}"), &weights.shape, &weights.values)?;
        }
    }
    Ok(())
}

/// Whether the checkpoint classifies, and nothing says that its tokens are pooled to a vector.
///
/// # Errors
/// `model-unsupported` for more labels than one.
fn is_reranker(checkpoint: &Checkpoint) -> Result<bool, ModelError> {
    let architectures = checkpoint.config.get("architectures").and_then(Json::as_array);
    let classifies = architectures.into_iter().flatten().any(|name| name == "BertForSequenceClassification");
    if !classifies || checkpoint.pooling.is_some() {
        return Ok(false);
    }
    match checkpoint.shape("classifier.weight").as_deref() {
        Some([n, _]) if *n != 1 => Err(ModelError::unsupported(format!(
            "its classifier has {n} labels; convert a re-ranker, which has one, or an embedder"
        ))),
        _ => Ok(true),
    }
}

/// A setting that may be missing (then it has the one value that is computed here) but not different.
fn require(config: &JsonFile, key: &str, wanted: &str) -> Result<(), ModelError> {
    match config.get(key) {
        None => Ok(()),
        Some(Json::String(found)) if found == wanted => Ok(()),
        Some(found) => Err(ModelError::unsupported(format!("its {key} is {found}; only {wanted} is computed"))),
    }
}

/// From sentence-transformers' `1_Pooling/config.json`, older (`pooling_mode_*`) or newer (`pooling_mode`) form.
fn pooling_type(pooling: Option<&JsonFile>) -> Result<u32, ModelError> {
    let Some(pooling) = pooling else {
        return Err(ModelError::invalid(
            "1_Pooling/config.json",
            "is not in the checkpoint folder, so how sentences are pooled is unknown",
        ));
    };
    let modes: Vec<&str> = match (pooling.get("pooling_mode"), pooling.json.as_object()) {
        (Some(Json::String(mode)), _) => vec![mode],
        (_, Some(fields)) => fields
            .iter()
            .filter(|(_, on)| on.as_bool() == Some(true))
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
            .map(|mode| mode.strip_suffix("_tokens").or_else(|| mode.strip_suffix("_token")).unwrap_or(mode))
            .collect(),
        _ => vec![],
    };
    match modes[..] {
        ["mean"] => Ok(POOLING_MEAN),
        ["cls"] => Ok(POOLING_CLS),
        _ => Err(ModelError::unsupported(format!("it pools by {modes:?}; only mean or cls is computed"))),
    }
}
