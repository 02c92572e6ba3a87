//! Text that is only text: kept as it is, save for white space at its ends and at line ends.

use super::{Extracted, limits::MAX_SECTIONS};
use crate::span::{Heading, sections};

/// A longer underlined line (in characters) is no heading.
const MAX_HEADING_CHARS: usize = 80;

pub(super) fn extract(source: &str) -> Extracted {
    let text = tidy(source);
    let headings = underlined_headings(&text);
    Extracted { sections: sections(&text, headings), text, title: None }
}

/// A text without white space at line ends and blank lines at its ends.
pub(super) fn tidy(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for line in source.trim_start_matches('\u{FEFF}').split(['\n', '\x0C']) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let blank = text.len() - text.trim_start_matches('\n').len();
    text.drain(..blank);
    text.truncate(text.trim_end().len());
    text
}

/// A short line after a blank one, underlined over most of its width: `===` is level 1, `---` level 2.
fn underlined_headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let (mut before, mut line) = ("", "");
    let mut line_start = 0;
    let mut next_start = 0;
    for next in text.split('\n') {
        let title = line.trim();
        let n_chars = title.chars().count();
        if let Some(level) = underline_level(next)
            && before.trim().is_empty()
            && (1..=MAX_HEADING_CHARS).contains(&n_chars)
            && next.trim().len() * 2 >= n_chars
            && title.contains(char::is_alphanumeric)
            && headings.len() <= MAX_SECTIONS
        {
            let start = line_start + line.len() - line.trim_start().len();
            headings.push(Heading { title: title.to_owned(), level, start });
        }
        (before, line) = (line, next);
        line_start = next_start;
        next_start += next.len() + 1;
    }
    headings
}

fn underline_level(line: &str) -> Option<u8> {
    let line = line.trim();
    let all = |c| line.len() >= 3 && line.chars().all(|other| other == c);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underlined_lines_are_headings() {
        let source =
            "\n\nTide tables  \n===========\n\nHigh water.\n\nNorth quay\n----------\nAt six.\n\nnot a\nheading\n---\n";
        let extracted = extract(source);
        assert!(extracted.text.starts_with("Tide tables\n==="));
        let found: Vec<_> = extracted
            .sections
            .iter()
            .map(|s| (s.title.as_str(), s.level, s.span.of(&extracted.text).unwrap().len()))
            .collect();
        assert_eq!(found, [("Tide tables", 1, extracted.text.len()), ("North quay", 2, 48)]);
    }

    #[test]
    fn text_is_kept_verbatim() {
        let source = "if a:\n    b  = 1\n\n\nprint(b)";
        assert_eq!(extract(source).text, source);
    }
}
