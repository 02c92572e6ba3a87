//! A page → tokens, in pieces, so that no tag takes more time than its length warrants.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use html5ever::{
    tendril::StrTendril,
    tokenizer::{BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts},
};

use super::Walker;

/// Bytes that the tokenizer gets at once.
const PIECE_BYTES: usize = 4 << 10;
/// Marks that attributes can begin after, without a token between: with more of them a tag gets no more attributes, since
/// the tokenizer holds each against all before it. Embedded pictures have one in some sixty bytes.
const MAX_MARKS: usize = 4_096;

/// Shows every token of `source` to `walker`.
pub(super) fn tokenize(source: &str, walker: Walker) -> Walker {
    let sink = Sink { walker: RefCell::new(walker), has_token: Cell::new(false) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    let (mut rest, mut n_marks) = (source, 0);
    while !rest.is_empty() {
        let is_long = n_marks > MAX_MARKS;
        let end = rest.floor_char_boundary(PIECE_BYTES);
        let end = rest[..end].find('>').filter(|_| is_long).map_or(end, |at| at + 1);
        let (piece, after) = rest.split_at(end);
        rest = after;
        let piece = if is_long { without_attributes(piece) } else { Cow::Borrowed(piece) };
        input.push_back(StrTendril::from(&*piece));
        // The sink never asks for a script to run, so one call reads it all.
        let _ = tokenizer.feed(&input);
        n_marks = if tokenizer.sink.has_token.take() { 0 } else { n_marks + piece.bytes().filter(is_mark).count() };
    }
    tokenizer.end();
    tokenizer.sink.walker.into_inner()
}

fn is_mark(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'')
}

/// The rest of a long tag, quoted value or comment: it still ends where it would, but no attribute begins in it.
fn without_attributes(piece: &str) -> Cow<'_, str> {
    Cow::Owned(piece.replace(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '='), "x"))
}

struct Sink {
    walker: RefCell<Walker>,
    /// A token has come since this was asked last.
    has_token: Cell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if let Token::ParseError(_) = token {
            return TokenSinkResult::Continue;
        }
        self.has_token.set(true);
        let mut walker = self.walker.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return walker.start(&tag),
            Token::TagToken(tag) => walker.end(&tag.name),
            Token::CharacterTokens(text) => walker.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}
