//! `lectern eval files`: each file is read by a process of its own, whose time and memory are told.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lectern_engine::evaluate::files::{CRASHED, FileRow, FilesFigures, MAX_SECONDS, Outcome};
use lectern_engine::evaluate::{Event, Run};
use serde::Deserialize;

use super::read_rows;
use super::report::Report;
use super::settings::Settings;
use crate::commands::print_json;
use crate::error::CliError;
use crate::files::read_text;

#[derive(Debug, clap::Args)]
pub struct FilesArgs {
    /// JSON lines {file, expect, must_contain, password}; files are beside it
    manifest: PathBuf,
    /// Write one JSON line for every file, and go on behind those that are there already
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

/// A reader that is not done by then is ended.
const PATIENCE: Duration = Duration::from_secs(3 * MAX_SECONDS as u64);

/// What `lectern extract --json` prints.
#[derive(Deserialize)]
struct Printed {
    text: String,
    status: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    error: Option<PrintedError>,
    #[serde(default)]
    peak_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct PrintedError {
    message: String,
}

pub fn run(args: &FilesArgs) -> Result<(), CliError> {
    let rows: Vec<FileRow> = read_rows(&args.manifest)?;
    let dir = args.manifest.parent().unwrap_or(Path::new(""));
    let (mut report, kept) = Report::open(args.run.as_deref(), || {
        let mut files = vec![args.manifest.clone()];
        files.extend(rows.iter().map(|row| dir.join(&row.file)).filter(|file| file.is_file()));
        Settings::new("files", serde_json::json!({}))?.files("files", dir, &files)
    })?;
    let mut on_event = |event: Event<'_>| report.on(event);
    let mut run = Run::new(kept, &mut on_event);
    let mut figures = FilesFigures::default();
    for (done, row) in rows.iter().enumerate() {
        if figures.take(row, &mut run) {
            continue;
        }
        run.progress("files", done, rows.len());
        let file = dir.join(&row.file);
        let open = outcome(&file, None)?;
        let unlocked = row.password.as_deref().map(|password| outcome(&file, Some(password))).transpose()?;
        let reference = row.reference.as_ref().filter(|name| name.ends_with(".utf8"));
        let reference = reference.map(|name| read_text(&dir.join("reference").join(name))).transpose()?;
        figures.add(row, &open, unlocked.as_ref(), reference.as_deref(), &mut run);
    }
    run.progress("files", rows.len(), rows.len());
    report.finish()?;
    if args.json {
        return print_json(&figures);
    }
    let peak = figures.max_peak_bytes.map_or(String::new(), |peak| format!(", at most {} MB", peak >> 20));
    println!("{} of {} as expected; at most {:.1} s{peak}", figures.met, figures.n, figures.max_seconds);
    for failure in &figures.failures {
        println!("{}: {}", failure.file, failure.got);
    }
    Ok(())
}

/// Reads a file in a process of its own: one that goes astray takes nothing with it.
fn outcome(file: &Path, password: Option<&str>) -> Result<Outcome, CliError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["extract", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(password) = password {
        command.args(["--password", password]);
    }
    // A name may begin like an option.
    command.arg("--").arg(file);
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(stdout) = &mut stdout {
            let _ = std::io::Read::read_to_string(stdout, &mut text);
        }
        text
    });
    while child.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = started.elapsed().as_secs_f64();
    let printed = reader.join().unwrap_or_default();
    let parsed: Vec<Printed> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let failed = || Outcome {
        status: CRASHED.to_owned(),
        text: String::new(),
        message: "the process that read it ended without an answer".to_owned(),
        warnings: Vec::new(),
        seconds,
        peak_bytes: None,
    };
    // Of an archive there is a line for each file.
    let Some(first) = parsed.iter().find(|p| p.status == "text").or(parsed.first()) else { return Ok(failed()) };
    Ok(Outcome {
        status: first.status.clone(),
        text: parsed.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join("\n\n"),
        message: first.error.as_ref().map_or(String::new(), |error| error.message.clone()),
        warnings: parsed.iter().flat_map(|p| p.warnings.clone()).collect(),
        seconds,
        peak_bytes: parsed.iter().filter_map(|p| p.peak_bytes).max(),
    })
}
