//! The GPU executor over Vulkan: the same goldens and the same plain forward pass as the CPU's.
//!
//! Any adapter serves, a software rasterizer too. Long generations are left to the CPU's tests and
//! to the browser: here few tokens of each prompt, and each kind of launch once.

use std::rc::Rc;
use std::sync::OnceLock;

use lectern_adapter::{BaseModel, PeftAdapter, attach};
use lectern_model::decoder::gpu::GpuDecoder;
use lectern_model::decoder::{Decoder, DecoderWeights, Executor, LONG_CONTEXT, compile_ahead};
use lectern_model::encoder::{Encoder, EncoderWeights};
use lectern_model::generate::{GenerateEvent, GenerateOptions, generate};
use lectern_model::kernel::gpu::Tuning;
use lectern_model::lora::{ActiveLora, LoraSet};
use lectern_model::sample::{Sampler, SamplingOptions, argmax};
use lectern_model::{Device, Gguf, GgufStream, Tokenizer};

use crate::decoder::check_case;
use crate::support::{
    TestHost, adapter_files, block_on, decoder_gguf, embedder_gguf, floats, golden, ids, largest_difference,
};
use crate::tiny_checkpoint::{Rope, SECOND, Shape, TinyCheckpoint, tiny_checkpoint};

const IDS: [u32; 24] =
    [0, 70, 103, 110, 34, 259, 7, 255, 12, 261, 88, 88, 88, 1, 0, 64, 201, 17, 33, 150, 260, 2, 99, 5];

fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            Device::wgpu_options().init().unwrap_or_else(|error| {
                panic!("no Vulkan adapter: run `apt-get install mesa-vulkan-drivers` ({error})")
            })
        })
        .clone()
}

fn weights(gguf: &[u8]) -> DecoderWeights {
    DecoderWeights::from_gguf(&mut Gguf::parse(gguf).unwrap()).unwrap()
}

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(weights(decoder_gguf()), 512);
    block_on(decoder.use_gpu(&device())).unwrap();
    assert_eq!(decoder.executor(), Executor::Gpu);
    decoder
}

/// The first `n` greedy steps of a golden prompt.
fn check(decoder: &mut Decoder, prompt: &str, n: usize) {
    let case = &golden("decoder")["prompts"][prompt];
    let (greedy_ids, margins) = (ids(&case["greedy_ids"]), floats(&case["margins"]));
    let n = n.min(margins.len());
    check_case(decoder, &ids(&case["ids"]), &case["first_logits_top20"], &greedy_ids[..n], &margins[..n]);
}

#[test]
fn the_references_first_logits_and_greedy_ids() {
    let mut decoder = decoder();
    check(&mut decoder, "capital", 8);
    // Greedy on the GPU itself, by the replayed graph.
    let case = &golden("decoder")["prompts"]["poem"];
    let (prompt, greedy_ids) = (ids(&case["ids"]), ids(&case["greedy_ids"]));
    decoder.reset();
    let mut id = argmax(&block_on(decoder.prefill(&prompt, &())).unwrap());
    let greedy = SamplingOptions::default();
    for (step, (&expected, margin)) in greedy_ids.iter().zip(floats(&case["margins"])).take(8).enumerate() {
        assert!(id == expected || margin <= 0.1, "step {step}: {id} instead of {expected}");
        id = block_on(decoder.decode_some(expected, 1, &Sampler::new(greedy), &())).unwrap()[0];
    }
    let layers = decoder.config().num_hidden_layers;
    let dispatches = decoder.dispatches_per_token().unwrap();
    assert!(dispatches <= 5 * layers + 3, "{dispatches} launches a token");
}

#[test]
fn a_prompt_of_two_batches() {
    check(&mut decoder(), "lighthouse", 2);
}

fn voice(name: &str, decoder: &Decoder) -> Rc<LoraSet> {
    let (config_json, safetensors) = adapter_files(name);
    let adapter = PeftAdapter::parse(&config_json, &safetensors).unwrap();
    let base = BaseModel::from_gguf(&Gguf::parse(decoder_gguf()).unwrap());
    Rc::new(attach(&adapter, name, decoder.config(), &base).unwrap())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_voice_speaks_as_with_peft_at_any_scale_and_leaves_nothing_when_off() {
    let mut decoder = decoder();
    let pirate = voice("pirate", &decoder);
    let golden = golden("adapters");
    let cases = golden["adapters"]["pirate"]["cases"].as_array().expect("golden cases");
    let prompt = ids(&cases[0]["prompt_ids"]);
    let plain = block_on(decoder.prefill(&prompt, &())).unwrap();
    let plain_next = block_on(decoder.decode(prompt[0], &())).unwrap();
    for scale in [1.0, 0.5] {
        let case = cases.iter().find(|case| case["scale"] == scale).expect("a case at this scale");
        decoder.set_adapter(Some((Rc::clone(&pirate), scale as f32))).unwrap();
        let (generated, margins) = (ids(&case["generated_ids"]), floats(&case["margins"]));
        check_case(
            &mut decoder,
            &ids(&case["prompt_ids"]),
            &case["first_logits_top20"],
            &generated[..4],
            &margins[..4],
        );
        let layers = decoder.config().num_hidden_layers;
        assert!(decoder.dispatches_per_token().unwrap() <= 5 * layers + 3);
    }
    for off in [None, Some((Rc::clone(&pirate), 0.0))] {
        decoder.set_adapter(off).unwrap();
        assert_eq!(bits(&block_on(decoder.prefill(&prompt, &())).unwrap()), bits(&plain));
        assert_eq!(bits(&block_on(decoder.decode(prompt[0], &())).unwrap()), bits(&plain_next));
    }
}

/// Largest difference, relative to the largest of the reference's logits.
fn relative_error(logits: &[f32], reference: &[Vec<f64>]) -> f64 {
    let reference = reference.concat();
    let largest = reference.iter().fold(0f64, |m, v| m.max(v.abs()));
    logits.iter().zip(&reference).fold(0f64, |m, (a, b)| m.max((f64::from(*a) - b).abs())) / largest
}

fn gpu(tiny: &TinyCheckpoint, tuning: Tuning) -> GpuDecoder {
    block_on(GpuDecoder::with_tuning(&device(), &weights(&tiny.gguf), 96, tuning)).unwrap()
}

/// Every way of reading the ids against a plain forward pass.
fn check_tiny(shape: Shape, tuning: Tuning) {
    let tiny = tiny_checkpoint(shape);
    let expected = tiny.reference.logits(&IDS);
    let mut decoder = gpu(&tiny, tuning);
    let all = block_on(decoder.prefill_all(&IDS[..15])).unwrap();
    let error = relative_error(&all, &expected[..15]);
    assert!(error <= 1e-4, "{shape:?} at once: {error}");
    decoder.truncate(10);
    for (position, &id) in IDS.iter().enumerate().skip(10).take(5) {
        let logits = block_on(decoder.decode(id)).unwrap();
        let error = relative_error(&logits, &expected[position..=position]);
        assert!(error <= 1e-4, "{shape:?} position {position}: {error}");
    }
    decoder.reset();
    block_on(decoder.prefill(&IDS[..16])).unwrap();
    let logits = block_on(decoder.prefill(&IDS[16..20])).unwrap();
    assert!(relative_error(&logits, &expected[19..20]) <= 1e-4, "{shape:?} in two batches");
    for position in 20..24 {
        let next = block_on(decoder.decode_some(IDS[position], 1, None)).unwrap()[0];
        let row: Vec<f32> = expected[position].iter().map(|v| *v as f32).collect();
        assert_eq!(next as usize, argmax(&row) as usize, "{shape:?} position {position}");
    }
}

#[test]
fn a_tiny_checkpoint_of_mixed_encodings_and_a_separate_head() {
    check_tiny(SECOND, Tuning::HARDWARE);
}

#[test]
fn a_tiny_checkpoint_with_a_tied_head_and_scaled_frequencies() {
    check_tiny(Shape { tied_head: true, rope: Rope::Frequencies }, Tuning::HARDWARE);
}

/// Tokens that are chosen together are those that are chosen one by one, by the same kernels.
#[test]
fn several_tokens_at_once_are_those_one_by_one() {
    let tiny = tiny_checkpoint(SECOND);
    let mut decoder = Decoder::new(weights(&tiny.gguf), 96);
    block_on(decoder.use_gpu(&device())).unwrap();
    for options in [SamplingOptions::default(), BY_CHANCE] {
        let runs = [1, 2, 9].map(|n| {
            let mut sampler = Sampler::new(options);
            block_on(decoder.prefill(&IDS, &())).unwrap();
            let mut chosen = vec![5];
            while chosen.len() < 20 {
                let last = chosen[chosen.len() - 1];
                chosen.extend(block_on(decoder.decode_some(last, n, &sampler, &())).unwrap());
                sampler.advance(n);
            }
            assert_eq!(decoder.ids(), [&IDS[..], &chosen[..chosen.len() - 1]].concat());
            decoder.reset();
            chosen.truncate(20);
            chosen
        });
        assert!(runs[0] == runs[1] && runs[1] == runs[2], "{runs:?}");
    }
    // No further than the context, and then an error.
    block_on(decoder.prefill(&[1; 90], &())).unwrap();
    let greedy = Sampler::new(SamplingOptions::default());
    assert_eq!(block_on(decoder.decode_some(1, 16, &greedy, &())).unwrap().len(), 6);
    assert_eq!(block_on(decoder.decode_some(1, 16, &greedy, &())).unwrap_err().code(), "prompt-too-long");
}

const BY_CHANCE: SamplingOptions =
    SamplingOptions { temperature: 1.5, top_k: 30, top_p: 0.9, repetition_penalty: 1.0, seed: 5 };

/// Whenever the GPU is known to have failed, what it gave last is not believed: the answer is the CPU's.
#[test]
fn a_gpu_that_fails_leaves_no_token_behind() {
    let tiny = tiny_checkpoint(SECOND);
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&tiny.gguf).unwrap()).unwrap();
    for sampling in [SamplingOptions::default(), BY_CHANCE] {
        let options =
            GenerateOptions { max_tokens: 40, sampling, stop: Vec::new(), end_at_repeat: false, lookup: false };
        let answer = |host: &TestHost, on_gpu: bool| {
            let mut decoder = Decoder::new(weights(&tiny.gguf), 96);
            if on_gpu {
                block_on(decoder.use_gpu(&device())).unwrap();
            }
            let mut lost = 0;
            let on_event = &mut |event| lost += usize::from(matches!(event, GenerateEvent::GpuLost(_)));
            let made = block_on(generate(&mut decoder, &tokenizer, &IDS, &options, host, on_event)).unwrap();
            assert_eq!(decoder.executor() == Executor::Cpu, !on_gpu || lost == 1);
            (made.ids, lost)
        };
        let (expected, _) = answer(&TestHost::default(), false);
        for looks in [0, 1, 2, 3, 5] {
            let host = TestHost::default();
            host.gpu_fails_after.set(Some(looks));
            let (ids, lost) = answer(&host, true);
            assert_eq!((ids, lost), (expected.clone(), 1), "after {looks} looks");
        }
    }
}

#[test]
fn what_an_outline_needs_is_compiled() {
    let tiny = tiny_checkpoint(SECOND);
    let mut stream = GgufStream::new(tiny.gguf.len());
    stream.push(&tiny.gguf).unwrap();
    let outline = DecoderWeights::from_gguf(&mut stream.outline().unwrap()).unwrap();
    let layers = outline.layers.len();
    // Two prompts, and a token that is likely or drawn, in a short context or a long one.
    let n = compile_ahead(&device(), &outline, 96).unwrap();
    assert!(n >= 2 * (1 + 9 * layers) + 4 * (3 + 5 * layers), "{n} launches");
    check_tiny(SECOND, Tuning::HARDWARE);
}

/// In a long context a head's attention is shared by workgroups; the CPU says what comes out.
#[test]
fn a_long_context_gives_the_cpus_logits() {
    let tiny = tiny_checkpoint(SECOND);
    let prompt: Vec<u32> = (0..LONG_CONTEXT as u32 + 20).map(|i| i * 7 % 260).collect();
    let weights = || {
        let mut weights = weights(&tiny.gguf);
        weights.config.context_length = 600;
        weights
    };
    let mut cpu = Decoder::new(weights(), 600);
    let mut gpu = block_on(GpuDecoder::with_tuning(&device(), &weights(), 600, Tuning::HARDWARE)).unwrap();
    // On both sides of where a context becomes long.
    let short = LONG_CONTEXT - 2;
    for batch in prompt[..short].chunks(64) {
        block_on(cpu.read_on(batch, &())).unwrap();
        block_on(gpu.read_on(batch)).unwrap();
    }
    let mut launches = Vec::new();
    for &id in &prompt[short..] {
        let (expected, logits) = (block_on(cpu.decode(id, &())).unwrap(), block_on(gpu.decode(id)).unwrap());
        let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest_difference(&logits, &expected) <= 2e-3 * largest);
        launches.push(gpu.dispatches_per_token());
    }
    let layers = cpu.config().num_hidden_layers;
    assert_eq!(launches[launches.len() - 1], launches[0] + layers, "one more a layer");
    // Also of a step that is replayed.
    gpu.truncate(short);
    block_on(gpu.decode(prompt[short])).unwrap();
    assert_eq!(gpu.dispatches_per_token(), launches[0]);
}

#[test]
fn more_than_the_context_is_refused() {
    let tiny = tiny_checkpoint(SECOND);
    let mut decoder = gpu(&tiny, Tuning::HARDWARE);
    let error = block_on(decoder.prefill(&[1; 97])).unwrap_err();
    assert_eq!(error.code(), "prompt-too-long");
    block_on(decoder.prefill(&[1; 96])).unwrap();
    assert_eq!(block_on(decoder.decode(1)).unwrap_err().code(), "prompt-too-long");
    assert_eq!(decoder.len(), 96);
}

#[test]
fn an_adapter_without_factors_changes_nothing() {
    let tiny = tiny_checkpoint(SECOND);
    let mut decoder = gpu(&tiny, Tuning::HARDWARE);
    let plain = block_on(decoder.prefill(&IDS)).unwrap();
    for _ in 0..2 {
        let set = Rc::new(LoraSet { name: "empty".into(), hash: String::new(), layers: Vec::new() });
        decoder.reset();
        decoder.set_adapter(ActiveLora::new(set, 1.0).as_ref()).unwrap();
        assert_eq!(bits(&block_on(decoder.prefill(&IDS)).unwrap()), bits(&plain));
    }
}

#[test]
fn sentences_point_where_the_reference_points() {
    let mut encoder = Encoder::new(EncoderWeights::from_gguf(&mut Gguf::parse(embedder_gguf()).unwrap()).unwrap());
    block_on(encoder.use_gpu(&device())).unwrap();
    let golden = golden("embeddings");
    let sentences = golden["sentences"].as_array().expect("sentences");
    let batch: Vec<Vec<u32>> = sentences.iter().map(|sentence| ids(&sentence["ids"])).collect();
    let vectors = block_on(encoder.embed(&batch, &())).unwrap();
    for (sentence, vector) in sentences.iter().zip(&vectors) {
        let cosine: f32 = floats(&sentence["embedding"]).iter().zip(vector).map(|(a, b)| a * b).sum();
        assert!(cosine >= 0.9995, "cosine {cosine} for {}", sentence["ids"]);
    }
    // Alone, without padding, the same.
    let alone = block_on(encoder.embed(&batch[..1], &())).unwrap();
    assert!(largest_difference(&alone[0], &vectors[0]) <= 1e-5);
}
