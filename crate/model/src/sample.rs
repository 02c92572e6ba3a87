//! Logits → the next token.

use serde::{Deserialize, Serialize};

/// How the next token is chosen. The default is greedy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplingOptions {
    /// Divides the logits; 0 (or less) takes the largest logit.
    pub temperature: f32,
    /// Only the `top_k` largest logits stay in play; 0 keeps all.
    pub top_k: usize,
    /// Only the most probable tokens that together reach this probability stay in play; 1 keeps all.
    pub top_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens (Keskar et al. 2019, CTRL); 1 does nothing.
    pub repetition_penalty: f32,
    pub seed: u64,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 }
    }
}

/// Chooses tokens; the same options and logits give the same tokens.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplingOptions,
    rng: SplitMix64,
}

impl Sampler {
    pub fn new(options: SamplingOptions) -> Self {
        Self { options, rng: SplitMix64(options.seed) }
    }

    /// Whether the largest logit alone decides, so that no logits but the largest need to be known.
    pub fn is_greedy(&self) -> bool {
        self.options.temperature <= 0.0 && self.options.repetition_penalty == 1.0
    }

    /// The next token. `recent`: the ids that the repetition penalty looks at. NaN counts as impossible.
    ///
    /// # Shapes
    /// `logits`: `[vocab_size]`, at least one; the penalty is applied in place.
    pub fn sample(&mut self, logits: &mut [f32], recent: &[u32]) -> u32 {
        self.penalize(logits, recent);
        if self.options.temperature <= 0.0 {
            return argmax(logits);
        }
        let mut candidates: Vec<(u32, f32)> =
            (0..).zip(logits.iter().copied()).filter(|(_, logit)| *logit > f32::NEG_INFINITY).collect();
        let descending = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let top_k = self.options.top_k;
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, descending);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(descending);
        let Some(&(best, max)) = candidates.first() else {
            return argmax(logits);
        };
        if max == f32::INFINITY {
            return best;
        }
        let mut total = 0.0f64;
        for (_, weight) in &mut candidates {
            *weight = ((*weight - max) / self.options.temperature).exp();
            total += f64::from(*weight);
        }
        let mut kept = 0.0f64;
        let mut n_kept = 0;
        for (_, weight) in &candidates {
            kept += f64::from(*weight);
            n_kept += 1;
            if kept >= f64::from(self.options.top_p) * total {
                break;
            }
        }
        let mut left = self.rng.next_unit() * kept;
        for (id, weight) in &candidates[..n_kept] {
            left -= f64::from(*weight);
            if left < 0.0 {
                return *id;
            }
        }
        candidates[n_kept - 1].0
    }

    fn penalize(&self, logits: &mut [f32], recent: &[u32]) {
        let penalty = self.options.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let mut ids = recent.to_vec();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }
}

/// Position of the largest value; of equal ones the lowest.
pub fn argmax(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &logit) in (0..).zip(logits) {
        if logit > best.1 {
            best = (id, logit);
        }
    }
    best.0
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0.0..1.0`, 53 bits.
    fn next_unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(options: SamplingOptions, logits: &[f32], n: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(options);
        (0..n).map(|_| sampler.sample(&mut logits.to_vec(), &[])).collect()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut rng = SplitMix64(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([rng.next(), rng.next(), rng.next()], expected);
    }

    #[test]
    fn greedy_takes_the_lowest_id_of_a_tie() {
        assert_eq!(draw(SamplingOptions::default(), &[1.0, 3.0, 3.0, f32::NAN], 1), [1]);
        assert_eq!(draw(SamplingOptions::default(), &[f32::NAN, f32::NEG_INFINITY], 1), [0]);
        assert!(Sampler::new(SamplingOptions::default()).is_greedy());
    }

    #[test]
    fn repetition_penalty_pushes_down_both_signs() {
        let options = SamplingOptions { repetition_penalty: 2.0, ..Default::default() };
        let mut logits = [4.0, 3.0, -1.0];
        let mut sampler = Sampler::new(options);
        assert!(!sampler.is_greedy());
        assert_eq!(sampler.sample(&mut logits, &[0, 0, 2, 99]), 1);
        assert_eq!(logits, [2.0, 3.0, -2.0]);
    }

    #[test]
    fn the_seed_decides() {
        let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.37).sin()).collect();
        let options = |seed| SamplingOptions { temperature: 1.0, seed, ..Default::default() };
        assert_eq!(draw(options(7), &logits, 40), draw(options(7), &logits, 40));
        assert_ne!(draw(options(7), &logits, 40), draw(options(8), &logits, 40));
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let probabilities = [0.5f32, 0.3, 0.15, 0.05];
        let logits = probabilities.map(f32::ln);
        let options = SamplingOptions { temperature: 1.0, seed: 3, ..Default::default() };
        let n = 20_000;
        let ids = draw(options, &logits, n);
        for (id, p) in (0u32..).zip(probabilities) {
            let share = ids.iter().filter(|x| **x == id).count() as f32 / n as f32;
            // four standard deviations
            assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / n as f32).sqrt(), "{id}: {share} {p}");
        }
    }

    #[test]
    fn top_p_keeps_the_fewest_tokens_that_reach_it() {
        let logits = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln);
        let options = |top_p| SamplingOptions { temperature: 1.0, top_p, ..Default::default() };
        assert!(draw(options(0.79), &logits, 500).iter().all(|id| *id < 2));
        assert!(draw(options(0.9), &logits, 500).contains(&2));
        assert!(draw(options(0.0), &logits, 50).iter().all(|id| *id == 0));
    }

    proptest! {
        #[test]
        fn only_the_top_k_are_drawn(
            logits in prop::collection::vec(prop_oneof![8 => -20.0f32..20.0, 1 => Just(f32::NAN)], 1..40),
            top_k in 1usize..10,
            temperature in 0.01f32..5.0,
            seed: u64,
        ) {
            let options = SamplingOptions { temperature, top_k, seed, ..Default::default() };
            let mut sampler = Sampler::new(options);
            let id = sampler.sample(&mut logits.clone(), &[]) as usize;
            prop_assert!(id < logits.len());
            let n_above = logits.iter().filter(|logit| **logit > logits[id]).count();
            prop_assert!(n_above < top_k);
        }
    }
}
