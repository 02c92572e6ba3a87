//! Everything a page or a command line holds while it runs: reader, embedder, voices, library.

use std::ops::Range;
use std::rc::Rc;

use lectern_adapter::{PeftAdapter, attach};
use lectern_corpus::Document;
use lectern_index::{Index, SegmentJob, SegmentOptions, build_segment};
use lectern_model::decoder::Executor;
use lectern_model::encoder::CrossEncoder;
use lectern_model::generate::{GenerateOptions, Generation, generate};
use lectern_model::host::Host;
use lectern_model::likelihood::perplexity;
use lectern_model::lora::LoraSet;
use lectern_model::{Message, ModelError, Precision};
use serde::Serialize;

use crate::answer::{AskEvent, relay};
use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::executor::{ExecutorInfo, Gpu, Preference, candidate, choose, choose_encoder};
use crate::ingest::{IngestEvent, ReadSource, cut, ingest};
use crate::known::Known;
use crate::library::{Library, Opened, SourceInfo};
use crate::model_file::{ModelFile, ModelInfo};
use crate::reader::Reader;

/// A loaded voice, for people.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterInfo {
    pub name: String,
    pub rank: usize,
    pub alpha: f32,
    pub target_modules: Vec<String>,
    pub n_bytes: usize,
}

/// How quickly a reader's weights can be read, by one thread.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Bytes that every token meets.
    pub bytes_per_token: usize,
    /// Milliseconds to read them once.
    pub ms: f64,
}

/// Times that [`Session::measure_reading`] tries: the quickest counts.
const READINGS: usize = 4;

/// A generation from messages, without pages.
#[derive(Clone, Debug)]
pub struct GenerateRequest {
    pub messages: Vec<Message>,
    pub options: GenerateOptions,
}

/// A generation with its prompt.
#[derive(Clone, Debug)]
pub struct Generated {
    pub generation: Generation,
    pub prompt_ids: Vec<u32>,
}

mod asking;

/// The product.
pub struct Session<H: Host> {
    host: H,
    preference: Preference,
    gpu: Gpu,
    precision: Precision,
    reader: Option<Reader>,
    embedder: Option<Embedder>,
    reranker: Option<CrossEncoder>,
    voices: Vec<(AdapterInfo, Rc<LoraSet>)>,
    /// Name and scale of the voice that the reader has on.
    voice: Option<(String, f32)>,
    library: Library,
    known: Known,
}

impl<H: Host> Session<H> {
    pub fn new(host: H, preference: Preference, gpu: Gpu) -> Self {
        Self {
            host,
            preference,
            gpu,
            precision: Precision::Exact,
            reader: None,
            embedder: None,
            reranker: None,
            voices: Vec::new(),
            voice: None,
            library: Library::default(),
            known: Known::default(),
        }
    }

    /// What runs the models that are loaded from now on.
    pub fn set_device(&mut self, preference: Preference, gpu: Gpu) {
        (self.preference, self.gpu) = (preference, gpu);
    }

    /// How the CPU executor rounds from now on; exact at first.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
        if let Some(reader) = &mut self.reader {
            reader.decoder.set_precision(precision);
        }
        if let Some(embedder) = &mut self.embedder {
            embedder.set_precision(precision);
        }
        if let Some(reranker) = &mut self.reranker {
            reranker.set_precision(precision);
        }
    }

    pub fn host(&self) -> &H {
        &self.host
    }

    pub fn library(&self) -> &Library {
        &self.library
    }

    pub fn reader(&self) -> Option<&Reader> {
        self.reader.as_ref()
    }

    /// Has the GPU, if it would be tried, compile what the decoder in `file` takes, while the rest of the file comes.
    /// Returns whether that is settled: before the file's directory has come, it is not. A device that fails here fails
    /// again when the decoder is loaded, and that is told.
    pub fn compile_ahead(&self, file: &ModelFile) -> bool {
        let Ok(Ok(device)) = candidate(self.preference, &self.gpu) else { return true };
        let Some(mut outline) = file.outline() else { return false };
        let _ = Reader::compile_ahead(&mut outline, device);
        true
    }

    /// Takes a decoder's GGUF file and decides what runs it. Voices of another model are let go.
    ///
    /// # Errors
    /// Those of the file; `model-hash-mismatch`; `gpu-unavailable` when the GPU was
    /// asked for by name (the decoder is then loaded, on the CPU).
    pub async fn load_decoder(&mut self, file: ModelFile) -> Result<(ModelInfo, ExecutorInfo), EngineError> {
        let mut file = file.finish()?;
        let mut reader = Reader::from_gguf(&mut file.gguf)?;
        let info = file.info(reader.decoder.config().num_hidden_layers, reader.decoder.n_ctx());
        let chosen = choose(&mut reader.decoder, self.preference, &self.gpu, &self.host).await;
        // After the self-test, which compares the GPU with what is exact.
        reader.decoder.set_precision(self.precision);
        self.known.clear();
        self.reader = Some(reader);
        self.voices.clear();
        self.voice = None;
        let preference = self.embedder_preference();
        if let Some(embedder) = &mut self.embedder {
            // One that cannot follow the reader to the GPU stays on the CPU.
            embedder.set_precision(Precision::Exact);
            let _ = choose_encoder(&mut embedder.encoder, preference, &self.gpu, &self.host).await;
            embedder.set_precision(self.precision);
        }
        Ok((info, chosen?))
    }

    /// Takes an encoder's GGUF file. Pages that were read by another embedder are let go.
    ///
    /// # Errors
    /// Those of the file; `model-hash-mismatch`; `index-model-mismatch` when pages
    /// laid down were read by another embedder. That a GPU asked for by name cannot be had is no error: the pages
    /// are read on the CPU, and the reader says it.
    pub async fn load_embedder(&mut self, file: ModelFile) -> Result<(ModelInfo, ExecutorInfo), EngineError> {
        let mut file = file.finish()?;
        if let Some(index) = self.library.index() {
            index.check_model(&file.sha256)?;
        }
        let mut embedder = Embedder::from_gguf(&mut file.gguf, &file.sha256)?;
        let config = embedder.encoder.config();
        let info = file.info(config.num_hidden_layers, config.max_tokens);
        let chosen =
            match choose_encoder(&mut embedder.encoder, self.embedder_preference(), &self.gpu, &self.host).await {
                Err(ModelError::GpuUnavailable { reason }) => ExecutorInfo::without_gpu(&reason),
                chosen => chosen?,
            };
        embedder.set_precision(self.precision);
        self.known.clear();
        self.embedder = Some(embedder);
        Ok((info, chosen))
    }

    /// Takes a cross-encoder's GGUF file, which then re-ranks in the reader's place, on the CPU.
    ///
    /// # Errors
    /// Those of the file and of [`CrossEncoder::from_gguf`]; `model-hash-mismatch`.
    pub fn load_reranker(&mut self, file: ModelFile) -> Result<ModelInfo, EngineError> {
        let mut file = file.finish()?;
        let mut reranker = CrossEncoder::from_gguf(&mut file.gguf)?;
        let info = file.info(reranker.config().num_hidden_layers, reranker.config().max_tokens);
        reranker.set_precision(self.precision);
        self.known.clear();
        self.reranker = Some(reranker);
        Ok(info)
    }

    /// The embedder runs where the reader does; before there is one, where it would be tried.
    fn embedder_preference(&self) -> Preference {
        match self.executor() {
            Some(Executor::Cpu) => Preference::Cpu,
            _ => self.preference,
        }
    }

    /// What runs the reader.
    pub fn executor(&self) -> Option<Executor> {
        self.reader.as_ref().map(|reader| reader.decoder.executor())
    }

    /// Takes a voice under `name`, in place of one of that name.
    ///
    /// # Errors
    /// `adapter-…` when it does not fit the reader, `not-loaded` without one.
    pub fn add_adapter(
        &mut self,
        name: &str,
        config_json: &[u8],
        safetensors: &[u8],
    ) -> Result<AdapterInfo, EngineError> {
        let reader = self.reader.as_ref().ok_or(EngineError::NotLoaded("language model"))?;
        let adapter = PeftAdapter::parse(config_json, safetensors)?;
        let set = attach(&adapter, name, reader.decoder.config(), &reader.base)?;
        let info = AdapterInfo {
            name: name.to_owned(),
            rank: adapter.config.rank,
            alpha: adapter.config.alpha,
            target_modules: adapter.config.target_names(),
            n_bytes: adapter.n_bytes,
        };
        self.remove_adapter(name);
        self.voices.push((info.clone(), Rc::new(set)));
        Ok(info)
    }

    /// Lets a voice go.
    pub fn remove_adapter(&mut self, name: &str) {
        self.known.clear();
        self.voices.retain(|(info, _)| info.name != name);
        if self.voice.as_ref().is_some_and(|(on, _)| on == name) {
            // Whatever speaks next sets its own voice; this one must not be found under its old name.
            self.voice = Some((String::new(), f32::NAN));
        }
    }

    pub fn adapters(&self) -> impl Iterator<Item = &AdapterInfo> {
        self.voices.iter().map(|(info, _)| info)
    }

    /// Switches a voice on, or all off.
    fn set_voice(&mut self, voice: Option<(&str, f32)>) -> Result<(), EngineError> {
        let wanted = voice.map(|(name, scale)| (name.to_owned(), scale));
        if wanted == self.voice {
            return Ok(());
        }
        let adapter = match voice {
            None => None,
            Some((name, scale)) => {
                let found = self.voices.iter().find(|(info, _)| info.name == name);
                let (_, set) = found.ok_or_else(|| EngineError::AdapterUnknown(name.to_owned()))?;
                Some((Rc::clone(set), scale))
            }
        };
        let reader = self.reader.as_mut().ok_or(EngineError::NotLoaded("language model"))?;
        reader.decoder.set_adapter(adapter)?;
        self.voice = wanted;
        Ok(())
    }

    /// Lays a file down.
    ///
    /// # Errors
    /// As [`ingest`]; `not-loaded` without an embedder.
    pub async fn add_source(
        &mut self,
        name: &str,
        bytes: &[u8],
        on_event: &mut dyn FnMut(IngestEvent),
    ) -> Result<SourceInfo, EngineError> {
        self.known.clear();
        let embedder = self.embedder.as_mut().ok_or(EngineError::NotLoaded("embedder"))?;
        ingest(&mut self.library, embedder, name, bytes, &self.host, on_event).await
    }

    /// Cuts a file that [`extract`](crate::ingest::extract) has read into passages, whose vectors are then
    /// made here ([`Self::embed`]) or by others with the same embedder, and given to [`Self::lay_down`].
    ///
    /// # Errors
    /// `not-loaded` without an embedder.
    pub async fn cut_source(
        &mut self,
        name: &str,
        document: Document,
        on_event: &mut dyn FnMut(IngestEvent),
    ) -> Result<ReadSource, EngineError> {
        let embedder = self.embedder.as_ref().ok_or(EngineError::NotLoaded("embedder"))?;
        Ok(cut(embedder, name, document, &self.host, on_event).await)
    }

    /// Lays down a file that was read, with the vectors of its texts.
    ///
    /// # Errors
    /// As [`ReadSource::lay_down`]; `not-loaded` without an embedder.
    pub async fn lay_down(&mut self, source: ReadSource, vectors: &[Vec<f32>]) -> Result<SourceInfo, EngineError> {
        self.known.clear();
        let embedder = self.embedder.as_ref().ok_or(EngineError::NotLoaded("embedder"))?;
        source.lay_down(&mut self.library, embedder, vectors, &self.host).await
    }

    /// # Errors
    /// `source-unknown`.
    pub async fn remove_source(&mut self, id: u32) -> Result<(), EngineError> {
        self.known.clear();
        self.library.remove(id, &self.host).await
    }

    /// Vectors that wait for a graph, to be built elsewhere by [`build_segment`].
    pub fn next_segment_job(&self) -> Option<SegmentJob<'_>> {
        self.library.index()?.next_segment_job(&SegmentOptions::default())
    }

    /// Puts a built graph to use and gives its tag, to be stored under; `None` where too few of its passages are here.
    ///
    /// # Errors
    /// `index-corrupt`, `index-version`; `index-model-mismatch` for a graph over another embedder's vectors.
    pub fn install_segment(&mut self, built: &[u8]) -> Result<Option<String>, EngineError> {
        match self.library.index_mut() {
            Some(index) => Ok(index.install_segment(built)?),
            None => Ok(None),
        }
    }

    /// The tags of the graphs in use; those stored under others are needed no more.
    pub fn segments(&self) -> Vec<String> {
        self.library.index().map_or_else(Vec::new, Index::segment_tags)
    }

    /// Builds all waiting graphs here and now, and gives those in use to be stored; for hosts where nobody waits meanwhile.
    ///
    /// # Errors
    /// None that building and installing do not have.
    pub fn build_segments(&mut self) -> Result<Vec<Vec<u8>>, EngineError> {
        let mut graphs = Vec::new();
        while let Some(job) = self.next_segment_job().map(|job| job.to_bytes()) {
            let built = build_segment(&job)?;
            graphs.push((self.install_segment(&built)?, built));
        }
        let in_use = self.segments();
        Ok(graphs.into_iter().filter_map(|(tag, built)| in_use.contains(&tag?).then_some(built)).collect())
    }

    /// What reading the reader's weights from memory takes: a token on the CPU cannot come sooner.
    ///
    /// # Errors
    /// `not-loaded`.
    pub fn measure_reading(&self) -> Result<Reading, EngineError> {
        let reader = self.reader.as_ref().ok_or(EngineError::NotLoaded("language model"))?;
        let mut best = f64::INFINITY;
        let mut n_bytes = 0;
        for _ in 0..READINGS {
            let started = self.host.now_ms();
            n_bytes = reader.decoder.read_weights();
            best = best.min(self.host.now_ms() - started);
        }
        Ok(Reading { bytes_per_token: n_bytes, ms: best })
    }

    /// Continues a conversation in a voice, without pages.
    ///
    /// # Errors
    /// `adapter-unknown`, `not-loaded`, `prompt-too-long`.
    pub async fn generate(
        &mut self,
        request: &GenerateRequest,
        voice: Option<(&str, f32)>,
        on_event: &mut dyn FnMut(AskEvent),
    ) -> Result<Generated, EngineError> {
        self.set_voice(voice)?;
        let reader = self.reader.as_mut().ok_or(EngineError::NotLoaded("language model"))?;
        let prompt_ids = reader.prompt_ids(&request.messages)?;
        let generation =
            generate(&mut reader.decoder, &reader.tokenizer, &prompt_ids, &request.options, &self.host, &mut |event| {
                relay(event, on_event)
            })
            .await?;
        Ok(Generated { generation, prompt_ids })
    }

    /// Tokens and perplexity of a text under the reader without a voice.
    ///
    /// # Errors
    /// As [`perplexity`]; `not-loaded`.
    pub async fn perplexity(&mut self, text: &str) -> Result<(usize, f64), EngineError> {
        self.set_voice(None)?;
        let reader = self.reader.as_mut().ok_or(EngineError::NotLoaded("language model"))?;
        let ids = reader.tokenizer.encode(text, false)?;
        Ok((ids.len(), perplexity(&mut reader.decoder, &ids, &self.host).await?))
    }

    /// One unit vector for each text.
    ///
    /// # Errors
    /// `not-loaded`, `cancelled`, `gpu-lost`.
    pub async fn embed(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EngineError> {
        let embedder = self.embedder.as_mut().ok_or(EngineError::NotLoaded("embedder"))?;
        embedder.embed(texts, &self.host, &mut |_| ()).await
    }

    /// A page as it is stored, for [`Self::restore_page`].
    ///
    /// # Errors
    /// `source-unknown`.
    pub fn page_bytes(&self, id: u32) -> Result<Vec<u8>, EngineError> {
        self.library.page_bytes(id)
    }

    /// Takes in a page that was stored, beside those that are here.
    ///
    /// # Errors
    /// As [`Library::restore`].
    pub async fn restore_page(&mut self, bytes: &[u8]) -> Result<SourceInfo, EngineError> {
        self.known.clear();
        let model_hash = self.embedder.as_ref().map(|embedder| embedder.hash.as_str());
        self.library.restore(bytes, model_hash, &self.host).await
    }

    /// The pages as one file, with the graphs that were built over them.
    pub fn export_collection(&self, graphs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.library.file_parts(graphs.iter().cloned()).for_each(|part| bytes.extend(part));
        bytes
    }

    /// Takes in the pages of a collection file beside those that are here; what of it cannot be read is told.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub async fn import_collection(&mut self, bytes: &[u8]) -> Result<Opened, EngineError> {
        self.import_collection_from(bytes.len(), &|range| bytes[range].to_vec()).await
    }

    /// As [`Self::import_collection`], of a file of `n_bytes` that stays where it is; `read` gives some of them.
    ///
    /// # Errors
    /// As there.
    pub async fn import_collection_from(
        &mut self,
        n_bytes: usize,
        read: &dyn Fn(Range<usize>) -> Vec<u8>,
    ) -> Result<Opened, EngineError> {
        self.known.clear();
        let model_hash = self.embedder.as_ref().map(|embedder| embedder.hash.as_str());
        self.library.open(n_bytes, read, model_hash, &self.host).await
    }

    /// Takes all pages off.
    pub fn clear(&mut self) {
        self.known.clear();
        self.library = Library::default();
    }
}
