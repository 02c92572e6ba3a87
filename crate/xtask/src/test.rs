//! Every test of the project, in the order that builds nothing twice.

use std::process::Command;

use anyhow::Result;

use crate::command::{self, cargo, npm};
use crate::house::House;
use crate::models::{self, Source};
use crate::wasm::Optimize;
use crate::{browser, native, site, step, tidy, tools, vulkan};

const ADVICE: &str = "the failing tests are named above";

/// Does all set-up, then runs the tests; `full` adds the long ones.
///
/// # Errors
/// At the first stage that fails.
pub fn test(house: &House, full: bool) -> Result<()> {
    tools::npm_packages(&house.www())?;
    let chromium = browser::chromium()?;
    vulkan::driver()?;
    tools::clippy(house)?;
    native::build_all(house)?;
    models::get(house, Source::Package, || Ok(house.cli()))?;

    let dist = house.target.join("site");
    let environment = |command: &mut Command| {
        command
            .env("LECTERN_MODELS", &house.models)
            .env("LECTERN_BIN", house.cli())
            .env("LECTERN_DIST", &dist)
            .env("CHROME_BIN", &chromium);
        if full {
            command.env("LECTERN_FULL", "1");
        }
    };
    let stage = |what: &str, mut command: Command| {
        environment(&mut command);
        step::loud(what, || command::run(&mut command, ADVICE))
    };

    let mut rust = cargo(&house.root);
    rust.args(["test", "--release", "--workspace", "--exclude", "xtask"]);
    stage("Rust tests", rust)?;
    let mut own = cargo(&house.root);
    own.args(["test", "--release", "--package", "xtask"]);
    stage("Tests of the tasks", own)?;

    site::assemble(house, &dist, Optimize::No)?;
    let mut lint = npm(&house.www());
    lint.args(["run", "lint"]);
    stage("TypeScript types and lints", lint)?;
    let mut unit = npm(&house.www());
    unit.args(["test"]);
    stage("TypeScript tests", unit)?;
    let mut pages = Command::new("node");
    pages.current_dir(&house.root).arg("tests/browser/run.mjs");
    stage("Browser tests", pages)?;

    tidy::tidy(house)
}
