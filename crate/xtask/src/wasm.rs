//! The wasm module and its JavaScript: built, bound, checked, and for a release made small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

use crate::command::{self, cargo};
use crate::house::House;
use crate::models::sha256_of;
use crate::step;
use crate::tools;

/// What rustc's wasm target and `.cargo/config.toml` make use of. Named one by one: with all features switched on,
/// wasm-opt emits what browsers do not take yet.
const WASM_FEATURES: [&str; 7] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimize {
    No,
    /// `wasm-opt -Oz`: minutes for a module half the size.
    Size,
}

/// Builds `lectern-wasm` into `www/worker/pkg`.
///
/// # Errors
/// When the build, the binding or the check of the module fails.
pub fn build(house: &House, optimize: Optimize) -> Result<()> {
    tools::wasm_target(house)?;
    step::loud("Building the wasm module", || {
        command::run(
            cargo(&house.root).args([
                "build",
                "--release",
                "--package",
                "lectern-wasm",
                "--target",
                "wasm32-unknown-unknown",
            ]),
            "mend what the compiler says above",
        )
    })?;
    let module = house.target.join("wasm32-unknown-unknown/release/lectern_wasm.wasm");
    let package = house.www().join("worker/pkg");
    let stamp = package.join(".made-from");
    let wanted = format!("{} {optimize:?} {}", sha256_of(&module)?, env!("CARGO_PKG_VERSION"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        step::skip("JavaScript bindings in www/worker/pkg");
        return Ok(());
    }
    check_constructors(&fs::read(&module)?)?;
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    step::quiet("Writing JavaScript bindings to www/worker/pkg", || bind(&module, &package))?;
    if optimize == Optimize::Size {
        step::quiet("Making the wasm module small (wasm-opt -Oz, some minutes)", || {
            shrink(house, &package.join("lectern_wasm_bg.wasm"))
        })?;
    }
    // Last, so that a package left half-made is made again.
    Ok(fs::write(stamp, wanted)?)
}

fn bind(module: &Path, folder: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .web(true)?
        .typescript(true)
        .out_name("lectern_wasm")
        .generate(folder)
        .context("binding the wasm module")
}

fn shrink(house: &House, module: &Path) -> Result<()> {
    let wasm_opt: PathBuf = house.www().join("node_modules/.bin/wasm-opt");
    let small = module.with_extension("small");
    command::output(
        Command::new(wasm_opt).arg("-Oz").args(WASM_FEATURES).arg(module).arg("-o").arg(&small),
        "remove www/node_modules and run this again",
    )?;
    Ok(fs::rename(small, module)?)
}

/// Fails if the linker has wrapped the exports so that each call runs every constructor of the module again.
///
/// `wasm-ld` does that, in functions named `<export>.command_export`, to a module that has constructors and never
/// calls `__wasm_call_ctors` itself; a call then costs hundreds of times more.
fn check_constructors(module: &[u8]) -> Result<()> {
    let mut has_names = false;
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let wasmparser::Payload::CustomSection(section) = payload? else { continue };
        let wasmparser::KnownCustom::Name(names) = section.as_known() else { continue };
        for name in names {
            let wasmparser::Name::Function(functions) = name? else { continue };
            has_names = true;
            for function in functions {
                let function = function?.name;
                if function.contains("command_export") {
                    bail!(
                        "the wasm module runs its constructors on every call ({function}): let lectern-wasm call \
                         `__wasm_call_ctors` once at its start"
                    );
                }
            }
        }
    }
    ensure!(has_names, "the wasm module has no function names to check: do not strip symbols in the release profile");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of nothing but a name section with one function name.
    fn module(function: &str) -> Vec<u8> {
        let names = [&[1, 0, function.len() as u8], function.as_bytes()].concat();
        let content = [&[4][..], b"name", &[1, names.len() as u8], &names].concat();
        [&b"\0asm\x01\0\0\0"[..], &[0, content.len() as u8], &content].concat()
    }

    #[test]
    fn constructor_shims_are_found() {
        check_constructors(&module("ask")).unwrap();
        let error = check_constructors(&module("ask.command_export")).unwrap_err().to_string();
        assert!(error.contains("__wasm_call_ctors"), "{error}");
    }

    #[test]
    fn a_module_without_names_proves_nothing() {
        assert!(check_constructors(b"\0asm\x01\0\0\0").is_err());
    }
}
