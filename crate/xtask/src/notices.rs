//! The terms of all code that is in the built site, for those who get the site.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use spdx::{Expression, ParseMode};

use crate::house::House;
use crate::tidy::licences::{Package, packages};

const PLATFORM: &str = "wasm32-unknown-unknown";
/// What the names of licence files begin with.
const NAMES: [&str; 5] = ["licen", "copying", "notice", "copyright", "unlicense"];

/// How the file begins.
pub const TITLE: &str = "Lectern is built with the packages below, under these terms.";

/// `THIRD-PARTY.txt`: every package of the wasm module and of the page, and the text of its licence, each text once. A
/// package that brings no text gets the standard one of what its manifest names, of Apache's where it leaves the choice.
///
/// # Errors
/// When the packages cannot be listed or read, or one names no licence that has a standard text.
pub fn third_party(house: &House) -> Result<String> {
    let metadata = house.metadata(PLATFORM)?;
    let ours: BTreeSet<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let mut notices = Notices::default();
    for Package { name, version, licence } in packages(house, &["--package", "lectern-wasm"], "normal", PLATFORM)? {
        if ours.contains(name.as_str()) {
            continue;
        }
        let found = metadata.packages.iter().find(|p| p.name.as_str() == name && p.version.to_string() == version);
        let found = found.with_context(|| format!("{name} {version} is not in the dependency graph"))?;
        let folder = found.manifest_path.parent().context("a manifest lies in a folder")?;
        notices.add(&format!("{name} {version}"), &licence, folder.as_std_path())?;
    }
    let modules = house.www().join("node_modules");
    let mut waiting = dependencies(&house.www())?;
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let folder = modules.join(&name);
        if !seen.insert(name.clone()) || !folder.is_dir() {
            continue;
        }
        let package = read_json(&folder)?;
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        notices.add(&format!("{name} {}", text("version")), &text("license"), &folder)?;
        waiting.extend(dependencies(&folder)?);
    }
    notices.written()
}

/// What a package needs at run time.
fn dependencies(folder: &Path) -> Result<Vec<String>> {
    let package = read_json(folder)?;
    // Types are gone from what is bundled.
    let names = package["dependencies"].as_object().into_iter().flat_map(|needed| needed.keys().cloned());
    Ok(names.filter(|name| !name.starts_with("@types/")).collect())
}

fn read_json(folder: &Path) -> Result<serde_json::Value> {
    let path = folder.join("package.json");
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))
}

#[derive(Default)]
pub struct Notices {
    /// Packages with the terms that their manifests name.
    packages: BTreeSet<(String, String)>,
    /// Licence texts, and the packages that bring each.
    texts: BTreeMap<String, BTreeSet<String>>,
}

impl Notices {
    fn add(&mut self, package: &str, licence: &str, folder: &Path) -> Result<()> {
        self.packages.insert((package.to_owned(), licence.to_owned()));
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
            if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
                let text = String::from_utf8_lossy(&fs::read(&path)?).replace('\r', "").trim().to_owned();
                self.texts.entry(text).or_default().insert(package.to_owned());
            }
        }
        Ok(())
    }

    pub fn written(mut self) -> Result<String> {
        self.add_standard_texts()?;
        let mut text = format!("{TITLE}\n\n");
        for (package, licence) in &self.packages {
            let _ = writeln!(text, "{package}: {licence}");
        }
        for (licence, packages) in &self.texts {
            let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
            let _ = write!(text, "\n{}\n{}\n\n{licence}\n", "-".repeat(80), packages.join(", "));
        }
        Ok(text)
    }

    fn add_standard_texts(&mut self) -> Result<()> {
        let with_text: BTreeSet<&String> = self.texts.values().flatten().collect();
        let without: Vec<_> =
            self.packages.iter().filter(|(package, _)| !with_text.contains(package)).cloned().collect();
        for (package, licence) in without {
            let text = standard_text(&licence).with_context(|| format!("{package} brings no licence: {licence:?}"))?;
            self.texts.entry(text.trim().to_owned()).or_default().insert(package);
        }
        Ok(())
    }
}

fn standard_text(licence: &str) -> Option<&'static str> {
    let expression = Expression::parse_mode(licence, ParseMode::LAX).ok()?;
    let mut named: Vec<_> = expression.requirements().filter_map(|required| required.req.license.id()).collect();
    named.sort_by_key(|id| id.name != "Apache-2.0");
    named.first().map(|id| id.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_stands_once_under_the_packages_it_is_for() {
        let scratch = tempfile::tempdir().unwrap();
        let mut notices = Notices::default();
        for (name, text) in [("a", "Be kind.\r\n"), ("b", "Be kind.\n"), ("c", "Be quick.")] {
            let folder = scratch.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("LICENSE-MIT"), text).unwrap();
            fs::write(folder.join("README.md"), "hello").unwrap();
            notices.add(&format!("{name} 1.0.0"), "MIT", &folder).unwrap();
        }
        let bare = scratch.path().join("bare");
        fs::create_dir(&bare).unwrap();
        notices.add("d 1.0.0", "MIT OR Apache-2.0", &bare).unwrap();
        let text = notices.written().unwrap();
        assert!(text.contains("a 1.0.0: MIT\nb 1.0.0: MIT\nc 1.0.0: MIT\nd 1.0.0: MIT OR Apache-2.0\n"), "{text}");
        assert_eq!(text.matches("Be kind.").count(), 1);
        assert!(text.contains("a 1.0.0, b 1.0.0\n\nBe kind.\n") && !text.contains("hello"), "{text}");
        assert!(text.contains("\nd 1.0.0\n\nApache License"), "{text}");

        let mut nameless = Notices::default();
        nameless.add("e 1.0.0", "of my own", &bare).unwrap();
        assert!(nameless.written().unwrap_err().to_string().contains("e 1.0.0"));
    }
}
