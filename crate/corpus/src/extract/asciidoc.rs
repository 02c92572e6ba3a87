//! AsciiDoc → text: headings, blocks by what they hold, comments and attributes dropped.

use super::{
    Extracted,
    builder::{Break, TextBuilder},
};

/// Block macros that put something else in their place.
const UNREAD_MACROS: [&str; 8] =
    ["include::", "toc::", "ifdef::", "ifndef::", "ifeval::", "endif::", "video::", "audio::"];
/// Inline macros that show the text in their brackets.
const MACROS: [&str; 14] = [
    "https://",
    "http://",
    "link:",
    "xref:",
    "mailto:",
    "image:",
    "footnote:",
    "kbd:",
    "btn:",
    "menu:",
    "pass:",
    "stem:",
    "anchor:",
    "icon:",
];

/// Inline markup ends within this many bytes; a mark without its end must not be looked for through a whole file.
const MAX_SPAN_BYTES: usize = 400;

pub(super) fn extract(source: &str) -> Extracted {
    let mut reader = Reader { builder: TextBuilder::new(), block: Block::Text };
    for line in source.trim_start_matches('\u{FEFF}').split('\n') {
        reader.line(line.trim_end());
    }
    let (text, sections) = reader.builder.finish();
    Extracted { text, sections, title: None }
}

/// What lines are read as until the fence that opened it comes again.
enum Block {
    Text,
    Verbatim(String),
    Comment(String),
    Table(String),
}

struct Reader {
    builder: TextBuilder,
    block: Block,
}

impl Reader {
    fn line(&mut self, line: &str) {
        match &self.block {
            Block::Verbatim(fence) | Block::Comment(fence) | Block::Table(fence) if line == fence => {
                self.block = Block::Text;
                self.builder.request(Break::Blank);
            }
            Block::Comment(_) => {}
            Block::Verbatim(_) => {
                self.builder.push_verbatim(line);
                self.builder.push_verbatim("\n");
            }
            Block::Table(_) => self.row(line),
            Block::Text => self.text(line),
        }
    }

    fn text(&mut self, line: &str) {
        if line.is_empty() {
            self.builder.request(Break::Blank);
        } else if let Some(block) = fence(line) {
            self.block = block;
            self.builder.request(Break::Blank);
        } else if let Some((level, title)) = heading(line) {
            self.builder.start_heading(level);
            self.builder.push_text(&inline(title));
            self.builder.end_heading();
        } else if is_markup(line) {
            self.builder.request(Break::Line);
        } else {
            self.paragraph(line);
        }
    }

    fn paragraph(&mut self, line: &str) {
        let (depth, line) = split_marker(line);
        if depth > 0 {
            self.builder.request(Break::Line);
            self.builder.mark(format!("{}- ", "  ".repeat((depth - 1).min(8))));
        }
        let title = line.strip_prefix('.').filter(|title| title.starts_with(char::is_alphanumeric));
        let line = title.unwrap_or(line);
        let line = line.strip_suffix(" +").unwrap_or(line);
        let line = match line.split_once(":: ") {
            Some((term, rest)) => format!("{term}: {rest}"),
            None => line.strip_suffix("::").map_or(line.to_owned(), |term| format!("{term}:")),
        };
        self.builder.push_text(&inline(&line));
        self.builder.mark(String::new());
        self.builder.request(if title.is_some() { Break::Line } else { Break::Space });
    }

    /// A line of a table: cells open with a bar, and a line without one goes on with the last cell.
    fn row(&mut self, line: &str) {
        let Some((_, cells)) = line.split_once('|') else {
            self.builder.push_text(&inline(line));
            self.builder.request(Break::Line);
            return;
        };
        self.builder.request(Break::Line);
        for cell in cells.split('|') {
            self.builder.start_cell();
            self.builder.push_text(&inline(cell.trim()));
            self.builder.end_cell();
        }
        self.builder.request(Break::Line);
    }
}

fn fence(line: &str) -> Option<Block> {
    let first = line.chars().next()?;
    let is_run = line.len() >= 4 && line.chars().all(|c| c == first);
    match first {
        '/' if is_run => Some(Block::Comment(line.to_owned())),
        '-' | '.' if is_run => Some(Block::Verbatim(line.to_owned())),
        '`' if line.starts_with("```") => Some(Block::Verbatim("```".to_owned())),
        '|' | ',' | ':' if line[1..] == *"===" => Some(Block::Table(line.to_owned())),
        _ => None,
    }
}

fn heading(line: &str) -> Option<(u8, &str)> {
    let title = line.trim_start_matches(['=', '#']);
    let n_marks = line.len() - title.len();
    let is_heading = (1..=6).contains(&n_marks) && title.starts_with(' ') && !title.trim().is_empty();
    is_heading.then(|| (n_marks as u8, title.trim()))
}

/// Lines that shape others and say nothing themselves.
fn is_markup(line: &str) -> bool {
    let is_attribute = line
        .strip_prefix(':')
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_!".contains(c)));
    let is_delimiter = |c: char| line.len() >= 4 && line.chars().all(|other| other == c);
    is_attribute
        || (line.starts_with("//") && !line.starts_with("///"))
        || (line.starts_with('[') && line.ends_with(']'))
        || matches!(line, "+" | "--" | "<<<" | "'''")
        || ['=', '*', '_', '+'].into_iter().any(is_delimiter)
        || UNREAD_MACROS.iter().any(|name| line.starts_with(name))
}

/// How deep a list item's marker is, 0 without one, and what follows it.
fn split_marker(line: &str) -> (usize, &str) {
    let trimmed = line.trim_start();
    let Some((marker, rest)) = trimmed.split_once(' ') else {
        return (0, line);
    };
    let is_marker = marker == "-" || (!marker.is_empty() && ['*', '.'].iter().any(|&c| marker.chars().all(|m| m == c)));
    if is_marker { (marker.len(), rest.trim_start()) } else { (0, line) }
}

/// Running text without its markup: emphasis, literals, links, references.
fn inline(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let is_start = out.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let near = &rest[..rest.floor_char_boundary(MAX_SPAN_BYTES)];
        let found = match c {
            '*' | '_' | '`' | '+' | '#' if is_start => emphasis(near, c),
            '<' if rest.starts_with("<<") => reference(near),
            _ if is_start => bracketed(near),
            _ => None,
        };
        match found {
            Some((shown, n_bytes)) => {
                out.push_str(shown);
                rest = &rest[n_bytes..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// `*text*` or `**text**`: what it shows and the bytes it takes.
fn emphasis(rest: &str, mark: char) -> Option<(&str, usize)> {
    let n_marks = rest.chars().take(2).take_while(|&c| c == mark).count();
    let marks = &rest[..n_marks];
    let inner = &rest[n_marks..];
    let end = inner.find(marks).filter(|&end| end > 0 && !inner.starts_with(' '))?;
    Some((&inner[..end], end + 2 * n_marks))
}

/// `<<id,text>>`
fn reference(rest: &str) -> Option<(&str, usize)> {
    let end = rest.find(">>")?;
    let inner = &rest[2..end];
    Some((inner.split_once(',').map_or(inner, |(_, text)| text.trim()), end + 2))
}

/// `link:target[text]` and the like. A link without text shows its address.
fn bracketed(rest: &str) -> Option<(&str, usize)> {
    let name = MACROS.iter().find(|name| rest.starts_with(**name))?;
    let open = rest.find(['[', ' '])?;
    let end = open + rest[open..].find(']').filter(|_| rest[open..].starts_with('['))?;
    let shown = rest[open + 1..end].trim_end_matches('^');
    let target = &rest[..open];
    let is_address = name.ends_with("//");
    Some((if shown.is_empty() && is_address { target } else { shown }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_text_stays() {
        let source = "\
= Quay
Me <me@x.y>
:toc: left

// comment
////
hidden
////
[[fees]]
== Fees *now*

See <<fees,the table>>, `a  b`, https://x.y[the site], xref:p.adoc[page]
and link:a.html[_it_].

* one
** two
. three

.Example
[source,sh]
----
go  --fast

  deep
----

NOTE: Mind the tide.

term:: meaning

|===
|a |b

|1 |2
|===

image::x.png[A crane]
include::other.adoc[]
====
Inside.
====
";
        let extracted = extract(source);
        assert_eq!(
            extracted.text,
            "Quay\n\nMe <me@x.y>\n\nFees now\n\nSee the table, a b, the site, page and _it_.\n\n- one\n  - two\n- three\n\n\
             Example\n\ngo  --fast\n\n  deep\n\nNOTE: Mind the tide.\n\nterm: meaning\n\na | b\n1 | 2\n\nA crane\nInside."
        );
        let found: Vec<_> = extracted.sections.iter().map(|s| (s.level, s.title.as_str())).collect();
        assert_eq!(found, [(1, "Quay"), (2, "Fees now")]);
    }

    #[test]
    fn odd_markup_is_text() {
        for source in
            ["*", "**", "<<", "link:", "link:[", "[", "|===", "```", "é*é", "=", ":a", "----", "+", "https://x ["]
        {
            extract(source);
        }
        assert_eq!(extract("2 * 3 * 4, a_b_c and 10:30").text, "2 * 3 * 4, a_b_c and 10:30");
    }
}
