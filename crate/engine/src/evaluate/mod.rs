//! How good the product is, in figures: retrieval, pages, answers, voices.
//!
//! A run takes rows that are already read and a [`crate::Session`], goes the way a person's question
//! goes, and gives means with 95 % bootstrap intervals. Every query is also given away as a
//! [`RunRecord`], which holds all that is needed to compute the figures again; a [`Run`] that is given
//! such lines back goes on where they end.

pub mod citation;
pub mod data;
pub mod figures;
pub mod files;
pub mod pages;
pub mod place;
pub mod qa;
pub mod ranking;
pub mod retrieval;
mod run;
pub mod squad;
pub mod style;

use std::collections::HashSet;

use lectern_model::host::Host;

use crate::error::EngineError;
use crate::ingest::extract;
use crate::session::Session;

pub use run::{Event, HitRecord, KeptLine, Run, RunRecord, Scored, sha256};

/// Where a page came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Laid {
    pub id: u32,
    /// It lay there before, under the same name and with the same text.
    pub was_there: bool,
}

/// Lays a page down, unless it lies there already.
///
/// # Errors
/// As [`Session::add_source`].
pub async fn lay_down<H: Host>(session: &mut Session<H>, name: &str, bytes: &[u8]) -> Result<Laid, EngineError> {
    let document = extract(name, bytes, None)?;
    let there = session.library().sources().iter().find(|s| s.name == name && s.text == document.text);
    if let Some(source) = there {
        return Ok(Laid { id: source.id, was_there: true });
    }
    let source = session.cut_source(name, document, &mut |_| ()).await?;
    let vectors = session.embed(&source.texts).await?;
    Ok(Laid { id: session.lay_down(source, &vectors).await?.id, was_there: false })
}

/// Names that several rows have. Of those a run that was cut short tells how many it holds, but not which.
fn shared_names<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}
