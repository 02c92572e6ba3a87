//! reStructuredText → text: headings by their adornments, directives by what they hold, comments dropped.

use super::{
    Extracted,
    builder::{Break, TextBuilder},
};

/// Directives whose content is for programs: lists of files, pictures, markup of other formats.
const UNREAD: [&str; 13] = [
    "toctree",
    "contents",
    "raw",
    "include",
    "literalinclude",
    "image",
    "highlight",
    "module",
    "currentmodule",
    "meta",
    "index",
    "default-role",
    "role",
];
/// Directives whose content is preformatted; what stands behind their name is a language.
const VERBATIM: [&str; 7] = ["code", "code-block", "sourcecode", "parsed-literal", "math", "productionlist", "prompt"];

/// Inline markup ends within this many bytes; a mark without its end must not be looked for through a whole file.
const MAX_SPAN_BYTES: usize = 400;

pub(super) fn extract(source: &str) -> Extracted {
    let lines: Vec<&str> = source.trim_start_matches('\u{FEFF}').split('\n').map(str::trim_end).collect();
    let mut reader = Reader { builder: TextBuilder::new(), lines: &lines, at: 0, styles: Vec::new() };
    while reader.at < lines.len() {
        reader.line();
    }
    let (text, sections) = reader.builder.finish();
    Extracted { text, sections, title: None }
}

struct Reader<'a> {
    builder: TextBuilder,
    lines: &'a [&'a str],
    at: usize,
    /// How headings are adorned, highest level first: the character, and whether there is a line above too.
    styles: Vec<(char, bool)>,
}

impl Reader<'_> {
    fn line(&mut self) {
        let line = self.lines[self.at];
        let trimmed = line.trim_start();
        if trimmed.is_empty() {
            self.builder.request(Break::Blank);
            self.at += 1;
        } else if let Some(n_lines) = self.heading() {
            self.at += n_lines;
        } else if trimmed == ".." || trimmed.starts_with(".. ") {
            self.explicit(trimmed[2..].trim_start());
        } else if is_border(trimmed) {
            self.builder.request(Break::Line);
            self.at += 1;
        } else {
            self.text(trimmed);
        }
    }

    /// Writes the heading that starts here, if one does, and says how many lines it takes.
    fn heading(&mut self) -> Option<usize> {
        let line = |i: usize| self.lines.get(self.at + i).copied().unwrap_or_default();
        let over = adornment(line(0));
        let (title, under, is_over) = match over {
            Some(_) => (line(1), adornment(line(2)), true),
            None => (line(0), adornment(line(1)), false),
        };
        let style = under.filter(|&under| over.is_none_or(|over| over == under))?;
        let width = title.trim().chars().count();
        let n_under = line(if is_over { 2 } else { 1 }).chars().count();
        let is_indented = title.starts_with([' ', '\t']) && !is_over;
        if width == 0 || is_indented || n_under * 2 < width || adornment(title).is_some() {
            return None;
        }
        let style = (style, is_over);
        let level = self.styles.iter().position(|&known| known == style).unwrap_or_else(|| {
            self.styles.push(style);
            self.styles.len() - 1
        });
        self.builder.start_heading(u8::try_from(level + 1).unwrap_or(u8::MAX));
        self.builder.push_text(&inline(title));
        self.builder.end_heading();
        Some(if is_over { 3 } else { 2 })
    }

    /// A directive, note, target or comment.
    fn explicit(&mut self, rest: &str) {
        let indent = indent(self.lines[self.at]);
        let directive = rest
            .split_once("::")
            .filter(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_:.+".contains(c)));
        self.builder.request(Break::Blank);
        if let Some((name, argument)) = directive {
            self.at += 1;
            let argument = argument.trim();
            let is_verbatim = VERBATIM.contains(&name);
            if UNREAD.contains(&name) {
                self.skip_block(indent);
                return;
            }
            if !(is_verbatim || name == "figure") {
                self.builder.push_text(&inline(argument));
                self.builder.request(Break::Space);
            }
            self.skip_options(indent);
            if is_verbatim {
                self.verbatim(indent);
            }
        } else if let Some((_, note)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            self.builder.push_text(&inline(note));
            self.builder.request(Break::Space);
            self.at += 1;
        } else {
            self.at += 1;
            self.skip_block(indent);
        }
    }

    /// Lines deeper than `indent`, and the blank ones among them.
    fn skip_block(&mut self, outer: usize) {
        while let Some(line) = self.lines.get(self.at)
            && (line.is_empty() || indent(line) > outer)
        {
            self.at += 1;
        }
    }

    fn skip_options(&mut self, outer: usize) {
        while let Some(line) = self.lines.get(self.at)
            && indent(line) > outer
            && line.trim_start().starts_with(':')
        {
            self.at += 1;
        }
    }

    /// A preformatted block: the lines deeper than `outer`, without the indent they share.
    fn verbatim(&mut self, outer: usize) {
        let from = self.at;
        self.skip_block(outer);
        let block = &self.lines[from..self.at];
        let shared = block.iter().filter(|line| !line.is_empty()).map(|line| indent(line)).min().unwrap_or(0);
        self.builder.request(Break::Blank);
        for line in block {
            self.builder.push_verbatim(line.get(shared..).unwrap_or_default());
            self.builder.push_verbatim("\n");
        }
        self.builder.request(Break::Blank);
    }

    fn text(&mut self, line: &str) {
        let outer = indent(self.lines[self.at]);
        self.at += 1;
        if line.starts_with('|') && line.ends_with('|') && line.len() > 1 {
            self.row(line);
            return;
        }
        let (marker, line) = split_marker(line);
        if !marker.is_empty() {
            self.builder.request(Break::Line);
            self.builder.mark(format!("{}{marker} ", " ".repeat(outer.min(16))));
        }
        let opens_literal = line.ends_with("::");
        let line = match line.strip_suffix("::") {
            Some(line) if line.is_empty() || line.ends_with(' ') => line,
            Some(_) => &line[..line.len() - 1],
            None => line,
        };
        self.builder.push_text(&inline(line));
        self.builder.mark(String::new());
        self.builder.request(if line.starts_with(':') { Break::Line } else { Break::Space });
        if opens_literal {
            self.verbatim(outer);
        }
    }

    /// A line of a table drawn with bars.
    fn row(&mut self, line: &str) {
        self.builder.request(Break::Line);
        for cell in line.trim_matches('|').split('|') {
            self.builder.start_cell();
            self.builder.push_text(&inline(cell.trim()));
            self.builder.end_cell();
        }
        self.builder.request(Break::Line);
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The character that a line under or over a heading repeats.
fn adornment(line: &str) -> Option<char> {
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 3 && line.chars().all(|c| c == first)).then_some(first)
}

/// Lines that draw tables and rules.
fn is_border(line: &str) -> bool {
    let all = |allowed: &str| line.len() >= 3 && line.chars().all(|c| allowed.contains(c));
    all("+-=|") && line.starts_with('+') || all("= ") || all("-") || all("*") || all("~") || all("_")
}

/// A list item's marker and what follows it.
fn split_marker(line: &str) -> (&str, &str) {
    let Some((first, rest)) = line.split_once(' ') else {
        return ("", line);
    };
    let number = first.trim_start_matches('(').trim_end_matches(['.', ')']);
    let is_number = number.len() < first.len()
        && (number == "#" || (number.len() <= 3 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())));
    match first {
        "-" | "*" | "+" | "\u{2022}" => ("-", rest.trim_start()),
        "#." => ("-", rest.trim_start()),
        _ if is_number => (first, rest.trim_start()),
        _ => ("", line),
    }
}

/// Running text without its markup: emphasis, literals, roles, references.
fn inline(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['`', '*', '|', ':', '\\']) {
        out.push_str(&rest[..at]);
        let (taken, n_bytes) = span(&rest[at..], out.chars().next_back());
        out.push_str(&taken);
        rest = &rest[at + n_bytes..];
    }
    out.push_str(rest);
    out
}

/// What the markup at the start of `rest` reads as, and how many bytes it takes.
fn span(rest: &str, before: Option<char>) -> (String, usize) {
    let rest = &rest[..rest.floor_char_boundary(MAX_SPAN_BYTES)];
    let is_start = before.is_none_or(|c| !c.is_alphanumeric());
    let between = |open: &str| {
        let inner = rest.strip_prefix(open)?;
        let end = inner.find(open).filter(|&end| end > 0 && !inner.starts_with(' '))?;
        Some((inner[..end].to_owned(), end + 2 * open.len()))
    };
    let found = match rest.as_bytes()[0] {
        b'\\' => rest[1..].chars().next().map(|c| (c.to_string().trim().to_owned(), 1 + c.len_utf8())),
        _ if !is_start => None,
        b'`' if rest.starts_with("``") => between("``"),
        b'`' => between("`").map(|(inner, n_bytes)| {
            let n_marks = rest[n_bytes..].bytes().take(2).take_while(|&b| b == b'_').count();
            (without_target(&inner), n_bytes + n_marks)
        }),
        b'*' if rest.starts_with("**") => between("**"),
        b'*' => between("*"),
        b'|' => between("|").map(|(inner, n_bytes)| {
            let n_marks = rest[n_bytes..].bytes().take(2).take_while(|&b| b == b'_').count();
            (inner, n_bytes + n_marks)
        }),
        b':' => role(rest),
        _ => None,
    };
    found.unwrap_or_else(|| (rest[..1].to_owned(), 1))
}

/// ``:role:`text <target>` ``, or a field's `:name:`.
fn role(rest: &str) -> Option<(String, usize)> {
    if !rest[1..].starts_with(char::is_alphanumeric) {
        return None;
    }
    let end = rest[1..].find(|c: char| !(c.is_alphanumeric() || "-_:+.".contains(c)))? + 1;
    let name = &rest[..end];
    if !name.ends_with(':') || end < 3 {
        return None;
    }
    match rest[end..].strip_prefix('`').and_then(|inner| inner.find('`').map(|n| &inner[..n])) {
        Some(inner) => Some((without_target(inner).trim_start_matches(['~', '!']).to_owned(), end + inner.len() + 2)),
        None => Some((format!("{}:", name.trim_matches(':')), end)),
    }
}

/// `text <target>` → `text`.
fn without_target(text: &str) -> String {
    match text.split_once('<') {
        Some((shown, _)) if !shown.trim().is_empty() && text.ends_with('>') => shown.trim().to_owned(),
        _ => text.trim_matches(['<', '>']).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_text_stays() {
        let source = "\
=====
Quay
=====

.. comment
   over two lines

.. _target:

Fees *now*
----------

See :ref:`the table <fees>`, ``a * b``, `the site <http://x.y>`_ and :class:`~port.Quay`.
Second line\\ s.

- one
- **two**
  more

.. note:: Mind
   the *tide*.

.. code-block:: sh
   :linenos:

   go  --fast

     deep

.. toctree::
   a
   b

Example::

    x  = 1

+---+---+
| a | b |
+===+===+
| 1 | 2 |
+---+---+

More
----
:Author: Me
.. [1] A note.
";
        let extracted = extract(source);
        assert_eq!(
            extracted.text,
            "Quay\n\nFees now\n\nSee the table, a * b, the site and port.Quay. Second lines.\n\n- one\n- two more\n\n\
             Mind the tide.\n\ngo  --fast\n\n  deep\n\nExample:\n\nx  = 1\n\na | b\n1 | 2\n\nMore\n\nAuthor: Me\n\nA note."
        );
        let found: Vec<_> = extracted.sections.iter().map(|s| (s.level, s.title.as_str())).collect();
        assert_eq!(found, [(1, "Quay"), (2, "Fees now"), (2, "More")]);
    }

    #[test]
    fn odd_markup_is_text() {
        for source in ["a * b", "`", "**", ":", "x\\", "|", "``", "::", "..", "| |", ".. [", "*é*é", ":é:`"] {
            extract(source);
        }
        assert_eq!(extract("2 * 3 * 4 and 10:30").text, "2 * 3 * 4 and 10:30");
    }
}
