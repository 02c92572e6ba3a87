//! Source code: the text as it stands, with its definitions as sections, told line by line.

use super::{Extracted, limits::MAX_SECTIONS, plain};
use crate::span::{Heading, sections};
use rules::{Body, Methods, Rules, rules};

mod rules;

/// A definition's first lines are followed this far to find where its body opens.
const MAX_SIGNATURE_LINES: usize = 12;
/// A longer title (in bytes) is cut.
const MAX_TITLE_BYTES: usize = 120;
/// Words that open a statement where a definition without a keyword could stand.
const STATEMENTS: [&str; 20] = [
    "if", "for", "while", "switch", "catch", "return", "new", "else", "throw", "using", "lock", "foreach", "await",
    "yield", "do", "try", "case", "sizeof", "function", "elif",
];

/// Whether files with this extension, in lower case, are source code.
pub(super) fn is_code(extension: &str) -> bool {
    rules(extension).is_some()
}

/// Reads source code; `name` tells the language.
pub(super) fn extract(name: &str, source: &str) -> Extracted {
    let text = plain::tidy(source);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let headings = rules(&extension).map(|rules| definitions(&text, rules)).unwrap_or_default();
    Extracted { sections: sections(&text, headings), text, title: None }
}

/// A line with the place where it starts.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl Line<'_> {
    /// White space it starts with, in bytes.
    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }
}

/// A definition that may hold what follows: its indent, and whether definitions within it count.
struct Open {
    indent: usize,
    is_container: bool,
}

fn definitions(text: &str, rules: &Rules) -> Vec<Heading> {
    let mut start = 0;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in text.split('\n') {
        lines.push(Line { start, text: line });
        start += line.len() + 1;
    }
    let mut headings: Vec<Heading> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        if line.text.is_empty() {
            continue;
        }
        if headings.len() > MAX_SECTIONS {
            break;
        }
        let indent = line.indent();
        let n_around = open.iter().take_while(|around| around.indent < indent).count();
        if open[..n_around].last().is_some_and(|around| !around.is_container) {
            continue;
        }
        let Some(found) = definition(&lines, i, n_around, rules) else { continue };
        open.truncate(n_around);
        open.push(Open { indent, is_container: found.is_container });
        let first = first_leader(&lines, i, rules);
        let start = lines[first].start + lines[first].indent();
        if headings.last().is_none_or(|last| last.start < start) {
            let level = u8::try_from(open.len()).unwrap_or(u8::MAX);
            headings.push(Heading { title: found.title, level, start });
        }
    }
    headings
}

struct Definition {
    title: String,
    is_container: bool,
}

/// What line `i` defines within `n_around` other definitions.
fn definition(lines: &[Line<'_>], i: usize, n_around: usize, rules: &Rules) -> Option<Definition> {
    let line = without_modifiers(lines[i].text.trim_start(), rules);
    let (keyword, rest) = split_word(line);
    let is_named = rest.trim_start().starts_with(|c: char| c.is_alphabetic() || "_<(*&$'".contains(c));
    let is_container = rules.containers.contains(&keyword) && is_named && !is_call(line, rules);
    let is_definition = if is_container {
        opens_body(lines, i, rules)
    } else if rules.functions.contains(&keyword) {
        is_named && (opens_body(lines, i, rules) || line.contains(" = "))
    } else if rules.values.contains(&keyword) {
        is_named && is_long_value(line, n_around)
    } else {
        is_method(line, n_around, rules) && opens_body(lines, i, rules)
    };
    is_definition.then(|| Definition { title: title(line), is_container })
}

/// The line from its keyword on.
fn without_modifiers<'a>(mut line: &'a str, rules: &Rules) -> &'a str {
    loop {
        let (word, rest) = split_word(line);
        let is_visibility = word == "pub" && rest.starts_with('(');
        let rest = match rest.split_once(')') {
            Some((_, rest)) if is_visibility => rest,
            _ => rest,
        };
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("\"C\"").map_or(rest, str::trim_start);
        let next = split_word(rest).0;
        // `const fn` has a modifier, `const N` a keyword.
        let is_keyword = rules.values.contains(&word) && !rules.functions.contains(&next) && next != "unsafe";
        if !rules.modifiers.contains(&word) || is_keyword || rest.is_empty() || rest.starts_with(['(', '=', ':']) {
            return line;
        }
        line = rest;
    }
}

/// The first word, with a `!`, `*` or `@` that belongs to it, and what follows.
fn split_word(line: &str) -> (&str, &str) {
    let first = usize::from(line.starts_with('@'));
    let end = line[first..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(line.len(), |i| first + i);
    let end = end + usize::from(end > 0 && line[end..].starts_with(['!', '*']));
    line.split_at(end)
}

/// `struct point *at(int x)` is a function's, not a type's.
fn is_call(line: &str, rules: &Rules) -> bool {
    rules.methods == Methods::Anywhere && line.contains('(')
}

/// Whether a body opens before the statement ends.
fn opens_body(lines: &[Line<'_>], i: usize, rules: &Rules) -> bool {
    let first = lines[i].text;
    match rules.body {
        Body::Words => true,
        Body::Colon => first.contains(['(', ':']),
        Body::Braces => {
            for line in lines.iter().skip(i).take(MAX_SIGNATURE_LINES) {
                if line.text.contains('{') {
                    return true;
                }
                if line.text.trim_end().ends_with([';', '}']) || line.text.is_empty() {
                    return false;
                }
            }
            false
        }
    }
}

/// A function in a value's clothes, or a table over several lines; small values stay with their neighbours.
fn is_long_value(line: &str, n_around: usize) -> bool {
    let is_function = line.contains("=>") || line.contains("= function") || line.contains("= async function");
    n_around == 0 && (is_function || line.trim_end().ends_with(['{', '[', '(']))
}

/// `name(…)` with something before it that can be a type, and nothing that makes it a statement.
fn is_method(line: &str, n_around: usize, rules: &Rules) -> bool {
    let Some((head, _)) = line.split_once('(') else {
        return false;
    };
    let is_allowed = match rules.methods {
        Methods::None => false,
        Methods::Inside => n_around > 0,
        Methods::Anywhere => true,
    };
    let is_name = |c: char| c.is_alphanumeric() || "_$~#:<>*&[]?, ".contains(c);
    is_allowed
        && !head.is_empty()
        && head.chars().all(is_name)
        && head.ends_with(|c: char| c.is_alphanumeric() || "_$>".contains(c))
        && !STATEMENTS.contains(&split_word(head).0)
}

/// The definition's first words: up to its arguments, its body or its value.
fn title(line: &str) -> String {
    // A Go method names its receiver first.
    let skipped = match line.strip_prefix("func (") {
        Some(rest) => line.len() - rest.len() + rest.find(')').map_or(0, |i| i + 1),
        None => 0,
    };
    let is_impl = line.starts_with("impl");
    let tail = &line[skipped..];
    let is_end = |(i, c): &(usize, char)| match c {
        '{' | ';' => true,
        '(' | '=' => !is_impl,
        ':' => !tail[i + 1..].starts_with(':') && !tail[..*i].ends_with(':'),
        _ => false,
    };
    let end = tail.char_indices().find(is_end).map_or(line.len(), |(i, _)| skipped + i);
    let end = line.floor_char_boundary(end.min(MAX_TITLE_BYTES));
    line[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first of the comment and attribute lines that stand directly above line `i`.
fn first_leader(lines: &[Line<'_>], i: usize, rules: &Rules) -> usize {
    let is_leader = |line: &Line<'_>| {
        let text = line.text.trim_start();
        line.indent() + 1 >= lines[i].indent() && rules.leaders.iter().any(|leader| text.starts_with(leader))
    };
    i - lines[..i].iter().rev().take_while(|line| is_leader(line)).count()
}

#[cfg(test)]
mod tests;
