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

/// What is smallest after brotli, which is how modules travel. `-Oz` makes the engine 3 % smaller before it and 5 % larger
/// after it (0.949 MB, with these 0.899): a function that is put into its one caller no longer looks like others.
const SMALL: [&str; 6] = [
    "-O2",
    "--one-caller-inline-max-function-size",
    "0",
    "--always-inline-max-function-size",
    "0",
    "--reorder-functions",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimize {
    No,
    /// By `wasm-opt`: minutes for a module two thirds the size.
    Size,
}

/// Features of `lectern-wasm`: the engine without and with the GPU executor, of which a page fetches the second, of twice
/// the bytes, where there is a GPU; and the jobs beside it, without and with those of PDF files.
const PACKAGES: [(&str, &str); 4] = [("cpu", "engine"), ("gpu", "gpu"), ("jobs", "jobs"), ("pdf", "pdf")];

/// Builds `lectern-wasm` into `www/worker/pkg`.
///
/// # Errors
/// When the build, the binding or the check of a module fails.
pub fn build(house: &House, optimize: Optimize) -> Result<()> {
    tools::wasm_target(house)?;
    let pkg = house.www().join("worker/pkg");
    for (name, features) in PACKAGES {
        package(house, optimize, features, &pkg.join(name))?;
    }
    fs::copy(kernels(house)?, pkg.join("lectern_kernels.wasm"))?;
    Ok(())
}

fn package(house: &House, optimize: Optimize, features: &str, folder: &Path) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let profile = match optimize {
        Optimize::No => "release",
        Optimize::Size => "web",
    };
    step::loud(format_args!("Building the wasm module ({name})"), || {
        command::run(
            cargo(&house.root)
                .args(["build", "--package", "lectern-wasm", "--target", "wasm32-unknown-unknown"])
                .args(["--profile", profile, "--no-default-features", "--features", features])
                .args(match optimize {
                    Optimize::No => Vec::new(),
                    Optimize::Size => vec!["--config".to_owned(), without_paths()],
                }),
            "mend what the compiler says above",
        )
    })?;
    let module = house.target.join("wasm32-unknown-unknown").join(profile).join("lectern_wasm.wasm");
    let stamp = folder.join(".made-from");
    let wanted = format!("{} {optimize:?} {}", sha256_of(&module)?, env!("CARGO_PKG_VERSION"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        step::skip(format_args!("JavaScript bindings in {}", house.shown(folder)));
        return Ok(());
    }
    check_constructors(&fs::read(&module)?)?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    step::quiet(format_args!("Writing JavaScript bindings to {}", house.shown(folder)), || bind(&module, folder))?;
    if optimize == Optimize::Size {
        step::quiet("Making the wasm module small (wasm-opt, some minutes)", || {
            shrink(house, &folder.join("lectern_wasm_bg.wasm"))
        })?;
    }
    // Last, so that a package left half-made is made again.
    Ok(fs::write(stamp, wanted)?)
}

/// A setting of Cargo's that leaves out of what is published where this machine keeps the sources of its crates.
fn without_paths() -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let folders = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok()).into_iter().flatten().flatten();
    let flags = folders.map(|folder| format!("--remap-path-prefix={}=crates", folder.path().display()));
    format!("target.wasm32-unknown-unknown.rustflags={:?}", flags.collect::<Vec<_>>())
}

/// Builds `lectern-simd` with relaxed SIMD as a module of its own.
///
/// Its code needs other target features than the rest, so it has a target folder of its own.
fn kernels(house: &House) -> Result<PathBuf> {
    let target = house.target.join("relaxed");
    // Loop strength reduction turns the constant offsets of loads into additions, a sixth of the inner loop.
    let flags = r#"target.wasm32-unknown-unknown.rustflags=["-C", "target-feature=+relaxed-simd", "-C", "link-arg=--import-memory", "-C", "llvm-args=-disable-lsr"]"#;
    step::loud("Building the module of quick kernels", || {
        command::run(
            cargo(&house.root)
                .args(["rustc", "--release", "--package", "lectern-simd", "--crate-type", "cdylib"])
                .args(["--target", "wasm32-unknown-unknown", "--config", flags])
                .arg("--target-dir")
                .arg(&target),
            "mend what the compiler says above",
        )
    })?;
    let module = target.join("wasm32-unknown-unknown/release/lectern_simd.wasm");
    check_kernels(&fs::read(&module)?)?;
    Ok(module)
}

/// What the module of kernels exports.
const KERNELS: [&str; 4] = ["lectern_product", "lectern_product_dot", "lectern_has_dot", "lectern_attention"];

/// Fails if a module that works in another's memory would take part of it for its own stack or data.
fn check_kernels(module: &[u8]) -> Result<()> {
    use wasmparser::{Operator, Payload};
    let mut exports = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    ensure!(
                        (import.module, import.name) == ("env", "memory"),
                        "the module of kernels imports {}: it can only have the memory",
                        import.name
                    );
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export?.name.to_owned());
                }
            }
            Payload::DataSection(data) => {
                ensure!(data.count() == 0, "the module of kernels has data, which would overwrite the engine's");
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    ensure!(
                        !matches!(operator?, Operator::GlobalGet { .. } | Operator::GlobalSet { .. }),
                        "the module of kernels uses a stack, which is the engine's: keep its values in variables"
                    );
                }
            }
            _ => {}
        }
    }
    for name in KERNELS {
        ensure!(exports.iter().any(|export| export == name), "the module of kernels exports no {name}");
    }
    Ok(())
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
        Command::new(wasm_opt).args(SMALL).args(WASM_FEATURES).arg(module).arg("-o").arg(&small),
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

    /// A module with the memory imported, one function of the body given, and a data section if `data`.
    fn kernels(import: &str, body: &[u8], data: bool) -> Vec<u8> {
        let section = |id: u8, content: Vec<u8>| [vec![id, content.len() as u8], content].concat();
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(section(1, vec![1, 0x60, 0, 0]));
        module.extend(section(2, [vec![1], text("env"), text(import), vec![2, 0, 1]].concat()));
        module.extend(section(3, vec![1, 0]));
        module.extend(section(6, vec![1, 0x7f, 1, 0x41, 0, 0x0b]));
        let exports = KERNELS.map(|name| [text(name), vec![0, 0]].concat()).concat();
        module.extend(section(7, [vec![KERNELS.len() as u8], exports].concat()));
        let body = [&[0][..], body, &[0x0b]].concat();
        module.extend(section(10, [vec![1, body.len() as u8], body].concat()));
        if data {
            module.extend(section(11, vec![1, 0, 0x41, 0, 0x0b, 1, 7]));
        }
        module
    }

    #[test]
    fn a_module_of_kernels_leaves_the_engines_memory_alone() {
        check_kernels(&kernels("memory", &[0x01], false)).unwrap();
        for (module, message) in [
            (kernels("clock", &[0x01], false), "only have the memory"),
            (kernels("memory", &[0x23, 0, 0x1a], false), "stack"),
            (kernels("memory", &[0x01], true), "data"),
            (b"\0asm\x01\0\0\0".to_vec(), "exports no"),
        ] {
            let error = check_kernels(&module).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_module_without_names_proves_nothing() {
        assert!(check_constructors(b"\0asm\x01\0\0\0").is_err());
    }
}
