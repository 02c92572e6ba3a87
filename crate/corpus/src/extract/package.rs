//! The entries of a ZIP file, unpacked one at a time and within bounds.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{Read, Write},
};

use flate2::read::DeflateDecoder;
use rawzip::{
    CompressionMethod, DataDescriptorOutput, ZipArchive, ZipArchiveEntryWayfinder, ZipArchiveWriter,
    ZipFileHeaderRecord, ZipSliceArchive, path::EntryPath, zipcrypto::Decryptor,
};

use super::limits::{MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_TOTAL_BYTES};
use crate::{CorpusError, decode::decode};

/// Whether the bytes open like a ZIP file.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// An opened ZIP file.
pub(crate) struct Package<'a> {
    archive: ZipSliceArchive<Cow<'a, [u8]>>,
    entries: Vec<Entry>,
    /// Paths as they are written in the file, by entry.
    names: Vec<String>,
    /// Where each name stands in `names`; of equals, the last.
    by_name: HashMap<String, usize>,
    password: Option<&'a str>,
    /// Bytes unpacked so far, of all entries together.
    n_unpacked: usize,
}

/// Where an entry lies and how it is packed.
struct Entry {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    is_locked: bool,
}

impl<'a> Package<'a> {
    /// Opens a ZIP file by its list of entries; links to other files are left out.
    ///
    /// # Errors
    /// `file-damaged` where that list is missing or wrong, `file-too-large` for too many entries.
    pub fn open(bytes: impl Into<Cow<'a, [u8]>>, password: Option<&'a str>) -> Result<Self, CorpusError> {
        let archive = ZipArchive::from_slice(bytes.into()).map_err(|error| damaged(&error))?;
        let (mut entries, mut names) = (Vec::new(), Vec::new());
        let mut listed = archive.entries();
        while let Some(record) = listed.next_entry().map_err(|error| damaged(&error))? {
            if entries.len() >= MAX_ENTRIES {
                let reason = format!("it holds more than {MAX_ENTRIES} files");
                return Err(CorpusError::TooLarge { reason });
            }
            if !record.mode().is_symlink() {
                names.push(String::from_utf8_lossy(record.file_path().as_bytes()).into_owned());
                entries.push(entry(&record));
            }
        }
        let by_name = names.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        Ok(Self { archive, entries, names, by_name, password, n_unpacked: 0 })
    }

    /// The paths of the entries as they are written in the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Bytes unpacked so far.
    pub fn n_unpacked(&self) -> usize {
        self.n_unpacked
    }

    /// Tries the password on the first entry that is locked.
    ///
    /// # Errors
    /// `file-password` where it is missing or wrong, `file-unsupported` for a lock that is not opened here.
    pub fn unlock(&mut self) -> Result<(), CorpusError> {
        let Some(index) = self.entries.iter().position(|entry| entry.is_locked) else { return Ok(()) };
        match self.read_index(index) {
            Err(error @ (CorpusError::Password { .. } | CorpusError::Unsupported { .. })) => Err(error),
            _ => Ok(()),
        }
    }

    /// An entry as a ZIP file of its own, packed and locked as it is here.
    ///
    /// # Errors
    /// `file-damaged`.
    pub fn alone(&self, index: usize) -> Result<Vec<u8>, CorpusError> {
        let Some((entry, name)) = self.entries.get(index).zip(self.names.get(index)) else { return Ok(Vec::new()) };
        let local = self.archive.get_entry(entry.place).map_err(|error| damaged(&error))?;
        let claim = local.claim_verifier();
        let mut archive = ZipArchiveWriter::new(Vec::new());
        let builder = archive.new_file(EntryPath::verbatim(name.as_bytes())).compression_method(entry.method);
        let (mut alone, _) = builder.encrypted(entry.is_locked).start().map_err(|error| damaged(&error))?;
        alone.write_all(local.data()).map_err(|error| damaged(&error))?;
        let descriptor = DataDescriptorOutput::new(claim.crc, claim.uncompressed_size);
        alone.finish(descriptor).map_err(|error| damaged(&error))?;
        archive.finish().map_err(|error| damaged(&error))
    }

    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Unpacks an entry.
    ///
    /// # Errors
    /// `file-password` for a locked entry, `file-too-large` above the bounds, `file-damaged`.
    pub fn read_index(&mut self, index: usize) -> Result<Vec<u8>, CorpusError> {
        let Some(entry) = self.entries.get(index) else { return Ok(Vec::new()) };
        let local = self.archive.get_entry(entry.place).map_err(|error| damaged(&error))?;
        let packed: Box<dyn Read + '_> = match (entry.is_locked, self.password) {
            (false, _) => Box::new(local.data()),
            // No password would open it.
            (true, _) if entry.method == CompressionMethod::AES => {
                return Err(CorpusError::Unsupported { kind: "AES-locked Zip" });
            }
            (true, None) => return Err(CorpusError::Password { is_wrong: false }),
            (true, Some(password)) => {
                Box::new(Decryptor::new(local.data(), password.as_bytes()).map_err(|error| damaged(&error))?)
            }
        };
        let plain: Box<dyn Read + '_> = match entry.method {
            CompressionMethod::STORE => packed,
            CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed)),
            _ => return Err(CorpusError::Unsupported { kind: "Unusually packed Zip" }),
        };
        unpack(&mut local.verifying_reader(plain), &mut self.n_unpacked).map_err(|error| match error {
            // That a password is wrong shows in the content's checksum.
            CorpusError::Damaged { .. } if entry.is_locked => CorpusError::Password { is_wrong: true },
            error => error,
        })
    }

    /// Unpacks the entry of this name; `None` where there is none.
    ///
    /// # Errors
    /// Those of [`Package::read_index`].
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, CorpusError> {
        self.by_name.get(name).copied().map(|index| self.read_index(index)).transpose()
    }

    /// Unpacks the entry of this name as text: UTF-8 as it stands, anything else as far as it can be told.
    ///
    /// # Errors
    /// Those of [`Package::read_index`], and `file-damaged` where it is not text.
    pub fn read_text(&mut self, name: &str) -> Result<Option<String>, CorpusError> {
        let Some(bytes) = self.read(name)? else {
            return Ok(None);
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => match decode(error.as_bytes()) {
                Ok(decoded) => Ok(Some(decoded.text)),
                Err(_) => Err(CorpusError::Damaged { reason: format!("{name} is not text") }),
            },
        }
    }
}

/// Reads an entry to its end, counting bytes as they come: what its header claims is not asked.
fn unpack(entry: &mut dyn Read, n_unpacked: &mut usize) -> Result<Vec<u8>, CorpusError> {
    let mut content = Vec::new();
    let read = entry.take(MAX_ENTRY_BYTES as u64 + 1).read_to_end(&mut content);
    *n_unpacked += content.len();
    let too_large = |what: &str, limit: usize| {
        Err(CorpusError::TooLarge { reason: format!("{what} unpacks to more than {} MB", limit >> 20) })
    };
    if content.len() > MAX_ENTRY_BYTES {
        return too_large("a part of it", MAX_ENTRY_BYTES);
    }
    if *n_unpacked > MAX_TOTAL_BYTES {
        return too_large("it", MAX_TOTAL_BYTES);
    }
    match read {
        Ok(_) => Ok(content),
        Err(error) => Err(CorpusError::Damaged { reason: format!("a part of it cannot be unpacked: {error}") }),
    }
}

fn entry(record: &ZipFileHeaderRecord<'_>) -> Entry {
    Entry { place: record.wayfinder(), method: record.compression_method(), is_locked: record.flags().is_encrypted() }
}

fn damaged(error: &dyn std::fmt::Display) -> CorpusError {
    CorpusError::Damaged { reason: error.to_string() }
}

#[cfg(test)]
pub(crate) mod tests {
    use flate2::{Compression, write::DeflateEncoder};
    use rawzip::zipcrypto::Encryptor;

    use super::*;

    /// A ZIP file of these entries.
    pub fn pack(entries: &[(&str, &str)]) -> Vec<u8> {
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
        pack_bytes(&entries)
    }

    pub fn pack_bytes(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = ZipArchiveWriter::new(Vec::new());
        for (name, content) in entries {
            let builder =
                archive.new_file(EntryPath::verbatim(name.as_bytes())).compression_method(CompressionMethod::DEFLATE);
            let (mut entry, config) = builder.start().unwrap();
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::fast()));
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap()
    }

    /// A ZIP file of entries that are locked, each by the password behind it.
    pub fn pack_locked(entries: &[(&str, &[u8], &str)]) -> Vec<u8> {
        let mut archive = ZipArchiveWriter::new(Vec::new());
        for (name, content, password) in entries {
            let builder = archive.new_file(*name).compression_method(CompressionMethod::DEFLATE).encrypted(true);
            let (mut entry, config) = builder.start().unwrap();
            let lock = Encryptor::new(&mut entry, password.as_bytes(), [7; 11], 0).unwrap();
            let mut writer = config.wrap(DeflateEncoder::new(lock, Compression::fast()));
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap()
    }

    /// A ZIP file of one entry that is locked as newer programs do it.
    pub fn pack_aes(name: &str) -> Vec<u8> {
        let mut archive = ZipArchiveWriter::new(Vec::new());
        let builder = archive.new_file(name).compression_method(CompressionMethod::AES).encrypted(true);
        let (mut entry, _) = builder.start().unwrap();
        entry.write_all(&[9; 40]).unwrap();
        entry.finish(DataDescriptorOutput::new(0, 12)).unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn what_a_header_claims_is_not_believed() {
        let bytes = pack(&[("a", &"x".repeat(MAX_ENTRY_BYTES + 1)), ("b", "small")]);
        let mut package = Package::open(&bytes[..], None).unwrap();
        assert_eq!(package.read("a").unwrap_err().code(), "file-too-large");
        assert_eq!(package.read("b").unwrap().unwrap(), b"small");
        let mut lying = bytes.clone();
        let size = ((MAX_ENTRY_BYTES + 1) as u32).to_le_bytes();
        while let Some(at) = lying.windows(4).position(|window| window == size) {
            lying[at..at + 4].copy_from_slice(&9u32.to_le_bytes());
        }
        assert!(Package::open(&lying[..], None).and_then(|mut package| package.read("a")).is_err());
    }
}
