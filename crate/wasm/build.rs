//! Lets the module's function table grow, so that the products of the second module find a place in it, and bounds the
//! memory of the modules that read files.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo:rustc-link-arg-cdylib=--growable-table");
        // What a file costs to read ends there, and with it its worker, which is not the engine's.
        if std::env::var_os("CARGO_FEATURE_ENGINE").is_none() {
            println!("cargo:rustc-link-arg-cdylib=--max-memory={}", 1 << 30);
        }
    }
}
