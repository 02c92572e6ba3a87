//! How likely a model takes a text to be.

use crate::decoder::{Decoder, PREFILL_BATCH};
use crate::error::ModelError;
use crate::host::Host;

/// Perplexity of `ids`: `exp(−mean log p(idᵢ | id₀..idᵢ₋₁))` over all but the first.
///
/// # Errors
/// `prompt-too-long`, `model-invalid` for fewer than two ids, `gpu-lost`.
pub async fn perplexity<H: Host>(decoder: &mut Decoder, ids: &[u32], host: &H) -> Result<f64, ModelError> {
    if ids.len() < 2 {
        return Err(ModelError::invalid("text", "perplexity needs two tokens at least"));
    }
    decoder.reset();
    let nll = -log_likelihood(decoder, &ids[..1], &ids[1..], host).await?;
    Ok((nll / (ids.len() - 1) as f64).exp())
}

/// `Σ log p(idᵢ | prompt, id₀..idᵢ₋₁)` over `ids`, in nats. What the decoder has read of the beginning of `prompt` it
/// does not read again.
///
/// # Errors
/// `prompt-too-long`, `model-invalid` for an empty prompt, `gpu-lost`.
pub async fn log_likelihood<H: Host>(
    decoder: &mut Decoder,
    prompt: &[u32],
    ids: &[u32],
    host: &H,
) -> Result<f64, ModelError> {
    let Some((&last, before)) = prompt.split_last() else {
        return Err(ModelError::invalid("text", "nothing stands before what is to be judged"));
    };
    decoder.keep_prefix(prompt);
    for batch in before[decoder.ids().len()..].chunks(PREFILL_BATCH) {
        decoder.read_on(batch, host).await?;
    }
    // Each id but the last of all foretells the next.
    let read: Vec<u32> = std::iter::once(last).chain(ids.iter().copied()).take(ids.len()).collect();
    let vocab_size = decoder.config().vocab_size;
    let mut sum = 0.0;
    for (batch, targets) in read.chunks(PREFILL_BATCH).zip(ids.chunks(PREFILL_BATCH)) {
        let logits = decoder.prefill_all(batch, host).await?;
        sum +=
            logits.chunks_exact(vocab_size).zip(targets).map(|(row, &id)| log_softmax(row, id as usize)).sum::<f64>();
    }
    Ok(sum)
}

fn log_softmax(row: &[f32], id: usize) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|v| ((v - largest) as f64).exp()).sum();
    (row[id] - largest) as f64 - sum.ln()
}
