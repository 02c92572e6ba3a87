//! Sentences, and what in them carries something: names, numbers and other words of content.

use std::collections::HashSet;

/// Words before a full stop that ends no sentence.
const ABBREVIATIONS: [&str; 12] = ["dr", "mr", "mrs", "ms", "prof", "st", "mt", "vs", "fig", "approx", "e.g", "i.e"];

/// Words that carry nothing, in lower case. Those that deny are not among them.
const FUNCTION_WORDS: &str = "a about above after again all also although am among an and another any are around as at be \
    because been before being below between both but by can could did do does doing done down during each either else \
    even ever every few for from further had has have having he hence her here hers him his how however i if in into is \
    it its itself just least less like made make many may me might more most much must my near nor o'clock of off often on \
    one only onto or other our out over own per quite rather same several shall she should since so some such than that the \
    their theirs them themselves then there therefore these they this those though through thus to together too toward \
    towards under until up upon us usually very via was way we well were what when where whether which while who whom \
    whose why will with within would yes yet you your";

/// Words that deny what follows, beside those that end in `n't`.
const DENIALS: &str = "aucun aucune cannot geen jamais kein keine keinem keinen keiner keines never nicht nie niemals niet \
    no none not nunca não pas without";

/// What numbers up to twelve are called, from nought on.
const NUMBERS: [&str; 13] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// With a digit, or called by its name up to twelve.
    Number,
    /// Begins with a capital, and is not the sentence's first.
    Name,
    /// The sentence's first with a capital: a name or not.
    First,
    Plain,
}

/// A word of content in the form in which it is compared: numbers without separators and leading noughts, others in
/// lower case and cut where endings begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    pub form: String,
    pub kind: Kind,
}

/// The sentences of a text with the marks and the space after them, so that they join to the text again.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (sentence, after) = rest.split_at(sentence_len(rest));
        rest = after;
        (!sentence.is_empty()).then_some(sentence)
    })
}

fn sentence_len(text: &str) -> usize {
    for (at, c) in text.char_indices() {
        let after = &text[at + c.len_utf8()..];
        let closed = after.trim_start_matches(['"', '\'', ')', '”', '’', '»']);
        let is_last = closed.is_empty() || closed.starts_with(char::is_whitespace) || mark_len(closed) > 0;
        let ends = match c {
            '\n' => true,
            '!' | '?' => is_last,
            '.' => is_last && !is_abbreviation(&text[..at], closed) && !is_item_number(&text[..at]),
            '。' | '！' | '？' => true,
            _ => false,
        };
        if ends {
            let mut rest = closed;
            while mark_len(rest) > 0 {
                rest = &rest[mark_len(rest)..];
            }
            return text.len() - rest.trim_start().len();
        }
    }
    text.len()
}

/// A sentence without the number or the dash that makes it an item of a list; nothing of a line that only sets code apart.
pub fn without_item_mark(sentence: &str) -> &str {
    let said = sentence.trim_start();
    if said.starts_with("```") {
        return "";
    }
    let behind = said.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = behind.strip_prefix(['.', ')']).filter(|rest| is_item_number(&said[..said.len() - rest.len() - 1]));
    rest.filter(|rest| rest.starts_with(char::is_whitespace)).unwrap_or(said)
}

/// Whether a full stop behind it makes it the number of an item in a list.
fn is_item_number(before: &str) -> bool {
    let number = before.trim();
    (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
}

fn is_abbreviation(before: &str, after: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let goes_on = after.trim_start().starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit());
    ABBREVIATIONS.contains(&word.to_lowercase().as_str())
        || word.chars().count() == 1 && word.starts_with(char::is_uppercase)
        || word.contains('.') && goes_on
}

/// Bytes of the mark `[n]` that `text` begins with, and of the space before it; 0 where there is none.
pub fn mark_len(text: &str) -> usize {
    let rest = text.trim_start();
    let digits = rest.strip_prefix('[').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits > 0 && rest[1 + digits..].starts_with(']') { text.len() - rest.len() + digits + 2 } else { 0 }
}

/// The words of content of a sentence, or of a text of several, in their order.
pub fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut is_first = true;
    let pieces = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’' | '.' | ','));
    for piece in pieces.map(|piece| piece.trim_matches(|c: char| !c.is_alphanumeric())).filter(|p| !p.is_empty()) {
        if is_function_word(piece) {
            is_first = false;
            continue;
        }
        if let Some(number) = number(piece) {
            found.push(Word { form: number, kind: Kind::Number });
            is_first = false;
            continue;
        }
        for part in piece.split(['\'', '’', '.', ',']).filter(|part| part.chars().count() > 1) {
            let kind = match part.starts_with(char::is_uppercase) {
                _ if part.contains(|c: char| c.is_ascii_digit()) => Kind::Number,
                true if is_first => Kind::First,
                true => Kind::Name,
                false => Kind::Plain,
            };
            is_first = false;
            if is_function_word(part) {
                continue;
            }
            if let Some(number) = number(part) {
                found.push(Word { form: number, kind: Kind::Number });
            } else if part.contains(is_unspaced) {
                found.extend(part.chars().map(|c| Word { form: c.to_string(), kind: Kind::Plain }));
            } else {
                found.push(Word { form: part.to_lowercase().chars().take(6).collect(), kind });
            }
        }
    }
    found
}

/// The forms of words that a text denies: of what follows a denial, the first word of content.
pub fn denied(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut is_denied = false;
    for piece in text.split_whitespace() {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'");
        if word.ends_with("n't") || DENIALS.split(' ').any(|denial| denial == word) {
            is_denied = true;
            continue;
        }
        if is_denied && let Some(word) = words(piece).into_iter().next() {
            found.insert(word.form);
            is_denied = false;
        }
        is_denied &= !piece.ends_with(['.', '!', '?', ';']);
    }
    found
}

/// The forms of a text's words.
pub fn forms(text: &str) -> HashSet<String> {
    words(text).into_iter().map(|word| word.form).collect()
}

/// Whether it is of a script that puts no space between words: there each character is compared.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{e00}'..='\u{e7f}')
}

fn is_function_word(word: &str) -> bool {
    let word = word.to_lowercase().replace('’', "'");
    FUNCTION_WORDS.split(' ').any(|function_word| function_word == word)
}

/// `10,000` → `10000`, `1990s` → `1990`, `07` → `7`, `nine` → `9`.
fn number(word: &str) -> Option<String> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        let lower = word.to_lowercase();
        return NUMBERS.iter().position(|name| *name == lower).map(|n| n.to_string());
    }
    let digits: String = word.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect();
    let digits = digits.replace(',', "");
    let plain = digits.trim_end_matches('.').trim_start_matches('0');
    Some(if plain.is_empty() || plain.starts_with('.') { format!("0{plain}") } else { plain.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        let cut: Vec<&str> = sentences(text).collect();
        assert_eq!(cut.concat(), text);
        cut
    }

    #[test]
    fn sentences_join_to_the_text_again() {
        assert_eq!(cut("One two. Three? \n\nFour"), ["One two. ", "Three? \n\n", "Four"]);
        assert_eq!(cut("At 3.5 km, says Dr. A. Holm. Yes!"), ["At 3.5 km, says Dr. A. Holm. ", "Yes!"]);
        assert_eq!(cut("From 7 a.m. to nine. “So.” It is."), ["From 7 a.m. to nine. ", "“So.” ", "It is."]);
        assert_eq!(cut("Yes. [1] [2] No.[3] So"), ["Yes. [1] [2] ", "No.[3] ", "So"]);
        assert_eq!(cut("1. Turn it.\n 12. Wait. 1874. So"), ["1. Turn it.\n ", "12. Wait. ", "1874. ", "So"]);
        assert_eq!(cut("这是。那是。"), ["这是。", "那是。"]);
        assert_eq!(cut(""), [""; 0]);
    }

    #[test]
    fn marks_of_items_say_nothing() {
        for sentence in ["1. Turn it.", " 12) Turn it.", "Turn it."] {
            assert_eq!(without_item_mark(sentence), ["Turn it.", " Turn it."][usize::from(sentence.contains('1'))]);
        }
        assert_eq!(
            (without_item_mark("```bash\n"), without_item_mark("3.5 km"), without_item_mark("1874. So")),
            ("", "3.5 km", "1874. So")
        );
    }

    #[test]
    fn what_is_denied_is_the_next_word_of_content() {
        let denied = |text| {
            let mut found: Vec<_> = denied(text).into_iter().collect();
            found.sort();
            found
        };
        assert_eq!(denied("It carries bicycles, but no cars."), ["cars"]);
        assert_eq!(denied("It didn’t burn. The lamp never was lit. Not. One."), ["burn", "lit"]);
        assert_eq!(denied("ein Raum, der nicht hausdorffsch ist"), ["hausdo"]);
        assert_eq!(denied("It burned."), [""; 0]);
    }

    #[test]
    fn words_that_carry_nothing_are_left_out() {
        let forms = |text| words(text).into_iter().map(|word| word.form).collect::<Vec<_>>();
        assert_eq!(forms("It leaves at nine o'clock, or at nine o’clock."), ["leaves", "9", "9"]);
        assert_eq!(forms("In the 1990s, 10,000.50 of Holm's and 07:30"), ["1990", "10000.50", "holm", "7", "30"]);
        assert_eq!(forms("It is so."), [""; 0]);
        assert_eq!(forms("灯塔 1874年"), ["灯", "塔", "1874"]);
    }

    #[test]
    fn names_are_told_by_their_capitals() {
        let kinds = |text| words(text).into_iter().map(|word| word.kind).collect::<Vec<_>>();
        assert_eq!(
            kinds("Margaret Holm built 3 towers."),
            [Kind::First, Kind::Name, Kind::Plain, Kind::Number, Kind::Plain]
        );
        assert_eq!(kinds("The ferry Kittiwake."), [Kind::Plain, Kind::Name]);
    }
}
