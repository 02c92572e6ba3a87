//! `lectern extract`: what is read of a file, as citations refer to it.

use std::io::Write;
use std::path::Path;

use lectern_engine::EngineError;
use lectern_engine::corpus::Document;
use lectern_engine::ingest::{expand, extract};
use serde_json::{Value, json};

use crate::commands::print_json;
use crate::error::CliError;
use crate::files::read;

/// Codes that tell what a file is, and no failure to read it.
const FINDINGS: [&str; 3] = ["file-empty", "file-no-text", "file-password"];

/// Prints a file's text; of an archive that of its files, one JSON object for each.
pub fn run(file: &Path, password: Option<&str>, as_json: bool) -> Result<(), CliError> {
    let name = file.to_string_lossy();
    let bytes = read(file)?;
    let Some(files) = expand(&name, &bytes, password) else {
        return print(&name, extract(&name, &bytes, password), as_json);
    };
    let files = match files {
        Ok(files) => files,
        Err(error) => return print(&name, Err(error), as_json),
    };
    let mut last = Ok(());
    for (name, bytes) in files {
        let printed = print(&name, bytes.and_then(|bytes| extract(&name, &bytes, password)), as_json);
        if let Err(CliError::Engine { error }) = &printed {
            eprintln!("lectern: {error} ({})", error.code());
        }
        last = last.and(printed);
    }
    last
}

fn print(name: &str, read: Result<Document, EngineError>, as_json: bool) -> Result<(), CliError> {
    if as_json {
        print_json(&described(name, &read))?;
    }
    match read {
        Ok(document) if !as_json => {
            document.warnings.iter().for_each(|warning| eprintln!("{name}: {warning}"));
            writeln!(std::io::stdout().lock(), "{}", document.text)?;
        }
        Err(error) if !(as_json && FINDINGS.contains(&error.code())) => return Err(error.into()),
        _ => {}
    }
    Ok(())
}

fn described(name: &str, read: &Result<Document, EngineError>) -> Value {
    let document = match read {
        Ok(document) => document,
        Err(error) => {
            return json!({
                "file": name,
                "text": "",
                "sections": [],
                "status": status(error.code()),
                "warnings": [],
                "error": { "code": error.code(), "message": error.to_string() },
                "peak_bytes": peak_bytes(),
            });
        }
    };
    let section = |s: &lectern_engine::corpus::Section| json!({ "title": s.title, "level": s.level, "start": s.span.start, "end": s.span.end, "page": s.page });
    json!({
        "file": name,
        "text": document.text,
        "sections": document.sections.iter().map(section).collect::<Vec<_>>(),
        "pages": document.pages,
        "status": "text",
        "warnings": document.warnings,
        "title": document.title,
        "format": document.format,
        "language": document.language,
        "encoding": document.encoding,
        "peak_bytes": peak_bytes(),
    })
}

/// `file-no-text` → `no_text`.
pub fn status(code: &str) -> String {
    code.strip_prefix("file-").unwrap_or(code).replace('-', "_")
}

/// The most memory this process has held, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
