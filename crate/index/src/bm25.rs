//! Okapi BM25 over stemmed words (Robertson and Zaragoza 2009, in Lucene's form).

use std::collections::HashMap;

use crate::chunk::Row;

/// Term frequency saturation, and how much a chunk's length counts: the values Anserini and BEIR use
/// for passages.
const K1: f32 = 0.9;
const B: f32 = 0.4;
/// Removed chunks stay in the lists until they are one in this many.
const MAX_DEAD_SHARE: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Posting {
    row: Row,
    term_freq: u32,
}

/// An inverted index. Chunks are added and removed in the time that their own words take, but that now and then
/// the lists are cleared of what was removed.
#[derive(Debug, Default)]
pub(crate) struct Bm25 {
    terms: HashMap<String, u32>,
    /// By term; ascending by row, removed ones among them.
    postings: Vec<Vec<Posting>>,
    /// By row: the words of the chunk, `None` once it is removed.
    lengths: Vec<Option<u32>>,
    n_live: usize,
    n_live_words: u64,
    /// Removed chunks that the lists still hold.
    n_dead: usize,
}

/// How much of a query's terms chunks hold.
pub(crate) struct Scores {
    /// By row; 0 where no term is shared.
    pub by_row: Vec<f32>,
    /// What a chunk that said nothing but the query's terms, without end, would score: no chunk scores more.
    pub ideal: f32,
}

impl Scores {
    /// The share of the query that a chunk holds, from 0 to 1: unlike the score itself, it does not grow with
    /// the collection or with the query.
    pub fn share(&self, row: Row) -> f32 {
        let score = self.by_row.get(row as usize).copied().unwrap_or(0.0);
        if self.ideal > 0.0 { score / self.ideal } else { 0.0 }
    }
}

impl Bm25 {
    /// Adds the next chunk.
    pub fn add(&mut self, terms: Vec<String>) {
        let mut term_freqs: HashMap<u32, u32> = HashMap::new();
        for term in terms {
            let n_terms = self.terms.len() as u32;
            *term_freqs.entry(*self.terms.entry(term).or_insert(n_terms)).or_default() += 1;
        }
        self.postings.resize_with(self.terms.len(), Vec::new);
        let row = self.lengths.len() as Row;
        let n_words: u32 = term_freqs.values().sum();
        for (term, term_freq) in term_freqs {
            self.postings[term as usize].push(Posting { row, term_freq });
        }
        self.n_live += 1;
        self.n_live_words += u64::from(n_words);
        self.lengths.push(Some(n_words));
    }

    /// Takes chunks out; their statistics go with them.
    pub fn remove(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            let Some(n_words) = self.lengths.get_mut(row as usize).and_then(Option::take) else { continue };
            self.n_live -= 1;
            self.n_live_words -= u64::from(n_words);
            self.n_dead += 1;
        }
        if self.n_dead * MAX_DEAD_SHARE > self.n_live + self.n_dead {
            for postings in &mut self.postings {
                postings.retain(|posting| self.lengths[posting.row as usize].is_some());
            }
            self.n_dead = 0;
        }
    }

    /// Scores every chunk for a query, each of whose terms may have several spellings.
    pub fn scores(&self, query: &[Vec<String>]) -> Scores {
        let mut by_row = vec![0.0; self.lengths.len()];
        let mut ideal = 0.0;
        let mean_length = (self.n_live_words as f32 / self.n_live.max(1) as f32).max(1.0);
        for spellings in query {
            if spellings.is_empty() {
                continue;
            }
            // The spellings of a term are one term.
            let mut term_freqs: Vec<(Row, u32)> = Vec::new();
            for &term in spellings.iter().filter_map(|spelling| self.terms.get(spelling)) {
                let live = self.postings[term as usize].iter().filter(|p| self.lengths[p.row as usize].is_some());
                term_freqs.extend(live.map(|posting| (posting.row, posting.term_freq)));
            }
            if spellings.len() > 1 {
                term_freqs.sort_unstable_by_key(|&(row, _)| row);
                term_freqs.dedup_by(|next, first| {
                    first.0 == next.0 && {
                        first.1 += next.1;
                        true
                    }
                });
            }
            let weight = self.idf(term_freqs.len() as u32);
            for (row, term_freq) in term_freqs {
                let Some(n_words) = self.lengths[row as usize] else { continue };
                let (term_freq, length) = (term_freq as f32, n_words as f32 / mean_length);
                by_row[row as usize] += weight * term_freq / (term_freq + K1 * (1.0 - B + B * length));
            }
            ideal += weight;
        }
        Scores { by_row, ideal }
    }

    /// Inverse document frequency, never negative (Lucene's `BM25Similarity`).
    fn idf(&self, doc_freq: u32) -> f32 {
        let (doc_freq, n_docs) = (doc_freq as f32, self.n_live as f32);
        (1.0 + (n_docs - doc_freq + 0.5) / (doc_freq + 0.5)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn query(text: &str) -> Vec<Vec<String>> {
        terms(text).into_iter().map(|term| vec![term]).collect()
    }

    /// BM25 straight from its definition, over term lists.
    fn naive_score(query: &str, chunk: &str, live: &[&str]) -> f32 {
        let lists: Vec<_> = live.iter().map(|text| terms(text)).collect();
        let mean_length = (lists.iter().map(Vec::len).sum::<usize>() as f32 / lists.len() as f32).max(1.0);
        let chunk = terms(chunk);
        terms(query)
            .iter()
            .map(|term| {
                let doc_freq = lists.iter().filter(|list| list.contains(term)).count() as f32;
                let term_freq = chunk.iter().filter(|other| *other == term).count() as f32;
                let idf = (1.0 + (lists.len() as f32 - doc_freq + 0.5) / (doc_freq + 0.5)).ln();
                idf * term_freq / (term_freq + K1 * (1.0 - B + B * chunk.len() as f32 / mean_length))
            })
            .sum()
    }

    #[test]
    fn a_share_does_not_grow_with_the_collection() {
        let share = |n: usize| {
            let mut bm25 = Bm25::default();
            bm25.add(terms("keeper of the light"));
            (0..n).for_each(|i| bm25.add(terms(&format!("page {i}"))));
            let scores = bm25.scores(&query("keeper light nowhere"));
            (scores.share(0), scores.by_row[0])
        };
        let ((small, low), (large, high)) = (share(10), share(1_000));
        assert!(high > 2.0 * low, "{low} {high}");
        assert!((small - large).abs() < 0.15 && large < 2.0 / 3.0, "{small} {large}");
    }

    #[test]
    fn either_spelling_is_found() {
        let mut bm25 = Bm25::default();
        bm25.add(terms("haus am meer"));
        bm25.add(terms("hous by the sea"));
        let scores = bm25.scores(&[vec!["haus".into(), "hous".into()]]);
        assert!(scores.by_row.iter().all(|&score| score > 0.0));
        assert!((0..2).all(|row| scores.share(row) < 1.0) && scores.ideal == bm25.idf(2));
    }

    proptest! {
        #[test]
        fn scores_are_those_of_the_definition(
            texts in prop::collection::vec("[a-f]{1,2}( [a-f]{1,2}){0,8}", 1..12),
            removed in prop::collection::vec(0u32..12, 0..6),
            asked in "[a-f]{1,2}( [a-f]{1,2}){0,4}",
        ) {
            let mut bm25 = Bm25::default();
            texts.iter().for_each(|text| bm25.add(terms(text)));
            bm25.remove(removed.iter().copied());
            let is_live = |i: usize| !removed.contains(&(i as u32));
            let live: Vec<&str> =
                texts.iter().enumerate().filter(|(i, _)| is_live(*i)).map(|(_, text)| text.as_str()).collect();
            let scores = bm25.scores(&query(&asked));
            for (i, text) in texts.iter().enumerate() {
                let expected = if is_live(i) { naive_score(&asked, text, &live) } else { 0.0 };
                let got = scores.by_row[i];
                prop_assert!((got - expected).abs() < 1e-4, "{} against {}", got, expected);
                prop_assert!((0.0..=1.0).contains(&scores.share(i as u32)));
            }
        }
    }
}
