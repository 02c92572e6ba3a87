//! Archives and folders: which files in them are somebody's text, under which names.

use std::borrow::Cow;

use crate::{
    CorpusError,
    extract::{Kind, MAX_ENTRIES, MAX_TOTAL_BYTES, Package, is_zip, kind, salvaged},
};

/// Folders of programs, not of people.
const UNREAD_FOLDERS: [&str; 4] = ["__MACOSX", "node_modules", "__pycache__", "$RECYCLE.BIN"];
/// Files that a system leaves beside people's own.
const UNREAD_FILES: [&str; 2] = ["Thumbs.db", "desktop.ini"];

/// Whether the bytes are an archive of other files: a ZIP file that is not itself one document, whatever its name.
pub fn is_archive(bytes: &[u8]) -> bool {
    is_zip(bytes) && open(bytes, None).is_ok_and(|(mut package, _)| kind(&mut package) == Kind::Archive)
}

/// Opens a ZIP file by its list of entries, or what is whole of one without; whether that is all.
fn open<'a>(bytes: &'a [u8], password: Option<&'a str>) -> Result<(Package<'a>, bool), CorpusError> {
    match Package::open(bytes, password) {
        Err(error @ CorpusError::Damaged { .. }) => {
            let saved = salvaged(bytes).ok_or(error)?;
            Ok((Package::open(saved, password)?, false))
        }
        package => Ok((package?, true)),
    }
}

/// The path of a file in a folder or an archive as it is shown: parts joined by `/`, nothing that leads out of the
/// folder. `None` for hidden files, programs' own folders and paths without a name.
pub fn readable_path(path: &str) -> Option<String> {
    let parts: Vec<&str> =
        path.split(['/', '\\']).filter(|part| !part.is_empty() && !part.trim_matches('.').is_empty()).collect();
    let parts = match parts.split_first() {
        // A drive's letter.
        Some((first, rest)) if first.ends_with(':') => rest,
        _ => &parts[..],
    };
    let (name, folders) = parts.split_last()?;
    let is_unread = parts.iter().any(|part| part.starts_with('.'))
        || folders.iter().any(|folder| UNREAD_FOLDERS.contains(folder))
        || UNREAD_FILES.contains(name)
        || name.starts_with("~$");
    (!is_unread).then(|| parts.join("/"))
}

/// Opens an archive. Its files come one at a time, named `archive.zip/folder/file.md`; those of archives within it too,
/// one level deep.
///
/// What the password does not open while it opens others comes locked: a file as an archive of it alone, an archive as it
/// is. Either asks for its own password when it is opened, and the file then has the same name. Of an archive whose end is
/// missing its whole files come, and at last what it lacks.
///
/// # Errors
/// `file-password` for a locked archive and a password that is missing or wrong, `file-damaged` where its list of files
/// is, `file-too-large` for more files than are read, `file-empty` without a file in it, `file-unsupported` for a lock
/// that is not opened here.
pub fn expand<'a>(name: &str, bytes: &'a [u8], password: Option<&'a str>) -> Result<Expanded<'a>, CorpusError> {
    let (mut package, is_whole) = open(bytes, password)?;
    package.unlock()?;
    let outer = Level::new(name, package);
    if outer.waiting.is_empty() {
        return Err(CorpusError::Empty);
    }
    let cut = (!is_whole).then(|| name.to_owned());
    Ok(Expanded { outer, inner: None, password, n_unpacked: 0, n_files: 0, cut })
}

/// The files of an archive: names, and contents or why there are none. After a bound on all of them together, those of
/// archives within it included, is reached, there is one last error.
pub struct Expanded<'a> {
    outer: Level<'a>,
    inner: Option<Level<'a>>,
    password: Option<&'a str>,
    /// Bytes unpacked to see what lies within this archive, and by those within it that are done with.
    n_unpacked: usize,
    n_files: usize,
    /// The name of an archive whose end is missing, until that is told.
    cut: Option<String>,
}

/// One archive and which of its files are still to come.
struct Level<'a> {
    package: Package<'a>,
    /// Index and name as it is shown, last first.
    waiting: Vec<(usize, String)>,
}

impl<'a> Level<'a> {
    fn new(name: &str, package: Package<'a>) -> Self {
        let is_folder = |path: &str| path.ends_with(['/', '\\']);
        let paths = package.names().iter().enumerate().filter(|(_, path)| !is_folder(path));
        let paths: Vec<(usize, String)> =
            paths.filter_map(|(index, path)| Some((index, readable_path(path)?))).collect();
        // A file that came alone out of an archive is named already.
        let is_alone = matches!(&paths[..], [(_, path)] if name.ends_with(&format!("/{path}")));
        let shown = |path: String| if is_alone { name.to_owned() } else { format!("{name}/{path}") };
        let waiting = paths.into_iter().rev().map(|(index, path)| (index, shown(path))).collect();
        Self { package, waiting }
    }

    fn next(&mut self) -> Option<(String, Result<Vec<u8>, CorpusError>)> {
        let (index, name) = self.waiting.pop()?;
        let content = match self.package.read_index(index) {
            Err(CorpusError::Password { .. }) => self.package.alone(index),
            content => content,
        };
        Some((name, content))
    }
}

/// What a file of an archive is.
enum Found {
    File,
    /// To be taken apart.
    Archive,
    /// An archive of a lock that is not opened here.
    Refused(CorpusError),
}

/// Looks into a file; with how many bytes that unpacked.
fn look(bytes: &[u8], password: Option<&str>) -> (Found, usize) {
    let Some(mut package) = is_zip(bytes).then(|| Package::open(bytes, password).ok()).flatten() else {
        return (Found::File, 0);
    };
    let found = match kind(&mut package) {
        Kind::Archive => match package.unlock() {
            Ok(()) => Found::Archive,
            Err(CorpusError::Password { .. }) => Found::File,
            Err(error) => Found::Refused(error),
        },
        _ => Found::File,
    };
    (found, package.n_unpacked())
}

impl<'a> Expanded<'a> {
    /// The next file, and whether it lies in the archive itself.
    fn next_file(&mut self) -> Option<(bool, String, Result<Vec<u8>, CorpusError>)> {
        if let Some(level) = &mut self.inner {
            if let Some((name, content)) = level.next() {
                return Some((false, name, content));
            }
            self.n_unpacked += level.package.n_unpacked();
            self.inner = None;
        }
        let (name, content) = self.outer.next()?;
        Some((true, name, content))
    }

    fn n_unpacked(&self) -> usize {
        let inner = self.inner.as_ref().map_or(0, |level| level.package.n_unpacked());
        self.n_unpacked + self.outer.package.n_unpacked() + inner
    }

    /// Why no more is unpacked, if a bound is reached.
    fn bound(&mut self) -> Option<CorpusError> {
        let reason = match (self.n_unpacked() > MAX_TOTAL_BYTES, self.n_files >= MAX_ENTRIES) {
            (true, _) => format!("it unpacks to more than {} MB", MAX_TOTAL_BYTES >> 20),
            (_, true) => format!("it holds more than {MAX_ENTRIES} files"),
            _ => return None,
        };
        self.outer.waiting.clear();
        self.inner = None;
        Some(CorpusError::TooLarge { reason })
    }
}

impl Iterator for Expanded<'_> {
    type Item = (String, Result<Vec<u8>, CorpusError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((is_outer, name, content)) = self.next_file() else {
                let reason = "its end is missing; the files before it are read".to_owned();
                return Some((self.cut.take()?, Err(CorpusError::Damaged { reason })));
            };
            if let Some(error) = self.bound() {
                return Some((name, Err(error)));
            }
            self.n_files += 1;
            let bytes = match content {
                Ok(bytes) if is_outer => bytes,
                content => return Some((name, content)),
            };
            let (found, n_unpacked) = look(&bytes, self.password);
            self.n_unpacked += n_unpacked;
            match found {
                Found::File => return Some((name, Ok(bytes))),
                Found::Refused(error) => return Some((name, Err(error))),
                Found::Archive => match Package::open(Cow::Owned(bytes), self.password) {
                    Ok(package) => self.inner = Some(Level::new(&name, package)),
                    Err(error) => return Some((name, Err(error))),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{extract, pack, pack_aes, pack_bytes, pack_locked};

    #[test]
    fn only_peoples_files_have_a_readable_path() {
        let path = |path: &str| readable_path(path).unwrap_or_default();
        assert_eq!(path("/etc/../../a b/./c.md"), "etc/a b/c.md");
        assert_eq!(path("C:\\notes\\x.txt"), "notes/x.txt");
        for unread in
            [".env", "a/.git/config", "__MACOSX/a", "x/node_modules/y/z.js", "..", "", "a/Thumbs.db", "~$report.docx"]
        {
            assert_eq!(path(unread), "", "{unread}");
        }
    }

    #[test]
    fn files_come_with_the_names_of_what_they_lie_in() {
        let deepest = pack(&[("deep.md", "deep")]);
        let inner = pack_bytes(&[("../b.md", b"b"), ("deepest.zip", &deepest)]);
        let bytes = pack_bytes(&[("a/", b""), ("a/a.md", b"a"), (".hidden", b"x"), ("inner.zip", &inner), ("c", b"c")]);
        assert!(is_archive(&bytes));
        let found: Vec<_> =
            expand("all.zip", &bytes, None).unwrap().map(|(name, content)| (name, content.unwrap())).collect();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["all.zip/a/a.md", "all.zip/inner.zip/b.md", "all.zip/inner.zip/deepest.zip", "all.zip/c"]);
        assert_eq!(found[1].1, b"b");
        assert_eq!(expand("x.zip", &pack(&[(".x", "")]), None).err().unwrap().code(), "file-empty");
    }

    #[test]
    fn of_an_archive_without_its_end_the_whole_files_come() {
        let bytes = pack(&[("a.md", "a"), ("b.md", "b"), ("c.md", "c")]);
        let cut = &bytes[..bytes.windows(4).position(|window| window == b"c.md").unwrap()];
        assert!(is_archive(cut));
        let found: Vec<_> = expand("x.zip", cut, None).unwrap().map(|(n, c)| (n, c.map_err(|e| e.code()))).collect();
        let read = |name: &str, content: &[u8]| (format!("x.zip/{name}"), Ok(content.to_vec()));
        assert_eq!(found, [read("a.md", b"a"), read("b.md", b"b"), ("x.zip".to_owned(), Err("file-damaged"))]);
        assert_eq!(expand("x.zip", b"PK\x03\x04", None).err().unwrap().code(), "file-damaged");
    }

    #[test]
    fn a_document_is_no_archive() {
        assert!(!is_archive(&pack(&[("META-INF/container.xml", "")])));
        assert!(!is_archive(&pack(&[("[Content_Types].xml", ""), ("word/document.xml", "")])));
        assert!(!is_archive(b"PK\x03\x04 and nothing more"));
    }

    #[test]
    fn a_locked_archive_asks_for_its_password() {
        let bytes = pack_locked(&[("a.md", b"The key is under the mat.", "tide")]);
        // The lock itself tells a wrong password only most of the time; the content tells the rest.
        let refusal = |password| {
            let content = expand("x.zip", &bytes, password).and_then(|mut files| files.next().unwrap().1);
            content.unwrap_err()
        };
        assert_eq!(refusal(None), CorpusError::Password { is_wrong: false });
        assert_eq!(refusal(Some("ebb")), CorpusError::Password { is_wrong: true });
        let (name, content) = expand("x.zip", &bytes, Some("tide")).unwrap().next().unwrap();
        assert_eq!((name.as_str(), content.unwrap().as_slice()), ("x.zip/a.md", &b"The key is under the mat."[..]));
    }

    #[test]
    fn a_file_of_another_password_comes_locked_and_opens_by_its_own() {
        let inner = pack_locked(&[("c.md", b"c", "neap")]);
        let bytes =
            pack_locked(&[("notes/a.md", b"a", "tide"), ("notes/b.md", b"b", "ebb"), ("inner.zip", &inner, "tide")]);
        let files: Vec<_> = expand("x.zip", &bytes, Some("tide")).unwrap().map(|(n, c)| (n, c.unwrap())).collect();
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x.zip/notes/a.md", "x.zip/notes/b.md", "x.zip/inner.zip"]);
        assert_eq!(files[0].1, b"a");
        for (i, password, name, content) in
            [(1, "ebb", "x.zip/notes/b.md", "b"), (2, "neap", "x.zip/inner.zip/c.md", "c")]
        {
            let (locked, bytes) = &files[i];
            let asks = |password, is_wrong| {
                let asked = CorpusError::Password { is_wrong };
                assert!(is_archive(bytes));
                assert_eq!(expand(locked, bytes, password).err(), Some(asked.clone()), "{locked}");
                assert_eq!(extract(locked, bytes, password).err(), Some(asked), "{locked}");
            };
            asks(None, false);
            asks(Some("tide"), true);
            let opened: Vec<_> = expand(locked, bytes, Some(password)).unwrap().collect();
            assert_eq!(opened, [(name.to_owned(), Ok(content.as_bytes().to_vec()))]);
        }
    }

    #[test]
    fn a_lock_that_is_not_opened_here_asks_for_no_password() {
        let bytes = pack_aes("a.md");
        for password in [None, Some("tide")] {
            let refusal = expand("x.zip", &bytes, password).err().unwrap();
            assert_eq!(refusal.code(), "file-unsupported");
            assert!(refusal.to_string().contains("Unpack"), "{refusal}");
        }
        let nested = pack_bytes(&[("inner.zip", &bytes), ("b", b"b")]);
        let codes: Vec<_> = expand("x.zip", &nested, None).unwrap().map(|(_, c)| c.map_err(|e| e.code())).collect();
        assert_eq!(codes, [Err("file-unsupported"), Ok(b"b".to_vec())]);
    }

    #[test]
    fn what_all_files_unpack_to_is_bounded() {
        let big = "x".repeat(60 << 20);
        let inner = pack(&[("x", &big)]);
        let bytes = pack_bytes(&["a", "b", "c", "d", "e", "f"].map(|name| (name, &inner[..])));
        let found: Vec<bool> = expand("x.zip", &bytes, None).unwrap().map(|(_, content)| content.is_ok()).collect();
        assert_eq!(found, [true, true, true, true, false]);
    }

    /// What is unpacked to see what an archive is counts as well.
    #[test]
    fn looking_into_archives_is_bounded_too() {
        let bomb = pack(&[("mimetype", &"x".repeat(60 << 20))]);
        let bytes = pack_bytes(&["a", "b", "c", "d", "e", "f"].map(|name| (name, &bomb[..])));
        let found: Vec<_> = expand("x.zip", &bytes, None).unwrap().map(|(_, content)| content.is_ok()).collect();
        // Each is unpacked twice: to be looked into, and as a file.
        assert_eq!(found, [true, true, false]);
    }

    #[test]
    fn files_of_archives_within_are_counted_together() {
        let names: Vec<String> = (0..MAX_ENTRIES / 2 + 1).map(|i| i.to_string()).collect();
        let inner = pack(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>());
        let bytes = pack_bytes(&[("a.zip", &inner), ("b.zip", &inner), ("c.zip", &inner)]);
        let mut found = expand("x.zip", &bytes, None).unwrap();
        let last = found.by_ref().find(|(_, content)| content.is_err()).unwrap();
        assert_eq!(last.1.unwrap_err().code(), "file-too-large");
        assert!(found.next().is_none());
    }
}
