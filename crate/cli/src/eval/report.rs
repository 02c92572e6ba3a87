//! How a run is told: progress on stderr, records in a file, figures as a table.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use lectern_engine::evaluate::figures::{Estimate, Figures};
use lectern_engine::evaluate::{Event, KeptLine};

use super::run_file::RunFile;
use super::settings::Settings;
use crate::error::CliError;

/// Time between two words of progress, where they replace each other and where every one stays.
const ON_A_TERMINAL: Duration = Duration::from_millis(100);
const IN_A_LOG: Duration = Duration::from_secs(10);
/// A stage that took no longer needs no last word in a log.
const SHORT: Duration = Duration::from_secs(1);

/// Progress and notices on stderr, records in the run file.
pub struct Report {
    run: Option<RunFile>,
    failed: Option<CliError>,
    is_terminal: bool,
    stage: Option<Stage>,
}

/// What is being done.
struct Stage {
    name: &'static str,
    started: Instant,
    /// Of its work, what was done when it began.
    n_before: usize,
    told: Instant,
    is_over: bool,
}

impl Report {
    /// With the lines that an earlier run with the same settings has left in `run`.
    ///
    /// # Errors
    /// Those of [`RunFile::open`].
    pub fn open(
        run: Option<&Path>,
        settings: impl FnOnce() -> Result<Settings, CliError>,
    ) -> Result<(Self, Vec<KeptLine>), CliError> {
        let opened = run.map(|path| RunFile::open(path, settings()?)).transpose()?;
        let (run, kept) = opened.unzip();
        let kept = kept.unwrap_or_default();
        let mut report = Self { run, failed: None, is_terminal: std::io::stderr().is_terminal(), stage: None };
        if !kept.is_empty() {
            report.on(Event::Notice(format!(
                "{} lines of this run are there already; it goes on behind them",
                kept.len()
            )));
        }
        Ok((report, kept))
    }

    pub fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Progress { stage, done, total } => self.progress(stage, done, total),
            Event::Notice(text) => eprintln!("{}{text}", if self.is_terminal { "\r\x1b[K" } else { "" }),
            Event::Record(record) => {
                if let Some(Err(error)) = self.run.as_mut().map(|run| run.append(record)) {
                    self.failed = Some(error);
                }
            }
        }
    }

    fn progress(&mut self, name: &'static str, done: usize, total: usize) {
        let now = Instant::now();
        let fresh = || Stage { name, started: now, n_before: done, told: now, is_over: false };
        let is_new = self.stage.as_ref().is_none_or(|stage| stage.name != name);
        let stage = if is_new { self.stage.insert(fresh()) } else { self.stage.get_or_insert_with(fresh) };
        let took = stage.started.elapsed();
        let is_last = done >= total && !stage.is_over;
        let due = stage.told.elapsed() >= if self.is_terminal { ON_A_TERMINAL } else { IN_A_LOG };
        let is_told = if self.is_terminal { is_new || due || is_last } else { due || (is_last && took > SHORT) };
        if stage.is_over || !is_told {
            stage.is_over |= is_last;
            return;
        }
        stage.told = now;
        stage.is_over |= is_last;
        let pace = pace(done - stage.n_before.min(done), total.saturating_sub(done), took);
        let line = format!("{name}: {done} of {total}{pace}");
        match (self.is_terminal, is_last) {
            (true, false) => eprint!("\r{line}\x1b[K"),
            (true, true) => eprintln!("\r{line}\x1b[K"),
            (false, _) => eprintln!("{line}"),
        }
    }

    /// # Errors
    /// When a record could not be written.
    pub fn finish(self) -> Result<(), CliError> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// `, 2.1 a second, 40 s left`, or in the end how long it took.
fn pace(n_done: usize, n_left: usize, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if n_done == 0 || seconds <= 0.0 {
        return String::new();
    }
    let rate = n_done as f64 / seconds;
    let per = if rate < 1.0 { format!("{:.1} s each", 1.0 / rate) } else { format!("{rate:.1} a second") };
    if n_left == 0 {
        format!(", {per}, in {}", time(seconds))
    } else {
        format!(", {per}, {} left", time(n_left as f64 / rate))
    }
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// Figures down, arms across; with the interval of 95 % behind each.
pub fn print_table<'a>(title: &str, arms: impl IntoIterator<Item = (&'a str, &'a Figures)>) -> Result<(), CliError> {
    let arms: Vec<(&str, &Figures)> = arms.into_iter().collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{title}")?;
    write!(out, "{:28}", "  (mean and 95 % interval)")?;
    // A figure with its interval, or a long name.
    let width = |arm: &str| arm.chars().count().max(20) + 2;
    for (arm, _) in &arms {
        write!(out, "{arm:>0$}", width(arm))?;
    }
    writeln!(out)?;
    let names = arms.first().into_iter().flat_map(|(_, figures)| figures.iter()).map(|(name, _)| name);
    for name in names {
        write!(out, "  {name:26}")?;
        for (arm, figures) in &arms {
            let show = |e: Estimate| format!("{:.3} [{:.3}, {:.3}]", e.mean, e.low, e.high);
            write!(out, "{:>1$}", figures.get(name).map_or_else(|| "–".to_owned(), show), width(arm))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_told_as_people_tell_it() {
        let pace = |done, left, seconds| pace(done, left, Duration::from_secs(seconds));
        assert_eq!(pace(20, 80, 10), ", 2.0 a second, 40 s left");
        assert_eq!(pace(2, 300, 60), ", 30.0 s each, 2 h 30 min left");
        assert_eq!(pace(50, 0, 100), ", 2.0 s each, in 1 min 40 s");
        assert_eq!(pace(0, 5, 3), "");
    }
}
