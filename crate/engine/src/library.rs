//! The pages a person laid down: texts, passages and their index, and the file that holds them.

use lectern_corpus::{Document, Format, Section, Span};
use lectern_index::{ChunkId, Entry, Index, Language};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::EngineError;

const MAGIC: &[u8; 8] = b"LECTERN\0";
const VERSION: u32 = 2;

/// A file or page, read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    pub id: u32,
    pub name: String,
    pub title: Option<String>,
    pub format: Format,
    /// Bytes of the file.
    pub n_bytes: usize,
    /// The extracted text that spans refer to.
    pub text: String,
    pub sections: Vec<Section>,
    /// Where each page begins in `text`; empty where the format has no pages.
    pub pages: Vec<usize>,
    pub warnings: Vec<String>,
    pub chunks: Vec<ChunkId>,
}

/// What is said of a source without its text.
#[derive(Clone, Debug, Serialize)]
pub struct SourceInfo {
    pub id: u32,
    pub name: String,
    pub format: Format,
    pub title: Option<String>,
    pub n_bytes: usize,
    pub n_chunks: usize,
    pub warnings: Vec<String>,
}

/// A passage: a span of a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Passage {
    pub source_id: u32,
    pub span: Span,
    pub headings: Vec<String>,
}

/// A page that was read, cut and embedded: passages, what they are found by and their vectors go together.
pub struct Read<'a> {
    pub name: String,
    /// Bytes of the file.
    pub n_bytes: usize,
    pub document: Document,
    pub passages: Vec<(Span, Vec<String>)>,
    /// By passage: its text under its headings.
    pub texts: &'a [String],
    /// By passage: what it is called.
    pub names: &'a [String],
    /// By passage, of unit length.
    pub vectors: &'a [Vec<f32>],
}

/// Sources indexed together.
#[derive(Default)]
pub struct Library {
    sources: Vec<Source>,
    /// By [`ChunkId`], those of removed sources included.
    passages: Vec<Passage>,
    index: Option<Index>,
    next_id: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    sources: Vec<Source>,
    passages: Vec<Passage>,
    index: Option<Vec<u8>>,
    next_id: u32,
}

impl Library {
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// # Errors
    /// `source-unknown`.
    pub fn source(&self, id: u32) -> Result<&Source, EngineError> {
        self.sources.iter().find(|s| s.id == id).ok_or(EngineError::SourceUnknown(id))
    }

    pub fn passage(&self, chunk: ChunkId) -> Option<(&Source, &Passage)> {
        let passage = self.passages.get(chunk as usize)?;
        Some((self.source(passage.source_id).ok()?, passage))
    }

    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    pub fn index_mut(&mut self) -> Option<&mut Index> {
        self.index.as_mut()
    }

    /// Adds a page.
    ///
    /// # Errors
    /// `index-dimension`, `index-model-mismatch`.
    pub fn add(&mut self, read: Read<'_>, model_hash: &str) -> Result<SourceInfo, EngineError> {
        let Read { name, n_bytes, document, passages, texts, names, vectors } = read;
        let n_dims = vectors.first().map_or(0, Vec::len);
        let index = self.index.get_or_insert_with(|| Index::new(n_dims, model_hash));
        index.check_model(model_hash)?;
        let id = self.next_id;
        let mut chunks = Vec::with_capacity(passages.len());
        let language = Language::from_code(document.language.as_deref());
        for ((((span, headings), text), names), vector) in passages.into_iter().zip(texts).zip(names).zip(vectors) {
            chunks.push(index.add(&Entry { text, names, language, vector })?);
            self.passages.push(Passage { source_id: id, span, headings });
        }
        self.next_id += 1;
        self.sources.push(Source {
            id,
            name,
            title: document.title,
            format: document.format,
            n_bytes,
            text: document.text,
            sections: document.sections,
            pages: document.pages,
            warnings: document.warnings,
            chunks,
        });
        Ok(self.sources[self.sources.len() - 1].info())
    }

    /// # Errors
    /// `source-unknown`.
    pub fn remove(&mut self, id: u32) -> Result<(), EngineError> {
        let at = self.sources.iter().position(|s| s.id == id).ok_or(EngineError::SourceUnknown(id))?;
        let source = self.sources.remove(at);
        if let Some(index) = &mut self.index {
            index.remove(&source.chunks);
        }
        if self.sources.is_empty() {
            *self = Self { next_id: self.next_id, ..Self::default() };
        }
        Ok(())
    }

    /// The whole collection as one file: magic, version, SHA-256 of the rest, the rest.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EngineError> {
        let stored = Stored {
            sources: self.sources.clone(),
            passages: self.passages.clone(),
            index: self.index.as_ref().map(Index::to_bytes),
            next_id: self.next_id,
        };
        let body = postcard::to_allocvec(&stored).map_err(|e| EngineError::Collection(e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(Sha256::digest(&body));
        bytes.extend(body);
        Ok(bytes)
    }

    /// # Errors
    /// `collection-invalid` for another or a damaged file, `index-…` for its index.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let fail = |why: &str| EngineError::Collection(why.to_owned());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| fail("it is not a collection of this program"))?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| fail("it ends early"))?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err(fail("it was written by another version of this program"));
        }
        let (hash, body) = rest.split_first_chunk::<32>().ok_or_else(|| fail("it ends early"))?;
        if Sha256::digest(body).as_slice() != hash {
            return Err(fail("it is damaged"));
        }
        let stored: Stored = postcard::from_bytes(body).map_err(|e| fail(&e.to_string()))?;
        let index = stored.index.as_deref().map(Index::from_bytes).transpose()?;
        if index.as_ref().map_or(0, Index::n_chunks) != stored.passages.len() {
            return Err(fail("its index and its pages do not belong together"));
        }
        Ok(Self { sources: stored.sources, passages: stored.passages, index, next_id: stored.next_id })
    }
}

impl Source {
    /// The number of the page that holds the byte at `at` of the text, from 1 on.
    pub fn page(&self, at: usize) -> Option<u32> {
        let number = self.pages.partition_point(|&start| start <= at);
        (number > 0).then_some(number as u32)
    }

    pub fn info(&self) -> SourceInfo {
        SourceInfo {
            id: self.id,
            name: self.name.clone(),
            format: self.format,
            title: self.title.clone(),
            n_bytes: self.n_bytes,
            n_chunks: self.chunks.len(),
            warnings: self.warnings.clone(),
        }
    }
}
