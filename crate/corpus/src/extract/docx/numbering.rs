//! The markers of a Word document's lists and numbered headings.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use crate::{
    CorpusError,
    extract::xml::{Attrs, Node, walk},
};

/// Levels that a list has.
const N_LEVELS: usize = 9;
/// A longer pattern of a marker is none: it would be written before every paragraph of its list.
const MAX_MARKER_BYTES: usize = 64;
/// Roman numbers and repeated letters stop here; beyond, digits.
const MAX_SPELLED: u32 = 400;

/// How one level of a list is marked.
#[derive(Debug, Clone, Default)]
struct Level {
    format: String,
    /// `%1.%2` and the like.
    text: String,
    start: Option<u32>,
    /// The paragraph style whose paragraphs are on this level.
    style: Option<String>,
}

/// A list's look: Word's `abstractNum`.
#[derive(Debug, Default)]
struct Look {
    levels: [Level; N_LEVELS],
    /// The name by which other looks point here, and the name this one points to.
    style_link: Option<String>,
    num_style_link: Option<String>,
}

/// A list as paragraphs refer to it: Word's `num`.
#[derive(Debug, Default)]
struct List {
    look: String,
    starts: [Option<u32>; N_LEVELS],
}

/// The lists of a document and how far each has counted.
#[derive(Default)]
pub(super) struct Numbering {
    looks: HashMap<String, Look>,
    lists: HashMap<String, List>,
    /// By look, since lists of one look count on.
    counts: HashMap<String, [Option<u32>; N_LEVELS]>,
    seen: HashSet<String>,
}

/// The marker of one paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Nesting from 0.
    pub level: usize,
    /// `3.` or `a)`; none for a bullet.
    pub number: Option<String>,
}

impl Numbering {
    /// # Errors
    /// `file-damaged` where the part is not XML.
    pub fn parse(source: &str) -> Result<Self, CorpusError> {
        let mut parser = Parser::default();
        walk(source, &mut |node| {
            parser.node(node);
            ControlFlow::Continue(())
        })?;
        let mut numbering = parser.numbering;
        numbering.follow_links();
        Ok(numbering)
    }

    /// Looks that only point to another one are replaced by it in every list.
    fn follow_links(&mut self) {
        let targets: HashMap<&str, &str> = self
            .looks
            .iter()
            .filter_map(|(id, look)| look.style_link.as_deref().map(|name| (name, id.as_str())))
            .collect();
        for list in self.lists.values_mut() {
            let link = self.looks.get(&list.look).and_then(|look| look.num_style_link.as_deref());
            if let Some(target) = link.and_then(|link| targets.get(link)) {
                list.look = (*target).to_owned();
            }
        }
    }

    /// The level that a list gives to the paragraphs of a style.
    pub fn level_of_style(&self, list: &str, style: &str) -> Option<usize> {
        let look = self.looks.get(&self.lists.get(list)?.look)?;
        look.levels.iter().position(|level| level.style.as_deref() == Some(style))
    }

    /// Counts a paragraph of a list on; none where there is no such list.
    pub fn next(&mut self, list_id: &str, level: usize) -> Option<Marker> {
        let level = level.min(N_LEVELS - 1);
        let list = self.lists.get(list_id)?;
        let look = self.looks.get(&list.look)?;
        let counts = self.counts.entry(list.look.clone()).or_default();
        if self.seen.insert(list_id.to_owned()) {
            for (count, start) in counts.iter_mut().zip(list.starts) {
                if start.is_some() {
                    *count = None;
                }
            }
        }
        let start = |i: usize| list.starts[i].or(look.levels[i].start).unwrap_or(1);
        counts[level] = Some(counts[level].map_or(start(level), |count| count.saturating_add(1)));
        counts[level + 1..].fill(None);
        let own = &look.levels[level];
        if own.format == "bullet" || own.format == "none" {
            return Some(Marker { level, number: None });
        }
        let mut number = own.text.clone();
        for (i, above) in look.levels.iter().enumerate().take(level + 1) {
            let spelled = spell(counts[i].unwrap_or_else(|| start(i)), &above.format);
            number = number.replace(&format!("%{}", i + 1), &spelled);
        }
        let number = number.trim();
        Some(Marker { level, number: (!number.is_empty()).then(|| number.to_owned()) })
    }
}

#[derive(Default)]
struct Parser {
    numbering: Numbering,
    look: Option<(String, Look)>,
    list: Option<(String, List)>,
    level: usize,
}

impl Parser {
    fn node(&mut self, node: Node<'_>) {
        match node {
            Node::Start("abstractNum", attrs) => {
                self.look = attrs.get("abstractNumId").map(|id| (id, Look::default()));
            }
            Node::End("abstractNum") => self.numbering.looks.extend(self.look.take()),
            Node::Start("num", attrs) => self.list = attrs.get("numId").map(|id| (id, List::default())),
            Node::End("num") => self.numbering.lists.extend(self.list.take()),
            Node::Start("lvl" | "lvlOverride", attrs) => {
                self.level = attrs.number("ilvl").unwrap_or(0).min(N_LEVELS - 1);
            }
            Node::Start(name, attrs) => self.property(name, &attrs),
            _ => {}
        }
    }

    fn property(&mut self, name: &str, attrs: &Attrs<'_>) {
        if let Some((_, look)) = &mut self.look {
            let level = &mut look.levels[self.level];
            match name {
                "numFmt" => level.format = attrs.get("val").unwrap_or_default(),
                "lvlText" => {
                    level.text = attrs.get("val").filter(|text| text.len() <= MAX_MARKER_BYTES).unwrap_or_default();
                }
                "start" => level.start = attrs.number("val"),
                "pStyle" => level.style = attrs.get("val"),
                "styleLink" => look.style_link = attrs.get("val"),
                "numStyleLink" => look.num_style_link = attrs.get("val"),
                _ => {}
            }
        } else if let Some((_, list)) = &mut self.list {
            match name {
                "abstractNumId" => list.look = attrs.get("val").unwrap_or_default(),
                "startOverride" => list.starts[self.level] = attrs.number("val"),
                _ => {}
            }
        }
    }
}

fn spell(number: u32, format: &str) -> String {
    match format {
        "lowerLetter" if (1..=MAX_SPELLED).contains(&number) => letters(number),
        "upperLetter" if (1..=MAX_SPELLED).contains(&number) => letters(number).to_ascii_uppercase(),
        "lowerRoman" if (1..=MAX_SPELLED).contains(&number) => roman(number),
        "upperRoman" if (1..=MAX_SPELLED).contains(&number) => roman(number).to_ascii_uppercase(),
        "decimalZero" => format!("{number:02}"),
        _ => number.to_string(),
    }
}

/// a … z, aa, bb … as Word counts.
fn letters(number: u32) -> String {
    let letter = char::from(b'a' + ((number - 1) % 26) as u8);
    letter.to_string().repeat((number - 1) as usize / 26 + 1)
}

fn roman(mut number: u32) -> String {
    const DIGITS: [(u32, &str); 9] =
        [(100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")];
    let mut spelled = String::new();
    for (value, digits) in DIGITS {
        while number >= value {
            spelled.push_str(digits);
            number -= value;
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_word_does() {
        let spelled = |format| [1, 4, 27, 399].map(|number| spell(number, format)).join(" ");
        assert_eq!(spelled("decimal"), "1 4 27 399");
        assert_eq!(spelled("lowerRoman"), "i iv xxvii cccxcix");
        assert!(spelled("upperLetter").starts_with("A D AA III"));
    }
}
