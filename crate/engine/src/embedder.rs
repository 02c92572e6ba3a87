//! Texts to unit vectors, in batches of like length.

use std::collections::VecDeque;

use lectern_model::decoder::Executor;
use lectern_model::encoder::{Encoder, EncoderWeights};
use lectern_model::host::Host;
use lectern_model::{Gguf, ModelError, Precision, Tokenizer};

use crate::error::EngineError;

/// Questions whose vectors are kept: one is searched for while it is being written, and again once it is asked.
const N_QUESTIONS: usize = 16;

/// An encoder with its tokenizer.
pub struct Embedder {
    pub encoder: Encoder,
    pub tokenizer: Tokenizer,
    /// SHA-256 of the model's file, in hexadecimal: vectors are only comparable under one.
    pub hash: String,
    /// The last questions, newest last, with what made their vectors.
    questions: VecDeque<(String, Executor, Vec<f32>)>,
}

impl Embedder {
    /// # Errors
    /// Those of reading a GGUF encoder.
    pub fn from_gguf(gguf: &mut Gguf, hash: &str) -> Result<Self, ModelError> {
        Ok(Self {
            encoder: Encoder::new(EncoderWeights::from_gguf(gguf)?),
            tokenizer: Tokenizer::from_gguf(gguf)?,
            hash: hash.to_owned(),
            questions: VecDeque::new(),
        })
    }

    /// How the CPU executor rounds from now on.
    pub fn set_precision(&mut self, precision: Precision) {
        self.encoder.set_precision(precision);
        self.questions.clear();
    }

    /// Tokens of `text` as chunks count them, without the marks that frame a whole text.
    pub fn n_tokens(&self, text: &str) -> usize {
        self.tokenizer.n_tokens(text)
    }

    /// One unit vector for each text, in their order; `on_batch(done)` after every batch. What is written like a special
    /// token in a text is text.
    ///
    /// # Errors
    /// `cancelled`, `gpu-lost`.
    pub async fn embed<H: Host>(
        &mut self,
        texts: &[String],
        host: &H,
        on_batch: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let max_tokens = self.encoder.config().max_tokens;
        let ids = texts
            .iter()
            .map(|text| self.tokenizer.encode_truncated(&self.tokenizer.without_special(text), max_tokens))
            .collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(ids[i].len()));
        let mut vectors = vec![Vec::new(); ids.len()];
        let mut done = 0;
        while done < order.len() {
            if host.cancelled() {
                return Err(ModelError::Cancelled.into());
            }
            if self.gpu_failed(host) {
                self.encoder.use_cpu();
            }
            let longest = ids[order[done]].len();
            let n = (self.encoder.batch_tokens() / longest).clamp(1, order.len() - done);
            let batch: Vec<Vec<u32>> = order[done..done + n].iter().map(|&i| ids[i].clone()).collect();
            let mut embedded = self.encoder.embed(&batch, host).await;
            // A dispatch that failed leaves old numbers behind, and reading them succeeds.
            if matches!(embedded, Err(ModelError::GpuLost { .. })) || self.gpu_failed(host) {
                self.encoder.use_cpu();
                embedded = self.encoder.embed(&batch, host).await;
            }
            for (&i, vector) in order[done..done + n].iter().zip(embedded?) {
                vectors[i] = vector;
            }
            done += n;
            on_batch(done);
            host.breathe().await;
        }
        Ok(vectors)
    }

    /// The unit vector of a question, from memory where it was asked for lately.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub async fn embed_question<H: Host>(&mut self, question: &str, host: &H) -> Result<Vec<f32>, EngineError> {
        let executor = self.encoder.executor();
        if let Some((.., vector)) = self.questions.iter().find(|(text, by, _)| text == question && *by == executor) {
            return Ok(vector.clone());
        }
        let vector = self.embed(&[question.to_owned()], host, &mut |_| ()).await?.concat();
        self.questions.push_back((question.to_owned(), self.encoder.executor(), vector.clone()));
        if self.questions.len() > N_QUESTIONS {
            self.questions.pop_front();
        }
        Ok(vector)
    }

    fn gpu_failed<H: Host>(&self, host: &H) -> bool {
        self.encoder.executor() == Executor::Gpu && host.gpu_failure().is_some()
    }
}
