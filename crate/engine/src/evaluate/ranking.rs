//! Ranked lists against judgements, as trec_eval, BEIR and MTEB score them.
//!
//! A list is given as the gains of its documents, best rank first; 0 is not relevant.

/// `Σ gain_i / log2(i + 1)` over the first `k` ranks, gain taken linearly, divided by the same sum over
/// the ideal order of `judged`, the gains of all judged documents (`ndcg_cut`). 0 without a relevant one.
pub fn ndcg(gains: &[f64], judged: &[f64], k: usize) -> f64 {
    let mut ideal = judged.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = dcg(&ideal, k);
    if best > 0.0 { dcg(gains, k) / best } else { 0.0 }
}

fn dcg(gains: &[f64], k: usize) -> f64 {
    gains.iter().take(k).enumerate().map(|(i, gain)| gain / ((i + 2) as f64).log2()).sum()
}

/// 1 / the first relevant rank, 0 beyond `k`.
pub fn mrr(gains: &[f64], k: usize) -> f64 {
    gains.iter().take(k).position(|&gain| gain > 0.0).map_or(0.0, |i| 1.0 / (i + 1) as f64)
}

/// Relevant documents in the first `k` ranks / all `n_relevant`. 0 without a relevant one.
pub fn recall(gains: &[f64], n_relevant: usize, k: usize) -> f64 {
    let n_found = gains.iter().take(k).filter(|&&gain| gain > 0.0).count();
    if n_relevant == 0 { 0.0 } else { n_found as f64 / n_relevant as f64 }
}

/// Whether a relevant document is in the first `k` ranks.
pub fn hit(gains: &[f64], k: usize) -> bool {
    gains.iter().take(k).any(|&gain| gain > 0.0)
}

/// Chunks to documents: each scored by its best chunk, highest first, equal scores by id descending as
/// trec_eval breaks ties.
pub fn documents<'a>(chunks: impl IntoIterator<Item = (&'a str, f32)>) -> Vec<(&'a str, f32)> {
    let mut best: std::collections::HashMap<&str, f32> = std::collections::HashMap::new();
    for (document, score) in chunks {
        best.entry(document).and_modify(|s| *s = s.max(score)).or_insert(score);
    }
    let mut ranked: Vec<_> = best.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(a.0)));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndcg_by_hand() {
        // Relevant at ranks 2 and 4 of three relevant: (1/log2 3 + 1/log2 5) / (1 + 1/log2 3 + 1/2).
        let got = ndcg(&[0.0, 1.0, 0.0, 1.0], &[1.0, 1.0, 1.0], 10);
        assert!((got - (0.630_929_75 + 0.430_676_56) / 2.130_929_75).abs() < 1e-8, "{got}");
        // Linear gain: 2 at rank 2, ideal 2 at rank 1 and 1 at rank 2.
        let got = ndcg(&[0.0, 2.0], &[1.0, 2.0, 0.0], 10);
        assert!((got - 2.0 * 0.630_929_75 / (2.0 + 0.630_929_75)).abs() < 1e-8, "{got}");
        assert_eq!(ndcg(&[1.0, 1.0], &[1.0, 1.0], 10), 1.0);
        assert_eq!(ndcg(&[0.0, 1.0], &[1.0], 1), 0.0);
        assert_eq!(ndcg(&[0.0], &[], 10), 0.0);
    }

    #[test]
    fn the_first_relevant_rank_counts() {
        let gains = [0.0, 0.0, 1.0, 1.0];
        assert_eq!((mrr(&gains, 10), mrr(&gains, 2)), (1.0 / 3.0, 0.0));
        assert_eq!((hit(&gains, 2), hit(&gains, 3)), (false, true));
        assert_eq!((recall(&gains, 4, 100), recall(&gains, 4, 3), recall(&gains, 0, 3)), (0.5, 0.25, 0.0));
    }

    #[test]
    fn a_document_is_scored_by_its_best_chunk() {
        let ranked = documents([("a", 0.5), ("b", 0.9), ("c", 0.7), ("a", 0.7), ("b", 0.1)]);
        assert_eq!(ranked, [("b", 0.9), ("c", 0.7), ("a", 0.7)]);
    }
}
