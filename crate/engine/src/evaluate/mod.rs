//! How good the product is, in figures: retrieval, pages, answers, voices.
//!
//! A run takes rows that are already read and a [`crate::Session`], goes the way a person's question
//! goes, and gives means with 95 % bootstrap intervals. Every query is also given away as a
//! [`RunRecord`], which holds all that is needed to compute the figures again.

pub mod citation;
pub mod data;
pub mod figures;
pub mod files;
pub mod pages;
pub mod place;
pub mod qa;
pub mod ranking;
pub mod retrieval;
pub mod squad;
pub mod style;

use serde::Serialize;

use crate::cite::Citation;
use figures::Values;

/// What happens on the way to the figures.
pub enum Event<'a> {
    Progress {
        stage: &'static str,
        done: usize,
        total: usize,
    },
    /// Something that people should know of, as a sentence.
    Notice(String),
    Record(&'a RunRecord<'a>),
}

/// A query with what came of it.
#[derive(Debug, Default, Serialize)]
pub struct RunRecord<'a> {
    pub id: &'a str,
    pub arm: &'static str,
    pub query: &'a str,
    /// The documents, pages or passages that are right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<&'a str>,
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
    /// Figures of this query alone.
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
