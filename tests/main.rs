//! Tests across crates and against the real models.

mod support;

mod chat;
mod tokenizer;
