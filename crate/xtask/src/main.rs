//! Every task of the project behind one door: `cargo xtask serve | test | build | models | tidy`.
//!
//! Each command does its own set-up on a fresh machine, says each step in one line, and skips what is done.

mod apt;
mod bench;
mod browser;
mod command;
mod house;
mod manifest;
mod models;
mod native;
mod notices;
mod onnx;
mod serve;
mod site;
mod step;
mod test;
mod tidy;
mod tools;
mod vulkan;
mod wasm;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use house::House;
use models::Source;
use wasm::Optimize;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, serve and test Lectern", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Serve the page at http://localhost:8080, with everything it needs.
    Serve {
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Run every test: Rust, TypeScript, browser, and the house rules.
    Test {
        /// Also the long tests (all prompts on the software GPU).
        #[arg(long)]
        full: bool,
    },
    /// Measure Lectern beside other engines in the same browser; JSON lines on standard output with --json.
    Bench {
        /// load, prefill, decode, embed, ask, …: a wrong name lists them all; all without a name.
        stages: Vec<String>,
        /// The command line beside llama.cpp, if Python has it, in place of the browser.
        #[arg(long)]
        native: bool,
        /// With --native: on the GPU.
        #[arg(long, requires = "native")]
        gpu: bool,
        /// Export transformers.js's models from ours first, once: some GB of Python packages. Else LECTERN_ONNX names them.
        #[arg(long, conflicts_with = "native")]
        onnx: bool,
        /// Rounds of each measurement.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        #[arg(long)]
        json: bool,
    },
    /// Build the static site with its models, ready for any file server.
    Build {
        /// Folder to write the site to.
        #[arg(short, long, value_name = "DIST", default_value = "dist")]
        output: PathBuf,
    },
    /// Get the default models into models/cache (or the folder LECTERN_MODELS names) and check their hashes.
    Models {
        /// Where to download from.
        #[arg(long, value_enum, default_value_t = Source::Package)]
        from: Source,
    },
    /// Check the house rules: directions, file lengths, forbidden words, licences, lints.
    Tidy,
}

fn main() {
    if let Err(error) = run(Arguments::parse().task) {
        eprintln!("\nerror: {error:#}");
        std::process::exit(1);
    }
}

fn run(task: Task) -> Result<()> {
    let house = House::open()?;
    match task {
        Task::Serve { port } => {
            let server = serve::listen(port)?;
            let dist = house.target.join("site");
            site::build(&house, &dist, Optimize::No)?;
            serve::serve(&dist, &server, port);
            Ok(())
        }
        Task::Test { full } => test::test(&house, full),
        Task::Bench { stages, native, gpu, onnx, rounds, json } => {
            bench::bench(&house, &bench::Wanted { stages, native, gpu, onnx, rounds, json })
        }
        Task::Build { output } => {
            let dist = std::path::absolute(output)?;
            site::refuse_foreign(&house, &dist)?;
            site::build(&house, &dist, Optimize::Size)
        }
        Task::Models { from } => models::get(&house, from, || native::build_converter(&house)),
        Task::Tidy => tidy::tidy(&house),
    }
}
