//! Bounds on what a file may cost, whatever its headers claim.

use super::Extracted;

/// Bytes that one entry of a ZIP file may unpack to, counted while it is unpacked: above any book's chapter or report's
/// body, and what a tab can hold twice over.
pub(super) const MAX_ENTRY_BYTES: usize = 64 << 20;
/// Bytes that all entries of one ZIP file may unpack to together.
pub(crate) const MAX_TOTAL_BYTES: usize = 256 << 20;
/// Entries of a ZIP file that are looked at: a folder of notes holds hundreds, a hostile file millions of empty ones.
pub(crate) const MAX_ENTRIES: usize = 20_000;
/// Open elements in an XML part. Tables within tables take four levels each.
pub(super) const MAX_XML_DEPTH: usize = 256;
/// Arrays and objects within each other in a JSON file.
pub(super) const MAX_JSON_DEPTH: usize = 256;
/// Bytes of text in one document: some 2,500 pages, which is more than an index of one tab searches well.
pub(super) const MAX_TEXT_BYTES: usize = 16 << 20;

/// Definitions in one file of code: a section costs more than the few bytes that a hostile line makes it from.
pub(super) const MAX_DEFINITIONS: usize = 50_000;

/// Cuts a text that is too long at the end of a paragraph, and says so.
pub(super) fn cut_long_text(extracted: &mut Extracted, warnings: &mut Vec<String>) {
    let n_bytes = extracted.text.len();
    if n_bytes <= MAX_TEXT_BYTES {
        return;
    }
    let limit = extracted.text.floor_char_boundary(MAX_TEXT_BYTES);
    let end = extracted.text[..limit].rfind("\n\n").filter(|&end| end > limit / 2).unwrap_or(limit);
    let kept = extracted.text[..end].trim_end().len();
    extracted.text.truncate(kept);
    extracted.sections.retain_mut(|section| {
        section.span.end = section.span.end.min(kept);
        section.span.start < section.span.end
    });
    warnings.push(format!(
        "The text is longer than {} MB; only its beginning was read. Split the file to have the rest read too.",
        MAX_TEXT_BYTES >> 20
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::{Section, Span};

    #[test]
    fn a_text_that_is_too_long_is_cut_between_paragraphs_and_that_is_said() {
        let paragraph = format!("{}\u{e9}\n\n", "word ".repeat(1000));
        let text = paragraph.repeat(MAX_TEXT_BYTES / paragraph.len() + 2);
        let section = |start, end| Section { title: "x".into(), level: 1, span: Span::new(start, end), page: None };
        let sections = vec![section(0, text.len()), section(text.len() - 9, text.len())];
        let mut extracted = Extracted { text, sections, title: None };
        let mut warnings = Vec::new();
        cut_long_text(&mut extracted, &mut warnings);
        assert!(extracted.text.len() <= MAX_TEXT_BYTES && extracted.text.ends_with('\u{e9}'));
        assert_eq!(extracted.sections, [section(0, extracted.text.len())]);
        assert_eq!(warnings.len(), 1);
    }
}
