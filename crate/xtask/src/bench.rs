//! Measures Lectern beside what a page could load instead.

use std::process::Command;

use anyhow::Result;

use crate::house::House;
use crate::models::{self, Source};
use crate::wasm::Optimize;
use crate::{browser, command, native, site, step, tools};

/// Does all set-up, then runs the stages named, all without a name. Figures go to standard output as JSON lines with
/// `as_json`, a table to standard error.
///
/// # Errors
/// At the first step that fails. A peer that cannot be set up is no failure: the bench names it and goes on.
pub fn bench(house: &House, stages: &[String], rounds: usize, as_json: bool) -> Result<()> {
    tools::npm_packages(&house.www())?;
    let folder = house.root.join("tests/bench");
    if let Err(error) = tools::npm_packages(&folder) {
        step::left_out(format_args!("The peers: {error:#}"));
    }
    let chromium = browser::chromium()?;
    models::get(house, Source::Package, || native::build_converter(house))?;
    let dist = house.target.join("bench-site");
    site::assemble(house, &dist, Optimize::Size)?;
    let mut bench = Command::new("node");
    bench.current_dir(&house.root).arg(folder.join("bench.mjs")).args(stages).args(["--rounds", &rounds.to_string()]);
    if as_json {
        bench.arg("--json");
    }
    bench.env("LECTERN_MODELS", &house.models).env("LECTERN_DIST", &dist).env("CHROME_BIN", &chromium);
    step::loud("Benchmarks", || command::run(&mut bench, "mend what the bench says above"))
}
