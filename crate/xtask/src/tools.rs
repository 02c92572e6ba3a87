//! Tools a fresh machine may lack: the wasm target, Node and its packages, Python's pip.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, npm};
use crate::house::House;
use crate::models::sha256_of_bytes;
use crate::step;

const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// Major and minor version; what the bundler needs.
const NODE_AT_LEAST: (u32, u32) = (20, 19);

/// Adds Rust's wasm target when it is not there.
///
/// # Errors
/// Without rustup, or when the target cannot be fetched.
pub fn wasm_target(house: &House) -> Result<()> {
    let advice = "install Rust through https://rustup.rs, then run this again";
    // Without rustup a target that Rust's own folder already holds is as good.
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(&house.root), advice)?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET).is_dir() {
        step::skip(format_args!("Rust target {WASM_TARGET}"));
        return Ok(());
    }
    step::quiet(format_args!("Adding Rust target {WASM_TARGET}"), || {
        let mut rustup = Command::new("rustup");
        command::output(rustup.args(["target", "add", WASM_TARGET]).current_dir(&house.root), advice)
    })?;
    Ok(())
}

/// Adds clippy when it is not there: rustup's smallest profile leaves it out.
///
/// # Errors
/// Without rustup, or when it cannot be fetched.
pub fn clippy(house: &House) -> Result<()> {
    let mut probe = Command::new("clippy-driver");
    if probe.arg("--version").current_dir(&house.root).output().is_ok_and(|found| found.status.success()) {
        step::skip("Clippy");
        return Ok(());
    }
    step::quiet("Adding clippy", || {
        let mut rustup = Command::new("rustup");
        let advice = "install clippy for this Rust, then run this again";
        command::output(rustup.args(["component", "add", "clippy"]).current_dir(&house.root), advice)
    })?;
    Ok(())
}

/// Installs the packages of `folder` as its lock file says, when that changed since the last time.
///
/// # Errors
/// Without a Node that is new enough, or when npm fails.
pub fn npm_packages(folder: &Path) -> Result<()> {
    node()?;
    let lock = folder.join("package-lock.json");
    let lock =
        fs::read(&lock).with_context(|| format!("{} is missing: restore it with git checkout", lock.display()))?;
    let wanted = sha256_of_bytes(&lock);
    // Inside node_modules, so that removing the folder removes the stamp.
    let stamp = folder.join("node_modules/.lectern-lock.sha256");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        step::skip(format_args!("npm packages of {}", name(folder)));
        return Ok(());
    }
    step::loud(format_args!("Installing npm packages of {}", name(folder)), || {
        command::run(
            // No package needs a script of its own; one of the peers' would download a program that the page does not run.
            npm(folder).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]),
            "check the connection to your npm registry, then run this again",
        )
    })?;
    Ok(fs::write(stamp, wanted)?)
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn node() -> Result<()> {
    let advice = "install Node 20.19 or newer from https://nodejs.org";
    let version = command::output(Command::new("node").arg("--version"), advice)?;
    match node_version(&version) {
        Some(found) if found >= NODE_AT_LEAST => Ok(()),
        _ => bail!("Node {} is too old: {advice}", version.trim()),
    }
}

fn node_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_read() {
        assert_eq!(node_version("v20.20.2\n"), Some((20, 20)));
        assert_eq!(node_version("v8.1.0"), Some((8, 1)));
        assert_eq!(node_version("nonsense"), None);
    }
}
