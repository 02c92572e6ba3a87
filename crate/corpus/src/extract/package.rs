//! The entries of a ZIP file, unpacked one at a time and within bounds.

use std::{
    borrow::Cow,
    io::{Cursor, Read},
};

use zip::{ZipArchive, read::ZipReadOptions, result::ZipError};

use super::limits::{MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_TOTAL_BYTES};
use crate::{CorpusError, decode::decode};

/// Whether the bytes open like a ZIP file.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// An opened ZIP file.
pub(crate) struct Package<'a> {
    entries: Entries<'a>,
    password: Option<&'a str>,
    /// Bytes unpacked so far, of all entries together.
    n_unpacked: usize,
}

enum Entries<'a> {
    Listed(ZipArchive<Cursor<Cow<'a, [u8]>>>),
    /// What stands whole before the place where a file without its list of entries breaks off.
    Salvaged(Vec<(String, Vec<u8>)>),
}

impl<'a> Package<'a> {
    /// Opens a ZIP file by its list of entries.
    ///
    /// # Errors
    /// `file-damaged` where that list is missing or wrong, `file-too-large` for too many entries.
    pub fn open(bytes: impl Into<Cow<'a, [u8]>>, password: Option<&'a str>) -> Result<Self, CorpusError> {
        let archive = ZipArchive::new(Cursor::new(bytes.into())).map_err(|error| refusal(&error, password))?;
        if archive.len() > MAX_ENTRIES {
            let reason = format!("it holds {} files, {MAX_ENTRIES} are read", archive.len());
            return Err(CorpusError::TooLarge { reason });
        }
        Ok(Self { entries: Entries::Listed(archive), password, n_unpacked: 0 })
    }

    /// Opens a ZIP file that may break off: without a list of entries, those that are whole are read in order.
    ///
    /// # Errors
    /// Those of [`Package::open`], where not one entry is whole.
    pub fn open_or_salvage(bytes: &'a [u8]) -> Result<Self, CorpusError> {
        match Self::open(bytes, None) {
            Err(error @ CorpusError::Damaged { .. }) => Self::salvage(bytes).ok_or(error),
            opened => opened,
        }
    }

    fn salvage(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Cursor::new(bytes);
        let mut found = Vec::new();
        let mut n_unpacked = 0;
        while let Ok(Some(mut entry)) = zip::read::read_zipfile_from_stream(&mut rest) {
            let name = entry.name().ok()?.into_owned();
            let Ok(content) = unpack(&mut entry, &mut n_unpacked) else {
                break;
            };
            found.push((name, content));
            if found.len() > MAX_ENTRIES {
                break;
            }
        }
        (!found.is_empty()).then_some(Self { entries: Entries::Salvaged(found), password: None, n_unpacked })
    }

    /// Whether the file broke off, so that entries may be missing.
    pub fn is_salvaged(&self) -> bool {
        matches!(self.entries, Entries::Salvaged(_))
    }

    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::Listed(archive) => archive.len(),
            Entries::Salvaged(found) => found.len(),
        }
    }

    /// The path of an entry as it is written in the file; `None` where it is no text.
    pub fn name(&self, index: usize) -> Option<String> {
        match &self.entries {
            Entries::Listed(archive) => archive.name_for_index(index)?.ok().map(|name| name.into_owned()),
            Entries::Salvaged(found) => found.get(index).map(|(name, _)| name.clone()),
        }
    }

    /// Bytes unpacked so far.
    pub fn n_unpacked(&self) -> usize {
        self.n_unpacked
    }

    pub fn is_locked(&self, index: usize) -> bool {
        match &self.entries {
            Entries::Listed(archive) => archive.by_index_data(index).is_ok_and(|entry| entry.encrypted()),
            Entries::Salvaged(_) => false,
        }
    }

    /// Tries the password on a locked entry without unpacking it.
    ///
    /// # Errors
    /// `file-password` where it is missing or wrong, `file-unsupported` for locks that are not opened here.
    pub fn check_password(&mut self, index: usize) -> Result<(), CorpusError> {
        let password = self.password;
        match &mut self.entries {
            Entries::Listed(archive) => {
                let options = ZipReadOptions::new().password(password.map(str::as_bytes));
                archive.by_index_with_options(index, options).map_err(|error| refusal(&error, password))?;
                Ok(())
            }
            Entries::Salvaged(_) => Ok(()),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.index(name).is_some()
    }

    fn index(&self, name: &str) -> Option<usize> {
        match &self.entries {
            Entries::Listed(archive) => archive.index_for_name(name),
            Entries::Salvaged(found) => found.iter().position(|(other, _)| other == name),
        }
    }

    /// Unpacks an entry.
    ///
    /// # Errors
    /// `file-password` for a locked entry, `file-too-large` above the bounds, `file-damaged`.
    pub fn read_index(&mut self, index: usize) -> Result<Vec<u8>, CorpusError> {
        match &mut self.entries {
            Entries::Salvaged(found) => Ok(found.get(index).map(|(_, content)| content.clone()).unwrap_or_default()),
            Entries::Listed(archive) => {
                let options = ZipReadOptions::new().password(self.password.map(str::as_bytes));
                let mut entry =
                    archive.by_index_with_options(index, options).map_err(|error| refusal(&error, self.password))?;
                let is_locked = entry.encrypted();
                unpack(&mut entry, &mut self.n_unpacked).map_err(|error| match error {
                    // A wrong password passes the entry's own test one time in 256, and shows here.
                    CorpusError::Damaged { .. } if is_locked => CorpusError::Password { is_wrong: true },
                    error => error,
                })
            }
        }
    }

    /// Unpacks the entry of this name; `None` where there is none.
    ///
    /// # Errors
    /// Those of [`Package::read_index`].
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, CorpusError> {
        self.index(name).map(|index| self.read_index(index)).transpose()
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

fn refusal(error: &ZipError, password: Option<&str>) -> CorpusError {
    match error {
        ZipError::InvalidPassword => CorpusError::Password { is_wrong: password.is_some() },
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => CorpusError::Password { is_wrong: false },
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            CorpusError::Unsupported { kind: "Zip files packed or locked in an uncommon way" }
        }
        error => CorpusError::Damaged { reason: error.to_string() },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// A ZIP file of these entries.
    pub fn pack(entries: &[(&str, &str)]) -> Vec<u8> {
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
        pack_bytes(&entries)
    }

    pub fn pack_bytes(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// A ZIP file of one entry that a password locks.
    pub fn pack_locked(name: &str, content: &[u8], password: &[u8]) -> Vec<u8> {
        use zip::unstable::write::FileOptionsExt;
        let options = SimpleFileOptions::default().with_deprecated_encryption(password).unwrap();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().into_inner()
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
