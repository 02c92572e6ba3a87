//! Characters: shapes back to letters, and which way they are written.

use super::arabic::letters_of;

/// Appends text as it would be typed: ligatures as their letters, no shapes, no control characters.
pub(super) fn push_plain(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\u{FB00}' => out.push_str("ff"),
            '\u{FB01}' => out.push_str("fi"),
            '\u{FB02}' => out.push_str("fl"),
            '\u{FB03}' => out.push_str("ffi"),
            '\u{FB04}' => out.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => out.push_str("st"),
            '\u{FB50}'..='\u{FDFB}' | '\u{FE70}'..='\u{FEFC}' => match letters_of(c) {
                Some(letters) => out.push_str(letters),
                None => out.push(c),
            },
            // The shapes that Symbol's and Wingdings' bullets have in the area for private use.
            '\u{F0B7}' | '\u{F06C}' => out.push('•'),
            '\u{F0A7}' | '\u{F06E}' => out.push('▪'),
            '\u{E000}'..='\u{F8FF}' | '\u{FEFF}' | '\u{FFFD}' => {}
            '\u{200B}' | '\u{2060}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' => {}
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

/// Hebrew, Arabic and the scripts beside them.
pub(super) fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
        && !c.is_ascii_digit()
        && !matches!(c, '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}')
}

/// A list's sign.
pub(super) fn is_bullet(text: &str) -> bool {
    matches!(text, "•" | "▪" | "‣" | "◦" | "●" | "○" | "■" | "–" | "-" | "*" | "·" | "➢" | "✓")
}

/// Chinese, Japanese: written without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
}

/// A letter with the accent that is drawn over or under it as a glyph of its own.
pub(super) fn accented(accent: char, letter: char) -> Option<char> {
    let (plain, with): (&str, &str) = match accent {
        '\u{A8}' => ("AEIOUaeiouy", "ÄËÏÖÜäëïöüÿ"),
        '\u{B4}' => ("AEIOUYaeiouycnsz", "ÁÉÍÓÚÝáéíóúýćńśź"),
        '`' => ("AEIOUaeiou", "ÀÈÌÒÙàèìòù"),
        '\u{2C6}' | '^' => ("AEIOUaeiou", "ÂÊÎÔÛâêîôû"),
        '\u{2DC}' | '~' => ("ANOano", "ÃÑÕãñõ"),
        '\u{2DA}' => ("AUau", "ÅŮåů"),
        '\u{2C7}' => ("CDENRSTZcdenrstz", "ČĎĚŇŘŠŤŽčďěňřšťž"),
        '\u{B8}' => ("CScs", "ÇŞçş"),
        _ => return None,
    };
    plain.chars().position(|c| c == letter).and_then(|at| with.chars().nth(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let mut out = String::new();
        push_plain(&mut out, text);
        out
    }

    #[test]
    fn shapes_become_letters() {
        assert_eq!(plain("ﬁnd the aﬄuent ﬂow"), "find the affluent flow");
        assert_eq!(plain("\u{FEE3}\u{FEAE}\u{FEA3}\u{FE92}\u{FE8E}"), "مرحبا");
        assert_eq!(plain("\u{FEF3}\u{FEFB}\u{FEF4}\u{FCCB}"), "يلايلخ");
        assert_eq!(plain("a\u{A0}b\u{0}\u{F0B7}"), "a b•");
    }

    #[test]
    fn an_accent_of_its_own_joins_its_letter() {
        assert_eq!(accented('\u{A8}', 'u'), Some('ü'));
        assert_eq!(accented('\u{B4}', 'e'), Some('é'));
        assert_eq!(accented('\u{A8}', 'x'), None);
    }
}
