//! The body of a Word document → text.

use std::{collections::HashMap, ops::ControlFlow};

use super::{
    numbering::{Marker, Numbering},
    styles::{Kind, Style, Styles},
    symbol,
};
use crate::extract::{
    builder::{Break, TextBuilder},
    limits::MAX_TEXT_BYTES,
    xml::{Attrs, Node},
};

/// Elements whose content is not the text as it stands: what was deleted or moved away, the second form of a drawing,
/// how words are read aloud, and how properties were before a change.
const UNREAD: [&str; 10] = [
    "del",
    "moveFrom",
    "Fallback",
    "rt",
    "pPrChange",
    "rPrChange",
    "sectPrChange",
    "tblPrChange",
    "numberingChange",
    "docPartPr",
];

/// Foot- and endnotes by kind and identifier.
pub(super) type Notes = HashMap<(&'static str, String), String>;

/// Reads the nodes of a document's main part.
pub(super) struct Body<'a> {
    pub builder: TextBuilder,
    styles: &'a Styles,
    numbering: Numbering,
    /// Notes that no paragraph has shown yet: each is read once, however often it is referred to.
    notes: Notes,
    /// Open paragraphs, outermost first: a text box holds its own.
    open: Vec<Paragraph>,
    /// Open elements within an unread one.
    n_unread: usize,
    n_open_tables: usize,
    in_run: bool,
    in_text: bool,
    is_hidden: bool,
    /// Notes of the paragraphs in an open table, which come after it.
    waiting: Vec<String>,
    pub title: Option<String>,
    pub n_pictures: usize,
    pub n_tables: usize,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    style: String,
    outline: Option<u8>,
    list: Option<String>,
    list_level: Option<usize>,
    /// The paragraphs of its text boxes, which come after it.
    boxes: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Body<'a> {
    pub fn new(styles: &'a Styles, numbering: Numbering, notes: Notes) -> Self {
        Self {
            builder: TextBuilder::new(),
            styles,
            numbering,
            notes,
            open: Vec::new(),
            n_unread: 0,
            n_open_tables: 0,
            in_run: false,
            in_text: false,
            is_hidden: false,
            waiting: Vec::new(),
            title: None,
            n_pictures: 0,
            n_tables: 0,
        }
    }

    /// Breaks once the text is longer than is kept.
    pub fn node(&mut self, node: Node<'_>) -> ControlFlow<()> {
        match node {
            Node::Start(..) if self.n_unread > 0 => self.n_unread += 1,
            Node::End(_) if self.n_unread > 0 => self.n_unread -= 1,
            Node::Start(name, _) if UNREAD.contains(&name) => self.n_unread = 1,
            Node::Start(name, attrs) => self.start(name, &attrs),
            Node::End(name) => self.end(name),
            Node::Text(text) if self.in_text && self.n_unread == 0 => self.push(text),
            Node::Text(_) => {}
        }
        if self.builder.len() > MAX_TEXT_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn start(&mut self, name: &str, attrs: &Attrs<'_>) {
        match name {
            "p" => self.open.push(Paragraph::default()),
            "r" => (self.in_run, self.is_hidden) = (true, false),
            "t" => self.in_text = true,
            "tbl" => self.start_table(),
            "tr" if self.open.is_empty() => self.builder.request(Break::Line),
            "tc" if self.open.is_empty() => self.builder.start_cell(),
            "drawing" | "pict" | "object" => self.n_pictures += 1,
            _ if self.in_run => self.start_in_run(name, attrs),
            _ => self.property(name, attrs),
        }
    }

    fn start_in_run(&mut self, name: &str, attrs: &Attrs<'_>) {
        match name {
            "vanish" => self.is_hidden = attrs.is_on(),
            "tab" | "ptab" => self.push("\t"),
            "br" | "cr" => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            "sym" => self.push(&symbol::character(attrs).map(String::from).unwrap_or_default()),
            "footnoteReference" => self.note("footnote", attrs),
            "endnoteReference" => self.note("endnote", attrs),
            _ => {}
        }
    }

    fn property(&mut self, name: &str, attrs: &Attrs<'_>) {
        let Some(paragraph) = self.open.last_mut() else {
            return;
        };
        match name {
            "pStyle" => paragraph.style = attrs.get("val").unwrap_or_default(),
            "outlineLvl" => paragraph.outline = attrs.number("val"),
            "numId" => paragraph.list = attrs.get("val"),
            "ilvl" => paragraph.list_level = attrs.number("val"),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "r" => self.in_run = false,
            "p" => self.end_paragraph(),
            "tbl" => self.end_table(),
            "tr" if self.open.is_empty() => self.builder.request(Break::Line),
            "tc" if self.open.is_empty() => self.builder.end_cell(),
            _ => {}
        }
    }

    fn start_table(&mut self) {
        self.n_tables += 1;
        if self.open.is_empty() {
            self.builder.block();
            self.n_open_tables += 1;
        }
    }

    fn end_table(&mut self) {
        if self.open.is_empty() {
            self.n_open_tables = self.n_open_tables.saturating_sub(1);
            self.builder.block();
            self.write_waiting();
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.open.last_mut()
            && !self.is_hidden
        {
            paragraph.text.push_str(text);
        }
    }

    fn note(&mut self, kind: &'static str, attrs: &Attrs<'_>) {
        let note = attrs.get("id").and_then(|id| self.notes.remove(&(kind, id)));
        if let (Some(note), Some(paragraph)) = (note, self.open.last_mut()) {
            paragraph.notes.push(note);
        }
    }

    fn end_paragraph(&mut self) {
        let Some(mut paragraph) = self.open.pop() else {
            return;
        };
        if let Some(outer) = self.open.last_mut() {
            outer.boxes.push(paragraph.text);
            outer.boxes.append(&mut paragraph.boxes);
            outer.notes.append(&mut paragraph.notes);
            return;
        }
        self.write(&paragraph);
        for text in &paragraph.boxes {
            self.write_block(text);
        }
        self.waiting.append(&mut paragraph.notes);
        self.write_waiting();
    }

    fn write_waiting(&mut self) {
        if self.n_open_tables == 0 {
            for note in std::mem::take(&mut self.waiting) {
                self.write_block(&note);
            }
        }
    }

    fn write(&mut self, paragraph: &Paragraph) {
        let style = self.styles.get(&paragraph.style);
        if paragraph.text.trim().is_empty() || style.kind == Kind::Contents {
            return;
        }
        let marker = self.marker(paragraph, &style);
        let level = match style.kind {
            Kind::Title => Some(1),
            _ => paragraph.outline.or(style.outline).filter(|&outline| outline < 9).map(|outline| outline + 1),
        };
        match (level, marker) {
            (Some(level), marker) => self.write_heading(paragraph, level, marker, style.kind == Kind::Title),
            (None, Some(marker)) => self.write_item(&paragraph.text, &marker),
            (None, None) if style.kind == Kind::Verbatim => {
                self.builder.request(Break::Line);
                self.builder.push_verbatim(&paragraph.text);
                self.builder.request(Break::Line);
            }
            (None, None) => self.write_block(&paragraph.text),
        }
    }

    /// A paragraph's own list wins over its style's; the list `0` means none.
    fn marker(&mut self, paragraph: &Paragraph, style: &Style) -> Option<Marker> {
        let list = paragraph.list.as_ref().or(style.list.as_ref())?;
        let level = paragraph
            .list_level
            .or_else(|| self.numbering.level_of_style(list, &paragraph.style))
            .or(style.list_level)
            .unwrap_or(0);
        self.numbering.next(list, level)
    }

    fn write_heading(&mut self, paragraph: &Paragraph, level: u8, marker: Option<Marker>, is_title: bool) {
        self.builder.start_heading(level);
        if let Some(number) = marker.and_then(|marker| marker.number) {
            self.builder.push_text(&number);
            self.builder.request(Break::Space);
        }
        self.builder.push_text(&paragraph.text);
        self.builder.end_heading();
        if is_title && self.title.is_none() {
            self.title = Some(paragraph.text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    fn write_item(&mut self, text: &str, marker: &Marker) {
        self.builder.request(Break::Line);
        let indent = "  ".repeat(marker.level);
        self.builder.mark(format!("{indent}{} ", marker.number.as_deref().unwrap_or("-")));
        self.write_lines(text);
        self.builder.mark(String::new());
        self.builder.request(Break::Line);
    }

    fn write_block(&mut self, text: &str) {
        self.builder.block();
        self.write_lines(text);
        self.builder.block();
    }

    fn write_lines(&mut self, text: &str) {
        for line in text.split('\n') {
            self.builder.push_text(line);
            self.builder.request(Break::Line);
        }
    }
}
