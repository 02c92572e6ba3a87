//! Glyphs as they come from a page, in the order in which it draws them.

/// How far a baseline may be from one of the four directions, as the sine of the angle.
const MAX_SLANT: f64 = 0.2;
/// Text of one page, in bytes.
const MAX_PAGE_BYTES: usize = 4 << 20;
/// Beyond this (in points) nothing lies on a page.
const MAX_COORDINATE: f64 = 1e6;

/// The direction in which a line runs; also that of lines written downward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Turn {
    Right,
    Up,
    Left,
    Down,
}

impl Turn {
    pub const ALL: [Self; 4] = [Self::Right, Self::Down, Self::Up, Self::Left];

    /// None for what runs aslant, such as a word stamped across a page.
    pub fn of((x, y): (f64, f64)) -> Option<Self> {
        let length = x.hypot(y);
        if !(length.is_finite() && length > 0.0) {
            return None;
        }
        let (x, y) = (x / length, y / length);
        match () {
            () if y.abs() <= MAX_SLANT => Some(if x > 0.0 { Self::Right } else { Self::Left }),
            () if x.abs() <= MAX_SLANT => Some(if y > 0.0 { Self::Up } else { Self::Down }),
            () => None,
        }
    }

    /// Turns the page so that the line runs to the right.
    fn level(self, (x, y): (f64, f64)) -> (f64, f64) {
        match self {
            Self::Right => (x, y),
            Self::Up => (y, -x),
            Self::Left => (-x, -y),
            Self::Down => (-y, x),
        }
    }
}

/// A glyph in its own direction's coordinates: x grows along the line, y from the foot of the page to its head, both in
/// points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glyph {
    pub turn: Turn,
    pub x0: f32,
    pub x1: f32,
    pub y: f32,
    pub size: f32,
    pub is_bold: bool,
    /// Marked as no part of the page's text: a running header, a page number.
    pub is_artifact: bool,
    /// Its characters in [`PageGlyphs`].
    text: (u32, u32),
}

impl Glyph {
    pub fn new(turn: Turn, start: (f64, f64), end: (f64, f64), size: f64, is_bold: bool, is_artifact: bool) -> Self {
        let ((x0, y), (x1, _)) = (turn.level(start), turn.level(end));
        let (x0, x1) = (x0.min(x1) as f32, x0.max(x1) as f32);
        Self { turn, x0, x1, y: y as f32, size: size as f32, is_bold, is_artifact, text: (0, 0) }
    }

    fn is_placed(&self) -> bool {
        [self.x0, self.x1, self.y].iter().all(|value| f64::from(value.abs()) < MAX_COORDINATE)
            && self.size.is_finite()
            && self.size > 0.1
    }
}

/// The glyphs of a page.
#[derive(Debug, Default)]
pub(super) struct PageGlyphs {
    pub glyphs: Vec<Glyph>,
    text: String,
    /// Glyphs of which no font says what they mean.
    pub n_unknown: usize,
}

impl PageGlyphs {
    pub fn len(&self) -> usize {
        self.glyphs.len()
    }

    /// Adds a glyph that stands for `text`; one that lies nowhere is left out.
    pub fn push(&mut self, mut glyph: Glyph, text: &str) {
        if !glyph.is_placed() || self.text.len() + text.len() > MAX_PAGE_BYTES {
            return;
        }
        let start = self.text.len() as u32;
        super::letters::push_plain(&mut self.text, text);
        glyph.text = (start, self.text.len() as u32);
        self.glyphs.push(glyph);
    }

    pub fn text(&self, glyph: &Glyph) -> &str {
        &self.text[glyph.text.0 as usize..glyph.text.1 as usize]
    }
}
