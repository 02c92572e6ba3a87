//! Characters of the font Symbol, which old documents write Greek letters and operators with.

use crate::extract::xml::Attrs;

/// The letters and signs of the font from its codes 0x41, 0x61 and 0xA0 on.
const UPPER: &str = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ";
const LOWER: &str = "αβχδεφγηιϕκλμνοπθρστυϖωξψζ";
const SIGNS: &str = "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓";
/// Fonts of pictures, in which no code stands for a character.
const PICTURES: [&str; 3] = ["wingdings", "webdings", "zapf dingbats"];

/// What a `sym` element shows; none for pictures.
pub(super) fn character(attrs: &Attrs<'_>) -> Option<char> {
    let code = u32::from_str_radix(&attrs.get("char")?, 16).ok()?;
    let font = attrs.get("font").unwrap_or_default().to_ascii_lowercase();
    if PICTURES.iter().any(|name| font.starts_with(name)) {
        return None;
    }
    if font == "symbol" {
        return from_symbol(code & 0xFF);
    }
    char::from_u32(code).filter(|c| !matches!(c, '\u{E000}'..='\u{F8FF}' | '\0'..='\x1F'))
}

fn from_symbol(code: u32) -> Option<char> {
    let (table, first) = match code {
        0x41..=0x5A => (UPPER, 0x41),
        0x61..=0x7A => (LOWER, 0x61),
        0xA0..=0xDF => (SIGNS, 0xA0),
        0x20..=0x3F => return char::from_u32(code),
        _ => return None,
    };
    table.chars().nth((code - first) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_symbol_are_greek_letters_and_signs() {
        let found: String = [0x61, 0x57, 0xA3, 0xDA, 0x31].into_iter().filter_map(from_symbol).collect();
        assert_eq!(found, "αΩ≤∨1");
    }
}
