//! An adapter's factors in a model's own layout.

use lectern_model::decoder::DecoderConfig;
use lectern_model::gguf::Gguf;
use lectern_model::lora::{LoraLayer, LoraSet, LowRank, Projection};

use crate::error::AdapterError;
use crate::format::{Factor, Factors, PeftAdapter};

/// What a GGUF file says of its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseModel {
    pub name: Option<String>,
    /// `general.basename`: the family, such as `smollm2`.
    pub basename: Option<String>,
    /// `general.size_label`, such as `135M`.
    pub size_label: Option<String>,
}

impl BaseModel {
    pub fn from_gguf(gguf: &Gguf) -> Self {
        let text = |key: &str| gguf.str(key).ok().map(str::to_owned);
        Self { name: text("general.name"), basename: text("general.basename"), size_label: text("general.size_label") }
    }

    /// Whether `adapter_base`, a hub name or a path, can be this model: it names the family and the
    /// size that the file states. What is not stated is not held against it.
    fn admits(&self, adapter_base: &str) -> bool {
        let plain =
            |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let name = plain(adapter_base.trim_end_matches('/').rsplit('/').next().unwrap_or(adapter_base));
        [&self.basename, &self.size_label].into_iter().flatten().all(|stated| name.contains(&plain(stated)))
    }
}

/// Lays `adapter` out for a model; rows of `q_proj` and `k_proj` go to GGUF's interleaved order.
///
/// # Errors
/// `adapter-base-mismatch`, `adapter-unknown-target`, `adapter-shape`, `adapter-invalid` when a
/// factor is missing, `adapter-no-effect` when every product is zero.
pub fn attach(
    adapter: &PeftAdapter,
    name: &str,
    config: &DecoderConfig,
    base: &BaseModel,
) -> Result<LoraSet, AdapterError> {
    if let Some(adapter_base) =
        adapter.config.base_model_name_or_path.as_deref().filter(|b| !b.is_empty() && !base.admits(b))
    {
        let model = base.name.clone().or_else(|| base.basename.clone()).unwrap_or_else(|| "another model".into());
        return Err(AdapterError::BaseMismatch { adapter_base: adapter_base.to_owned(), model });
    }
    let mut layers = vec![LoraLayer::default(); config.num_hidden_layers];
    let mut has_effect = false;
    for (module, factors) in &adapter.modules {
        let (layer, projection) = locate(module)?;
        let target = layers.get_mut(layer).ok_or_else(|| AdapterError::UnknownTarget(module.clone()))?;
        let low_rank = low_rank(adapter, module, projection, factors, config)?;
        has_effect |=
            low_rank.a.iter().any(|&v| v != 0.0) && low_rank.b.iter().any(|&v| v != 0.0) && low_rank.scaling != 0.0;
        target.set(projection, low_rank);
    }
    if !has_effect {
        return Err(AdapterError::NoEffect);
    }
    Ok(LoraSet { name: name.to_owned(), hash: adapter.hash.clone(), layers })
}

/// `model.layers.{i}.{self_attn|mlp}.{proj}` to the layer and its projection.
fn locate(module: &str) -> Result<(usize, Projection), AdapterError> {
    let unknown = || AdapterError::UnknownTarget(module.to_owned());
    let (layer, linear) =
        module.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')).ok_or_else(unknown)?;
    let projection = match linear {
        "self_attn.q_proj" => Projection::Q,
        "self_attn.k_proj" => Projection::K,
        "self_attn.v_proj" => Projection::V,
        "self_attn.o_proj" => Projection::O,
        "mlp.gate_proj" => Projection::Gate,
        "mlp.up_proj" => Projection::Up,
        "mlp.down_proj" => Projection::Down,
        _ => return Err(unknown()),
    };
    Ok((layer.parse().map_err(|_| unknown())?, projection))
}

fn low_rank(
    adapter: &PeftAdapter,
    module: &str,
    projection: Projection,
    factors: &Factors,
    config: &DecoderConfig,
) -> Result<LowRank, AdapterError> {
    let (n_out, n_in) = shape(projection, config);
    let rank = adapter.config.rank_of(module);
    let missing = |which: &str| AdapterError::Invalid(format!("{module} has no lora_{which}"));
    let a = factors.a.as_ref().ok_or_else(|| missing("A"))?;
    let b = factors.b.as_ref().ok_or_else(|| missing("B"))?;
    check_shape(module, "lora_A", a, [rank, n_in])?;
    check_shape(module, "lora_B", b, [n_out, rank])?;
    let b = match projection {
        Projection::Q | Projection::K => interleave_rows(&b.values, rank, config.head_dim),
        _ => b.values.clone(),
    };
    Ok(LowRank { rank, a: a.values.clone(), b, scaling: adapter.config.scaling(module, rank) })
}

/// `(out, in)` of a projection.
fn shape(projection: Projection, config: &DecoderConfig) -> (usize, usize) {
    let (hidden, ff) = (config.hidden_size, config.intermediate_size);
    match projection {
        Projection::Q => (config.q_dim(), hidden),
        Projection::K | Projection::V => (config.kv_dim(), hidden),
        Projection::O => (hidden, config.q_dim()),
        Projection::Gate | Projection::Up => (ff, hidden),
        Projection::Down => (hidden, ff),
    }
}

fn check_shape(module: &str, which: &str, factor: &Factor, expected: [usize; 2]) -> Result<(), AdapterError> {
    if factor.shape != expected {
        return Err(AdapterError::Shape {
            tensor: format!("{module}.{which}"),
            got: factor.shape.to_vec(),
            expected: expected.to_vec(),
        });
    }
    Ok(())
}

/// Row `h·D + 2i + s` of the result is row `h·D + s·D/2 + i` of `rows`, `[out, width]`: PEFT keeps
/// the halves of a rotary pair D/2 apart, GGUF side by side.
fn interleave_rows(rows: &[f32], width: usize, head_dim: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let mut out = Vec::with_capacity(rows.len());
    for row in 0..rows.len() / width {
        let (head, within) = (row / head_dim, row % head_dim);
        let from = head * head_dim + within % 2 * half + within / 2;
        out.extend_from_slice(&rows[from * width..(from + 1) * width]);
    }
    out
}

#[cfg(test)]
mod tests;
