//! The envelope of everything this crate stores or hands to another worker.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: what is inside |
//! | 4 | format version, little-endian |
//! | 4 | CRC-32 of the payload, little-endian |
//! | … | payload, [postcard](https://postcard.jamesmunns.com/wire-format) |

use serde::{Serialize, de::DeserializeOwned};

use crate::IndexError;

/// Raised with every change of a payload.
pub(crate) const VERSION: u32 = 2;
const HEADER_LEN: usize = 16;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    SegmentJob,
    Segment,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Index => b"LECTINDX",
            Self::SegmentJob => b"LECTSJOB",
            Self::Segment => b"LECTSGMT",
        }
    }
}

pub(crate) fn encode<T: Serialize>(kind: Kind, payload: &T) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..8].copy_from_slice(kind.magic());
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    // Only a serializer that runs out of room or meets a sequence of unknown length can fail here:
    // ours grows and has none.
    let mut bytes = postcard::to_extend(payload, bytes).expect("plain data always serialises");
    let checksum = crc32fast::hash(&bytes[HEADER_LEN..]);
    bytes[12..HEADER_LEN].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// # Errors
/// `index-corrupt` for another kind, a wrong checksum or a payload of another shape;
/// `index-version` for another format version.
pub(crate) fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, IndexError> {
    let corrupt = |reason| IndexError::Corrupt { reason };
    let (header, payload) = bytes.split_at_checked(HEADER_LEN).ok_or(corrupt("too short"))?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if &header[..8] != kind.magic() {
        return Err(corrupt("not an index"));
    }
    if word(8) != VERSION {
        return Err(IndexError::Version { found: word(8), expected: VERSION });
    }
    if word(12) != crc32fast::hash(payload) {
        return Err(corrupt("wrong checksum"));
    }
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(corrupt("bytes left over")),
        Err(_) => Err(corrupt("wrong shape")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrong_version_is_named() {
        let mut bytes = encode(Kind::Index, &1u32);
        bytes[8] = 9;
        let error = decode::<u32>(Kind::Index, &bytes).unwrap_err();
        assert_eq!(error, IndexError::Version { found: 9, expected: VERSION });
    }

    #[test]
    fn one_kind_is_not_another() {
        let bytes = encode(Kind::Segment, &1u32);
        assert_eq!(decode::<u32>(Kind::Index, &bytes).unwrap_err().code(), "index-corrupt");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(payload: (Vec<f32>, String, Option<u32>)) {
            let payload = (payload.0.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), payload.1, payload.2);
            prop_assert_eq!(decode::<(Vec<u32>, String, Option<u32>)>(Kind::Index, &encode(Kind::Index, &payload)).unwrap(), payload);
        }
    }
}
