//! Decoding of streams within bounds: a few kilobytes can hold gigabytes of zeros.

use std::borrow::Cow;

use hayro_syntax::{Filter, object::Stream};
use miniz_oxide::inflate::{
    DecompressError, TINFLStatus, decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit,
};

/// The most bytes that one stream may decode to.
pub(super) const MAX_STREAM_BYTES: usize = 64 << 20;
/// The most bytes that all streams of a document may decode to.
const MAX_TOTAL_BYTES: usize = 512 << 20;
/// More filters over one stream are no document's.
const MAX_FILTERS: usize = 4;

/// Why a stream gives no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its data are damaged, or those of a picture.
    Broken,
    /// It would decode to more than is allowed.
    TooLarge,
}

/// Decoded bytes that a document has left.
#[derive(Debug)]
pub(super) struct Budget {
    n_left: usize,
    /// Streams of which only a beginning could be read.
    pub n_damaged: usize,
    /// A stream was refused since it would decode to too much.
    pub is_exceeded: bool,
}

impl Budget {
    pub fn new() -> Self {
        Self { n_left: MAX_TOTAL_BYTES, n_damaged: 0, is_exceeded: false }
    }

    /// The stream's bytes with all filters undone; of damaged data, those before the damage.
    ///
    /// # Errors
    /// [`Failure`]; the budget is then spent by what was decoded until then.
    pub fn decode<'a>(&mut self, stream: &Stream<'a>) -> Result<Cow<'a, [u8]>, Failure> {
        let mut is_damaged = false;
        let decoded = decode(stream, self.n_left.min(MAX_STREAM_BYTES), &mut is_damaged);
        self.n_damaged += usize::from(is_damaged);
        let n_spent = match &decoded {
            Ok(bytes) => bytes.len(),
            Err(Failure::TooLarge) => self.n_left.min(MAX_STREAM_BYTES),
            Err(Failure::Broken) => 0,
        };
        self.n_left -= n_spent;
        self.is_exceeded |= matches!(decoded, Err(Failure::TooLarge));
        decoded
    }

    /// Whether the stream decodes within the bounds. It is charged for, since a library then decodes it again.
    pub fn allows(&mut self, stream: &Stream<'_>) -> bool {
        self.decode(stream) != Err(Failure::TooLarge)
    }
}

fn decode<'a>(stream: &Stream<'a>, limit: usize, is_damaged: &mut bool) -> Result<Cow<'a, [u8]>, Failure> {
    let filters = stream.filters();
    if filters.len() > MAX_FILTERS {
        return Err(Failure::TooLarge);
    }
    let mut data = stream.raw_data();
    for (i, filter) in filters.iter().enumerate() {
        data = Cow::Owned(match filter {
            Filter::FlateDecode => {
                let (bytes, is_whole) = inflate(&data, limit)?;
                *is_damaged |= !is_whole;
                bytes
            }
            Filter::LzwDecode => unpack_lzw(&data, limit)?,
            Filter::Ascii85Decode => unpack_ascii85(&data, limit)?,
            Filter::AsciiHexDecode => unpack_hex(&data),
            Filter::RunLengthDecode => unpack_run_lengths(&data, limit)?,
            Filter::Crypt if i == 0 => continue,
            _ => return Err(Failure::Broken),
        });
    }
    let has_parameters = ["DecodeParms", "DP"].iter().any(|key| stream.dict().contains_key(key));
    if has_parameters && !filters.is_empty() {
        // Predictors never lengthen their data, so what is known to fit may be decoded without a bound.
        return stream.decoded_data().map_err(|_| Failure::Broken);
    }
    Ok(data)
}

/// zlib data, or bare deflate data where the header is missing; and whether that was all of it.
pub(super) fn inflate(data: &[u8], limit: usize) -> Result<(Vec<u8>, bool), Failure> {
    let zlib = settle(decompress_to_vec_zlib_with_limit(data, limit))?;
    if zlib.0.is_empty() && !zlib.1 { settle(decompress_to_vec_with_limit(data, limit)) } else { Ok(zlib) }
}

fn settle(result: Result<Vec<u8>, DecompressError>) -> Result<(Vec<u8>, bool), Failure> {
    match result {
        Ok(bytes) => Ok((bytes, true)),
        Err(error) if error.status == TINFLStatus::HasMoreOutput => Err(Failure::TooLarge),
        // A wrong checksum at the end is common and harmless.
        Err(error) => Ok((error.output, error.status == TINFLStatus::Adler32Mismatch)),
    }
}

fn unpack_hex(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 2);
    let mut high = None;
    for &byte in data.iter().take_while(|&&byte| byte != b'>') {
        let Some(digit) = char::from(byte).to_digit(16) else {
            continue;
        };
        match high.take() {
            None => high = Some(digit),
            Some(high) => out.push((high * 16 + digit) as u8),
        }
    }
    out.extend(high.map(|high| (high * 16) as u8));
    out
}

fn unpack_ascii85(data: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let (mut value, mut n_digits) = (0u32, 0);
    for &byte in data.iter().take_while(|&&byte| byte != b'~') {
        match byte {
            b'z' if n_digits == 0 => out.extend([0; 4]),
            b'!'..=b'u' => {
                value = value.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                n_digits += 1;
                if n_digits == 5 {
                    out.extend(value.to_be_bytes());
                    (value, n_digits) = (0, 0);
                }
            }
            _ => {}
        }
        if out.len() > limit {
            return Err(Failure::TooLarge);
        }
    }
    if n_digits > 1 {
        for _ in n_digits..5 {
            value = value.wrapping_mul(85).wrapping_add(84);
        }
        out.extend(&value.to_be_bytes()[..n_digits - 1]);
    }
    Ok(out)
}

fn unpack_run_lengths(data: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut rest = data;
    while let Some((&n, tail)) = rest.split_first() {
        let n = usize::from(n);
        match n {
            0..=127 => {
                let (run, tail) = tail.split_at((n + 1).min(tail.len()));
                out.extend_from_slice(run);
                rest = tail;
            }
            128 => break,
            _ => {
                let Some((&byte, tail)) = tail.split_first() else {
                    break;
                };
                out.resize(out.len() + 257 - n, byte);
                rest = tail;
            }
        }
        if out.len() > limit {
            return Err(Failure::TooLarge);
        }
    }
    Ok(out)
}

/// LZW as in TIFF: codes of 9 to 12 bits, high bit first, one bit more one code early.
fn unpack_lzw(data: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut out: Vec<u8> = Vec::new();
    // Where each entry from 258 on lies in `out`.
    let mut entries: Vec<(usize, usize)> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let (mut bits, mut n_bits) = (0u32, 0);
    let mut width = 9;
    for &byte in data {
        bits = bits << 8 | u32::from(byte);
        n_bits += 8;
        if n_bits < width {
            continue;
        }
        n_bits -= width;
        let code = (bits >> n_bits) as usize & ((1 << width) - 1);
        let start = out.len();
        match code {
            CLEAR => {
                entries.clear();
                last = None;
                width = 9;
                continue;
            }
            END => break,
            0..CLEAR => out.push(code as u8),
            _ => match (entries.get(code - 258), last) {
                (Some(&(from, n)), _) => out.extend_from_within(from..from + n),
                (None, Some((from, n))) if code - 258 == entries.len() => {
                    out.extend_from_within(from..from + n);
                    out.push(out[from]);
                }
                _ => break,
            },
        }
        if let Some((from, n)) = last
            && entries.len() < 4096 - 258
        {
            // The entry is the last one and the first byte of this one, which follows it in `out`.
            entries.push((from, n + 1));
        }
        last = Some((start, out.len() - start));
        width = match entries.len() + 258 + 1 {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        if out.len() > limit {
            return Err(Failure::TooLarge);
        }
    }
    Ok(out)
}
