use proptest::prelude::*;

use super::*;
use crate::gguf::{GgufWriter, Value};

/// GPT-2's character for a byte, by the definition in its `encoder.py`.
fn byte_char(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return byte.into();
    }
    let n = (0..byte).filter(|b| !printable(*b)).count() as u32;
    char::from_u32(0x100 + n).unwrap()
}

/// All bytes, a few merges, and the special tokens last.
fn byte_level(pre: &str, merges: &[&str]) -> GgufWriter<'static> {
    let mut tokens: Vec<String> = (0..=255).map(|byte| byte_char(byte).to_string()).collect();
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let mut types = vec![1i32; tokens.len()];
    tokens.extend(["<|im_start|>".to_owned(), "<|im_end|>".to_owned(), "[user]".to_owned()]);
    types.extend([3, 3, 4]);
    let mut writer = GgufWriter::new();
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", pre);
    writer.set("tokenizer.ggml.bos_token_id", tokens.len() as u32 - 3);
    writer.set("tokenizer.ggml.eos_token_id", tokens.len() as u32 - 2);
    writer.set("tokenizer.ggml.tokens", tokens);
    writer.set("tokenizer.ggml.token_type", types);
    writer.set("tokenizer.ggml.merges", merges.to_vec());
    writer
}

fn tokenizer(writer: GgufWriter) -> Result<Tokenizer, ModelError> {
    let bytes = writer.finish();
    Tokenizer::from_gguf(&Gguf::parse(&bytes)?)
}

const MERGES: [&str; 4] = ["h e", "l l", "he ll", "1 2"];

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let ids = tokenizer.encode(text, true).unwrap();
    ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect()
}

#[test]
fn special_tokens_in_the_text_are_one_token() {
    let tokenizer = tokenizer(byte_level("smollm", &MERGES)).unwrap();
    assert_eq!(
        pieces(&tokenizer, "<|im_start|>hello [user]\n<|im_end|>"),
        ["<|im_start|>", "hell", "o", "Ġ", "[user]", "Ċ", "<|im_end|>"]
    );
    assert_eq!(tokenizer.eos_ids(), [tokenizer.token_id("<|im_end|>").unwrap()]);
    let ids = tokenizer.encode("<|im_start|>hi[user]", false).unwrap();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "hi[user]");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "<|im_start|>hi[user]");
}

#[test]
fn digits_are_split_by_smollm_alone() {
    let split = tokenizer(byte_level("smollm", &MERGES)).unwrap();
    assert_eq!(pieces(&split, "12"), ["1", "2"]);
    let whole = tokenizer(byte_level("gpt-2", &MERGES)).unwrap();
    assert_eq!(pieces(&whole, "12"), ["12"]);
}

#[test]
fn bos_and_eos_follow_the_flags() {
    let mut writer = byte_level("gpt-2", &MERGES);
    writer.set("tokenizer.ggml.add_bos_token", true);
    writer.set("tokenizer.ggml.add_eos_token", true);
    let flagged = tokenizer(writer).unwrap();
    assert_eq!(pieces(&flagged, "he"), ["<|im_start|>", "he", "<|im_end|>"]);
    assert_eq!(flagged.encode("he", false).unwrap().len(), 1);
    assert_eq!(flagged.encode_truncated("hehehe", 4).unwrap().len(), 4);
    assert_eq!(flagged.n_tokens("hehehe"), 3);

    // llama-bpe adds a BOS unless told otherwise
    assert_eq!(pieces(&tokenizer(byte_level("llama-bpe", &MERGES)).unwrap(), "he"), ["<|im_start|>", "he"]);
}

#[test]
fn a_template_that_writes_the_bos_gets_no_second_one() {
    let tokenizer = tokenizer(byte_level("llama-bpe", &MERGES)).unwrap();
    let bos = tokenizer.bos_id().unwrap();
    let n_bos = |text| tokenizer.encode_rendered(text).unwrap().iter().filter(|id| **id == bos).count();
    assert_eq!((n_bos("<|im_start|>he"), n_bos("he")), (1, 1));
}

#[test]
fn special_tokens_of_a_page_are_letters() {
    let tokenizer = tokenizer(byte_level("smollm", &MERGES)).unwrap();
    let plain = tokenizer.without_special("end<|im_end|>\n<|im_start|>[user]");
    assert_eq!(plain, "end< |im_end|>\n< |im_start|>[user]");
    let special = ["<|im_start|>", "<|im_end|>"].map(|token| tokenizer.token_id(token).unwrap());
    assert!(tokenizer.encode(&plain, true).unwrap().iter().all(|id| !special.contains(id)));
    assert_eq!(tokenizer.without_special("hello"), "hello");
}

#[test]
fn unknown_kinds_are_refused() {
    let code = |writer| tokenizer(writer).unwrap_err().code();
    assert_eq!(code(byte_level("tekken", &MERGES)), "model-unsupported");
    let mut writer = byte_level("gpt-2", &MERGES);
    writer.set("tokenizer.ggml.model", "t5");
    assert_eq!(code(writer), "model-unsupported");
    let mut writer = byte_level("gpt-2", &MERGES);
    writer.set("tokenizer.ggml.eos_token_id", 100_000u32);
    assert_eq!(code(writer), "model-invalid");
    assert_eq!(code(byte_level("gpt-2", &["h e", "zz zz"])), "model-invalid");
    let mut writer = byte_level("gpt-2", &MERGES);
    writer.set("tokenizer.ggml.token_type", vec![1i32; 3]);
    assert_eq!(code(writer), "model-invalid");
}

#[test]
fn wordpiece_in_llama_cpps_spelling() {
    let mut writer = GgufWriter::new();
    writer.set("tokenizer.ggml.model", "bert");
    writer.set("tokenizer.ggml.tokens", vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁play", "ing", "▁.", "▁cafe"]);
    writer.set("tokenizer.ggml.token_type", vec![3i32, 3, 3, 3, 1, 1, 1, 1]);
    writer.set("tokenizer.ggml.cls_token_id", 2u32);
    writer.set("tokenizer.ggml.seperator_token_id", 3u32);
    writer.set("tokenizer.ggml.unknown_token_id", 1u32);
    let tokenizer = tokenizer(writer).unwrap();
    assert_eq!(pieces(&tokenizer, "Playing. Café?"), ["[CLS]", "play", "##ing", ".", "cafe", "[UNK]", "[SEP]"]);
    assert_eq!(tokenizer.encode_truncated("Playing. Café?", 4).unwrap(), [2, 4, 5, 3]);
}

#[test]
fn an_embedded_tokenizer_wins() {
    let mut writer = byte_level("gpt-2", &MERGES);
    writer.set(
        EMBEDDED_KEY,
        r#"{"version":"1.0","truncation":{"direction":"Right","max_length":3,"strategy":"LongestFirst","stride":0},
            "padding":{"strategy":{"Fixed":5},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,
            "pad_token":"[PAD]"},"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},
            "post_processor":null,"decoder":null,
            "model":{"type":"WordLevel","vocab":{"[PAD]":0,"a":1,"b":2},"unk_token":"[PAD]"}}"#,
    );
    let tokenizer = tokenizer(writer).unwrap();
    assert_eq!(tokenizer.encode("a b", true).unwrap(), [1, 2], "no padding");
    assert_eq!(tokenizer.encode("a b a b", true).unwrap(), [1, 2, 1, 2], "no truncation");
    assert_eq!(tokenizer.max_length(), Some(3));
}

/// SentencePiece's own rule: join the adjacent pair that makes the highest-scored token, the leftmost of equals.
fn sentencepiece_oracle(tokens: &[(String, f32)], text: &str) -> Vec<String> {
    let spaced = format!("▁{}", text.replace(' ', "▁"));
    let mut parts: Vec<String> = spaced.chars().map(String::from).collect();
    loop {
        let score = |part: &str| tokens.iter().find(|(token, _)| token == part).map(|(_, score)| *score);
        let mut best: Option<(f32, usize)> = None;
        for at in 1..parts.len() {
            let joined = score(&format!("{}{}", parts[at - 1], parts[at]));
            if joined.is_some_and(|joined| best.is_none_or(|(score, _)| joined > score)) {
                best = joined.map(|joined| (joined, at));
            }
        }
        let Some((_, at)) = best else { return parts };
        let right = parts.remove(at);
        parts[at - 1].push_str(&right);
    }
}

fn sentencepiece(tokens: &[(String, f32)]) -> Tokenizer {
    let mut names: Vec<String> = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned()];
    names.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let mut types = vec![2i32, 3, 3];
    types.extend([6; 256]);
    let mut scores = vec![0.0f32; names.len()];
    for (token, score) in tokens {
        names.push(token.clone());
        types.push(1);
        scores.push(*score);
    }
    let mut writer = GgufWriter::new();
    writer.set("tokenizer.ggml.model", "llama");
    writer.set("tokenizer.ggml.tokens", names);
    writer.set("tokenizer.ggml.token_type", types);
    writer.set("tokenizer.ggml.scores", Value::from(scores));
    writer.set("tokenizer.ggml.bos_token_id", 1u32);
    writer.set("tokenizer.ggml.eos_token_id", 2u32);
    tokenizer(writer).unwrap()
}

/// Single characters and strings of two or three over a small alphabet, with distinct scores.
fn sentencepiece_vocabulary() -> impl Strategy<Value = Vec<(String, f32)>> {
    let singles = ["▁", "a", "b", "c"].map(String::from);
    prop::collection::btree_set("[▁abc]{2,3}", 1..14)
        .prop_map(|longer| longer.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(move |longer| {
            singles.iter().cloned().chain(longer).zip(0..).map(|(token, i)| (token, -(i as f32))).collect()
        })
}

#[test]
fn sentencepiece_spaces_and_byte_fallback() {
    let tokens: Vec<(String, f32)> =
        ["▁", "h", "i", "hi", "▁hi"].iter().zip(0..).map(|(token, i)| (token.to_string(), -(i as f32))).collect();
    let tokenizer = sentencepiece(&tokens);
    assert_eq!(pieces(&tokenizer, "hi é"), ["<s>", "▁hi", "▁", "<0xC3>", "<0xA9>"]);
    let ids = tokenizer.encode("hi é", true).unwrap();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "hi é");
    let mut stream = TokenStream::new(&tokenizer, true);
    let parts: Vec<String> = ids.iter().map(|id| stream.push(*id)).collect();
    assert_eq!(parts, ["", "hi", " ", "", "é"]);
    assert_eq!(stream.finish(), "");
}

#[test]
fn a_sentencepiece_vocabulary_without_scores_is_refused() {
    let bytes = {
        let mut writer = GgufWriter::new();
        writer.set("tokenizer.ggml.model", "llama");
        writer.set("tokenizer.ggml.tokens", vec!["<unk>", "a", "b", "c", "ab", "bc"]);
        writer.set("tokenizer.ggml.token_type", vec![2i32, 1, 1, 1, 1, 1]);
        writer.set("tokenizer.ggml.scores", vec![-1000.0f32; 6]);
        writer.finish()
    };
    let error = Tokenizer::from_gguf(&Gguf::parse(&bytes).unwrap()).unwrap_err();
    assert_eq!(error.code(), "model-unsupported");
}

proptest! {
    #[test]
    fn sentencepiece_matches_its_rule(tokens in sentencepiece_vocabulary(), text in "[abc ]{1,14}") {
        let tokenizer = sentencepiece(&tokens);
        let ids = tokenizer.encode(&text, false).unwrap();
        let pieces: Vec<String> = ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
        prop_assert_eq!(pieces, sentencepiece_oracle(&tokens, &text));
    }

    #[test]
    fn byte_level_text_survives(text in any::<String>()) {
        let tokenizer = tokenizer(byte_level("smollm", &MERGES)).unwrap();
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }

    #[test]
    fn a_stream_gives_what_decode_gives(ids in prop::collection::vec(0u32..264, 0..60), skip: bool) {
        let tokenizer = tokenizer(byte_level("smollm", &MERGES)).unwrap();
        let mut stream = TokenStream::new(&tokenizer, skip);
        let mut text: String = ids.iter().map(|id| stream.push(*id)).collect();
        text.push_str(&stream.finish());
        prop_assert_eq!(text, tokenizer.decode(&ids, skip).unwrap());
    }
}
