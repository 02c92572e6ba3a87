//! JSON and JSON Lines → `path: value` lines, every object a paragraph of its own.

use super::{Extracted, limits};

/// A value up to this length (in bytes) is never taken for data.
const MAX_WORDS_BYTES: usize = 1000;
/// Data is broken into lines of this length (in bytes) or more: by the standards of mail, after 64 or 76 characters.
const MIN_DATA_LINE_BYTES: usize = 60;

/// Reads JSON, one value or many. `None` where it is not JSON or nested deeper than is read.
/// Warnings say how many values were left out.
pub(super) fn extract(source: &str, warnings: &mut Vec<String>) -> Option<Extracted> {
    let mut writer = Writer::default();
    let mut lexer = Lexer { source: source.trim_start_matches('\u{FEFF}'), at: 0 };
    let mut open: Vec<Frame> = Vec::new();
    let mut expected = Expected::Value;
    while writer.text.len() <= limits::MAX_TEXT_BYTES {
        let Some(token) = lexer.next()? else {
            return (open.is_empty() && expected != Expected::Name).then(|| writer.finish(warnings));
        };
        expected = match (token, expected) {
            (Token::String(name), Expected::Name | Expected::NameOrEnd) => {
                writer.path.push(name);
                Expected::Colon
            }
            (Token::Colon, Expected::Colon) => Expected::Value,
            (Token::Open(kind), Expected::Value | Expected::ValueOrEnd) => {
                if open.len() >= limits::MAX_JSON_DEPTH {
                    return None;
                }
                writer.edge(kind, open.last().copied());
                open.push(kind);
                if kind == Frame::Object { Expected::NameOrEnd } else { Expected::ValueOrEnd }
            }
            (Token::Close(kind), Expected::NameOrEnd | Expected::ValueOrEnd | Expected::CommaOrEnd)
                if open.last() == Some(&kind) && fits_end(kind, expected) =>
            {
                open.pop();
                writer.edge(kind, open.last().copied());
                after_value(&open, &mut writer)
            }
            (Token::Comma, Expected::CommaOrEnd) => match open.last()? {
                Frame::Object => Expected::Name,
                Frame::Array => Expected::Value,
            },
            (Token::String(value) | Token::Word(value), Expected::Value | Expected::ValueOrEnd) => {
                writer.value(&value, open.last() == Some(&Frame::Array));
                after_value(&open, &mut writer)
            }
            _ => return None,
        };
    }
    Some(writer.finish(warnings))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Object,
    Array,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    /// The first value of an array.
    ValueOrEnd,
    Name,
    /// The first name of an object.
    NameOrEnd,
    Colon,
    CommaOrEnd,
}

fn fits_end(kind: Frame, expected: Expected) -> bool {
    match expected {
        Expected::NameOrEnd => kind == Frame::Object,
        Expected::ValueOrEnd => kind == Frame::Array,
        _ => true,
    }
}

/// What follows a value: at the top another one, as JSON Lines have.
fn after_value(open: &[Frame], writer: &mut Writer) -> Expected {
    match open.last() {
        Some(Frame::Object) => {
            writer.path.pop();
            Expected::CommaOrEnd
        }
        Some(Frame::Array) => Expected::CommaOrEnd,
        None => {
            writer.end_value();
            Expected::Value
        }
    }
}

enum Token {
    Open(Frame),
    Close(Frame),
    Comma,
    Colon,
    String(String),
    /// A number, `true`, `false` or `null`.
    Word(String),
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl Lexer<'_> {
    /// The next token; inside, `None` at the end of the text; outside, `None` where the text is not JSON.
    fn next(&mut self) -> Option<Option<Token>> {
        let rest = self.source[self.at..].trim_start();
        self.at = self.source.len() - rest.len();
        let Some(first) = rest.bytes().next() else {
            return Some(None);
        };
        let (token, n_bytes) = match first {
            b'{' => (Token::Open(Frame::Object), 1),
            b'}' => (Token::Close(Frame::Object), 1),
            b'[' => (Token::Open(Frame::Array), 1),
            b']' => (Token::Close(Frame::Array), 1),
            b',' => (Token::Comma, 1),
            b':' => (Token::Colon, 1),
            b'"' => {
                let n_bytes = string_len(rest)?;
                (Token::String(unescape(&rest[..n_bytes])?), n_bytes)
            }
            _ => {
                let n_bytes =
                    rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
                let word = &rest[..n_bytes];
                let is_word = matches!(word, "true" | "false" | "null") || word.parse::<f64>().is_ok();
                if !is_word {
                    return None;
                }
                (Token::Word(word.to_owned()), n_bytes)
            }
        };
        self.at += n_bytes;
        Some(Some(token))
    }
}

/// Bytes of the string that `rest` opens with, its quotation marks included.
fn string_len(rest: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (i, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(i + 1),
            _ => {}
        }
    }
    None
}

fn unescape(quoted: &str) -> Option<String> {
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    serde_json::from_str(quoted).ok()
}

/// What stands between the text so far and the next line.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    Line,
    Blank,
}

#[derive(Default)]
struct Writer {
    text: String,
    /// Names from the outermost object down to the current value.
    path: Vec<String>,
    gap: Gap,
    /// Whether the line so far is a list that the next value goes on with.
    in_list: bool,
    /// Whether the last value was a line of a text, as notebooks keep theirs.
    ends_line: bool,
    /// Values that were left out.
    n_data: usize,
}

impl Writer {
    /// The end of a value at the top: the next one is a paragraph of its own.
    fn end_value(&mut self) {
        self.gap = Gap::Blank;
        self.in_list = false;
    }

    /// The start or end of an object or list. An object that stands for itself, as in a list or directly below the top,
    /// is a paragraph.
    fn edge(&mut self, kind: Frame, outer: Option<Frame>) {
        self.in_list = false;
        if kind == Frame::Object && (outer != Some(Frame::Object) || self.path.len() <= 1) {
            self.gap = Gap::Blank;
        }
    }

    fn value(&mut self, value: &str, in_array: bool) {
        let ends_line = value.ends_with('\n');
        let value = tidy(value);
        if value.is_empty() || value == "null" {
            return;
        }
        if is_data(&value) {
            self.n_data += 1;
            return;
        }
        if in_array && self.in_list {
            self.text.push_str(if self.ends_line { "\n" } else { ", " });
        } else {
            if !self.text.is_empty() {
                self.text.push_str(if self.gap == Gap::Blank { "\n\n" } else { "\n" });
            }
            self.gap = Gap::Line;
            if !self.path.is_empty() {
                self.text.push_str(&self.path.join("."));
                self.text.push_str(": ");
            }
        }
        self.text.push_str(&value);
        self.in_list = in_array;
        self.ends_line = ends_line;
    }

    fn finish(self, warnings: &mut Vec<String>) -> Extracted {
        if self.n_data > 0 {
            let n = self.n_data;
            warnings.push(format!("{n} long values are data, such as pictures, and no words; they were left out."));
        }
        Extracted { text: self.text, sections: Vec::new(), title: None }
    }
}

/// Whether a value is data, such as a picture in a notebook: long, and in no part but the last as short as a word.
fn is_data(value: &str) -> bool {
    // What is written without spaces, as Chinese is, is not in ASCII.
    value.len() > MAX_WORDS_BYTES
        && value.is_ascii()
        && value.split_ascii_whitespace().rev().skip(1).all(|part| part.len() >= MIN_DATA_LINE_BYTES)
}

/// A value without white space at its ends and without blank lines, which would part its object.
fn tidy(value: &str) -> String {
    value.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Option<String> {
        extract(source, &mut Vec::new()).map(|extracted| extracted.text)
    }

    #[test]
    fn values_stand_behind_their_paths() {
        let source = r#"{"name": "quay", "open": true, "fee": {"day": 14, "per": {"unit": "m"}}, "tags": ["a", "b"], "none": null,
            "ships": [{"id": 1, "crew": ["x\ty", "z\u00e9"]}, {"id": 2, "log": [[1, 2], [3]]}]}"#;
        assert_eq!(
            text(source).unwrap(),
            "name: quay\nopen: true\n\nfee.day: 14\nfee.per.unit: m\n\ntags: a, b\n\n\
             ships.id: 1\nships.crew: x\ty, z\u{e9}\n\nships.id: 2\nships.log: 1, 2\nships.log: 3"
        );
    }

    #[test]
    fn json_lines_are_paragraphs() {
        assert_eq!(text("{\"a\":1,\"b\":\"x\\n\\ny\"}\n{\"a\":2}\n").unwrap(), "a: 1\nb: x\ny\n\na: 2");
        assert_eq!(text("[1, 2.5e3, \"x\"]").unwrap(), "1, 2.5e3, x");
        assert_eq!(text("{\"source\": [\"if a:\\n\", \"    b\"]}").unwrap(), "source: if a:\n    b");
        assert_eq!(text("\"alone\"").unwrap(), "alone");
    }

    #[test]
    fn data_is_left_out_and_that_is_said() {
        let read = |source: &str| {
            let mut warnings = Vec::new();
            (extract(source, &mut warnings).unwrap().text, warnings)
        };
        let picture = "iVBORw0KGgo=".repeat(100);
        let lines = format!("{}\\n", "QUJD".repeat(19)).repeat(20);
        let source = format!("{{\"a\": \"word\", \"png\": \"{picture}\", \"b\": [\"{lines}\", 1]}}");
        let (text, warnings) = read(&source);
        assert_eq!(text, "a: word\nb: 1");
        assert!(warnings.len() == 1 && warnings[0].starts_with("2 "), "{warnings:?}");
        for words in ["\u{6F6E}".repeat(500), "word ".repeat(300), "x".repeat(900)] {
            let (text, warnings) = read(&format!("{{\"a\": \"{words}\"}}"));
            assert!(text.len() > 900 && warnings.is_empty());
        }
    }

    #[test]
    fn what_is_not_json_is_left_to_others() {
        for source in
            ["{\"a\":1", "{a:1}", "[1,]", "{\"a\" 1}", "[1 2]", "}", "{,}", "\"open", "[\"\\q\"]", "{\"a\":1}]", "[}"]
        {
            assert!(text(source).is_none(), "{source}");
        }
        assert!(text(&"[".repeat(1_000_000)).is_none());
        assert!(text(&format!("{}{}", "[".repeat(100), "]".repeat(100))).is_some_and(|text| text.is_empty()));
    }
}
