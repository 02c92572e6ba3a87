//! Documents that are ZIP files, and how bytes become one part of them: its checksum would stop them otherwise.

use std::{borrow::Cow, io::Write};

use rawzip::{ZipArchiveWriter, path::EntryPath};

/// A path and what lies there.
pub type Part = (&'static str, &'static str);

/// A Word document with every part that is read.
pub const WORD: [Part; 8] = [
    ("word/document.xml", include_str!("word/document.xml")),
    ("word/styles.xml", include_str!("word/styles.xml")),
    ("word/numbering.xml", include_str!("word/numbering.xml")),
    ("word/footnotes.xml", include_str!("word/footnotes.xml")),
    ("word/_rels/document.xml.rels", include_str!("word/document.xml.rels")),
    ("docProps/core.xml", include_str!("word/core.xml")),
    ("_rels/.rels", include_str!("word/package.rels")),
    ("[Content_Types].xml", "<Types/>"),
];

/// A book of a list of contents and two chapters.
pub const BOOK: [Part; 5] = [
    ("text/chapter.xhtml", include_str!("book/chapter.xhtml")),
    ("text/nav.xhtml", include_str!("book/nav.xhtml")),
    ("book.opf", include_str!("book/book.opf")),
    ("META-INF/container.xml", include_str!("book/container.xml")),
    ("META-INF/encryption.xml", include_str!("book/encryption.xml")),
];

/// The package with the part whose number is the first byte replaced by the other bytes, as text; bytes that open
/// otherwise, as ZIP files do, stand for themselves.
pub fn file<'a>(parts: &[Part], bytes: &'a [u8]) -> Cow<'a, [u8]> {
    match bytes.split_first() {
        Some((&chosen, inner)) if usize::from(chosen) < parts.len() => {
            let mut entries: Vec<(&str, &[u8])> =
                parts.iter().map(|&(path, content)| (path, content.as_bytes())).collect();
            let text = String::from_utf8_lossy(inner);
            entries[usize::from(chosen)].1 = text.as_bytes();
            Cow::Owned(pack(&entries))
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// A ZIP file of these entries, stored as they are.
pub fn pack(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, content) in entries {
        let builder = archive.new_file(EntryPath::verbatim(name.as_bytes()));
        let (mut entry, config) = builder.start().expect("a name that fits");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).expect("memory takes what is written");
        let (_, descriptor) = writer.finish().expect("memory takes what is written");
        entry.finish(descriptor).expect("memory takes what is written");
    }
    archive.finish().expect("memory takes what is written")
}
