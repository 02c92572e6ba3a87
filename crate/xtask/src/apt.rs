//! Packages of the system, on Debian and its kin.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command;
use crate::step;

/// Installs `packages`, which are called `what`.
///
/// # Errors
/// With `advice` where there is no apt-get or it fails.
pub fn install(what: &str, packages: &[&str], advice: &str) -> Result<()> {
    ensure!(Path::new("/usr/bin/apt-get").exists(), "{what} was not found and there is no apt-get: {advice}");
    // Loud: sudo may ask for a password.
    step::loud("Updating apt's package lists", || command::run(apt()?.arg("update"), advice))?;
    step::loud(format_args!("Installing {what} with apt"), || {
        command::run(apt()?.args(["install", "--yes", "--no-install-recommends"]).args(packages), advice)
    })
}

/// apt-get as root, through sudo where need be.
fn apt() -> Result<Command> {
    let user = command::output(Command::new("id").arg("--user"), "coreutils are missing")?;
    let mut command = if user.trim() == "0" {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}
