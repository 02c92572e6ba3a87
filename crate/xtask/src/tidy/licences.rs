//! Licences of the code we take, against the list in `deny.toml`.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, LicenseReq, Licensee, ParseMode};

use crate::command::{self, cargo};
use crate::house::House;
use crate::step;

#[derive(Deserialize)]
struct Deny {
    graph: Platforms,
    licenses: Licenses,
}

/// The platforms we build for; what others would bring in is not ours.
#[derive(Deserialize)]
struct Platforms {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Lines that name each package whose licence is not allowed.
///
/// # Errors
/// When `deny.toml` cannot be read.
pub fn check(house: &House) -> Result<Vec<String>> {
    let path = house.root.join("deny.toml");
    let text = std::fs::read_to_string(&path).context("reading deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("in deny.toml")?;
    let mut problems = BTreeSet::new();
    for platform in &deny.graph.targets {
        for package in packages(house, &["--workspace"], "normal,build", platform)? {
            let own = deny.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
            let allowed: Vec<Licensee> = own
                .flat_map(|exception| &exception.allow)
                .chain(&deny.licenses.allow)
                .map(|licence| Licensee::parse(licence).with_context(|| format!("{licence} in deny.toml")))
                .collect::<Result<_>>()?;
            if let Err(reason) = judge(&package.licence, &allowed) {
                problems.insert(format!("{} {}: {reason}", package.name, package.version));
            }
        }
    }
    Ok(problems.into_iter().collect())
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// As its manifest gives it; empty when it names none.
    pub licence: String,
}

/// What the `selected` packages are built with for `platform`, along `edges`: from `cargo tree`, which leaves out what no build takes, where
/// `cargo metadata` lists every optional dependency that some build could.
pub fn packages(house: &House, selected: &[&str], edges: &str, platform: &str) -> Result<BTreeSet<Package>> {
    let mut tree = cargo(&house.root);
    tree.arg("tree").args(selected).args(["--edges", edges, "--target", platform]);
    tree.args(["--prefix", "none", "--format", "{p}|{l}"]);
    let listed = command::output(&mut tree, "mend what cargo says above")?;
    listed.lines().filter(|line| !line.is_empty()).map(parse_package).collect()
}

/// Reads `name v1.2.3 (where)|licence (*)`.
fn parse_package(line: &str) -> Result<Package> {
    let (package, licence) = line.split_once('|').with_context(|| format!("cargo tree wrote {line:?}"))?;
    let mut words = package.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let version = words.next().unwrap_or_default().trim_start_matches('v').to_owned();
    let licence = licence.trim_end_matches("(*)").trim().to_owned();
    Ok(Package { name, version, licence })
}

fn judge(licence: &str, allowed: &[Licensee]) -> Result<(), String> {
    if licence.is_empty() {
        return Err("names no licence".into());
    }
    let expression = Expression::parse_mode(licence, ParseMode::LAX)
        .map_err(|_| format!("licence {licence:?} is not an SPDX expression"))?;
    let fits = |wanted: &LicenseReq| allowed.iter().any(|licensee| licensee.satisfies(wanted));
    if expression.evaluate(fits) { Ok(()) } else { Err(format!("licence {licence} is not in deny.toml's list")) }
}

/// Advisories, bans and sources, where cargo-deny is installed.
///
/// # Errors
/// When cargo-deny finds something.
pub fn cargo_deny(house: &House) -> Result<()> {
    let mut probe = cargo(&house.root);
    probe.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        step::left_out("Advisories were not checked: cargo install --locked cargo-deny, then cargo xtask tidy");
        return Ok(());
    }
    step::quiet("Checking advisories, bans and sources with cargo-deny", || {
        let mut deny: Command = cargo(&house.root);
        command::output(deny.args(["deny", "--all-features", "check"]), "mend what cargo-deny names above")
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree_are_read() {
        let package = |name: &str, version: &str, licence: &str| Package {
            name: name.into(),
            version: version.into(),
            licence: licence.into(),
        };
        assert_eq!(
            parse_package("clap v4.6.7|MIT OR Apache-2.0 (*)").unwrap(),
            package("clap", "4.6.7", "MIT OR Apache-2.0")
        );
        assert_eq!(parse_package("serde_derive v1.0.0 (proc-macro)|").unwrap(), package("serde_derive", "1.0.0", ""));
        assert!(parse_package("nonsense").is_err());
    }

    #[test]
    fn expressions_are_judged_as_a_whole() {
        let allowed = ["MIT", "Apache-2.0"].map(|licence| Licensee::parse(licence).unwrap());
        for fine in ["MIT", "MIT OR GPL-3.0-only", "MIT/Apache-2.0", "MIT AND Apache-2.0"] {
            assert_eq!(judge(fine, &allowed), Ok(()), "{fine}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "whatever I like"] {
            assert!(judge(bad, &allowed).is_err(), "{bad}");
        }
        assert!(judge("", &allowed).is_err());
    }
}
