//! The words of chunks as they are written, and the terms that they are found by.

use std::collections::HashMap;

use strsim::osa_distance;

use crate::analyse::{Language, Stems, each_word};

/// A term's number.
pub(crate) type Term = u32;

/// Letters from which on a word may be another misspelt, and from which on it may be so by two edits.
const MISSPELT_FROM: usize = 5;
const TWICE_FROM: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    /// By stem.
    terms: HashMap<String, Term>,
    /// By language and first letter, by word in lower case.
    words: HashMap<(Language, char), HashMap<String, Term>>,
}

impl Vocabulary {
    /// The terms of a text's words, in order; words that are new are taken in. One that is not has no stem to be made.
    pub fn take_in(&mut self, text: &str, language: Language) -> Vec<Term> {
        let (terms, words, stems) = (&mut self.terms, &mut self.words, Stems::of(language));
        let mut found = Vec::new();
        each_word(text, &mut |word| {
            let words = words.entry((language, word.chars().next().unwrap_or_default())).or_default();
            let term = words.get(&word).copied().unwrap_or_else(|| {
                let n_terms = terms.len() as Term;
                let term = *terms.entry(stems.stem(&word).into_owned()).or_insert(n_terms);
                words.insert(word, term);
                term
            });
            found.push(term);
        });
        found
    }

    pub fn term(&self, stem: &str) -> Option<Term> {
        self.terms.get(stem).copied()
    }

    pub fn n_terms(&self) -> usize {
        self.terms.len()
    }

    /// Gives terms other numbers, or none: then they are forgotten, and their words with them.
    pub fn renumber(&mut self, numbers: &[Option<Term>]) {
        let renumbered = |term: &mut Term| {
            let number = numbers[*term as usize];
            *term = number.unwrap_or_default();
            number.is_some()
        };
        self.terms.retain(|_, term| renumbered(term));
        self.words.values_mut().for_each(|words| words.retain(|_, term| renumbered(term)));
    }

    /// The word that `word`, in lower case, is with the fewest edits: letters left out, put in, exchanged or swapped,
    /// but for the first. Of equals, that which most chunks hold as `n_chunks` tells; one that none holds is no word.
    pub fn nearest(&self, word: &str, n_chunks: impl Fn(Term) -> usize) -> Option<Nearest<'_>> {
        let max_edits = match word.chars().count() {
            TWICE_FROM.. => 2,
            MISSPELT_FROM.. => 1,
            _ => return None,
        };
        let first = word.chars().next();
        let words = self.words.iter().filter(|((_, letter), _)| Some(*letter) == first).flat_map(|(_, words)| words);
        let near = words.filter_map(|(other, &term)| {
            let n_edits = edits(word, other, max_edits).filter(|_| other.chars().all(char::is_alphabetic))?;
            Some(Nearest { n_edits, n_chunks: n_chunks(term), word: other })
        });
        near.filter(|near| near.n_chunks > 0).max_by(|a, b| a.rank().cmp(&b.rank()))
    }
}

/// How many edits are between two words; `None` above `max`, which is 1 or 2.
fn edits(a: &str, b: &str, max: usize) -> Option<usize> {
    let n_same = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>()
    };
    let n = n_same(&mut a.chars(), &mut b.chars());
    let (rest_a, rest_b) = (&a[n..], &b[n..]);
    let n = n_same(&mut rest_a.chars().rev(), &mut rest_b.chars().rev());
    let (rest_a, rest_b) = (&rest_a[..rest_a.len() - n], &rest_b[..rest_b.len() - n]);
    // What is left between what they begin and end with alike: mostly more than an edit.
    let (mut left_a, mut left_b) = (rest_a.chars(), rest_b.chars());
    match (left_a.next(), left_a.next(), left_b.next(), left_b.next()) {
        (None, _, None, _) => return Some(0),
        (_, None, _, None) => return Some(1),
        (Some(a), Some(b), Some(c), Some(d)) if (a, b) == (d, c) && left_a.next().or(left_b.next()).is_none() => {
            return Some(1);
        }
        _ if max < 2 || rest_a.chars().count().abs_diff(rest_b.chars().count()) > 2 => return None,
        _ => {}
    }
    Some(osa_distance(rest_a, rest_b)).filter(|&n| n <= max)
}

/// A word that another may be misspelt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nearest<'a> {
    n_edits: usize,
    n_chunks: usize,
    pub word: &'a str,
}

impl Nearest<'_> {
    /// Higher is nearer; of two words never equal.
    pub fn rank(&self) -> impl Ord + use<'_> {
        (std::cmp::Reverse(self.n_edits), self.n_chunks, std::cmp::Reverse(self.word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        vocabulary.take_in(text, Language::English);
        vocabulary
    }

    #[test]
    fn words_of_one_stem_are_one_term() {
        let mut vocabulary = of("lamps");
        assert_eq!(vocabulary.take_in("Lamp the lamp's lamps", Language::English), [0, 1, 0, 0]);
        assert_eq!(vocabulary.take_in("lamps", Language::Other), [2]);
        assert_eq!((vocabulary.term("lamp"), vocabulary.term("lamps"), vocabulary.n_terms()), (Some(0), Some(2), 3));
    }

    #[test]
    fn what_is_forgotten_is_forgotten_with_its_words() {
        let mut vocabulary = of("keeper lamps oil");
        vocabulary.renumber(&[Some(1), None, Some(0)]);
        assert_eq!(
            (vocabulary.term("keeper"), vocabulary.term("lamp"), vocabulary.term("oil")),
            (Some(1), None, Some(0))
        );
        assert_eq!(vocabulary.nearest("lampss", |_| 1), None);
        assert_eq!(vocabulary.take_in("lamps", Language::English), [2]);
    }

    #[test]
    fn edits_are_those_of_optimal_string_alignment() {
        let words = [
            "", "a", "ab", "ba", "abc", "acb", "bca", "abcd", "abdc", "badc", "xabcd", "abxxcd", "äbc", "abcabc",
            "abccab", "abcbac",
        ];
        for (a, b) in words.iter().flat_map(|a| words.map(|b| (*a, b))) {
            for max in [1, 2] {
                assert_eq!(edits(a, b, max), Some(osa_distance(a, b)).filter(|&n| n <= max), "{a} {b} {max}");
            }
        }
    }

    #[test]
    fn the_nearest_word_is_a_few_letters_away() {
        let vocabulary = of("the lighthouse keepers trimmed trimmer immunoglobulin 10000 site_url2 house");
        let nearest = |word| vocabulary.nearest(word, |_| 1).map(|near| near.word);
        for (word, expected) in [
            ("lighthuose", "lighthouse"),
            ("keeprs", "keepers"),
            ("keeperss", "keepers"),
            ("immunoglobin", "immunoglobulin"),
        ] {
            assert_eq!(nearest(word), Some(expected));
        }
        // The first letter, two edits of a short word, a short word, a number.
        for word in ["mouse", "kepprs", "hous", "1000"] {
            assert_eq!(nearest(word), None, "{word}");
        }
    }

    #[test]
    fn of_words_equally_near_that_of_most_chunks_is_taken() {
        let vocabulary = of("lamps lambs");
        let nearest = |n_lambs| {
            let n_chunks = |term| if term == 1 { n_lambs } else { 2 };
            vocabulary.nearest("lamqs", n_chunks).map(|near| near.word)
        };
        assert_eq!((nearest(3), nearest(1), nearest(2)), (Some("lambs"), Some("lamps"), Some("lambs")));
    }
}
