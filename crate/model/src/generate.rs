//! Prompt ids to text, token by token.

use std::collections::{HashMap, VecDeque};

use crate::decoder::{Decoder, Executor, PREFILL_BATCH};
use crate::error::ModelError;
use crate::host::Host;
use crate::lookup::Lookup;
use crate::repeat::{before_cycle, is_worn, said_in, sentence_end};
use crate::sample::{Sampler, SamplingOptions, argmax};
use crate::tokenizer::{TokenStream, Tokenizer};

/// How a generation runs.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Tokens to generate at most.
    pub max_tokens: usize,
    pub sampling: SamplingOptions,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// End before a sentence that the answer already holds: a small model that begins to repeat itself goes on.
    pub end_at_repeat: bool,
    /// Draft from what was read before, on the CPU and without temperature: quicker where an answer quotes, never
    /// another answer.
    pub lookup: bool,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The model ended its turn.
    End,
    /// `max_tokens` or the context is used up.
    Length,
    /// The person stopped it.
    Cancelled,
    /// A stop text came up.
    Stop,
    /// A sentence came up again.
    Repeat,
}

/// What happens on the way.
#[derive(Clone, Debug)]
pub enum GenerateEvent {
    /// `done` of `total` prompt tokens are read.
    Prefill { done: usize, total: usize },
    /// Text that will stay.
    Token(String),
    /// The GPU failed; the generation goes on on the CPU.
    GpuLost(String),
}

/// A finished generation.
#[derive(Clone, Debug)]
pub struct Generation {
    pub text: String,
    /// With the end-of-turn token, when it was generated.
    pub ids: Vec<u32>,
    /// The 20 largest logits after the prompt, `(id, logit)`, largest first.
    pub first_logits_top20: Vec<(u32, f32)>,
    /// Tokens of the prompt that were not read again: the cache held them.
    pub n_cached: usize,
    /// Tokens of the answer that a draft had right.
    pub n_drafted: usize,
    pub prefill_ms: f64,
    pub decode_ms: f64,
    pub stopped: Stopped,
}

/// Runs a step; when the GPU fails in it, or is known to have failed, says so and runs it once more on the CPU.
macro_rules! retry {
    ($decoder:ident, $host:ident, $on_event:ident, $step:expr) => {{
        if let (Executor::Gpu, Some(reason)) = ($decoder.executor(), $host.gpu_failure()) {
            $on_event(GenerateEvent::GpuLost(reason));
            $decoder.use_cpu($host).await?;
        }
        let n_read = $decoder.ids().len();
        let mut done = $step.await;
        if $decoder.executor() == Executor::Gpu {
            // A dispatch that failed leaves old numbers behind, and reading them succeeds.
            $host.breathe().await;
            let failure = match &done {
                Err(ModelError::GpuLost { reason }) => Some(reason.clone()),
                _ => $host.gpu_failure(),
            };
            if let Some(reason) = failure {
                $on_event(GenerateEvent::GpuLost(reason));
                $decoder.truncate(n_read);
                $decoder.use_cpu($host).await?;
                done = $step.await;
            }
        }
        done?
    }};
}

/// Reads `prompt`, as far as the cache does not hold its beginning already, and generates after it.
///
/// # Errors
/// `prompt-too-long` when no room for an answer is left. A lost GPU is no error: the CPU goes on.
pub async fn generate<H: Host>(
    decoder: &mut Decoder,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    options: &GenerateOptions,
    host: &H,
    on_event: &mut dyn FnMut(GenerateEvent),
) -> Result<Generation, ModelError> {
    check(decoder, prompt)?;
    let n_cached = decoder.keep_prefix(prompt);
    let mut answer = Answer::new(tokenizer, options, n_cached);
    let mut sampler = Sampler::new(options.sampling);
    let started = host.now_ms();
    let Some(mut logits) = read(decoder, prompt, host, on_event).await? else {
        return Ok(answer.finish(Vec::new(), host.now_ms() - started, 0.0, Stopped::Cancelled));
    };
    let prefill_ms = host.now_ms() - started;
    let top20 = largest(&logits, 20);
    let greedy = sampler.is_greedy();
    let mut next = if greedy { argmax(&logits) } else { sampler.sample(&mut logits, &answer.ids) };
    let mut lookup = Lookup::new();
    // Ids that are chosen, in order, and not in the answer yet: a draft had them right, or the GPU gave several.
    let mut known = VecDeque::new();
    let mut run = 1;
    let stopped = loop {
        if let Some(stopped) = answer.push(next, on_event)? {
            break stopped;
        }
        if answer.ids.len() >= options.max_tokens || prompt.len() + answer.ids.len() > decoder.n_ctx() {
            break Stopped::Length;
        }
        host.breathe().await;
        if host.cancelled() {
            break Stopped::Cancelled;
        }
        if let Some(id) = known.pop_front() {
            next = id;
            continue;
        }
        let room = options.max_tokens - answer.ids.len();
        if options.lookup && greedy && decoder.executor() == Executor::Cpu {
            // The decoder has not read the last id yet.
            let written: Vec<u32> = decoder.ids().iter().copied().chain([next]).collect();
            let draft = lookup.draft(&written, (room - 1).min(decoder.n_ctx() - written.len()));
            if !draft.is_empty() {
                let batch: Vec<u32> = [&[next], draft].concat();
                let logits = decoder.prefill_all(&batch, host).await?;
                let would: Vec<u32> = logits.chunks_exact(decoder.config().vocab_size).map(argmax).collect();
                let held = draft.iter().zip(&would).take_while(|(drafted, id)| drafted == id).count();
                known.extend(&would[..=held]);
                decoder.truncate(written.len() + held);
                lookup.learn(draft.len(), held);
                answer.n_drafted += held;
                next = known.pop_front().unwrap_or(next);
                continue;
            }
        }
        next = if sampler.looks_back() {
            let mut logits = retry!(decoder, host, on_event, decoder.decode(next, host));
            sampler.sample(&mut logits, &answer.ids)
        } else {
            let asked = host.now_ms();
            known.extend(retry!(decoder, host, on_event, decoder.decode_some(next, run.min(room), &sampler, host)));
            sampler.advance(known.len());
            run = tokens_at_once((host.now_ms() - asked) / known.len() as f64);
            known.pop_front().unwrap_or(next)
        };
    };
    answer.release(on_event);
    Ok(answer.finish(top20, prefill_ms, host.now_ms() - started - prefill_ms, stopped))
}

/// Reads `prompt`, as far as the cache does not hold its beginning already, so that a generation after it, or after one
/// that begins like it, has less to read. Returns how many tokens were read, which are fewer if it was stopped.
///
/// # Errors
/// As [`generate`].
pub async fn read_ahead<H: Host>(
    decoder: &mut Decoder,
    prompt: &[u32],
    host: &H,
    on_event: &mut dyn FnMut(GenerateEvent),
) -> Result<usize, ModelError> {
    check(decoder, prompt)?;
    let n_cached = decoder.keep_prefix(prompt);
    read(decoder, prompt, host, on_event).await?;
    Ok(decoder.ids().len() - n_cached)
}

fn check(decoder: &Decoder, prompt: &[u32]) -> Result<(), ModelError> {
    if prompt.is_empty() {
        return Err(ModelError::invalid("prompt", "it is empty"));
    }
    if prompt.len() >= decoder.n_ctx() {
        return Err(ModelError::PromptTooLong { n_tokens: prompt.len(), n_ctx: decoder.n_ctx() });
    }
    Ok(())
}

/// Reads what the decoder has not read of `prompt`; the logits after its last token, or `None` if it was stopped.
async fn read<H: Host>(
    decoder: &mut Decoder,
    prompt: &[u32],
    host: &H,
    on_event: &mut dyn FnMut(GenerateEvent),
) -> Result<Option<Vec<f32>>, ModelError> {
    decoder.reserve(prompt.len());
    let mut logits = Vec::new();
    while decoder.ids().len() < prompt.len() {
        if host.cancelled() {
            return Ok(None);
        }
        let rest = &prompt[decoder.ids().len()..];
        match rest.split_at_checked(PREFILL_BATCH) {
            Some((batch, [_, ..])) => retry!(decoder, host, on_event, decoder.read_on(batch, host)),
            _ => logits = retry!(decoder, host, on_event, decoder.prefill(rest, host)),
        }
        on_event(GenerateEvent::Prefill { done: decoder.ids().len(), total: prompt.len() });
        host.breathe().await;
    }
    Ok(Some(logits))
}

/// The `n` largest values with their indices, largest first.
pub fn largest(values: &[f32], n: usize) -> Vec<(u32, f32)> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    let n = n.min(order.len());
    let by_value = |a: &u32, b: &u32| values[*b as usize].total_cmp(&values[*a as usize]).then(a.cmp(b));
    if n > 0 && n < order.len() {
        order.select_nth_unstable_by(n - 1, by_value);
    }
    order.truncate(n);
    order.sort_by(by_value);
    order.into_iter().map(|i| (i, values[i as usize])).collect()
}

/// The text so far, held back while it may be the beginning of a text that ends it.
struct Answer<'a> {
    tokenizer: &'a Tokenizer,
    n_cached: usize,
    n_drafted: usize,
    stream: TokenStream<'a>,
    stop: &'a [String],
    /// How often each sentence was said; none unless repeats end the answer.
    said: Option<HashMap<String, usize>>,
    ids: Vec<u32>,
    text: String,
    /// Bytes of `text` behind each token.
    ends: Vec<usize>,
    /// Bytes of `text` that have been told.
    told: usize,
    /// Bytes of `text` before the sentence that is being written.
    sentence: usize,
}

impl<'a> Answer<'a> {
    fn new(tokenizer: &'a Tokenizer, options: &'a GenerateOptions, n_cached: usize) -> Self {
        Self {
            tokenizer,
            n_cached,
            n_drafted: 0,
            stream: TokenStream::new(tokenizer, true),
            stop: &options.stop,
            said: options.end_at_repeat.then(HashMap::new),
            ids: Vec::new(),
            text: String::new(),
            ends: Vec::new(),
            told: 0,
            sentence: 0,
        }
    }

    fn push(&mut self, id: u32, on_event: &mut dyn FnMut(GenerateEvent)) -> Result<Option<Stopped>, ModelError> {
        self.ids.push(id);
        if self.tokenizer.eos_ids().contains(&id) {
            let is_said = self.said.as_ref().is_some_and(|said| is_worn(said, said_in(&self.text[self.sentence..])));
            return Ok(Some(if is_said { self.end_before_sentence() } else { Stopped::End }));
        }
        self.text.push_str(&self.stream.push(id));
        self.ends.push(self.text.len());
        let untold = &self.text[self.told..];
        if let Some(at) = first_of(untold, self.stop) {
            self.text.truncate(self.told + at);
            return Ok(Some(Stopped::Stop));
        }
        let held = self.stop.iter().map(|stop| overlap(untold, stop)).max().unwrap_or(0);
        if self.repeats() {
            return Ok(Some(self.end_before_sentence()));
        }
        if let Some(n_sound) = self.said.as_ref().and_then(|_| before_cycle(&self.ids)) {
            self.text.truncate(self.ends[n_sound - 1]);
            return Ok(Some(Stopped::Repeat));
        }
        self.tell((self.text.len() - held).min(self.sure()), on_event);
        Ok(None)
    }

    /// Keeps the sentences that have ended meanwhile, until one of them has been said too often.
    fn repeats(&mut self) -> bool {
        let Some(said) = &mut self.said else { return false };
        while let Some(n) = sentence_end(&self.text[self.sentence..]) {
            let sentence = said_in(&self.text[self.sentence..self.sentence + n]);
            if is_worn(said, sentence) {
                return true;
            }
            if !sentence.is_empty() {
                *said.entry(sentence.to_owned()).or_default() += 1;
            }
            self.sentence += n;
        }
        false
    }

    /// Bytes of `text` that stay whatever comes: the sentence being written does not while it may become a repetition.
    fn sure(&self) -> usize {
        let begun = said_in(&self.text[self.sentence..]);
        let is_number = begun.bytes().all(|b| b.is_ascii_digit());
        let may_repeat = self.said.as_ref().is_some_and(|said| {
            said.keys().any(|sentence| is_worn(said, sentence) && (is_number || sentence.starts_with(begun)))
        });
        if may_repeat { self.sentence } else { self.text.len() }
    }

    /// Takes the sentence that is being written back.
    fn end_before_sentence(&mut self) -> Stopped {
        self.text.truncate(self.sentence);
        Stopped::Repeat
    }

    fn tell(&mut self, end: usize, on_event: &mut dyn FnMut(GenerateEvent)) {
        if end > self.told {
            on_event(GenerateEvent::Token(self.text[self.told..end].to_owned()));
            self.told = end;
        }
    }

    fn release(&mut self, on_event: &mut dyn FnMut(GenerateEvent)) {
        self.tell(self.text.len(), on_event);
    }

    fn finish(
        self,
        first_logits_top20: Vec<(u32, f32)>,
        prefill_ms: f64,
        decode_ms: f64,
        stopped: Stopped,
    ) -> Generation {
        Generation {
            text: self.text,
            ids: self.ids,
            first_logits_top20,
            n_cached: self.n_cached,
            n_drafted: self.n_drafted,
            prefill_ms,
            decode_ms,
            stopped,
        }
    }
}

/// Milliseconds between two pieces of text that a reader does not notice.
const UNNOTICED_MS: f64 = 40.0;

/// Tokens that may come together when each takes so long.
fn tokens_at_once(ms_per_token: f64) -> usize {
    // A clock may stand still for a token; what it is asked for is limited anyway.
    ((UNNOTICED_MS / ms_per_token.max(0.1)) as usize).max(1)
}

/// Where the first of `stops` begins in `text`.
fn first_of(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min()
}

/// Bytes at the end of `text` that begin `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len().min(text.len() + 1))
        .rev()
        .find(|&n| stop.is_char_boundary(n) && text.ends_with(&stop[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_stop_text_is_held_back() {
        assert_eq!(overlap("one\n", "\n\nQ"), 1);
        assert_eq!(overlap("one\n\n", "\n\nQ"), 2);
        assert_eq!(overlap("one", "\n\nQ"), 0);
        assert_eq!(overlap("naï", "ïve"), 2);
    }

    #[test]
    fn the_largest_come_first_and_ties_keep_the_lower_id() {
        assert_eq!(largest(&[1.0, 5.0, 5.0, -2.0], 3), [(1, 5.0), (2, 5.0), (0, 1.0)]);
        assert_eq!(largest(&[1.0], 20), [(0, 1.0)]);
    }
}
