//! What a font says of a character code: its characters, its advance, whether it is bold.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded};
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontResolverFn, GlyphId};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as PdfString};

use super::stream::Budget;

/// Character codes of a font have two bytes at most where a width is given by code.
const MAX_CODE: i64 = 0xFFFF;
/// The most widths that the ranges of one font may spell out.
const MAX_WIDTHS: i64 = 1 << 20;
/// An sfnt without tables, in place of fonts that are not in the file: only their names and widths matter.
const NO_FONT: [u8; 12] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A character code's text and width.
#[derive(Debug, Clone)]
pub(super) struct Code {
    /// Empty where the font does not say.
    pub text: Rc<str>,
    /// Along the line, in thousandths of the font size; downward is negative.
    pub advance: f64,
}

/// A font as far as text is concerned.
pub(super) struct TextFont<'a> {
    font: Font<'a>,
    /// Code → CID → Unicode, for CJK fonts that do not give their characters themselves.
    by_collection: Option<(CMap, CMap)>,
    codes: RefCell<HashMap<u32, Code>>,
    pub is_bold: bool,
    pub is_vertical: bool,
    /// What one unit of font size is to the eye, which a Type 3 font may set as it likes.
    pub em: f64,
}

impl TextFont<'_> {
    /// The next code in `bytes` from `at` on, which must lie within, and its length in bytes.
    pub fn read(&self, bytes: &[u8], at: usize) -> (u32, usize) {
        let (code, n_bytes) = self.font.read_code(bytes, at);
        (code, n_bytes.max(1))
    }

    pub fn code(&self, code: u32) -> Code {
        if let Some(known) = self.codes.borrow().get(&code) {
            return known.clone();
        }
        let advance = self.font.code_advance(code);
        let advance = if self.is_vertical { advance.y } else { advance.x };
        let new = Code {
            text: self.text(code).unwrap_or_default().into(),
            advance: if advance.is_finite() { advance.clamp(-1e5, 1e5) } else { 0.0 },
        };
        self.codes.borrow_mut().insert(code, new.clone());
        new
    }

    fn text(&self, code: u32) -> Option<String> {
        let found = match self.font.glyph(GlyphId::NOTDEF, code) {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        let found = found.or_else(|| {
            let (to_cid, to_unicode) = self.by_collection.as_ref()?;
            let cid = (1..=4).find_map(|n_bytes| to_cid.lookup_cid_code(code, n_bytes))?;
            to_unicode.lookup_bf_string(cid)
        })?;
        Some(match found {
            BfString::Char(c) => c.to_string(),
            BfString::String(text) => text,
        })
    }
}

/// Fonts of a document, each read once.
pub(super) struct Fonts<'a> {
    cache: FontCache<'a>,
    /// By where the dictionary lies in memory.
    known: HashMap<(usize, usize), Option<Rc<TextFont<'a>>>>,
    font_resolver: FontResolverFn,
    cmap_resolver: CMapResolverFn,
}

impl<'a> Fonts<'a> {
    pub fn new() -> Self {
        Self {
            cache: FontCache::new(),
            known: HashMap::new(),
            font_resolver: Arc::new(|_| Some((Arc::new(NO_FONT), 0))),
            cmap_resolver: Arc::new(load_embedded),
        }
    }

    /// None for a font that cannot be read, or not within bounds.
    pub fn get(&mut self, dict: &Dict<'a>, budget: &mut Budget) -> Option<Rc<TextFont<'a>>> {
        let data = dict.data();
        let key = (data.as_ptr() as usize, data.len());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let font = self.load(dict, budget).map(Rc::new);
        self.known.insert(key, font.clone());
        font
    }

    fn load(&self, dict: &Dict<'a>, budget: &mut Budget) -> Option<TextFont<'a>> {
        let descendant = dict.get::<Array<'_>>("DescendantFonts").and_then(|fonts| fonts.iter::<Dict<'_>>().next());
        if !is_bounded(dict, descendant.as_ref(), budget) {
            return None;
        }
        let font = self.cache.font(dict, &self.font_resolver, &self.cmap_resolver)?;
        Some(TextFont {
            by_collection: descendant.as_ref().and_then(|descendant| by_collection(dict, descendant)),
            is_bold: is_bold(dict, descendant.as_ref()),
            is_vertical: !font.is_horizontal(),
            em: em(dict),
            font,
            codes: RefCell::new(HashMap::new()),
        })
    }
}

/// Whether reading the font takes bounded memory: its streams are not too long and its lists of widths not either.
fn is_bounded(dict: &Dict<'_>, descendant: Option<&Dict<'_>>, budget: &mut Budget) -> bool {
    let fonts = || std::iter::once(dict).chain(descendant);
    let descriptors: Vec<Dict<'_>> = fonts().filter_map(|font| font.get::<Dict<'_>>("FontDescriptor")).collect();
    let mut has_small_streams = |dict: &Dict<'_>, keys: &[&str]| {
        keys.iter().filter_map(|key| dict.get::<Stream<'_>>(key)).all(|stream| budget.allows(&stream))
    };
    let codes_are_small = fonts().all(|font| {
        ["FirstChar", "LastChar"]
            .iter()
            .all(|key| !font.contains_key(key) || (0..=MAX_CODE).contains(&number(font, key)))
    });
    codes_are_small
        && has_small_differences(dict)
        && fonts().all(|font| has_small_streams(font, &["ToUnicode", "Encoding", "CIDToGIDMap"]))
        && descriptors.iter().all(|descriptor| has_small_streams(descriptor, &["FontFile", "FontFile2", "FontFile3"]))
        && descendant.is_none_or(|font| has_few_widths(font, "W", 1) && has_few_widths(font, "W2", 3))
}

/// `/Differences` lists codes and the names of the glyphs from there on.
fn has_small_differences(font: &Dict<'_>) -> bool {
    let differences = font.get::<Dict<'_>>("Encoding").and_then(|encoding| encoding.get::<Array<'_>>("Differences"));
    differences.is_none_or(|differences| {
        differences.iter::<Object<'_>>().all(|object| match object {
            Object::Number(code) => (-MAX_CODE..=MAX_CODE).contains(&code.as_i64()),
            _ => true,
        })
    })
}

fn number(dict: &Dict<'_>, key: &str) -> i64 {
    match dict.get::<Object<'_>>(key) {
        Some(Object::Number(number)) => number.as_i64(),
        _ => 0,
    }
}

/// `/W` lists `first [widths]` and `first last width`; `/W2` the same with three numbers for each width.
fn has_few_widths(font: &Dict<'_>, key: &str, n_values: usize) -> bool {
    let Some(widths) = font.get::<Array<'_>>(key) else {
        return true;
    };
    let mut numbers: Vec<i64> = Vec::new();
    let mut n_widths = 0;
    for object in widths.iter::<Object<'_>>() {
        match object {
            Object::Number(number) => numbers.push(number.as_i64()),
            _ => numbers.clear(),
        }
        if numbers.len() == 2 + n_values {
            let n = numbers[1].saturating_sub(numbers[0]).saturating_add(1).max(0);
            n_widths += n.min(MAX_WIDTHS + 1);
            numbers.clear();
        }
        if n_widths > MAX_WIDTHS {
            return false;
        }
    }
    true
}

fn is_bold(dict: &Dict<'_>, descendant: Option<&Dict<'_>>) -> bool {
    const FORCE_BOLD: i64 = 1 << 18;
    std::iter::once(dict).chain(descendant).any(|font| {
        let name = font.get::<Name<'_>>("BaseFont").map(|name| name.as_str().to_ascii_lowercase()).unwrap_or_default();
        // The names of TeX's bold fonts are short: Computer Modern's, Latin Modern's, the CM-Super's, the MathTime's.
        let base = name.split_once('+').map_or(name.as_str(), |(_, base)| base);
        let is_tex_bold = ["cmbx", "lmbx", "sfbx", "ecbx", "cmssbx", "sfsx", "nimbusromno9l-medi", "nimbussanl-bold"]
            .iter()
            .any(|start| base.starts_with(start));
        let by_descriptor = font.get::<Dict<'_>>("FontDescriptor").is_some_and(|descriptor| {
            number(&descriptor, "Flags") & FORCE_BOLD != 0 || number(&descriptor, "FontWeight") >= 600
        });
        is_tex_bold || by_descriptor || ["bold", "black", "heavy"].iter().any(|word| base.contains(word))
    })
}

/// A Type 3 font's height in units of its font size; 1 for all others.
fn em(dict: &Dict<'_>) -> f64 {
    if dict.get::<Name<'_>>("Subtype").is_none_or(|name| name.as_str() != "Type3") {
        return 1.0;
    }
    let numbers = |key| -> Vec<f64> {
        dict.get::<Array<'_>>(key).map_or_else(Vec::new, |array| array.iter::<f64>().take(6).collect())
    };
    let (matrix, bbox) = (numbers("FontMatrix"), numbers("FontBBox"));
    let scale = matrix.get(3).map_or(0.001, |d| d.abs());
    let height = if bbox.len() >= 4 { (bbox[3] - bbox[1]).abs() * scale } else { 0.0 };
    if height.is_finite() && height > 0.0 { height } else { 1.0 }
}

/// How CJK fonts that are in the file, but without their characters, are read.
fn by_collection(dict: &Dict<'_>, descendant: &Dict<'_>) -> Option<(CMap, CMap)> {
    if dict.contains_key("ToUnicode") {
        return None;
    }
    let info = descendant.get::<Dict<'_>>("CIDSystemInfo")?;
    let part = |key| info.get::<PdfString<'_>>(key).map(|part| part.as_bytes().to_vec());
    let family = CidFamily::from_registry_ordering(&part("Registry")?, &part("Ordering")?);
    let to_unicode = CMap::parse(load_embedded(family.ucs2_cmap()?)?, load_embedded)?;
    let name = dict.get::<Name<'_>>("Encoding")?;
    let to_cid = match CMapName::from_bytes(name.as_ref()) {
        CMapName::IdentityH => CMap::identity_h(),
        CMapName::IdentityV => CMap::identity_v(),
        name => CMap::parse(load_embedded(name)?, load_embedded)?,
    };
    Some((to_cid, to_unicode))
}
