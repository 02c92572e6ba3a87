//! A question to a streamed, cited answer.

use lectern_index::{DenseMode, DensePath};
use lectern_model::decoder::Executor;
use lectern_model::generate::{self, GenerateEvent, GenerateOptions, Stopped, generate};
use lectern_model::host::Host;
use lectern_model::{ModelError, SamplingOptions};
use serde::Serialize;

use crate::cite::{Citation, attach, citations, drop_invented};
use crate::error::EngineError;
use crate::executor::ExecutorInfo;
use crate::find::Finder;
use crate::prompt::{Prompt, REFUSAL, beginning, passages_shown, with_passages, without_passages};
use crate::quote::quoted;
use crate::reader::Reader;
use crate::respell::Respelling;
use crate::retrieve::{Exchange, Hit, Retrieval};
use crate::support::{Sentence, check};

/// How to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct AskOptions {
    /// Whether the pages are read.
    pub rag: bool,
    /// Passages shown to the reader at most; as many as it reads best where nothing is said, see [`passages_shown`].
    pub top_k: Option<usize>,
    pub max_tokens: usize,
    pub sampling: SamplingOptions,
    pub stop: Vec<String>,
    pub dense: DenseMode,
    /// What a question that only follows up is searched for by as well.
    pub before: Option<Exchange>,
    /// Numbers of the pages that are read; all where none is named.
    pub sources: Vec<u32>,
    /// Whether the passages' own sentences answer, and no language model is asked.
    pub extractive: bool,
    /// Passages before and behind a hit, within its section, that are shown with it; with many, a short section goes in
    /// whole, and a short document that has but one. Off: of 60 questions of SQuAD 2.0 over the articles as files, without a voice, the share of answers that
    /// hold the gold answer falls from 0.45 to 0.28 with one neighbour, though what is cited holds it more often (0.96
    /// for 0.81): a small model finds less in more. Of 100 of CLAP NQ, whose documents are such, F1 is
    /// 0.30 for 0.31 without a voice and 0.06 for 0.09 in `cite`'s.
    pub neighbours: usize,
    /// Whether what the reader would answer without pages is searched for too (HyDE, Gao et al. 2022), where nothing was
    /// said before: as what was said before, with the question, so by words and vector. Off: of the same questions the
    /// passage is found first for 52 and not 53, among two for 58 both ways, among three for 59 and not 58, and it costs
    /// an answer.
    pub hyde: bool,
    /// How many of the best passages are put in another order, by a [`Judge`](crate::rerank::Judge); 0 for none.
    pub rerank: usize,
    /// Whether it is answered anew though the answer is known, see [`Session::ask`](crate::Session::ask).
    pub fresh: bool,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            rag: true,
            top_k: None,
            max_tokens: 256,
            sampling: SamplingOptions::default(),
            stop: Vec::new(),
            dense: DenseMode::Auto,
            before: None,
            sources: Vec::new(),
            extractive: false,
            neighbours: 0,
            hyde: false,
            rerank: 0,
            fresh: false,
        }
    }
}

/// What happens on the way to an answer.
#[derive(Clone, Debug)]
pub enum AskEvent {
    Retrieved(Vec<Hit>),
    Prefill {
        done: usize,
        total: usize,
    },
    Token(String),
    Notice {
        code: &'static str,
        message: String,
    },
    /// Another executor runs from now on.
    Executor(ExecutorInfo),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    End,
    Length,
    Cancelled,
    Stop,
    /// The next sentence would have been one of the answer's own.
    Repeat,
    /// No passage is near the question: nothing was generated.
    Refused,
}

impl From<Stopped> for Ending {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::End => Self::End,
            Stopped::Length => Self::Length,
            Stopped::Cancelled => Self::Cancelled,
            Stopped::Stop => Self::Stop,
            Stopped::Repeat => Self::Repeat,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub prompt_tokens: usize,
    /// Of these, how many an earlier question had read already.
    pub cached_tokens: usize,
    pub completion_tokens: usize,
}

/// Milliseconds by stage.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timings {
    pub load: f64,
    pub embed: f64,
    pub retrieve: f64,
    pub prefill: f64,
    pub decode: f64,
    pub total: f64,
}

/// An answer with what it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub answer: String,
    /// Words of the question that were read otherwise than they are written.
    pub respelled: Vec<Respelling>,
    /// The passages do not answer: said by the threshold or by the reader.
    pub refused: bool,
    /// Those that say something, and how far the passages hold each; none of a refusal, nor of an answer without pages.
    pub sentences: Vec<Sentence>,
    pub citations: Vec<Citation>,
    pub hits: Vec<Hit>,
    pub usage: Usage,
    pub timings_ms: Timings,
    #[serde(skip)]
    pub executor: Executor,
    pub dense_path: DensePath,
    /// Passages in the prompt.
    pub n_passages: usize,
    /// Passages that did not fit.
    pub n_passages_dropped: usize,
    pub stopped: Ending,
    pub dispatches_per_token: Option<usize>,
    /// The passages' own sentences: no language model was asked, or, where `usage` tells of tokens, it said nothing that
    /// a passage could be cited for.
    pub extractive: bool,
    /// What the language model said, where no passage could be cited for it and the passages answer in its place. Without
    /// a voice such answers hold the gold answer to 9 of 100 questions of SQuAD 2.0 and to 4 of COVID-QA, cited ones to 50
    /// and 30. With the passages in their place, of SQuAD 2.0, CLAP NQ and COVID-QA (100 each): F1 0.13 → 0.14, 0.34 →
    /// 0.43, 0.23 → 0.25; the gold answer is held 0.37 → 0.60, 0.00 → 0.11, 0.24 → 0.38; precision of citations 0.32 →
    /// 0.65, 0.33 → 0.87, 0.52 → 0.76.
    pub set_aside: Option<String>,
    /// Given before and told again: only `timings_ms` are of this time.
    pub cached: bool,
}

impl Answer {
    /// What is said where no passage is near the question.
    pub(crate) fn refusal(retrieval: Retrieval, executor: Executor) -> Self {
        Self {
            answer: REFUSAL.to_owned(),
            respelled: retrieval.respelled,
            refused: true,
            sentences: Vec::new(),
            citations: Vec::new(),
            usage: Usage::default(),
            timings_ms: Timings { embed: retrieval.embed_ms, retrieve: retrieval.retrieve_ms, ..Timings::default() },
            executor,
            dense_path: retrieval.dense_path,
            n_passages: 0,
            n_passages_dropped: 0,
            stopped: Ending::Refused,
            dispatches_per_token: None,
            hits: retrieval.hits,
            extractive: false,
            set_aside: None,
            cached: false,
        }
    }
}

/// Answers `question` in the voice that `reader` has on.
///
/// # Errors
/// `question-empty`, `no-documents`, `not-loaded`, `prompt-too-long`, and those of retrieval.
pub async fn ask<H: Host>(
    reader: &mut Reader,
    finder: &mut Finder<'_, H>,
    question: &str,
    options: &AskOptions,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, EngineError> {
    let host = finder.host;
    let question = question.trim();
    if question.is_empty() {
        return Err(EngineError::EmptyQuestion);
    }
    let started = host.now_ms();
    let options = &imagined(reader, question, options, host).await?;
    let n_shown = n_shown(reader, options);
    let retrieval = finder.find(Some(reader), n_shown, question, options).await?;
    let question = &retrieval.question.clone();
    let relevant = retrieval.is_relevant;
    if options.rag {
        on_event(AskEvent::Retrieved(retrieval.hits.clone()));
    }
    let mut answer = Answer::refusal(retrieval, reader.decoder.executor());
    answer.dispatches_per_token = reader.decoder.dispatches_per_token();
    if !relevant {
        on_event(AskEvent::Token(REFUSAL.to_owned()));
        answer.timings_ms.total = host.now_ms() - started;
        return Ok(answer);
    }
    let prompt = prompt(reader, question, &answer.hits, options)?;
    answer.n_passages = prompt.n_passages;
    answer.n_passages_dropped = answer.hits.len() - prompt.n_passages;
    if answer.n_passages_dropped > 0 {
        let message = format!(
            "{} of {} passages did not fit beside the question and were left out.",
            answer.n_passages_dropped,
            answer.hits.len()
        );
        on_event(AskEvent::Notice { code: "passages-cut", message });
    }
    let generate_options = GenerateOptions {
        max_tokens: options.max_tokens,
        sampling: options.sampling,
        stop: options.stop.clone(),
        end_at_repeat: true,
        lookup: true,
    };
    let generation =
        generate(&mut reader.decoder, &reader.tokenizer, &prompt.ids, &generate_options, host, &mut |event| {
            relay(event, on_event)
        })
        .await?;
    let shown = &answer.hits[..prompt.n_passages];
    answer.answer = generation.text.trim().to_owned();
    answer.refused = options.rag && answer.answer.starts_with(REFUSAL);
    answer.answer = drop_invented(&answer.answer, shown.len());
    if options.rag && !answer.refused {
        answer.answer = attach(&answer.answer, question, shown);
        answer.sentences = check(&answer.answer, question, shown, finder.embedder.as_deref_mut(), host).await?;
        // A small model may also end after "The answer to this question is [1]:".
        let is_empty = answer.sentences.is_empty() || citations(&answer.answer, shown).is_empty();
        if is_empty
            && !matches!(generation.stopped, Stopped::Cancelled | Stopped::Stop)
            && let Some(embedder) = finder.embedder.as_deref_mut()
        {
            let (text, sentences) = quoted(embedder, question, shown, host).await?;
            if !text.is_empty() {
                let said = std::mem::replace(&mut answer.answer, text);
                answer.set_aside = (!answer.sentences.is_empty()).then_some(said);
                (answer.sentences, answer.extractive) = (sentences, true);
            }
        }
    }
    answer.citations = citations(&answer.answer, shown);
    answer.usage = Usage {
        prompt_tokens: prompt.ids.len(),
        cached_tokens: generation.n_cached,
        completion_tokens: generation.ids.len(),
    };
    answer.timings_ms.prefill = generation.prefill_ms;
    answer.timings_ms.decode = generation.decode_ms;
    answer.timings_ms.total = host.now_ms() - started;
    answer.executor = reader.decoder.executor();
    answer.stopped = generation.stopped.into();
    Ok(answer)
}

/// Reads what the answer to a question begins with, while the question is still being written: its passages, or of an
/// empty one what every question begins with. The answer then reads only what differs. Returns how many tokens were
/// read; none where nothing relevant is found.
///
/// # Errors
/// As [`ask`], but for `question-empty`.
pub async fn read_ahead<H: Host>(
    reader: &mut Reader,
    finder: &mut Finder<'_, H>,
    question: &str,
    options: &AskOptions,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<usize, EngineError> {
    let host = finder.host;
    let question = question.trim();
    let prompt = if question.is_empty() {
        beginning(reader, options.rag)?
    } else {
        let options = &imagined(reader, question, options, host).await?;
        let n_shown = n_shown(reader, options);
        let retrieval = finder.find(Some(reader), n_shown, question, options).await?;
        if !retrieval.is_relevant {
            return Ok(0);
        }
        prompt(reader, &retrieval.question, &retrieval.hits, options)?
    };
    Ok(generate::read_ahead(&mut reader.decoder, &prompt.ids, host, &mut |event| relay(event, on_event)).await?)
}

fn n_shown(reader: &Reader, options: &AskOptions) -> usize {
    options.top_k.unwrap_or_else(|| passages_shown(reader.decoder.has_adapter())).max(1)
}

/// Tokens of an answer that is only searched for.
const N_IMAGINED: usize = 48;

/// With [`AskOptions::hyde`], what the reader answers without pages in the place of what was said before.
async fn imagined<H: Host>(
    reader: &mut Reader,
    question: &str,
    options: &AskOptions,
    host: &H,
) -> Result<AskOptions, EngineError> {
    if !options.hyde || !options.rag || options.before.is_some() {
        return Ok(options.clone());
    }
    let ids = without_passages(reader, question)?.ids;
    let how = GenerateOptions {
        max_tokens: N_IMAGINED,
        sampling: SamplingOptions::default(),
        stop: Vec::new(),
        end_at_repeat: true,
        lookup: true,
    };
    let answer = generate(&mut reader.decoder, &reader.tokenizer, &ids, &how, host, &mut |_| ()).await?.text;
    Ok(AskOptions { before: Some(Exchange { question: question.to_owned(), answer }), ..options.clone() })
}

fn prompt(reader: &Reader, question: &str, hits: &[Hit], options: &AskOptions) -> Result<Prompt, ModelError> {
    match options.rag {
        true => with_passages(reader, question, hits, options.max_tokens),
        false => without_passages(reader, question),
    }
}

/// Passes on what a generation says; a lost GPU is a notice and another executor.
pub(crate) fn relay(event: GenerateEvent, on_event: &mut dyn FnMut(AskEvent)) {
    match event {
        GenerateEvent::Prefill { done, total } => on_event(AskEvent::Prefill { done, total }),
        GenerateEvent::Token(text) => on_event(AskEvent::Token(text)),
        GenerateEvent::GpuLost(reason) => {
            let message = format!("The graphics device failed ({reason}). The answer goes on on the CPU.");
            on_event(AskEvent::Notice { code: "gpu-lost", message });
            on_event(AskEvent::Executor(ExecutorInfo::gpu_lost(&reason)));
        }
    }
}
