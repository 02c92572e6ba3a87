//! The tokenizers of the default models against Hugging Face's.

use lectern_model::{Gguf, TokenStream, Tokenizer};

use crate::support::{decoder_gguf, embedder_gguf, golden, ids};

fn tokenizer(bytes: &[u8]) -> Tokenizer {
    Tokenizer::from_gguf(&Gguf::parse(bytes).unwrap()).unwrap()
}

#[test]
fn decoder_prompts_encode_to_the_reference_ids() {
    let tokenizer = tokenizer(decoder_gguf());
    assert_eq!(tokenizer.vocab_size(), 49152);
    assert_eq!(tokenizer.token_id("<|im_end|>"), Some(2));
    assert_eq!(tokenizer.eos_ids(), [2, 0]);
    for case in golden("tokenizer")["decoder_encode"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        // SmolLM2 wants no BOS, so adding special tokens adds nothing.
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids(&case["ids"]), "{text}");
        assert_eq!(tokenizer.encode(text, false).unwrap(), ids(&case["ids"]), "{text}");
        assert_eq!(tokenizer.decode(&ids(&case["ids"]), false).unwrap(), text);
    }
}

#[test]
fn long_texts_come_back_to_the_reference_ids() {
    let tokenizer = tokenizer(decoder_gguf());
    for (name, reference) in golden("tokenizer")["decoder_round_trip"].as_object().unwrap() {
        let reference = ids(reference);
        let text = tokenizer.decode(&reference, false).unwrap();
        assert!(!text.contains(['Ġ', 'Ċ']), "{name}: byte-level characters left in the text");
        assert_eq!(tokenizer.encode(&text, true).unwrap(), reference, "{name}");
        assert_eq!(tokenizer.n_tokens(&text), reference.len());
    }
}

#[test]
fn answers_decode_to_the_reference_text_at_once_and_token_by_token() {
    let tokenizer = tokenizer(decoder_gguf());
    for case in golden("tokenizer")["decoder_decode"].as_array().unwrap() {
        let (ids, text) = (ids(&case["ids"]), case["text"].as_str().unwrap());
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
        let mut stream = TokenStream::new(&tokenizer, true);
        let streamed: String = ids.iter().map(|id| stream.push(*id)).collect();
        assert_eq!(streamed + &stream.finish(), text);
    }
}

#[test]
fn a_character_of_several_tokens_arrives_whole() {
    let tokenizer = tokenizer(decoder_gguf());
    let text = "naïve 🦜🏴‍☠️ 読書台";
    let ids = tokenizer.encode(text, false).unwrap();
    let mut stream = TokenStream::new(&tokenizer, false);
    let pieces: Vec<String> = ids.iter().map(|id| stream.push(*id)).collect();
    assert!(pieces.iter().any(String::is_empty), "some token ends inside a character: {pieces:?}");
    assert!(pieces.iter().all(|piece| !piece.contains('\u{fffd}')), "{pieces:?}");
    assert_eq!(pieces.concat() + &stream.finish(), text);
}

#[test]
fn embedder_sentences_encode_to_the_reference_ids() {
    let tokenizer = tokenizer(embedder_gguf());
    assert_eq!(tokenizer.max_length(), Some(128));
    for case in golden("tokenizer")["embedder_encode"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids(&case["ids"]), "{text}");
    }
}

#[test]
fn cutting_an_embedder_text_keeps_its_frame() {
    let tokenizer = tokenizer(embedder_gguf());
    let text = "the open page lies on the desk ".repeat(40);
    let whole = tokenizer.encode(&text, true).unwrap();
    let cut = tokenizer.encode_truncated(&text, 128).unwrap();
    assert!(whole.len() > 128);
    assert_eq!(cut.len(), 128);
    assert_eq!(cut[..127], whole[..127]);
    assert_eq!(cut.last(), whole.last());
}
