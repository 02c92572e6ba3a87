//! How a run is told: progress on stderr, records in a file, figures as a table.

use std::collections::BTreeMap;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use lectern_engine::evaluate::Event;
use lectern_engine::evaluate::figures::{Estimate, Figures};

use crate::error::CliError;

/// Progress and notices on stderr, records in the run file.
pub struct Report {
    run: Option<(PathBuf, BufWriter<std::fs::File>)>,
    failed: Option<CliError>,
    is_terminal: bool,
    /// Tenth of the work that was told last, where every line stays.
    told: Option<(&'static str, usize)>,
}

impl Report {
    /// # Errors
    /// When the run file cannot be made.
    pub fn new(run: Option<&Path>) -> Result<Self, CliError> {
        let open = |path: &Path| match std::fs::File::create(path) {
            Ok(file) => Ok((path.to_owned(), BufWriter::new(file))),
            Err(error) => Err(CliError::Write { path: path.to_owned(), error }),
        };
        let run = run.map(open).transpose()?;
        Ok(Self { run, failed: None, is_terminal: std::io::stderr().is_terminal(), told: None })
    }

    pub fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Progress { stage, done, total } if self.is_terminal => {
                eprint!("\r{stage}: {done} of {total}\x1b[K");
                if done == total {
                    eprintln!();
                }
            }
            Event::Progress { stage, done, total } => {
                let tenth = (stage, (done * 10).checked_div(total).unwrap_or(10));
                if self.told != Some(tenth) {
                    eprintln!("{stage}: {done} of {total}");
                    self.told = Some(tenth);
                }
            }
            Event::Notice(text) => eprintln!("{}{text}", if self.is_terminal { "\r\x1b[K" } else { "" }),
            Event::Record(record) => {
                if let Some((path, file)) = &mut self.run {
                    let written = serde_json::to_writer(&mut *file, record).map_err(std::io::Error::from);
                    // Line by line, so that a run that is cut short leaves what it had.
                    if let Err(error) = written.and_then(|()| writeln!(file)).and_then(|()| file.flush()) {
                        self.failed = Some(CliError::Write { path: path.clone(), error });
                    }
                }
            }
        }
    }

    /// # Errors
    /// When a record could not be written.
    pub fn finish(self) -> Result<(), CliError> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// Figures down, arms across.
pub fn print_table(title: &str, arms: &BTreeMap<&'static str, Figures>) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{title}")?;
    write!(out, "{:28}", "")?;
    for arm in arms.keys() {
        write!(out, "{arm:>24}")?;
    }
    writeln!(out)?;
    let names = arms.values().next().into_iter().flat_map(Figures::iter).map(|(name, _)| name);
    for name in names {
        write!(out, "{name:28}")?;
        for figures in arms.values() {
            let show = |e: Estimate| format!("{:.3} [{:.3}, {:.3}]", e.mean, e.low, e.high);
            write!(out, "{:>24}", figures.get(name).map_or_else(|| "–".to_owned(), show))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
