//! The envelope of a stored page and of a collection.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic |
//! | 4 | format version, little-endian |
//! | 4 | CRC-32 of the rest, little-endian |
//! | 4 | bytes of the payload, little-endian |
//! | … | payload, [postcard](https://postcard.jamesmunns.com/wire-format) |
//! | … | of a page, the vectors of its passages in single precision, little-endian |
//!
//! A collection is its magic and version, and then for each page or graph its length in 4 bytes and itself.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::EngineError;

const VERSION: u32 = 1;
const HEADER: usize = 16;
const PAYLOAD: usize = HEADER + 4;
const PAGE: &[u8; 8] = b"LECTPAGE";
const COLLECTION: &[u8; 8] = b"LECTERN\0";
/// Collections of one sealed piece had version 1, and pages that were cut in another way 2.
const COLLECTION_VERSION: u32 = 3;

pub(crate) fn encode(payload: &impl Serialize, tail: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; PAYLOAD];
    bytes[..8].copy_from_slice(PAGE);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    // Only a serializer that runs out of room or meets a sequence of unknown length can fail here.
    let mut bytes = postcard::to_extend(payload, bytes).expect("plain data always serialises");
    let n_payload = (bytes.len() - PAYLOAD) as u32;
    bytes[HEADER..PAYLOAD].copy_from_slice(&n_payload.to_le_bytes());
    bytes.extend_from_slice(tail);
    let checksum = crc32fast::hash(&bytes[HEADER..]);
    bytes[12..HEADER].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// # Errors
/// `collection-invalid`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), EngineError> {
    let (header, rest) = bytes.split_at_checked(HEADER).ok_or_else(|| fail("it ends early"))?;
    if &header[..8] != PAGE {
        return Err(fail("it is not a page of this program"));
    }
    if word(header, 8) != Some(VERSION) {
        return Err(fail("it was written by another version of this program"));
    }
    if word(header, 12) != Some(crc32fast::hash(rest)) {
        return Err(fail("it is damaged"));
    }
    let n_payload = word(rest, 0).ok_or_else(|| fail("it ends early"))? as usize;
    let (payload, tail) = rest[4..].split_at_checked(n_payload).ok_or_else(|| fail("it ends early"))?;
    Ok((postcard::from_bytes(payload).map_err(|error| fail(&error.to_string()))?, tail))
}

/// Pages and graphs as one collection.
pub(crate) fn join<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut bytes = COLLECTION.to_vec();
    bytes.extend(COLLECTION_VERSION.to_le_bytes());
    for part in parts {
        bytes.extend((part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The pages and graphs of a collection.
///
/// # Errors
/// `collection-invalid` for another kind of file, another version, and one that ends early.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<&[u8]>, EngineError> {
    let rest = bytes.strip_prefix(COLLECTION).ok_or_else(|| fail("it is not a collection of this program"))?;
    if word(rest, 0).ok_or_else(|| fail("it ends early"))? != COLLECTION_VERSION {
        return Err(fail("it was written by another version of this program"));
    }
    let mut rest = &rest[4..];
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let n = word(rest, 0).ok_or_else(|| fail("it ends early"))? as usize;
        let (part, after) = rest[4..].split_at_checked(n).ok_or_else(|| fail("it ends early"))?;
        parts.push(part);
        rest = after;
    }
    Ok(parts)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn fail(why: &str) -> EngineError {
    EngineError::Collection(why.to_owned())
}
