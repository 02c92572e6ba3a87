//! The class a worker holds. Long calls take the session out; a second one meanwhile is `busy`.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use js_sys::{Float32Array, Function, Uint8Array};
use lectern_engine::model::decoder::Executor;
use lectern_engine::model::host::Host;
use lectern_engine::model::{Message, Precision};
use lectern_engine::{ExecutorInfo, GenerateRequest, Hash, Preference, RetrieveOptions, Session};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::device;
use crate::dto::{self, from_js_at_once, to_js, to_js_at_once};
use crate::error::Rejection;
use crate::host::{PageHost, Signals};

type PageSession = Session<PageHost>;

/// The product in a page's worker.
#[wasm_bindgen]
pub struct Engine {
    session: Rc<RefCell<Option<PageSession>>>,
    signals: Rc<Signals>,
}

/// The session while a call has it; it goes back when the call ends, however it ends.
struct Turn {
    home: Rc<RefCell<Option<PageSession>>>,
    session: Option<PageSession>,
}

impl Turn {
    fn session(&mut self) -> Result<&mut PageSession, Rejection> {
        self.session.as_mut().ok_or_else(Rejection::busy)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.home.borrow_mut() = self.session.take();
    }
}

impl Engine {
    fn turn(&self) -> Result<Turn, Rejection> {
        let session = self.session.borrow_mut().take().ok_or_else(Rejection::busy)?;
        self.signals.cancelled.set(false);
        Ok(Turn { home: Rc::clone(&self.session), session: Some(session) })
    }
}

#[wasm_bindgen]
impl Engine {
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript's constructor")]
    pub fn new() -> Self {
        let signals = Rc::new(Signals::default());
        let mut session = Session::new(
            PageHost::new(Rc::clone(&signals)),
            Preference::Cpu,
            lectern_engine::Gpu::None("it was not asked for".into()),
        );
        session.set_precision(Precision::Fast);
        Self { session: Rc::new(RefCell::new(Some(session))), signals }
    }

    /// Decides what is asked of the GPU; models loaded after this follow it.
    pub async fn start(&self, device: JsValue, adapter: JsValue) -> Result<JsValue, Rejection> {
        let preference = parse::<dto::Device>(device)?.into();
        let adapter = parse::<dto::Adapter>(adapter)?;
        let mut turn = self.turn()?;
        *self.signals.gpu_failure.borrow_mut() = None;
        let gpu = device::open(preference, adapter).await;
        let info = match &gpu {
            lectern_engine::Gpu::None(reason) => ExecutorInfo {
                executor: Executor::Cpu,
                reason: format!("On the CPU: {reason}."),
                adapter: None,
                self_test_max_error: None,
            },
            lectern_engine::Gpu::Device { name, .. } => ExecutorInfo {
                executor: Executor::Gpu,
                reason: "The GPU is there; its self-test runs with the model.".into(),
                adapter: Some(name.clone()),
                self_test_max_error: None,
            },
        };
        turn.session()?.set_device(preference, gpu);
        Ok(to_js(&dto::ExecutorInfo::from(info)))
    }

    /// To be called while `file` comes, until it is settled: not before the file's directory has come, nor while the
    /// engine is busy.
    pub fn compile_ahead(&self, file: &ModelFile) -> bool {
        self.session.borrow().as_ref().is_some_and(|session| session.compile_ahead(&file.0))
    }

    pub async fn load_decoder(&self, file: ModelFile) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        let (model, executor) = turn.session()?.load_decoder(file.0).await?;
        Ok(to_js(&dto::LoadedDecoder { model: model.into(), executor: executor.into() }))
    }

    pub async fn load_embedder(&self, file: ModelFile) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        let (model, _) = turn.session()?.load_embedder(file.0).await?;
        Ok(to_js(&dto::ModelInfo::from(model)))
    }

    pub fn add_adapter(&self, name: &str, config_json: &[u8], safetensors: &[u8]) -> Result<JsValue, Rejection> {
        let info = self.turn()?.session()?.add_adapter(name, config_json, safetensors)?;
        Ok(to_js(&dto::AdapterInfo::from(info)))
    }

    pub fn remove_adapter(&self, name: &str) -> Result<(), Rejection> {
        self.turn()?.session()?.remove_adapter(name);
        Ok(())
    }

    /// `document` is what `extract` made of the file.
    pub async fn cut_source(
        &self,
        name: String,
        document: JsValue,
        on_event: Function,
    ) -> Result<ReadSource, Rejection> {
        let document = from_js_at_once(&document).map_err(unfit)?;
        let mut turn = self.turn()?;
        let on_event = &mut |event| emit(&on_event, &dto::IngestEvent::from(event));
        Ok(ReadSource(turn.session()?.cut_source(&name, document, on_event).await?))
    }

    pub async fn lay_down(&self, source: ReadSource, vectors: Vec<Float32Array>) -> Result<JsValue, Rejection> {
        let vectors: Vec<_> = vectors.iter().map(Float32Array::to_vec).collect();
        if vectors.len() != source.0.texts.len() {
            return Err(Rejection::new("bad-call", "there are not as many vectors as texts"));
        }
        let mut turn = self.turn()?;
        let info = turn.session()?.lay_down(source.0, &vectors).await?;
        Ok(to_js(&dto::SourceInfo::from(info)))
    }

    pub async fn remove_source(&self, id: u32) -> Result<(), Rejection> {
        let mut turn = self.turn()?;
        Ok(turn.session()?.remove_source(id).await?)
    }

    pub fn sources(&self) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        Ok(to_js(&dto::sources(turn.session()?.library())))
    }

    pub fn source_text(&self, id: u32) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        Ok(to_js_at_once(&dto::SourceText::from(turn.session()?.library().source(id)?)))
    }

    pub async fn next_segment_job(&self) -> Result<Option<Uint8Array>, Rejection> {
        let mut turn = self.turn()?;
        let session = turn.session()?;
        let Some(job) = session.next_segment_job() else { return Ok(None) };
        let bytes = Uint8Array::new_with_length(job.n_bytes() as u32);
        let mut at = 0;
        for part in job.parts() {
            let end = at + part.len() as u32;
            bytes.subarray(at, end).copy_from(&part);
            at = end;
            session.host().breathe().await;
        }
        Ok(Some(bytes))
    }

    /// Its tag, to be stored under; nothing where too few of its chunks are still here.
    pub fn install_segment(&self, built: &[u8]) -> Result<Option<String>, Rejection> {
        Ok(self.turn()?.session()?.install_segment(built)?)
    }

    /// The tags of the graphs in use; those stored under others are needed no more.
    pub fn segments(&self) -> Result<Vec<String>, Rejection> {
        Ok(self.turn()?.session()?.segments())
    }

    /// `sources` are the numbers of the pages to look in, all where none is named.
    pub async fn search(&self, query: String, top_k: usize, sources: Vec<u32>) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        let options = RetrieveOptions { top_k, sources: &sources, ..RetrieveOptions::default() };
        let found = turn.session()?.search(&query, &options).await?;
        Ok(to_js(&dto::SearchResult::from(found)))
    }

    pub async fn ask(&self, question: String, options: JsValue, on_event: Function) -> Result<JsValue, Rejection> {
        let options: dto::AskOptions = parse(options)?;
        let mut turn = self.turn()?;
        let voice = options.adapter.as_deref().map(|name| (name, options.scale));
        let answer = turn
            .session()?
            .ask(&question, voice, &options.engine(), &mut |event| emit(&on_event, &dto::AskEvent::from(event)))
            .await?;
        Ok(to_js(&dto::Answer::from(answer)))
    }

    /// Tokens read ahead for a question that is still being written.
    pub async fn read_ahead(&self, question: String, options: JsValue, on_event: Function) -> Result<usize, Rejection> {
        let options: dto::AskOptions = parse(options)?;
        let mut turn = self.turn()?;
        let voice = options.adapter.as_deref().map(|name| (name, options.scale));
        let on_event = &mut |event| emit(&on_event, &dto::AskEvent::from(event));
        Ok(turn.session()?.read_ahead(&question, voice, &options.engine(), on_event).await?)
    }

    /// Measures how quickly the reader's weights can be read.
    pub fn measure_reading(&self) -> Result<JsValue, Rejection> {
        Ok(to_js(&dto::Reading::from(self.turn()?.session()?.measure_reading()?)))
    }

    pub async fn generate(
        &self,
        messages: JsValue,
        options: JsValue,
        on_event: Function,
    ) -> Result<JsValue, Rejection> {
        let messages: Vec<Message> = parse(messages)?;
        let options: dto::GenerateOptions = parse(options)?;
        let mut turn = self.turn()?;
        let voice = options.adapter.as_deref().map(|name| (name, options.scale));
        let request = GenerateRequest { messages, options: options.engine() };
        let session = turn.session()?;
        let started = session.host().now_ms();
        session.set_precision(options.precision.map_or(Precision::Exact, Into::into));
        let generated =
            session.generate(&request, voice, &mut |event| emit(&on_event, &dto::AskEvent::from(event))).await;
        session.set_precision(Precision::Fast);
        let generated = generated?;
        let total = session.host().now_ms() - started;
        Ok(to_js(&dto::Generation::new(generated, total)))
    }

    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Float32Array>, Rejection> {
        let mut turn = self.turn()?;
        let vectors = turn.session()?.embed(&texts).await?;
        Ok(vectors.iter().map(|v| Float32Array::from(v.as_slice())).collect())
    }

    /// A page as it is stored.
    pub fn page_bytes(&self, id: u32) -> Result<Uint8Array, Rejection> {
        Ok(Uint8Array::from(self.turn()?.session()?.page_bytes(id)?.as_slice()))
    }

    /// Takes in a page that was stored.
    pub async fn restore_page(&self, bytes: Vec<u8>) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        Ok(to_js(&dto::SourceInfo::from(turn.session()?.restore_page(&bytes).await?)))
    }

    /// Takes all pages off.
    pub fn clear(&self) -> Result<(), Rejection> {
        self.turn()?.session()?.clear();
        Ok(())
    }

    /// The pages as one file, with the graphs that were built over them.
    pub async fn export_collection(&self, graphs: Vec<Uint8Array>) -> Result<Uint8Array, Rejection> {
        let mut turn = self.turn()?;
        let session = turn.session()?;
        // They gather outside of the engine's memory, which does not shrink.
        let (mut n_bytes, mut parts) = (0, Vec::new());
        for part in session.library().file_parts(graphs.iter().map(Uint8Array::to_vec)) {
            n_bytes += part.len() as u32;
            parts.push(Uint8Array::from(part.as_slice()));
            session.host().breathe().await;
        }
        let bytes = Uint8Array::new_with_length(n_bytes);
        let mut at = 0;
        for part in parts {
            bytes.set(&part, at);
            at += part.length();
            session.host().breathe().await;
        }
        Ok(bytes)
    }

    pub async fn import_collection(&self, bytes: Uint8Array) -> Result<JsValue, Rejection> {
        let mut turn = self.turn()?;
        let session = turn.session()?;
        let read = |range: Range<usize>| bytes.subarray(range.start as u32, range.end as u32).to_vec();
        let lost = session.import_collection_from(bytes.length() as usize, &read).await?.lost;
        Ok(to_js(&dto::OpenedCollection { sources: dto::sources(session.library()), lost }))
    }

    /// Stops the long call that runs, if one does.
    pub fn cancel(&self) {
        self.signals.cancelled.set(true);
    }

    /// Tells what the worker saw of the GPU; the next step runs on the CPU.
    pub fn gpu_failed(&self, message: String) {
        *self.signals.gpu_failure.borrow_mut() = Some(message);
    }
}

/// Bytes of a file that are copied in at once: few enough to stay in cache, and to leave no hole in memory that is never
/// filled.
const PART_BYTES: usize = 256 << 10;

/// A model's file on its way into an engine.
#[wasm_bindgen]
pub struct ModelFile(lectern_engine::ModelFile);

#[wasm_bindgen]
impl ModelFile {
    /// For a file of `n_bytes`. With `is_checked` the caller holds its bytes against `sha256`, else this side does, if
    /// there is one.
    #[wasm_bindgen(constructor)]
    pub fn new(n_bytes: usize, sha256: Option<String>, is_checked: bool) -> Self {
        let hash = match sha256 {
            Some(sha256) if is_checked => Hash::Checked(sha256),
            expected => Hash::Unchecked { expected },
        };
        // The memory grows once, and not with every tensor. Where it cannot, the tensors will say so.
        let mut room = Vec::<u8>::new();
        let _ = std::hint::black_box(&mut room).try_reserve_exact(n_bytes);
        drop(room);
        Self(lectern_engine::ModelFile::new(n_bytes, hash))
    }

    /// Takes the next bytes, which may end anywhere, and answers with their CRC-32.
    pub fn push(&mut self, bytes: &Uint8Array) -> Result<u32, Rejection> {
        let mut crc = crc32fast::Hasher::new();
        let mut part = vec![0; PART_BYTES];
        for first in (0..bytes.length()).step_by(PART_BYTES) {
            let end = bytes.length().min(first + PART_BYTES as u32);
            let part = &mut part[..(end - first) as usize];
            bytes.subarray(first, end).copy_to(part);
            crc.update(part);
            self.0.push(part)?;
        }
        Ok(crc.finalize())
    }
}

/// A file that was read, on its way to its vectors.
#[wasm_bindgen]
pub struct ReadSource(lectern_engine::ReadSource);

#[wasm_bindgen]
impl ReadSource {
    /// What its passages are found by.
    pub fn texts(&self) -> Vec<String> {
        self.0.texts.clone()
    }
}

fn parse<T: DeserializeOwned>(value: JsValue) -> Result<T, Rejection> {
    serde_wasm_bindgen::from_value(value).map_err(|error| unfit(error.to_string()))
}

fn unfit(why: String) -> Rejection {
    Rejection::new("bad-call", format!("the call does not fit: {why}"))
}

fn emit(on_event: &Function, event: &impl serde::Serialize) {
    // A listener that throws must not end the work it listens to.
    let _ = on_event.call1(&JsValue::NULL, &to_js(event));
}
