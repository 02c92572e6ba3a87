//! Rows of the data that is measured on, as JSON lines hold them. Fields not named here are passed over.

use lectern_model::Message;
use serde::{Deserialize, Deserializer};

use crate::retrieve::Exchange;

/// What is not told may be left out or `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(field: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(field)?.unwrap_or_default())
}

/// A document of `corpus.jsonl` (BEIR layout).
#[derive(Clone, Debug, Deserialize)]
pub struct BeirDocument {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub title: String,
    pub text: String,
}

/// A query of `queries.jsonl` (BEIR layout).
#[derive(Clone, Debug, Deserialize)]
pub struct BeirQuery {
    #[serde(rename = "_id")]
    pub id: String,
    pub text: String,
}

/// A judgement: a line `query-id corpus-id score` of `qrels.tsv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub query: String,
    pub document: String,
    /// Relevance; 0 is judged not relevant.
    pub gain: f64,
}

impl Judgement {
    /// `None` for a line that is none. The header is one of those.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end().split('\t');
        let (query, document, gain) = (fields.next()?, fields.next()?, fields.next()?);
        let gain: f64 = gain.trim().parse().ok()?;
        gain.is_finite().then(|| Self { query: query.to_owned(), document: document.to_owned(), gain })
    }
}

/// A query and the pages that answer it.
#[derive(Clone, Debug, Deserialize)]
pub struct Pair {
    pub id: String,
    pub query: String,
    /// Paths relative to the folder of pages; any of them counts.
    pub expected: Vec<String>,
    /// How the query came about.
    #[serde(default, deserialize_with = "or_default")]
    pub derivation: String,
}

/// A question with its gold answers.
#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    pub id: String,
    pub question: String,
    /// What was said before the question, oldest first.
    #[serde(default, deserialize_with = "or_default")]
    pub history: Vec<Turn>,
    #[serde(default, deserialize_with = "or_default")]
    pub answers: Vec<String>,
    /// Every annotator's answer, where `answers` holds each only once.
    #[serde(default, deserialize_with = "or_default")]
    pub answers_all: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    answerable: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    answerability: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub doc_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub passage_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub passage_ids: Vec<String>,
    /// The text that holds the answer, or where an unanswerable question looks for one.
    #[serde(default, deserialize_with = "or_default")]
    pub context: String,
}

impl Question {
    /// Whether the documents answer it; `None` where the data does not settle that (a question to be
    /// asked back about).
    pub fn is_answerable(&self) -> Option<bool> {
        let says = |what: &str| self.answerability.iter().any(|a| a.eq_ignore_ascii_case(what));
        self.answerable.or_else(|| match (says("ANSWERABLE") || says("PARTIAL"), says("UNANSWERABLE")) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        })
    }

    /// The question before this one and the answer it got.
    pub fn before(&self) -> Option<Exchange> {
        let last = |is_user: bool| self.history.iter().rfind(|turn| (turn.role == "user") == is_user);
        let question = last(true)?.content.clone();
        Some(Exchange { question, answer: last(false).map_or_else(String::new, |turn| turn.content.clone()) })
    }

    pub fn golds(&self) -> &[String] {
        if self.answers_all.is_empty() { &self.answers } else { &self.answers_all }
    }
}

/// A turn of a conversation.
#[derive(Clone, Debug, Deserialize)]
pub struct Turn {
    pub role: String,
    pub content: String,
}

/// A passage or a whole document that questions refer to.
#[derive(Clone, Debug, Deserialize)]
pub struct Passage {
    #[serde(default)]
    passage_id: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub doc_id: String,
    pub text: String,
}

impl Passage {
    /// Of a document that is one piece, its `doc_id`.
    pub fn id(&self) -> &str {
        self.passage_id.as_deref().or(self.id.as_deref()).unwrap_or(&self.doc_id)
    }
}

/// The questions' own contexts as passages, each text once; the questions then point to them.
pub fn passages_of(questions: &mut [Question]) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    for question in questions.iter_mut().filter(|q| !q.context.trim().is_empty()) {
        let at = passages.iter().position(|p| p.text == question.context).unwrap_or_else(|| {
            let id = format!("{}#{}", question.doc_id, passages.len());
            passages.push(Passage {
                passage_id: Some(id),
                id: None,
                doc_id: question.doc_id.clone(),
                text: question.context.clone(),
            });
            passages.len() - 1
        });
        question.passage_id = Some(passages[at].id().to_owned());
        question.passage_ids.clear();
    }
    passages
}

/// A conversation with the answer that a voice should give, and what it was made from.
#[derive(Clone, Debug, Deserialize)]
pub struct StyleRow {
    /// The last one is the answer.
    pub messages: Vec<Message>,
    pub meta: StyleMeta,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum StyleMeta {
    /// Numbered passages in, `<span> [n]` or a refusal out.
    Cite {
        id: String,
        /// `answer`, `unanswerable` or `absent`.
        kind: String,
        gold_index: Option<usize>,
        #[serde(default, deserialize_with = "or_default")]
        answers: Vec<String>,
        passages: Vec<String>,
    },
    /// The same sentence in another manner.
    Manner {
        id: String,
        plain: String,
        #[serde(default, deserialize_with = "or_default")]
        answers: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_are_tab_separated_and_headed() {
        assert_eq!(Judgement::parse("query-id\tcorpus-id\tscore"), None);
        let judgement = Judgement::parse("4\t22942787\t1\n").unwrap();
        assert_eq!((judgement.query.as_str(), judgement.document.as_str(), judgement.gain), ("4", "22942787", 1.0));
    }

    fn question(answerable: Option<bool>, answerability: &[&str], context: &str) -> Question {
        Question {
            id: String::new(),
            question: String::new(),
            history: Vec::new(),
            answers: vec!["a".into()],
            answers_all: Vec::new(),
            answerable,
            answerability: answerability.iter().map(|&a| a.into()).collect(),
            doc_id: "doc".into(),
            passage_id: None,
            passage_ids: Vec::new(),
            context: context.into(),
        }
    }

    #[test]
    fn answerability_has_two_spellings() {
        let answerable = |flag, words: &[&str]| question(flag, words, "").is_answerable();
        assert_eq!(answerable(Some(false), &[]), Some(false));
        assert_eq!(answerable(None, &["PARTIAL"]), Some(true));
        assert_eq!(answerable(None, &["UNANSWERABLE"]), Some(false));
        assert_eq!(answerable(None, &["UNDERSPECIFIED"]), None);
    }

    #[test]
    fn contexts_serve_as_passages_each_once() {
        let mut questions: Vec<_> = ["one", "two", "one", ""].map(|c| question(Some(true), &[], c)).into();
        let passages = passages_of(&mut questions);
        assert_eq!(passages.iter().map(Passage::id).collect::<Vec<_>>(), ["doc#0", "doc#1"]);
        let ids: Vec<_> = questions.iter().map(|q| q.passage_id.as_deref()).collect();
        assert_eq!(ids, [Some("doc#0"), Some("doc#1"), Some("doc#0"), None]);
    }
}
