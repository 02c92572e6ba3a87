//! Clippy, without compiling the dependencies once more.

use std::fs;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::house::House;
use crate::{step, tools};

/// Runs clippy over the crates of the house and fails on what it finds.
///
/// `cargo clippy` checks dependencies in a mode of their own, which means another pass over Burn. Clippy's compiler
/// put in the place of rustc for our own crates alone, in an ordinary build, takes them as the release build left them.
///
/// # Errors
/// When clippy finds something.
pub fn clippy(house: &House) -> Result<()> {
    tools::clippy(house)?;
    // Clippy's compiler optimises less: its `lectern` must not take the place of the one people run and measure.
    let program = house.cli();
    let aside = program.with_extension("aside");
    let was_there = fs::rename(&program, &aside).is_ok();
    let linted = step::loud("Lints", || {
        let mut build = cargo(&house.root);
        build
            .args(["build", "--release", "--workspace", "--exclude", "xtask", "--bins", "--tests"])
            .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
            // How cargo-clippy hands arguments to its compiler.
            .env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
        command::run(&mut build, "mend what clippy says above")
    });
    if was_there {
        fs::rename(&aside, &program)?;
    } else if program.exists() {
        fs::remove_file(&program)?;
    }
    linted
}
