//! Opening a PDF: what the parser is not given, and what its refusals mean.

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::{
    stream::{Failure, inflate},
    whole::Flaw,
};
use crate::CorpusError;

/// A header may stand this far from the start, after what a mail program or a printer put there.
const MAX_JUNK_BYTES: usize = 1024;
/// The most bytes that the tables of objects and the packed objects may decode to.
const MAX_OBJECT_BYTES: usize = 96 << 20;
/// How far before its data the dictionary of a stream is looked for, in bytes.
const MAX_DICTIONARY_BYTES: usize = 4096;
/// The most that dictionaries may lie within one another, summed over all of them: where they never end, the parser
/// reads each to the end of the file.
const MAX_NESTING: usize = 20_000_000;

/// Where the PDF begins in a file, none for a file that is something else. A text that quotes a header within its first
/// lines is no PDF unless its name says so.
pub(in crate::extract) fn start(name: &str, bytes: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(MAX_JUNK_BYTES + 5)];
    let at = find(head, b"%PDF-")?;
    let is_named = name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("pdf"));
    (at == 0 || is_named || std::str::from_utf8(bytes).is_err()).then_some(at)
}

/// `flaw` is what is known to be wrong with the bytes, to say why there are no pages.
///
/// # Errors
/// `file-password`, `file-damaged`, and `file-too-large` where its objects are packed beyond the bounds.
pub(super) fn open(bytes: &[u8], password: Option<&str>, flaw: Option<Flaw>) -> Result<Pdf, CorpusError> {
    if packed_bytes(bytes) > MAX_OBJECT_BYTES {
        let reason = format!("unpacked, its tables have more than {} MB", MAX_OBJECT_BYTES >> 20);
        return Err(CorpusError::TooLarge { reason });
    }
    if !is_nested_within_bounds(bytes) {
        return Err(damaged("its dictionaries have no end"));
    }
    let password = password.filter(|password| !password.is_empty());
    let load = |password: &str| Pdf::new_with_password(bytes.to_vec(), password);
    // A file that needs no password is not refused for a wrong one.
    let loaded = password.map_or_else(|| load(""), |password| load(password).or_else(|_| load("")));
    let without_pages = || damaged(flaw.map_or("no pages were found in it", Flaw::reason));
    let locked = || CorpusError::Password { is_wrong: password.is_some() };
    let pdf = loaded.map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => locked(),
        LoadPdfError::Decryption(_) => damaged("it is locked in a way that is not known here"),
        // Where the parser had to mend the file it does not tell a wrong password from damage.
        LoadPdfError::Invalid if find(bytes, b"/Encrypt").is_some() => locked(),
        LoadPdfError::Invalid => without_pages(),
    })?;
    if pdf.pages().is_empty() {
        return Err(without_pages());
    }
    Ok(pdf)
}

fn damaged(reason: &str) -> CorpusError {
    CorpusError::Damaged { reason: reason.to_owned() }
}

/// What the streams that are unpacked on opening take, or more than is allowed: the parser itself knows no bound.
fn packed_bytes(bytes: &[u8]) -> usize {
    let mut n_bytes = 0;
    let mut at = 0;
    // The dictionary follows the last such word.
    let mut last = 0;
    while let Some(found) = find(&bytes[at..], b"stream") {
        let start = at + found;
        at = start + b"stream".len();
        let dictionary = &bytes[last.max(start.saturating_sub(MAX_DICTIONARY_BYTES))..start];
        last = at;
        if dictionary.ends_with(b"end") {
            continue;
        }
        if is_opened_first(dictionary) {
            let data = bytes[at..].trim_ascii_start();
            let n_filters = count(dictionary, b"Decode") - count(dictionary, b"DecodeParms");
            let left = MAX_OBJECT_BYTES.saturating_sub(n_bytes);
            n_bytes += match inflate(data, left) {
                Ok(_) if n_filters > 1 => return MAX_OBJECT_BYTES + 1,
                Ok((inflated, _)) => inflated.len(),
                Err(Failure::TooLarge | Failure::Broken) => return MAX_OBJECT_BYTES + 1,
            };
        }
    }
    n_bytes
}

/// Whether the sum over all dictionaries of how many are open around them is within bounds.
fn is_nested_within_bounds(bytes: &[u8]) -> bool {
    let mut n_open = 0usize;
    let mut sum = 0usize;
    let mut at = 0;
    while at < bytes.len() && sum <= MAX_NESTING {
        let rest = &bytes[at..];
        match bytes[at] {
            b'<' if rest.starts_with(b"<<") => {
                n_open += 1;
                sum += n_open;
                at += 2;
            }
            b'>' if rest.starts_with(b">>") => {
                n_open = n_open.saturating_sub(1);
                at += 2;
            }
            b'e' if rest.starts_with(b"endobj") => {
                n_open = 0;
                at += 6;
            }
            _ => at += 1,
        }
    }
    sum <= MAX_NESTING
}

/// Whether the dictionary is, or with an escaped name may be, that of packed objects or of the table of objects.
fn is_opened_first(dictionary: &[u8]) -> bool {
    [&b"ObjStm"[..], b"XRef", b"/First", b"#"].iter().any(|name| find(dictionary, name).is_some())
}

fn count(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).filter(|window| window == &needle).count()
}

pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (&first, rest) = needle.split_first()?;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == first) {
        at += found + 1;
        if bytes[at..].starts_with(rest) {
            return Some(at - 1);
        }
    }
    None
}

/// The last place of `needle`.
pub(super) fn rfind(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).rposition(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_after_junk_but_not_within_prose() {
        assert_eq!(start("a.pdf", b"%PDF-1.4"), Some(0));
        assert_eq!(start("a", b"%PDF-1.4"), Some(0));
        assert_eq!(start("a.pdf", b"\r\nFrom: x\r\n\r\n%PDF-1.4"), Some(13));
        assert_eq!(start("a.txt", b"A PDF starts with %PDF-1.4."), None);
        assert_eq!(start("a.pdf", &[&[b' '; 1025][..], b"%PDF-1.4"].concat()), None);
        assert_eq!(start("a.pdf", b"<html>"), None);
    }
}
