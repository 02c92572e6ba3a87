//! Places in a document's text.

use serde::{Deserialize, Serialize};

/// A half-open range of UTF-8 byte offsets into [`crate::Document::text`]; both ends are character
/// boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text under this span, or `None` when it does not fit `text`.
    pub fn of<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.get(self.start..self.end)
    }

    /// Without the white space at either end.
    pub(crate) fn trimmed(self, text: &str) -> Self {
        let inner = &text[self.start..self.end];
        let start = self.start + inner.len() - inner.trim_start().len();
        Self { start, end: start + inner.trim().len() }
    }
}

/// A heading with its body, up to the next heading of the same or a higher level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub title: String,
    /// 1 is the highest level.
    pub level: u8,
    /// Starts at the heading's first character.
    pub span: Span,
    /// Page number from 1, where the format has pages.
    pub page: Option<u32>,
}

/// A heading found in a text: where it starts, before the ends of the sections are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heading {
    pub title: String,
    pub level: u8,
    pub start: usize,
}

/// Headings in order of appearance → sections that cover them and their bodies.
pub(crate) fn sections(text: &str, headings: Vec<Heading>) -> Vec<Section> {
    let mut ends = vec![text.len(); headings.len()];
    let mut open: Vec<usize> = Vec::new();
    for (i, heading) in headings.iter().enumerate() {
        while let Some(&last) = open.last() {
            if headings[last].level < heading.level {
                break;
            }
            ends[last] = heading.start;
            open.pop();
        }
        open.push(i);
    }
    headings
        .into_iter()
        .zip(ends)
        .map(|(heading, end)| Section {
            span: Span::new(heading.start, end).trimmed(text),
            title: heading.title,
            level: heading.level,
            page: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        let text = "A\n\none\n\nB\n\ntwo\n\nC\n\nthree";
        let heading = |title: &str, level, start| Heading { title: title.into(), level, start };
        let found = sections(text, vec![heading("A", 1, 0), heading("B", 2, 8), heading("C", 1, 16)]);
        let spans: Vec<_> = found.iter().map(|s| s.span.of(text).unwrap()).collect();
        assert_eq!(spans, ["A\n\none\n\nB\n\ntwo", "B\n\ntwo", "C\n\nthree"]);
    }
}
