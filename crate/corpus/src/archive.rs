//! Archives and folders: which files in them are somebody's text, under which names.

use std::borrow::Cow;

use crate::{
    CorpusError,
    extract::{Kind, MAX_TOTAL_BYTES, Package, is_zip, kind},
};

/// Folders of programs, not of people.
const UNREAD_FOLDERS: [&str; 4] = ["__MACOSX", "node_modules", "__pycache__", "$RECYCLE.BIN"];
/// Files that a system leaves beside people's own.
const UNREAD_FILES: [&str; 2] = ["Thumbs.db", "desktop.ini"];

/// Whether the bytes are an archive of other files: a ZIP file that is not itself one document, whatever its name.
pub fn is_archive(bytes: &[u8]) -> bool {
    is_zip(bytes) && Package::open(bytes, None).is_ok_and(|mut package| kind(&mut package) == Kind::Archive)
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
/// # Errors
/// `file-password` for a locked archive and a password that is missing or wrong, `file-damaged` where its list of files
/// is, `file-too-large` for more files than are read, `file-empty` without a file in it.
pub fn expand<'a>(name: &str, bytes: &'a [u8], password: Option<&'a str>) -> Result<Expanded<'a>, CorpusError> {
    let outer = Level::open(name, Cow::Borrowed(bytes), password)?;
    if outer.waiting.is_empty() {
        return Err(CorpusError::Empty);
    }
    Ok(Expanded { outer, inner: None, password, n_unpacked: 0 })
}

/// The files of an archive: names, and contents or why there are none. After the bound on all of them together is
/// reached, there is one last error.
pub struct Expanded<'a> {
    outer: Level<'a>,
    inner: Option<Level<'a>>,
    password: Option<&'a str>,
    /// Bytes unpacked by archives within this one that are done with.
    n_unpacked: usize,
}

/// One archive and which of its files are still to come.
struct Level<'a> {
    name: String,
    package: Package<'a>,
    /// Index and shown path, last first.
    waiting: Vec<(usize, String)>,
}

impl<'a> Level<'a> {
    fn open(name: &str, bytes: Cow<'a, [u8]>, password: Option<&'a str>) -> Result<Self, CorpusError> {
        let mut package = Package::open(bytes, password)?;
        let is_folder = |path: &str| path.ends_with(['/', '\\']);
        let paths = package.names().iter().enumerate().filter(|(_, path)| !is_folder(path));
        let mut waiting: Vec<(usize, String)> =
            paths.filter_map(|(index, path)| Some((index, readable_path(path)?))).collect();
        waiting.reverse();
        if let Some(&(index, _)) = waiting.iter().rev().find(|&&(index, _)| package.is_locked(index))
            && let Err(error @ (CorpusError::Password { .. } | CorpusError::Unsupported { .. })) =
                package.read_index(index)
        {
            return Err(error);
        }
        Ok(Self { name: name.to_owned(), package, waiting })
    }

    fn next(&mut self) -> Option<(String, Result<Vec<u8>, CorpusError>)> {
        let (index, path) = self.waiting.pop()?;
        Some((format!("{}/{path}", self.name), self.package.read_index(index)))
    }
}

impl Expanded<'_> {
    fn n_unpacked(&self) -> usize {
        let inner = self.inner.as_ref().map_or(0, |level| level.package.n_unpacked());
        self.n_unpacked + self.outer.package.n_unpacked() + inner
    }

    fn stop(&mut self) -> CorpusError {
        self.outer.waiting.clear();
        self.inner = None;
        CorpusError::TooLarge { reason: format!("it unpacks to more than {} MB", MAX_TOTAL_BYTES >> 20) }
    }
}

impl Iterator for Expanded<'_> {
    type Item = (String, Result<Vec<u8>, CorpusError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_inner = self.inner.is_some();
            let Some((name, content)) = self.inner.as_mut().unwrap_or(&mut self.outer).next() else {
                self.n_unpacked += self.inner.take()?.package.n_unpacked();
                continue;
            };
            if self.n_unpacked() > MAX_TOTAL_BYTES {
                return Some((name, Err(self.stop())));
            }
            match content {
                Ok(bytes) if !is_inner && is_archive(&bytes) => {
                    match Level::open(&name, Cow::Owned(bytes), self.password) {
                        Ok(level) => self.inner = Some(level),
                        Err(error) => return Some((name, Err(error))),
                    }
                }
                content => return Some((name, content)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{pack, pack_bytes, pack_locked};

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
    fn a_document_is_no_archive() {
        assert!(!is_archive(&pack(&[("META-INF/container.xml", "")])));
        assert!(!is_archive(&pack(&[("[Content_Types].xml", ""), ("word/document.xml", "")])));
        assert!(!is_archive(b"PK\x03\x04 and nothing more"));
    }

    #[test]
    fn a_locked_archive_asks_for_its_password() {
        let bytes = pack_locked("a.md", b"The key is under the mat.", b"tide");
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
    fn what_all_files_unpack_to_is_bounded() {
        let big = "x".repeat(60 << 20);
        let inner = pack(&[("x", &big)]);
        let bytes = pack_bytes(&["a", "b", "c", "d", "e", "f"].map(|name| (name, &inner[..])));
        let found: Vec<bool> = expand("x.zip", &bytes, None).unwrap().map(|(_, content)| content.is_ok()).collect();
        assert_eq!(found, [true, true, true, true, false]);
    }
}
