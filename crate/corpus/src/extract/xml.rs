//! XML → elements and text, one after another: names without their prefixes, no entity but XML's own five.

use std::{borrow::Cow, ops::ControlFlow};

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};

use super::limits::MAX_XML_DEPTH;
use crate::CorpusError;

/// A part of an XML text. An element that closes itself gives a start and an end.
pub(super) enum Node<'a> {
    Start(&'a str, Attrs<'a>),
    End(&'a str),
    Text(&'a str),
}

/// The attributes of an element.
pub(super) struct Attrs<'a>(&'a BytesStart<'a>);

impl Attrs<'_> {
    /// The value of the first attribute of this name, whatever its prefix.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0
            .attributes()
            .with_checks(false)
            .flatten()
            .find(|attribute| attribute.key.local_name().as_ref() == name)
            .and_then(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned))
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }

    /// Whether an element that stands for a property says yes: it does unless its `val` says no.
    pub fn is_on(&self) -> bool {
        !matches!(self.get("val").as_deref(), Some("0" | "false" | "off" | "none"))
    }
}

/// Gives every node of `source` to `visit`, until it breaks or the text ends.
///
/// # Errors
/// [`CorpusError::Damaged`] where the text is not XML or nested too deep.
pub(super) fn walk(source: &str, visit: &mut dyn FnMut(Node<'_>) -> ControlFlow<()>) -> Result<(), CorpusError> {
    let mut reader = Reader::from_str(source.trim_start_matches('\u{FEFF}'));
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0usize;
    loop {
        let event = reader.read_event().map_err(|error| damaged(format!("its XML breaks off: {error}")))?;
        let flow = match &event {
            Event::Start(tag) => {
                depth += 1;
                if depth > MAX_XML_DEPTH {
                    return Err(damaged("its XML is nested too deep".to_owned()));
                }
                visit(Node::Start(tag.local_name().as_ref(), Attrs(tag)))
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                visit(Node::End(tag.local_name().as_ref()))
            }
            Event::Text(text) => visit(Node::Text(&text.xml10_content())),
            Event::CData(text) => visit(Node::Text(&text.xml10_content())),
            Event::GeneralRef(reference) => match character(reference) {
                Some(text) => visit(Node::Text(&text)),
                None => ControlFlow::Continue(()),
            },
            Event::Eof if depth > 0 => return Err(damaged("its XML breaks off".to_owned())),
            Event::Eof => return Ok(()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                ControlFlow::Continue(())
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

/// What a reference stands for; entities that the text declares itself stand for nothing.
fn character<'a>(reference: &'a BytesRef<'_>) -> Option<Cow<'a, str>> {
    match reference.resolve_char_ref() {
        Ok(Some(c)) => Some(Cow::Owned(c.to_string())),
        Ok(None) => resolve_predefined_entity(reference).map(Cow::Borrowed),
        Err(_) => None,
    }
}

fn damaged(reason: String) -> CorpusError {
    CorpusError::Damaged { reason }
}

/// The text of the first element of this name that has any, its white space collapsed.
pub(super) fn first_text(source: &str, name: &str) -> Option<String> {
    let (mut is_inside, mut text) = (false, String::new());
    let walked = walk(source, &mut |node| {
        match node {
            Node::Start(start, _) => is_inside |= start == name,
            Node::End(end) if end == name => {
                is_inside = false;
                if !text.trim().is_empty() {
                    return ControlFlow::Break(());
                }
            }
            Node::Text(part) if is_inside => text.push_str(part),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (walked.is_ok() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Result<String, CorpusError> {
        let mut text = String::new();
        walk(source, &mut |node| {
            if let Node::Text(part) = node {
                text.push_str(part);
            }
            ControlFlow::Continue(())
        })?;
        Ok(text)
    }

    #[test]
    fn entities_are_never_expanded() {
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;&b;'>]><a>x &c;&lt;&#233;&amp;y<![CDATA[<z>]]></a>";
        assert_eq!(text(bomb).unwrap(), "x <é&y<z>");
    }

    #[test]
    fn deep_and_broken_xml_is_refused() {
        assert_eq!(text(&"<a>".repeat(100_000)).unwrap_err().code(), "file-damaged");
        assert_eq!(text("<a><b></a>").unwrap_err().code(), "file-damaged");
        assert_eq!(text("<a>cut").unwrap_err().code(), "file-damaged");
        assert_eq!(text("<a><b/>whole</a>").unwrap(), "whole");
    }

    #[test]
    fn attributes_are_found_without_their_prefix() {
        let mut seen = Vec::new();
        let source = r#"<w:p xmlns:w="u" w:val="a&amp;b"/>"#;
        walk(source, &mut |node| {
            if let Node::Start(name, attrs) = node {
                seen.push((name.to_owned(), attrs.get("val").unwrap()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, [("p".to_owned(), "a&b".to_owned())]);
    }
}
