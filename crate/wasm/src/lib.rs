//! What a page's workers are made of: parse, delegate, convert. Built four times: the engine with and without the GPU
//! executor, and the jobs beside it with and without those of PDF files, so that a page fetches no more than it needs.

mod console;
#[cfg(feature = "engine")]
mod device;
pub mod dto;
#[cfg(feature = "engine")]
mod engine;
mod error;
#[cfg(feature = "engine")]
mod host;
#[cfg(feature = "jobs")]
mod jobs;
#[cfg(feature = "engine")]
mod kernels;

#[cfg(feature = "engine")]
pub use engine::{Engine, ModelFile, ReadSource};
#[cfg(feature = "jobs")]
pub use jobs::{build_segment, extract};
#[cfg(feature = "engine")]
pub use kernels::install_kernels;

use wasm_bindgen::prelude::*;

#[cfg(target_family = "wasm")]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs once, when the module starts.
#[wasm_bindgen(start)]
pub fn start() {
    // Some crates of the GPU stack register constructors. Unless they are called from inside, the
    // linker wraps every export in a shim that runs them all again on each call.
    #[cfg(target_family = "wasm")]
    unsafe {
        __wasm_call_ctors();
    }
    console::install_log();
}
