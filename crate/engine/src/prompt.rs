//! Hits to a prompt with numbered passages.

use lectern_model::{Message, ModelError};

use crate::cite::unmarked;
use crate::reader::Reader;
use crate::retrieve::Hit;

/// What the reader is told when passages lie before it. The `cite` voice was trained on these words.
pub const SYSTEM: &str = "Answer from the numbered passages only. Be brief and cite the passage like [1]. If they do not contain the answer, say \"Not in these documents.\"";

/// How a refusal reads, whoever gives it.
pub const REFUSAL: &str = "Not in these documents.";

/// A prompt that fits, and how many of the passages it holds.
pub struct Prompt {
    pub ids: Vec<u32>,
    pub n_passages: usize,
}

/// The question alone.
///
/// # Errors
/// As [`Reader::prompt_ids`].
pub fn without_passages(reader: &Reader, question: &str) -> Result<Prompt, ModelError> {
    Ok(Prompt { ids: reader.prompt_ids(&[Message::new("user", question)])?, n_passages: 0 })
}

/// What every prompt begins with, over passages or without.
///
/// # Errors
/// As [`Reader::prompt_ids`].
pub fn beginning(reader: &Reader, rag: bool) -> Result<Prompt, ModelError> {
    if !rag {
        return without_passages(reader, "");
    }
    let ids = reader.prompt_ids(&messages("", &[], reader.decoder.has_adapter()))?;
    Ok(Prompt { ids, n_passages: 0 })
}

/// The question under as many of the passages, best first, as leave `max_tokens` for the answer.
///
/// # Errors
/// `prompt-too-long` when not even one passage fits beside the question.
pub fn with_passages(reader: &Reader, question: &str, hits: &[Hit], max_tokens: usize) -> Result<Prompt, ModelError> {
    let n_ctx = reader.decoder.n_ctx();
    let mut n_tokens = 0;
    for n_passages in (1..=hits.len()).rev() {
        let ids = reader.prompt_ids(&messages(question, &hits[..n_passages], reader.decoder.has_adapter()))?;
        n_tokens = ids.len();
        if n_tokens + max_tokens.min(n_ctx / 2) <= n_ctx {
            return Ok(Prompt { ids, n_passages });
        }
    }
    Err(ModelError::PromptTooLong { n_tokens, n_ctx })
}

/// How many passages a reader reads best: fewer than three without a voice. With one it gets what `cite` was trained on:
/// three, since in its examples two always stood for a refusal.
///
/// SQuAD 2.0; share of answers that hold the gold answer, and of refusals that are wrong:
///
/// | voice | two passages | three |
/// |---|---|---|
/// | none (100 questions) | 0.44, 0.01 | 0.37, 0.01 |
/// | `cite` (60 questions, best last) | 0.42, 0.38 | 0.43, 0.28 |
pub fn passages_shown(has_voice: bool) -> usize {
    if has_voice { 3 } else { 2 }
}

/// The conversation for a question over passages, numbered best first. Without a voice the best stands last, nearest to
/// the question: a small model reads what it read last best. A voice gets them in the order it was trained on.
///
/// What a page says is data. Each passage is one line, so that none ends the passages, asks another question or begins
/// another passage; what is written in it like a mark is none, so that no page gives the answer its citations; and what is
/// written like a special token is text ([`Reader::prompt_ids`]).
///
/// SQuAD 2.0, three passages; share of answers that hold the gold answer, and share of the citations whose passage does:
///
/// | voice | best first | best last |
/// |---|---|---|
/// | none (60 questions) | 0.35, 0.76 | 0.42, 0.93 |
/// | `cite` (100 questions) | 0.41, 0.77 | 0.39, 0.82 |
pub fn messages(question: &str, hits: &[Hit], has_voice: bool) -> [Message; 2] {
    let mut lines: Vec<String> =
        hits.iter().enumerate().map(|(i, hit)| format!("[{}] {}\n", i + 1, unmarked(&hit.text))).collect();
    if !has_voice {
        lines.reverse();
    }
    let user = format!("{}\nQuestion: {question}", lines.concat());
    [Message::new("system", SYSTEM), Message::new("user", user)]
}
