//! Bytes → characters: byte order marks, UTF-16 by its zero bytes, UTF-8, declared charsets, and
//! last a guess from the bytes themselves.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::CorpusError;

/// More control characters than one in this many make a file binary. Random bytes hold one in 9,
/// text none but line ends and tabs.
const BINARY_CONTROL_SHARE: usize = 32;
/// More undecodable characters than one in this many make a guess worthless.
const BROKEN_SHARE: usize = 50;
/// How far from the start zero bytes are counted and a declared charset is looked for.
const SNIFF_BYTES: usize = 4096;

/// Text and how it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Line ends are `\n`; no byte order mark, no NUL.
    pub text: String,
    /// The name of the encoding in the Encoding Standard, such as `UTF-8` or `windows-1251`.
    pub encoding: &'static str,
    /// Sentences for people: what was guessed and what was lost.
    pub warnings: Vec<String>,
}

/// Reads bytes as text.
///
/// # Errors
/// [`CorpusError::Empty`] for no bytes, [`CorpusError::Binary`] for bytes that are not text and
/// [`CorpusError::Undecodable`] when no encoding fits.
pub fn decode(bytes: &[u8]) -> Result<Decoded, CorpusError> {
    if bytes.is_empty() {
        return Err(CorpusError::Empty);
    }
    let mut warnings = Vec::new();
    let (encoding, body) = match Encoding::for_bom(bytes) {
        Some((encoding, n_bom)) => (encoding, &bytes[n_bom..]),
        None => match utf16_without_bom(bytes) {
            Some(encoding) => (encoding, bytes),
            None => {
                refuse_binary(bytes)?;
                (eight_bit_encoding(bytes, &mut warnings), bytes)
            }
        },
    };
    let (text, had_errors) = encoding.decode_without_bom_handling(body);
    if had_errors {
        let n_errors = text.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count();
        if n_errors * BROKEN_SHARE > text.chars().count() {
            return Err(CorpusError::Undecodable { guess: encoding.name(), n_errors });
        }
        warnings.push(format!("{n_errors} characters could not be read as {} and show as \u{FFFD}.", encoding.name()));
    }
    refuse_binary_text(&text, bytes.len())?;
    Ok(Decoded { text: normalise(&text), encoding: encoding.name(), warnings })
}

/// UTF-16 of mostly Latin text has a zero in every other byte.
fn utf16_without_bom(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
    if head.len() < 4 || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let n_pairs = head.len() / 2;
    let zeros = |offset: usize| head.iter().skip(offset).step_by(2).take(n_pairs).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let (many, few) = (n_pairs * 2 / 5, n_pairs / 20);
    let encoding = match (even, odd) {
        _ if odd > many && even <= few => UTF_16LE,
        _ if even > many && odd <= few => UTF_16BE,
        _ => return None,
    };
    let (text, had_errors) = encoding.decode_without_bom_handling(head);
    let n_odd = text.chars().filter(|&c| is_control(c)).count();
    (!had_errors && n_odd * BINARY_CONTROL_SHARE <= n_pairs).then_some(encoding)
}

fn eight_bit_encoding(bytes: &[u8], warnings: &mut Vec<String>) -> &'static Encoding {
    match std::str::from_utf8(bytes) {
        Ok(_) => return UTF_8,
        Err(_) if is_mostly_utf8(bytes) => return UTF_8,
        Err(_) => {}
    }
    if let Some(encoding) = declared_charset(bytes) {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    warnings.push(format!(
        "The file does not say how its characters are encoded; it was read as {}. If letters look wrong, save it as UTF-8.",
        guess.name()
    ));
    guess
}

/// A few broken bytes in UTF-8 text do not make it a Windows code page.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut n_good, mut n_broken) = (0usize, 0usize);
    for part in bytes.utf8_chunks() {
        n_good += part.valid().chars().filter(|c| !c.is_ascii()).count();
        n_broken += usize::from(!part.invalid().is_empty());
    }
    n_good > 3 * n_broken
}

/// `<meta charset=…>`, `<meta … content="…; charset=…">` or `<?xml … encoding="…"?>` near the start.
fn declared_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SNIFF_BYTES)]).to_ascii_lowercase();
    if !(head.contains("<meta") || head.trim_start().starts_with("<?xml")) {
        return None;
    }
    ["charset=", "encoding="].iter().find_map(|key| {
        let value = head.split_once(key)?.1.trim_start_matches(['"', '\'', ' ']);
        let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(value.len());
        let encoding = Encoding::for_label(&value.as_bytes()[..end])?;
        // A page that could be read as ASCII up to here is not UTF-16, and UTF-8 was tried before.
        (encoding.is_ascii_compatible() && encoding != UTF_8).then_some(encoding)
    })
}

fn refuse_binary(bytes: &[u8]) -> Result<(), CorpusError> {
    let n_controls = bytes.iter().filter(|&&byte| is_control(byte as char)).count();
    refuse_share(n_controls, bytes.len())
}

fn refuse_binary_text(text: &str, n_bytes: usize) -> Result<(), CorpusError> {
    refuse_share(text.chars().filter(|&c| is_control(c)).count(), n_bytes)
}

fn refuse_share(n_controls: usize, n_bytes: usize) -> Result<(), CorpusError> {
    if n_controls * BINARY_CONTROL_SHARE > n_bytes {
        return Err(CorpusError::Binary { n_controls, n_bytes });
    }
    Ok(())
}

/// Control characters that text does not use; escape belongs to ISO-2022-JP and terminal logs.
fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0E'..='\x1A' | '\x1C'..='\x1F' | '\x7F')
}

fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            '\0' => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn byte_order_marks_are_obeyed_and_removed() {
        for (bom, body, encoding) in [
            (&b"\xEF\xBB\xBF"[..], "日本 é".as_bytes().to_vec(), "UTF-8"),
            (b"\xFF\xFE", utf16("日本 é", u16::to_le_bytes), "UTF-16LE"),
            (b"\xFE\xFF", utf16("日本 é", u16::to_be_bytes), "UTF-16BE"),
        ] {
            let decoded = decode(&[bom, &body].concat()).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.encoding), ("日本 é", encoding));
            assert!(decoded.warnings.is_empty());
        }
    }

    #[test]
    fn utf16_is_known_by_its_zero_bytes() {
        let text = "The harbour master keeps the keys.";
        assert_eq!(decode(&utf16(text, u16::to_le_bytes)).unwrap().text, text);
        assert_eq!(decode(&utf16(text, u16::to_be_bytes)).unwrap().text, text);
    }

    #[test]
    fn code_pages_are_guessed_and_said() {
        let german = "Die Größe der Brücke über den Fluß wurde häufig überschätzt, schön wäre es.";
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(german);
        let decoded = decode(&bytes).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.encoding), (german, "windows-1252"));
        assert!(decoded.warnings[0].contains("windows-1252"));

        let russian = "Смотритель маяка зажигает огонь на закате и гасит его на рассвете.";
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode(russian);
        let decoded = decode(&bytes).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.encoding), (russian, "windows-1251"));
    }

    #[test]
    fn a_declared_charset_wins_over_a_guess() {
        let bytes = b"<html><meta charset=\"iso-8859-2\"><p>\xB1\xE6\xEA</p>";
        assert_eq!(decode(bytes).unwrap().text.matches("ąćę").count(), 1);
    }

    #[test]
    fn one_broken_byte_does_not_turn_utf8_into_a_code_page() {
        let mut bytes = "Café, naïve, Straße, déjà vu and many plain words besides these. ".repeat(3).into_bytes();
        bytes.push(0xE9);
        let decoded = decode(&bytes).unwrap();
        assert_eq!(decoded.encoding, "UTF-8");
        assert!(decoded.text.starts_with("Café"));
        assert_eq!(decoded.warnings.len(), 1);
    }

    #[test]
    fn binary_and_empty_are_refused() {
        assert_eq!(decode(b"").unwrap_err().code(), "file-empty");
        let noise: Vec<u8> = (0u32..4096).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(decode(&noise).unwrap_err().code(), "file-binary");
        assert_eq!(decode(b"PK\0\0\0\0abc").unwrap_err().code(), "file-binary");
    }

    #[test]
    fn line_ends_become_one_kind() {
        assert_eq!(decode(b"a\r\nb\rc\n").unwrap().text, "a\nb\nc\n");
    }
}
