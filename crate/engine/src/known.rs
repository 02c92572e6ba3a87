//! Answers that were given and still hold: the same question, asked alike, over the same pages.

use std::collections::VecDeque;

use lectern_model::Precision;

use crate::answer::{Answer, AskOptions, Ending};

/// Answers that are kept at most; the oldest goes first.
const N_ANSWERS: usize = 64;

/// What was asked, and how.
#[derive(Clone, PartialEq)]
pub(crate) struct Asked {
    question: String,
    voice: Option<(String, f32)>,
    options: AskOptions,
    precision: Precision,
}

impl Asked {
    /// Spaces about a question and between its words make no other of it.
    pub fn new(question: &str, voice: Option<(&str, f32)>, options: &AskOptions, precision: Precision) -> Self {
        Self {
            question: question.split_whitespace().collect::<Vec<_>>().join(" "),
            voice: voice.map(|(name, scale)| (name.to_owned(), scale)),
            options: AskOptions { fresh: false, ..options.clone() },
            precision,
        }
    }
}

/// To be emptied with every change of the pages, models or voices.
#[derive(Default)]
pub(crate) struct Known(VecDeque<(Asked, Answer)>);

impl Known {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn find(&self, asked: &Asked) -> Option<Answer> {
        let (_, answer) = self.0.iter().find(|(known, _)| known == asked)?;
        Some(Answer { cached: true, ..answer.clone() })
    }

    /// As [`Self::find`], whatever was said before.
    pub fn find_after_all(&self, asked: &Asked) -> Option<Answer> {
        let said = |asked: &Asked| {
            let options = AskOptions { before: None, ..asked.options.clone() };
            Asked { options, ..asked.clone() }
        };
        let wanted = said(asked);
        let (_, answer) = self.0.iter().rev().find(|(known, _)| said(known) == wanted)?;
        Some(Answer { cached: true, ..answer.clone() })
    }

    /// Keeps an answer in the place of an older one to the same; none that was stopped.
    pub fn keep(&mut self, asked: Asked, answer: &Answer) {
        if answer.stopped == Ending::Cancelled {
            return;
        }
        self.0.retain(|(known, _)| *known != asked);
        if self.0.len() == N_ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back((asked, answer.clone()));
    }
}
