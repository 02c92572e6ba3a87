//! Two rankings → one.

use std::collections::HashMap;

use crate::ChunkId;

/// Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): a chunk scores the sum of
/// `1 / (rrf_k + rank)` over the rankings that hold it, with ranks from 1. Best first; equal scores
/// keep the order of chunk ids.
pub(crate) fn reciprocal_rank(rankings: &[&[ChunkId]], rrf_k: f32) -> Vec<(ChunkId, f32)> {
    let mut scores: HashMap<ChunkId, f32> = HashMap::new();
    for ranking in rankings {
        for (i, &chunk) in ranking.iter().enumerate() {
            *scores.entry(chunk).or_default() += 1.0 / (rrf_k + (i + 1) as f32);
        }
    }
    let mut fused: Vec<(ChunkId, f32)> = scores.into_iter().collect();
    sort_best_first(&mut fused);
    fused
}

/// Highest score first; equal scores by chunk id, so that a ranking never depends on chance.
pub(crate) fn sort_best_first(scored: &mut [(ChunkId, f32)]) {
    scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}

/// The best `n` in order.
pub(crate) fn top(mut scored: Vec<(ChunkId, f32)>, n: usize) -> Vec<(ChunkId, f32)> {
    if scored.len() > n && n > 0 {
        scored.select_nth_unstable_by(n - 1, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }
    scored.truncate(n);
    sort_best_first(&mut scored);
    scored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_beats_one_high_rank() {
        let fused = reciprocal_rank(&[&[7, 1, 2], &[3, 1, 4]], 60.0);
        assert_eq!(fused[0], (1, 2.0 / 62.0));
        assert_eq!(fused[1..].iter().map(|f| f.0).collect::<Vec<_>>(), [3, 7, 2, 4]);
    }

    #[test]
    fn the_best_are_kept_in_order() {
        let scored = vec![(0, 0.1), (1, 0.9), (2, 0.5), (3, 0.9)];
        assert_eq!(top(scored.clone(), 3), [(1, 0.9), (3, 0.9), (2, 0.5)]);
        assert_eq!(top(scored, 0), []);
    }
}
