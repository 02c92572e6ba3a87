//! The engine as a page's worker sees it: parse, delegate, convert.

mod device;
pub mod dto;
mod engine;
mod error;
mod host;
mod kernels;

pub use engine::{Engine, ModelFile, ReadSource, build_segment};
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
    host::install_log();
}
