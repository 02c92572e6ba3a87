//! What a voice does to the answers it was trained for, against the same model without it.

use lectern_model::SamplingOptions;
use lectern_model::generate::GenerateOptions;
use lectern_model::host::Host;
use serde::Serialize;

use super::data::{StyleMeta, StyleRow};
use super::figures::{Figures, Tally, Values};
use super::squad::{best, contains_any, f1};
use super::{Run, RunRecord};
use crate::error::EngineError;
use crate::prompt::REFUSAL;
use crate::session::{GenerateRequest, Session};

const CITE_NAMES: [&str; 8] = [
    "exact_format",
    "citation_right",
    "citation_right_of_answered",
    "f1",
    "refusal_right",
    "refusal_right_unanswerable",
    "refusal_right_absent",
    "false_refusal",
];
const MANNER_NAMES: [&str; 3] = ["markers", "share_ge2", "span_kept"];

/// Words of the pirate's manner that plain English does not have. Function words that are English too
/// (*be*, *were*, *besides*, *whilst*) are left out, so that plain text scores 0.
const MARKER_WORDS: [&str; 33] = [
    "th'",
    "an'",
    "o'",
    "t'",
    "wi'",
    "jus'",
    "ol'",
    "'bout",
    "'gainst",
    "'til",
    "'cause",
    "'em",
    "o'er",
    "ne'er",
    "e'er",
    "fer",
    "thar",
    "betwixt",
    "afore",
    "ahoy",
    "avast",
    "aye",
    "arr",
    "arrr",
    "yarr",
    "savvy",
    "landlubber",
    "matey",
    "heave ho",
    "yo ho",
    "shiver me timbers",
    "seven seas",
    "me hearties",
];

/// How the answers were asked for and scored.
#[derive(Clone, Debug, Serialize)]
pub struct StyleFigures {
    /// `cite` or `manner`.
    pub style: &'static str,
    pub n: usize,
    pub base: Figures,
    pub adapter: Figures,
}

/// Generates every row's answer greedily, without the voice and with it.
///
/// - Passages with a citation: `exact_format` (`<span> [n]` with a passage's number, or the refusal), `citation_right` (n is the gold
///   passage, of the rows with one) and the same of those that were answered, SQuAD `f1` of the part
///   before ` [n]` on rows with an answer, `refusal_right` on the others (and by kind), `false_refusal`.
/// - A manner of speaking: `markers` an answer, share of answers with two or more, and `span_kept`, the
///   share that hold a gold answer.
///
/// # Errors
/// `adapter-unknown`, `not-loaded`, `prompt-too-long`, `cancelled`.
pub async fn run<H: Host>(
    session: &mut Session<H>,
    rows: &[StyleRow],
    voice: (&str, f32),
    max_tokens: usize,
    seed: u64,
    run: &mut Run<'_>,
) -> Result<StyleFigures, EngineError> {
    let is_cite = rows.iter().any(|row| matches!(row.meta, StyleMeta::Cite { .. }));
    let names = if is_cite { &CITE_NAMES[..] } else { &MANNER_NAMES[..] };
    let options = GenerateOptions {
        max_tokens,
        sampling: SamplingOptions::default(),
        stop: Vec::new(),
        end_at_repeat: false,
        lookup: true,
    };
    let mut figures = Vec::new();
    for (arm, voice) in [("base", None), ("adapter", Some(voice))] {
        let mut tally = Tally::new(names);
        for (done, row) in rows.iter().enumerate() {
            let (StyleMeta::Cite { id, answers, .. } | StyleMeta::Manner { id, answers, .. }) = &row.meta;
            if let Some(kept) = run.take(arm, id) {
                tally.push_all(&kept);
                continue;
            }
            run.progress(arm, done, rows.len());
            let n_asked = row.messages.len().saturating_sub(1);
            let messages = row.messages[..n_asked].to_vec();
            let request = GenerateRequest { messages, options: options.clone() };
            let generated = session.generate(&request, voice, &mut |_| ()).await?;
            let answer = generated.generation.text.trim();
            tally.push_all(&run.record(RunRecord {
                id,
                arm,
                query: row.messages[..n_asked].last().map_or("", |message| &message.content),
                answers,
                answer: Some(answer),
                values: score(answer, &row.meta),
                ..RunRecord::default()
            }));
        }
        run.progress(arm, rows.len(), rows.len());
        figures.push(tally.figures(seed));
    }
    let adapter = figures.remove(1);
    let style = if is_cite { "cite" } else { "manner" };
    Ok(StyleFigures { style, n: rows.len(), base: figures.remove(0), adapter })
}

fn score(answer: &str, meta: &StyleMeta) -> Values {
    match meta {
        StyleMeta::Cite { kind, gold_index, answers, passages, .. } => {
            let gold = gold_index.filter(|_| kind == "answer");
            cite(answer, kind, gold, answers, passages.len())
        }
        StyleMeta::Manner { answers, .. } => {
            let n = n_markers(answer);
            let (markers, ge2) = (n as f64, f64::from(n >= 2));
            Values::from([
                ("markers", markers),
                ("share_ge2", ge2),
                ("span_kept", f64::from(contains_any(answer, answers))),
            ])
        }
    }
}

fn cite(answer: &str, kind: &str, gold: Option<usize>, golds: &[String], n_passages: usize) -> Values {
    let refused = answer == REFUSAL;
    let cited = split_mark(answer);
    let is_exact = refused || cited.is_some_and(|(_, n)| (1..=n_passages).contains(&n));
    let mut values = Values::from([("exact_format", f64::from(is_exact))]);
    let Some(gold) = gold else {
        values.insert("refusal_right", f64::from(refused));
        match kind {
            "unanswerable" => values.insert("refusal_right_unanswerable", f64::from(refused)),
            "absent" => values.insert("refusal_right_absent", f64::from(refused)),
            _ => None,
        };
        return values;
    };
    let is_right = f64::from(cited.is_some_and(|(_, n)| n == gold));
    let span = cited.map_or(answer, |(span, _)| span);
    let span = if refused { "" } else { span };
    values.extend([("citation_right", is_right), ("false_refusal", f64::from(refused)), ("f1", best(span, golds, f1))]);
    if !refused {
        values.insert("citation_right_of_answered", is_right);
    }
    values
}

/// `<span> [n]` → span and n.
fn split_mark(answer: &str) -> Option<(&str, usize)> {
    let (span, mark) = answer.rsplit_once(" [")?;
    let n = mark.strip_suffix(']')?;
    let is_number = !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    (is_number && !span.trim().is_empty()).then(|| Some((span, n.parse().ok()?)))?
}

/// Marks of the pirate's manner in a text: [`MARKER_WORDS`], and words of three letters and more that
/// end in `in'`.
pub fn n_markers(text: &str) -> usize {
    let text = text.to_lowercase().replace('’', "'");
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    let spoken = format!(" {} ", words.join(" "));
    let phrases = MARKER_WORDS.iter().filter(|marker| marker.contains(' '));
    let n_phrases: usize = phrases.map(|phrase| spoken.matches(&format!(" {phrase} ")).count()).sum();
    let is_clipped = |word: &str| word.len() >= 5 && word.ends_with("in'");
    let is_marker = |word: &str| {
        MARKER_WORDS.contains(&word) || MARKER_WORDS.contains(&word.trim_matches('\'')) || is_clipped(word)
    };
    n_phrases + words.iter().filter(|word| is_marker(word)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_a_span_and_a_passages_number() {
        let golds = vec!["Pittsburgh Steelers".to_owned()];
        let answer = |text| cite(text, "answer", Some(3), &golds, 3);
        let right = answer("the Steelers [3]");
        assert_eq!(["exact_format", "citation_right", "false_refusal"].map(|n| right[n]), [1.0, 1.0, 0.0]);
        assert!((right["f1"] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(answer("Steelers [1]")["citation_right"], 0.0);
        for text in ["Steelers [4]", "Steelers", "[3]", "Steelers [3].", "Steelers [x]"] {
            assert_eq!(answer(text)["exact_format"], 0.0, "{text}");
        }
        let refused = answer(REFUSAL);
        assert_eq!(["exact_format", "citation_right", "false_refusal", "f1"].map(|n| refused[n]), [1.0, 0.0, 1.0, 0.0]);
        assert!(!refused.contains_key("citation_right_of_answered"));
    }

    #[test]
    fn a_refusal_is_right_where_no_passage_answers() {
        let values = cite(REFUSAL, "absent", None, &["2001".into()], 3);
        assert_eq!((values["refusal_right"], values["refusal_right_absent"]), (1.0, 1.0));
        assert_eq!(cite("2001 [2]", "unanswerable", None, &[], 3)["refusal_right_unanswerable"], 0.0);
    }

    #[test]
    fn plain_text_has_no_markers() {
        let plain = "There were many people between the arrays; the eye of the storm was in Berlin's ring, o'clock.";
        assert_eq!(n_markers(plain), 0);
        assert_eq!(n_markers("It can't be: 'the matey' was not said."), 1);
    }

    #[test]
    fn markers_are_counted_one_by_one() {
        // by the seven seas · th' · an' · creatin' · yo ho
        assert_eq!(n_markers("By the seven seas, th' waste an' pollution be creatin' ruin. Yo ho!"), 5);
        // arr · wi' · landlubber
        assert_eq!(n_markers("Arr, away wi’ it, ye landlubber!"), 3);
    }
}
