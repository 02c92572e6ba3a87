//! Detokenising while tokens arrive.

use super::Tokenizer;

/// Turns ids into text as they come, holding back what is not yet whole UTF-8. The pieces, with [`Self::finish`],
/// make what [`Tokenizer::decode`] makes of all ids at once.
#[derive(Debug)]
pub struct TokenStream<'a> {
    tokenizer: &'a Tokenizer,
    skip_special: bool,
    pending: Pending,
}

#[derive(Debug)]
enum Pending {
    /// Byte-level vocabularies: the bytes that do not make a character yet.
    Bytes(Vec<u8>),
    /// Others: the ids since text was last given out, the first `n_context` of which already were.
    Ids { ids: Vec<u32>, n_context: usize },
}

impl<'a> TokenStream<'a> {
    pub fn new(tokenizer: &'a Tokenizer, skip_special: bool) -> Self {
        let pending = match tokenizer.is_byte_level() {
            true => Pending::Bytes(Vec::new()),
            false => Pending::Ids { ids: Vec::new(), n_context: 0 },
        };
        Self { tokenizer, skip_special, pending }
    }

    /// The text that `id` completes; empty while a character is incomplete and for a skipped special token.
    pub fn push(&mut self, id: u32) -> String {
        let skip = self.skip_special && self.tokenizer.is_special(id);
        match &mut self.pending {
            _ if skip => String::new(),
            Pending::Bytes(bytes) => {
                if let Some(token) = self.tokenizer.token(id) {
                    push_bytes(&token, bytes);
                }
                take_whole(bytes)
            }
            Pending::Ids { ids, n_context } => {
                ids.push(id);
                let text = settled(self.tokenizer, ids, *n_context);
                if text.is_empty() || text.ends_with('\u{fffd}') {
                    return String::new();
                }
                ids.drain(..*n_context);
                *n_context = ids.len();
                text
            }
        }
    }

    /// What is left at the end; an incomplete character becomes U+FFFD.
    pub fn finish(self) -> String {
        match self.pending {
            Pending::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Pending::Ids { ids, n_context } => settled(self.tokenizer, &ids, n_context),
        }
    }
}

/// Text of `ids` beyond that of the first `n_context`.
fn settled(tokenizer: &Tokenizer, ids: &[u32], n_context: usize) -> String {
    let decode = |ids: &[u32]| tokenizer.decode(ids, false).unwrap_or_default();
    let (context, all) = (decode(&ids[..n_context]), decode(ids));
    all.get(context.len()..).unwrap_or_default().to_owned()
}

/// Bytes of a byte-level token: one per character, or the text itself if it has characters outside that alphabet.
fn push_bytes(token: &str, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    for c in token.chars() {
        match byte_of_char(c) {
            Some(byte) => bytes.push(byte),
            None => {
                bytes.truncate(start);
                bytes.extend(token.as_bytes());
                return;
            }
        }
    }
}

/// GPT-2's byte alphabet: printable Latin-1 stands for itself, the other 68 bytes are U+0100 onwards, in order.
fn byte_of_char(c: char) -> Option<u8> {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = c as u32;
    match code {
        0..=0xff => printable(code).then_some(code as u8),
        0x100..=0x143 => (0..=0xff).filter(|&b| !printable(b)).nth((code - 0x100) as usize).map(|b| b as u8),
        _ => None,
    }
}

/// Takes everything but an incomplete character at the end; bytes that can never be UTF-8 become U+FFFD.
fn take_whole(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut at = 0;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(rest) => {
                text.push_str(rest);
                bytes.clear();
                return text;
            }
            Err(error) => {
                let valid = at + error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(&bytes[at..valid]));
                let Some(n_bad) = error.error_len() else {
                    bytes.drain(..valid);
                    return text;
                };
                text.push('\u{fffd}');
                at = valid + n_bad;
            }
        }
    }
}
