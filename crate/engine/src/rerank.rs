//! Passages that were found, in a better order.

use lectern_model::ModelError;
use lectern_model::host::Host;
use lectern_model::likelihood::log_likelihood;

use crate::cite::unmarked;
use crate::error::EngineError;
use crate::reader::Reader;
use crate::retrieve::Hit;

/// Nats a token that count as much as the whole of a score.
const NATS: f64 = 10.0;

/// Puts the best `n` hits in the order of their scores and of how likely `reader` takes the question to be after each
/// passage (Sachan et al. 2022), in whatever voice it has on.
pub(crate) async fn reranked<H: Host>(
    reader: &mut Reader,
    question: &str,
    hits: Vec<Hit>,
    n: usize,
    host: &H,
) -> Result<Vec<Hit>, EngineError> {
    let asked = reader.tokenizer.encode(&format!(" {}", reader.tokenizer.without_special(question)), false)?;
    let mut judged = Vec::new();
    for hit in hits.iter().take(n) {
        if host.cancelled() {
            return Err(ModelError::Cancelled.into());
        }
        let passage = reader.tokenizer.without_special(&unmarked(&hit.text));
        let prompt = reader.tokenizer.encode(&format!("Passage: {passage}\nQuestion:"), false)?;
        let nats = log_likelihood(&mut reader.decoder, &prompt, &asked).await? / asked.len().max(1) as f64;
        judged.push(f64::from(hit.score) + nats / NATS);
        host.breathe().await;
    }
    let mut order: Vec<usize> = (0..hits.len()).collect();
    order[..judged.len()].sort_by(|&a, &b| judged[b].total_cmp(&judged[a]));
    Ok(order.into_iter().map(|i| hits[i].clone()).collect())
}
