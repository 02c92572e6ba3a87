//! EPUB books → text: the files of the reading order, one after another, without the table of contents.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use super::{
    Extracted, html,
    limits::{MAX_SECTIONS, MAX_TEXT_BYTES},
    package::Package,
    xml::{Node, first_text, walk},
};
use crate::{CorpusError, Section};

const CONTAINER: &str = "META-INF/container.xml";
const ENCRYPTION: &str = "META-INF/encryption.xml";
/// How fonts are made unusable outside their book; the words are not touched.
const FONT_MANGLING: [&str; 2] = ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];

/// Reads a book. Chapters that are missing or damaged are left out with a warning.
///
/// # Errors
/// `file-unsupported` for copy protection, `file-no-text` for a book of pictures, `file-damaged`.
pub(super) fn extract(package: &mut Package<'_>, warnings: &mut Vec<String>) -> Result<Extracted, CorpusError> {
    let book = package_path(package)?;
    let source = package.read_text(&book)?.ok_or_else(|| missing(&book))?;
    let chapters = reading_order(&source, folder_of(&book))?;
    let protected = protected(package)?;
    if chapters.iter().any(|part| protected.contains(&part.path)) {
        return Err(CorpusError::Unsupported { kind: "Copy-protected EPUB" });
    }
    let mut text = String::new();
    let mut sections = Vec::new();
    let mut n_lost = 0;
    for Part { path, is_contents } in &chapters {
        if text.len() > MAX_TEXT_BYTES {
            break;
        }
        match package.read_text(path) {
            Ok(Some(source)) if *is_contents => add(html::extract_contents(&source), &mut text, &mut sections),
            Ok(Some(source)) => add(html::extract_chapter(&source), &mut text, &mut sections),
            Err(error @ CorpusError::TooLarge { .. }) => return Err(error),
            Ok(None) | Err(_) => n_lost += 1,
        }
    }
    if n_lost == chapters.len() {
        return Err(CorpusError::Damaged { reason: "its chapters are missing".to_owned() });
    }
    if text.is_empty() {
        return Err(CorpusError::NoText { what: format!("pages without words ({})", chapters.len()) });
    }
    if n_lost > 0 {
        warnings.push(format!("{n_lost} of {} chapters could not be read.", chapters.len()));
    }
    Ok(Extracted { text, sections, title: first_text(&source, "title") })
}

fn add(chapter: Extracted, text: &mut String, sections: &mut Vec<Section>) {
    if chapter.text.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let offset = text.len();
    text.push_str(&chapter.text);
    let n_free = (MAX_SECTIONS + 1).saturating_sub(sections.len());
    sections.extend(chapter.sections.into_iter().take(n_free).map(|mut section| {
        section.span.start += offset;
        section.span.end += offset;
        section
    }));
}

/// Where the book describes itself.
fn package_path(package: &mut Package<'_>) -> Result<String, CorpusError> {
    let container = package.read_text(CONTAINER)?.ok_or_else(|| missing(CONTAINER))?;
    let mut path = None;
    walk(&container, &mut |node| match node {
        Node::Start("rootfile", attrs) => {
            path = attrs.get("full-path");
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    path.ok_or_else(|| missing("the book's description"))
}

/// A part of the book: its path, and whether it is the list of contents.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Part {
    path: String,
    is_contents: bool,
}

/// The parts in reading order. The list of contents is among them where the author has given it a place to be read at.
fn reading_order(source: &str, folder: &str) -> Result<Vec<Part>, CorpusError> {
    let mut items: HashMap<String, Part> = HashMap::new();
    let mut chapters = Vec::new();
    let mut seen = HashSet::new();
    walk(source, &mut |node| {
        match node {
            Node::Start("item", attrs) => {
                let is_contents = attrs.get("properties").is_some_and(|all| all.split_whitespace().any(|p| p == "nav"));
                let is_text = attrs.get("media-type").is_none_or(|kind| kind.contains("html") || kind.contains("xml"));
                if let (Some(id), Some(href), true) = (attrs.get("id"), attrs.get("href"), is_text) {
                    items.insert(id, Part { path: resolve(folder, &href), is_contents });
                }
            }
            Node::Start("itemref", attrs) => {
                let part = attrs.get("idref").and_then(|id| items.get(&id));
                chapters.extend(part.filter(|&part| seen.insert(part.clone())).cloned());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    if chapters.is_empty() {
        return Err(CorpusError::Damaged { reason: "its reading order is empty".to_owned() });
    }
    Ok(chapters)
}

/// The entries that cannot be read without the right to them.
fn protected(package: &mut Package<'_>) -> Result<HashSet<String>, CorpusError> {
    let mut found = HashSet::new();
    let Some(source) = package.read_text(ENCRYPTION)? else {
        return Ok(found);
    };
    let mut is_font = false;
    walk(&source, &mut |node| {
        match node {
            Node::Start("EncryptedData", _) => is_font = false,
            Node::Start("EncryptionMethod", attrs) => {
                is_font |= attrs.get("Algorithm").is_some_and(|name| FONT_MANGLING.contains(&name.as_str()));
            }
            Node::Start("CipherReference", attrs) if !is_font => {
                found.extend(attrs.get("URI").map(|uri| resolve("", &uri)));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A reference within the book as the path of an entry: `%20` and the like decoded, `..` followed, no fragment.
fn resolve(folder: &str, href: &str) -> String {
    let href = decode_percent(href.split(['#', '?']).next().unwrap_or_default());
    let mut parts: Vec<&str> = if href.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in href.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

fn decode_percent(href: &str) -> String {
    let mut bytes = Vec::with_capacity(href.len());
    let mut rest = href.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| href.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn missing(what: &str) -> CorpusError {
    CorpusError::Damaged { reason: format!("{what} is missing") }
}

#[cfg(test)]
mod tests;
