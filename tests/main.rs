//! Tests across crates and against the real models.

mod desk;
mod reference_decoder;
mod support;
mod tiny_checkpoint;

mod adapters;
mod answers;
mod chat;
mod codes;
mod collection;
mod decoder;
mod embeddings;
mod engine;
#[cfg(feature = "gpu")]
mod gpu;
mod less_work;
mod poisoned;
mod quality;
mod reranker;
mod tiny;
mod tokenizer;
