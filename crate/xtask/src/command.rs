//! Running other programs, with a failure that says what to do.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Lines of a silent program's output shown when it fails.
const TAIL: usize = 30;

/// Runs `command` with its output passed through.
///
/// # Errors
/// When it cannot start or fails; `advice` is the one thing to do then.
pub fn run(command: &mut Command, advice: &str) -> Result<()> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{} failed ({status}): {advice}", name(command)),
        Err(error) => bail!("{} could not start ({error}): {advice}", name(command)),
    }
}

/// Runs `command` in silence and returns what it wrote to its standard output.
///
/// # Errors
/// As [`run`], after showing the end of what the program wrote.
pub fn output(command: &mut Command, advice: &str) -> Result<String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(TAIL)..] {
                eprintln!("  {line}");
            }
            bail!("{} failed ({}): {advice}", name(command), output.status)
        }
        Err(error) => bail!("{} could not start ({error}): {advice}", name(command)),
    }
}

/// Cargo as it was called for this very task, in `folder`.
pub fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    command
}

/// npm in `folder`.
pub fn npm(folder: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(folder).env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
    command
}

fn name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().take(3).map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_program_and_the_advice() {
        let error = run(Command::new("sh").args(["-c", "exit 3"]), "do this").unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains("do this"), "{error}");
    }

    #[test]
    fn missing_program_is_a_failure_with_advice() {
        let error = output(&mut Command::new("no-such-program-here"), "install it").unwrap_err();
        assert!(error.to_string().contains("install it"));
    }
}
