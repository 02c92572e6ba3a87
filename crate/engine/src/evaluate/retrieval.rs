//! Documents found for queries with judgements (BEIR): words, vectors, both.

use std::collections::{BTreeMap, HashMap, HashSet};

use lectern_index::{DenseMode, SearchOptions};
use lectern_model::host::Host;
use serde::Serialize;

use super::data::{BeirDocument, BeirQuery, Judgement};
use super::figures::{Figures, Tally, Values};
use super::ranking::{documents, mrr, ndcg, recall};
use super::{Event, HitRecord, RunRecord};
use crate::error::EngineError;
use crate::session::Session;

/// Chunks ranked for a query: enough that their documents are a hundred where these are of a few
/// chunks each.
const N_CHUNKS: usize = 500;
/// Documents that a ranking holds.
const N_DOCUMENTS: usize = 100;
const NAMES: [&str; 3] = ["ndcg@10", "mrr@10", "recall@100"];

/// What ranks the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    Bm25,
    Dense,
    Hybrid,
}

impl Ranking {
    pub const ALL: [Self; 3] = [Self::Bm25, Self::Dense, Self::Hybrid];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "bm25",
            Self::Dense => "dense",
            Self::Hybrid => "hybrid",
        }
    }

    pub fn options(self, k: usize, dense: DenseMode) -> SearchOptions {
        let (use_dense, use_bm25) = (self != Self::Bm25, self != Self::Dense);
        SearchOptions { k, n_candidates: k, dense, use_dense, use_bm25, ..SearchOptions::default() }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct RetrievalFigures {
    /// Queries with a relevant document.
    pub n_queries: usize,
    pub n_documents: usize,
    pub n_chunks: usize,
    pub arms: BTreeMap<&'static str, Figures>,
}

/// Lays documents down as pages with their title on top. Those that lie there already, under the
/// name that [`source_name`] gives them, are passed over.
///
/// # Errors
/// `not-loaded`, `cancelled`, those of the index.
pub async fn lay_down<H: Host>(
    session: &mut Session<H>,
    corpus: &[BeirDocument],
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(), EngineError> {
    let there: HashSet<String> = session.library().sources().iter().map(|s| s.name.clone()).collect();
    for (done, document) in corpus.iter().enumerate() {
        on_event(Event::Progress { stage: "laying down", done, total: corpus.len() });
        let name = source_name(&document.id);
        if there.contains(&name) {
            continue;
        }
        match session.add_source(&name, page(document).as_bytes(), &mut |_| ()).await {
            Ok(_) => (),
            Err(error @ EngineError::Corpus { .. }) => on_event(Event::Notice(format!("{error}; left out"))),
            Err(error) => return Err(error),
        }
    }
    on_event(Event::Progress { stage: "laying down", done: corpus.len(), total: corpus.len() });
    Ok(())
}

/// The source that holds a document.
pub fn source_name(id: &str) -> String {
    format!("{id}.html")
}

fn page(document: &BeirDocument) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (title, text) = (escape(&document.title), escape(&document.text));
    let head = if title.trim().is_empty() { String::new() } else { format!("<title>{title}</title><h1>{title}</h1>") };
    format!("<!doctype html><meta charset=utf-8>{head}<p>{text}</p>")
}

/// Ranks the documents that are laid down for every query that has a relevant one.
///
/// A document is scored by its best chunk. The hybrid arm fuses the first [`N_CHUNKS`] chunks of either
/// ranking.
///
/// # Errors
/// `no-documents`, `not-loaded`, `cancelled`, those of the index.
pub async fn run<H: Host>(
    session: &mut Session<H>,
    queries: &[BeirQuery],
    judgements: &[Judgement],
    dense: DenseMode,
    seed: u64,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<RetrievalFigures, EngineError> {
    let mut judged: HashMap<&str, Vec<&Judgement>> = HashMap::new();
    for judgement in judgements {
        judged.entry(&judgement.query).or_default().push(judgement);
    }
    let has_relevant =
        |query: &&BeirQuery| judged.get(query.id.as_str()).is_some_and(|j| j.iter().any(|j| j.gain > 0.0));
    let queries: Vec<&BeirQuery> = queries.iter().filter(has_relevant).collect();
    let texts: Vec<String> = queries.iter().map(|q| q.text.clone()).collect();
    let vectors = session.embed(&texts).await?;

    let library = session.library();
    let index = library.index().ok_or(EngineError::NoDocuments)?;
    let names: HashMap<u32, &str> = library
        .sources()
        .iter()
        .flat_map(|s| s.chunks.iter().map(|&chunk| (chunk, s.name.strip_suffix(".html").unwrap_or(&s.name))))
        .collect();
    let mut tallies: Vec<Tally> = Ranking::ALL.iter().map(|_| Tally::new(&NAMES)).collect();
    for (done, (query, vector)) in queries.iter().zip(&vectors).enumerate() {
        on_event(Event::Progress { stage: "queries", done, total: queries.len() });
        let judged = &judged[query.id.as_str()];
        for (ranking, tally) in Ranking::ALL.into_iter().zip(&mut tallies) {
            let vector = (ranking != Ranking::Bm25).then_some(vector.as_slice());
            let ranked = index.search(&query.text, vector, &ranking.options(N_CHUNKS, dense))?;
            let chunks = ranked.hits.iter().filter_map(|hit| {
                let score = match ranking {
                    Ranking::Bm25 => hit.bm25?,
                    Ranking::Dense => hit.dense?,
                    Ranking::Hybrid => hit.score,
                };
                Some((*names.get(&hit.chunk)?, score))
            });
            let mut ranked = documents(chunks);
            ranked.truncate(N_DOCUMENTS);
            let values = score(&ranked, judged);
            tally.push_all(&values);
            on_event(Event::Record(&RunRecord {
                id: &query.id,
                arm: ranking.name(),
                query: &query.text,
                expected: judged.iter().filter(|j| j.gain > 0.0).map(|j| j.document.as_str()).collect(),
                hits: ranked.iter().map(|&(doc, score)| HitRecord { doc, score, ..HitRecord::default() }).collect(),
                values,
                ..RunRecord::default()
            }));
        }
    }
    on_event(Event::Progress { stage: "queries", done: queries.len(), total: queries.len() });
    Ok(RetrievalFigures {
        n_queries: queries.len(),
        n_documents: library.sources().len(),
        n_chunks: index.len(),
        arms: Ranking::ALL.into_iter().zip(&tallies).map(|(r, tally)| (r.name(), tally.figures(seed))).collect(),
    })
}

fn score(ranked: &[(&str, f32)], judged: &[&Judgement]) -> Values {
    let gain = |doc: &str| judged.iter().find(|j| j.document == doc).map_or(0.0, |j| j.gain);
    let gains: Vec<f64> = ranked.iter().map(|(doc, _)| gain(doc)).collect();
    let ideal: Vec<f64> = judged.iter().map(|j| j.gain).collect();
    let n_relevant = ideal.iter().filter(|&&gain| gain > 0.0).count();
    Values::from([
        ("ndcg@10", ndcg(&gains, &ideal, 10)),
        ("mrr@10", mrr(&gains, 10)),
        ("recall@100", recall(&gains, n_relevant, N_DOCUMENTS)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_its_text_on_its_way_through_the_page() {
        let document =
            BeirDocument { id: "7".into(), title: "p < 0.05 & so".into(), text: "A<b>c</b> &amp; *d*".into() };
        let read = lectern_corpus::extract(&source_name("7"), page(&document).as_bytes(), None).unwrap();
        assert_eq!(read.title.as_deref(), Some("p < 0.05 & so"));
        assert_eq!(read.text, "p < 0.05 & so\n\nA<b>c</b> &amp; *d*");
        let untitled = page(&BeirDocument { title: String::new(), ..document });
        assert_eq!(lectern_corpus::extract("7.html", untitled.as_bytes(), None).unwrap().text, "A<b>c</b> &amp; *d*");
    }

    #[test]
    fn a_query_is_scored_over_its_judged_documents() {
        let judgement = |document: &str, gain| Judgement { query: "q".into(), document: document.into(), gain };
        let (a, b, c) = (judgement("a", 1.0), judgement("b", 0.0), judgement("c", 1.0));
        let values = score(&[("b", 0.9), ("x", 0.8), ("a", 0.7)], &[&a, &b, &c]);
        assert_eq!((values["mrr@10"], values["recall@100"]), (1.0 / 3.0, 0.5));
        // (1/log2 4) / (1 + 1/log2 3)
        assert!((values["ndcg@10"] - 0.5 / 1.630_929_75).abs() < 1e-8);
    }
}
