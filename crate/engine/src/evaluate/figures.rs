//! Values per question to figures: means with bootstrap intervals; and seeded samples of questions.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;

use super::run::Scored;

/// Resamples behind an interval.
pub const N_RESAMPLES: usize = 1000;

/// A mean and the percentile bootstrap interval that holds it with 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    /// Values behind it.
    pub n: usize,
}

/// The mean of `values` with its interval, from [`N_RESAMPLES`] resamples with replacement (Efron's
/// percentile method). `None` without a value.
pub fn bootstrap(values: &[f64], seed: u64) -> Option<Estimate> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mut rng = Rng::new(seed);
    let mut means: Vec<f64> =
        (0..N_RESAMPLES).map(|_| (0..n).map(|_| values[rng.below(n)]).sum::<f64>() / n as f64).collect();
    means.sort_by(f64::total_cmp);
    let tail = N_RESAMPLES / 40;
    Some(Estimate {
        mean: values.iter().sum::<f64>() / n as f64,
        low: means[tail],
        high: means[N_RESAMPLES - 1 - tail],
        n,
    })
}

/// Values of named figures, gathered question by question. A question that a figure does not apply to
/// gives it no value.
#[derive(Clone, Debug)]
pub struct Tally {
    columns: Vec<(&'static str, Vec<f64>)>,
}

impl Tally {
    /// For figures that are reported even when no question gives them a value.
    pub fn new(names: &[&'static str]) -> Self {
        Self { columns: names.iter().map(|&name| (name, Vec::new())).collect() }
    }

    /// Takes the value of a figure that is reported; others are passed over.
    pub fn push(&mut self, name: &str, value: impl Into<f64>) {
        if let Some((_, values)) = self.columns.iter_mut().find(|(column, _)| *column == name) {
            values.push(value.into());
        }
    }

    pub fn push_all(&mut self, scored: &Scored) {
        for (name, &value) in &scored.values {
            self.push(name, value);
        }
    }

    pub fn figures(&self, seed: u64) -> Figures {
        Figures(self.columns.iter().map(|(name, values)| (*name, bootstrap(values, seed))).collect())
    }
}

/// The figures of one question, by name.
pub type Values = BTreeMap<&'static str, f64>;

/// Named figures. As JSON: `{name: mean, …, "interval_95": {name: [low, high], …}, "n_scored": {name: n, …}}`;
/// `null` for a figure that no question gave a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures(Vec<(&'static str, Option<Estimate>)>);

impl Figures {
    pub fn get(&self, name: &str) -> Option<Estimate> {
        self.0.iter().find(|(figure, _)| *figure == name).and_then(|(_, estimate)| *estimate)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<Estimate>)> {
        self.0.iter().copied()
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, estimate) in self.iter() {
            map.serialize_entry(name, &estimate.map(|e| e.mean))?;
        }
        let intervals: BTreeMap<_, _> = self.iter().map(|(name, e)| (name, e.map(|e| [e.low, e.high]))).collect();
        map.serialize_entry("interval_95", &intervals)?;
        let counts: BTreeMap<_, _> = self.iter().map(|(name, e)| (name, e.map_or(0, |e| e.n))).collect();
        map.serialize_entry("n_scored", &counts)?;
        map.end()
    }
}

/// `n` of the indices `0..len`, drawn without replacement, in ascending order; all of them when there
/// are no more.
pub fn sample(len: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..len).collect();
    let mut rng = Rng::new(seed);
    let n = n.min(len);
    for i in 0..n {
        indices.swap(i, i + rng.below(len - i));
    }
    indices.truncate(n);
    indices.sort_unstable();
    indices
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same draws on every machine.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_are_splitmix64s() {
        // The first outputs of the reference implementation for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn the_interval_holds_the_mean_and_is_as_wide_as_theory_says() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 4 == 0)).collect();
        let estimate = bootstrap(&values, 0).unwrap();
        // Binomial: 0.25 ± 1.96·√(0.25·0.75/400) = 0.25 ± 0.0424.
        assert_eq!((estimate.mean, estimate.n), (0.25, 400));
        assert!((estimate.low - 0.2076).abs() < 0.008 && (estimate.high - 0.2924).abs() < 0.008, "{estimate:?}");
        assert_eq!(bootstrap(&values, 0), bootstrap(&values, 0));
        assert_eq!(bootstrap(&[1.0, 1.0], 7), Some(Estimate { mean: 1.0, low: 1.0, high: 1.0, n: 2 }));
        assert_eq!(bootstrap(&[], 0), None);
    }

    #[test]
    fn samples_are_seeded_and_without_replacement() {
        let drawn = sample(300, 100, 7);
        assert_eq!(drawn.len(), 100);
        assert!(drawn.is_sorted_by(|a, b| a < b) && drawn[99] < 300);
        assert_eq!(drawn, sample(300, 100, 7));
        assert_ne!(drawn, sample(300, 100, 8));
        assert_eq!(sample(3, 9, 1), [0, 1, 2]);
    }

    #[test]
    fn a_figure_without_a_value_is_named_all_the_same() {
        let mut tally = Tally::new(&["em", "refusal_right"]);
        tally.push("em", true);
        tally.push("em", 0.0);
        let figures = tally.figures(0);
        assert_eq!(figures.get("em").map(|e| (e.mean, e.n)), Some((0.5, 2)));
        assert_eq!(figures.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["em", "refusal_right"]);
        assert_eq!(figures.get("refusal_right"), None);
    }
}
