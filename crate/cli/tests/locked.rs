//! Files that are locked, on the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// `zip -X -P tide locked.zip a.md`, the file in it a sentence.
const LOCKED: &str = "504b0304140009000800c84b765ddb84266a350000002e00000004000000612e6d6413fa4b8488ce72ada87dde3d67939612\
    c90bd68dcd5f20f1dca6856b32eeaa54a8775ea823b475588a05c46dfad1dafe3de48e5ae7504b0708db84266a350000002e\
    000000504b01021e03140009000800c84b765ddb84266a350000002e000000040000000000000001000000a4810000000061\
    2e6d64504b0506000000000100010032000000670000000000";
/// A ZIP file without a file in it.
const EMPTY: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let digits: Vec<char> = LOCKED.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    fs::write(dir.join("locked.zip"), digits.chunks(2).map(byte).collect::<Vec<u8>>()).unwrap();
    fs::write(dir.join("empty.zip"), EMPTY).unwrap();
    dir
}

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lectern"));
    if std::env::var_os("LECTERN_MODELS").is_none_or(|dir| dir.is_empty()) {
        command.env("LECTERN_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cache"));
    }
    command.current_dir(dir).args(args).args(["--device", "cpu"]).output().unwrap()
}

#[test]
fn an_archive_that_gives_no_file_is_one_object_all_the_same() {
    let dir = folder("locked-extract");
    let read = |args: &[&str]| {
        let output = run(&dir, &[&["extract", "--json"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        printed
    };
    for (args, status, code) in [
        (&["locked.zip"][..], "password", "file-password"),
        (&["locked.zip", "--password", "ebb"], "password", "file-password"),
        (&["empty.zip"], "empty", "file-empty"),
    ] {
        let printed = read(args);
        assert_eq!((&printed["status"], &printed["error"]["code"]), (&status.into(), &code.into()), "{args:?}");
        assert_eq!((&printed["file"], &printed["text"]), (&args[0].into(), &"".into()));
    }
    let opened = read(&["locked.zip", "--password", "tide"]);
    assert_eq!(opened["text"], "The key of the lighthouse lies under the mat.");
    assert_eq!((&opened["status"], &opened["file"]), (&"text".into(), &"locked.zip/a.md".into()));
    assert_eq!(run(&dir, &["extract", "locked.zip"]).status.code(), Some(1));
}

#[test]
fn an_index_opens_what_the_password_opens() {
    let dir = folder("locked-index");
    let without = run(&dir, &["index", "locked.zip", "-o", "index"]);
    assert_eq!(without.status.code(), Some(1));
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(said.contains("(file-password)") && said.contains("(no-documents)"), "{said}");
    let with = run(&dir, &["index", "locked.zip", "-o", "index", "--password", "tide", "--json"]);
    let printed: Value = serde_json::from_slice(&with.stdout).unwrap();
    assert_eq!((&printed["sources"], &printed["chunks"]), (&1.into(), &1.into()));
    let found = run(&dir, &["search", "index", "key of the lighthouse", "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["hits"][0]["source"], "locked.zip/a.md");
}
