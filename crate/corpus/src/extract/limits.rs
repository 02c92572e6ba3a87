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
/// Sections in one document, above any book's or reference's: one costs more than the few bytes that a hostile line
/// makes it from. Readers stop at one more, from which it is told that there are too many.
pub(super) const MAX_SECTIONS: usize = 50_000;

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

/// Leaves headings beyond the bound to be text like other text, which the section before them holds, and says so.
pub(super) fn cut_sections(extracted: &mut Extracted, warnings: &mut Vec<String>) {
    let Some(cut) = extracted.sections.get(MAX_SECTIONS).map(|section| section.span.start) else {
        return;
    };
    let sections = &mut extracted.sections;
    sections.truncate(MAX_SECTIONS);
    // What ended at the first heading that is none now goes on as far as what lies around it.
    let around = sections.iter().map(|section| section.span.end).filter(|&end| end > cut).min();
    let end = around.unwrap_or(extracted.text.len());
    let last = extracted.text[..cut].trim_end().len();
    for section in sections.iter_mut().filter(|section| section.span.end == last) {
        section.span.end = end;
    }
    warnings.push(format!(
        "The document has more than {MAX_SECTIONS} headings; those behind are read as text and not listed."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::{Section, Span};

    #[test]
    fn headings_beyond_the_bound_are_text_of_the_last_section() {
        let read = |name: &str, heading: &str, n: usize| {
            crate::extract(name, format!("{}\nend\n", heading.repeat(n)).as_bytes(), None).unwrap()
        };
        for (name, heading) in [
            ("a.md", "# x\n"),
            ("a.adoc", "== x\n\n"),
            ("a.rst", "xyz\n===\n\n"),
            ("a.html", "<h1>x</h1>"),
            ("a.txt", "xyz\n===\n\n"),
            ("a.py", "def x():\n    pass\n"),
        ] {
            let document = read(name, heading, MAX_SECTIONS + 9);
            assert_eq!((document.sections.len(), document.warnings.len()), (MAX_SECTIONS, 1), "{name}");
            assert_eq!(document.sections[MAX_SECTIONS - 1].span.end, document.text.len());
        }
        let all = read("a.md", "# x\n", MAX_SECTIONS);
        assert!(all.sections.len() == MAX_SECTIONS && all.warnings.is_empty());
    }

    #[test]
    fn a_section_that_goes_on_stays_within_the_one_around_it() {
        let text = "x".repeat(4 * MAX_SECTIONS);
        let section = |start, end| Section { title: "x".into(), level: 1, span: Span::new(start, end), page: None };
        let mut sections = vec![section(0, text.len() - 9)];
        sections.extend((1..MAX_SECTIONS + 5).map(|i| section(i, i + 1)));
        let mut extracted = Extracted { text, sections, title: None };
        cut_sections(&mut extracted, &mut Vec::new());
        assert_eq!(extracted.sections.len(), MAX_SECTIONS);
        assert_eq!(extracted.sections[MAX_SECTIONS - 1].span, Span::new(MAX_SECTIONS - 1, 4 * MAX_SECTIONS - 9));
        assert_eq!(extracted.sections[MAX_SECTIONS - 2], section(MAX_SECTIONS - 2, MAX_SECTIONS - 1));
    }

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
