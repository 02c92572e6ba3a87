//! Whether the passages hold what the sentences of an answer say.
//!
//! Words are compared first, as marks are attached ([`Held`]), and then, where they leave it open, meanings: the cosine
//! of the sentence and the passages' sentences. Two numbers of one passage may be taken for each other, and one word for
//! its opposite: a mark is a hint where to look, no proof.

use std::collections::HashSet;

use lectern_model::ModelError;
use lectern_model::host::Host;
use serde::Serialize;

use crate::cite::{drop_invented, markers};
use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::retrieve::Hit;
use crate::sentence::{Kind, denied, forms, sentences, without_item_mark, words};

/// Share of a sentence's words from which a passage alone supports it.
const SUPPORTED: f64 = 0.8;
/// Share from which it does if a sentence of the passages is as near as [`NEAR`].
const LIKELY: f64 = 0.6;
const NEAR: f32 = 0.75;
/// Share from which it does in part, if a sentence of the passages is about the same ([`ABOUT`]).
const PARTLY: f64 = 0.5;
const ABOUT: f32 = 0.4;
/// Cosine from which a sentence is supported in part whatever its words.
const LIKE: f32 = 0.65;

/// Words that an answer opens with and that say nothing of the matter.
const OPENING: &str =
    "according answer based context documents following mentioned passage passages provided question text";

/// How far the passages hold a sentence. Nothing is `Supported` that names a number or a name which the passage and its
/// headings do not hold, or that says what the passage only denies, or denies what it only says.
///
/// CLAP NQ, 168 sentences of the gold answers, and MTRAG-UN, 383 of the references, which are written freely, held
/// against their passages, against the two passages of other documents that share most words with them, and with one
/// name or number replaced (285); share of each that is
///
/// | | supported | partly | not found |
/// |---|---|---|---|
/// | CLAP NQ, own passage | 0.93 | 0.07 | 0.01 |
/// | CLAP NQ, other documents | 0.00 | 0.01 | 0.99 |
/// | MTRAG-UN, own passages | 0.73 | 0.21 | 0.06 |
/// | MTRAG-UN, other documents | 0.08 | 0.28 | 0.64 |
/// | a name replaced | 0.00 | 0.95 | 0.05 |
/// | a number replaced | 0.00 | 0.97 | 0.03 |
/// | CLAP NQ, own passage, a `not` put in (69; by words alone) | 0.04 | 0.96 | 0.00 |
///
/// The pages of MTRAG-UN are of governments, which say much of the same. Before denials were compared 0.81 of the
/// sentences with a `not` too many were supported; the three that are now have it in the passage as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    Supported,
    Partly,
    NotFound,
}

/// A sentence of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// UTF-8 byte offsets into the answer, its marks included.
    pub start: usize,
    pub end: usize,
    pub support: Support,
    /// The passage that holds most of it, counted as marks are; none for one that was not found.
    pub marker: Option<usize>,
}

/// What the passages hold, by the words.
pub struct Held {
    passages: Vec<HeldWords>,
    asked: HashSet<String>,
    opening: HashSet<String>,
}

struct HeldWords {
    text: HashSet<String>,
    /// Of its headings and its file's name.
    names: HashSet<String>,
    /// Words of the text that it denies in one sentence, and words that it says in another without denying them.
    denied: HashSet<String>,
    granted: HashSet<String>,
}

/// What speaks for a sentence in the passage that holds most of it.
pub(crate) struct Evidence {
    /// Words that count.
    pub n: usize,
    /// Of these, how many the passage holds.
    pub n_held: usize,
    /// Names and numbers that it does not hold.
    pub n_lost: usize,
    /// Whether it denies what the sentence says, or says what the sentence denies.
    pub is_denied: bool,
    /// Its index.
    pub passage: usize,
}

impl Evidence {
    fn share(&self) -> f64 {
        self.n_held as f64 / self.n as f64
    }
}

impl Held {
    /// Of the passages shown for a question. What a sentence only repeats of the question proves nothing and is not
    /// counted, unless it says nothing else.
    pub fn new(question: &str, passages: &[Hit]) -> Self {
        let held = |hit: &Hit| {
            let (mut denials, mut granted) = (HashSet::new(), HashSet::new());
            for sentence in sentences(&hit.text) {
                let denied = denied(sentence);
                granted.extend(forms(sentence).difference(&denied).cloned());
                denials.extend(denied);
            }
            let names = forms(&format!("{} {}", hit.headings.join(" "), hit.source));
            HeldWords { text: forms(&hit.text), names, denied: denials, granted }
        };
        Self { passages: passages.iter().map(held).collect(), asked: forms(question), opening: forms(OPENING) }
    }

    /// Of equals the passage that `sentence` names, then the one that holds most of what it repeats of the question, and
    /// then the first. `None` for a sentence that says nothing or asks, and without passages.
    pub(crate) fn evidence(&self, sentence: &str) -> Option<Evidence> {
        if sentence.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '”' | ')')).ends_with('?') {
            return None;
        }
        let named: Vec<usize> = markers(sentence).into_iter().map(|(.., marker)| marker).collect();
        let sentence = without_item_mark(sentence);
        let denies = denied(sentence);
        let mut said = words(&drop_invented(sentence, 0));
        said.retain(|word| !self.opening.contains(&word.form));
        let all: HashSet<&str> = said.iter().map(|word| word.form.as_str()).collect();
        let mut counted: HashSet<&str> = all.iter().copied().filter(|form| !self.asked.contains(*form)).collect();
        if counted.iter().all(|form| form.len() < 2) {
            counted.clone_from(&all);
        }
        let n_held =
            |of: &HashSet<&str>, i: usize| of.iter().filter(|&&form| self.passages[i].text.contains(form)).count();
        let order = |i: usize| (n_held(&counted, i), named.contains(&(i + 1)), n_held(&all, i), std::cmp::Reverse(i));
        let passage = (0..self.passages.len()).max_by_key(|&i| order(i)).filter(|_| !counted.is_empty())?;
        let HeldWords { text, names, denied, granted } = &self.passages[passage];
        let is_denied = all.iter().any(|&form| {
            let denies = denies.contains(form);
            denies != denied.contains(form) && denies == granted.contains(form)
        });
        let is_lost = |form: &String| !text.contains(form) && !names.contains(form);
        let n_lost = said.iter().filter(|word| word.kind != Kind::Plain && is_lost(&word.form)).count();
        Some(Evidence { n: counted.len(), n_held: n_held(&counted, passage), n_lost, is_denied, passage })
    }
}

/// Checks every sentence of `answer` that says something against the passages shown for `question`; by words alone
/// without an embedder.
///
/// # Errors
/// Those of the embedder, but for `cancelled`: a sentence that was stopped at is checked by its words.
pub async fn check<H: Host>(
    answer: &str,
    question: &str,
    passages: &[Hit],
    embedder: Option<&mut Embedder>,
    host: &H,
) -> Result<Vec<Sentence>, EngineError> {
    let held = Held::new(question, passages);
    let mut at = 0;
    let mut found = Vec::new();
    for whole in sentences(answer) {
        let start = at + whole.len() - whole.trim_start().len();
        at += whole.len();
        if let Some(evidence) = held.evidence(whole) {
            found.push((start..start + whole.trim().len(), evidence));
        }
    }
    let is_open = |evidence: &Evidence| evidence.n_lost > 0 || evidence.share() < SUPPORTED;
    let open: Vec<String> = found
        .iter()
        .filter(|(_, evidence)| is_open(evidence))
        .map(|(span, _)| drop_invented(&answer[span.clone()], 0))
        .collect();
    let near = match embedder {
        Some(embedder) if !open.is_empty() && !host.cancelled() => nearest(open, passages, embedder, host).await?,
        _ => Vec::new(),
    };
    let mut near = near.into_iter();
    let judged = found.into_iter().map(|(span, evidence)| {
        let cosine = if is_open(&evidence) { near.next() } else { None };
        let support = judge(&evidence, cosine);
        let marker = (support != Support::NotFound).then_some(evidence.passage + 1);
        Sentence { start: span.start, end: span.end, support, marker }
    });
    Ok(judged.collect())
}

fn judge(evidence: &Evidence, cosine: Option<f32>) -> Support {
    let share = evidence.share();
    let is_near = |least| cosine.is_some_and(|cosine| cosine >= least);
    if evidence.n_lost == 0 && !evidence.is_denied && (share >= SUPPORTED || share >= LIKELY && is_near(NEAR)) {
        Support::Supported
    } else if is_near(LIKE) || share >= PARTLY && cosine.is_none_or(|cosine| cosine >= ABOUT) {
        Support::Partly
    } else {
        Support::NotFound
    }
}

/// For each of the texts said, the cosine of the passages' sentence that is nearest.
async fn nearest<H: Host>(
    said: Vec<String>,
    passages: &[Hit],
    embedder: &mut Embedder,
    host: &H,
) -> Result<Vec<f32>, EngineError> {
    let n_said = said.len();
    let read = passages.iter().flat_map(|hit| sentences(&hit.text)).map(str::trim).filter(|text| !text.is_empty());
    let texts: Vec<String> = said.into_iter().chain(read.map(str::to_owned)).collect();
    let vectors = match embedder.embed(&texts, host, &mut |_| ()).await {
        Err(EngineError::Model(ModelError::Cancelled)) => return Ok(Vec::new()),
        vectors => vectors?,
    };
    let (said, read) = vectors.split_at(n_said);
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    Ok(said.iter().map(|a| read.iter().map(|b| cosine(a, b)).fold(0.0, f32::max)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieve::tests::hit;

    /// By words alone: the text of each sentence, how far it is held, and by which passage.
    fn checked<'a>(answer: &'a str, question: &str) -> Vec<(&'a str, Support, Option<usize>)> {
        let passages = [
            hit("The Aldersey lighthouse was built in 1874 by Margaret Holm. It stands 41 metres tall."),
            hit("The ferry leaves at nine and carries bicycles, but no cars."),
        ];
        let mut check = std::pin::pin!(check(answer, question, &passages, None, &()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(Ok(found)) = check.as_mut().poll(&mut context) else {
            panic!("nothing to wait for")
        };
        found.iter().map(|s| (&answer[s.start..s.end], s.support, s.marker)).collect()
    }

    #[test]
    fn sentences_are_held_in_whole_in_part_or_not() {
        use Support::{NotFound, Partly, Supported};
        assert_eq!(
            checked("Margaret Holm built it in 1874 [1].\nBicycles sink.  Bananas ripen slowly! It is so.", "Who?"),
            [
                ("Margaret Holm built it in 1874 [1].", Supported, Some(1)),
                ("Bicycles sink.", Partly, Some(2)),
                ("Bananas ripen slowly!", NotFound, None)
            ]
        );
        let denial = "The ferry leaves at nine and carries bicycles and cars.";
        assert_eq!(checked(denial, "Who?"), [(denial, Partly, Some(2))]);
        assert_eq!(checked("The ferry carries bicycles.", "Who?")[0].1, Supported);
        assert_eq!(checked("The lighthouse was not built in 1874.", "Who?")[0].1, Partly);
        assert_eq!(checked("At nine o'clock.", "When does it leave?"), [("At nine o'clock.", Supported, Some(2))]);
        assert_eq!(checked("", ""), []);
    }

    #[test]
    fn a_number_or_a_name_that_is_in_no_passage_is_never_supported() {
        for answer in [
            "The Aldersey lighthouse was built in 1875 by Margaret Holm and stands 41 metres tall.",
            "The Aldersey lighthouse was built in 1874 by Margaret Hill and stands 41 metres tall.",
            "Napoleon built the Aldersey lighthouse with Margaret Holm in 1874, 41 metres tall.",
        ] {
            for question in ["", "Did Napoleon build it in 1875?", answer] {
                assert!(
                    checked(answer, question).iter().all(|(_, support, _)| *support != Support::Supported),
                    "{answer}"
                );
            }
        }
    }
}
