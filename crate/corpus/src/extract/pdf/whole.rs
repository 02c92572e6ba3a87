//! Whether a PDF's bytes are all there: a reader that mends what it is given does not say what was missing.

use super::open::{find, rfind};

/// Tables of objects, from the newest back, that are looked at: each is searched for to the end of the file.
const MAX_TABLES: usize = 16;

/// What shows that a file is not as its program wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Its end is missing, as after a download that broke off.
    CutOff,
    /// Its table of objects is not where it should be, so that objects had to be searched for.
    Table,
}

impl Flaw {
    /// For people, where text was read.
    pub fn warning(self) -> &'static str {
        match self {
            Self::CutOff => "The file breaks off before its end; what comes before was read.",
            Self::Table => {
                "The file is damaged: its list of parts does not fit its bytes. What was found was read; something may be missing."
            }
        }
    }

    /// For people, where none was.
    pub fn reason(self) -> &'static str {
        match self {
            Self::CutOff => "it breaks off before its end",
            Self::Table => "its list of parts does not fit its bytes",
        }
    }
}

/// What is wrong with the file as a whole. Bytes after the end are no flaw, nor is a table at the front, as in files
/// made for the web.
pub(super) fn flaw(bytes: &[u8]) -> Option<Flaw> {
    const START: &[u8] = b"startxref";
    let Some(at) = rfind(bytes, START) else {
        return Some(Flaw::CutOff);
    };
    let after = &bytes[at + START.len()..];
    // A change that was saved behind the end and broke off: objects that no table follows.
    if find(after, b" 0 obj").is_some() {
        return Some(Flaw::CutOff);
    }
    if number(after).is_some_and(|table| has_tables(bytes, table) || is_shifted(&bytes[..at], table)) {
        return None;
    }
    Some(if find(after, b"%%EOF").is_some() { Flaw::Table } else { Flaw::CutOff })
}

/// Whether a table of objects stands at `at`, and at each place that one names as that of the table before it.
fn has_tables(bytes: &[u8], mut at: usize) -> bool {
    for i in 0..MAX_TABLES {
        let Some(dictionary) = dictionary(bytes, at) else {
            return false;
        };
        // The newest says where reading begins.
        if i == 0 && find(dictionary, b"/Root").is_none() {
            return false;
        }
        const BEFORE: &[u8] = b"/Prev";
        let before = find(dictionary, BEFORE).and_then(|key| number(&dictionary[key + BEFORE.len()..]));
        match before {
            // Some programs write 0 where there is none.
            None | Some(0) => return true,
            Some(before) => at = before,
        }
    }
    true
}

/// Whether the last table and all objects that it names are as far from where they should be as each other: bytes were
/// put before the file, and none of its own are missing. `bytes` end with the table, which should stand at `said`.
fn is_shifted(bytes: &[u8], said: usize) -> bool {
    let Some(at) = rfind(bytes, b"xref") else {
        return false;
    };
    let mut words = bytes[at + 4..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    // The number of the object that the next line is of, and how many lines are left of its part of the table.
    let (mut object, mut n_lines) = (0usize, 0usize);
    while let Some(word) = words.next() {
        if word == b"trailer" {
            return n_lines == 0 && find(&bytes[at..], b"/Prev").is_none();
        }
        let (Some(first), Some(second)) = (number(word), words.next().and_then(number)) else {
            return false;
        };
        if n_lines == 0 {
            (object, n_lines) = (first, second);
            continue;
        }
        let is_used = words.next() == Some(b"n");
        let place =
            first.checked_add(at).and_then(|place| place.checked_sub(said)).and_then(|place| bytes.get(place..));
        if is_used && place.and_then(object_at) != Some(object) {
            return false;
        }
        object = object.saturating_add(1);
        n_lines -= 1;
    }
    false
}

/// The dictionary of the table at `at`, which is lines of text or a packed object.
fn dictionary(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let table = bytes.get(at..)?.trim_ascii_start();
    let (start, end) = if table.starts_with(b"xref") {
        (find(table, b"trailer")?, &b"startxref"[..])
    } else {
        (object_at(table).map(|_| 0)?, &b"stream"[..])
    };
    let dictionary = &table[start..];
    Some(&dictionary[..find(dictionary, end)?])
}

/// The number of the object that begins here, such as `7 0 obj`.
fn object_at(bytes: &[u8]) -> Option<usize> {
    const MAX_HEAD_BYTES: usize = 32;
    let head = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
    let mut words = head.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (object, revision, mark) = (words.next()?, words.next()?, words.next()?);
    let is_object = [object, revision].iter().all(|word| word.iter().all(u8::is_ascii_digit));
    number(object).filter(|_| is_object && mark.starts_with(b"obj"))
}

/// The number that follows, after white space.
fn number(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.trim_ascii_start();
    let n = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[..n]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::assemble::file, *};

    fn whole() -> Vec<u8> {
        file(&[b"<</Type/Catalog/Pages 2 0 R>>".to_vec(), b"<</Type/Pages/Kids[]/Count 0>>".to_vec()])
    }

    #[test]
    fn a_file_that_ends_is_whole_whatever_follows() {
        assert_eq!(flaw(&whole()), None);
        assert_eq!(flaw(&[&whole()[..], b"\r\n\0\0\0"].concat()), None);
        assert_eq!(flaw(&[&whole()[..], "<p>sent by a server</p>".repeat(99).as_bytes()].concat()), None);
        // All but the mark of the end.
        assert_eq!(flaw(&whole()[..whole().len() - 5]), None);
    }

    #[test]
    fn a_file_behind_other_bytes_is_whole() {
        let behind = |bytes: &[u8]| [b"%PDF-1.7\n%%EOF\n", bytes].concat();
        assert_eq!(flaw(&behind(&whole())), None);
        let mut holed = whole();
        holed.drain(20..24);
        assert_eq!(flaw(&behind(&holed)), Some(Flaw::Table));
    }

    #[test]
    fn tables_that_follow_each_other_are_looked_at_in_turn() {
        let first = whole();
        let revised = |before: usize| {
            let at = first.len() + "\n3 0 obj\nnull\nendobj\n".len();
            let table = "xref\n3 1\n0000000000 00000 n \n";
            let end = format!("trailer\n<</Root 1 0 R/Prev {before}>>\nstartxref\n{at}\n%%EOF\n");
            [&first[..], b"\n3 0 obj\nnull\nendobj\n", table.as_bytes(), end.as_bytes()].concat()
        };
        let table = rfind(&first, b"xref\n0").unwrap();
        assert_eq!(flaw(&revised(table)), None);
        assert_eq!(flaw(&revised(0)), None);
        assert_eq!(flaw(&revised(table + 1)), Some(Flaw::Table));
        // What was saved last broke off.
        assert_eq!(flaw(&revised(table)[..first.len() + 15]), Some(Flaw::CutOff));
        let packed = b"%PDF-1.7\n1 0 obj\n<</Type/XRef/Root 2 0 R>>stream\n\nendstream\nendobj\nstartxref\n9\n%%EOF";
        assert_eq!(flaw(packed), None);
    }

    #[test]
    fn bytes_that_are_missing_show() {
        let whole = whole();
        let last_digit = whole.len() - "9\n%%EOF".len();
        for end in [0, 1, 9, whole.len() / 2, last_digit] {
            assert_eq!(flaw(&whole[..end]), Some(Flaw::CutOff), "{end}");
        }
        let mut holed = whole;
        holed.drain(20..24);
        assert_eq!(flaw(&holed), Some(Flaw::Table));
    }
}
