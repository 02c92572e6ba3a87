use std::collections::HashMap;

use safetensors::{Dtype, tensor::TensorView};

use super::*;
use crate::gguf::Gguf;
use crate::tokenizer::Tokenizer;

/// A checkpoint's tensors, each filled with its own running numbers.
fn weights(shapes: &[(String, Vec<usize>)]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| (0..shape.iter().product()).flat_map(|i: usize| (i as f32).to_le_bytes()).collect())
        .collect();
    let views: HashMap<String, TensorView> = shapes
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()))
        .collect();
    safetensors::serialize(views, None).unwrap()
}

fn owned(shapes: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
    shapes.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect()
}

fn bert_shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = owned(&[
        ("embeddings.word_embeddings.weight", &[6, 32]),
        ("embeddings.position_embeddings.weight", &[8, 32]),
        ("embeddings.token_type_embeddings.weight", &[2, 32]),
        ("embeddings.LayerNorm.weight", &[32]),
        ("embeddings.LayerNorm.bias", &[32]),
    ]);
    for (name, rows, columns) in [
        ("attention.self.query", 32, 32),
        ("attention.self.key", 32, 32),
        ("attention.self.value", 32, 32),
        ("attention.output.dense", 32, 32),
        ("intermediate.dense", 64, 32),
        ("output.dense", 32, 64),
    ] {
        shapes.push((format!("encoder.layer.0.{name}.weight"), vec![rows, columns]));
        shapes.push((format!("encoder.layer.0.{name}.bias"), vec![rows]));
    }
    for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
        shapes.push((format!("encoder.layer.0.{name}.weight"), vec![32]));
        shapes.push((format!("encoder.layer.0.{name}.bias"), vec![32]));
    }
    shapes
}

fn bert_weights() -> Vec<u8> {
    weights(&bert_shapes())
}

const BERT_CONFIG: &str = r#"{"model_type":"bert","hidden_act":"gelu","hidden_size":32,"intermediate_size":64,
    "num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":8,"type_vocab_size":2,"vocab_size":6,
    "layer_norm_eps":1e-12}"#;
const BERT_TOKENIZER: &str = r###"{"version":"1.0","truncation":null,"padding":null,
    "added_tokens":[{"id":0,"content":"[PAD]","special":true,"single_word":false,"lstrip":false,"rstrip":false,
    "normalized":false},{"id":1,"content":"[UNK]","special":true,"single_word":false,"lstrip":false,"rstrip":false,
    "normalized":false},{"id":2,"content":"[CLS]","special":true,"single_word":false,"lstrip":false,"rstrip":false,
    "normalized":false},{"id":3,"content":"[SEP]","special":true,"single_word":false,"lstrip":false,"rstrip":false,
    "normalized":false}],
    "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,
    "lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
    "post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},
    "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
    "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
    "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"read":4,"##ing":5}}}"###;
const MEAN: &str = r#"{"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true}"#;

fn bert_files<'a>(config: &'a str, pooling: &'a str, weights: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    vec![
        ("config.json", config.as_bytes()),
        ("tokenizer.json", BERT_TOKENIZER.as_bytes()),
        ("1_Pooling/config.json", pooling.as_bytes()),
        ("model.safetensors", weights),
    ]
}

#[test]
fn bert_becomes_what_llama_cpp_calls_it() {
    let weights = bert_weights();
    let bytes = convert("tiny", &bert_files(BERT_CONFIG, MEAN, &weights), Quantization::Q8_0).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.str("general.architecture").unwrap(), "bert");
    assert_eq!(gguf.u32("bert.pooling_type").unwrap(), POOLING_MEAN);
    assert_eq!(gguf.f32("bert.attention.layer_norm_epsilon").unwrap(), 1e-12);
    assert!(!gguf.bool("bert.attention.causal").unwrap());
    assert_eq!(gguf.strs("tokenizer.ggml.tokens").unwrap(), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁read", "ing"]);
    for (name, shape, kind) in [
        ("token_embd.weight", vec![6, 32], TensorKind::Q8_0),
        ("position_embd.weight", vec![8, 32], TensorKind::F32),
        ("token_types.weight", vec![2, 32], TensorKind::F32),
        ("blk.0.ffn_up.weight", vec![64, 32], TensorKind::Q8_0),
        ("blk.0.ffn_down.weight", vec![32, 64], TensorKind::Q8_0),
        ("blk.0.ffn_down.bias", vec![32], TensorKind::F32),
        ("blk.0.layer_output_norm.weight", vec![32], TensorKind::F32),
    ] {
        let tensor = gguf.tensor(name).unwrap();
        assert_eq!((&tensor.shape, tensor.kind), (&shape, kind), "{name}");
    }
    assert_eq!(gguf.tensors().len(), 5 + 6 * 2 + 2 * 2);

    // The embedded tokenizer and the one built from the vocabulary agree.
    let embedded = Tokenizer::from_gguf(&gguf).unwrap();
    let bare = rewrite_without(&gguf, crate::tokenizer::EMBEDDED_KEY);
    let built = Tokenizer::from_gguf(&Gguf::parse(&bare).unwrap()).unwrap();
    for text in ["Reading, read", "readingread", ""] {
        assert_eq!(embedded.encode(text, true).unwrap(), built.encode(text, true).unwrap(), "{text}");
    }
}

const POOLING_MEAN: u32 = 1;
const POOLING_RANK: u32 = 4;

#[test]
fn a_reranker_keeps_its_head_and_an_embedder_has_none() {
    let mut shapes: Vec<_> = bert_shapes().into_iter().map(|(name, shape)| (format!("bert.{name}"), shape)).collect();
    shapes.extend(owned(&[
        ("bert.pooler.dense.weight", &[32, 32]),
        ("bert.pooler.dense.bias", &[32]),
        ("classifier.weight", &[1, 32]),
        ("classifier.bias", &[1]),
    ]));
    let weights = weights(&shapes);
    let config = BERT_CONFIG.replacen('{', r#"{"architectures":["BertForSequenceClassification"],"#, 1);
    let mut files = bert_files(&config, MEAN, &weights);
    // Pooling beside the model says that it makes vectors, whatever head is left in it.
    let embedder = Gguf::parse(&convert("tiny", &files, Quantization::Q8_0).unwrap()).unwrap();
    assert_eq!(embedder.u32("bert.pooling_type").unwrap(), POOLING_MEAN);
    assert!(!embedder.has_tensor("cls.weight") && !embedder.has_tensor("cls.output.weight"));

    files.retain(|(name, _)| *name != "1_Pooling/config.json");
    let gguf = Gguf::parse(&convert("tiny", &files, Quantization::Q8_0).unwrap()).unwrap();
    assert_eq!(gguf.u32("bert.pooling_type").unwrap(), POOLING_RANK);
    for (name, shape, kind) in [
        ("cls.weight", vec![32, 32], TensorKind::Q8_0),
        ("cls.bias", vec![32], TensorKind::F32),
        ("cls.output.weight", vec![1, 32], TensorKind::F32),
        ("cls.output.bias", vec![1], TensorKind::F32),
    ] {
        let tensor = gguf.tensor(name).unwrap();
        assert_eq!((&tensor.shape, tensor.kind), (&shape, kind), "{name}");
    }
    assert_eq!(gguf.tensors().len(), embedder.tensors().len() + 4);
}

fn rewrite_without(gguf: &Gguf, key: &str) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    for known in gguf.keys().filter(|known| *known != key) {
        writer.set(known, gguf.value(known).unwrap().clone());
    }
    writer.finish()
}

#[test]
fn what_is_not_computed_is_refused() {
    let weights = bert_weights();
    let code = |config: &str, pooling: &str| {
        convert("tiny", &bert_files(config, pooling, &weights), Quantization::F32).unwrap_err().code()
    };
    assert_eq!(code(&BERT_CONFIG.replace("\"gelu\"", "\"relu\""), MEAN), "model-unsupported");
    assert_eq!(code(&BERT_CONFIG.replace("\"bert\"", "\"t5\""), MEAN), "model-unsupported");
    assert_eq!(code(BERT_CONFIG, r#"{"pooling_mode_max_tokens":true}"#), "model-unsupported");
    assert_eq!(code(&BERT_CONFIG.replace("\"hidden_size\":32", "\"hidden_size\":64"), MEAN), "model-invalid");
    assert_eq!(code("{", MEAN), "model-invalid");
    let files = bert_files(BERT_CONFIG, MEAN, &weights[..weights.len() - 4]);
    assert_eq!(convert("tiny", &files, Quantization::F32).unwrap_err().code(), "model-invalid");
    assert_eq!(convert("tiny", &[], Quantization::F32).unwrap_err().code(), "model-invalid");
}

const LLAMA_CONFIG: &str = r#"{"model_type":"llama","hidden_act":"silu","hidden_size":8,"intermediate_size":12,
    "num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":16,
    "rms_norm_eps":1e-5,"rope_theta":500000.0,"vocab_size":260,"tie_word_embeddings":false,
    "rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
    "original_max_position_embeddings":8192}}"#;

fn llama_weights() -> Vec<u8> {
    let layer = "model.layers.0";
    let mut shapes =
        owned(&[("model.embed_tokens.weight", &[260, 8]), ("model.norm.weight", &[8]), ("lm_head.weight", &[260, 8])]);
    for (name, shape) in [
        ("input_layernorm", vec![8]),
        ("self_attn.q_proj", vec![8, 8]),
        ("self_attn.k_proj", vec![4, 8]),
        ("self_attn.v_proj", vec![4, 8]),
        ("self_attn.o_proj", vec![8, 8]),
        ("post_attention_layernorm", vec![8]),
        ("mlp.gate_proj", vec![12, 8]),
        ("mlp.up_proj", vec![12, 8]),
        ("mlp.down_proj", vec![8, 12]),
    ] {
        shapes.push((format!("{layer}.{name}.weight"), shape));
    }
    weights(&shapes)
}

/// SmolLM's kind of tokenizer over bytes alone, from the tokenizers crate itself.
fn llama_tokenizer() -> String {
    let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
    let mut characters: Vec<char> = alphabet.into_iter().collect();
    characters.sort_unstable();
    let mut vocab = serde_json::Map::new();
    for (id, token) in characters.into_iter().map(String::from).chain(["he".to_owned()]).enumerate() {
        vocab.insert(token, id.into());
    }
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 257, "content": "<|im_end|>", "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false}],
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab,
            "merges": [["h", "e"]]},
    })
    .to_string()
}

#[test]
fn llama_rows_are_interleaved_and_long_rope_is_kept() {
    let (weights, tokenizer) = (llama_weights(), llama_tokenizer());
    let files: Vec<(&str, &[u8])> = vec![
        ("config.json", LLAMA_CONFIG.as_bytes()),
        ("tokenizer.json", tokenizer.as_bytes()),
        ("tokenizer_config.json", br#"{"eos_token":"<|im_end|>","chat_template":"{{ messages }}"}"#),
        ("model.safetensors", &weights),
    ];
    let bytes = convert("tiny", &files, Quantization::F32).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.u32("llama.attention.head_count_kv").unwrap(), 1);
    assert_eq!(gguf.u32("llama.rope.dimension_count").unwrap(), 4);
    assert_eq!(gguf.f32("llama.rope.freq_base").unwrap(), 500000.0);
    assert_eq!(gguf.str("tokenizer.chat_template").unwrap(), "{{ messages }}");
    assert_eq!(gguf.str("tokenizer.ggml.pre").unwrap(), "smollm");
    assert_eq!(gguf.strs("tokenizer.ggml.merges").unwrap(), ["h e"]);
    assert_eq!(gguf.u32("tokenizer.ggml.eos_token_id").unwrap(), 257);
    assert!(gguf.has_tensor("output.weight"));

    // Head 0 has rows 0..4 in halves (0, 1 | 2, 3): pairs are (0, 2) and (1, 3). Rows hold running numbers.
    let first_of_rows = |name: &str| -> Vec<f32> { gguf.values(name).unwrap().iter().step_by(8).copied().collect() };
    assert_eq!(first_of_rows("blk.0.attn_q.weight"), [0, 2, 1, 3, 4, 6, 5, 7].map(|row| row as f32 * 8.0));
    assert_eq!(first_of_rows("blk.0.attn_k.weight"), [0, 2, 1, 3].map(|row| row as f32 * 8.0));
    assert_eq!(first_of_rows("blk.0.attn_v.weight"), [0, 1, 2, 3].map(|row| row as f32 * 8.0));

    // Wavelengths 2π and 2π·√500000 = 4443, the latter between 8192 / 4 and 8192 / 1.
    let factors = gguf.values("rope_freqs.weight").unwrap();
    let smooth = (8192.0 / 4442.88 - 1.0) / 3.0;
    assert_eq!(factors[0], 1.0);
    assert!((factors[1] - 1.0 / ((1.0 - smooth) / 8.0 + smooth)).abs() < 1e-4, "{factors:?}");

    let embedded = Tokenizer::from_gguf(&gguf).unwrap();
    let bare = rewrite_without(&gguf, crate::tokenizer::EMBEDDED_KEY);
    let built = Tokenizer::from_gguf(&Gguf::parse(&bare).unwrap()).unwrap();
    let text = "he said 12<|im_end|>";
    assert_eq!(embedded.encode(text, true).unwrap(), built.encode(text, true).unwrap());
}

#[test]
fn rope_scaling_that_is_not_computed_is_refused() {
    let (weights, tokenizer) = (llama_weights(), llama_tokenizer());
    let convert_with = |config: &str| {
        let files: Vec<(&str, &[u8])> = vec![
            ("config.json", config.as_bytes()),
            ("tokenizer.json", tokenizer.as_bytes()),
            ("model.safetensors", &weights),
        ];
        convert("tiny", &files, Quantization::F16)
    };
    let linear = convert_with(&LLAMA_CONFIG.replace("llama3", "linear")).unwrap();
    let gguf = Gguf::parse(&linear).unwrap();
    assert_eq!(gguf.str("llama.rope.scaling.type").unwrap(), "linear");
    assert_eq!(gguf.f32("llama.rope.scaling.factor").unwrap(), 8.0);
    assert!(!gguf.has_tensor("rope_freqs.weight"));
    assert_eq!(convert_with(&LLAMA_CONFIG.replace("llama3", "yarn")).unwrap_err().code(), "model-unsupported");
    let biased = LLAMA_CONFIG.replace("\"hidden_act\"", "\"attention_bias\":true,\"hidden_act\"");
    assert_eq!(convert_with(&biased).unwrap_err().code(), "model-unsupported");
}
