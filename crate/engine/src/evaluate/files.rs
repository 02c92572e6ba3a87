//! Files as people have them: what is read of each, held against what a person would expect.

use serde::{Deserialize, Serialize};

use super::figures::Values;
use super::{Run, RunRecord, Scored};

/// A line of a manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct FileRow {
    /// Relative to the manifest.
    pub file: String,
    pub expect: Expect,
    /// Texts that must be found in what is read, white space aside.
    #[serde(default)]
    pub must_contain: Vec<String>,
    /// Opens a locked file.
    #[serde(default)]
    pub password: Option<String>,
    /// A file in `reference/` beside the manifest. One that ends in `.utf8` is the text as it should be read.
    #[serde(default)]
    pub reference: Option<String>,
}

/// What a person would expect of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Its text, with all that it must contain.
    Text,
    /// To be told that there are pictures only.
    NoText,
    /// To be told that it is empty.
    Empty,
    /// To be asked for a password, which opens it.
    Password,
    /// To be told what is wrong.
    Error,
    /// Its text or what is wrong.
    Any,
    /// As `any`, and what it must contain if it is read.
    Bounded,
}

/// What became of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// `text`, or what stood in the way: the error's code without `file-`, with `_` for `-`.
    pub status: String,
    #[serde(skip)]
    pub text: String,
    /// What a person is told.
    pub message: String,
    #[serde(skip)]
    pub warnings: Vec<String>,
    pub seconds: f64,
    /// The most memory that reading it took, where that is known.
    pub peak_bytes: Option<u64>,
}

/// Of the lines of a run, whose `answer` is the status.
const ARM: &str = "files";

/// The status of a file whose reader ended without an answer.
pub const CRASHED: &str = "crashed";

/// Seconds and bytes that no file may take.
pub const MAX_SECONDS: f64 = 20.0;
pub const MAX_BYTES: u64 = 1 << 30;

/// Over all files: how many did what was expected of them, and what the others did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FilesFigures {
    pub n: usize,
    pub met: usize,
    pub failures: Vec<Failure>,
    pub max_seconds: f64,
    pub max_peak_bytes: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub file: String,
    pub expect: Expect,
    pub got: String,
}

impl FilesFigures {
    /// Counts a file. `open` is what reading it gave, `unlocked` the same with its password, if it has one; `reference`
    /// is the text that it should give.
    pub fn add(
        &mut self,
        row: &FileRow,
        open: &Outcome,
        unlocked: Option<&Outcome>,
        reference: Option<&str>,
        run: &mut Run<'_>,
    ) {
        let got = judge(row, open, unlocked, reference);
        let outcomes = || [Some(open), unlocked].into_iter().flatten();
        let seconds = outcomes().map(|outcome| outcome.seconds).fold(0.0, f64::max);
        let mut values = Values::from([("met", f64::from(got.is_none())), ("seconds", seconds)]);
        if let Some(peak) = outcomes().filter_map(|outcome| outcome.peak_bytes).max() {
            values.insert("peak_bytes", peak as f64);
        }
        let expected = vec![row.expect.name()];
        let scored = run.record(RunRecord {
            id: &row.file,
            arm: ARM,
            query: &row.file,
            expected,
            answer: Some(&open.status),
            got: got.as_deref(),
            values,
            ..RunRecord::default()
        });
        self.count(row, scored);
    }

    /// Counts a file that an earlier run has left; whether there was one.
    pub fn take(&mut self, row: &FileRow, run: &mut Run<'_>) -> bool {
        let kept = run.take(ARM, &row.file);
        kept.map(|scored| self.count(row, scored)).is_some()
    }

    fn count(&mut self, row: &FileRow, scored: Scored) {
        let value = |name| scored.values.get(name).copied();
        self.n += 1;
        self.max_seconds = self.max_seconds.max(value("seconds").unwrap_or(0.0));
        self.max_peak_bytes = self.max_peak_bytes.max(value("peak_bytes").map(|peak| peak as u64));
        match scored.got {
            None => self.met += 1,
            Some(got) => self.failures.push(Failure { file: row.file.clone(), expect: row.expect, got }),
        }
    }
}

impl Expect {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::NoText => "no_text",
            Self::Empty => "empty",
            Self::Password => "password",
            Self::Error => "error",
            Self::Any => "any",
            Self::Bounded => "bounded",
        }
    }
}

/// What is wrong with an outcome, if anything is.
fn judge(row: &FileRow, open: &Outcome, unlocked: Option<&Outcome>, reference: Option<&str>) -> Option<String> {
    for outcome in [Some(open), unlocked].into_iter().flatten() {
        if outcome.seconds > MAX_SECONDS {
            return Some(format!("it took {:.1} s", outcome.seconds));
        }
        if let Some(peak) = outcome.peak_bytes.filter(|&peak| peak > MAX_BYTES) {
            return Some(format!("it took {} MB", peak >> 20));
        }
        if outcome.status == CRASHED {
            return Some(outcome.message.clone());
        }
        if outcome.status != "text" && outcome.message.trim().is_empty() {
            return Some(format!("{} without a word", outcome.status));
        }
    }
    let is = |status: &str| (open.status != status).then(|| format!("{}: {}", open.status, open.message));
    match row.expect {
        Expect::Text => is("text").or_else(|| text_fault(row, open, reference)),
        Expect::NoText => is("no_text"),
        Expect::Empty => is("empty"),
        Expect::Password => is("password").or_else(|| match unlocked {
            Some(unlocked) if unlocked.status == "text" => text_fault(row, unlocked, reference),
            Some(unlocked) => Some(format!("with its password {}: {}", unlocked.status, unlocked.message)),
            None => Some("the manifest names no password".to_owned()),
        }),
        Expect::Error if open.status == "text" => Some("it was read".to_owned()),
        Expect::Bounded if open.status == "text" => text_fault(row, open, reference),
        Expect::Error | Expect::Any | Expect::Bounded => None,
    }
}

fn text_fault(row: &FileRow, outcome: &Outcome, reference: Option<&str>) -> Option<String> {
    if outcome.text.trim().is_empty() {
        return Some("its text is empty".to_owned());
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = words(&outcome.text);
    if let Some(missing) = row.must_contain.iter().find(|wanted| !text.contains(&words(wanted))) {
        return Some(format!("{missing:?} is missing"));
    }
    // What could not be known from the bytes may be guessed wrong, if the person is told that it is a guess.
    let differs = reference.is_some_and(|reference| words(reference.trim_start_matches('\u{feff}')) != text);
    (differs && outcome.warnings.is_empty())
        .then(|| "its text differs from the reference, without a warning".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Event, KeptLine};

    fn outcome(status: &str, text: &str) -> Outcome {
        Outcome {
            status: status.into(),
            text: text.into(),
            message: "what to do".into(),
            warnings: Vec::new(),
            seconds: 0.1,
            peak_bytes: Some(1 << 20),
        }
    }

    fn row(expect: Expect) -> FileRow {
        FileRow {
            file: "a".into(),
            expect,
            must_contain: vec!["nine  shillings".into()],
            password: None,
            reference: None,
        }
    }

    #[test]
    fn what_a_person_expects_is_met_or_named() {
        fn met(expect: Expect, outcome: &Outcome, unlocked: Option<&Outcome>) -> bool {
            judge(&row(expect), outcome, unlocked, None).is_none()
        }
        let read = outcome("text", "It costs nine\nshillings.");
        assert!(met(Expect::Text, &read, None));
        assert!(!met(Expect::Text, &outcome("text", "It costs ten."), None));
        assert!(!met(Expect::Text, &outcome("damaged", ""), None));
        assert!(met(Expect::Password, &outcome("password", ""), Some(&read)));
        assert!(!met(Expect::Password, &read, Some(&read)));
        assert!(!met(Expect::Password, &outcome("password", ""), Some(&outcome("password", ""))));
        assert!(met(Expect::Error, &outcome("damaged", ""), None) && !met(Expect::Error, &read, None));
        assert!(!met(Expect::Error, &Outcome { message: String::new(), ..outcome("damaged", "") }, None));
        assert!(met(Expect::Any, &outcome("damaged", ""), None) && met(Expect::Any, &outcome("text", "x"), None));
        assert!(met(Expect::Bounded, &outcome("too_large", ""), None));
        assert!(!met(Expect::Bounded, &outcome("text", "x"), None));
        assert!(!met(Expect::Any, &outcome(CRASHED, ""), None) && !met(Expect::Error, &outcome(CRASHED, ""), None));
        assert!(!met(Expect::Any, &Outcome { seconds: 21.0, ..read.clone() }, None));
        assert!(!met(Expect::Any, &Outcome { peak_bytes: Some(2 << 30), ..read }, None));
    }

    #[test]
    fn a_file_that_was_judged_before_counts_the_same() {
        let mut lines = Vec::new();
        let mut figures = [FilesFigures::default(), FilesFigures::default()];
        let mut on_event = |event: Event<'_>| {
            if let Event::Record(record) = event {
                let values = record.values.iter().map(|(&name, &value)| (name.to_owned(), value)).collect();
                let scored = Scored { values, got: record.got.map(str::to_owned) };
                lines.push(KeptLine { id: record.id.into(), arm: record.arm.into(), scored });
            }
        };
        let mut run = Run::new(Vec::new(), &mut on_event);
        figures[0].add(&row(Expect::Text), &outcome("text", "nine shillings"), None, None, &mut run);
        figures[0].add(&row(Expect::Empty), &outcome("damaged", ""), None, None, &mut run);
        let mut nothing = |_: Event<'_>| ();
        let mut run = Run::new(lines, &mut nothing);
        assert!(figures[1].take(&row(Expect::Text), &mut run) && figures[1].take(&row(Expect::Empty), &mut run));
        assert!(!figures[1].take(&row(Expect::Empty), &mut run));
        let [first, second] = figures.map(|f| (f.n, f.met, f.failures[0].got.clone(), f.max_seconds, f.max_peak_bytes));
        assert_eq!(first, (2, 1, "damaged: what to do".to_owned(), 0.1, Some(1 << 20)));
        assert_eq!(first, second);
    }

    #[test]
    fn another_text_than_the_reference_needs_a_warning() {
        let read = outcome("text", "nine shillings");
        assert!(judge(&row(Expect::Text), &read, None, Some("\u{feff}nine shillings\n")).is_none());
        assert!(judge(&row(Expect::Text), &read, None, Some("ten shillings")).is_some());
        let warned = Outcome { warnings: vec!["a guess".into()], ..read };
        assert!(judge(&row(Expect::Text), &warned, None, Some("ten shillings")).is_none());
    }
}
