//! The file of a run: a first line that says what it was made with, and a line for every query and arm.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lectern_engine::evaluate::{KeptLine, RunRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use super::settings::{Settings, differences};
use crate::error::CliError;

/// The name and the arm of the first line.
const SETTINGS: &str = "settings";

#[derive(Deserialize)]
struct FirstLine {
    arm: String,
    settings: Value,
}

/// Open to be written on; nobody else writes on it meanwhile.
pub struct RunFile {
    path: PathBuf,
    file: File,
}

impl RunFile {
    /// Opens or makes the file of a run with these settings, and gives the lines that are there. A last line that is
    /// torn is taken away.
    ///
    /// # Errors
    /// `run-mismatch` for a run with other settings, `run-invalid` for a file that is none, `run-busy` while another
    /// command writes on it.
    pub fn open(path: &Path, settings: Settings) -> Result<(Self, Vec<KeptLine>), CliError> {
        let unreadable = |error| CliError::Read { path: path.to_owned(), error };
        let unwritable = |error| CliError::Write { path: path.to_owned(), error };
        let invalid = |line: usize| CliError::RunInvalid { path: path.to_owned(), line };
        let settings = settings.into_value();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unwritable)?;
        file.try_lock().map_err(|_| CliError::RunBusy { path: path.to_owned() })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let n_whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        // The same beginning for every run, so that one torn in its first line is told from another file.
        let opening = format!("{{\"arm\":\"{SETTINGS}\"");
        let is_torn = bytes.starts_with(opening.as_bytes()) || opening.as_bytes().starts_with(&bytes);
        if n_whole == 0 && !is_torn {
            return Err(invalid(1));
        }
        let text = std::str::from_utf8(&bytes[..n_whole]).map_err(|_| invalid(1))?;
        let mut lines = text.lines().enumerate();
        let mut kept: Vec<KeptLine> = Vec::new();
        if let Some((_, first)) = lines.next() {
            let first: FirstLine = serde_json::from_str(first).map_err(|_| invalid(1))?;
            if first.arm != SETTINGS {
                return Err(invalid(1));
            }
            let differ = differences(&first.settings, &settings);
            if !differ.is_empty() {
                return Err(CliError::RunMismatch { path: path.to_owned(), differ: differ.join(", ") });
            }
            for (i, line) in lines {
                kept.push(serde_json::from_str(line).map_err(|_| invalid(i + 1))?);
            }
        }
        file.set_len(n_whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(unwritable)?;
        let mut run = Self { path: path.to_owned(), file };
        if n_whole == 0 {
            // With what every line has, for those who read only that.
            run.write(&json!({ "arm": SETTINGS, "id": SETTINGS, "hits": [], "settings": settings }))?;
        }
        Ok((run, kept))
    }

    /// # Errors
    /// `file-unwritable`.
    pub fn append(&mut self, record: &RunRecord<'_>) -> Result<(), CliError> {
        self.write(record)
    }

    /// One write for a line, which the system keeps whatever becomes of this process.
    fn write(&mut self, line: &impl serde::Serialize) -> Result<(), CliError> {
        let mut bytes = serde_json::to_vec(line).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(|error| CliError::Write { path: self.path.clone(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(limit: usize) -> Settings {
        Settings::of([("limit".to_owned(), json!(limit))].into_iter().collect())
    }

    fn record(id: &str) -> RunRecord<'_> {
        RunRecord { id, arm: "rag", ..RunRecord::default() }
    }

    fn open(path: &Path, limit: usize) -> Result<Vec<String>, String> {
        let opened = RunFile::open(path, settings(limit)).map_err(|error| error.to_string());
        Ok(opened?.1.into_iter().map(|line| line.id).collect())
    }

    #[test]
    fn a_file_goes_on_where_it_ends_and_only_where_it_fits() {
        let dir = std::env::temp_dir().join(format!("lectern-run-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("run.jsonl");
        let (mut run, kept) = RunFile::open(&path, settings(5)).unwrap();
        assert!(kept.is_empty());
        run.append(&record("a")).unwrap();
        assert!(open(&path, 5).unwrap_err().contains("(run-busy)"));
        run.append(&record("b")).unwrap();
        drop(run);
        assert_eq!(open(&path, 5).unwrap(), ["a", "b"]);
        let whole = std::fs::read(&path).unwrap();
        let refusal = open(&path, 6).unwrap_err();
        assert!(refusal.contains("limit (there 5, here 6)") && refusal.contains("(run-mismatch)"), "{refusal}");

        // Cut anywhere, the whole lines stay, and nothing else.
        let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
        for n in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            std::fs::write(&path, &whole[..n]).unwrap();
            let n_lines = ends.iter().filter(|&&end| end < n).count();
            assert_eq!(open(&path, 5).unwrap().len(), n_lines.saturating_sub(1), "cut at {n}");
            let left = std::fs::read(&path).unwrap();
            assert!(whole.starts_with(&left) && left.ends_with(b"\n"), "cut at {n}");
        }

        for other in ["no run", "{\"id\":\"a\",\"arm\":\"rag\",\"values\":{}}\n", "\n"] {
            std::fs::write(&path, other).unwrap();
            assert!(open(&path, 5).unwrap_err().contains("(run-invalid)"), "{other}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        let broken = [&whole[..], b"{\"id\"\n"].concat();
        std::fs::write(&path, broken).unwrap();
        assert!(open(&path, 5).unwrap_err().contains("line 4"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
