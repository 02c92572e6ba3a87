//! Whether citations hold what they are cited for.
//!
//! Citation recall and precision are defined as in ALCE (Gao et al. 2023, section 4.3), statement by
//! statement, but with a lexical test where ALCE asks an entailment model: a passage supports a
//! statement when it holds it as a run of words, or holds at least [`MIN_SHARE`] of its content words
//! (both after SQuAD's normalisation). That is exact for answers that are spans of a passage, lenient
//! to a statement that reorders a passage's words (a negation passes), and strict to a paraphrase: the
//! figures compare arms over the same questions, they are no entailment scores.

use std::collections::HashSet;

use super::squad::{normalize, without_marks};

/// Share of a statement's content words that supporting passages hold at least.
pub const MIN_SHARE: f64 = 0.8;

/// The measure in a sentence, to stand beside its figures.
pub const MEASURE: &str = "Citation recall and precision as ALCE defines them, but by words in place of an entailment model: a passage supports a sentence that it holds as a run of words or of which it holds 80 % of the content words.";

/// Words that support nothing.
const FUNCTION_WORDS: [&str; 44] = [
    "about", "after", "also", "and", "are", "as", "at", "be", "been", "before", "but", "by", "can", "did", "do",
    "does", "for", "from", "had", "has", "have", "in", "into", "is", "it", "its", "of", "on", "or", "that", "their",
    "there", "these", "they", "this", "to", "was", "were", "when", "where", "which", "who", "will", "with",
];

/// Scores of one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// Statements whose citations together support them / statements.
    pub recall: f64,
    /// Citations that support their statement alone, or without which it is not supported, in
    /// statements that are supported / citations. 0 for an answer that cites nothing, as in ALCE.
    pub precision: f64,
}

/// Scores `answer`, whose mark `[n]` cites `passages[n - 1]`. `None` for an answer without a statement.
pub fn support(answer: &str, passages: &[&str]) -> Option<Support> {
    let statements = statements(answer);
    let (mut n_supported, mut n_citations, mut n_precise) = (0, 0, 0);
    for statement in &statements {
        let cited: Vec<&str> =
            marks(statement).into_iter().filter_map(|n| passages.get(n.checked_sub(1)?)).copied().collect();
        n_citations += cited.len();
        let text = without_marks(statement);
        if !supports(&text, &cited) {
            continue;
        }
        n_supported += 1;
        n_precise += (0..cited.len())
            .filter(|&i| {
                let others: Vec<&str> = cited.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| *p).collect();
                supports(&text, &cited[i..=i]) || !supports(&text, &others)
            })
            .count();
    }
    let share = |n: usize, of: usize| if of == 0 { 0.0 } else { n as f64 / of as f64 };
    (!statements.is_empty())
        .then(|| Support { recall: share(n_supported, statements.len()), precision: share(n_precise, n_citations) })
}

/// Whether the passages, taken together, support the statement.
fn supports(statement: &str, passages: &[&str]) -> bool {
    let statement = normalize(statement);
    let passages: Vec<String> = passages.iter().map(|p| normalize(p)).collect();
    if passages.iter().any(|p| format!(" {p} ").contains(&format!(" {statement} "))) {
        return true;
    }
    let held: HashSet<&str> = passages.iter().flat_map(|p| p.split(' ')).collect();
    let content: Vec<&str> = statement.split(' ').filter(|word| !FUNCTION_WORDS.contains(word)).collect();
    let n_held = content.iter().filter(|word| held.contains(*word)).count();
    !content.is_empty() && n_held as f64 >= MIN_SHARE * content.len() as f64
}

/// Sentences; marks after a full stop belong to the sentence before them.
fn statements(answer: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut start = 0;
    let ends = answer.char_indices().filter(|&(i, c)| match c {
        '\n' => true,
        '.' | '!' | '?' => answer[i + 1..].starts_with(char::is_whitespace) || answer[i + 1..].starts_with('['),
        _ => false,
    });
    let ends: Vec<usize> = ends.map(|(i, c)| i + c.len_utf8()).chain([answer.len()]).collect();
    for end in ends {
        let mut piece = &answer[start..end];
        while let Some(marks) = leading_mark(piece)
            && let Some(last) = found.last_mut()
        {
            last.push_str(&piece[..marks]);
            piece = &piece[marks..];
        }
        if !normalize(&without_marks(piece)).is_empty() {
            found.push(piece.trim().to_owned());
        }
        start = end;
    }
    found
}

/// Length of the white space and mark that `text` begins with.
fn leading_mark(text: &str) -> Option<usize> {
    let rest = text.trim_start();
    let n_digits = rest.strip_prefix('[')?.bytes().take_while(u8::is_ascii_digit).count();
    let is_mark = n_digits > 0 && rest[1 + n_digits..].starts_with(']');
    is_mark.then(|| text.len() - rest.len() + n_digits + 2)
}

/// The numbers of a statement's marks, each once.
fn marks(statement: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (start, _) in statement.match_indices('[') {
        if let Some(len) = leading_mark(&statement[start..])
            && let Ok(n) = statement[start + 1..start + len - 1].parse()
            && !found.contains(&n)
        {
            found.push(n);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGES: [&str; 3] = [
        "The steam engine was patented by James Watt in 1769.",
        "Oxygen was discovered by Joseph Priestley.",
        "Warsaw lies on the Vistula river.",
    ];

    fn scores(answer: &str) -> (f64, f64) {
        let support = support(answer, &PASSAGES).unwrap();
        (support.recall, support.precision)
    }

    #[test]
    fn a_span_is_supported_by_the_passage_that_holds_it() {
        assert_eq!(scores("James Watt [1]"), (1.0, 1.0));
        assert_eq!(scores("James Watt [2]"), (0.0, 0.0));
        assert_eq!(scores("James Watt"), (0.0, 0.0));
        assert_eq!(scores("1769. [1]"), (1.0, 1.0));
    }

    #[test]
    fn every_sentence_is_a_statement() {
        // The first is supported, the second cites the wrong passage: recall 1/2, precision 1/2.
        assert_eq!(scores("James Watt patented the steam engine [1]. Priestley discovered oxygen. [3]"), (0.5, 0.5));
        // The second cites nothing: recall 1/2, precision 1/1.
        assert_eq!(scores("Oxygen was discovered by Joseph Priestley [2]. It is a gas."), (0.5, 1.0));
    }

    #[test]
    fn a_citation_that_adds_nothing_is_imprecise() {
        assert_eq!(scores("Joseph Priestley [2][3]"), (1.0, 0.5));
        // Each alone holds half of the words; both are needed.
        assert_eq!(scores("Oxygen Priestley Warsaw Vistula [2][3]"), (1.0, 1.0));
    }

    #[test]
    fn words_without_content_support_nothing() {
        assert_eq!(scores("It was of that [1]"), (0.0, 0.0));
        assert_eq!(support(" [1] ", &PASSAGES), None);
        assert_eq!(support("", &PASSAGES), None);
    }

    #[test]
    fn the_share_is_the_one_that_is_said() {
        assert!(MEASURE.contains(&format!("{} %", MIN_SHARE * 100.0)));
    }

    #[test]
    fn decimals_do_not_end_a_sentence() {
        assert_eq!(statements("It is 3.5 km. [1] [2] Yes![3]\nSo"), ["It is 3.5 km. [1] [2]", "Yes![3]", "So"]);
    }
}
