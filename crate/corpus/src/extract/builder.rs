//! Grows a document's text block by block: white space collapsed, headings remembered.

use super::limits::MAX_SECTIONS;
use crate::span::{Heading, Section, sections};

/// A heading longer than this (in bytes) is a paragraph in a large font.
const MAX_HEADING_BYTES: usize = 300;

/// What stands between the text so far and the next word; the strongest request wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Break {
    None,
    Space,
    Cell,
    Line,
    Blank,
}

impl Break {
    fn separator(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Space => " ",
            Self::Cell => " | ",
            Self::Line => "\n",
            Self::Blank => "\n\n",
        }
    }
}

/// Collects readable text. Breaks are requested and only written when a word follows, so the text
/// neither starts nor ends with white space and never holds two blank lines in a row.
#[derive(Debug)]
pub(super) struct TextBuilder {
    text: String,
    pending: Break,
    /// White space within a preformatted line, until it is known whether the line goes on.
    spaces: String,
    /// A list marker to write before the next word.
    marker: String,
    /// Open lists, outermost first: the next number of an ordered one.
    lists: Vec<Option<u64>>,
    /// Open table cells, outermost first: the text's length where each starts.
    cells: Vec<usize>,
    headings: Vec<Heading>,
    /// The open heading: level, and where its text starts once there is any.
    heading: Option<(u8, Option<usize>)>,
}

impl TextBuilder {
    pub fn new() -> Self {
        Self {
            text: String::new(),
            pending: Break::None,
            spaces: String::new(),
            marker: String::new(),
            lists: Vec::new(),
            cells: Vec::new(),
            headings: Vec::new(),
            heading: None,
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn request(&mut self, wanted: Break) {
        if wanted >= Break::Line {
            self.spaces.clear();
        }
        self.pending = self.pending.max(wanted);
    }

    /// The edge of a block element: a blank line, or a line end inside a list or a table cell.
    pub fn block(&mut self) {
        if self.cells.last() == Some(&self.text.len()) {
            return;
        }
        let nested = !self.cells.is_empty() || !self.lists.is_empty();
        self.request(if nested { Break::Line } else { Break::Blank });
    }

    /// Running text: every run of white space counts as one space.
    pub fn push_text(&mut self, text: &str) {
        let has_spaces = !std::mem::take(&mut self.spaces).is_empty();
        if has_spaces || text.starts_with(char::is_whitespace) {
            self.request(Break::Space);
        }
        for (i, word) in text.split_whitespace().enumerate() {
            if i > 0 {
                self.request(Break::Space);
            }
            self.write(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.request(Break::Space);
        }
    }

    /// Preformatted text: white space is kept, save at line ends. A line may come in several parts.
    pub fn push_verbatim(&mut self, text: &str) {
        for (i, line) in text.split('\n').enumerate() {
            if i > 0 {
                let seen_newline = self.pending >= Break::Line;
                self.request(if seen_newline { Break::Blank } else { Break::Line });
            }
            let (body, spaces) = line.split_at(line.trim_end().len());
            if !body.is_empty() {
                let part = std::mem::take(&mut self.spaces) + body;
                self.write(&part);
            }
            self.spaces.push_str(spaces);
        }
    }

    pub fn start_list(&mut self, first_number: Option<u64>) {
        self.block();
        self.lists.push(first_number);
    }

    pub fn end_list(&mut self) {
        self.lists.pop();
        self.marker.clear();
        self.block();
    }

    pub fn start_item(&mut self) {
        self.request(Break::Line);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(8));
        self.marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => format!("{indent}- "),
        };
    }

    pub fn end_item(&mut self) {
        self.marker.clear();
        self.request(Break::Line);
    }

    /// Sets the marker before the next word, where the document itself gives its lists' markers.
    pub fn mark(&mut self, marker: String) {
        self.marker = marker;
    }

    pub fn start_cell(&mut self) {
        self.request(Break::Cell);
        self.cells.push(self.text.len());
    }

    pub fn end_cell(&mut self) {
        match self.cells.pop() {
            Some(start) if self.text.len() > start => self.pending = Break::Cell,
            _ => self.request(Break::Cell),
        }
    }

    pub fn start_heading(&mut self, level: u8) {
        self.end_heading();
        self.request(Break::Blank);
        self.heading = Some((level, None));
    }

    pub fn end_heading(&mut self) {
        if let Some((level, start)) = self.heading.take() {
            if let Some(start) = start
                && self.text.len() - start <= MAX_HEADING_BYTES
                && self.headings.len() <= MAX_SECTIONS
            {
                let title = self.text[start..].split_whitespace().collect::<Vec<_>>().join(" ");
                self.headings.push(Heading { title, level, start });
            }
            self.request(Break::Blank);
        }
    }

    pub fn finish(mut self) -> (String, Vec<Section>) {
        self.end_heading();
        let sections = sections(&self.text, self.headings);
        (self.text, sections)
    }

    fn write(&mut self, word: &str) {
        // Soft hyphens and zero-width marks are layout: they would hide a word from a search.
        let is_mark = |c: char| matches!(c, '\u{AD}' | '\u{200B}' | '\u{FEFF}');
        if word.chars().all(is_mark) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(self.pending.separator());
        }
        self.pending = Break::None;
        self.text.push_str(&self.marker);
        self.marker.clear();
        if let Some((_, start @ None)) = &mut self.heading {
            *start = Some(self.text.len());
        }
        self.text.extend(word.chars().filter(|&c| !is_mark(c)));
    }
}
