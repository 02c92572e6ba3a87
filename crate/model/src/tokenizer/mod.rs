//! Text ↔ token ids, from the vocabulary that a GGUF file carries.

mod build;
mod stream;

pub(crate) use build::{WORD_START, byte_of, pre_name};
pub use stream::TokenStream;

use tokenizers::{DecoderWrapper, TruncationDirection};

use crate::error::ModelError;
use crate::gguf::Gguf;

/// Metadata key of an embedded Hugging Face `tokenizer.json`, which wins over the `tokenizer.ggml.*` vocabulary.
pub const EMBEDDED_KEY: &str = "tokenizer.huggingface.json";

/// Tokens that end a turn whatever the file names as its end of sequence, as llama.cpp takes them.
const END_OF_TURN: [&str; 7] =
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"];

/// Values of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos_id: Option<u32>,
    eos_ids: Vec<u32>,
    vocab_size: usize,
    max_length: Option<usize>,
    /// How the special tokens are written.
    special: Vec<String>,
}

impl Tokenizer {
    /// The embedded `tokenizer.json` if there is one, else a tokenizer built from `tokenizer.ggml.*`: `gpt2` (byte-level
    /// BPE), `llama` (SentencePiece BPE with byte fallback) or `bert` (WordPiece).
    ///
    /// # Errors
    /// `model-unsupported` for another kind of vocabulary or pre-tokenizer, `model-invalid` for a contradictory one.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let (mut inner, max_length) = match gguf.opt_str(EMBEDDED_KEY)? {
            Some(json) => {
                let inner = tokenizers::Tokenizer::from_bytes(json)
                    .map_err(|error| ModelError::invalid(EMBEDDED_KEY, error.to_string()))?;
                let max_length = inner.get_truncation().map(|truncation| truncation.max_length);
                (inner, max_length)
            }
            None => (build::from_vocabulary(gguf)?, None),
        };
        inner.with_padding(None);
        let removed = inner.with_truncation(None).map(|_| ());
        removed.map_err(|error| ModelError::invalid("the tokenizer", error.to_string()))?;

        let vocab_size = gguf.value("tokenizer.ggml.tokens").and_then(|tokens| Some(tokens.as_array()?.len()));
        let vocab_size = vocab_size.unwrap_or_else(|| inner.get_vocab_size(true));
        let id = |key: &str| -> Result<Option<u32>, ModelError> {
            let id = gguf.opt_u32(&format!("tokenizer.ggml.{key}"))?;
            match id {
                Some(id) if id as usize >= vocab_size => {
                    Err(ModelError::invalid(key, format!("{id} is outside the vocabulary of {vocab_size}")))
                }
                id => Ok(id),
            }
        };
        let mut eos_ids: Vec<u32> = Vec::new();
        let named = [id("eos_token_id")?, id("eot_token_id")?, id("eom_token_id")?];
        let is_special = |token: &&str| inner.get_added_vocabulary().is_special_token(token);
        let usual = END_OF_TURN.iter().filter(|token| is_special(token)).map(|token| inner.token_to_id(token));
        for id in named.into_iter().chain(usual).flatten() {
            if !eos_ids.contains(&id) {
                eos_ids.push(id);
            }
        }
        let bos_id = id("bos_token_id")?;
        let added = inner.get_added_tokens_decoder();
        let special = added.values().filter(|token| token.special && !token.content.is_empty());
        let mut special: Vec<String> = special.map(|token| token.content.clone()).collect();
        special.sort_unstable();
        Ok(Self { inner, bos_id, eos_ids, vocab_size, max_length, special })
    }

    /// Token ids of `text`. Special tokens written in the text (`<|im_start|>`) become their one id; `add_special` also
    /// adds what the model wants around a sequence (BERT's `[CLS]`, `[SEP]`; a BOS if the file asks for one).
    ///
    /// # Errors
    /// `model-invalid` if the vocabulary has no token for a piece and no unknown token.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, ModelError> {
        let encoding = self.inner.encode_fast(text, add_special).map_err(encode_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Token ids of a conversation that a chat template has written out: as [`Self::encode`] with `add_special`, but
    /// where the template wrote the BOS itself, no second one is put before it.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_rendered(&self, rendered: &str) -> Result<Vec<u32>, ModelError> {
        let ids = self.encode(rendered, false)?;
        match self.bos_id {
            Some(bos) if ids.first() == Some(&bos) => Ok(ids),
            _ => self.encode(rendered, true),
        }
    }

    /// `text` with a space in everything that is written like a special token, so that what a page says can end no
    /// turn and begin none.
    pub fn without_special(&self, text: &str) -> String {
        let mut plain = text.to_owned();
        for token in self.special.iter().filter(|token| text.contains(token.as_str())) {
            let first = token.chars().next().map_or(0, char::len_utf8);
            plain = plain.replace(token, &format!("{} {}", &token[..first], &token[first..]));
        }
        plain
    }

    /// As [`Self::encode`] with `add_special`, with the text cut so that the whole has at most `max_tokens` ids: the
    /// special tokens stay.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_truncated(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>, ModelError> {
        let mut encoding = self.inner.encode_fast(text, false).map_err(encode_error)?;
        let n_special = self.encode("", true)?.len();
        let n_text = max_tokens.saturating_sub(n_special);
        if encoding.len() > n_text {
            encoding.truncate(n_text, 0, TruncationDirection::Right);
        }
        let encoding = self.inner.post_process(encoding, None, true).map_err(encode_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of `ids`; an id outside the vocabulary is left out, incomplete UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// `model-invalid` if the tokenizer's decoder refuses the tokens.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, ModelError> {
        let text = self.inner.decode(ids, skip_special);
        text.map_err(|error| ModelError::invalid("the tokenizer", error.to_string()))
    }

    /// Number of tokens of `text` without special ones; for a text that cannot be encoded, its bytes: no token is
    /// shorter.
    pub fn n_tokens(&self, text: &str) -> usize {
        self.inner.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token as the vocabulary writes it (byte-level characters, `##`, `▁` included).
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// Every token that ends a generation, the file's own end of sequence first.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos_ids
    }

    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Tokens, special ones included, that the checkpoint's own pipeline cuts a text at; from an embedded
    /// `tokenizer.json` alone.
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    fn is_special(&self, id: u32) -> bool {
        self.token(id).is_some_and(|token| self.inner.get_added_vocabulary().is_special_token(&token))
    }

    fn is_byte_level(&self) -> bool {
        matches!(self.inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)))
    }
}

fn encode_error(error: tokenizers::Error) -> ModelError {
    ModelError::invalid("the tokenizer", error.to_string())
}

#[cfg(test)]
mod tests;
