//! Headers outside a page's article: which hold the page's title, and which only the site's name.

use html5ever::{Attribute, local_name};

use super::{Effect, Walker, has_furniture_name, has_furniture_role, is_hidden};

/// A header outside `main` and `article`, as it was seen while it was left out.
#[derive(Debug, Default)]
struct Banner {
    /// Which of the page's headers it is, from 1.
    number: usize,
    has_title: bool,
    /// A title that is a link, as the names of sites are.
    has_linked_title: bool,
    has_nav: bool,
}

/// The headers of a page. Whether one holds the title is known only at its end, so that a page with such a header is
/// read once more.
#[derive(Debug, Default)]
pub(super) struct Banners {
    n_headers: usize,
    seen: Vec<Banner>,
    is_open: bool,
    /// An `h1` stands outside all of them.
    pub has_other_title: bool,
    /// An `h1` stands in `main` or `article`.
    pub has_inner_title: bool,
    read: Vec<usize>,
}

impl Banners {
    /// `read` are the numbers of those that are to be read.
    pub fn new(read: Vec<usize>) -> Self {
        Self { read, ..Self::default() }
    }

    /// Counts a header, of any kind.
    pub fn count(&mut self) {
        self.n_headers += 1;
    }

    /// Whether the header counted last is to be read.
    pub fn is_read(&self) -> bool {
        self.read.contains(&self.n_headers)
    }

    /// The header counted last is left out from here on.
    pub fn open(&mut self) {
        self.seen.push(Banner { number: self.n_headers, ..Banner::default() });
        self.is_open = true;
    }

    /// Nothing is left out any more.
    pub fn close(&mut self) {
        self.is_open = false;
    }

    pub fn nav(&mut self) {
        if let Some(banner) = self.seen.last_mut().filter(|_| self.is_open) {
            banner.has_nav = true;
        }
    }

    /// Notes words of an `h1`.
    pub fn title(&mut self, is_linked: bool) {
        if let Some(banner) = self.seen.last_mut().filter(|_| self.is_open) {
            *(if is_linked { &mut banner.has_linked_title } else { &mut banner.has_title }) = true;
        }
    }

    /// The numbers of those that hold the page's title.
    pub fn titled(&self) -> Vec<usize> {
        let is_titled = |banner: &&Banner| match banner.has_nav {
            true => banner.has_title && !self.has_inner_title,
            false => banner.has_title || (banner.has_linked_title && !self.has_other_title),
        };
        self.seen.iter().filter(is_titled).map(|banner| banner.number).collect()
    }
}

impl Walker {
    /// Notes what tells a page's title from the name of its site.
    pub(super) fn note(&mut self, name: &str, effect: Effect, attrs: &[Attribute]) {
        match name {
            "header"
                if self.n_skip == 0
                    && effect == Effect::Skip
                    && !is_hidden(attrs)
                    && !has_furniture_role(attrs)
                    && !has_furniture_name(attrs) =>
            {
                self.banners.open();
            }
            "nav" | "menu" => self.banners.nav(),
            "h1" if self.n_skip == 0 && effect == Effect::Heading => {
                self.banners.has_other_title = true;
                self.banners.has_inner_title |= self.n_main > 0 || self.n_article > 0;
            }
            _ => {}
        }
    }

    /// Notes the words of a title within a header that is left out.
    pub(super) fn note_text(&mut self, text: &str) {
        // Within the header alone, not in what is left out of it too.
        if self.n_skip == 1 && self.n_open.contains_key(&local_name!("h1")) && !text.trim().is_empty() {
            self.banners.title(self.n_open.contains_key(&local_name!("a")));
        }
    }
}
