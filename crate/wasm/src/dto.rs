//! The data that crosses to JavaScript. `start` and `end` are UTF-8 byte offsets into a source's text.
//! TypeScript's types of these are generated into `www/client/generated.ts`.

use lectern_engine as engine;
use lectern_engine::corpus::Format;
use lectern_engine::index::DenseMode;
use lectern_engine::model::decoder::Executor as ModelExecutor;
use lectern_engine::model::generate as model;
use serde::{Deserialize, Serialize};
#[cfg(test)]
use ts_rs::TS;
use wasm_bindgen::JsValue;

/// A value for JavaScript; what is missing is `null`.
pub fn to_js(value: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true);
    value.serialize(&serializer).unwrap_or(JsValue::NULL)
}

/// As [`to_js`] by way of JSON, which the browser reads in one go: for thousands of objects.
#[cfg(feature = "engine")]
pub fn to_js_at_once(value: &impl Serialize) -> JsValue {
    let json = serde_json::to_string(value).unwrap_or_default();
    js_sys::JSON::parse(&json).unwrap_or(JsValue::NULL)
}

/// The other way round.
///
/// # Errors
/// A sentence for what does not fit.
#[cfg(feature = "engine")]
pub fn from_js_at_once<T: serde::de::DeserializeOwned>(value: &JsValue) -> Result<T, String> {
    let json = js_sys::JSON::stringify(value).map_err(|_| "it is no plain object".to_owned())?;
    serde_json::from_str(&String::from(json)).map_err(|error| error.to_string())
}

/// Names a data type once for serde and once for TypeScript.
macro_rules! dto {
    ($($(#[$attribute:meta])* pub $kind:ident $name:ident $body:tt)*) => {$(
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[cfg_attr(test, derive(TS))]
        $(#[$attribute])*
        pub $kind $name $body
    )*};
}

dto! {
    #[serde(rename_all = "kebab-case")]
    pub enum Device { Auto, Gpu, Cpu }

    /// What WebGPU offers; `software` when a CPU pretends to be it.
    #[serde(rename_all = "kebab-case", tag = "type")]
    pub enum Adapter { None { reason: String }, Found { name: String, software: bool } }

    #[serde(rename_all = "kebab-case")]
    pub enum Executor { Gpu, Cpu }

    pub struct ExecutorInfo { pub executor: Executor, pub reason: String, pub adapter: Option<String>, pub self_test_max_error: Option<f32> }

    pub struct ModelInfo { pub name: String, pub architecture: String, pub n_layers: usize, pub n_ctx: usize, pub n_bytes: usize, pub quantization: String, pub sha256: String }

    pub struct LoadedDecoder { pub model: ModelInfo, pub executor: ExecutorInfo }

    pub struct Reading { pub bytes_per_token: usize, pub ms: f64 }

    pub struct AdapterInfo { pub name: String, pub rank: usize, pub alpha: f32, pub target_modules: Vec<String>, pub n_bytes: usize }

    #[serde(rename_all = "kebab-case")]
    pub enum SourceFormat { Markdown, Html, Plain, Rst, AsciiDoc, Csv, Json, Code, Docx, Epub, Pdf }

    pub struct SourceInfo { pub id: u32, pub name: String, pub format: SourceFormat, pub title: Option<String>, pub n_bytes: usize, pub n_chunks: usize, pub warnings: Vec<String> }

    /// A collection that was opened: its pages, and what is said of those that could not be read.
    pub struct OpenedCollection { pub sources: Vec<SourceInfo>, pub lost: Vec<String> }

    pub struct Section { pub title: String, pub level: u8, pub start: usize, pub end: usize, pub page: Option<u32> }

    pub struct SourceText { pub id: u32, pub name: String, pub text: String, pub sections: Vec<Section>, pub pages: Vec<usize> }

    pub struct Hit { pub source_id: u32, pub source: String, pub start: usize, pub end: usize, pub page: Option<u32>, pub text: String, pub headings: Vec<String>, pub score: f32, pub dense: Option<f32>, pub bm25: Option<f32> }

    #[serde(rename_all = "kebab-case")]
    pub enum DensePath { None, Exact, Graph, Mixed }

    /// A word of a question that no page holds, and the word of the pages that it was read as.
    pub struct Respelling { pub written: String, pub read: String }

    pub struct SearchResult { pub respelled: Vec<Respelling>, pub hits: Vec<Hit>, pub dense_path: DensePath, pub embed_ms: f64, pub retrieve_ms: f64 }

    pub struct SamplingOptions { pub temperature: f32, pub top_k: usize, pub top_p: f32, pub repetition_penalty: f32, pub seed: u32 }

    pub struct AskOptions { pub rag: bool, pub top_k: Option<usize>, pub max_tokens: usize, pub adapter: Option<String>, pub scale: f32, pub sampling: SamplingOptions, pub stop: Vec<String>, pub before: Option<Exchange>, #[cfg_attr(test, ts(optional))] pub extractive: Option<bool>, #[cfg_attr(test, ts(optional))] pub fresh: Option<bool>, #[cfg_attr(test, ts(optional))] pub sources: Option<Vec<u32>> }

    /// The question before and its answer.
    pub struct Exchange { pub question: String, pub answer: String }

    #[serde(rename_all = "kebab-case")]
    pub enum Precision { Exact, Fast }

    /// Without a precision: exact.
    pub struct GenerateOptions { pub max_tokens: usize, pub precision: Option<Precision>, pub adapter: Option<String>, pub scale: f32, pub sampling: SamplingOptions, pub stop: Vec<String> }

    pub struct Citation { pub marker: usize, pub source_id: u32, pub source: String, pub start: usize, pub end: usize, pub page: Option<u32>, pub text: String }

    #[serde(rename_all = "kebab-case")]
    pub enum Support { Supported, Partly, NotFound }

    /// `start` and `end` are UTF-8 byte offsets into the answer.
    pub struct Sentence { pub start: usize, pub end: usize, pub support: Support, pub marker: Option<usize> }

    pub struct Usage { pub prompt_tokens: usize, pub cached_tokens: usize, pub completion_tokens: usize }

    pub struct Timings { pub load: f64, pub embed: f64, pub retrieve: f64, pub prefill: f64, pub decode: f64, pub total: f64 }

    #[serde(rename_all = "kebab-case")]
    pub enum Stopped { End, Length, Cancelled, Stop, Repeat, Refused }

    pub struct Answer {
        pub answer: String,
        pub respelled: Vec<Respelling>,
        pub refused: bool,
        pub sentences: Vec<Sentence>,
        pub citations: Vec<Citation>,
        pub hits: Vec<Hit>,
        pub usage: Usage,
        pub timings_ms: Timings,
        pub executor: Executor,
        pub dense_path: DensePath,
        pub n_passages: usize,
        pub n_passages_dropped: usize,
        pub stopped: Stopped,
        pub dispatches_per_token: Option<usize>,
        pub extractive: bool,
        pub set_aside: Option<String>,
        pub cached: bool,
    }

    #[serde(tag = "type", rename_all = "kebab-case")]
    pub enum AskEvent {
        Retrieved { hits: Vec<Hit> },
        Prefill { done: usize, total: usize },
        Token { text: String },
        Notice { code: String, message: String },
        Executor { info: ExecutorInfo },
    }

    #[serde(tag = "type", rename_all = "kebab-case")]
    pub enum IngestEvent {
        Extracted { n_chars: usize },
        Chunked { n_chunks: usize },
        Embedded { done: usize, total: usize },
    }

    pub struct TopLogits { pub ids: Vec<u32>, pub values: Vec<f32> }

    pub struct Generation { pub text: String, pub ids: Vec<u32>, pub prompt_ids: Vec<u32>, pub first_logits_top20: TopLogits, pub usage: Usage, pub timings_ms: Timings, pub stopped: Stopped }

    pub struct ErrorInfo { pub code: String, pub message: String }
}

impl From<Device> for engine::Preference {
    fn from(device: Device) -> Self {
        match device {
            Device::Auto => Self::Auto,
            Device::Gpu => Self::Gpu,
            Device::Cpu => Self::Cpu,
        }
    }
}

impl From<Precision> for lectern_engine::model::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Exact => Self::Exact,
            Precision::Fast => Self::Fast,
        }
    }
}

impl From<ModelExecutor> for Executor {
    fn from(executor: ModelExecutor) -> Self {
        match executor {
            ModelExecutor::Cpu => Self::Cpu,
            ModelExecutor::Gpu => Self::Gpu,
        }
    }
}

impl From<engine::ExecutorInfo> for ExecutorInfo {
    fn from(info: engine::ExecutorInfo) -> Self {
        Self {
            executor: info.executor.into(),
            reason: info.reason,
            adapter: info.adapter,
            self_test_max_error: info.self_test_max_error,
        }
    }
}

impl From<engine::Reading> for Reading {
    fn from(engine::Reading { bytes_per_token, ms }: engine::Reading) -> Self {
        Self { bytes_per_token, ms }
    }
}

impl From<engine::ModelInfo> for ModelInfo {
    fn from(info: engine::ModelInfo) -> Self {
        let engine::ModelInfo { name, architecture, n_layers, n_ctx, n_bytes, quantization, sha256 } = info;
        Self { name, architecture, n_layers, n_ctx, n_bytes, quantization, sha256 }
    }
}

impl From<engine::AdapterInfo> for AdapterInfo {
    fn from(info: engine::AdapterInfo) -> Self {
        let engine::AdapterInfo { name, rank, alpha, target_modules, n_bytes } = info;
        Self { name, rank, alpha, target_modules, n_bytes }
    }
}

impl From<engine::SourceInfo> for SourceInfo {
    fn from(info: engine::SourceInfo) -> Self {
        let format = match info.format {
            Format::Markdown => SourceFormat::Markdown,
            Format::Html => SourceFormat::Html,
            Format::Plain => SourceFormat::Plain,
            Format::Rst => SourceFormat::Rst,
            Format::AsciiDoc => SourceFormat::AsciiDoc,
            Format::Csv => SourceFormat::Csv,
            Format::Json => SourceFormat::Json,
            Format::Code => SourceFormat::Code,
            Format::Docx => SourceFormat::Docx,
            Format::Epub => SourceFormat::Epub,
            Format::Pdf => SourceFormat::Pdf,
        };
        let engine::SourceInfo { id, name, title, n_bytes, n_chunks, warnings, .. } = info;
        Self { id, name, format, title, n_bytes, n_chunks, warnings }
    }
}

/// All sources of a library.
pub fn sources(library: &engine::Library) -> Vec<SourceInfo> {
    library.sources().iter().map(|source| source.info().into()).collect()
}

impl From<&engine::library::Source> for SourceText {
    fn from(source: &engine::library::Source) -> Self {
        let section = |s: &engine::corpus::Section| Section {
            title: s.title.clone(),
            level: s.level,
            start: s.span.start,
            end: s.span.end,
            page: s.page,
        };
        Self {
            id: source.id,
            name: source.name.clone(),
            text: source.text.clone(),
            sections: source.sections.iter().map(section).collect(),
            pages: source.pages.clone(),
        }
    }
}

impl From<engine::Hit> for Hit {
    fn from(hit: engine::Hit) -> Self {
        let engine::Hit { source_id, source, start, end, page, text, headings, score, dense, bm25 } = hit;
        Self { source_id, source, start, end, page, text, headings, score, dense, bm25 }
    }
}

impl From<engine::index::DensePath> for DensePath {
    fn from(path: engine::index::DensePath) -> Self {
        match path {
            engine::index::DensePath::None => Self::None,
            engine::index::DensePath::Exact => Self::Exact,
            engine::index::DensePath::Graph => Self::Graph,
            engine::index::DensePath::Mixed => Self::Mixed,
        }
    }
}

impl From<engine::Respelling> for Respelling {
    fn from(word: engine::Respelling) -> Self {
        let engine::Respelling { written, read } = word;
        Self { written, read }
    }
}

impl From<engine::Retrieval> for SearchResult {
    fn from(found: engine::Retrieval) -> Self {
        Self {
            respelled: found.respelled.into_iter().map(Respelling::from).collect(),
            hits: found.hits.into_iter().map(Hit::from).collect(),
            dense_path: found.dense_path.into(),
            embed_ms: found.embed_ms,
            retrieve_ms: found.retrieve_ms,
        }
    }
}

impl From<&SamplingOptions> for engine::model::SamplingOptions {
    fn from(options: &SamplingOptions) -> Self {
        let SamplingOptions { temperature, top_k, top_p, repetition_penalty, seed } = options.clone();
        Self { temperature, top_k, top_p, repetition_penalty, seed: seed.into() }
    }
}

impl AskOptions {
    /// What the engine is asked for; the voice is set beside it.
    pub fn engine(&self) -> engine::AskOptions {
        engine::AskOptions {
            rag: self.rag,
            top_k: self.top_k,
            max_tokens: self.max_tokens,
            sampling: (&self.sampling).into(),
            stop: self.stop.clone(),
            dense: DenseMode::Auto,
            before: self.before.clone().map(|Exchange { question, answer }| engine::Exchange { question, answer }),
            extractive: self.extractive.unwrap_or_default(),
            fresh: self.fresh.unwrap_or_default(),
            sources: self.sources.clone().unwrap_or_default(),
            ..engine::AskOptions::default()
        }
    }
}

impl GenerateOptions {
    /// What the engine is asked for; the voice is set beside it.
    pub fn engine(&self) -> model::GenerateOptions {
        model::GenerateOptions {
            max_tokens: self.max_tokens,
            sampling: (&self.sampling).into(),
            stop: self.stop.clone(),
            end_at_repeat: false,
            lookup: true,
        }
    }
}

impl From<engine::Citation> for Citation {
    fn from(citation: engine::Citation) -> Self {
        let engine::Citation { marker, source_id, source, start, end, page, text } = citation;
        Self { marker, source_id, source, start, end, page, text }
    }
}

impl From<engine::Sentence> for Sentence {
    fn from(sentence: engine::Sentence) -> Self {
        let engine::Sentence { start, end, support, marker } = sentence;
        let support = match support {
            engine::Support::Supported => Support::Supported,
            engine::Support::Partly => Support::Partly,
            engine::Support::NotFound => Support::NotFound,
        };
        Self { start, end, support, marker }
    }
}

impl From<engine::Timings> for Timings {
    fn from(timings: engine::Timings) -> Self {
        let engine::Timings { load, embed, retrieve, prefill, decode, total } = timings;
        Self { load, embed, retrieve, prefill, decode, total }
    }
}

impl From<engine::Ending> for Stopped {
    fn from(ending: engine::Ending) -> Self {
        match ending {
            engine::Ending::End => Self::End,
            engine::Ending::Length => Self::Length,
            engine::Ending::Cancelled => Self::Cancelled,
            engine::Ending::Stop => Self::Stop,
            engine::Ending::Repeat => Self::Repeat,
            engine::Ending::Refused => Self::Refused,
        }
    }
}

impl From<engine::Answer> for Answer {
    fn from(answer: engine::Answer) -> Self {
        Self {
            answer: answer.answer,
            respelled: answer.respelled.into_iter().map(Respelling::from).collect(),
            refused: answer.refused,
            sentences: answer.sentences.into_iter().map(Sentence::from).collect(),
            citations: answer.citations.into_iter().map(Citation::from).collect(),
            hits: answer.hits.into_iter().map(Hit::from).collect(),
            usage: Usage {
                prompt_tokens: answer.usage.prompt_tokens,
                cached_tokens: answer.usage.cached_tokens,
                completion_tokens: answer.usage.completion_tokens,
            },
            timings_ms: answer.timings_ms.into(),
            executor: answer.executor.into(),
            dense_path: answer.dense_path.into(),
            n_passages: answer.n_passages,
            n_passages_dropped: answer.n_passages_dropped,
            stopped: answer.stopped.into(),
            dispatches_per_token: answer.dispatches_per_token,
            extractive: answer.extractive,
            set_aside: answer.set_aside,
            cached: answer.cached,
        }
    }
}

impl From<engine::AskEvent> for AskEvent {
    fn from(event: engine::AskEvent) -> Self {
        match event {
            engine::AskEvent::Retrieved(hits) => Self::Retrieved { hits: hits.into_iter().map(Hit::from).collect() },
            engine::AskEvent::Prefill { done, total } => Self::Prefill { done, total },
            engine::AskEvent::Token(text) => Self::Token { text },
            engine::AskEvent::Notice { code, message } => Self::Notice { code: code.to_owned(), message },
            engine::AskEvent::Executor(info) => Self::Executor { info: info.into() },
        }
    }
}

impl From<engine::IngestEvent> for IngestEvent {
    fn from(event: engine::IngestEvent) -> Self {
        match event {
            engine::IngestEvent::Extracted { n_chars } => Self::Extracted { n_chars },
            engine::IngestEvent::Chunked { n_chunks } => Self::Chunked { n_chunks },
            engine::IngestEvent::Embedded { done, total } => Self::Embedded { done, total },
        }
    }
}

impl Generation {
    pub fn new(generated: engine::Generated, total_ms: f64) -> Self {
        let engine::Generated { generation, prompt_ids } = generated;
        let (ids, values) = generation.first_logits_top20.into_iter().unzip();
        Self {
            usage: Usage {
                prompt_tokens: prompt_ids.len(),
                cached_tokens: generation.n_cached,
                completion_tokens: generation.ids.len(),
            },
            timings_ms: Timings {
                load: 0.0,
                embed: 0.0,
                retrieve: 0.0,
                prefill: generation.prefill_ms,
                decode: generation.decode_ms,
                total: total_ms,
            },
            stopped: engine::Ending::from(generation.stopped).into(),
            first_logits_top20: TopLogits { ids, values },
            text: generation.text,
            ids: generation.ids,
            prompt_ids,
        }
    }
}

#[cfg(test)]
mod tests;
