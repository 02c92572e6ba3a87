//! Long calls that need no engine, for workers of their own, which may be stopped: reading a file, building a graph.

use wasm_bindgen::prelude::*;

use crate::dto::to_js;
use crate::error::Rejection;

/// Reads a file; what comes of it is for `Engine.cut_source`.
#[wasm_bindgen]
pub fn extract(name: &str, bytes: &[u8], password: Option<String>) -> Result<JsValue, Rejection> {
    Ok(to_js(&lectern_engine::ingest::extract(name, bytes, password.as_deref())?))
}

/// Builds a graph over the vectors of a job.
#[wasm_bindgen]
pub fn build_segment(job: &[u8]) -> Result<Vec<u8>, Rejection> {
    Ok(lectern_engine::index::build_segment(job)?)
}
