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

/// Chooses tokens; the same options and logits give the same tokens, on the GPU too but for rounding.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplingOptions,
    n_drawn: u32,
}

impl Sampler {
    pub fn new(options: SamplingOptions) -> Self {
        Self { options, n_drawn: 0 }
    }

    pub fn options(&self) -> &SamplingOptions {
        &self.options
    }

    /// Whether the largest logit alone decides, so that no logits but the largest need to be known.
    pub fn is_greedy(&self) -> bool {
        self.options.temperature <= 0.0 && !self.looks_back()
    }

    /// Whether tokens depend on those before in another way than through the logits.
    pub fn looks_back(&self) -> bool {
        self.options.repetition_penalty != 1.0
    }

    /// Tokens drawn so far, which is all that is remembered of them.
    pub fn n_drawn(&self) -> u32 {
        self.n_drawn
    }

    /// Counts tokens that were drawn elsewhere.
    pub fn advance(&mut self, n: usize) {
        self.n_drawn = self.n_drawn.wrapping_add(n as u32);
    }

    /// The next token. `recent`: the ids that the repetition penalty looks at. NaN counts as impossible. Of equal logits
    /// at the edge of what stays in play, all stay.
    ///
    /// # Shapes
    /// `logits`: `[vocab_size]`, at least one; the penalty is applied in place.
    pub fn sample(&mut self, logits: &mut [f32], recent: &[u32]) -> u32 {
        self.penalize(logits, recent);
        if self.options.temperature <= 0.0 {
            return argmax(logits);
        }
        let u = uniform(self.options.seed, self.n_drawn);
        self.advance(1);
        let best = argmax(logits);
        let max = logits[best as usize];
        if !max.is_finite() {
            return best;
        }
        let weight = |logit: f32| f64::from((logit - max) / self.options.temperature).exp();
        let least = self.least_in_play(logits, weight);
        // Of NaN no comparison holds.
        let in_play = || (0..).zip(logits.iter()).filter(|(_, logit)| **logit >= least);
        let mut left = f64::from(u) * in_play().map(|(_, logit)| weight(*logit)).sum::<f64>();
        let mut last = best;
        for (id, logit) in in_play() {
            last = id;
            left -= weight(*logit);
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// The smallest logit that `top_k` and `top_p` leave in play.
    fn least_in_play(&self, logits: &[f32], weight: impl Fn(f32) -> f64) -> f32 {
        let SamplingOptions { top_k, top_p, .. } = self.options;
        if top_k == 0 && top_p >= 1.0 {
            return f32::MIN;
        }
        let mut play: Vec<f32> = logits.iter().copied().filter(|logit| *logit >= f32::MIN).collect();
        if top_k > 0 && top_k < play.len() {
            let (_, least, _) = play.select_nth_unstable_by(top_k - 1, |a, b| b.total_cmp(a));
            let least = *least;
            play.retain(|logit| *logit >= least);
        }
        play.sort_unstable_by(|a, b| b.total_cmp(a));
        let wanted = f64::from(top_p) * play.iter().map(|logit| weight(*logit)).sum::<f64>();
        let mut kept = 0.0;
        let reaches = |logit: &&f32| {
            kept += weight(**logit);
            kept >= wanted
        };
        play.iter().find(reaches).or(play.last()).copied().unwrap_or(f32::MIN)
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

/// The draw of this number, uniform in `0.0..1.0`, 24 bits.
pub fn uniform(seed: u64, n: u32) -> f32 {
    let [word, _] = threefry([seed as u32, (seed >> 32) as u32], [n, 0]);
    (word >> 8) as f32 / 16_777_216.0
}

/// Rotations of [`threefry`]'s rounds, over and over.
pub const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
/// What [`threefry`] makes its third key with.
pub const PARITY: u32 = 0x1bd1_1bda;

/// Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): numbers by their
/// place in a sequence, of additions, rotations and exclusive ors, which every GPU has.
fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let mut x = counter[0].wrapping_add(keys[0]);
    let mut y = counter[1].wrapping_add(keys[1]);
    for round in 0..20 {
        x = x.wrapping_add(y);
        y = y.rotate_left(ROTATIONS[round % 8]) ^ x;
        if round % 4 == 3 {
            let n = round / 4 + 1;
            x = x.wrapping_add(keys[n % 3]);
            y = y.wrapping_add(keys[(n + 1) % 3]).wrapping_add(n as u32);
        }
    }
    [x, y]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(options: SamplingOptions, logits: &[f32], n: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(options);
        (0..n).map(|_| sampler.sample(&mut logits.to_vec(), &[])).collect()
    }

    /// Known answers of Random123, the authors' own code.
    #[test]
    fn the_generator_is_threefry() {
        assert_eq!(threefry([0; 2], [0; 2]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn equal_logits_at_the_edge_all_stay() {
        let logits = [1.0, 0.0, 1.0, 1.0, f32::NAN];
        for options in
            [SamplingOptions { top_k: 2, ..Default::default() }, SamplingOptions { top_p: 0.1, ..Default::default() }]
        {
            let drawn = draw(SamplingOptions { temperature: 1.0, ..options }, &logits, 200);
            assert!([0, 2, 3].iter().all(|id| drawn.contains(id)) && !drawn.contains(&1) && !drawn.contains(&4));
        }
    }

    #[test]
    fn what_was_drawn_elsewhere_is_counted() {
        let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.37).sin()).collect();
        let options = SamplingOptions { temperature: 1.0, seed: 1 << 40, ..Default::default() };
        let all = draw(options, &logits, 10);
        let mut sampler = Sampler::new(options);
        sampler.advance(7);
        assert_eq!(sampler.n_drawn(), 7);
        assert_eq!(sampler.sample(&mut logits.clone(), &[]), all[7]);
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
