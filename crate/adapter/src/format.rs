//! PEFT's two files: `adapter_config.json` and `adapter_model.safetensors` (PEFT 0.21, `LoraConfig`).

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::AdapterError;

/// The fields of `adapter_config.json` that change the arithmetic. Unknown ones are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct AdapterConfig {
    pub peft_type: String,
    pub base_model_name_or_path: Option<String>,
    #[serde(rename = "r")]
    pub rank: usize,
    #[serde(rename = "lora_alpha")]
    pub alpha: f32,
    #[serde(default)]
    pub use_rslora: Option<bool>,
    #[serde(default)]
    pub rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    pub alpha_pattern: BTreeMap<String, f32>,
    /// A list of names, or a regular expression; the tensors present say the same.
    #[serde(default)]
    pub target_modules: Value,
    #[serde(default)]
    use_dora: Option<bool>,
    #[serde(default)]
    fan_in_fan_out: Option<bool>,
    #[serde(default)]
    lora_bias: Option<bool>,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    modules_to_save: Value,
    #[serde(default)]
    trainable_token_indices: Value,
    #[serde(default)]
    target_parameters: Value,
    #[serde(default)]
    layer_replication: Value,
}

impl AdapterConfig {
    /// The names in `target_modules`, or its expression.
    pub fn target_names(&self) -> Vec<String> {
        match &self.target_modules {
            Value::Array(names) => names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect(),
            Value::String(expression) => vec![expression.clone()],
            _ => Vec::new(),
        }
    }

    /// What multiplies `B (A x)` for a module of this `rank`: `alpha/rank`, or `alpha/√rank` with rsLoRA.
    pub fn scaling(&self, module: &str, rank: usize) -> f32 {
        let alpha = pattern_value(&self.alpha_pattern, module).unwrap_or(self.alpha);
        match self.use_rslora {
            Some(true) => alpha / (rank as f32).sqrt(),
            _ => alpha / rank as f32,
        }
    }

    /// The rank that a module's factors must have.
    pub fn rank_of(&self, module: &str) -> usize {
        pattern_value(&self.rank_pattern, module).unwrap_or(self.rank)
    }

    fn check(&self) -> Result<(), AdapterError> {
        let unsupported = |what: &str| Err(AdapterError::Unsupported(what.to_owned()));
        let set = |value: &Value| {
            !matches!(value, Value::Null)
                && value != &Value::Array(Vec::new())
                && value != &Value::Object(Default::default())
        };
        if self.peft_type != "LORA" {
            return unsupported(&format!("the method {}", self.peft_type));
        }
        for (on, what) in [
            (self.use_dora == Some(true), "DoRA (use_dora)"),
            (self.fan_in_fan_out == Some(true), "transposed weights (fan_in_fan_out)"),
            (self.lora_bias == Some(true), "a bias of its own (lora_bias)"),
            (self.bias.as_deref().is_some_and(|bias| bias != "none"), "trained biases (bias)"),
            (set(&self.modules_to_save), "whole modules (modules_to_save)"),
            (set(&self.trainable_token_indices), "trained tokens (trainable_token_indices)"),
            (set(&self.target_parameters), "parameters (target_parameters)"),
            (set(&self.layer_replication), "repeated layers (layer_replication)"),
        ] {
            if on {
                return unsupported(what);
            }
        }
        let patterns = self.rank_pattern.keys().chain(self.alpha_pattern.keys());
        if let Some(pattern) =
            patterns.into_iter().find(|p| p.contains(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')))
        {
            return unsupported(&format!("the pattern \"{pattern}\" in rank_pattern or alpha_pattern"));
        }
        if self.rank == 0 {
            return Err(AdapterError::Invalid("its rank is 0".into()));
        }
        Ok(())
    }
}

/// PEFT matches `(.*\.)?pattern$`; patterns here are plain names.
fn pattern_value<T: Copy>(patterns: &BTreeMap<String, T>, module: &str) -> Option<T> {
    let matches = |pattern: &str| module == pattern || module.ends_with(&format!(".{pattern}"));
    patterns.iter().find(|(pattern, _)| matches(pattern)).map(|(_, value)| *value)
}

/// One factor as it lies in the file.
#[derive(Clone, Debug)]
pub struct Factor {
    pub shape: [usize; 2],
    /// Row-major.
    pub values: Vec<f32>,
}

/// The two factors of a module; `None` where the file lacks one.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// `[rank, in]`
    pub a: Option<Factor>,
    /// `[out, rank]`
    pub b: Option<Factor>,
}

/// An adapter as read, not yet matched to a model.
#[derive(Clone, Debug)]
pub struct PeftAdapter {
    pub config: AdapterConfig,
    /// By module path without PEFT's prefix: `model.layers.0.self_attn.q_proj`.
    pub modules: BTreeMap<String, Factors>,
    /// SHA-256 of the safetensors file, in hexadecimal.
    pub hash: String,
    /// Bytes of the safetensors file.
    pub n_bytes: usize,
}

impl PeftAdapter {
    /// # Errors
    /// `adapter-invalid` for files that cannot be read or belong to no LoRA, `adapter-unsupported`
    /// for variants of LoRA that change the arithmetic in a way not implemented.
    pub fn parse(config_json: &[u8], safetensors: &[u8]) -> Result<Self, AdapterError> {
        let config: AdapterConfig = serde_json::from_slice(config_json)
            .map_err(|e| AdapterError::Invalid(format!("adapter_config.json: {e}")))?;
        config.check()?;
        let file = SafeTensors::deserialize(safetensors)
            .map_err(|e| AdapterError::Invalid(format!("adapter_model.safetensors: {e}")))?;
        let mut modules: BTreeMap<String, Factors> = BTreeMap::new();
        for (name, view) in file.iter() {
            let (module, is_a) = split_key(name)?;
            let factor = read_factor(name, &view)?;
            let factors = modules.entry(module.to_owned()).or_default();
            *(if is_a { &mut factors.a } else { &mut factors.b }) = Some(factor);
        }
        if modules.is_empty() {
            return Err(AdapterError::Invalid("adapter_model.safetensors holds no tensors".into()));
        }
        Ok(Self { config, modules, hash: format!("{:x}", Sha256::digest(safetensors)), n_bytes: safetensors.len() })
    }
}

/// `base_model.model.{module}.lora_{A|B}.weight` to the module and whether it is A.
fn split_key(key: &str) -> Result<(&str, bool), AdapterError> {
    let module = key.strip_prefix("base_model.model.");
    let split = module.and_then(|m| match (m.strip_suffix(".lora_A.weight"), m.strip_suffix(".lora_B.weight")) {
        (Some(module), _) => Some((module, true)),
        (_, Some(module)) => Some((module, false)),
        _ => None,
    });
    split.ok_or_else(|| AdapterError::UnknownTarget(key.to_owned()))
}

fn read_factor(name: &str, view: &TensorView<'_>) -> Result<Factor, AdapterError> {
    let Ok(shape) = <[usize; 2]>::try_from(view.shape()) else {
        return Err(AdapterError::Invalid(format!("{name} is not a matrix")));
    };
    let data = view.data();
    let pairs = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => pairs().map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        other => return Err(AdapterError::Invalid(format!("{name} holds {other:?} values"))),
    };
    if values.iter().any(|v| !v.is_finite()) {
        return Err(AdapterError::Invalid(format!("{name} holds values that are not numbers")));
    }
    Ok(Factor { shape, values })
}
