//! The envelope of everything that is stored or handed to another worker.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: what is inside |
//! | 4 | format version, little-endian |
//! | 4 | CRC-32 of the rest, little-endian; 0 for what is handed over and never stored |
//! | 4 | bytes of the payload, little-endian |
//! | … | payload, [postcard](https://postcard.jamesmunns.com/wire-format) |
//! | … | tail: numbers of 4 bytes each, little-endian |

use serde::{Serialize, de::DeserializeOwned};

use crate::IndexError;

const HEADER_LEN: usize = 16;
const PAYLOAD_AT: usize = HEADER_LEN + 4;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub magic: &'static [u8; 8],
    /// Raised with every change of the payload or the tail.
    pub version: u32,
    /// Whether it may be damaged before it is read, and has a checksum.
    pub is_stored: bool,
}

impl Kind {
    /// Whether bytes say that they are of this kind.
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(self.magic)
    }

    /// An envelope with `tail`, of `n_tail` bytes or about as many.
    pub fn encode<'a>(
        &self,
        payload: &impl Serialize,
        n_tail: usize,
        tail: impl IntoIterator<Item = &'a [f32]>,
    ) -> Vec<u8> {
        let mut bytes = self.open(payload, n_tail);
        tail.into_iter().for_each(|numbers| push_numbers(&mut bytes, numbers));
        self.seal(bytes)
    }

    /// An envelope without its tail, with room for `n_tail` more bytes.
    pub(crate) fn open(&self, payload: &impl Serialize, n_tail: usize) -> Vec<u8> {
        let mut bytes = vec![0; PAYLOAD_AT];
        bytes[..8].copy_from_slice(self.magic);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        // Only a serializer that runs out of room or meets a sequence of unknown length can fail here:
        // ours grows and has none.
        let mut bytes = postcard::to_extend(payload, bytes).expect("plain data always serialises");
        let n_payload = (bytes.len() - PAYLOAD_AT) as u32;
        bytes[HEADER_LEN..PAYLOAD_AT].copy_from_slice(&n_payload.to_le_bytes());
        bytes.reserve_exact(n_tail);
        bytes
    }

    /// Completes an envelope.
    pub(crate) fn seal(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.is_stored {
            let checksum = crc32fast::hash(&bytes[HEADER_LEN..]);
            bytes[12..HEADER_LEN].copy_from_slice(&checksum.to_le_bytes());
        }
        bytes
    }

    /// The payload and the tail.
    ///
    /// # Errors
    /// `index-corrupt` for another kind, a wrong checksum or a payload of another shape;
    /// `index-version` for another format version.
    pub fn decode<'a, T: DeserializeOwned>(&self, bytes: &'a [u8]) -> Result<(T, &'a [[u8; 4]]), IndexError> {
        let corrupt = |reason| IndexError::Corrupt { reason };
        let (header, rest) = bytes.split_at_checked(HEADER_LEN).ok_or(corrupt("it ends early"))?;
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if !self.is(bytes) {
            return Err(corrupt("it is something else"));
        }
        if word(8) != self.version {
            return Err(IndexError::Version { found: word(8), expected: self.version });
        }
        if self.is_stored && word(12) != crc32fast::hash(rest) {
            return Err(corrupt("wrong checksum"));
        }
        let (n_payload, rest) = rest.split_first_chunk::<4>().ok_or(corrupt("it ends early"))?;
        let n_payload = u32::from_le_bytes(*n_payload) as usize;
        let (payload, tail) = rest.split_at_checked(n_payload).ok_or(corrupt("it ends early"))?;
        let (tail, []) = tail.as_chunks::<4>() else { return Err(corrupt("bytes left over")) };
        match postcard::take_from_bytes(payload) {
            Ok((value, [])) => Ok((value, tail)),
            Ok(_) => Err(corrupt("bytes left over")),
            Err(_) => Err(corrupt("wrong shape")),
        }
    }
}

/// The checksum that bytes bear: what stored bytes are told apart by. 0 where they are too short to have one.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    bytes.get(12..HEADER_LEN).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Appends numbers as a tail holds them.
pub(crate) fn push_numbers(bytes: &mut Vec<u8>, numbers: &[f32]) {
    let at = bytes.len();
    bytes.resize(at + size_of_val(numbers), 0);
    let (places, _) = bytes[at..].as_chunks_mut::<4>();
    places.iter_mut().zip(numbers).for_each(|(place, number)| *place = number.to_le_bytes());
}

/// The numbers of a tail.
pub fn numbers(tail: &[[u8; 4]]) -> Vec<f32> {
    tail.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STORED: Kind = Kind { magic: b"LECTTEST", version: 7, is_stored: true };
    const HANDED_OVER: Kind = Kind { magic: b"LECTJOB\0", version: 7, is_stored: false };

    #[test]
    fn a_wrong_version_is_named() {
        let mut bytes = STORED.encode(&1u32, 0, []);
        bytes[8] = 9;
        let error = STORED.decode::<u32>(&bytes).unwrap_err();
        assert_eq!(error, IndexError::Version { found: 9, expected: 7 });
    }

    #[test]
    fn one_kind_is_not_another() {
        let bytes = STORED.encode(&1u32, 0, []);
        assert_eq!(HANDED_OVER.decode::<u32>(&bytes).unwrap_err().code(), "index-corrupt");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(payload: (Vec<u32>, String, Option<u32>), vectors in prop::collection::vec([-1.0f32..1.0, -1.0f32..1.0], 0..9)) {
            for kind in [STORED, HANDED_OVER] {
                let bytes = kind.encode(&payload, 0, vectors.iter().map(|vector| &vector[..]));
                let (found, tail) = kind.decode::<(Vec<u32>, String, Option<u32>)>(&bytes).unwrap();
                prop_assert_eq!((found, numbers(tail)), (payload.clone(), vectors.concat()));
            }
        }
    }
}
