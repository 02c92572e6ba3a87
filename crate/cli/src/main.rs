//! `lectern`: the engine on a command line.

mod commands;
mod device;
mod error;
mod eval;
mod extract;
mod files;
mod host;
mod models;
mod passages;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lectern_engine::model::convert::Quantization;

use crate::commands::{AskArgs, GenerateArgs};
use crate::error::CliError;
use crate::eval::EvalCommand;
use crate::models::ModelArgs;

/// Answers from your own pages, in the voice you choose, on this machine alone.
#[derive(Parser)]
#[command(name = "lectern", version)]
struct Cli {
    #[command(flatten)]
    models: ModelArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer a question over files, with citations
    Ask(AskArgs),
    /// Continue a conversation, without pages
    Generate(GenerateArgs),
    /// Perplexity of a text file under the language model
    Perplexity {
        file: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// The text of a file, as citations refer to it
    Extract {
        file: PathBuf,
        /// Opens a file that is locked
        #[arg(long)]
        password: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// A unit vector for every line of standard input, as JSON lines
    Embed {
        #[arg(long)]
        json: bool,
    },
    /// Build a collection of files and folders
    Index {
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
        /// Opens files that are locked
        #[arg(long)]
        password: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Search a collection
    Search(commands::SearchArgs),
    /// Measure retrieval, answers and adapters on data of known answers
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Hugging Face safetensors to GGUF
    Convert {
        dir: PathBuf,
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        #[arg(long, value_enum, default_value = "q8_0")]
        quant: Quant,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Quant {
    #[value(name = "q8_0")]
    Q8_0,
    F16,
    F32,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lectern: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), CliError> {
    let models = &cli.models;
    match &cli.command {
        Command::Ask(args) => commands::ask(args, models),
        Command::Generate(args) => commands::generate(args, &models.exactly()),
        Command::Perplexity { file, json } => commands::perplexity(file, *json, &models.exactly()),
        Command::Extract { file, password, json } => extract::run(file, password.as_deref(), *json),
        Command::Embed { .. } => commands::embed(models),
        Command::Index { paths, out, password, json } => {
            commands::index(paths, out, password.as_deref(), *json, models)
        }
        Command::Search(args) => commands::search(args, models),
        Command::Eval(command) => eval::run(command, models),
        Command::Convert { dir, out, quant } => {
            let quantization = match quant {
                Quant::Q8_0 => Quantization::Q8_0,
                Quant::F16 => Quantization::F16,
                Quant::F32 => Quantization::F32,
            };
            commands::convert_folder(dir, out, quantization)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_one_of_the_values() {
        let parsed = Cli::try_parse_from(["lectern", "convert", "folder", "-o", "model.gguf"]).unwrap();
        assert!(matches!(parsed.command, Command::Convert { quant: Quant::Q8_0, .. }));
    }
}
