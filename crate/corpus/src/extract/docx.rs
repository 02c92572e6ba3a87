//! Word documents (Office Open XML) → text: headings, lists, tables and notes as they read, changes as accepted,
//! comments, headers and footers left out.

use std::ops::ControlFlow;

use super::{
    Extracted,
    package::Package,
    xml::{Node, first_text, walk},
};
use crate::CorpusError;
use body::{Body, Notes};
use numbering::Numbering;
use styles::Styles;

mod body;
mod numbering;
mod styles;
mod symbol;

/// Reads a Word document whose main part has this path.
///
/// # Errors
/// `file-no-text` for pictures or tables without text, `file-empty`, `file-damaged` and what [`Package`] refuses.
pub(super) fn extract(package: &mut Package<'_>, main: &str) -> Result<Extracted, CorpusError> {
    let Some(source) = package.read_text(main)? else {
        return Err(CorpusError::Damaged { reason: format!("{main} is missing") });
    };
    let parts = related(package, main)?;
    let styles = match part(package, &parts, "/styles")? {
        Some(source) => Styles::parse(&source)?,
        None => Styles::default(),
    };
    let numbering = match part(package, &parts, "/numbering")? {
        Some(source) => Numbering::parse(&source)?,
        None => Numbering::default(),
    };
    let notes = notes(package, &parts)?;
    let mut body = Body::new(&styles, numbering, notes);
    walk(&source, &mut |node| body.node(node))?;
    if body.builder.len() == 0 {
        return Err(no_text(&body));
    }
    let core = package.read_text("docProps/core.xml").ok().flatten();
    let title = core.and_then(|core| first_text(&core, "title")).or_else(|| body.title.take());
    let (text, sections) = body.builder.finish();
    Ok(Extracted { text, sections, title })
}

/// The path of the main part of an Office document, by what the file says about itself.
pub(super) fn main_part(package: &mut Package<'_>) -> Option<String> {
    let relations = package.read_text("_rels/.rels").ok().flatten()?;
    let targets = targets(&relations, "").ok()?;
    targets
        .into_iter()
        .find(|(kind, path)| kind.ends_with("/officeDocument") && package.has(path))
        .map(|(_, path)| path)
}

fn no_text(body: &Body<'_>) -> CorpusError {
    let what = match (body.n_pictures, body.n_tables) {
        (0, 0) => return CorpusError::Empty,
        (0, n) => format!("empty tables ({n})"),
        (n, _) => format!("pictures ({n})"),
    };
    CorpusError::NoText { what }
}

/// What a part refers to: kinds (the end of their address counts) and paths.
fn related(package: &mut Package<'_>, part: &str) -> Result<Vec<(String, String)>, CorpusError> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    match package.read_text(&join(folder, &format!("_rels/{name}.rels")))? {
        Some(source) => targets(&source, folder),
        None => Ok(["styles", "numbering", "footnotes", "endnotes"]
            .map(|kind| (format!("/{kind}"), join(folder, &format!("{kind}.xml"))))
            .into()),
    }
}

fn targets(source: &str, folder: &str) -> Result<Vec<(String, String)>, CorpusError> {
    let mut found = Vec::new();
    walk(source, &mut |node| {
        if let Node::Start("Relationship", attrs) = node
            && attrs.get("TargetMode").is_none_or(|mode| mode != "External")
            && let (Some(kind), Some(target)) = (attrs.get("Type"), attrs.get("Target"))
        {
            let path = match target.strip_prefix('/') {
                Some(path) => path.to_owned(),
                None => join(folder, &target),
            };
            found.push((kind, path));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

fn part(package: &mut Package<'_>, parts: &[(String, String)], kind: &str) -> Result<Option<String>, CorpusError> {
    match parts.iter().find(|(other, _)| other.ends_with(kind)) {
        Some((_, path)) => package.read_text(path),
        None => Ok(None),
    }
}

fn notes(package: &mut Package<'_>, parts: &[(String, String)]) -> Result<Notes, CorpusError> {
    let mut notes = Notes::new();
    for (kind, end) in [("footnote", "/footnotes"), ("endnote", "/endnotes")] {
        if let Some(source) = part(package, parts, end)? {
            read_notes(&source, kind, &mut notes)?;
        }
    }
    Ok(notes)
}

/// Notes as text; those with a type are the lines drawn above the real ones.
fn read_notes(source: &str, kind: &'static str, notes: &mut Notes) -> Result<(), CorpusError> {
    let mut current: Option<(String, String)> = None;
    let (mut in_text, mut n_deleted) = (false, 0usize);
    walk(source, &mut |node| {
        match (node, &mut current) {
            (Node::Start(name, attrs), _) if name == kind => {
                let is_real = attrs.get("type").is_none_or(|kind| kind == "normal");
                current = attrs.get("id").filter(|_| is_real).map(|id| (id, String::new()));
            }
            (Node::End(name), current) if name == kind => {
                notes.extend(current.take().map(|(id, text)| ((kind, id), text)));
            }
            (Node::Start("del" | "moveFrom", _), _) => n_deleted += 1,
            (Node::End("del" | "moveFrom"), _) => n_deleted = n_deleted.saturating_sub(1),
            (Node::Start("t", _), _) => in_text = true,
            (Node::End("t"), _) => in_text = false,
            (Node::End("p") | Node::Start("tab" | "br", _), Some((_, text))) => text.push(' '),
            (Node::Text(part), Some((_, text))) if in_text && n_deleted == 0 => text.push_str(part),
            _ => {}
        }
        ControlFlow::Continue(())
    })
}

#[cfg(test)]
mod tests;
