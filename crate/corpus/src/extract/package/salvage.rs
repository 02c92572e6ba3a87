//! What can be read of a ZIP file whose end, where its list of entries stands, is missing.

use flate2::bufread::DeflateDecoder;

use super::{MAX_ENTRIES, unpack};

const SIGNATURE: &[u8] = b"PK\x03\x04";
/// Bytes of an entry's own header before its name.
const HEADER_BYTES: usize = 30;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Flags of locked entries and of those whose sizes follow their content.
const IS_LOCKED: u16 = 1;
const HAS_DESCRIPTOR: u16 = 8;
/// Bytes of sizes and checksum after an entry's content, at most.
const MAX_DESCRIPTOR_BYTES: usize = 24;

/// The names and contents of the entries that stand whole one after another from the start.
pub(super) fn whole_entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let (mut at, mut n_unpacked) = (0, 0);
    while found.len() < MAX_ENTRIES
        && let Some((entry, end)) = entry(bytes, at, &mut n_unpacked)
    {
        found.push(entry);
        at = end;
    }
    found
}

/// The entry that starts at `at`, and where the next one does.
fn entry(bytes: &[u8], at: usize, n_unpacked: &mut usize) -> Option<((String, Vec<u8>), usize)> {
    let header = bytes.get(at..at + HEADER_BYTES).filter(|header| header.starts_with(SIGNATURE))?;
    let short = |i: usize| u16::from_le_bytes([header[i], header[i + 1]]);
    let long = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    let (flags, method, checksum, n_packed) = (short(6), short(8), long(14), long(18) as usize);
    let name_start = at + HEADER_BYTES;
    let name_end = name_start + usize::from(short(26));
    let start = name_end + usize::from(short(28));
    let name = String::from_utf8_lossy(bytes.get(name_start..name_end)?).into_owned();
    let has_descriptor = flags & HAS_DESCRIPTOR != 0;
    let packed = if has_descriptor { bytes.get(start..)? } else { bytes.get(start..start.checked_add(n_packed)?)? };
    let (content, n_packed) = match method {
        _ if flags & IS_LOCKED != 0 => return None,
        STORED if !has_descriptor => (unpack(&mut &*packed, n_unpacked).ok()?, packed.len()),
        DEFLATED => {
            let mut reader = DeflateDecoder::new(packed);
            let content = unpack(&mut reader, n_unpacked).ok()?;
            (content, usize::try_from(reader.total_in()).ok()?)
        }
        _ => return None,
    };
    let end = start + n_packed;
    if !has_descriptor {
        return (rawzip::crc32(&content) == checksum).then_some(((name, content), end));
    }
    let after = &bytes[end..bytes.len().min(end + MAX_DESCRIPTOR_BYTES + SIGNATURE.len())];
    let n_after = after.windows(SIGNATURE.len()).position(|window| window == SIGNATURE).unwrap_or(after.len());
    Some(((name, content), end + n_after))
}
