//! Measures Lectern beside what a page could load instead.

use std::process::Command;

use anyhow::Result;

use crate::house::House;
use crate::models::{self, Source};
use crate::wasm::Optimize;
use crate::{browser, command, native, onnx, site, step, tools};

/// What to measure and how often.
pub struct Wanted {
    /// All without a name.
    pub stages: Vec<String>,
    /// The command line, outside a browser.
    pub native: bool,
    /// Natively: on the GPU.
    pub gpu: bool,
    /// To export transformers.js's files first.
    pub onnx: bool,
    pub rounds: usize,
    pub json: bool,
}

/// Does all set-up, then runs the stages. Figures go to standard output as JSON lines with `json`, a table to standard
/// error.
///
/// # Errors
/// At the first step that fails. A peer that cannot be set up is no failure: the bench names it and goes on.
pub fn bench(house: &House, wanted: &Wanted) -> Result<()> {
    tools::npm_packages(&house.www())?;
    let folder = house.root.join("tests/bench");
    if let Err(error) = tools::npm_packages(&folder) {
        step::left_out(format_args!("The peers: {error:#}"));
    }
    models::get(house, Source::Package, || native::build_converter(house))?;
    let mut bench = Command::new("node");
    bench.current_dir(&house.root).arg(folder.join("bench.mjs")).args(&wanted.stages);
    bench.args(["--rounds", &wanted.rounds.to_string()]).env("LECTERN_MODELS", &house.models);
    for (flag, is_on) in [("--json", wanted.json), ("--native", wanted.native), ("--gpu", wanted.gpu)] {
        if is_on {
            bench.arg(flag);
        }
    }
    if wanted.native {
        // Without the GPU executor it builds in a tenth of the time.
        let bin = if wanted.gpu { native::build(house) } else { native::build_converter(house) };
        bench.env("LECTERN_BIN", bin?);
    } else {
        let dist = house.target.join("bench-site");
        site::assemble(house, &dist, Optimize::Size)?;
        bench.env("LECTERN_DIST", &dist).env("CHROME_BIN", browser::chromium()?);
        if wanted.onnx {
            bench.env("LECTERN_ONNX", onnx::export(house)?);
        }
    }
    step::loud("Benchmarks", || command::run(&mut bench, "mend what the bench says above"))
}
