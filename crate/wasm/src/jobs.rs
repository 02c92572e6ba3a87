//! Long calls that need no engine, for workers of their own, which may be stopped: reading a file, building a graph.

use js_sys::{Function, Uint8Array};
use lectern_engine::ingest::stored_pages;
use wasm_bindgen::prelude::*;

use crate::dto::to_js;
use crate::error::Rejection;

/// Reads a file; what comes of it is for `Engine.cut_source`.
#[wasm_bindgen]
pub fn extract(name: &str, bytes: &[u8], password: Option<String>) -> Result<JsValue, Rejection> {
    Ok(to_js(&lectern_engine::ingest::extract(name, bytes, password.as_deref())?))
}

/// Gives the files of an archive, or the pages of a collection as they are stored, one by one: `on_file(name, bytes,
/// error)`, one of the two last being null. Whether the bytes are either.
#[wasm_bindgen]
pub fn expand(name: &str, bytes: &[u8], password: Option<String>, on_file: &Function) -> Result<bool, Rejection> {
    let files = stored_pages(bytes).or_else(|| lectern_engine::ingest::expand(name, bytes, password.as_deref()));
    let Some(files) = files else { return Ok(false) };
    for (name, content) in files? {
        let (bytes, error) = match content {
            Ok(bytes) => (Uint8Array::from(bytes.as_slice()).into(), JsValue::NULL),
            Err(error) => (JsValue::NULL, Rejection::from(error).into()),
        };
        // A listener that throws must not end the work it listens to.
        let _ = on_file.call3(&JsValue::NULL, &name.into(), &bytes, &error);
    }
    Ok(true)
}

/// Builds a graph over the vectors of a job.
#[wasm_bindgen]
pub fn build_segment(job: &[u8]) -> Result<Vec<u8>, Rejection> {
    Ok(lectern_engine::index::build_segment(job)?)
}
