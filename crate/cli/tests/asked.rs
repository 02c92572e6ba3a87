//! Where and how a question is looked for, on the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lectern"));
    if std::env::var_os("LECTERN_MODELS").is_none_or(|dir| dir.is_empty()) {
        command.env("LECTERN_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cache"));
    }
    command.current_dir(dir).args(args).args(["--device", "cpu"]).output().unwrap()
}

/// Exit code and the last line of standard error.
fn refused(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = run(dir, args);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn sources(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut names: Vec<String> =
        printed["hits"].as_array().unwrap().iter().map(|hit| hit["source"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn some_pages_are_asked_alone_and_an_index_reads_no_index() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("asked");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("notes/guide")).unwrap();
    fs::write(dir.join("notes/ferry.md"), "# Ferry\n\nThe ferry leaves at nine.").unwrap();
    fs::write(dir.join("notes/guide/landing.md"), "# Landing\n\nThe ferry waits at the landing.").unwrap();
    let question = "When does the ferry leave?";
    for _ in 0..2 {
        // The second time the folder holds what the first made.
        assert!(run(&dir, &["index", "notes", "--out", "notes/index"]).status.success());
    }
    let search = |source: &[&str]| run(&dir, &[&["search", "notes/index", question, "--json"], source].concat());
    assert_eq!(sources(&search(&[])), ["ferry.md", "guide/landing.md"]);
    assert_eq!(sources(&search(&["--source", "./guide"])), ["guide/landing.md"]);
    let (code, said) = refused(&dir, &["search", "notes/index", question, "--source", "gui"]);
    assert!(code == 1 && said.contains("\"gui\"") && said.contains("(source-unknown)"), "{said}");

    let ask = |args: &[&str]| run(&dir, &[&["ask", "notes", "-q", question, "--json"], args].concat());
    assert_eq!(sources(&ask(&["--extractive", "--source", "ferry.md"])), ["ferry.md"]);
    assert_eq!(sources(&ask(&["--no-rag", "--top-k", "3", "--max-tokens", "1"])), [""; 0]);
    for args in [
        &["--extractive", "--rerank", "3"][..],
        &["--no-rag", "--source", "ferry.md"],
        &["--no-rag", "--rerank", "3"],
        &["--reranker", "model.gguf"],
    ] {
        assert_eq!(ask(args).status.code(), Some(2), "{args:?}");
    }
    let (code, said) =
        refused(&dir, &["ask", "notes", "-q", question, "--rerank", "3", "--reranker", "notes/ferry.md"]);
    assert!(code == 1 && said.contains("model-"), "{said}");
}
