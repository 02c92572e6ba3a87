//! The CPU cross-encoder against transformers in fp32 over a tiny checkpoint of seeded weights.

use std::collections::BTreeMap;

use lectern_model::convert::{Quantization, convert};
use lectern_model::encoder::{CrossEncoder, EncoderWeights};
use lectern_model::{Gguf, GgufWriter, ModelError, Precision, TensorKind};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

use crate::support::{TestHost, block_on, embedder_gguf, golden};
use crate::tiny_checkpoint::Rng;

/// `model.safetensors`, as `tests/reference/reranker.py` makes it.
fn weights(golden: &Value) -> Vec<u8> {
    let mut rng = Rng(golden["seed"].as_u64().unwrap());
    let mut tensors = BTreeMap::new();
    for tensor in golden["tensors"].as_array().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(tensor[1].clone()).unwrap();
        let [centre, spread] = [2, 3].map(|i| tensor[i].as_f64().unwrap() as f32);
        let mut values = Vec::new();
        for _ in 0..shape.iter().product() {
            values.extend((centre + spread * (2.0 * rng.uniform() - 1.0)).to_le_bytes());
        }
        tensors.insert(tensor[0].as_str().unwrap(), (shape, values));
    }
    let view = |shape: &Vec<usize>, values| TensorView::new(Dtype::F32, shape.clone(), values).unwrap();
    serialize(tensors.iter().map(|(name, (shape, values))| (*name, view(shape, values))), None).unwrap()
}

fn converted(golden: &Value, quantization: Quantization) -> Result<Vec<u8>, ModelError> {
    let [config, tokenizer] = ["config", "tokenizer"].map(|name| golden[name].to_string());
    let files: [(&str, &[u8]); 3] = [
        ("config.json", config.as_bytes()),
        ("tokenizer.json", tokenizer.as_bytes()),
        ("model.safetensors", &weights(golden)),
    ];
    convert("tiny", &files, quantization)
}

pub fn reranker_gguf(quantization: Quantization) -> Vec<u8> {
    converted(&golden("reranker"), quantization).unwrap()
}

fn reranker(quantization: Quantization) -> CrossEncoder {
    CrossEncoder::from_gguf(&mut Gguf::parse(&reranker_gguf(quantization)).unwrap()).unwrap()
}

fn scores(reranker: &mut CrossEncoder, question: &str, passages: &[&str]) -> Vec<f32> {
    block_on(reranker.scores(question, passages, &TestHost::default())).unwrap()
}

/// Question, passage and logit of every golden pair.
fn pairs() -> Vec<(String, String, f32)> {
    let golden = golden("reranker");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pair = |p: &Value| (text(&p["question"]), text(&p["passage"]), p["logit"].as_f64().unwrap() as f32);
    golden["pairs"].as_array().unwrap().iter().map(pair).collect()
}

fn check(quantization: Quantization, precision: Precision, at_most: f32) {
    let mut reranker = reranker(quantization);
    reranker.set_precision(precision);
    let mut largest = 0f32;
    for (question, passage, logit) in pairs() {
        let score = scores(&mut reranker, &question, &[&passage])[0];
        assert!((score - logit).abs() <= at_most, "{score} is not {logit}: {question} {passage}");
        largest = largest.max((score - logit).abs());
    }
    println!("{quantization:?}, {precision:?}: largest error {largest:.1e}");
}

#[test]
fn logits_are_the_references() {
    check(Quantization::F32, Precision::Exact, 1e-4);
    check(Quantization::F16, Precision::Exact, 3e-3);
    check(Quantization::Q8_0, Precision::Exact, 0.03);
    check(Quantization::Q8_0, Precision::Fast, 0.06);
}

#[test]
fn a_pair_scores_the_same_alone_as_among_others() {
    // Lengths that fill tiles of four rows and batches differently.
    let long = ["the tower stands by the sea. "; 12].concat();
    let passages: Vec<&str> = (0..40).map(|i| &long[..i * 8 % long.len()]).collect();
    for (quantization, precision) in [
        (Quantization::F32, Precision::Exact),
        (Quantization::Q8_0, Precision::Exact),
        (Quantization::Q8_0, Precision::Fast),
    ] {
        let mut reranker = reranker(quantization);
        reranker.set_precision(precision);
        let together = scores(&mut reranker, "Where is the tower?", &passages);
        assert_eq!(together.len(), passages.len());
        for (passage, score) in passages.iter().zip(&together) {
            let alone = scores(&mut reranker, "Where is the tower?", &[passage])[0];
            assert_eq!(alone.to_bits(), score.to_bits(), "{passage:?} in {quantization:?}, {precision:?}");
        }
    }
}

#[test]
fn a_passage_is_cut_at_its_end_and_a_question_only_where_it_leaves_no_room() {
    let mut reranker = reranker(Quantization::F32);
    let passage = ["the tower stands by the sea "; 3].concat();
    let longer = [&passage[..], "who built in"].concat();
    let of_question = |n| ["who "; 1000][..n].concat();
    let mut two =
        |n, passages: [&str; 2]| -> [f32; 2] { scores(&mut reranker, &of_question(n), &passages).try_into().unwrap() };
    // 19 and 18 tokens fill the 40 but for the marks.
    let [whole, cut] = two(19, [&passage, &longer]);
    assert_eq!(whole, cut);
    let [whole, cut] = two(18, [&passage, &longer]);
    assert_ne!(whole, cut);
    // The room of 37 less one of the passage's two tokens, which no longer differ.
    let [tower, sea] = two(36, ["the tower", "the sea"]);
    assert_eq!(tower, sea);
    let [tower, sea] = two(1000, ["the tower", "the sea"]);
    assert!(tower.is_finite() && sea.is_finite() && tower != sea, "{tower} {sea}");
    assert_eq!(two(18, ["the tower", "the sea"]), [tower, sea]);
    assert!(scores(&mut reranker, "who", &[]).is_empty());
    assert!(scores(&mut reranker, "", &[""])[0].is_finite());
}

#[test]
fn what_is_written_like_a_mark_is_text() {
    let mut reranker = reranker(Quantization::F32);
    let scored = scores(&mut reranker, "who", &["the [SEP] sea", "the [ SEP] sea"]);
    assert_eq!(scored[0], scored[1]);
}

#[test]
fn scoring_can_be_stopped() {
    let host = TestHost::default();
    let mut reranker = reranker(Quantization::F32);
    host.stop_after.set(Some(1));
    let passages = ["the tower stands by the sea"; 100];
    assert_eq!(block_on(reranker.scores("who", &passages, &host)).unwrap_err(), ModelError::Cancelled);
}

/// The same file without a tensor and without its way of pooling, its classifier's one row a vector.
fn as_others_write_it(without: &str) -> Vec<u8> {
    let gguf = Gguf::parse(&reranker_gguf(Quantization::F32)).unwrap();
    let mut writer = GgufWriter::new();
    for key in gguf.keys().filter(|key| *key != "bert.pooling_type") {
        writer.set(key, gguf.value(key).unwrap().clone());
    }
    for tensor in gguf.tensors().iter().filter(|tensor| tensor.name != without) {
        let values = gguf.values(&tensor.name).unwrap();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = if tensor.name == "cls.output.weight" { vec![values.len()] } else { tensor.shape.clone() };
        writer.tensor(&tensor.name, &shape, TensorKind::F32, bytes).unwrap();
    }
    writer.finish()
}

#[test]
fn what_other_converters_write_is_read_or_refused_with_a_way_out() {
    let read = |bytes: &[u8]| CrossEncoder::from_gguf(&mut Gguf::parse(bytes).unwrap());
    let (question, passage, _) = &pairs()[0];
    let mut other = read(&as_others_write_it("")).unwrap();
    let mut ours = reranker(Quantization::F32);
    assert_eq!(scores(&mut other, question, &[passage]), scores(&mut ours, question, &[passage]));
    let error = read(&as_others_write_it("cls.weight")).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "model-unsupported");
    assert!(error.to_string().contains("by `lectern convert`"), "{error}");
    for missing in ["cls.bias", "cls.output.bias", "token_types.weight"] {
        assert_eq!(read(&as_others_write_it(missing)).map(|_| ()).unwrap_err().code(), "model-invalid", "{missing}");
    }
}

#[test]
fn a_classifier_of_several_labels_is_not_converted() {
    let mut golden = golden("reranker");
    golden["tensors"].as_array_mut().unwrap().iter_mut().filter(|t| t[0] == "classifier.weight").for_each(|tensor| {
        tensor[1] = serde_json::json!([3, 64]);
    });
    let error = converted(&golden, Quantization::F32).unwrap_err();
    assert_eq!(error.code(), "model-unsupported");
    assert!(error.to_string().contains("3 labels"), "{error}");
}

#[test]
fn an_embedder_is_no_reranker_nor_the_other_way_round() {
    let error = CrossEncoder::from_gguf(&mut Gguf::parse(embedder_gguf()).unwrap()).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "model-unsupported");
    assert!(error.to_string().contains("choose a re-ranker"), "{error}");
    let error = EncoderWeights::from_gguf(&mut Gguf::parse(&reranker_gguf(Quantization::F32)).unwrap()).unwrap_err();
    assert_eq!(error.code(), "model-unsupported");
    assert!(error.to_string().contains("choose an embedder"), "{error}");
}
