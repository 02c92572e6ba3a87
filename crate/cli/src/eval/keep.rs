//! Pages of a measurement, kept from one run to the next.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lectern_engine::evaluate::{self, Laid, Run};
use lectern_engine::ingest::expand;
use lectern_engine::{EngineError, Session};

use crate::error::CliError;
use crate::files::{open_collection, read, walk, write};
use crate::host::Terminal;

#[derive(Debug, clap::Args)]
pub struct KeepArgs {
    /// Keep what was read of the pages in this file, and take it from there the next time
    ///
    /// For the same embedder and --precision.
    #[arg(long, value_name = "FILE")]
    collection: Option<PathBuf>,
}

/// What was read is written so often, that little is lost with a run that is cut short.
const WRITE_EVERY: Duration = Duration::from_secs(30);

/// A collection file while pages are laid down.
pub struct Keeper {
    file: Option<PathBuf>,
    n_before: usize,
    n_there: usize,
    n_new: usize,
    written: Instant,
    failed: Option<CliError>,
}

impl Keeper {
    /// Lays down what is in the file.
    ///
    /// # Errors
    /// Those of opening a collection: `index-model-mismatch` for one that another embedder has read.
    pub fn open(session: &mut Session<Terminal>, args: &KeepArgs) -> Result<Self, CliError> {
        if let Some(file) = args.collection.as_deref().filter(|file| file.is_file()) {
            open_collection(session, file)?;
        }
        let n_before = session.library().sources().len();
        let file = args.collection.clone();
        Ok(Self { file, n_before, n_there: 0, n_new: 0, written: Instant::now(), failed: None })
    }

    /// After each page.
    pub fn on_laid(&mut self, session: &Session<Terminal>, laid: Laid) {
        *if laid.was_there { &mut self.n_there } else { &mut self.n_new } += 1;
        // A file that holds other pages is not written on.
        if !laid.was_there && self.n_there == self.n_before && self.written.elapsed() > WRITE_EVERY {
            self.failed = self.write(session, &[]).err();
            self.written = Instant::now();
        }
    }

    /// After all of them, with the graphs that were built over them.
    ///
    /// # Errors
    /// `collection-mismatch` where the file holds pages that are none of these, `file-unwritable`.
    pub fn finish(self, session: &Session<Terminal>, graphs: &[Vec<u8>]) -> Result<(), CliError> {
        if let (Some(path), true) = (&self.file, self.n_there < self.n_before) {
            return Err(CliError::CollectionMismatch { path: path.clone(), n_other: self.n_before - self.n_there });
        }
        if self.n_new > 0 || !graphs.is_empty() {
            self.write(session, graphs)?;
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn write(&self, session: &Session<Terminal>, graphs: &[Vec<u8>]) -> Result<(), CliError> {
        let Some(path) = &self.file else { return Ok(()) };
        // In one move, so that there is never half a file.
        let part = with_suffix(path, ".part");
        write(&part, &session.export_collection(graphs))?;
        std::fs::rename(&part, path).map_err(|error| CliError::Write { path: path.clone(), error })
    }
}

/// Lays the files of a folder down, each under its path in it, those of archives each by itself, and gives their
/// numbers. What cannot be read is named on stderr and left out.
pub fn lay_down_files(
    session: &mut Session<Terminal>,
    dir: &Path,
    run: &mut Run<'_>,
    keeper: &mut Keeper,
) -> Result<Vec<u32>, CliError> {
    let files = walk(&[dir.to_owned()])?;
    let mut ids = Vec::new();
    for (done, file) in files.iter().enumerate() {
        let path = file.strip_prefix(dir).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let bytes = read(file)?;
        let mut lay = |name: &str, content: Result<&[u8], EngineError>| {
            let laid = content.and_then(|bytes| pollster::block_on(evaluate::lay_down(session, name, bytes)));
            match laid {
                Ok(laid) => {
                    ids.push(laid.id);
                    keeper.on_laid(session, laid);
                }
                Err(error) => run.notice(format!("{error} ({}); left out", error.code())),
            }
        };
        match expand(&path, &bytes, None) {
            None => lay(&path, Ok(&bytes)),
            Some(Err(error)) => lay(&path, Err(error)),
            Some(Ok(files)) => files.for_each(|(name, content)| lay(&name, content.as_deref().map_err(Clone::clone))),
        }
        run.progress("laying down", done + 1, files.len());
    }
    Ok(ids)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
