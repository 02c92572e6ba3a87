//! The native program and the tests: one release profile for both.

use anyhow::Result;

use crate::command::{self, cargo};
use crate::house::House;
use crate::step;

const ADVICE: &str = "mend what the compiler says above";

/// Builds `target/release/lectern`.
///
/// # Errors
/// When the build fails.
pub fn build_cli(house: &House) -> Result<()> {
    step::loud("Building the command line: target/release/lectern", || {
        command::run(cargo(&house.root).args(["build", "--release", "--package", "lectern"]), ADVICE)
    })
}

/// Builds the program and every test in one go.
///
/// Cargo chooses features by what is built together, so building the program alone first would compile shared
/// dependencies, Burn among them, once more for the tests.
///
/// # Errors
/// When the build fails.
pub fn build_all(house: &House) -> Result<()> {
    step::loud("Building the command line and the Rust tests", || {
        command::run(
            cargo(&house.root).args(["build", "--release", "--workspace", "--exclude", "xtask", "--bins", "--tests"]),
            ADVICE,
        )
    })
}
