//! A run: what is told of it on the way, what it leaves of every query, and what an earlier one has left.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::figures::Values;
use crate::cite::Citation;

/// What happens on the way to the figures.
pub enum Event<'a> {
    /// `done` of `total` of a stage, of which some may have been left by an earlier run.
    Progress {
        stage: &'static str,
        done: usize,
        total: usize,
    },
    /// Something that people should know of, as a sentence.
    Notice(String),
    Record(&'a RunRecord<'a>),
}

/// A query with what came of it: a line of a run.
#[derive(Debug, Default, Serialize)]
pub struct RunRecord<'a> {
    pub id: &'a str,
    pub arm: &'static str,
    pub query: &'a str,
    /// The documents, pages or passages that are right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<&'a str>,
    /// Where in `expected` the answer lies, as byte offsets, when that is a part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected_spans: Vec<(usize, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answerable: Option<bool>,
    /// Gold answers.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub answers: &'a [String],
    pub hits: Vec<HitRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<&'a [Citation]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<bool>,
    /// What came where something else was expected, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<&'a str>,
    /// Figures of this query alone. Those of the run are their means.
    pub values: Values,
}

/// A hit of a run.
#[derive(Debug, Default, Serialize)]
pub struct HitRecord<'a> {
    pub doc: &'a str,
    pub score: f32,
    /// Where a hit falls on several passages, all of them; `doc` is the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub docs: Vec<&'a str>,
    /// The chunk, as byte offsets into the source's extracted text; absent for a ranking of documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bm25: Option<f32>,
}

/// What the figures take of a line.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Scored {
    pub values: BTreeMap<String, f64>,
    #[serde(default)]
    pub got: Option<String>,
}

/// A line that an earlier run has left.
#[derive(Clone, Debug, Deserialize)]
pub struct KeptLine {
    pub id: String,
    pub arm: String,
    #[serde(flatten)]
    pub scored: Scored,
}

/// What a run is told through, and what it need not do again.
pub struct Run<'a> {
    /// By arm and query; of queries with one name, in their order.
    kept: HashMap<(String, String), VecDeque<Scored>>,
    on_event: &'a mut dyn FnMut(Event<'_>),
}

impl<'a> Run<'a> {
    pub fn new(kept: Vec<KeptLine>, on_event: &'a mut dyn FnMut(Event<'_>)) -> Self {
        let mut run = Self { kept: HashMap::new(), on_event };
        for line in kept {
            run.kept.entry((line.arm, line.id)).or_default().push_back(line.scored);
        }
        run
    }

    pub fn progress(&mut self, stage: &'static str, done: usize, total: usize) {
        (self.on_event)(Event::Progress { stage, done, total });
    }

    pub fn notice(&mut self, text: String) {
        (self.on_event)(Event::Notice(text));
    }

    /// Whether an earlier run has left what a query gave in an arm.
    pub fn has(&self, arm: &str, id: &str) -> bool {
        self.kept.contains_key(&(arm.to_owned(), id.to_owned()))
    }

    /// What an earlier run has left of a query in an arm.
    pub fn take(&mut self, arm: &str, id: &str) -> Option<Scored> {
        let key = (arm.to_owned(), id.to_owned());
        let lines = self.kept.get_mut(&key)?;
        let line = lines.pop_front();
        if lines.is_empty() {
            self.kept.remove(&key);
        }
        line
    }

    /// Gives a query's line away, and what the figures take of it: values are rounded so that their decimals say them
    /// whole, and a run that goes on has the very figures of one that was never cut short.
    pub fn record(&mut self, mut record: RunRecord<'_>) -> Scored {
        record.values.values_mut().for_each(|value| *value = rounded(*value));
        (self.on_event)(Event::Record(&record));
        Scored {
            values: record.values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            got: record.got.map(str::to_owned),
        }
    }
}

/// SHA-256 of `pieces` one after the other, in hexadecimal.
pub fn sha256(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    pieces.into_iter().for_each(|piece| hash.update(piece));
    format!("{:x}", hash.finalize())
}

/// To twelve decimals, which any reader of decimals gives back bit for bit.
fn rounded(value: f64) -> f64 {
    const DECIMALS: f64 = 1e12;
    (value * DECIMALS).round() / DECIMALS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, f1: f64) -> KeptLine {
        let scored = Scored { values: BTreeMap::from([("f1".to_owned(), f1)]), got: None };
        KeptLine { id: id.into(), arm: "rag".into(), scored }
    }

    #[test]
    fn what_is_left_is_taken_once_and_in_order() {
        let mut on_event = |_: Event<'_>| ();
        let mut run = Run::new(vec![line("a", 0.5), line("b", 0.0), line("a", 1.0)], &mut on_event);
        assert!(run.has("rag", "a") && !run.has("both", "a"));
        let mut f1 = |arm, id| run.take(arm, id).map(|scored| scored.values["f1"]);
        assert_eq!((f1("rag", "a"), f1("both", "a"), f1("rag", "a")), (Some(0.5), None, Some(1.0)));
        assert_eq!((f1("rag", "a"), f1("rag", "b")), (None, Some(0.0)));
        assert!(!run.has("rag", "b"));
    }

    #[test]
    fn what_is_scored_is_what_the_line_says() {
        let mut said = Vec::new();
        let mut on_event = |event: Event<'_>| {
            if let Event::Record(record) = event {
                said.push(record.values["f1"].to_string());
            }
        };
        let mut run = Run::new(Vec::new(), &mut on_event);
        let scored = run.record(RunRecord { values: Values::from([("f1", 4.0 / 7.0)]), ..RunRecord::default() });
        assert_eq!(said, ["0.571428571429"]);
        // As a reader that knows whole numbers and powers of ten gets it.
        assert_eq!(scored.values["f1"], 571_428_571_429.0 / 1e12);
    }
}
