//! A stored page is one envelope ([`lectern_index::format`]), with the vectors of its passages as the tail. A collection
//! is its magic and version, and then for each page or graph its length in 4 bytes, little-endian, and itself.

use std::ops::Range;

use lectern_index::IndexError;
use lectern_index::format::Kind;

use crate::error::EngineError;

pub(crate) const PAGE: Kind = Kind { magic: b"LECTPAGE", version: 1, is_stored: true };
const COLLECTION: &[u8; 8] = b"LECTERN\0";
/// Collections of one sealed piece had version 1, and pages that were cut in another way 2.
const COLLECTION_VERSION: u32 = 3;

/// Why a page could not be read.
pub(crate) fn unreadable(error: IndexError) -> EngineError {
    EngineError::Collection(match error {
        IndexError::Version { .. } => "it was written by another version of this program".to_owned(),
        IndexError::Corrupt { reason } => format!("it is damaged: {reason}"),
        other => other.to_string(),
    })
}

/// What a collection begins with.
pub(crate) fn opening() -> Vec<u8> {
    [&COLLECTION[..], &COLLECTION_VERSION.to_le_bytes()].concat()
}

/// Whether bytes say that they are a collection.
pub(crate) fn is_collection(bytes: &[u8]) -> bool {
    bytes.starts_with(COLLECTION)
}

/// What comes before a page or graph of `n` bytes.
pub(crate) fn before(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

/// Where the pages and graphs of a collection of `n` bytes are; `read` gives some of its bytes.
///
/// # Errors
/// `collection-invalid` for another kind of file, another version, and one that ends early.
pub(crate) fn parts(n: usize, read: &dyn Fn(Range<usize>) -> Vec<u8>) -> Result<Vec<Range<usize>>, EngineError> {
    let fail = |why: &str| EngineError::Collection(why.to_owned());
    let head = read(0..n.min(12));
    let version = head.strip_prefix(COLLECTION).ok_or_else(|| fail("it is not a collection of this program"))?;
    if version.len() < 4 {
        return Err(fail("it ends early"));
    }
    if version != COLLECTION_VERSION.to_le_bytes() {
        return Err(fail("it was written by another version of this program"));
    }
    let mut parts = Vec::new();
    let mut at = head.len();
    while at < n {
        let length = read(at..n.min(at + 4)).try_into().map_err(|_| fail("it ends early"))?;
        let start = at + 4;
        let end = start.checked_add(u32::from_le_bytes(length) as usize).filter(|&end| end <= n);
        at = end.ok_or_else(|| fail("it ends early"))?;
        parts.push(start..at);
    }
    Ok(parts)
}
