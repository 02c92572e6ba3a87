//! Where the models and the golden values are. A missing one fails the test that needs it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const DECODER: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const EMBEDDER: &str = "all-MiniLM-L6-v2.Q8_0.gguf";

/// `LECTERN_MODELS`, or `models/cache` of the checkout.
pub fn models_dir() -> PathBuf {
    match std::env::var_os("LECTERN_MODELS") {
        Some(dir) if !dir.is_empty() => dir.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cache"),
    }
}

/// The default decoder's file.
pub fn decoder_gguf() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| model(DECODER));
    &BYTES
}

/// The default embedder's file.
pub fn embedder_gguf() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| model(EMBEDDER));
    &BYTES
}

/// `tests/golden/<name>.json`.
pub fn golden(name: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Token ids of a golden file.
pub fn ids(value: &serde_json::Value) -> Vec<u32> {
    let ids = value.as_array().expect("a list of token ids");
    ids.iter().map(|id| id.as_u64().expect("a token id") as u32).collect()
}

fn model(file: &str) -> Vec<u8> {
    let path = models_dir().join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask models`", path.display()))
}
