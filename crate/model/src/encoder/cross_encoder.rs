//! Re-rankers: a question and a passage are read together, and one number says how well the passage answers.

use std::rc::Rc;

use crate::Precision;
use crate::encoder::config::{CLASSIFIER, EncoderConfig, Pooling};
use crate::encoder::cpu::{CpuEncoder, linear};
use crate::encoder::executor::CPU_BATCH_TOKENS;
use crate::encoder::weights::{self, EncoderWeights, Linear};
use crate::error::ModelError;
use crate::gguf::Gguf;
use crate::host::Host;
use crate::kernel::cpu::activation::Activations;
use crate::kernel::cpu::matmul::{Bits, Scratch};
use crate::kernel::cpu::vector::dot;
use crate::tokenizer::Tokenizer;

/// `[CLS]`, and a `[SEP]` behind each text.
const N_MARKS: usize = 3;

/// A BERT cross-encoder of one label, with its tokenizer. It runs on the CPU alone: the GPU executor knows one segment
/// and pools to unit vectors.
pub struct CrossEncoder {
    weights: Rc<EncoderWeights>,
    cpu: CpuEncoder,
    /// `[hidden_size, hidden_size]`, before the tanh.
    pooler: Linear,
    /// `[hidden_size]`, and what is added.
    classifier: (Vec<f32>, f32),
    tokenizer: Tokenizer,
    cls: u32,
    sep: u32,
    activations: Activations,
    scratch: Scratch,
}

impl CrossEncoder {
    /// Takes the matrices out of the file.
    ///
    /// # Errors
    /// Those of [`EncoderConfig::from_gguf`] and [`Tokenizer::from_gguf`]; `model-unsupported` for an embedder, or a
    /// re-ranker without its pooler, with other than two segments or one label; `model-invalid` for a tensor that is
    /// missing or has another shape than the metadata says.
    pub fn from_gguf(gguf: &mut Gguf) -> Result<Self, ModelError> {
        let config = EncoderConfig::from_gguf(gguf)?;
        if config.pooling != Pooling::Rank {
            return Err(ModelError::unsupported(
                "it is an embedder, which makes vectors and scores no pairs; choose a re-ranker here, such as \
                 cross-encoder/ms-marco-MiniLM-L-6-v2, converted by `lectern convert`",
            ));
        }
        if !gguf.has_tensor("cls.weight") {
            return Err(ModelError::unsupported(
                "it is a re-ranker without its pooler (cls.weight), which some converters leave out; convert its \
                 checkpoint by `lectern convert`",
            ));
        }
        let hidden = config.hidden_size;
        // Some converters write a matrix of one row as a vector.
        let classifier = gguf.values(CLASSIFIER)?;
        if classifier.len() != hidden {
            let n = classifier.len() / hidden;
            return Err(ModelError::unsupported(format!("its classifier has {n} labels; a re-ranker has one")));
        }
        if config.max_tokens < N_MARKS + 2 {
            return Err(ModelError::invalid("metadata bert.context_length", "it is too short for two texts"));
        }
        let tokenizer = Tokenizer::from_gguf(gguf)?;
        let [cls, sep] = tokenizer.encode("", true)?[..] else {
            return Err(ModelError::unsupported("its tokenizer does not put one mark before a text and one behind it"));
        };
        let pooler = weights::linear(gguf, "cls", hidden, hidden)?;
        let bias = gguf.vector("cls.output.bias", 1)?[0];
        let weights = Rc::new(EncoderWeights::take(gguf, config)?);
        if weights.token_types.len() != 2 * hidden {
            let n = weights.token_types.len() / hidden;
            return Err(ModelError::unsupported(format!("it knows {n} segments; a re-ranker of pairs knows two")));
        }
        Ok(Self {
            cpu: CpuEncoder::new(Rc::clone(&weights)),
            weights,
            pooler,
            classifier: (classifier, bias),
            tokenizer,
            cls,
            sep,
            activations: Activations::default(),
            scratch: Scratch::default(),
        })
    }

    pub fn config(&self) -> &EncoderConfig {
        &self.weights.config
    }

    /// How activations are rounded from now on. The pooler keeps 16 bits: its scores are what is compared.
    pub fn set_precision(&mut self, precision: Precision) {
        self.cpu.set_precision(precision);
    }

    /// One logit for each passage, in their order: the higher, the better it answers the question. A pair gives the
    /// same bits alone as among others. What is written like a special token in a text is text.
    ///
    /// A pair longer than [`EncoderConfig::max_tokens`] loses the end of its passage. A question that leaves a passage
    /// no room is itself cut, to half.
    ///
    /// # Errors
    /// `cancelled`; `model-invalid` if the tokenizer has ids that the model lacks.
    pub async fn scores<H: Host>(
        &mut self,
        question: &str,
        passages: &[&str],
        host: &H,
    ) -> Result<Vec<f32>, ModelError> {
        let room = self.config().max_tokens - N_MARKS;
        let mut question = self.encode(question)?;
        if question.len() >= room {
            question.truncate(room / 2);
        }
        let first = [&[self.cls], &question[..], &[self.sep]].concat();
        let pairs = passages
            .iter()
            .map(|passage| {
                let mut passage = self.encode(passage)?;
                passage.truncate(room - question.len());
                let ids = [&first, &passage[..], &[self.sep]].concat();
                self.weights.check_ids(&ids)?;
                Ok(ids)
            })
            .collect::<Result<Vec<_>, ModelError>>()?;
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(pairs[i].len()));
        let mut scores = vec![0.0; pairs.len()];
        let mut rest = &order[..];
        while let Some(&longest) = rest.first() {
            if host.cancelled() {
                return Err(ModelError::Cancelled);
            }
            let n = (CPU_BATCH_TOKENS / pairs[longest].len()).clamp(1, rest.len());
            let (now, later) = rest.split_at(n);
            let batch: Vec<&[u32]> = now.iter().map(|&i| &pairs[i][..]).collect();
            for (&i, score) in now.iter().zip(self.logits(&batch, first.len(), host).await) {
                scores[i] = score;
            }
            rest = later;
            host.breathe().await;
        }
        Ok(scores)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.tokenizer.encode(&self.tokenizer.without_special(text), false)
    }

    /// `c · tanh(P x + p) + d` of the first row of each pair, whose first `n_first` ids are the question's.
    async fn logits<H: Host>(&mut self, batch: &[&[u32]], n_first: usize, host: &H) -> Vec<f32> {
        let hidden = self.weights.config.hidden_size;
        let mut rows = self.cpu.hidden_rows(batch, n_first, host).await;
        let mut firsts = Vec::with_capacity(batch.len() * hidden);
        for ids in batch {
            firsts.extend_from_slice(&rows[..hidden]);
            rows = &rows[ids.len() * hidden..];
        }
        self.activations.set(&firsts, hidden);
        let mut pooled = firsts;
        linear(&self.pooler, &mut self.activations, Bits::Sixteen, &mut pooled, &mut self.scratch);
        pooled.iter_mut().for_each(|v| *v = v.tanh());
        let (classifier, bias) = &self.classifier;
        pooled.chunks_exact(hidden).map(|row| dot(classifier, row) + bias).collect()
    }
}
