//! The default decoder's chat template against Hugging Face's rendering.

use lectern_model::{ChatTemplate, Gguf, Message, Tokenizer};

use crate::support::{decoder_gguf, golden, ids};

#[test]
fn prompts_render_and_encode_as_the_reference_does() {
    let gguf = Gguf::parse(decoder_gguf()).unwrap();
    let template = ChatTemplate::from_gguf(&gguf).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    for case in golden("chat")["cases"].as_array().unwrap() {
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let text = template.render(&messages, true).unwrap();
        assert_eq!(text, case["prompt_text"].as_str().unwrap());
        assert_eq!(tokenizer.encode(&text, true).unwrap(), ids(&case["prompt_ids"]), "{text}");
    }
}

#[test]
fn a_system_message_replaces_the_default_one() {
    let gguf = Gguf::parse(decoder_gguf()).unwrap();
    let template = ChatTemplate::from_gguf(&gguf).unwrap();
    let system = Message::new("system", "Be brief.");
    let user = Message::new("user", "Hi");
    let with_default = template.render(std::slice::from_ref(&user), false).unwrap();
    assert!(with_default.starts_with("<|im_start|>system\nYou are a helpful AI assistant named SmolLM"));
    let text = template.render(&[system, user], true).unwrap();
    assert_eq!(
        text,
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    );
}
