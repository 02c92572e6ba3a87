//! The vocabulary of a `tokenizer.json`, as GGUF metadata, with the file itself beside it.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::Output;
use super::checkpoint::{Checkpoint, JsonFile};
use crate::error::ModelError;
use crate::tokenizer::{self, TokenType};

const FILE: &str = "tokenizer.json";

struct Vocabulary {
    /// By id; ids that the tokenizer does not use are `[PADn]`.
    tokens: Vec<String>,
    types: Vec<TokenType>,
}

impl Vocabulary {
    /// Model vocabulary and added tokens of a tokenizer whose model is of type `kind`, filled up to `size` ids.
    fn read(file: &JsonFile, kind: &str, size: usize) -> Result<Self, ModelError> {
        let model = file.json.get("model").unwrap_or(&Json::Null);
        if model.get("type").and_then(Json::as_str) != Some(kind) {
            return Err(ModelError::unsupported(format!("its tokenizer.json is not a {kind} tokenizer")));
        }
        let Some(entries) = model.get("vocab").and_then(Json::as_object) else {
            return Err(ModelError::invalid(FILE, "model.vocab is missing"));
        };
        let mut vocabulary =
            Self { tokens: (0..size).map(|id| format!("[PAD{id}]")).collect(), types: vec![TokenType::Unused; size] };
        for (token, id) in entries {
            vocabulary.put(id, token, TokenType::Normal)?;
        }
        for added in file.json.get("added_tokens").and_then(Json::as_array).into_iter().flatten() {
            let token = added.get("content").and_then(Json::as_str).unwrap_or_default();
            let special = added.get("special").and_then(Json::as_bool) == Some(true);
            let kind = if special { TokenType::Control } else { TokenType::UserDefined };
            vocabulary.put(added.get("id").unwrap_or(&Json::Null), token, kind)?;
        }
        Ok(vocabulary)
    }

    fn put(&mut self, id: &Json, token: &str, kind: TokenType) -> Result<(), ModelError> {
        let slot = id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|&id| id < self.tokens.len());
        let Some(slot) = slot else {
            return Err(ModelError::invalid(FILE, format!("token {token:?} has id {id}, outside the vocabulary")));
        };
        self.tokens[slot] = token.to_owned();
        self.types[slot] = kind;
        Ok(())
    }

    fn write(self, model: &str, checkpoint: &Checkpoint, out: &mut Output) {
        out.set("tokenizer.ggml.model", model);
        out.set("tokenizer.ggml.tokens", self.tokens);
        out.set("tokenizer.ggml.token_type", self.types.iter().map(|kind| *kind as i32).collect::<Vec<_>>());
        out.set(tokenizer::EMBEDDED_KEY, checkpoint.tokenizer_text);
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.tokens.iter().position(|known| known == token).map(|id| id as u32)
    }
}

/// A WordPiece vocabulary in llama.cpp's form: `##x` becomes `x`, the start of a word gets a leading `▁`.
pub(super) fn write_wordpiece(checkpoint: &Checkpoint, out: &mut Output) -> Result<(), ModelError> {
    let size = checkpoint.config.usize("vocab_size")?;
    let mut vocabulary = Vocabulary::read(&checkpoint.tokenizer, "WordPiece", size)?;
    let roles = [
        ("cls_token", "[CLS]", "cls_token_id"),
        ("cls_token", "[CLS]", "bos_token_id"),
        ("sep_token", "[SEP]", "seperator_token_id"), // the specification's spelling
        ("sep_token", "[SEP]", "eos_token_id"),
        ("unk_token", "[UNK]", "unknown_token_id"),
        ("pad_token", "[PAD]", "padding_token_id"),
        ("mask_token", "[MASK]", "mask_token_id"),
    ];
    for (role, usual, key) in roles {
        let token = role_token(checkpoint, role).unwrap_or(usual);
        if let Some(id) = vocabulary.id(token) {
            out.set(format!("tokenizer.ggml.{key}"), id);
        }
    }
    for (token, kind) in vocabulary.tokens.iter_mut().zip(&vocabulary.types) {
        if *kind != TokenType::Control {
            *token = match token.strip_prefix("##") {
                Some(rest) => rest.to_owned(),
                None => format!("{}{token}", tokenizer::WORD_START),
            };
        }
    }
    vocabulary.write("bert", checkpoint, out);
    Ok(())
}

/// A BPE vocabulary: byte-level (`gpt2`), or SentencePiece-like with byte fallback (`llama`).
pub(super) fn write_bpe(checkpoint: &Checkpoint, vocab_size: usize, out: &mut Output) -> Result<(), ModelError> {
    let mut vocabulary = Vocabulary::read(&checkpoint.tokenizer, "BPE", vocab_size)?;
    let model = &checkpoint.tokenizer.json["model"];
    let merges = merges(model)?;
    for (role, key) in [
        ("bos_token", "bos_token_id"),
        ("eos_token", "eos_token_id"),
        ("unk_token", "unknown_token_id"),
        ("pad_token", "padding_token_id"),
    ] {
        let from_config = || checkpoint.config.get(key).and_then(first_id);
        if let Some(id) = role_token(checkpoint, role).and_then(|token| vocabulary.id(token)).or_else(from_config) {
            out.set(format!("tokenizer.ggml.{key}"), id);
        }
    }
    for (flag, role, first) in [("add_bos_token", "bos_token", true), ("add_eos_token", "eos_token", false)] {
        let stated = checkpoint.tokenizer_config.as_ref().and_then(|config| config.get(flag)?.as_bool());
        let adds = stated.unwrap_or_else(|| template_adds(&checkpoint.tokenizer, role_token(checkpoint, role), first));
        out.set(format!("tokenizer.ggml.{flag}"), adds);
    }
    if let Some(template) = chat_template(checkpoint) {
        out.set("tokenizer.chat_template", template);
    }
    let byte_fallback = model.get("byte_fallback").and_then(Json::as_bool) == Some(true);
    if byte_fallback {
        let mut scores = vec![0.0f32; vocab_size];
        let ids: HashMap<&str, usize> = vocabulary.tokens.iter().map(String::as_str).zip(0..).collect();
        // The earlier a token is merged, the higher it scores; a token made by several merges counts the first.
        for (rank, (left, right)) in merges.iter().enumerate().rev() {
            if let Some(&id) = ids.get(format!("{left}{right}").as_str()) {
                scores[id] = -(rank as f32);
            }
        }
        for (token, kind) in vocabulary.tokens.iter().zip(&mut vocabulary.types) {
            if tokenizer::byte_of(token).is_some() {
                *kind = TokenType::Byte;
            }
        }
        out.set("tokenizer.ggml.scores", scores);
    } else {
        out.set("tokenizer.ggml.merges", merges.iter().map(|(l, r)| format!("{l} {r}")).collect::<Vec<_>>());
        if let Some(name) = tokenizer::pre_name(&checkpoint.tokenizer.json["pre_tokenizer"]) {
            out.set("tokenizer.ggml.pre", name);
        }
    }
    vocabulary.write(if byte_fallback { "llama" } else { "gpt2" }, checkpoint, out);
    Ok(())
}

/// Merges, older (`"a b"`) or newer (`["a", "b"]`) form, first to last.
fn merges(model: &Json) -> Result<Vec<(&str, &str)>, ModelError> {
    let list = model.get("merges").and_then(Json::as_array);
    let pairs = list.into_iter().flatten().map(|merge| match merge {
        Json::String(text) => text.split_once(' '),
        Json::Array(pair) => Some((pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        _ => None,
    });
    pairs.collect::<Option<Vec<_>>>().ok_or_else(|| ModelError::invalid(FILE, "model.merges is not a list of pairs"))
}

/// A token named by its role in `tokenizer_config.json`, as text or as an object with `content`.
fn role_token<'a>(checkpoint: &'a Checkpoint, role: &str) -> Option<&'a str> {
    let value = checkpoint.tokenizer_config.as_ref()?.get(role)?;
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn first_id(value: &Json) -> Option<u32> {
    let id = value.as_u64().or_else(|| value.as_array()?.first()?.as_u64())?;
    id.try_into().ok()
}

/// Whether the post-processor of `tokenizer.json` puts `token` first (or last).
fn template_adds(file: &JsonFile, token: Option<&str>, first: bool) -> bool {
    fn single(processor: &Json) -> Option<&Vec<Json>> {
        let nested = || processor.get("processors")?.as_array()?.iter().find_map(single);
        processor.get("single").and_then(Json::as_array).or_else(nested)
    }
    let pieces = file.json.get("post_processor").and_then(single);
    let piece = pieces.and_then(|pieces| if first { pieces.first() } else { pieces.last() });
    let id = piece.and_then(|piece| piece.get("SpecialToken")?.get("id")?.as_str());
    id.is_some() && id == token
}

/// From `chat_template.jinja`, or the default one of `tokenizer_config.json`.
fn chat_template(checkpoint: &Checkpoint) -> Option<String> {
    if let Some(template) = checkpoint.chat_template {
        return Some(template.to_owned());
    }
    match checkpoint.tokenizer_config.as_ref()?.get("chat_template")? {
        Json::String(template) => Some(template.clone()),
        Json::Array(named) => {
            let default = named.iter().find(|entry| entry.get("name").and_then(Json::as_str) == Some("default"));
            Some(default.or(named.first())?.get("template")?.as_str()?.to_owned())
        }
        _ => None,
    }
}
