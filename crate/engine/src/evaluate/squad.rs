//! Answers against gold answers, as SQuAD's `evaluate-v2.0.py` scores them.

use std::collections::HashMap;

/// Lower case; Python's `string.punctuation` deleted (ASCII only); the words *a*, *an*, *the* taken
/// out; white space collapsed.
pub fn normalize(text: &str) -> String {
    let kept: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    without_articles(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The script's `re.sub(r'\b(a|an|the)\b', ' ', text)`: a word ends where `\w` does, so the article
/// in `“the` goes and its quotation mark stays.
fn without_articles(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let other = |c: char| is_word(c) != is_word(first);
        let (run, after) = rest.split_at(rest.find(other).unwrap_or(rest.len()));
        kept.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    kept
}

/// Whether answer and gold answer are the same once normalised.
pub fn exact(answer: &str, gold: &str) -> bool {
    normalize(answer) == normalize(gold)
}

/// Harmonic mean of precision and recall over the normalised words, each counted as often as both
/// sides have it. A side without words: 1 if the other has none either, else 0.
pub fn f1(answer: &str, gold: &str) -> f64 {
    let (answer, gold) = (normalize(answer), normalize(gold));
    let (n_answer, n_gold) = (answer.split(' ').count(), gold.split(' ').count());
    if answer.is_empty() || gold.is_empty() {
        return f64::from(answer == gold);
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in gold.split(' ') {
        *left.entry(word).or_default() += 1;
    }
    let mut n_shared = 0;
    for word in answer.split(' ') {
        if let Some(n) = left.get_mut(word).filter(|n| **n > 0) {
            *n -= 1;
            n_shared += 1;
        }
    }
    if n_shared == 0 {
        return 0.0;
    }
    let (precision, recall) = (f64::from(n_shared) / n_answer as f64, f64::from(n_shared) / n_gold as f64);
    2.0 * precision * recall / (precision + recall)
}

/// Whether `text` holds the gold answer as a run of characters, both normalised.
pub fn contains(text: &str, gold: &str) -> bool {
    let gold = normalize(gold);
    !gold.is_empty() && normalize(text).contains(&gold)
}

/// The best of `score` over the gold answers. Gold answers that normalise to nothing are passed over;
/// where none is left the right answer is the empty one.
pub fn best(answer: &str, golds: &[String], score: impl Fn(&str, &str) -> f64) -> f64 {
    let kept: Vec<&str> = golds.iter().map(String::as_str).filter(|gold| !normalize(gold).is_empty()).collect();
    let golds = if kept.is_empty() { vec![""] } else { kept };
    golds.into_iter().map(|gold| score(answer, gold)).fold(0.0, f64::max)
}

/// Whether `text` holds any of the gold answers.
pub fn contains_any(text: &str, golds: &[String]) -> bool {
    golds.iter().any(|gold| contains(text, gold))
}

/// `text` without its `[n]` marks.
pub fn without_marks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let n_digits = rest[start + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = start + 1 + n_digits;
        let is_mark = n_digits > 0 && rest[end..].starts_with(']');
        kept += if is_mark { rest[..start].trim_end_matches(' ') } else { &rest[..=start] };
        rest = &rest[if is_mark { end + 1 } else { start + 1 }..];
    }
    (kept + rest).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golds(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn normalisation_is_the_scripts() {
        for (text, normal) in [
            ("10,000", "10000"),
            ("U.S.", "us"),
            ("mid-1970s", "mid1970s"),
            ("  The  Cat, an\tapple; a  theme ", "cat apple theme"),
            ("“the” end – 5%", "“ ” end – 5"),
            ("a_b The_c", "ab thec"),
            ("A.", ""),
        ] {
            assert_eq!(normalize(text), normal, "{text:?}");
        }
    }

    #[test]
    fn f1_counts_shared_words_as_often_as_both_have_them() {
        // 2 of 3 words, 2 of 4: 2·(2/3)·(1/2)/(7/6) = 4/7.
        assert!((f1("new red magma", "new hot magma flows") - 4.0 / 7.0).abs() < 1e-12);
        // "la la" against "la": 1 of 2 and 1 of 1.
        assert!((f1("la la", "la") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(f1("the cat", "Cat!"), 1.0);
        assert_eq!((f1("", ""), f1("the", "a"), f1("", "cat"), f1("dog", "cat")), (1.0, 1.0, 0.0, 0.0));
    }

    #[test]
    fn the_best_gold_answer_counts() {
        let answers = golds(&["igneous", "new magma", "the"]);
        assert_eq!(best("new magma", &answers, |a, g| f64::from(exact(a, g))), 1.0);
        assert_eq!(best("magma", &answers, f1), 2.0 / 3.0);
        assert_eq!((best("", &[], f1), best("magma", &[], f1)), (1.0, 0.0));
        assert!(contains_any("It is the NEW, magma.", &answers));
        assert!(!contains_any("the rock", &answers));
    }

    #[test]
    fn marks_are_no_part_of_the_answer() {
        assert_eq!(without_marks("Paris [2]. Rome[13], [x] [] a[i]"), "Paris. Rome, [x] [] a[i]");
        assert_eq!(without_marks("[1] [2]"), "");
    }
}
