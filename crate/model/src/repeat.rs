//! What an answer says again: its sentences, and cycles of tokens.

use std::collections::HashMap;

/// Words of a sentence that is not said twice: of a shorter one the repetition may be meant, until it was said so often.
const MIN_REPEATED_WORDS: usize = 4;
const MAX_SHORT: usize = 3;

/// Whether a sentence was said as often as it may be.
pub fn is_worn(said: &HashMap<String, usize>, sentence: &str) -> bool {
    let is_short = sentence.split_whitespace().nth(MIN_REPEATED_WORDS - 1).is_none();
    said.get(sentence).is_some_and(|&n| !is_short || n >= MAX_SHORT)
}

/// Tokens of a cycle at most; how often it is run through, and over how many tokens at least, before it is taken for one.
const MAX_CYCLE: usize = 16;
const MIN_ROUNDS: usize = 4;
const MIN_CYCLED: usize = 24;

/// How many tokens of `ids` there are with the first round of a cycle that they end in, if they do.
pub fn before_cycle(ids: &[u32]) -> Option<usize> {
    (1..=MAX_CYCLE).find_map(|n| {
        let n_same = ids.iter().rev().zip(ids.iter().rev().skip(n)).take_while(|(a, b)| a == b).count();
        (n_same + n >= MIN_CYCLED.max(n * MIN_ROUNDS)).then(|| ids.len() - n_same)
    })
}

/// What a sentence says: without the space around it and its number or dash in a list.
pub fn said_in(sentence: &str) -> &str {
    let sentence = sentence.trim();
    let rest = sentence.trim_start_matches(|c: char| c.is_ascii_digit());
    match rest.len() < sentence.len() {
        true => rest.strip_prefix(['.', ')']).filter(|said| !said.starts_with(|c: char| !c.is_whitespace())),
        false => rest.strip_prefix(['-', '*']),
    }
    .map_or(sentence, str::trim_start)
}

/// Bytes of the first sentence of `text` with the space after it, once what follows shows that it has ended: a new line,
/// or a word that is not in lower case after more than an abbreviation.
pub fn sentence_end(text: &str) -> Option<usize> {
    text.char_indices().find_map(|(at, c)| {
        let after = &text[at + c.len_utf8()..];
        let next = after.trim_start();
        match c {
            '\n' => Some(text.len() - after.len()),
            '.' | '!' | '?' if next.len() < after.len() && !after[..after.len() - next.len()].contains('\n') => {
                let is_next = next.chars().next().is_some_and(|c| !c.is_lowercase());
                (is_next && (c != '.' || !is_abbreviation(&text[..at]))).then_some(text.len() - next.len())
            }
            _ => None,
        }
    })
}

/// Whether the last word of `text`, before a full stop, looks cut short: `a.m`, `St`, `J`, `vs`.
fn is_abbreviation(text: &str) -> bool {
    // A number alone counts the items of a list.
    if text.trim().bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_short_name = word.chars().count() <= 3 && word.starts_with(char::is_uppercase);
    let has_dot = word.contains('.') && !word.starts_with(|c: char| c.is_ascii_digit());
    is_short_name || has_dot || matches!(word, "Prof" | "approx" | "etc" | "vs" | "ca")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_number_is_no_part_of_what_it_says() {
        for item in ["2. The lamp is old.", "12) The lamp is old.\n", "- The lamp is old. ", "The lamp is old."] {
            assert_eq!(said_in(item), "The lamp is old.");
        }
        assert_eq!(said_in("\n3. "), "");
        assert_eq!(said_in("3.5 km of rope"), "3.5 km of rope");
        assert_eq!(said_in("1874"), "1874");
    }

    #[test]
    fn a_long_sentence_is_not_said_twice_and_a_short_one_not_for_ever() {
        let said = HashMap::from([("The lamp is old.".to_owned(), 1), ("Yes.".to_owned(), 2), ("`B`".to_owned(), 3)]);
        assert!(is_worn(&said, "The lamp is old.") && is_worn(&said, "`B`"));
        assert!(!is_worn(&said, "Yes.") && !is_worn(&said, "The lamp is new."));
    }

    #[test]
    fn a_cycle_is_left_after_its_first_round() {
        let ids =
            |rounds: usize| [1, 2, 3].into_iter().chain([7, 8, 9, 10, 11, 12, 13].repeat(rounds)).collect::<Vec<_>>();
        assert_eq!((before_cycle(&ids(3)), before_cycle(&ids(4))), (None, Some(10)));
        assert_eq!(before_cycle(&[vec![1], vec![5; 23]].concat()), None);
        assert_eq!(before_cycle(&[vec![1], vec![5; 24]].concat()), Some(2));
        assert_eq!(before_cycle(&(0..200).collect::<Vec<_>>()), None);
        assert_eq!(before_cycle(&[]), None);
    }

    #[test]
    fn a_sentence_ends_where_the_next_begins() {
        assert_eq!(sentence_end("At 1.5 km. Then"), Some("At 1.5 km. ".len()));
        assert_eq!(sentence_end("It costs $3.50. Then"), Some("It costs $3.50. ".len()));
        assert_eq!(sentence_end("The lamp is old.  "), None, "what follows is not known yet");
        assert_eq!(sentence_end("The lamp is old.\nThen"), Some("The lamp is old.\n".len()));
        assert_eq!(sentence_end("2. The lamp is old. Then"), Some("2. The lamp is old. ".len()));
        for cut in ["At 9 a.m. on Sundays", "By J. Holm and Dr. Hay", "Named after St. Paul", "Oil, wax etc. Then"] {
            assert_eq!(sentence_end(cut), None, "{cut}");
        }
        assert_eq!(sentence_end("a line\nanother"), Some("a line\n".len()));
        assert_eq!(sentence_end("\n"), Some(1));
        assert_eq!(sentence_end("Who? He"), Some(5));
        assert_eq!(sentence_end("Not yet known."), None);
        assert_eq!(sentence_end(""), None);
    }
}
