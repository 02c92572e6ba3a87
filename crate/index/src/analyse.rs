//! Text → words → terms, as lists of words hold them.
//!
//! Words are Unicode's, in lower case, cut to the stem that their language's Snowball algorithm gives.
//! `foo_bar` and `foo.bar` are two words, `3.14` and `10,000` one; `getUserName` is itself and its parts; of
//! Chinese and Japanese, which set no spaces, each character is a term and so is each pair of neighbours.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};
use serde::{Deserialize, Serialize};
use unicode_normalization_alignments::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// The language that words are stemmed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Language {
    English,
    Arabic,
    Danish,
    Dutch,
    Finnish,
    French,
    German,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
    /// One without a stemmer here, or, as Greek, with one that fails on words of its language.
    Other,
}

impl Language {
    /// By its ISO 639-1 code; English where none is known, since English words of a few letters are what
    /// identifiers and short notes are made of.
    pub fn from_code(code: Option<&str>) -> Self {
        match code {
            None | Some("en") => Self::English,
            Some("ar") => Self::Arabic,
            Some("da") => Self::Danish,
            Some("nl") => Self::Dutch,
            Some("fi") => Self::Finnish,
            Some("fr") => Self::French,
            Some("de") => Self::German,
            Some("hu") => Self::Hungarian,
            Some("it") => Self::Italian,
            Some("no" | "nb" | "nn") => Self::Norwegian,
            Some("pt") => Self::Portuguese,
            Some("ro") => Self::Romanian,
            Some("ru") => Self::Russian,
            Some("es") => Self::Spanish,
            Some("sv") => Self::Swedish,
            Some("ta") => Self::Tamil,
            Some("tr") => Self::Turkish,
            Some(_) => Self::Other,
        }
    }

    fn stemmer(self) -> Option<Stemmer> {
        Some(Stemmer::create(match self {
            Self::English => Algorithm::English,
            Self::Arabic => Algorithm::Arabic,
            Self::Danish => Algorithm::Danish,
            Self::Dutch => Algorithm::Dutch,
            Self::Finnish => Algorithm::Finnish,
            Self::French => Algorithm::French,
            Self::German => Algorithm::German,
            Self::Hungarian => Algorithm::Hungarian,
            Self::Italian => Algorithm::Italian,
            Self::Norwegian => Algorithm::Norwegian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Romanian => Algorithm::Romanian,
            Self::Russian => Algorithm::Russian,
            Self::Spanish => Algorithm::Spanish,
            Self::Swedish => Algorithm::Swedish,
            Self::Tamil => Algorithm::Tamil,
            Self::Turkish => Algorithm::Turkish,
            Self::Other => return None,
        }))
    }
}

/// The stems that a language gives its words.
pub(crate) struct Stems(Option<Stemmer>);

impl Stems {
    pub fn of(language: Language) -> Self {
        Self(language.stemmer())
    }

    pub fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        self.0.as_ref().map_or(Cow::Borrowed(word), |stemmer| stemmer.stem(word))
    }
}

/// For each term of a query its spellings: the stems that the languages of what is searched would have given it.
pub(crate) fn query_terms(text: &str, languages: &[Language]) -> Vec<Vec<String>> {
    let stems: Vec<Stems> = languages.iter().map(|&language| Stems::of(language)).collect();
    let mut terms = Vec::new();
    each_word(text, &mut |word| {
        let mut spellings: Vec<String> = stems.iter().map(|stems| stems.stem(&word).into_owned()).collect();
        spellings.sort_unstable();
        spellings.dedup();
        terms.push(spellings);
    });
    terms
}

/// The text with each letter and its marks as the one character they make, where Unicode has it: file systems and some
/// programs write them apart.
fn composed(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| matches!(c, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}' | '\u{1100}'..='\u{11ff}')) {
        return text.nfc().map(|(c, _)| c).collect();
    }
    Cow::Borrowed(text)
}

/// Calls `take` with every word in lower case.
pub(crate) fn each_word(text: &str, take: &mut dyn FnMut(String)) {
    let text = &*composed(text);
    let mut before: Option<(usize, char)> = None;
    for (start, word) in text.unicode_word_indices() {
        let mut chars = word.chars();
        if let (Some(c), None) = (chars.next(), chars.next())
            && is_unspaced(c)
        {
            if let Some((_, last)) = before.filter(|&(end, _)| end == start) {
                take([last, c].iter().collect());
            }
            take(word.to_owned());
            before = Some((start + word.len(), c));
            continue;
        }
        before = None;
        let is_number = !word.contains(char::is_alphabetic);
        for part in word.split(|c| !is_number && matches!(c, '.' | '_' | ':')).filter(|part| !part.is_empty()) {
            for hump in humps(part) {
                take(lower(hump));
            }
            take(lower(part));
        }
    }
}

fn lower(word: &str) -> String {
    word.to_lowercase().replace('\u{2019}', "'")
}

/// Characters that are words of their own to Unicode, written without spaces.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// The parts of `getUserName` and `HTTPServer`, those of one letter left out; none where there is one only.
fn humps(word: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    for i in 1..chars.len() {
        let (at, c) = chars[i];
        let after_lower = chars[i - 1].1.is_lowercase();
        let before_lower = chars.get(i + 1).is_some_and(|(_, next)| next.is_lowercase());
        if c.is_uppercase() && (after_lower || (before_lower && chars[i - 1].1.is_uppercase())) {
            starts.push(at);
        }
    }
    if starts.len() == 1 {
        return Vec::new();
    }
    let ends = starts[1..].iter().copied().chain([word.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| &word[start..end])
        .filter(|part| part.chars().nth(1).is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str, language: Language) -> Vec<String> {
        query_terms(text, &[language]).concat()
    }

    #[test]
    fn words_are_stemmed_and_split() {
        let found = terms("Running the lighthouse’s site_url, nav.tabs at 3.14 — Größe", Language::English);
        assert_eq!(found, ["run", "the", "lighthous", "site", "url", "nav", "tab", "at", "3.14", "größe"]);
        assert_eq!(terms("die Häuser", Language::German), ["die", "haus"]);
        assert_eq!(terms("Häuser", Language::Other), ["häuser"]);
    }

    #[test]
    fn letters_and_their_marks_are_one_word_however_they_are_written() {
        for (apart, together) in
            [("U\u{308}berfahrt", "Überfahrt"), ("\u{1112}\u{1161}\u{11ab}", "한"), ("か\u{3099}", "が")]
        {
            assert_eq!(terms(apart, Language::Other), terms(together, Language::Other));
        }
    }

    #[test]
    fn identifiers_are_found_whole_and_by_their_parts() {
        let found = terms("parseHTTPRequest iPhone McX", Language::Other);
        assert_eq!(found, ["parse", "http", "request", "parsehttprequest", "phone", "iphone", "mc", "mcx"]);
    }

    proptest! {
        #[test]
        fn any_word_has_a_stem_in_any_language(text in "[a-zäöüßéèçñåøæа-яёα-ωάίέ\\u{621}-\\u{64a}\\u{b85}-\\u{bcd}A-Z0-9'_. ]{0,40}|\\PC{0,20}") {
            for code in ["en", "ar", "da", "nl", "fi", "fr", "de", "el", "hu", "it", "no", "pt", "ro", "ru", "es", "sv", "ta", "tr", "xx"] {
                terms(&text, Language::from_code(Some(code)));
            }
        }
    }

    #[test]
    fn text_without_spaces_is_found_by_pairs() {
        assert_eq!(terms("東京都 京", Language::Other), ["東", "東京", "京", "京都", "都", "京"]);
    }

    #[test]
    fn a_query_is_spelt_in_every_language_searched() {
        let found = query_terms("houses Häuser", &[Language::English, Language::German]);
        assert_eq!(found, [vec!["hous"], vec!["haus", "häuser"]]);
    }
}
