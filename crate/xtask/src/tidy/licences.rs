//! Licences of the code we take, against the list in `deny.toml`.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use serde::Deserialize;
use spdx::{Expression, LicenseReq, Licensee, ParseMode};

use super::graph::Graph;
use crate::command::{self, cargo};
use crate::house::House;
use crate::step;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
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
pub fn check(house: &House, metadata: &Metadata) -> Result<Vec<String>> {
    let path = house.root.join("deny.toml");
    let text = std::fs::read_to_string(&path).context("reading deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("in deny.toml")?;
    let graph = Graph::new(metadata);
    let used: BTreeSet<_> = graph.members().flat_map(|id| graph.all(id)).collect();
    let mut problems = Vec::new();
    for id in used {
        let package = graph.package(id);
        let own = deny.licenses.exceptions.iter().filter(|exception| exception.name == package.name.as_str());
        let allowed: Vec<Licensee> = own
            .flat_map(|exception| &exception.allow)
            .chain(&deny.licenses.allow)
            .map(|licence| Licensee::parse(licence).with_context(|| format!("{licence} in deny.toml")))
            .collect::<Result<_>>()?;
        if let Err(reason) = judge(package.license.as_deref(), &allowed) {
            problems.push(format!("{} {}: {reason}", package.name, package.version));
        }
    }
    Ok(problems)
}

fn judge(licence: Option<&str>, allowed: &[Licensee]) -> Result<(), String> {
    let Some(licence) = licence else { return Err("names no licence".into()) };
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
        step::skip("Advisories: left out, cargo-deny is not installed (cargo install --locked cargo-deny)");
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
    fn expressions_are_judged_as_a_whole() {
        let allowed = ["MIT", "Apache-2.0"].map(|licence| Licensee::parse(licence).unwrap());
        for fine in ["MIT", "MIT OR GPL-3.0-only", "MIT/Apache-2.0", "MIT AND Apache-2.0"] {
            assert_eq!(judge(Some(fine), &allowed), Ok(()), "{fine}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "whatever I like"] {
            assert!(judge(Some(bad), &allowed).is_err(), "{bad}");
        }
        assert!(judge(None, &allowed).is_err());
    }
}
