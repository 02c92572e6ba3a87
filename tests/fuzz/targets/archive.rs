//! Archives: whole and cut files, or an entry of a well-formed one, or an entry of an archive within one.

#![no_main]

use std::borrow::Cow;

use lectern_corpus::{expand, is_archive, readable_path};
use lectern_fuzz::package::pack;
use libfuzzer_sys::fuzz_target;

/// Longest entry name that is cut from the bytes.
const MAX_NAME: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let file = match bytes {
        [0, inner @ ..] => Cow::Owned(pack(&[("inner.zip", inner), ("notes.md", b"# Notes")])),
        [1, inner @ ..] => Cow::Owned(named(inner)),
        [2, inner @ ..] => Cow::Owned(pack(&[("folder/inner.zip", &named(inner))])),
        _ => Cow::Borrowed(bytes),
    };
    let _ = is_archive(&file);
    let Ok(files) = expand("a.zip", &file, Some("key")) else { return };
    for (name, content) in files {
        if name == "a.zip" {
            assert!(content.is_err(), "what is said of the archive itself is what it lacks");
            continue;
        }
        let path = name.strip_prefix("a.zip/").expect("a file lies in its archive");
        assert_eq!(readable_path(path).as_deref(), Some(path), "a path is as it is shown");
        drop(content);
    }
});

/// An archive of one entry, whose name is the beginning of `bytes` up to a line's end.
fn named(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().take(MAX_NAME).position(|&byte| byte == b'\n').unwrap_or(bytes.len().min(MAX_NAME));
    let name = String::from_utf8_lossy(&bytes[..end]);
    pack(&[(&name, bytes.get(end + 1..).unwrap_or_default())])
}
