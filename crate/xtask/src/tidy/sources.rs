//! Rules for single files: what pure code may not touch, length, words that stay out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::house::House;

/// Folders of the crates that take bytes and return values.
const PURE: [&str; 5] =
    ["crate/corpus/src", "crate/index/src", "crate/model/src", "crate/adapter/src", "crate/engine/src"];

/// What only the edges may touch: files, threads, clocks, processes, the environment. None of it works in a page.
const EDGES_ONLY: [&str; 8] = [
    "std::fs",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::process",
    "std::net",
    "std::env",
    "std::io::stdin",
];

/// Lines a file of code may have; at this length look for the second job.
const MAX_LINES: usize = 500;
/// Tables, which nobody reads from top to bottom.
const TABLES: [&str; 0] = [];
const CODE: [&str; 6] = ["rs", "ts", "mjs", "js", "css", "py"];

/// Words that have no place in the files git tracks, split so that this file does not name them itself.
const FORBIDDEN: [&[&str]; 11] = [
    &["/wo", "rk/"],
    &["/ro", "ot/"],
    &["/ho", "me/"],
    &["py", "pi.org"],
    &["python", "hosted"],
    &["registry.", "npmjs"],
    &["static.", "crates.io"],
    &["to", "do!("],
    &["unimple", "mented!("],
    &["FIX", "ME"],
    &["#[ig", "nore"],
];

/// Lines that name each broken rule.
///
/// # Errors
/// When a file cannot be read.
pub fn check(house: &House, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in files {
        let bytes = match fs::read(house.root.join(file)) {
            Ok(bytes) => bytes,
            // Removed since git listed it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        problems.extend(forbidden_words(file, &text));
        problems.extend(length(file, &text));
        if is_pure(file) {
            problems.extend(touched_edges(file, &text));
        }
    }
    Ok(problems)
}

fn forbidden_words(file: &Path, text: &str) -> Vec<String> {
    if file.file_name().is_some_and(|name| name == "Cargo.lock" || name == "package-lock.json") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for word in FORBIDDEN.map(<[&str]>::concat) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains(&word)) {
            // A word of a longer path or address is another word.
            let whole = line
                .match_indices(&word)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.'));
            if whole {
                problems.push(format!("{}:{}: {word} has no place here", file.display(), number + 1));
            }
        }
    }
    problems
}

fn length(file: &Path, text: &str) -> Option<String> {
    let is_code = file.extension().and_then(|extension| extension.to_str()).is_some_and(|e| CODE.contains(&e));
    let n_lines = text.lines().count();
    let is_table = TABLES.iter().any(|table| file == Path::new(table));
    (is_code && !is_table && n_lines > MAX_LINES)
        .then(|| format!("{}: {n_lines} lines, at most {MAX_LINES}: look for the second job", file.display()))
}

fn is_pure(file: &Path) -> bool {
    let is_test = file.components().any(|part| part.as_os_str() == "tests")
        || file.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"));
    !is_test
        && file.extension().is_some_and(|extension| extension == "rs")
        && PURE.iter().any(|folder| file.starts_with(folder))
}

/// Paths and imports of [`EDGES_ONLY`] outside tests.
fn touched_edges(file: &Path, text: &str) -> Vec<String> {
    let parsed = match syn::parse_file(text) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("{}:{}: {error}", file.display(), error.span().start().line)],
    };
    let mut edges = Edges { found: Vec::new() };
    edges.visit_file(&parsed);
    edges
        .found
        .into_iter()
        .map(|(line, path)| format!("{}:{line}: {path} is for wasm and cli only", file.display()))
        .collect()
}

struct Edges {
    /// Line and the forbidden path.
    found: Vec<(usize, &'static str)>,
}

impl Edges {
    fn note(&mut self, path: &str, line: usize) {
        let under =
            |edge: &&&str| path == **edge || path.strip_prefix(**edge).is_some_and(|rest| rest.starts_with("::"));
        if let Some(edge) = EDGES_ONLY.iter().find(under) {
            self.found.push((line, edge));
        }
    }

    /// Every path that a `use` tree brings in.
    fn note_use(&mut self, prefix: &str, tree: &syn::UseTree) {
        let joined = |name: &syn::Ident| if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") };
        let line = tree.span().start().line;
        match tree {
            syn::UseTree::Path(path) => self.note_use(&joined(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => self.note(prefix, line),
            syn::UseTree::Name(name) => self.note(&joined(&name.ident), line),
            syn::UseTree::Rename(name) => self.note(&joined(&name.ident), line),
            syn::UseTree::Glob(_) => self.note(prefix, line),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.note_use(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Edges {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_use("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&names.join("::"), path.span().start().line);
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("test")
        || (attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(text: &str) -> Vec<String> {
        touched_edges(Path::new("x.rs"), text)
    }

    #[test]
    fn edges_are_found_in_code() {
        for code in [
            "use std::fs;",
            "use std::{collections::HashMap, fs::{self, File}};",
            "use std::time::Instant as Clock;",
            "use std::thread::*;",
            "fn f() { let t = std::time::Instant::now(); }",
            "fn f(x: std::fs::File) {}",
        ] {
            assert!(!edges(code).is_empty(), "{code}");
        }
        assert_eq!(edges("\nuse std::fs;"), ["x.rs:2: std::fs is for wasm and cli only"]);
    }

    #[test]
    fn tests_comments_and_like_names_are_left_alone() {
        for code in [
            "// std::fs::read\nfn f() {}",
            "fn f() -> &'static str { \"std::fs\" }",
            "#[cfg(test)] mod tests { use std::fs; }",
            "#[test] fn t() { std::fs::read(\"x\").unwrap(); }",
            "use std::time::Duration;",
            "use crate::std::fsx;",
        ] {
            assert_eq!(edges(code), Vec::<String>::new(), "{code}");
        }
    }

    #[test]
    fn only_pure_crates_outside_tests_are_held_to_it() {
        assert!(is_pure(Path::new("crate/model/src/gguf.rs")));
        assert!(!is_pure(Path::new("crate/model/src/kernel/tests/mod.rs")));
        assert!(!is_pure(Path::new("crate/model/src/gguf_tests.rs")));
        assert!(!is_pure(Path::new("crate/cli/src/main.rs")));
        assert!(!is_pure(Path::new("tests/main.rs")));
    }

    #[test]
    fn words_and_lengths_are_checked() {
        let word = FORBIDDEN[0].concat();
        assert_eq!(forbidden_words(Path::new("a.md"), &format!("x\nsee {word}y")).len(), 1);
        assert_eq!(forbidden_words(Path::new("a.md"), &format!("my/home{word}y")).len(), 0);
        assert!(length(Path::new("a.rs"), &"x\n".repeat(501)).is_some());
        assert!(length(Path::new("a.rs"), &"x\n".repeat(500)).is_none());
        assert!(length(Path::new("a.json"), &"x\n".repeat(9000)).is_none());
    }
}
