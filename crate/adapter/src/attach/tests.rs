use super::*;
use lectern_model::decoder::RopeScaling;
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::BTreeMap;

fn config() -> DecoderConfig {
    DecoderConfig {
        vocab_size: 64,
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        rope_scaling: RopeScaling::None,
        context_length: 64,
        tied_head: true,
    }
}

fn base() -> BaseModel {
    BaseModel { name: Some("Tiny".into()), basename: Some("tiny".into()), size_label: Some("1M".into()) }
}

fn config_json(extra: &str) -> String {
    format!(
        r#"{{"peft_type":"LORA","base_model_name_or_path":"someone/Tiny-1M-Instruct","r":2,"lora_alpha":4{extra}}}"#
    )
}

/// A file with one module whose B is `[n_out, 2]` numbered by row.
fn file(module: &str, n_out: usize, n_in: usize, b_value: impl Fn(usize) -> f32) -> Vec<u8> {
    let bytes = |values: Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let (a, b) = (bytes(vec![1.0; 2 * n_in]), bytes((0..n_out * 2).map(|i| b_value(i / 2)).collect()));
    let mut tensors = BTreeMap::new();
    tensors.insert(
        format!("base_model.model.{module}.lora_A.weight"),
        TensorView::new(Dtype::F32, vec![2, n_in], &a).unwrap(),
    );
    tensors.insert(
        format!("base_model.model.{module}.lora_B.weight"),
        TensorView::new(Dtype::F32, vec![n_out, 2], &b).unwrap(),
    );
    serialize(tensors, None).unwrap()
}

/// The code an adapter is refused with, or "" when it is accepted.
fn check(config_extra: &str, safetensors: &[u8], base: &BaseModel) -> &'static str {
    let attached = PeftAdapter::parse(config_json(config_extra).as_bytes(), safetensors)
        .and_then(|adapter| attach(&adapter, "a", &config(), base));
    attached.err().map_or("", |e| e.code())
}

const Q: &str = "model.layers.1.self_attn.q_proj";

#[test]
fn query_rows_are_interleaved_and_others_are_not() {
    let rows = |module: &str, projection, n_out| {
        let adapter =
            PeftAdapter::parse(config_json("").as_bytes(), &file(module, n_out, 32, |row| row as f32 + 1.0)).unwrap();
        let set = attach(&adapter, "a", &config(), &base()).unwrap();
        let factors = set.layers[1].get(projection).unwrap();
        assert_eq!(factors.scaling, 2.0);
        factors.b.chunks(2).map(|row| row[0] as usize - 1).collect::<Vec<_>>()
    };
    assert_eq!(rows(Q, Projection::Q, 32)[..8], [0, 4, 1, 5, 2, 6, 3, 7]);
    assert_eq!(rows(Q, Projection::Q, 32)[8..10], [8, 12]);
    assert_eq!(rows("model.layers.1.self_attn.v_proj", Projection::V, 16), (0..16).collect::<Vec<_>>());
}

#[test]
fn rank_stabilised_scaling_and_patterns_are_honoured() {
    let scaling = |extra: &str| {
        let adapter = PeftAdapter::parse(config_json(extra).as_bytes(), &file(Q, 32, 32, |_| 1.0)).unwrap();
        attach(&adapter, "a", &config(), &base()).unwrap().layers[1].get(Projection::Q).unwrap().scaling
    };
    assert_eq!(scaling(r#","use_rslora":true"#), 4.0 / 2f32.sqrt());
    assert_eq!(scaling(r#","alpha_pattern":{"q_proj":10}"#), 5.0);
    assert_eq!(scaling(r#","alpha_pattern":{"v_proj":10}"#), 2.0);
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let fits = file(Q, 32, 32, |_| 1.0);
    assert_eq!(check("", &fits, &base()), "");
    assert_eq!(check("", &fits, &BaseModel::default()), "");
    assert_eq!(check("", &fits, &BaseModel { basename: Some("llama".into()), ..base() }), "adapter-base-mismatch");
    assert_eq!(check("", &fits, &BaseModel { size_label: Some("360M".into()), ..base() }), "adapter-base-mismatch");
    assert_eq!(check("", &file("model.layers.2.self_attn.q_proj", 32, 32, |_| 1.0), &base()), "adapter-unknown-target");
    assert_eq!(check("", &file("lm_head", 64, 32, |_| 1.0), &base()), "adapter-unknown-target");
    assert_eq!(check("", &file(Q, 16, 32, |_| 1.0), &base()), "adapter-shape");
    assert_eq!(check(r#","rank_pattern":{"q_proj":3}"#, &fits, &base()), "adapter-shape");
    assert_eq!(check("", &file(Q, 32, 32, |_| 0.0), &base()), "adapter-no-effect");
    assert_eq!(check(r#","use_dora":true"#, &fits, &base()), "adapter-unsupported");
    assert_eq!(check(r#","modules_to_save":["lm_head"]"#, &fits, &base()), "adapter-unsupported");
    assert_eq!(check("", &fits[..fits.len() - 9], &base()), "adapter-invalid");
    assert_eq!(check("", &file(Q, 32, 32, |_| f32::NAN), &base()), "adapter-invalid");
    assert_eq!(PeftAdapter::parse(b"{", &fits).unwrap_err().code(), "adapter-invalid");
}
