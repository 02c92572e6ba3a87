//! The shipped voices against Hugging Face PEFT in fp32.

use std::rc::Rc;

use lectern_adapter::{BaseModel, PeftAdapter, attach};
use lectern_model::Gguf;
use lectern_model::decoder::{Decoder, DecoderConfig, DecoderWeights};
use lectern_model::lora::{LoraSet, LowRank, Projection};

use crate::decoder::{check_case, read};
use crate::support::{adapter_files, block_on, decoder_gguf, floats, golden, ids, largest_difference};

const NAMES: [&str; 2] = ["pirate", "cite"];

fn decoder() -> Decoder {
    Decoder::new(DecoderWeights::from_gguf(&mut Gguf::parse(decoder_gguf()).unwrap()).unwrap(), 1024)
}

fn voice(name: &str, config: &DecoderConfig) -> Rc<LoraSet> {
    let (config_json, safetensors) = adapter_files(name);
    let adapter = PeftAdapter::parse(&config_json, &safetensors).unwrap();
    assert_eq!(adapter.hash, golden("adapters")["adapters"][name]["sha256"], "golden values are of another file");
    let base = BaseModel::from_gguf(&Gguf::parse(decoder_gguf()).unwrap());
    Rc::new(attach(&adapter, name, config, &base).unwrap())
}

/// The first case of a voice: its prompt and the ids and values of the largest logits at scale 1.
fn first_case(name: &str) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let case = &golden("adapters")["adapters"][name]["cases"][0];
    let top20 = &case["first_logits_top20"];
    assert_eq!(case["scale"], 1.0);
    (ids(&case["prompt_ids"]), ids(&top20["ids"]), floats(&top20["values"]))
}

fn at(logits: &[f32], ids: &[u32]) -> Vec<f32> {
    ids.iter().map(|&id| logits[id as usize]).collect()
}

/// Holds a decoder with a voice to every golden case, at the case's scale, or off where that is null.
fn check(name: &str) {
    let mut decoder = decoder();
    let voice = voice(name, decoder.config());
    let golden = golden("adapters");
    let cases = golden["adapters"][name]["cases"].as_array().expect("golden cases");
    assert_eq!(cases.len(), 8);
    for case in cases {
        println!("{name} {} at scale {}", case["id"], case["scale"]);
        decoder.set_adapter(case["scale"].as_f64().map(|scale| (Rc::clone(&voice), scale as f32))).unwrap();
        let (prompt, generated) = (ids(&case["prompt_ids"]), ids(&case["generated_ids"]));
        check_case(&mut decoder, &prompt, &case["first_logits_top20"], &generated, &floats(&case["margins"]));
    }
}

#[test]
fn pirate_speaks_as_with_peft() {
    check("pirate");
}

#[test]
fn cite_speaks_as_with_peft() {
    check("cite");
}

#[test]
fn off_and_scale_0_are_bit_identical_to_a_decoder_that_never_saw_a_voice() {
    let (prompt, ..) = first_case("pirate");
    let mut untouched = decoder();
    let expected = read(&mut untouched, &prompt);
    let next = block_on(untouched.decode(expected.len() as u32 / 2, &())).unwrap();
    let mut decoder = decoder();
    let pirate = voice("pirate", decoder.config());
    let on = |decoder: &mut Decoder, scale| {
        decoder.set_adapter(Some((Rc::clone(&pirate), scale))).unwrap();
        read(decoder, &prompt)
    };
    let first = on(&mut decoder, 1.0);
    assert!(largest_difference(&first, &expected) > 1.0, "the voice changes nothing");
    for off in [None, Some((Rc::clone(&pirate), 0.0)), Some((Rc::clone(&pirate), -0.0))] {
        decoder.set_adapter(off).unwrap();
        assert_eq!(bits(&read(&mut decoder, &prompt)), bits(&expected));
        assert_eq!(bits(&block_on(decoder.decode(expected.len() as u32 / 2, &())).unwrap()), bits(&next));
        assert_eq!(bits(&on(&mut decoder, 1.0)), bits(&first), "on again");
    }
}

#[test]
fn two_voices_take_turns_in_one_decoder() {
    let mut decoder = decoder();
    let voices = NAMES.map(|name| voice(name, decoder.config()));
    let (prompt, ids, values) = first_case("pirate");
    for _ in 0..2 {
        decoder.set_adapter(Some((Rc::clone(&voices[1]), 1.0))).unwrap();
        assert!(largest_difference(&at(&read(&mut decoder, &prompt), &ids), &values) > 0.5);
        decoder.set_adapter(Some((Rc::clone(&voices[0]), 1.0))).unwrap();
        assert!(largest_difference(&at(&read(&mut decoder, &prompt), &ids), &values) <= 0.05);
    }
}

/// Rows of q and k left in Hugging Face's order still give nine tokens in ten: only logits tell.
#[test]
fn rows_left_in_peft_order_are_far_off() {
    for name in NAMES {
        let mut decoder = decoder();
        let config = decoder.config().clone();
        let mut wrong = LoraSet::clone(&voice(name, &config));
        for layer in &mut wrong.layers {
            for projection in [Projection::Q, Projection::K] {
                let factors = layer.get(projection).unwrap().clone();
                layer.set(projection, LowRank { b: halves(&factors.b, factors.rank, config.head_dim), ..factors });
            }
        }
        decoder.set_adapter(Some((Rc::new(wrong), 1.0))).unwrap();
        let (prompt, ids, values) = first_case(name);
        let error = largest_difference(&at(&read(&mut decoder, &prompt), &ids), &values);
        println!("{name} with rows in PEFT order: first logits differ by {error:.2}");
        assert!(error > 0.5, "{name}: the golden logits do not tell a wrong row order, {error}");
    }
}

/// Rows from GGUF's neighbouring pairs back to Hugging Face's halves.
fn halves(rows: &[f32], width: usize, head_dim: usize) -> Vec<f32> {
    let (heads, mut out) = (rows.len() / width / head_dim, Vec::new());
    for head in 0..heads {
        for side in 0..2 {
            for pair in 0..head_dim / 2 {
                let from = head * head_dim + 2 * pair + side;
                out.extend_from_slice(&rows[from * width..(from + 1) * width]);
            }
        }
    }
    out
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
