//! What is whole of a ZIP file whose end, and with it the list of what it holds, is missing.

use std::io::{Read, Write};

use flate2::{Crc, read::DeflateDecoder};
use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter, path::EntryPath};

use super::limits::{MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_TOTAL_BYTES};

const HEADER: &[u8] = b"PK\x03\x04";
const HEADER_LEN: usize = 30;
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// Flags of an entry.
const LOCKED: u16 = 1;
/// Its sizes stand behind it.
const DESCRIBED: u16 = 1 << 3;

/// The whole entries of a ZIP file, up to the first that is not, as a ZIP file of their own; `None` without one.
pub(crate) fn salvaged(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let (mut rest, mut n_entries, mut n_unpacked) = (bytes, 0, 0);
    while let Some((entry, behind)) = Entry::first_of(rest, &mut n_unpacked) {
        rest = behind;
        let builder = archive.new_file(EntryPath::verbatim(entry.name)).compression_method(entry.method);
        let (mut copy, _) = builder.encrypted(entry.is_locked).start().ok()?;
        copy.write_all(entry.packed).ok()?;
        copy.finish(DataDescriptorOutput::new(entry.crc, entry.n_bytes)).ok()?;
        n_entries += 1;
        if n_entries == MAX_ENTRIES {
            break;
        }
    }
    (n_entries > 0).then(|| archive.finish().ok()).flatten()
}

struct Entry<'a> {
    name: &'a [u8],
    method: CompressionMethod,
    is_locked: bool,
    packed: &'a [u8],
    crc: u32,
    /// Unpacked.
    n_bytes: u64,
}

impl<'a> Entry<'a> {
    /// The entry at the beginning of `bytes`, and what is behind it; `None` where there is none or its end is missing.
    /// Entries that say nowhere how long they are are unpacked, all of them together to no more than an archive may.
    fn first_of(bytes: &'a [u8], n_unpacked: &mut usize) -> Option<(Self, &'a [u8])> {
        let header = bytes.get(..HEADER_LEN).filter(|header| header.starts_with(HEADER))?;
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from(short(at)) | u32::from(short(at + 2)) << 16;
        let (flags, method) = (short(6), short(8));
        let (name, behind) = bytes[HEADER_LEN..].split_at_checked(usize::from(short(26)))?;
        let behind = behind.get(usize::from(short(28))..)?;
        let is_locked = flags & LOCKED != 0;
        let (n_packed, crc, n_bytes, n_behind) = if flags & DESCRIBED == 0 {
            (long(18) as usize, long(14), u64::from(long(22)), 0)
        } else if method == 8 && !is_locked {
            let mut packed = DeflateDecoder::new(behind);
            let (crc, n_bytes) = summed(&mut packed, MAX_TOTAL_BYTES.checked_sub(*n_unpacked)?.min(MAX_ENTRY_BYTES))?;
            *n_unpacked += n_bytes;
            let n_packed = usize::try_from(packed.total_in()).ok()?;
            (n_packed, crc, n_bytes as u64, descriptor_len(behind.get(n_packed..)?))
        } else {
            return None;
        };
        let (packed, behind) = behind.split_at_checked(n_packed)?;
        let method = CompressionMethod::from(method);
        Some((Self { name, method, is_locked, packed, crc, n_bytes }, behind.get(n_behind..)?))
    }
}

/// The checksum and the length of what is read; `None` where it breaks off or is longer than `max`.
fn summed(packed: &mut dyn Read, max: usize) -> Option<(u32, usize)> {
    let (mut crc, mut n_bytes, mut buffer) = (Crc::new(), 0, [0; 8192]);
    loop {
        match packed.read(&mut buffer).ok()? {
            0 => return Some((crc.sum(), n_bytes)),
            n => {
                crc.update(&buffer[..n]);
                n_bytes += n;
            }
        }
        if n_bytes > max {
            return None;
        }
    }
}

/// Bytes of the sizes behind an entry, with or without their mark, of 4 or 8 bytes each; all where no entry follows.
fn descriptor_len(bytes: &[u8]) -> usize {
    let n_mark = if bytes.starts_with(DESCRIPTOR) { DESCRIPTOR.len() } else { 0 };
    let ends = |n: &usize| bytes.get(*n..).is_some_and(|behind| behind.starts_with(HEADER));
    [n_mark + 12, n_mark + 20].into_iter().find(ends).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Package, pack_bytes};

    #[test]
    fn whole_entries_are_saved_wherever_the_end_is_missing() {
        let files: [(&str, &[u8]); 3] = [("a.md", b"The first."), ("b/", b""), ("b/c.md", &[b'x'; 5000])];
        let bytes = pack_bytes(&files);
        let mut most = 0;
        for len in 0..bytes.len() {
            let Some(saved) = salvaged(&bytes[..len]) else {
                assert_eq!(most, 0, "nothing at {len}");
                continue;
            };
            let mut package = Package::open(saved, None).unwrap();
            let n = package.names().len();
            assert!(n >= most);
            most = n;
            for (index, (name, content)) in files.iter().take(n).enumerate() {
                assert_eq!(package.names()[index], *name);
                assert_eq!(package.read_index(index).unwrap(), *content);
            }
        }
        assert_eq!(most, files.len());
    }

    /// As many programs write them: the sizes first.
    #[test]
    fn entries_that_say_how_long_they_are_need_no_unpacking() {
        let mut bytes = Vec::new();
        for name in [b"a", b"b"] {
            bytes.extend(HEADER);
            bytes.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let mut crc = Crc::new();
            crc.update(b"text");
            [crc.sum(), 4, 4].iter().for_each(|n: &u32| bytes.extend(n.to_le_bytes()));
            bytes.extend([1, 0, 0, 0, name[0]]);
            bytes.extend(b"text");
        }
        let names = |bytes: &[u8]| salvaged(bytes).map(|saved| Package::open(saved, None).unwrap().names().to_vec());
        assert_eq!(names(&bytes).unwrap(), ["a", "b"]);
        assert_eq!(names(&bytes[..bytes.len() - 1]).unwrap(), ["a"]);
        assert_eq!(names(&bytes[..30]), None);
        assert_eq!(names(b"PK\x03\x04 and nothing more"), None);
    }
}
