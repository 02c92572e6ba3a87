//! The house rules, checked: who may depend on whom, what code below the edges may touch, how long a file may be,
//! which words stay out, under which licences we take code, and what clippy says.

mod direction;
mod graph;
pub mod licences;
mod lints;
mod sources;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::house::House;
use crate::step;

/// Directions are the same on every platform.
const NATIVE: &str = "x86_64-unknown-linux-gnu";

/// Checks every rule and names each place that breaks one.
///
/// # Errors
/// When a rule is broken, or the checkout cannot be read.
pub fn tidy(house: &House) -> Result<()> {
    let files = tracked_files(house)?;
    let mut problems = Vec::new();
    problems.extend(direction::check(&house.metadata(NATIVE)?));
    problems.extend(licences::check(house)?);
    problems.extend(sources::check(house, &files)?);
    for problem in &problems {
        eprintln!("  {problem}");
    }
    if !problems.is_empty() {
        bail!("{} house rules are broken: mend what is listed above", problems.len());
    }
    step::skip("House rules: directions, licences, sources");
    licences::cargo_deny(house)?;
    lints::clippy(house)
}

/// What git tracks, and what it would on the next commit; paths relative to the root.
fn tracked_files(house: &House) -> Result<Vec<PathBuf>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(&house.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = command::output(&mut git, "run this inside the git checkout").context("listing the files")?;
    let mut files: Vec<PathBuf> = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
