//! The pages a person laid down: texts, passages and their index, and how they are stored.
//!
//! A page is stored by itself, with the vectors of its passages, so that one that is damaged takes no other with it;
//! a graph over many of them likewise. A collection file is all of them, one after the other.

use std::collections::HashMap;
use std::ops::Range;

use lectern_corpus::{Document, Format, Section, Span};
use lectern_index::{ChunkId, Entry, Index, IndexError, Language, format};
use lectern_model::host::Host;
use lectern_model::pace::Pace;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::EngineError;
use crate::stored::{self, PAGE};

/// A file or page, read and cut into passages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The same for the same name and text.
    pub id: u32,
    pub name: String,
    pub title: Option<String>,
    pub format: Format,
    /// ISO 639-1 code, where it is certain.
    pub language: Option<String>,
    /// Bytes of the file.
    pub n_bytes: usize,
    /// The extracted text that spans refer to.
    pub text: String,
    pub sections: Vec<Section>,
    /// Where each page begins in `text`; empty where the format has no pages.
    pub pages: Vec<usize>,
    pub warnings: Vec<String>,
    pub passages: Vec<Passage>,
}

/// A passage: a span of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    pub span: Span,
    /// Titles of the sections it lies in, outermost first.
    pub headings: Vec<String>,
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

impl Source {
    pub fn new(name: &str, document: Document, passages: Vec<Passage>) -> Self {
        let mut hash = Sha256::new();
        hash.update(name);
        hash.update([0]);
        hash.update(&document.text);
        let hash = hash.finalize();
        Self {
            id: u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]),
            name: name.to_owned(),
            title: document.title,
            format: document.format,
            language: document.language,
            n_bytes: document.n_bytes,
            text: document.text,
            sections: document.sections,
            pages: document.pages,
            warnings: document.warnings,
            passages,
        }
    }

    pub fn info(&self) -> SourceInfo {
        SourceInfo {
            id: self.id,
            name: self.name.clone(),
            format: self.format,
            title: self.title.clone(),
            n_bytes: self.n_bytes,
            n_chunks: self.passages.len(),
            warnings: self.warnings.clone(),
        }
    }

    /// The number of the page that holds the byte at `at` of the text, from 1 on.
    pub fn page(&self, at: usize) -> Option<u32> {
        let number = self.pages.partition_point(|&start| start <= at);
        (number > 0).then_some(number as u32)
    }

    /// What a passage is found by: its text under the headings it stands below.
    pub fn search_text(&self, passage: &Passage) -> String {
        let text = passage.span.of(&self.text).unwrap_or_default();
        let mut path: Vec<&str> = passage.headings.iter().map(String::as_str).collect();
        if let Some(title) = self.title.as_deref().filter(|title| !path.contains(title)) {
            path.insert(0, title);
        }
        path.retain(|heading| !text.starts_with(heading));
        if path.is_empty() {
            return text.to_owned();
        }
        format!("{}\n{text}", path.join(" – "))
    }

    /// What a passage is called: the words of the file's path, of the document's title and of the passage's headings.
    fn search_names(&self, passage: &Passage) -> String {
        let stem = match self.name.rsplit_once('.') {
            Some((stem, extension)) if extension.chars().all(char::is_alphanumeric) => stem,
            _ => &self.name,
        };
        // Every folder has one of these.
        let (folder, file) = stem.rsplit_once('/').unwrap_or(("", stem));
        let path = if ["README", "index"].contains(&file) { folder } else { stem };
        let path = path.split(|c: char| !c.is_alphanumeric());
        let titles = self.title.iter().chain(&passage.headings).map(String::as_str);
        path.chain(titles).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Whether spans lie in the text, as those of a stored page may not.
    fn is_sound(&self) -> bool {
        let lies_within = |span: &Span| span.of(&self.text).is_some();
        self.passages.iter().all(|passage| lies_within(&passage.span))
            && self.sections.iter().all(|section| lies_within(&section.span))
            && self.pages.is_sorted()
            && self.pages.iter().all(|&at| self.text.is_char_boundary(at))
    }
}

/// Sources indexed together.
#[derive(Default)]
pub struct Library {
    sources: Vec<Source>,
    /// By number, where in `sources`.
    places: HashMap<u32, usize>,
    /// Of no use before there is a source.
    index: Option<Index>,
}

/// What is stored of a page beside its vectors.
#[derive(Serialize, Deserialize)]
struct StoredPage<S> {
    source: S,
    model_hash: String,
    n_dims: usize,
}

fn stored_page(bytes: &[u8]) -> Result<(StoredPage<Source>, &[[u8; 4]]), EngineError> {
    let (page, numbers) = PAGE.decode::<StoredPage<Source>>(bytes).map_err(stored::unreadable)?;
    let n_wanted = page.n_dims.checked_mul(page.source.passages.len());
    if numbers.is_empty() || n_wanted != Some(numbers.len()) || !page.source.is_sound() {
        return Err(EngineError::Collection(format!("{} does not fit together", page.source.name)));
    }
    Ok((page, numbers))
}

/// The name of a page as it is stored, and what was read of its file: to be cut and embedded anew.
///
/// # Errors
/// `collection-invalid` for one that is damaged or of another version.
pub(crate) fn stored_document(bytes: &[u8]) -> Result<(String, Document), EngineError> {
    let Source { name, n_bytes, title, format, language, text, sections, pages, warnings, .. } =
        stored_page(bytes)?.0.source;
    Ok((name, Document { n_bytes, text, sections, pages, title, format, language, encoding: None, warnings }))
}

/// What became of a collection that was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Pages that are there now.
    pub ids: Vec<u32>,
    /// Why a page or a graph is not; graphs are built anew by themselves.
    pub lost: Vec<String>,
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
        Ok(&self.sources[*self.places.get(&id).ok_or(EngineError::SourceUnknown(id))?])
    }

    /// Numbers of the pages of this name, or in this folder.
    pub fn named(&self, name: &str) -> Vec<u32> {
        let is_named = |page: &str| {
            page.strip_prefix(name.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.sources.iter().filter(|source| is_named(&source.name)).map(|source| source.id).collect()
    }

    pub fn passage(&self, chunk: ChunkId) -> Option<(&Source, &Passage)> {
        let source = self.source(chunk.source).ok()?;
        Some((source, source.passages.get(chunk.ordinal as usize)?))
    }

    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref().filter(|_| !self.is_empty())
    }

    pub fn index_mut(&mut self) -> Option<&mut Index> {
        self.index.as_mut().filter(|_| !self.sources.is_empty())
    }

    /// Adds a page with the vectors of its passages, of `n_dims` numbers; one of the same name and text is there once.
    /// Others have their turns meanwhile, and the page is not there before all of it is.
    ///
    /// # Errors
    /// `index-dimension`, `index-not-unit`, `index-model-mismatch`; nothing has changed then.
    pub async fn add<V: AsRef<[f32]>, H: Host>(
        &mut self,
        mut source: Source,
        n_dims: usize,
        vectors: impl Iterator<Item = V>,
        model_hash: &str,
        host: &H,
    ) -> Result<SourceInfo, EngineError> {
        // Two texts of one number are as likely as one in four thousand millions.
        while self.source(source.id).is_ok_and(|other| (&other.name, &other.text) != (&source.name, &source.text)) {
            source.id = source.id.wrapping_add(1);
        }
        if self.is_empty() {
            self.index = None;
        }
        let index = self.index.get_or_insert_with(|| Index::new(n_dims, model_hash));
        index.check_model(model_hash)?;
        let language = Language::from_code(source.language.as_deref());
        host.breathe().await;
        let mut pace = Pace::new(host);
        let mut adding = index.adding(source.id);
        for (passage, vector) in source.passages.iter().zip(vectors) {
            let (text, names) = (source.search_text(passage), source.search_names(passage));
            adding.push(&Entry { text: &text, names: &names, language, vector: vector.as_ref() })?;
            pace.step().await;
        }
        adding.finish();
        self.take_off(source.id);
        let info = source.info();
        self.places.insert(source.id, self.sources.len());
        self.sources.push(source);
        self.tidy(&mut pace).await;
        host.breathe().await;
        Ok(info)
    }

    /// # Errors
    /// `source-unknown`.
    pub async fn remove<H: Host>(&mut self, id: u32, host: &H) -> Result<(), EngineError> {
        self.take_off(id).ok_or(EngineError::SourceUnknown(id))?;
        if let Some(index) = &mut self.index {
            index.take_out(id);
        }
        if self.is_empty() {
            self.index = None;
        }
        self.tidy(&mut Pace::new(host)).await;
        Ok(())
    }

    fn take_off(&mut self, id: u32) -> Option<Source> {
        let at = self.places.remove(&id)?;
        self.places.values_mut().filter(|place| **place > at).for_each(|place| *place -= 1);
        Some(self.sources.remove(at))
    }

    async fn tidy<H: Host>(&mut self, pace: &mut Pace<'_, H>) {
        while self.index.as_mut().is_some_and(Index::tidy) {
            pace.step().await;
        }
    }

    /// A page as it is stored: [`Self::restore`] brings it back without reading or embedding anything.
    ///
    /// # Errors
    /// `source-unknown`.
    pub fn page_bytes(&self, id: u32) -> Result<Vec<u8>, EngineError> {
        let source = self.source(id)?;
        let index = self.index().ok_or(EngineError::SourceUnknown(id))?;
        let vectors =
            (0..source.passages.len() as u32).filter_map(|ordinal| index.vector(ChunkId { source: id, ordinal }));
        let (n_dims, model_hash) = (index.n_dims(), index.model_hash().to_owned());
        let n_bytes = source.passages.len() * n_dims * size_of::<f32>();
        Ok(PAGE.encode(&StoredPage { source, model_hash, n_dims }, n_bytes, vectors))
    }

    /// Takes in a page that was stored.
    ///
    /// # Errors
    /// `collection-invalid` for one that is damaged or of another version, `index-model-mismatch` for one that another
    /// embedder has read, where `model_hash` is that of the one in use.
    pub async fn restore<H: Host>(
        &mut self,
        bytes: &[u8],
        model_hash: Option<&str>,
        host: &H,
    ) -> Result<SourceInfo, EngineError> {
        let (page, numbers) = stored_page(bytes)?;
        if let Some(expected) = model_hash.filter(|&expected| expected != page.model_hash) {
            let (found, expected) = (page.model_hash, expected.to_owned());
            return Err(IndexError::ModelMismatch { found, expected }.into());
        }
        let vectors = numbers.chunks_exact(page.n_dims).map(format::numbers);
        self.add(page.source, page.n_dims, vectors, &page.model_hash, host).await
    }

    /// The whole collection as one file, part after part: its pages, and `graphs` that were built over them.
    pub fn file_parts<'a>(&'a self, graphs: impl Iterator<Item = Vec<u8>> + 'a) -> impl Iterator<Item = Vec<u8>> + 'a {
        // By number, so that the same pages give the same file in whatever order they were laid down.
        let mut ids: Vec<u32> = self.places.keys().copied().collect();
        ids.sort_unstable();
        let pages = ids.into_iter().filter_map(|id| self.page_bytes(id).ok()).chain(graphs);
        std::iter::once(stored::opening()).chain(pages.flat_map(|part| [stored::before(part.len()).to_vec(), part]))
    }

    /// Takes in a collection file of `n_bytes` beside what is here; what of it cannot be read is told, and the rest is
    /// here. Its graphs are put to use. `read` gives some of its bytes.
    ///
    /// # Errors
    /// `collection-invalid` for another kind of file, and one of whose pages none can be read; `index-model-mismatch`.
    pub async fn open<H: Host>(
        &mut self,
        n_bytes: usize,
        read: &dyn Fn(Range<usize>) -> Vec<u8>,
        model_hash: Option<&str>,
        host: &H,
    ) -> Result<Opened, EngineError> {
        let mut opened = Opened::default();
        let mut graphs = Vec::new();
        let mut pace = Pace::new(host);
        let parts = stored::parts(n_bytes, read)?;
        let n_parts = parts.len();
        for (i, range) in parts.into_iter().enumerate() {
            if lectern_index::is_segment(&read(range.start..range.end.min(range.start + 8))) {
                graphs.push(range);
                continue;
            }
            match self.restore(&read(range), model_hash, host).await {
                Ok(info) => opened.ids.push(info.id),
                Err(error @ EngineError::Index(IndexError::ModelMismatch { .. })) => return Err(error),
                Err(EngineError::Collection(why)) => opened.lost.push(format!("page {} of {n_parts}: {why}", i + 1)),
                Err(error) => opened.lost.push(format!("page {} of {n_parts}: {error}", i + 1)),
            }
            pace.step().await;
        }
        if opened.ids.is_empty() && !opened.lost.is_empty() {
            return Err(EngineError::Collection(opened.lost.swap_remove(0)));
        }
        for range in graphs {
            host.breathe().await;
            if let Some(Err(error)) = self.index_mut().map(|index| index.install_segment(&read(range))) {
                opened.lost.push(error.to_string());
            }
        }
        Ok(opened)
    }
}
