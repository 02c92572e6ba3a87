//! A model's file on its way in.

use lectern_model::{Gguf, GgufStream, ModelError};
use sha2::{Digest, Sha256};

use crate::session::ModelInfo;

/// Who holds the file's bytes against its SHA-256.
pub enum Hash {
    /// Whoever brings them has done it, against this one.
    Checked(String),
    /// This side does, against what is expected, if anything is.
    Unchecked { expected: Option<String> },
}

/// A model's file that comes in pieces; its weights are packed as they come, so that they are held once.
pub struct ModelFile {
    stream: GgufStream,
    hash: Hash,
    hasher: Sha256,
    n_bytes: usize,
}

/// A whole file whose hash is known.
pub(crate) struct WholeFile {
    pub gguf: Gguf,
    pub n_bytes: usize,
    /// In hexadecimal.
    pub sha256: String,
}

impl ModelFile {
    /// For a file of `n_bytes`.
    pub fn new(n_bytes: usize, hash: Hash) -> Self {
        Self { stream: GgufStream::new(n_bytes), hash, hasher: Sha256::new(), n_bytes }
    }

    /// A file that is in memory.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn read(bytes: &[u8], sha256: Option<&str>) -> Result<Self, ModelError> {
        let mut file = Self::new(bytes.len(), Hash::Unchecked { expected: sha256.map(str::to_owned) });
        file.push(bytes)?;
        Ok(file)
    }

    /// Takes the next bytes; they may end anywhere.
    ///
    /// # Errors
    /// As [`GgufStream::push`]; the file is then of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        if matches!(self.hash, Hash::Unchecked { .. }) {
            self.hasher.update(bytes);
        }
        self.stream.push(bytes)
    }

    /// As [`GgufStream::outline`].
    pub(crate) fn outline(&self) -> Option<Gguf> {
        self.stream.outline()
    }

    /// # Errors
    /// `model-hash-mismatch`, `model-truncated`.
    pub(crate) fn finish(self) -> Result<WholeFile, ModelError> {
        let sha256 = match self.hash {
            Hash::Checked(sha256) => sha256.to_lowercase(),
            Hash::Unchecked { expected } => {
                let found = format!("{:x}", self.hasher.finalize());
                if let Some(expected) = expected.filter(|expected| !expected.eq_ignore_ascii_case(&found)) {
                    return Err(ModelError::HashMismatch { expected, found });
                }
                found
            }
        };
        Ok(WholeFile { gguf: self.stream.finish()?, n_bytes: self.n_bytes, sha256 })
    }
}

/// What is said of a model of `n_layers` that reads `n_ctx` positions.
pub(crate) fn model_info(file: WholeFile, n_layers: usize, n_ctx: usize) -> ModelInfo {
    let WholeFile { gguf, n_bytes, sha256 } = file;
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for tensor in gguf.tensors() {
        let name = tensor.kind.name();
        match kinds.iter_mut().find(|(kind, _)| *kind == name) {
            Some((_, n)) => *n += tensor.range.len(),
            None => kinds.push((name, tensor.range.len())),
        }
    }
    let text = |key: &str| gguf.str(key).unwrap_or_default().to_owned();
    ModelInfo {
        name: text("general.name"),
        architecture: text("general.architecture"),
        n_layers,
        n_ctx,
        n_bytes,
        quantization: kinds.into_iter().max_by_key(|(_, n)| *n).map_or_else(String::new, |(kind, _)| kind.to_owned()),
        sha256,
    }
}
