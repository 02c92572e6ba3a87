//! The CPU decoder against PyTorch in fp32 over the same weights, dequantised.

use lectern_model::decoder::cpu::{CpuDecoder, Logits};
use lectern_model::decoder::{Decoder, DecoderWeights, PREFILL_BATCH};
use lectern_model::likelihood::perplexity;
use lectern_model::sample::argmax;
use lectern_model::{Gguf, Precision, fast_instructions};

use crate::support::{TestHost, block_on, decoder_gguf, floats, golden, ids, largest_difference};

/// What a logit may differ from the reference by.
const LOGIT_TOLERANCE: f32 = 0.05;
/// Two tokens nearer than this may change places.
const MARGIN: f32 = 0.1;

fn weights() -> DecoderWeights {
    DecoderWeights::from_gguf(&mut Gguf::parse(decoder_gguf()).unwrap()).unwrap()
}

/// Reads `prompt` and returns the logits after it.
pub fn read(decoder: &mut Decoder, prompt: &[u32]) -> Vec<f32> {
    decoder.reset();
    prompt.chunks(PREFILL_BATCH).map(|batch| block_on(decoder.prefill(batch, &())).unwrap()).last().unwrap()
}

/// Holds a decoder to a reference case (`first_logits_top20`, greedy ids and their margins) for a prompt.
///
/// The reference's ids are fed whatever the decoder would have taken, so that every step is compared: up to the first
/// step that differs, which may only be one with a small margin, this is the decoder's own greedy generation.
pub fn check_case(
    decoder: &mut Decoder,
    prompt: &[u32],
    first_top20: &serde_json::Value,
    greedy_ids: &[u32],
    margins: &[f32],
) {
    assert_eq!(greedy_ids.len(), margins.len());
    let mut logits = read(decoder, prompt);
    let top20: Vec<f32> = ids(&first_top20["ids"]).iter().map(|&id| logits[id as usize]).collect();
    let error = largest_difference(&top20, &floats(&first_top20["values"]));
    assert!(error <= LOGIT_TOLERANCE, "first logits differ by {error}");

    let mut margin_error = 0f32;
    for (step, (&id, &margin)) in greedy_ids.iter().zip(margins).enumerate() {
        let own = argmax(&logits);
        assert!(own == id || margin <= MARGIN, "step {step}: {own} instead of {id}, margin {margin}");
        let best = logits[id as usize];
        let second =
            logits.iter().enumerate().filter(|(i, _)| *i != id as usize).map(|(_, v)| *v).fold(f32::MIN, f32::max);
        margin_error = margin_error.max((best - second - margin).abs());
        if step + 1 < greedy_ids.len() {
            logits = block_on(decoder.decode(id, &())).unwrap();
        }
    }
    // Each of the two logits may be off by the tolerance.
    assert!(margin_error <= 2.0 * LOGIT_TOLERANCE, "margins differ by {margin_error}");
    println!("first logits differ by {error:.4}, margins by {margin_error:.4}");
}

fn check(prompt: &str) {
    let case = &golden("decoder")["prompts"][prompt];
    let mut decoder = Decoder::new(weights(), 1024);
    check_case(
        &mut decoder,
        &ids(&case["ids"]),
        &case["first_logits_top20"],
        &ids(&case["greedy_ids"]),
        &floats(&case["margins"]),
    );
}

#[test]
fn a_short_question_is_answered_as_the_reference_does() {
    check("capital");
}

#[test]
fn a_poem_of_64_tokens_is_the_references() {
    check("poem");
}

#[test]
fn a_question_over_a_passage_is_answered_as_the_reference_does() {
    check("lighthouse");
}

#[test]
fn a_prompt_of_511_tokens_is_answered_as_the_reference_does() {
    check("long");
}

#[test]
fn perplexity_of_the_long_text_is_the_references() {
    let reference = &golden("decoder")["perplexity"];
    let expected = reference["value"].as_f64().unwrap();
    let got = block_on(perplexity(&mut Decoder::new(weights(), 1024), &ids(&reference["ids"]), &())).unwrap();
    println!("perplexity {got:.4}, reference {expected:.4}");
    assert!((got / expected - 1.0).abs() <= 0.003, "{got} instead of {expected}");
}

/// The bound leaves 8 bits what they cost elsewhere; on a processor without instructions for them, it is exact.
#[test]
fn fast_perplexity_of_the_long_text_is_near_the_references() {
    let mut decoder = Decoder::new(weights(), 1024);
    decoder.set_precision(Precision::Fast);
    let got = block_on(perplexity(&mut decoder, &ids(&golden("decoder")["perplexity"]["ids"]), &())).unwrap();
    println!("perplexity {got:.4} in fast, by {}", fast_instructions().unwrap_or("the exact path"));
    assert!(got <= 18.51, "{got}");
}

/// To the bit: what a batch verifies is what single tokens would have been.
#[test]
fn reading_in_batches_token_by_token_or_at_once_gives_the_same_logits() {
    for precision in [Precision::Exact, Precision::Fast] {
        read_in_batches(precision);
    }
}

fn read_in_batches(precision: Precision) {
    let prompt = ids(&golden("decoder")["prompts"]["lighthouse"]["ids"]);
    let mut decoder = CpuDecoder::new(std::rc::Rc::new(weights()));
    decoder.set_precision(precision);
    let vocab_size = 49152;
    let whole = block_on(decoder.forward(&prompt, Logits::All, &()));
    assert_eq!(whole.len(), prompt.len() * vocab_size);
    // A batch size, and from where on single tokens follow.
    for (batch, n_batched) in [(64, 64), (17, 51), (1, 0)] {
        decoder.truncate(0);
        let (batched, single) = prompt.split_at(n_batched);
        for part in batched.chunks(batch).chain(single.chunks(1)) {
            let last = block_on(decoder.forward(part, Logits::Last, &()));
            let row = decoder.len() - 1;
            let error = largest_difference(&last, &whole[row * vocab_size..(row + 1) * vocab_size]);
            assert!(error == 0.0, "{precision:?}, batches of {batch}, position {row}: {error}");
        }
    }
}

#[test]
fn a_cache_cut_back_gives_the_logits_of_a_fresh_one() {
    let prompt = ids(&golden("decoder")["prompts"]["capital"]["ids"]);
    let mut decoder = CpuDecoder::new(std::rc::Rc::new(weights()));
    let fresh = block_on(decoder.forward(&prompt, Logits::Last, &()));
    decoder.truncate(20);
    block_on(decoder.forward(&[9, 17, 33, 4], Logits::None, &()));
    decoder.truncate(20);
    let again = block_on(decoder.forward(&prompt[20..], Logits::All, &())).split_off((prompt.len() - 21) * 49152);
    assert!(again == fresh, "off by {}", largest_difference(&again, &fresh));
}

/// So that a page's worker is heard while it reads a prompt.
#[test]
fn others_have_their_turns_between_the_layers_of_a_batch() {
    let prompt = ids(&golden("decoder")["prompts"]["lighthouse"]["ids"]);
    let mut decoder = CpuDecoder::new(std::rc::Rc::new(weights()));
    let host = TestHost::default();
    let logits = block_on(decoder.forward(&prompt, Logits::Last, &host));
    assert!(host.turns.get() >= 5, "{}", host.turns.get());
    decoder.truncate(0);
    assert!(logits == block_on(decoder.forward(&prompt, Logits::Last, &())));
}
