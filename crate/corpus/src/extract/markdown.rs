//! Markdown → text: CommonMark with tables, footnotes, task lists and strikethrough.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{
    Extracted,
    builder::{Break, TextBuilder},
    html,
};

pub(super) fn extract(source: &str) -> Extracted {
    let (front_matter, body) = split_front_matter(source);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_GFM;
    let mut walker = Walker { builder: TextBuilder::new(), html: None, in_code: false, hidden: None };
    // What the author says the page is about is found by; its title is kept aside, its other words are for programs.
    if let Some(description) = front_matter.and_then(|front_matter| front_matter_value(front_matter, "description")) {
        walker.builder.push_text(&description);
        walker.builder.block();
    }
    for event in Parser::new_ext(body, options) {
        walker.event(event);
    }
    let (text, sections) = walker.builder.finish();
    Extracted { text, sections, title: front_matter.and_then(|front_matter| front_matter_value(front_matter, "title")) }
}

struct Walker {
    builder: TextBuilder,
    /// The HTML block being collected.
    html: Option<String>,
    in_code: bool,
    /// The inline element whose content is not text (`script`, `style`), while it is open.
    hidden: Option<&'static str>,
}

impl Walker {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Html(html) => match &mut self.html {
                Some(block) => block.push_str(&html),
                None => html::append(&html, &mut self.builder),
            },
            Event::InlineHtml(html) => self.inline_html(&html),
            _ if self.hidden.is_some() => {}
            Event::Text(text) if self.in_code => self.builder.push_verbatim(&text),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.builder.push_text(&text);
            }
            Event::SoftBreak => self.builder.request(Break::Space),
            Event::HardBreak => self.builder.request(Break::Line),
            Event::Rule => self.builder.block(),
            Event::TaskListMarker(done) => self.builder.push_text(if done { "[x] " } else { "[ ] " }),
            // The mark in the text is dropped, the note itself is kept where it stands.
            Event::FootnoteReference(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.builder.start_heading(level_number(level)),
            Tag::List(first) => self.builder.start_list(first),
            Tag::Item => self.builder.start_item(),
            Tag::TableHead | Tag::TableRow => self.builder.request(Break::Line),
            Tag::TableCell => self.builder.start_cell(),
            Tag::CodeBlock(_) => {
                self.builder.block();
                self.in_code = true;
            }
            Tag::HtmlBlock => self.html = Some(String::new()),
            Tag::Paragraph | Tag::BlockQuote(_) | Tag::Table(_) | Tag::FootnoteDefinition(_) => {
                self.builder.block();
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.builder.end_heading(),
            TagEnd::List(_) => self.builder.end_list(),
            TagEnd::Item => self.builder.end_item(),
            TagEnd::TableCell => self.builder.end_cell(),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.builder.block();
            }
            TagEnd::HtmlBlock => {
                if let Some(block) = self.html.take() {
                    html::append(&block, &mut self.builder);
                }
            }
            TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::Table | TagEnd::FootnoteDefinition => {
                self.hidden = None;
                self.builder.block();
            }
            _ => {}
        }
    }

    fn inline_html(&mut self, html: &str) {
        let tag = html.trim_start_matches('<').to_ascii_lowercase();
        if let Some(name) = self.hidden {
            if tag.strip_prefix('/').is_some_and(|rest| rest.starts_with(name)) {
                self.hidden = None;
            }
        } else if let Some(name) = ["script", "style"].into_iter().find(|name| tag.starts_with(name)) {
            self.hidden = Some(name);
        } else if tag.starts_with("br") {
            self.builder.request(Break::Line);
        }
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    level as u8
}

/// YAML between `---` lines or TOML between `+++` lines at the very start, and what follows it.
fn split_front_matter(source: &str) -> (Option<&str>, &str) {
    let source = source.trim_start_matches('\u{FEFF}');
    let mut lines = source.split_inclusive('\n');
    let fence = match lines.next().map(str::trim_end) {
        Some(fence @ ("---" | "+++")) => fence,
        _ => return (None, source),
    };
    let start = source.find('\n').map_or(source.len(), |i| i + 1);
    let mut end = start;
    let mut yaml = Yaml::default();
    for line in lines {
        let trimmed = line.trim_end();
        let is_end = trimmed == fence || (fence == "---" && trimmed == "...");
        if is_end && (fence == "+++" || yaml.has_key) {
            return (Some(&source[start..end]), &source[end + line.len()..]);
        }
        if is_end || (fence == "---" && !yaml.goes_on(trimmed)) {
            break;
        }
        end += line.len();
    }
    (None, source)
}

/// Tells front matter from text between two thematic breaks, line by line. Where both could be, it is text: what is
/// taken for front matter is lost.
#[derive(Default)]
struct Yaml {
    has_key: bool,
    /// Whether the last key has no value on its own line, so that list items may follow.
    takes_items: bool,
}

impl Yaml {
    fn goes_on(&mut self, line: &str) -> bool {
        if let Some(value) = value_of_key(line, self.has_key) {
            self.has_key = true;
            // A comment, an anchor and a tag are no value.
            self.takes_items = value.is_empty() || value.starts_with(['#', '&', '!']);
            return true;
        }
        if !self.has_key {
            // `# x` could be a heading.
            return line.starts_with('#') && !line.trim_start_matches('#').starts_with([' ', '\t']);
        }
        let is_item = line == "-" || line.starts_with("- ");
        line.is_empty() || (is_item && self.takes_items) || line.starts_with([' ', '\t', '#', '}', ']'])
    }
}

/// What follows `key:`. The first key is looked at more closely, since prose could hold a colon.
fn value_of_key(line: &str, has_key: bool) -> Option<&str> {
    let (key, value) = line.split_once(':')?;
    let opens_key = |c: char| c.is_alphanumeric() || "_\"'$@".contains(c);
    let is_word = key.starts_with(opens_key) && (value.is_empty() || value.starts_with([' ', '\t']));
    let is_later = has_key && !key.is_empty() && !key.starts_with([' ', '\t', '#', '-']);
    ((is_word || is_later) && key.split_whitespace().count() <= 2).then(|| value.trim())
}

/// A top-level text of YAML or TOML front matter, without its quotes; in YAML also one over several indented lines.
fn front_matter_value(front_matter: &str, key: &str) -> Option<String> {
    let mut lines = front_matter.lines();
    let first = lines.find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix([':', '=']))?.trim();
    let first = if first.trim_end_matches(['-', '+']).trim_matches(['>', '|']).is_empty() { "" } else { first };
    let more = lines.take_while(|line| line.starts_with([' ', '\t']) && !line.trim_start().starts_with("- "));
    let value = std::iter::once(first).chain(more).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    let unquoted =
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(&value);
    (!unquoted.is_empty()).then(|| unquoted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_goes_and_text_stays() {
        let extracted = extract(
            "# *Tide* `table`\n\nHigh **water** is\nat [six](http://x.y).  \nLow at noon.[^1]\n\n\
             - one\n- two\n  1. deep\n  2. deeper\n\n> quoted\n\n```sh\ncargo  run\n\n  --help\n```\n\n\
             | a | b |\n|---|---|\n| 1 | 2 |\n\n[^1]: A note.\n",
        );
        assert_eq!(
            extracted.text,
            "Tide table\n\nHigh water is at six.\nLow at noon.\n\n- one\n- two\n  1. deep\n  2. deeper\n\n\
             quoted\n\ncargo  run\n\n  --help\n\na | b\n1 | 2\n\nA note."
        );
        assert_eq!(extracted.sections[0].title, "Tide table");
    }

    #[test]
    fn front_matter_gives_its_title_and_goes() {
        for source in ["---\ntitle: \"The quay\"\ntags:\n  - a\n---\n\nBody.", "+++\ntitle = 'The quay'\n+++\nBody."] {
            let extracted = extract(source);
            assert_eq!(extracted.title.as_deref(), Some("The quay"));
            assert_eq!(extracted.text, "Body.");
        }
    }

    #[test]
    fn a_description_is_the_first_paragraph() {
        let source = "---\ndescription: >-\n  How to\n  moor.\ntitle: Quay\nicon: x\n---\n# Quay\n\nBody.";
        let extracted = extract(source);
        assert_eq!(extracted.text, "How to moor.\n\nQuay\n\nBody.");
        assert_eq!(extracted.title.as_deref(), Some("Quay"));
        assert_eq!(extract("---\ndescription: 'One: line'\n---\nBody.").text, "One: line\n\nBody.");
    }

    #[test]
    fn thematic_breaks_are_not_front_matter() {
        let extracted = extract("---\nA paragraph, no key in it\n\n---\n\nMore.");
        assert!(extracted.text.contains("A paragraph"));
        assert!(extracted.text.ends_with("More."));
    }

    #[test]
    fn markdown_between_thematic_breaks_is_text() {
        for source in [
            "---\n# Ferry\n- leaves at nine\n---\nMore text.",
            "---\n\nFerry: leaves at nine\n\n---\nMore text.",
            "---\n- leaves: nine\n---\nMore text.",
            "---\n# Ferry\nleaves: nine\n---\nMore text.",
            "---\n    leaves: nine\n---\nMore text.",
            "---\n**Ferry**: leaves at nine\n---\nMore text.",
            "---\nhttp://leaves.example\n---\nMore text.",
            "---\nFerry: today\n- leaves at nine\n---\nMore text.",
        ] {
            let text = extract(source).text;
            assert!(text.contains("leaves") && text.ends_with("More text."), "{source}");
        }
        assert_eq!(extract("---\n---\nMore text.").text, "More text.");
    }

    #[test]
    fn front_matter_of_all_kinds_is_told() {
        for source in [
            "---\ntitle: Quay\ntags:\n- a\n- b: c\n  d: e\n# note\n\nby: x\n---\nBody.",
            "---\ntitle: Quay\ntags: # all\n  - a\nlong: |\n  one\n\n  - two\nlist: [\n  a\n]\n...\nBody.",
            "---\r\n#note\r\n\"sort key\": 'a: b'\r\ntitle: \"Quay\"\r\nurl:/x\r\n---\r\nBody.",
        ] {
            let extracted = extract(source);
            assert_eq!((extracted.text.as_str(), extracted.title.as_deref()), ("Body.", Some("Quay")), "{source}");
        }
    }

    #[test]
    fn html_within_is_reduced_to_its_text() {
        let extracted = extract(
            "<div align=\"center\">\n<h1>Burn &amp; co</h1>\n<img src=x alt=\"\">\n</div>\n\nA <kbd>key</kbd>.<br>Next\n\n\
             <details><summary>More</summary>\n\nInside\n\n</details>\n\n<!-- hidden\n\nstill -->\n<style>p{}</style>\n",
        );
        assert_eq!(extracted.text, "Burn & co\n\nA key.\nNext\n\nMore\n\nInside");
        assert_eq!(extracted.sections[0].title, "Burn & co");
    }

    #[test]
    fn sections_nest_by_level() {
        let extracted = extract("# A\n\none\n\n## B\n\ntwo\n\n# C\n\nthree");
        let spans: Vec<_> = extracted.sections.iter().map(|s| s.span.of(&extracted.text).unwrap()).collect();
        assert_eq!(spans, ["A\n\none\n\nB\n\ntwo", "B\n\ntwo", "C\n\nthree"]);
    }
}
