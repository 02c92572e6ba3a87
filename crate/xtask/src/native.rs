//! The native program and the tests: one release profile for both.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::house::{self, House};
use crate::step;

const ADVICE: &str = "mend what the compiler says above";

/// Builds the command line without the GPU executor, for converting models; returns its path.
///
/// In a folder of its own, so that it never stands where people look for the whole program, and in a minute or two
/// where the GPU stack takes many.
///
/// # Errors
/// When the build fails.
pub fn build_converter(house: &House) -> Result<PathBuf> {
    let target = house.target.join("converter");
    step::loud("Building the model converter", || {
        let mut build = cargo(&house.root);
        build
            .args(["build", "--release", "--package", "lectern", "--no-default-features", "--target-dir"])
            .arg(&target);
        command::run(&mut build, ADVICE)
    })?;
    Ok(target.join("release").join(house::CLI))
}

/// Builds the command line with its GPU executor; returns its path.
///
/// # Errors
/// When the build fails.
pub fn build(house: &House) -> Result<PathBuf> {
    step::loud("Building the command line", || {
        command::run(cargo(&house.root).args(["build", "--release", "--package", "lectern"]), ADVICE)
    })?;
    Ok(house.target.join("release").join(house::CLI))
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
