//! The envelope of everything this crate stores or hands to another worker.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: what is inside |
//! | 4 | format version, little-endian |
//! | 4 | CRC-32 of the rest, little-endian; 0 for what is handed over and never stored |
//! | 4 | bytes of the payload, little-endian |
//! | … | payload, [postcard](https://postcard.jamesmunns.com/wire-format) |
//! | … | numbers in single precision, little-endian |

use serde::{Serialize, de::DeserializeOwned};

use crate::IndexError;

/// Raised with every change of a payload.
pub(crate) const VERSION: u32 = 3;
const HEADER_LEN: usize = 16;
const PAYLOAD_AT: usize = HEADER_LEN + 4;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SegmentJob,
    Segment,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::SegmentJob => b"LECTSJOB",
            Self::Segment => b"LECTSGMT",
        }
    }

    fn is_stored(self) -> bool {
        self == Self::Segment
    }
}

pub(crate) fn encode<'a, T: Serialize>(kind: Kind, payload: &T, vectors: impl Iterator<Item = &'a [f32]>) -> Vec<u8> {
    let mut bytes = vec![0; PAYLOAD_AT];
    bytes[..8].copy_from_slice(kind.magic());
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    // Only a serializer that runs out of room or meets a sequence of unknown length can fail here:
    // ours grows and has none.
    let mut bytes = postcard::to_extend(payload, bytes).expect("plain data always serialises");
    let n_payload = (bytes.len() - PAYLOAD_AT) as u32;
    bytes[HEADER_LEN..PAYLOAD_AT].copy_from_slice(&n_payload.to_le_bytes());
    for vector in vectors {
        bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
    }
    if kind.is_stored() {
        let checksum = crc32fast::hash(&bytes[HEADER_LEN..]);
        bytes[12..HEADER_LEN].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

/// The checksum that bytes bear: what stored bytes are told apart by. 0 where they are too short to have one.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    bytes.get(12..HEADER_LEN).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Whether bytes say that they are of a kind.
pub(crate) fn is(kind: Kind, bytes: &[u8]) -> bool {
    bytes.starts_with(kind.magic())
}

/// # Errors
/// `index-corrupt` for another kind, a wrong checksum or a payload of another shape;
/// `index-version` for another format version.
pub(crate) fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<(T, Vec<f32>), IndexError> {
    let corrupt = |reason| IndexError::Corrupt { reason };
    let (header, rest) = bytes.split_at_checked(HEADER_LEN).ok_or(corrupt("too short"))?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if &header[..8] != kind.magic() {
        return Err(corrupt("not an index"));
    }
    if word(8) != VERSION {
        return Err(IndexError::Version { found: word(8), expected: VERSION });
    }
    if kind.is_stored() && word(12) != crc32fast::hash(rest) {
        return Err(corrupt("wrong checksum"));
    }
    let (n_payload, rest) = rest.split_first_chunk::<4>().ok_or(corrupt("too short"))?;
    let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(*n_payload) as usize).ok_or(corrupt("too short"))?;
    let (numbers, []) = rest.as_chunks::<4>() else { return Err(corrupt("bytes left over")) };
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok((value, numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())),
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
        let mut bytes = encode(Kind::Segment, &1u32, std::iter::empty());
        bytes[8] = 9;
        let error = decode::<u32>(Kind::Segment, &bytes).unwrap_err();
        assert_eq!(error, IndexError::Version { found: 9, expected: VERSION });
    }

    #[test]
    fn one_kind_is_not_another() {
        let bytes = encode(Kind::Segment, &1u32, std::iter::empty());
        assert_eq!(decode::<u32>(Kind::SegmentJob, &bytes).unwrap_err().code(), "index-corrupt");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(payload: (Vec<u32>, String, Option<u32>), vectors in prop::collection::vec([-1.0f32..1.0, -1.0f32..1.0], 0..9)) {
            for kind in [Kind::Segment, Kind::SegmentJob] {
                let bytes = encode(kind, &payload, vectors.iter().map(|vector| &vector[..]));
                prop_assert_eq!(decode(kind, &bytes).unwrap(), (payload.clone(), vectors.concat()));
            }
        }
    }
}
