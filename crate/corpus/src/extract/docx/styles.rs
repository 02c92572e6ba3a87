//! What a Word document's paragraph styles say about structure.

use std::{collections::HashMap, ops::ControlFlow};

use crate::{
    CorpusError,
    extract::xml::{Node, walk},
};

/// How far a style is followed through the styles it is based on.
const MAX_BASES: usize = 16;
/// `outlineLvl` from here on means body text.
const BODY_OUTLINE: u8 = 9;

/// What a paragraph is, by its style.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// 0 is the highest heading.
    pub outline: Option<u8>,
    /// The list it belongs to, and the level in it where the style says one.
    pub list: Option<String>,
    pub list_level: Option<usize>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Body,
    Title,
    /// A line of the table of contents: the headings once more.
    Contents,
    /// White space counts.
    Verbatim,
}

#[derive(Default)]
struct Raw {
    name: String,
    based_on: Option<String>,
    style: Style,
}

/// Styles by their identifiers, with what they inherit.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    /// # Errors
    /// `file-damaged` where the part is not XML.
    pub fn parse(source: &str) -> Result<Self, CorpusError> {
        let mut raw: HashMap<String, Raw> = HashMap::new();
        let mut current: Option<(String, Raw)> = None;
        walk(source, &mut |node| {
            match (node, &mut current) {
                (Node::Start("style", attrs), _) if attrs.get("type").is_none_or(|kind| kind == "paragraph") => {
                    current = attrs.get("styleId").map(|id| (id, Raw::default()));
                }
                (Node::Start("name", attrs), Some((_, raw))) => {
                    raw.name = attrs.get("val").unwrap_or_default().to_ascii_lowercase();
                }
                (Node::Start("basedOn", attrs), Some((_, raw))) => raw.based_on = attrs.get("val"),
                (Node::Start("outlineLvl", attrs), Some((_, raw))) => raw.style.outline = attrs.number("val"),
                (Node::Start("numId", attrs), Some((_, raw))) => raw.style.list = attrs.get("val"),
                (Node::Start("ilvl", attrs), Some((_, raw))) => raw.style.list_level = attrs.number("val"),
                (Node::End("style"), current) => raw.extend(current.take()),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(Self(raw.keys().map(|id| (id.clone(), resolve(id, &raw))).collect()))
    }

    /// The style of this identifier. One that the document does not define is told by the identifier itself.
    pub fn get(&self, id: &str) -> Style {
        match self.0.get(id) {
            Some(style) => style.clone(),
            None => by_name(&id.to_ascii_lowercase()),
        }
    }
}

/// A style with what it inherits from those it is based on.
fn resolve(id: &str, raw: &HashMap<String, Raw>) -> Style {
    let mut found = Style::default();
    let mut next = Some(id);
    for _ in 0..MAX_BASES {
        let Some(style) = next.and_then(|id| raw.get(id)) else {
            break;
        };
        let named = by_name(&style.name);
        found.outline = found.outline.or(style.style.outline).or(named.outline);
        if found.list.is_none() {
            found.list = style.style.list.clone();
            found.list_level = found.list_level.or(style.style.list_level);
        }
        if found.kind == Kind::Body {
            found.kind = named.kind;
        }
        next = style.based_on.as_deref();
    }
    found.outline = found.outline.filter(|&outline| outline < BODY_OUTLINE);
    found
}

/// Word's own styles keep their English names in the file, whatever language they show in.
fn by_name(name: &str) -> Style {
    let level = name.strip_prefix("heading").and_then(|level| level.trim_start().parse::<u8>().ok());
    let kind = match name {
        "title" => Kind::Title,
        "source code" | "html preformatted" | "htmlpreformatted" | "sourcecode" | "plain text" => Kind::Verbatim,
        "toc heading" | "table of figures" => Kind::Contents,
        _ if name.strip_prefix("toc").is_some_and(|level| level.trim_start().parse::<u8>().is_ok()) => Kind::Contents,
        _ => Kind::Body,
    };
    Style { outline: level.and_then(|level| level.checked_sub(1)), kind, ..Style::default() }
}
