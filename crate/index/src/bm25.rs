//! Okapi BM25 over stemmed words (Robertson and Zaragoza 2009, in Lucene's form).

use std::collections::HashMap;

use rust_stemmers::{Algorithm, Stemmer};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::{ChunkId, IndexError};

/// Term frequency saturation, and how much a chunk's length counts: the values Anserini and BEIR use
/// for passages.
const K1: f32 = 0.9;
const B: f32 = 0.4;

/// One entry of an inverted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Posting {
    chunk: ChunkId,
    term_freq: u32,
}

/// An inverted index; removed chunks leave it for good.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Bm25 {
    terms: HashMap<String, usize>,
    /// By term; ascending by chunk.
    postings: Vec<Vec<Posting>>,
    /// By chunk: how many terms it has, or `None` once it is removed.
    lengths: Vec<Option<u32>>,
    n_live: usize,
    n_live_terms: u64,
}

/// What is stored of a [`Bm25`].
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredBm25 {
    terms: Vec<String>,
    postings: Vec<Vec<Posting>>,
    lengths: Vec<Option<u32>>,
}

impl Bm25 {
    /// Adds the next chunk.
    pub fn add(&mut self, text: &str) {
        let chunk = self.lengths.len() as ChunkId;
        let mut term_freqs: HashMap<usize, u32> = HashMap::new();
        let mut length = 0;
        for term in analyse(text) {
            let n_terms = self.terms.len();
            let id = *self.terms.entry(term).or_insert(n_terms);
            if id == self.postings.len() {
                self.postings.push(Vec::new());
            }
            *term_freqs.entry(id).or_default() += 1;
            length += 1;
        }
        for (id, term_freq) in term_freqs {
            self.postings[id].push(Posting { chunk, term_freq });
        }
        self.lengths.push(Some(length));
        self.n_live += 1;
        self.n_live_terms += u64::from(length);
    }

    /// Takes chunks out; their statistics go with them.
    pub fn remove(&mut self, chunks: &[ChunkId]) {
        let mut n_removed = 0;
        for &chunk in chunks {
            if let Some(length) = self.lengths.get_mut(chunk as usize).and_then(Option::take) {
                self.n_live -= 1;
                self.n_live_terms -= u64::from(length);
                n_removed += 1;
            }
        }
        if n_removed > 0 {
            for postings in &mut self.postings {
                postings.retain(|posting| self.lengths[posting.chunk as usize].is_some());
            }
        }
    }

    /// Scores of every chunk that shares a term with `query`, in no order.
    pub fn scores(&self, query: &str) -> Vec<(ChunkId, f32)> {
        let mut scores: HashMap<ChunkId, f32> = HashMap::new();
        for (id, n_times) in self.query_terms(query) {
            let postings = &self.postings[id];
            let weight = n_times as f32 * idf(postings.len(), self.n_live);
            for posting in postings {
                *scores.entry(posting.chunk).or_default() += weight * self.saturation(*posting);
            }
        }
        scores.into_iter().collect()
    }

    /// The score of one chunk; 0 when it shares no term with `query`.
    pub fn score(&self, query: &str, chunk: ChunkId) -> f32 {
        self.query_terms(query)
            .into_iter()
            .filter_map(|(id, n_times)| {
                let postings = &self.postings[id];
                let i = postings.binary_search_by_key(&chunk, |posting| posting.chunk).ok()?;
                Some(n_times as f32 * idf(postings.len(), self.n_live) * self.saturation(postings[i]))
            })
            .sum()
    }

    /// Known terms of a query and how often each stands in it, in order of term id.
    fn query_terms(&self, query: &str) -> Vec<(usize, u32)> {
        let mut ids: Vec<usize> = analyse(query).filter_map(|term| self.terms.get(&term).copied()).collect();
        ids.sort_unstable();
        ids.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
    }

    fn saturation(&self, posting: Posting) -> f32 {
        let length = self.lengths[posting.chunk as usize].unwrap_or(0) as f32;
        let mean_length = (self.n_live_terms as f32 / self.n_live.max(1) as f32).max(1.0);
        let term_freq = posting.term_freq as f32;
        term_freq / (term_freq + K1 * (1.0 - B + B * length / mean_length))
    }

    pub fn to_stored(&self) -> StoredBm25 {
        let mut terms = vec![String::new(); self.terms.len()];
        for (term, &id) in &self.terms {
            terms[id].clone_from(term);
        }
        StoredBm25 { terms, postings: self.postings.clone(), lengths: self.lengths.clone() }
    }

    /// # Errors
    /// `index-corrupt` when lists refer to chunks or terms that are not there.
    pub fn from_stored(stored: StoredBm25) -> Result<Self, IndexError> {
        let StoredBm25 { terms, postings, lengths } = stored;
        let is_list = |list: &Vec<Posting>| {
            list.is_sorted_by(|a, b| a.chunk < b.chunk)
                && list.iter().all(|posting| matches!(lengths.get(posting.chunk as usize), Some(Some(_))))
        };
        let n_terms = terms.len();
        let terms: HashMap<String, usize> = terms.into_iter().enumerate().map(|(id, term)| (term, id)).collect();
        if terms.len() != n_terms || postings.len() != n_terms || !postings.iter().all(is_list) {
            return Err(IndexError::Corrupt { reason: "word lists do not fit" });
        }
        let n_live = lengths.iter().flatten().count();
        let n_live_terms = lengths.iter().flatten().map(|&length| u64::from(length)).sum();
        Ok(Self { terms, postings, lengths, n_live, n_live_terms })
    }

    /// Chunks ever added.
    pub fn n_chunks(&self) -> usize {
        self.lengths.len()
    }

    /// Chunks not removed.
    pub fn n_live(&self) -> usize {
        self.n_live
    }

    pub fn is_live(&self, chunk: ChunkId) -> bool {
        matches!(self.lengths.get(chunk as usize), Some(Some(_)))
    }
}

/// Inverse document frequency, never negative (Lucene's `BM25Similarity`).
fn idf(doc_freq: usize, n_docs: usize) -> f32 {
    let (doc_freq, n_docs) = (doc_freq as f32, n_docs as f32);
    (1.0 + (n_docs - doc_freq + 0.5) / (doc_freq + 0.5)).ln()
}

/// Text → terms: Unicode words, lower case, English (Porter 2) stems. `foo_bar` and `foo.bar` are two
/// words, `3.14` and `10,000` one.
fn analyse(text: &str) -> impl Iterator<Item = String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.unicode_words()
        .flat_map(|word| {
            let is_number = !word.contains(char::is_alphabetic);
            word.split(move |c| !is_number && matches!(c, '.' | '_' | ':'))
        })
        .filter(|word| !word.is_empty())
        .map(move |word| {
            let word = word.to_lowercase().replace('\u{2019}', "'");
            stemmer.stem(&word).into_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// BM25 straight from its definition, over term lists.
    fn naive_score(query: &str, chunk: &str, live: &[&str]) -> f32 {
        let terms = |text: &str| analyse(text).collect::<Vec<_>>();
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
    fn words_are_stemmed_and_split() {
        let terms: Vec<_> = analyse("Running the lighthouse’s site_url, nav.tabs at 3.14 — Größe 東京").collect();
        assert_eq!(terms, ["run", "the", "lighthous", "site", "url", "nav", "tab", "at", "3.14", "größe", "東", "京"]);
    }

    proptest! {
        #[test]
        fn scores_are_those_of_the_definition(
            texts in prop::collection::vec("[a-f]{1,2}( [a-f]{1,2}){0,8}", 1..12),
            removed in prop::collection::vec(0u32..12, 0..6),
            query in "[a-f]{1,2}( [a-f]{1,2}){0,4}",
        ) {
            let mut bm25 = Bm25::default();
            texts.iter().for_each(|text| bm25.add(text));
            bm25.remove(&removed);
            let is_live = |i: usize| !removed.contains(&(i as u32));
            let live: Vec<&str> =
                texts.iter().enumerate().filter(|(i, _)| is_live(*i)).map(|(_, text)| text.as_str()).collect();
            let scores: HashMap<ChunkId, f32> = bm25.scores(&query).into_iter().collect();
            for (i, text) in texts.iter().enumerate() {
                let expected = if is_live(i) { naive_score(&query, text, &live) } else { 0.0 };
                let got = scores.get(&(i as u32)).copied().unwrap_or(0.0);
                prop_assert!((got - expected).abs() < 1e-4, "{} against {}", got, expected);
                prop_assert!((bm25.score(&query, i as u32) - got).abs() < 1e-5);
            }
            prop_assert_eq!(&Bm25::from_stored(bm25.to_stored()).unwrap(), &bm25);
        }
    }
}
