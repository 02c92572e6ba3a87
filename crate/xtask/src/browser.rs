//! A Chromium for the browser tests: the one that is there, or one from apt.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::apt;
use crate::step;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The program to test with; installed when there is none.
///
/// # Errors
/// When `CHROME_BIN` names no file, or none is there and apt cannot install one.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROME_BIN").filter(|path| !path.is_empty()).map(PathBuf::from) {
        ensure!(path.is_file(), "CHROME_BIN names {}, which is no file: unset or correct it", path.display());
        step::skip(format_args!("Chromium at {} (CHROME_BIN)", path.display()));
        return Ok(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    if let Some(path) = find(&folders) {
        step::skip(format_args!("Chromium at {}", path.display()));
        return Ok(path);
    }
    install()?;
    match find(&folders) {
        Some(path) => Ok(path),
        None => bail!("apt installed no chromium: install one by hand and name it in CHROME_BIN"),
    }
}

fn find(folders: &[PathBuf]) -> Option<PathBuf> {
    NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

fn install() -> Result<()> {
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    apt::install("Chromium", &[package(&system)], "install Chromium by hand and name it in CHROME_BIN")
}

/// Its package on the system that `/etc/os-release` describes: Ubuntu has another name for it.
fn package(system: &str) -> &'static str {
    if system.lines().any(|line| line == "ID=ubuntu") { "chromium-browser" } else { "chromium" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_package() {
        assert_eq!(package("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n"), "chromium-browser");
        assert_eq!(package("ID=debian\n"), "chromium");
    }

    #[test]
    fn chromium_is_preferred_over_chrome() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(first.path().join("google-chrome"), "").unwrap();
        std::fs::write(second.path().join("chromium"), "").unwrap();
        let folders = [first.path().to_path_buf(), second.path().to_path_buf()];
        assert_eq!(find(&folders), Some(second.path().join("chromium")));
        assert_eq!(find(&folders[..1]), Some(first.path().join("google-chrome")));
        assert_eq!(find(&[]), None);
    }
}
