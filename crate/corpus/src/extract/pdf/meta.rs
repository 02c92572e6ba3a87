//! What a PDF says of itself: its title and its outline.

use std::collections::HashSet;

use hayro_syntax::{
    Pdf,
    object::{Dict, Name, Stream, String as PdfString},
};

use super::{letters::push_plain, stream::Budget};

const MAX_TITLE_CHARS: usize = 200;
/// Entries of an outline that are looked at.
const MAX_ENTRIES: usize = 4_000;
const MAX_OUTLINE_DEPTH: u8 = 6;
/// Titles that programs give when nobody gives one.
const EMPTY_TITLES: [&str; 12] = [
    "untitled",
    "unbenannt",
    "sans titre",
    "title",
    "document",
    "dokument",
    "powerpoint presentation",
    "präsentation",
    "presentation",
    "slide 1",
    "print",
    "none",
];
const FILE_ENDINGS: [&str; 22] = [
    "pdf", "doc", "docx", "docm", "odt", "rtf", "tex", "dvi", "ps", "eps", "indd", "qxd", "ppt", "pptx", "xls", "xlsx",
    "txt", "md", "html", "htm", "pub", "pages",
];

/// An entry of the outline; level 1 is the highest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bookmark {
    pub title: String,
    pub level: u8,
}

/// The title of the document information, else that of the XMP metadata, where it says something.
pub(super) fn title(pdf: &Pdf, budget: &mut Budget) -> Option<String> {
    let info = pdf.metadata().title.as_deref().map(text_string);
    info.and_then(|title| sensible(&title)).or_else(|| sensible(&xmp_title(pdf, budget)?))
}

fn xmp_title(pdf: &Pdf, budget: &mut Budget) -> Option<String> {
    let stream = catalog(pdf)?.get::<Stream<'_>>("Metadata")?;
    let xmp = budget.decode(&stream).ok()?;
    let xmp = String::from_utf8_lossy(&xmp);
    let (_, rest) = xmp.split_once("<dc:title>")?;
    let (title, _) = rest.split_once("</dc:title>")?;
    let (_, item) = title.split_once("<rdf:li")?;
    let (_, text) = item.split_once('>')?;
    let (text, _) = text.split_once('<')?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c)))
}

fn sensible(title: &str) -> Option<String> {
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let title =
        title.strip_prefix("Microsoft Word - ").or(title.strip_prefix("Microsoft PowerPoint - ")).unwrap_or(&title);
    let lower = title.to_lowercase();
    let is_file = lower.rsplit_once('.').is_some_and(|(_, ending)| FILE_ENDINGS.contains(&ending));
    let is_path = lower.starts_with("http") || lower.starts_with("file:") || title.contains('\\');
    let bare = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == ' ');
    let is_empty = EMPTY_TITLES.iter().any(|empty| *empty == lower || *empty == bare);
    let n_letters = title.chars().filter(|c| c.is_alphabetic()).count();
    let is_sensible = n_letters >= 2 && title.chars().count() <= MAX_TITLE_CHARS && !(is_file || is_path || is_empty);
    is_sensible.then(|| title.to_owned())
}

/// The outline's entries in order.
pub(super) fn outline(pdf: &Pdf) -> Vec<Bookmark> {
    let mut bookmarks = Vec::new();
    let first = catalog(pdf).and_then(|root| root.get::<Dict<'_>>("Outlines")?.get::<Dict<'_>>("First"));
    let mut seen = HashSet::new();
    let mut open: Vec<Dict<'_>> = first.into_iter().collect();
    // The level of an entry is how many are open: itself and, for each level above, what follows there.
    let mut levels: Vec<u8> = vec![1; open.len()];
    while let (Some(entry), Some(level)) = (open.pop(), levels.pop()) {
        let key = (entry.data().as_ptr() as usize, entry.data().len());
        if bookmarks.len() >= MAX_ENTRIES || !seen.insert(key) {
            continue;
        }
        if let Some(title) = entry.get::<PdfString<'_>>("Title") {
            let title = text_string(title.as_bytes());
            bookmarks.push(Bookmark { title: title.split_whitespace().collect::<Vec<_>>().join(" "), level });
        }
        let inner = entry.get::<Dict<'_>>("First").filter(|_| level < MAX_OUTLINE_DEPTH);
        for (next, level) in [(entry.get::<Dict<'_>>("Next"), level), (inner, level + 1)] {
            if let Some(next) = next {
                open.push(next);
                levels.push(level);
            }
        }
    }
    bookmarks
}

/// The root of the document's objects.
fn catalog(pdf: &Pdf) -> Option<Dict<'_>> {
    let root = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?;
    root.get::<Name<'_>>("Type").is_none_or(|name| name.as_str() == "Catalog").then_some(root)
}

/// A text string of the PDF specification: UTF-16 or UTF-8 with a byte order mark, else PDFDocEncoding.
pub(super) fn text_string(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xFE, 0xFF, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xFF, 0xFE, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&byte| pdf_doc_char(byte)).collect(),
        },
    };
    let mut plain = String::new();
    push_plain(&mut plain, &text);
    plain
}

/// PDFDocEncoding is Latin-1 but for two rows.
fn pdf_doc_char(byte: u8) -> char {
    const ROWS: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ', 'Ł',
        'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', ' ', '€',
    ];
    match byte {
        0x80..=0xA0 => ROWS[usize::from(byte) - 0x80],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_that_says_nothing_is_none() {
        for title in
            ["", "Untitled", "untitled-1", "Microsoft Word - report.docx", "C:\\tmp\\a", "paper.tex", "12", "Document1"]
        {
            assert_eq!(sensible(title), None, "{title}");
        }
        assert_eq!(sensible(" Tide  tables "), Some("Tide tables".into()));
        assert_eq!(sensible("Microsoft Word - Tide tables"), Some("Tide tables".into()));
    }

    #[test]
    fn text_strings_say_how_they_are_encoded() {
        assert_eq!(text_string(b"\xFE\xFF\x00H\x00\xF6"), "Hö");
        assert_eq!(text_string(b"\xEF\xBB\xBFH\xC3\xB6"), "Hö");
        assert_eq!(text_string(b"H\xF6\x92"), "Hö™");
    }
}
