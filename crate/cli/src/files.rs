//! Files in, files out.

use std::fs;
use std::path::{Path, PathBuf};

use lectern_engine::ingest::{expand, extract};
use lectern_engine::{EngineError, IngestEvent, Session, SourceInfo};

use crate::error::CliError;
use crate::host::Terminal;

/// The collection inside a folder that `lectern index` made.
pub const COLLECTION: &str = "collection.lectern";

pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| CliError::Read { path: path.to_owned(), error })
}

pub fn read_text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| CliError::Read { path: path.to_owned(), error })
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    fs::write(path, bytes).map_err(|error| CliError::Write { path: path.to_owned(), error })
}

/// The files at `paths`, folders walked, in a fixed order. Hidden files and folders are left out
/// unless named.
pub fn walk(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk_dir(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn walk_dir(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let failed = |error| CliError::Read { path: dir.to_owned(), error };
    let mut entries = fs::read_dir(dir).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if kind.is_dir() {
            walk_dir(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        } else if path.is_dir() {
            // It may lead back up.
            eprintln!(
                "{} is a link to a folder and is left out; name the folder itself to have it read.",
                path.display()
            );
        }
    }
    Ok(())
}

/// The files at `paths` with the names that answers give them: the path from the folder, or from the last one that all
/// of several lie in, so that an index tells nothing of the machine it was made on and no two names are the same.
fn named(paths: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, CliError> {
    let base = match paths {
        [dir] if dir.is_dir() => dir.clone(),
        _ => common_parent(paths),
    };
    let name = |file: &Path| file.strip_prefix(&base).unwrap_or(file).to_string_lossy().replace('\\', "/");
    Ok(walk(paths)?.into_iter().map(|file| (name(&file), file)).collect())
}

/// The longest folder that all of `paths` lie in.
fn common_parent(paths: &[PathBuf]) -> PathBuf {
    let mut parents = paths.iter().map(|path| path.parent().unwrap_or(path));
    let Some(first) = parents.next() else { return PathBuf::new() };
    parents.fold(first.to_owned(), |common, parent| {
        common.components().zip(parent.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    })
}

/// Numbers of the pages of these names, or in folders of these names.
pub fn pages_named(session: &Session<Terminal>, names: &[String]) -> Result<Vec<u32>, CliError> {
    let mut ids = Vec::new();
    for name in names {
        let named = session.library().named(name.strip_prefix("./").unwrap_or(name));
        if named.is_empty() {
            return Err(CliError::SourceUnknown { name: name.clone() });
        }
        ids.extend(named);
    }
    Ok(ids)
}

/// What is said of a file on its way.
pub enum Told<'a> {
    Event(IngestEvent),
    /// It is laid down, but not as a person may think.
    Warning(&'a str),
    LeftOut(&'a EngineError),
}

/// Lays a file down, or the files of an archive, with `password` where they are locked. What cannot be read is told and
/// left out.
pub fn lay_down_file(
    session: &mut Session<Terminal>,
    name: &str,
    bytes: &[u8],
    password: Option<&str>,
    tell: &mut dyn FnMut(&str, Told<'_>),
) {
    let mut lay = |name: &str, content: Result<&[u8], EngineError>| {
        let laid = content.and_then(|bytes| {
            pollster::block_on(lay_down_plain(session, name, bytes, password, &mut |event| {
                tell(name, Told::Event(event))
            }))
        });
        match laid {
            Ok(info) => info.warnings.iter().for_each(|warning| tell(name, Told::Warning(warning))),
            Err(error) => tell(name, Told::LeftOut(&error)),
        }
    };
    match expand(name, bytes, password) {
        None => lay(name, Ok(bytes)),
        Some(Err(error)) => lay(name, Err(error)),
        Some(Ok(files)) => files.for_each(|(name, content)| lay(&name, content.as_deref().map_err(Clone::clone))),
    }
}

/// Passages that are embedded between two words of progress.
const BATCH: usize = 16;

async fn lay_down_plain(
    session: &mut Session<Terminal>,
    name: &str,
    bytes: &[u8],
    password: Option<&str>,
    on_event: &mut dyn FnMut(IngestEvent),
) -> Result<SourceInfo, EngineError> {
    let document = extract(name, bytes, password)?;
    let source = session.cut_source(name, document, on_event).await?;
    let total = source.texts.len();
    let mut vectors = Vec::with_capacity(total);
    for texts in source.texts.chunks(BATCH) {
        vectors.extend(session.embed(texts).await?);
        on_event(IngestEvent::Embedded { done: vectors.len(), total });
    }
    session.lay_down(source, &vectors).await
}

/// Lays files and folders down, locked ones with `password`; a folder made by `lectern index` is taken as it is. A file
/// that cannot be read is named on stderr and left out. Gives the graphs that were built.
///
/// # Errors
/// When nothing could be laid down.
pub fn lay_down(
    session: &mut Session<Terminal>,
    paths: &[PathBuf],
    password: Option<&str>,
) -> Result<Vec<Vec<u8>>, CliError> {
    if let [dir] = paths
        && dir.join(COLLECTION).is_file()
    {
        open_collection(session, &dir.join(COLLECTION))?;
        return Ok(Vec::new());
    }
    for (name, file) in named(paths)? {
        let bytes = match read(&file) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{error}; left out");
                continue;
            }
        };
        lay_down_file(session, &name, &bytes, password, &mut |name, told| match told {
            Told::Event(IngestEvent::Embedded { done, total }) => {
                eprint!("\r{name}: {done} of {total} passages{}", if done == total { "\n" } else { "" });
            }
            Told::Event(_) => {}
            Told::Warning(warning) => eprintln!("{name}: {warning}"),
            Told::LeftOut(error) => eprintln!("{error} ({}); left out", error.code()),
        });
    }
    if session.library().is_empty() {
        return Err(CliError::NoSources);
    }
    Ok(session.build_segments()?)
}

/// Opens a collection file; what of it cannot be read is named on stderr.
pub fn open_collection(session: &mut Session<Terminal>, path: &Path) -> Result<(), CliError> {
    for lost in pollster::block_on(session.import_collection(&read(path)?))?.lost {
        eprintln!("{}: {lost}; left out", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_where_the_paths_part() {
        let common = |paths: &[&str]| common_parent(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(common(&["a/docs", "b/docs"]), Path::new(""));
        assert_eq!(common(&["/x/a/README.md", "/x/b/README.md"]), Path::new("/x"));
        assert_eq!(common(&["notes/one.md", "notes/two.md"]), Path::new("notes"));
        assert_eq!(common(&["notes/one.md"]), Path::new("notes"));
        assert_eq!(common(&["one.md"]), Path::new(""));
    }
}
