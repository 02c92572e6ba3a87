//! Okapi BM25 over stemmed words (Robertson and Zaragoza 2009, in Lucene's form).

use crate::{
    analyse::Language,
    chunk::Row,
    vocabulary::{Nearest, Term, Vocabulary},
};

/// Term frequency saturation, and how much a chunk's length counts: the values Anserini and BEIR use
/// for passages.
const K1: f32 = 0.9;
const B: f32 = 0.4;

#[derive(Debug, Clone, Copy)]
struct Posting {
    row: Row,
    term_freq: u32,
}

/// An inverted index. Chunks are added and removed in the time that their own words take; what removed ones leave in
/// the lists is cleared away by [`Bm25::sweep`].
#[derive(Debug, Default)]
pub(crate) struct Bm25 {
    vocabulary: Vocabulary,
    /// By term; removed chunks among them.
    postings: Vec<Vec<Posting>>,
    /// By row: the words of the chunk; `None` where there is none.
    lengths: Vec<Option<u32>>,
    n_live: usize,
    n_live_words: u64,
}

/// How much of a query's terms chunks, or sources, hold.
pub(crate) struct Scores {
    /// By chunk (row), or by source; 0 where no term is shared.
    pub each: Vec<f32>,
    /// What one that said nothing but the query's terms, without end, would score: none scores more.
    pub ideal: f32,
}

impl Scores {
    /// The share of the query that a chunk or source holds, from 0 to 1: unlike the score itself, it does not grow with
    /// the collection or with the query.
    pub fn share(&self, i: usize) -> f32 {
        let score = self.each.get(i).copied().unwrap_or(0.0);
        if self.ideal > 0.0 { score / self.ideal } else { 0.0 }
    }
}

impl Bm25 {
    /// Adds a chunk under a row that no list holds.
    pub fn add(&mut self, row: Row, text: &str, language: Language) {
        let terms = self.vocabulary.take_in(text, language);
        self.postings.resize_with(self.vocabulary.n_terms(), Vec::new);
        for &term in &terms {
            let postings = &mut self.postings[term as usize];
            match postings.last_mut() {
                Some(last) if last.row == row => last.term_freq += 1,
                _ => postings.push(Posting { row, term_freq: 1 }),
            }
        }
        let n_words = terms.len() as u32;
        if self.lengths.len() <= row as usize {
            self.lengths.resize(row as usize + 1, None);
        }
        self.lengths[row as usize] = Some(n_words);
        self.n_live += 1;
        self.n_live_words += u64::from(n_words);
    }

    /// Takes a chunk out; its statistics go with it. Its row stays in the lists.
    pub fn remove(&mut self, row: Row) {
        let Some(n_words) = self.lengths.get_mut(row as usize).and_then(Option::take) else { return };
        self.n_live -= 1;
        self.n_live_words -= u64::from(n_words);
    }

    /// Clears lists of removed chunks from the `at`-th term on, until some `budget` postings were looked at; `at` and
    /// `budget` move on. Returns whether it came to the end: then no list holds a row that was removed before it began.
    pub fn sweep(&mut self, at: &mut usize, budget: &mut usize) -> bool {
        while *at < self.postings.len() && *budget > 0 {
            let postings = &mut self.postings[*at];
            *budget = budget.saturating_sub(postings.len() + 1);
            postings.retain(|posting| self.lengths[posting.row as usize].is_some());
            *at += 1;
        }
        *at == self.postings.len()
    }

    /// Forgets the terms of no chunk, where they are most. Terms get other numbers: no sweep may be under way.
    pub fn forget_terms(&mut self) {
        let n_empty = self.postings.iter().filter(|postings| postings.is_empty()).count();
        if n_empty * 2 <= self.postings.len() {
            return;
        }
        let mut n_kept = 0;
        let numbers = self.postings.iter().map(|postings| {
            let number = (!postings.is_empty()).then_some(n_kept);
            n_kept += Term::from(number.is_some());
            number
        });
        self.vocabulary.renumber(&numbers.collect::<Vec<_>>());
        self.postings.retain(|postings| !postings.is_empty());
    }

    /// Whether a chunk holds one of a term's spellings.
    pub fn holds(&self, spellings: &[String]) -> bool {
        spellings.iter().any(|spelling| self.vocabulary.term(spelling).is_some_and(|term| self.n_chunks(term) > 0))
    }

    /// The word of a chunk that `word`, in lower case, may be misspelt.
    pub fn nearest(&self, word: &str) -> Option<Nearest<'_>> {
        self.vocabulary.nearest(word, |term| self.n_chunks(term))
    }

    /// Chunks that hold a term.
    fn n_chunks(&self, term: Term) -> usize {
        let is_live = |posting: &&Posting| self.lengths[posting.row as usize].is_some();
        self.postings[term as usize].iter().filter(is_live).count()
    }

    /// Scores every chunk for a query, each of whose terms may have several spellings.
    pub fn scores(&self, query: &[Vec<String>]) -> Scores {
        self.scores_of(query, self.lengths.len(), self.n_live, |row| Some((row as usize, self.lengths[row as usize]?)))
    }

    /// Scores sources, each with the words of all its chunks; `sources` gives the rows of each.
    pub fn source_scores<'a>(
        &self,
        query: &[Vec<String>],
        sources: impl ExactSizeIterator<Item = &'a [Row]>,
    ) -> (Scores, Vec<usize>) {
        let n_sources = sources.len();
        let mut source_of = vec![usize::MAX; self.lengths.len()];
        let mut lengths = vec![0; n_sources];
        for (source, rows) in sources.enumerate() {
            for &row in rows {
                source_of[row as usize] = source;
                lengths[source] += self.lengths[row as usize].unwrap_or(0);
            }
        }
        let scores = self.scores_of(query, n_sources, n_sources, |row| {
            let source = source_of[row as usize];
            Some((source, *lengths.get(source)?))
        });
        (scores, source_of)
    }

    /// Scores `n` units, `n_live` of which hold all the words there are; `unit_of` gives the unit of a row and the words
    /// of that unit.
    fn scores_of(
        &self,
        query: &[Vec<String>],
        n: usize,
        n_live: usize,
        unit_of: impl Fn(Row) -> Option<(usize, u32)>,
    ) -> Scores {
        let mut scores = Scores { each: vec![0.0; n], ideal: 0.0 };
        let mean_length = (self.n_live_words as f32 / n_live.max(1) as f32).max(1.0);
        let mut term_freqs = vec![0u32; n];
        let mut found = Vec::new();
        for spellings in query.iter().filter(|spellings| !spellings.is_empty()) {
            // The spellings of a term are one term.
            for term in spellings.iter().filter_map(|spelling| self.vocabulary.term(spelling)) {
                for posting in &self.postings[term as usize] {
                    let Some((unit, n_words)) = unit_of(posting.row) else { continue };
                    if term_freqs[unit] == 0 {
                        found.push((unit, n_words));
                    }
                    term_freqs[unit] += posting.term_freq;
                }
            }
            let weight = idf(found.len(), n_live);
            for (unit, n_words) in found.drain(..) {
                let (term_freq, length) = (std::mem::take(&mut term_freqs[unit]) as f32, n_words as f32 / mean_length);
                scores.each[unit] += weight * term_freq / (term_freq + K1 * (1.0 - B + B * length));
            }
            scores.ideal += weight;
        }
        scores
    }
}

/// Inverse document frequency, never negative (Lucene's `BM25Similarity`).
fn idf(doc_freq: usize, n_docs: usize) -> f32 {
    let (doc_freq, n_docs) = (doc_freq as f32, n_docs as f32);
    (1.0 + (n_docs - doc_freq + 0.5) / (doc_freq + 0.5)).ln()
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
        let share = |n: u32| {
            let mut bm25 = Bm25::default();
            bm25.add(0, "keeper of the light", Language::Other);
            (0..n).for_each(|i| bm25.add(i + 1, &format!("page {i}"), Language::Other));
            let scores = bm25.scores(&query("keeper light nowhere"));
            (scores.share(0), scores.each[0])
        };
        let ((small, low), (large, high)) = (share(10), share(1_000));
        assert!(high > 2.0 * low, "{low} {high}");
        assert!((small - large).abs() < 0.15 && large < 2.0 / 3.0, "{small} {large}");
    }

    #[test]
    fn either_spelling_is_found() {
        let mut bm25 = Bm25::default();
        bm25.add(0, "haus am meer", Language::Other);
        bm25.add(1, "hous by the sea", Language::Other);
        let scores = bm25.scores(&[vec!["haus".into(), "hous".into()]]);
        assert!(scores.each.iter().all(|&score| score > 0.0));
        assert!((0..2).all(|row| scores.share(row) < 1.0) && scores.ideal == idf(2, 2));
    }

    proptest! {
        #[test]
        fn scores_are_those_of_the_definition(
            texts in prop::collection::vec("[a-f]{1,2}( [a-f]{1,2}){0,8}", 1..12),
            removed in prop::collection::vec(0u32..12, 0..6),
            asked in "[a-f]{1,2}( [a-f]{1,2}){0,4}",
            is_swept: bool,
        ) {
            let (mut bm25, mut at) = (Bm25::default(), 0);
            texts.iter().zip(0..).for_each(|(text, row)| bm25.add(row, text, Language::Other));
            removed.iter().for_each(|&row| bm25.remove(row));
            if is_swept {
                while !bm25.sweep(&mut at, &mut 3) {}
                bm25.forget_terms();
            }
            let is_live = |i: usize| !removed.contains(&(i as u32));
            let live: Vec<&str> =
                texts.iter().enumerate().filter(|(i, _)| is_live(*i)).map(|(_, text)| text.as_str()).collect();
            let scores = bm25.scores(&query(&asked));
            for (i, text) in texts.iter().enumerate() {
                let expected = if is_live(i) { naive_score(&asked, text, &live) } else { 0.0 };
                let got = scores.each[i];
                prop_assert!((got - expected).abs() < 1e-4, "{} against {}", got, expected);
                prop_assert!((0.0..=1.0).contains(&scores.share(i)));
            }
        }

        #[test]
        fn sources_score_as_chunks_of_all_their_words(
            texts in prop::collection::vec("[a-f]{1,2}( [a-f]{1,2}){0,8}", 2..12),
            asked in "[a-f]{1,2}( [a-f]{1,2}){0,4}",
        ) {
            let (mut bm25, mut whole) = (Bm25::default(), Bm25::default());
            texts.iter().zip(0..).for_each(|(text, row)| bm25.add(row, text, Language::Other));
            let rows: Vec<Row> = (0..texts.len() as Row).collect();
            let sources: Vec<&[Row]> = rows.chunks(2).collect();
            texts.chunks(2).zip(0..).for_each(|(texts, row)| whole.add(row, &texts.join(" "), Language::Other));
            let (found, source_of) = bm25.source_scores(&query(&asked), sources.iter().copied());
            let expected = whole.scores(&query(&asked));
            prop_assert_eq!(&found.each, &expected.each);
            prop_assert_eq!((found.ideal, source_of[1]), (expected.ideal, 0));
        }
    }
}
