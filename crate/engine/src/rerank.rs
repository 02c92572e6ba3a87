//! Passages that were found, in a better order.

use lectern_model::ModelError;
use lectern_model::encoder::CrossEncoder;
use lectern_model::host::Host;
use lectern_model::likelihood::log_likelihood;

use crate::cite::unmarked;
use crate::error::EngineError;
use crate::reader::Reader;
use crate::retrieve::Hit;

/// Nats a token that count as much as the whole of a score: of 20, 10 and 5, and without the score, the best over the
/// sets of [`Judge`] together.
const NATS: f32 = 10.0;

/// What says how well passages answer a question.
///
/// By the reader, first hits and hits among three, of the best five put in order:
///
/// | | SQuAD 2.0, 200 | CLAP NQ, 80 | COVID-QA, 120 |
/// |---|---|---|---|
/// | as found | 0.910, 0.975 | 0.950, 0.963 | 0.783, 0.892 |
/// | by score and likelihood | 0.925, 0.980 | 0.950, 0.963 | 0.850, 0.925 |
/// | by likelihood alone | 0.890, 0.970 | 0.888, 0.963 | 0.792, 0.908 |
///
/// As the questions stand in the sets, without a voice, and by a passage's own text without its headings. Off, since
/// answers differ by less than their intervals, and five passages more are read before the first word: F1 of 100
/// questions of SQuAD 2.0 0.13 and 0.13 without a voice, 0.46 and 0.43 in `cite`'s; of COVID-QA 0.21 and 0.23, 0.23 and
/// 0.24, where 0.20 and 0.19, 0.15 and 0.14 of the answers hold the gold one.
///
/// No cross-encoder's weights were at hand to measure one; its arithmetic is held to the reference (`tests/reranker.rs`).
pub enum Judge<'a> {
    /// By its logit.
    CrossEncoder(&'a mut CrossEncoder),
    /// By the score a passage was found with, and how likely the reader, in whatever voice it has on, takes the question
    /// to be after it (Sachan et al. 2022).
    Reader(&'a mut Reader),
}

impl Judge<'_> {
    /// Puts the best `n` hits in its order.
    ///
    /// # Errors
    /// `cancelled`, `prompt-too-long`, `gpu-lost`.
    pub(crate) async fn rerank<H: Host>(
        &mut self,
        question: &str,
        hits: Vec<Hit>,
        n: usize,
        host: &H,
    ) -> Result<Vec<Hit>, EngineError> {
        let best = &hits[..n.min(hits.len())];
        let judged = match self {
            Self::CrossEncoder(encoder) => {
                let passages: Vec<&str> = best.iter().map(|hit| hit.text.as_str()).collect();
                encoder.scores(question, &passages, host).await?
            }
            Self::Reader(reader) => likelihoods(reader, question, best, host).await?,
        };
        let mut order: Vec<usize> = (0..hits.len()).collect();
        order[..judged.len()].sort_by(|&a, &b| judged[b].total_cmp(&judged[a]));
        Ok(order.into_iter().map(|i| hits[i].clone()).collect())
    }
}

async fn likelihoods<H: Host>(
    reader: &mut Reader,
    question: &str,
    hits: &[Hit],
    host: &H,
) -> Result<Vec<f32>, EngineError> {
    let encode = |text: &str| reader.tokenizer.encode(&reader.tokenizer.without_special(text), false);
    let asked = encode(&format!(" {question}"))?;
    let prompts = hits
        .iter()
        .map(|hit| encode(&format!("Passage: {}\nQuestion:", unmarked(&hit.text))))
        .collect::<Result<Vec<_>, _>>()?;
    let mut judged = Vec::new();
    for (hit, prompt) in hits.iter().zip(prompts) {
        if host.cancelled() {
            return Err(ModelError::Cancelled.into());
        }
        let nats = log_likelihood(&mut reader.decoder, &prompt, &asked, host).await? as f32 / asked.len().max(1) as f32;
        judged.push(hit.score + nats / NATS);
        host.breathe().await;
    }
    Ok(judged)
}
