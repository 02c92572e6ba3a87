//! Model files: what is read of them, and a few tokens through what is made of it.

#![no_main]

use std::task::{Context, Poll, Waker};

use lectern_model::decoder::{Decoder, DecoderWeights};
use lectern_model::encoder::{CrossEncoder, Encoder, EncoderWeights};
use lectern_model::{ChatTemplate, Gguf, Message, Precision, Tokenizer};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "b ab\u{e9} <s>";

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut gguf) = Gguf::parse(bytes) else { return };
    let template = ChatTemplate::from_gguf(&gguf);
    if let Ok(template) = template {
        let _ = template.render(&[Message::new("user", TEXT)], true);
    }
    let tokenizer = Tokenizer::from_gguf(&gguf);
    let mut ids = vec![0, 1, 0];
    if let Ok(tokenizer) = &tokenizer {
        if let Ok(read) = tokenizer.encode(TEXT, true) {
            let _ = tokenizer.decode(&read, true);
            ids.extend(read);
        }
    }
    let gguf = &mut gguf;
    match gguf.opt_str("general.architecture") {
        Ok(Some("llama")) => {
            let Ok(weights) = DecoderWeights::from_gguf(gguf) else { return };
            let mut decoder = Decoder::new(weights, 64);
            for precision in [Precision::Exact, Precision::Fast] {
                decoder.set_precision(precision);
                let _ = ready(decoder.prefill(&ids, &()));
                let _ = ready(decoder.decode(1, &()));
            }
        }
        Ok(Some("bert")) if gguf.has_tensor("cls.weight") => {
            let Ok(mut reranker) = CrossEncoder::from_gguf(gguf) else { return };
            let _ = ready(reranker.scores(TEXT, &[TEXT, ""], &()));
        }
        Ok(Some("bert")) => {
            let Ok(weights) = EncoderWeights::from_gguf(gguf) else { return };
            let mut encoder = Encoder::new(weights);
            let _ = ready(encoder.embed(&[ids, vec![0]], &()));
        }
        _ => (),
    }
});

/// What never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the CPU waits for nobody"),
    }
}
