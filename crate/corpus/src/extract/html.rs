//! HTML → text, from the token stream alone: no tree is built, so nesting costs no stack and a
//! page takes time in proportion to its length whatever its markup.

use std::collections::HashMap;

use html5ever::{
    Attribute, LocalName,
    tokenizer::{Tag, TokenSinkResult, states::RawKind},
};

use super::{
    Extracted,
    builder::{Break, TextBuilder},
};
use banner::Banners;
use feed::tokenize;

mod banner;
mod feed;

/// Elements whose content is never read.
const UNREAD: [&str; 18] = [
    "script", "style", "noscript", "template", "iframe", "noembed", "noframes", "object", "svg", "canvas", "audio",
    "video", "select", "datalist", "button", "textarea", "map", "dialog",
];
/// Elements around the text of a page. `header` and `aside` count only outside `main` and `article`, and
/// a `header` only where it does not hold the page's title.
const FURNITURE: [&str; 3] = ["nav", "footer", "menu"];
const OUTER_FURNITURE: [&str; 2] = ["header", "aside"];
const FURNITURE_ROLES: [&str; 5] = ["navigation", "banner", "contentinfo", "search", "complementary"];
/// MediaWiki's and common themes' classes and identifiers for parts that are not the article.
const FURNITURE_NAMES: [&str; 28] = [
    "mw-editsection",
    "mw-jump",
    "mw-jump-link",
    "navbox",
    "noprint",
    "catlinks",
    "toc",
    "printfooter",
    "headerlink",
    "breadcrumb",
    "breadcrumbs",
    "cookie-banner",
    "cookie-consent",
    "cookie-notice",
    "navbar",
    "newsletter-signup",
    "page-footer",
    "page-sidebar",
    "pagination",
    "related-posts",
    "sharedaddy",
    "share-buttons",
    "sidebar",
    "site-footer",
    "site-header",
    "skip-link",
    "skip-to-content",
    "social-share",
];
/// Elements that are never furniture by their names: a page may be named after what it has.
const UNNAMED: [&str; 4] = ["html", "body", "main", "article"];
const BLOCKS: [&str; 31] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "center",
    "details",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "main",
    "nav",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "title",
    "head",
    "html",
];
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
/// `<main>` stands for the page when it holds at least one in this many bytes of its text.
const MAIN_SHARE: usize = 2;

/// How much of a page is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Everything but what is never shown.
    All,
    /// Without furniture.
    Text,
    /// Without furniture, and only what lies in `<main>`.
    Main,
    /// A chapter of a book, where headers and asides are the author's; page numbers and lists of contents are left out.
    Chapter,
    /// A book's list of contents, what is folded away in it too.
    Contents,
}

pub(super) fn extract(source: &str) -> Extracted {
    let page = read(source, Scope::Text, Vec::new());
    let titled = page.banners.titled();
    let page = if titled.is_empty() { page } else { read(source, Scope::Text, titled.clone()) };
    let n_bytes = page.builder.len() - page.n_banner_bytes;
    let page = if page.builder.len() == 0 {
        read(source, Scope::All, Vec::new())
    } else if page.n_main_bytes < n_bytes && page.n_main_bytes * MAIN_SHARE >= n_bytes {
        read(source, Scope::Main, titled)
    } else {
        page
    };
    let title = page.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let (text, sections) = page.builder.finish();
    Extracted { text, sections, title: (!title.is_empty()).then_some(title) }
}

/// Reads a chapter of an EPUB book. Its text may be empty.
pub(super) fn extract_chapter(source: &str) -> Extracted {
    let (text, sections) = read(source, Scope::Chapter, Vec::new()).builder.finish();
    Extracted { text, sections, title: None }
}

/// Reads the list of contents of an EPUB book. Its text may be empty.
pub(super) fn extract_contents(source: &str) -> Extracted {
    let (text, sections) = read(source, Scope::Contents, Vec::new()).builder.finish();
    Extracted { text, sections, title: None }
}

/// Adds the text of a fragment, such as an HTML block within Markdown, to `builder`.
pub(super) fn append(source: &str, builder: &mut TextBuilder) {
    let mut walker = Walker::new(source, Scope::Text, Vec::new());
    std::mem::swap(&mut walker.builder, builder);
    walker.builder.block();
    walker = tokenize(source, walker);
    walker.close_to(0);
    walker.builder.block();
    std::mem::swap(&mut walker.builder, builder);
}

/// `titled` are the numbers of the headers that hold the page's title.
fn read(source: &str, scope: Scope, titled: Vec<usize>) -> Walker {
    let mut walker = tokenize(source, Walker::new(source, scope, titled));
    walker.close_to(0);
    walker
}

/// What an open element changes until it closes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    None,
    Block,
    Skip,
    /// A header with the page's title.
    Banner,
    Main,
    Article,
    Pre,
    List,
    Item,
    Row,
    Cell,
    Heading,
    Title,
}

struct Walker {
    builder: TextBuilder,
    scope: Scope,
    /// XML syntax: `<a/>` closes itself whatever its name.
    is_xml: bool,
    title: String,
    n_main_bytes: usize,
    banners: Banners,
    n_banner_bytes: usize,
    open: Vec<(LocalName, Effect)>,
    /// How often each name is in `open`: a stray end tag costs no search.
    n_open: HashMap<LocalName, usize>,
    n_skip: usize,
    n_banner: usize,
    n_main: usize,
    n_article: usize,
    n_pre: usize,
    in_title: bool,
    /// The newline right after `<pre>` is not content.
    at_pre_start: bool,
}

impl Walker {
    fn new(source: &str, scope: Scope, titled: Vec<usize>) -> Self {
        Self {
            builder: TextBuilder::new(),
            scope,
            is_xml: source.trim_start_matches('\u{FEFF}').trim_start().starts_with("<?xml"),
            title: String::new(),
            n_main_bytes: 0,
            banners: Banners::new(titled),
            n_banner_bytes: 0,
            open: Vec::new(),
            n_open: HashMap::new(),
            n_skip: 0,
            n_banner: 0,
            n_main: 0,
            n_article: 0,
            n_pre: 0,
            in_title: false,
            at_pre_start: false,
        }
    }

    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        self.close_implied(name);
        if VOID.contains(&name) {
            self.void(name);
            return TokenSinkResult::Continue;
        }
        if name == "header" {
            self.banners.count();
        }
        let effect = self.effect(name, &tag.attrs);
        self.note(name, effect, &tag.attrs);
        *self.n_open.entry(tag.name.clone()).or_default() += 1;
        self.open.push((tag.name.clone(), effect));
        self.enter(effect, name, &tag.attrs);
        if tag.self_closing && self.is_xml {
            self.end(&tag.name);
            return TokenSinkResult::Continue;
        }
        match name {
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "title" if self.in_title => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    fn end(&mut self, name: &LocalName) {
        if !self.n_open.contains_key(name) {
            match name.as_ref() {
                "br" => self.builder.request(Break::Line),
                "p" => self.builder.block(),
                _ => {}
            }
            return;
        }
        if let Some(i) = self.open.iter().rposition(|(open, _)| open == name) {
            self.close_to(i);
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
            return;
        }
        self.note_text(text);
        if self.n_skip > 0 || (self.scope == Scope::Main && self.n_main == 0 && self.n_banner == 0) {
            return;
        }
        let before = self.builder.len();
        if self.n_pre > 0 {
            let text = if self.at_pre_start { text.strip_prefix('\n').unwrap_or(text) } else { text };
            self.builder.push_verbatim(text);
        } else {
            self.builder.push_text(text);
        }
        self.at_pre_start = false;
        if self.n_main > 0 {
            self.n_main_bytes += self.builder.len() - before;
        } else if self.n_banner > 0 {
            self.n_banner_bytes += self.builder.len() - before;
        }
    }

    fn void(&mut self, name: &str) {
        if self.n_skip == 0 {
            match name {
                "br" => self.builder.request(Break::Line),
                "hr" => self.builder.block(),
                _ => {}
            }
        }
    }

    /// End tags that HTML lets an author leave out.
    fn close_implied(&mut self, name: &str) {
        loop {
            let Some((top, _)) = self.open.last() else {
                return;
            };
            let implied = match top.as_ref() {
                "p" => BLOCKS.contains(&name) || is_heading(name) || matches!(name, "ul" | "ol" | "li" | "dt" | "dd"),
                "li" => name == "li",
                "dt" | "dd" => matches!(name, "dt" | "dd"),
                "td" | "th" => matches!(name, "td" | "th" | "tr"),
                "tr" => name == "tr",
                "head" => name == "body",
                _ => false,
            };
            if !implied {
                return;
            }
            self.close_to(self.open.len() - 1);
        }
    }

    fn close_to(&mut self, n: usize) {
        while self.open.len() > n {
            let Some((name, effect)) = self.open.pop() else {
                return;
            };
            if let Some(count) = self.n_open.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    self.n_open.remove(&name);
                }
            }
            self.leave(effect);
        }
    }

    fn effect(&self, name: &str, attrs: &[Attribute]) -> Effect {
        let is_furniture = match self.scope {
            Scope::All => false,
            Scope::Chapter => is_book_furniture(name, attrs),
            Scope::Contents => name == "nav" && attr(attrs, "epub:type").is_some_and(|kind| kind != "toc"),
            Scope::Text | Scope::Main => self.is_furniture(name, attrs),
        };
        if is_furniture || UNREAD.contains(&name) || (self.scope != Scope::Contents && is_hidden(attrs)) {
            return Effect::Skip;
        }
        match name {
            "main" => Effect::Main,
            _ if attr(attrs, "role") == Some("main") => Effect::Main,
            "article" => Effect::Article,
            "header" if self.banners.is_read() => Effect::Banner,
            "title" if self.n_skip == 0 && self.title.is_empty() => Effect::Title,
            "title" => Effect::Skip,
            "pre" | "listing" | "xmp" => Effect::Pre,
            "ul" | "ol" | "menu" => Effect::List,
            "li" => Effect::Item,
            "tr" | "dt" | "dd" | "caption" | "legend" | "option" => Effect::Row,
            "td" | "th" => Effect::Cell,
            _ if is_heading(name) => Effect::Heading,
            _ if BLOCKS.contains(&name) => Effect::Block,
            _ => Effect::None,
        }
    }

    fn is_furniture(&self, name: &str, attrs: &[Attribute]) -> bool {
        let is_inside = self.n_main > 0 || self.n_article > 0;
        FURNITURE.contains(&name)
            || (OUTER_FURNITURE.contains(&name) && !is_inside && !(name == "header" && self.banners.is_read()))
            || has_furniture_role(attrs)
            || (!UNNAMED.contains(&name) && has_furniture_name(attrs))
    }

    fn enter(&mut self, effect: Effect, name: &str, attrs: &[Attribute]) {
        match effect {
            Effect::Skip => self.n_skip += 1,
            Effect::Title => self.in_title = true,
            Effect::Banner => self.n_banner += 1,
            Effect::Main => self.n_main += 1,
            Effect::Article => self.n_article += 1,
            _ => {}
        }
        if self.n_skip > 0 {
            return;
        }
        match effect {
            Effect::Block | Effect::Banner | Effect::Main | Effect::Article => self.builder.block(),
            Effect::Pre => {
                self.builder.block();
                self.n_pre += 1;
                self.at_pre_start = true;
            }
            Effect::List => {
                let first = attr(attrs, "start").and_then(|start| start.trim().parse().ok());
                self.builder.start_list((name == "ol").then_some(first.unwrap_or(1)));
            }
            Effect::Item => self.builder.start_item(),
            Effect::Row => self.builder.request(Break::Line),
            Effect::Cell => self.builder.start_cell(),
            Effect::Heading => self.builder.start_heading(name.as_bytes()[1] - b'0'),
            Effect::None | Effect::Skip | Effect::Title => {}
        }
    }

    fn leave(&mut self, effect: Effect) {
        match effect {
            Effect::Skip => {
                self.n_skip -= 1;
                if self.n_skip == 0 {
                    self.banners.close();
                }
            }
            Effect::Banner => self.n_banner -= 1,
            Effect::Title => self.in_title = false,
            Effect::Main => self.n_main -= 1,
            Effect::Article => self.n_article -= 1,
            _ => {}
        }
        if self.n_skip > 0 {
            return;
        }
        match effect {
            Effect::Block | Effect::Banner | Effect::Main | Effect::Article => self.builder.block(),
            Effect::Pre => {
                self.n_pre -= 1;
                self.builder.block();
            }
            Effect::List => self.builder.end_list(),
            Effect::Item => self.builder.end_item(),
            Effect::Row => self.builder.request(Break::Line),
            Effect::Cell => self.builder.end_cell(),
            Effect::Heading => self.builder.end_heading(),
            Effect::None | Effect::Skip | Effect::Title => {}
        }
    }
}

fn has_furniture_role(attrs: &[Attribute]) -> bool {
    attr(attrs, "role").is_some_and(|role| FURNITURE_ROLES.contains(&role))
}

fn has_furniture_name(attrs: &[Attribute]) -> bool {
    ["class", "id"]
        .into_iter()
        .filter_map(|key| attr(attrs, key))
        .any(|names| names.split_whitespace().any(|name| FURNITURE_NAMES.contains(&name)))
}

/// Page numbers of the printed book, and lists of its contents.
fn is_book_furniture(name: &str, attrs: &[Attribute]) -> bool {
    let is_part = |part: &str| matches!(part, "pagebreak" | "toc" | "landmarks" | "page-list" | "doc-pagebreak");
    name == "nav"
        || ["epub:type", "role"]
            .into_iter()
            .filter_map(|key| attr(attrs, key))
            .any(|kinds| kinds.split_whitespace().any(is_part))
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

fn is_hidden(attrs: &[Attribute]) -> bool {
    attr(attrs, "hidden").is_some()
        || attr(attrs, "aria-hidden") == Some("true")
        || attr(attrs, "style").is_some_and(|style| {
            let style: String = style.split_whitespace().collect();
            style.to_ascii_lowercase().contains("display:none")
        })
}

fn attr<'a>(attrs: &'a [Attribute], name: &str) -> Option<&'a str> {
    attrs.iter().find(|attr| &*attr.name.local == name).map(|attr| &*attr.value)
}

#[cfg(test)]
mod tests;
