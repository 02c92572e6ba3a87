//! Questions over passages: what is found, and what the four arms answer.

use std::collections::BTreeMap;

use lectern_index::DenseMode;
use lectern_model::host::Host;
use serde::Serialize;

use super::citation::{MEASURE, support};
use super::data::Question;
use super::figures::{Figures, Tally, Values};
use super::place::{Gold, Places};
use super::ranking::{hit, mrr};
use super::squad::{best, contains_any, exact, f1, without_marks};
use super::{HitRecord, Run, RunRecord};
use crate::answer::{Answer, AskOptions};
use crate::error::EngineError;
use crate::prompt::{REFUSAL, passages_shown};
use crate::retrieve::{Hit, Retrieval, RetrieveOptions};
use crate::session::Session;

/// Chunks ranked for a question: enough for five passages.
const N_CHUNKS: usize = 50;
const RETRIEVAL_NAMES: [&str; 5] = ["hit@1", "hit@3", "hit@5", "mrr@10", "answer_shown"];
const ARM_NAMES: [&str; 11] = [
    "em",
    "f1",
    "contains",
    "citation_precision",
    "citation_recall",
    "refusal_right",
    "false_refusal",
    "cited",
    "cited_gold",
    "em_all",
    "f1_all",
];

/// With or without the pages, with or without the voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    Neither,
    Rag,
    Adapter,
    Both,
}

impl Arm {
    pub const ALL: [Self; 4] = [Self::Neither, Self::Rag, Self::Adapter, Self::Both];

    pub fn name(self) -> &'static str {
        match self {
            Self::Neither => "neither",
            Self::Rag => "rag",
            Self::Adapter => "adapter",
            Self::Both => "both",
        }
    }

    pub fn reads_pages(self) -> bool {
        matches!(self, Self::Rag | Self::Both)
    }

    pub fn speaks_in_voice(self) -> bool {
        matches!(self, Self::Adapter | Self::Both)
    }
}

/// How to run.
pub struct QaOptions<'a> {
    pub arms: &'a [Arm],
    /// Name and scale of the voice of the arms that speak in one.
    pub voice: Option<(&'a str, f32)>,
    /// How to answer; `rag` is set by the arm.
    pub ask: AskOptions,
    /// For the intervals.
    pub seed: u64,
}

/// - `retrieval`, over answerable questions whose passage is known: `hit@k` and `mrr@10` of passages, and
///   `answer_shown`, the share whose passages shown to the reader hold a gold answer.
/// - `arms`: `em`, `f1`, `contains`, `false_refusal` over answerable questions (a refusal scores 0),
///   `refusal_right` over unanswerable ones, `em_all` and `f1_all` over all as SQuAD 2.0 counts them;
///   over the answers that are no refusal, `citation_precision` and `citation_recall` of
///   [`super::citation`] and `cited`, the share with a citation; and of those to answerable questions
///   that have one, `cited_gold`, the share where a cited passage holds a gold answer.
/// - `relevance`: the share of questions, answerable or not, that pass the threshold.
#[derive(Clone, Debug, Serialize)]
pub struct QaFigures {
    pub n: usize,
    pub n_answerable: usize,
    pub n_passages_in_files: usize,
    pub retrieval: Figures,
    /// The same over questions that follow up others, searched for with what was said before and without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_ups: Option<FollowUps>,
    pub relevance: Figures,
    /// What `citation_precision` and `citation_recall` are, in a sentence.
    pub citation_measure: &'static str,
    pub arms: BTreeMap<&'static str, Figures>,
}

/// Retrieval for questions with a history.
#[derive(Clone, Debug, Serialize)]
pub struct FollowUps {
    pub with_context: Figures,
    pub alone: Figures,
}

/// Asks every question, in every arm.
///
/// # Errors
/// Those of [`Session::ask`] and [`Session::search`].
pub async fn run<H: Host>(
    session: &mut Session<H>,
    questions: &[Question],
    places: &Places,
    options: &QaOptions<'_>,
    run: &mut Run<'_>,
) -> Result<QaFigures, EngineError> {
    let judged: Vec<(&Question, bool)> = questions.iter().filter_map(|q| Some((q, q.is_answerable()?))).collect();
    if judged.len() < questions.len() {
        let n = questions.len() - judged.len();
        run.notice(format!("{n} questions say neither that they are answerable nor that they are not; left out"));
    }
    let found = search_all(session, &judged, places, options, run).await?;
    let mut arms = BTreeMap::new();
    for &arm in options.arms {
        let voice = options.voice.filter(|_| arm.speaks_in_voice());
        let mut ask = AskOptions { rag: arm.reads_pages(), ..options.ask.clone() };
        let mut tally = Tally::new(&ARM_NAMES);
        for (done, &(question, answerable)) in judged.iter().enumerate() {
            if let Some(kept) = run.take(arm.name(), &question.id) {
                tally.push_all(&kept);
                continue;
            }
            run.progress(arm.name(), done, judged.len());
            ask.before = question.before();
            let answer = session.ask(&question.question, voice, &ask, &mut |_| ()).await?;
            let gold = places.gold(question, session.library());
            tally.push_all(&run.record(RunRecord {
                hits: hit_records(&answer.hits, places),
                answer: Some(&answer.answer),
                citations: Some(&answer.citations),
                refused: Some(is_refusal(&answer)),
                values: score(&answer, question.golds(), answerable),
                ..record(question, answerable, arm.name(), &gold, places)
            }));
        }
        run.progress(arm.name(), judged.len(), judged.len());
        arms.insert(arm.name(), tally.figures(options.seed));
    }
    let has_follow_ups = judged.iter().any(|(question, _)| question.before().is_some());
    Ok(QaFigures {
        n: judged.len(),
        n_answerable: judged.iter().filter(|(_, answerable)| *answerable).count(),
        n_passages_in_files: places.n_in_files,
        retrieval: found.retrieval.figures(options.seed),
        follow_ups: has_follow_ups.then(|| FollowUps {
            with_context: found.followed.figures(options.seed),
            alone: found.alone.figures(options.seed),
        }),
        relevance: found.relevance.figures(options.seed),
        citation_measure: MEASURE,
        arms,
    })
}

/// What the searches for all questions gave.
struct Found {
    retrieval: Tally,
    followed: Tally,
    alone: Tally,
    relevance: Tally,
}

/// Searches for every question as it would be answered, and for one that follows up another without
/// what was said before as well.
async fn search_all<H: Host>(
    session: &mut Session<H>,
    judged: &[(&Question, bool)],
    places: &Places,
    options: &QaOptions<'_>,
    run: &mut Run<'_>,
) -> Result<Found, EngineError> {
    let mut found = Found {
        retrieval: Tally::new(&RETRIEVAL_NAMES),
        followed: Tally::new(&RETRIEVAL_NAMES[..4]),
        alone: Tally::new(&RETRIEVAL_NAMES[..4]),
        relevance: Tally::new(&["answerable", "unanswerable"]),
    };
    let n_shown = options.ask.top_k.unwrap_or_else(|| passages_shown(options.voice.is_some()));
    for (done, &(question, answerable)) in judged.iter().enumerate() {
        let before = question.before();
        for (arm, before) in [("retrieval", before.as_ref()), ("alone", None)] {
            if arm == "alone" && question.before().is_none() {
                continue;
            }
            let scored = match run.take(arm, &question.id) {
                Some(kept) => kept,
                None => {
                    run.progress("retrieval", done, judged.len());
                    let how = RetrieveOptions {
                        top_k: N_CHUNKS,
                        dense: options.ask.dense,
                        before,
                        rerank: options.ask.rerank,
                        ..RetrieveOptions::default()
                    };
                    let Retrieval { hits, is_relevant, .. } = session.search(&question.question, &how).await?;
                    let gold = places.gold(question, session.library());
                    let name = if answerable { "answerable" } else { "unanswerable" };
                    let mut values = Values::from([(name, f64::from(is_relevant))]);
                    if answerable && !gold.places.is_empty() {
                        values.extend(rank(&places.gains(&hits, &gold)));
                        let is_shown = hits.iter().take(n_shown).any(|h| contains_any(&h.text, question.golds()));
                        values.insert("answer_shown", f64::from(is_shown));
                    }
                    run.record(RunRecord {
                        hits: hit_records(&hits, places),
                        values,
                        ..record(question, answerable, arm, &gold, places)
                    })
                }
            };
            if arm == "alone" {
                found.alone.push_all(&scored);
                continue;
            }
            found.retrieval.push_all(&scored);
            found.relevance.push_all(&scored);
            if before.is_some() {
                found.followed.push_all(&scored);
            }
        }
    }
    run.progress("retrieval", judged.len(), judged.len());
    Ok(found)
}

fn rank(gains: &[f64]) -> Values {
    let hit_at = |k| f64::from(hit(gains, k));
    Values::from([("hit@1", hit_at(1)), ("hit@3", hit_at(3)), ("hit@5", hit_at(5)), ("mrr@10", mrr(gains, 10))])
}

/// Whether an answer says that the documents do not answer, in an arm that reads them or not.
fn is_refusal(answer: &Answer) -> bool {
    answer.refused || answer.answer.starts_with(REFUSAL)
}

/// The figures of one answer. Each is only there where it applies.
fn score(answer: &Answer, golds: &[String], answerable: bool) -> Values {
    let refused = is_refusal(answer);
    let text = if refused { String::new() } else { without_marks(&answer.answer) };
    let em = best(&text, if answerable { golds } else { &[] }, |a, g| f64::from(exact(a, g)));
    let f1 = best(&text, if answerable { golds } else { &[] }, f1);
    let mut values = Values::from([("em_all", em), ("f1_all", f1)]);
    if answerable {
        let contained = contains_any(&text, golds);
        values.extend([
            ("em", em),
            ("f1", f1),
            ("contains", f64::from(contained)),
            ("false_refusal", f64::from(refused)),
        ]);
    } else {
        values.insert("refusal_right", f64::from(refused));
    }
    if refused {
        return values;
    }
    let shown: Vec<&str> = answer.hits[..answer.n_passages].iter().map(|hit| hit.text.as_str()).collect();
    if let Some(support) = support(&answer.answer, &shown) {
        values.extend([("citation_precision", support.precision), ("citation_recall", support.recall)]);
    }
    values.insert("cited", f64::from(!answer.citations.is_empty()));
    if answerable && !answer.citations.is_empty() {
        let holds_gold = answer.citations.iter().any(|citation| contains_any(&citation.text, golds));
        values.insert("cited_gold", f64::from(holds_gold));
    }
    values
}

fn record<'a>(
    question: &'a Question,
    answerable: bool,
    arm: &'static str,
    gold: &Gold,
    places: &'a Places,
) -> RunRecord<'a> {
    RunRecord {
        id: &question.id,
        arm,
        query: &question.question,
        expected: gold.places.iter().flat_map(|place| places.named(place)).collect(),
        expected_spans: gold.places.iter().filter(|_| gold.is_part).map(|p| (p.span.start, p.span.end)).collect(),
        answerable: Some(answerable),
        answers: question.golds(),
        ..RunRecord::default()
    }
}

fn hit_records<'a>(hits: &'a [Hit], places: &'a Places) -> Vec<HitRecord<'a>> {
    hits.iter()
        .map(|hit| {
            let docs = places.at(hit);
            HitRecord {
                doc: docs.first().copied().unwrap_or(&hit.source),
                score: hit.score,
                docs: if docs.len() > 1 { docs } else { Vec::new() },
                span: Some((hit.start, hit.end)),
                dense: hit.dense,
                bm25: hit.bm25,
            }
        })
        .collect()
}

impl Default for QaOptions<'_> {
    fn default() -> Self {
        let ask = AskOptions { max_tokens: 96, dense: DenseMode::Exact, ..AskOptions::default() };
        Self { arms: &Arm::ALL, voice: None, ask, seed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use lectern_index::DensePath;
    use lectern_model::decoder::Executor;

    use super::*;
    use crate::answer::{Ending, Timings, Usage};
    use crate::cite::citations;

    fn answer(text: &str, passages: &[&str]) -> Answer {
        let hits: Vec<Hit> = passages
            .iter()
            .map(|text| Hit {
                source_id: 0,
                source: "a.txt".into(),
                start: 0,
                end: text.len(),
                page: None,
                text: (*text).into(),
                headings: vec![],
                score: 0.0,
                dense: None,
                bm25: None,
            })
            .collect();
        Answer {
            answer: text.into(),
            respelled: Vec::new(),
            set_aside: None,
            refused: text == REFUSAL,
            sentences: Vec::new(),
            citations: citations(text, &hits),
            n_passages: hits.len(),
            hits,
            usage: Usage::default(),
            timings_ms: Timings::default(),
            executor: Executor::Cpu,
            dense_path: DensePath::None,
            n_passages_dropped: 0,
            stopped: Ending::End,
            dispatches_per_token: None,
            extractive: false,
            cached: false,
        }
    }

    fn golds() -> Vec<String> {
        vec!["new magma".into(), "magma".into()]
    }

    #[test]
    fn an_answer_is_scored_without_its_marks() {
        let values = score(&answer("New magma. [1]", &["It may form new magma.", "Rock."]), &golds(), true);
        for name in ["em", "f1", "contains", "citation_precision", "citation_recall", "cited", "cited_gold", "em_all"] {
            assert_eq!(values[name], 1.0, "{name}");
        }
        assert_eq!(values["false_refusal"], 0.0);
        assert!(!values.contains_key("refusal_right"));
    }

    #[test]
    fn a_citation_of_the_wrong_passage_is_told_from_a_right_one() {
        let values = score(&answer("new magma [2]", &["It may form new magma.", "Rock."]), &golds(), true);
        let named = ["cited", "cited_gold", "citation_precision", "citation_recall"].map(|name| values[name]);
        assert_eq!(named, [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_refusal_is_right_or_false_and_cites_nothing() {
        let right = score(&answer(REFUSAL, &["Rock."]), &[], false);
        assert_eq!((right["refusal_right"], right["em_all"], right["f1_all"]), (1.0, 1.0, 1.0));
        assert!(!right.contains_key("cited") && !right.contains_key("em"));
        let false_one = score(&answer(REFUSAL, &["Rock."]), &golds(), true);
        assert_eq!((false_one["false_refusal"], false_one["em"], false_one["contains"]), (1.0, 0.0, 0.0));
        let guessed = score(&answer("Rock", &["Rock."]), &[], false);
        assert_eq!((guessed["refusal_right"], guessed["f1_all"], guessed["cited"]), (0.0, 0.0, 0.0));
    }
}
