//! Documents found for queries with judgements (BEIR): words, vectors, both.

use std::collections::{BTreeMap, HashMap};

use lectern_index::{DenseMode, Query, SearchOptions, Weights};
use lectern_model::host::Host;
use serde::Serialize;

use super::data::{BeirDocument, BeirQuery, Judgement};
use super::figures::{Figures, Tally, Values};
use super::ranking::{documents, mrr, ndcg, recall};
use super::{HitRecord, Laid, Run, RunRecord, shared_names};
use crate::error::EngineError;
use crate::session::Session;

/// Chunks ranked for a query: enough that their documents are a hundred where these are of a few
/// chunks each.
const N_CHUNKS: usize = 500;
/// Documents that a ranking holds.
const N_DOCUMENTS: usize = 100;
/// Documents of the reference that are embedded between two reports.
const REFERENCE_BATCH: usize = 256;
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

    pub fn options(self, k: usize, dense: DenseMode) -> SearchOptions<'static> {
        let weights = match self {
            Self::Bm25 => Weights::WORDS,
            Self::Dense => Weights::VECTORS,
            Self::Hybrid => Weights::default(),
        };
        SearchOptions { k, n_candidates: k, dense, weights, ..SearchOptions::default() }
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

/// Lays documents down as pages with their title on top, save those that lie there already. `on_laid`
/// may keep what there is.
///
/// # Errors
/// `not-loaded`, `cancelled`, those of the index.
pub async fn lay_down<H: Host>(
    session: &mut Session<H>,
    corpus: &[BeirDocument],
    run: &mut Run<'_>,
    on_laid: &mut dyn FnMut(&Session<H>, Laid),
) -> Result<(), EngineError> {
    for (done, document) in corpus.iter().enumerate() {
        match super::lay_down(session, &source_name(&document.id), page(document).as_bytes()).await {
            Ok(laid) => on_laid(session, laid),
            Err(error @ EngineError::Corpus { .. }) => run.notice(format!("{error}; left out")),
            Err(error) => return Err(error),
        }
        run.progress("laying down", done + 1, corpus.len());
    }
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

/// What the embedder gives without anything of the product: title and text, cut where the embedder ends, one
/// vector a document, ranked by cosine.
///
/// # Errors
/// `not-loaded`, `cancelled`.
pub async fn run_reference<H: Host>(
    session: &mut Session<H>,
    corpus: &[BeirDocument],
    queries: &[BeirQuery],
    judgements: &[Judgement],
    seed: u64,
    run: &mut Run<'_>,
) -> Result<Figures, EngineError> {
    const ARM: &str = "reference";
    let judged = Judged::new(judgements);
    let queries: Vec<&BeirQuery> = judged.with_relevant(queries).collect();
    let shared = shared_names(queries.iter().map(|query| query.id.as_str()));
    let is_missing = |query: &&&BeirQuery| shared.contains(query.id.as_str()) || !run.has(ARM, &query.id);
    let missing: Vec<&BeirQuery> = queries.iter().filter(is_missing).copied().collect();
    let mut vectors = Vec::with_capacity(corpus.len());
    for batch in corpus.chunks(REFERENCE_BATCH).filter(|_| !missing.is_empty()) {
        run.progress(ARM, vectors.len(), corpus.len());
        let texts: Vec<String> = batch.iter().map(|d| format!("{} {}", d.title, d.text).trim().to_owned()).collect();
        vectors.extend(session.embed(&texts).await?);
    }
    run.progress(ARM, corpus.len(), corpus.len());
    let written: Vec<String> = missing.iter().map(|query| query.text.clone()).collect();
    let asked: HashMap<&str, Vec<f32>> =
        missing.iter().map(|query| query.text.as_str()).zip(session.embed(&written).await?).collect();
    let mut tally = Tally::new(&NAMES);
    for query in queries {
        let scored = match run.take(ARM, &query.id) {
            Some(kept) => kept,
            None => {
                let asked = &asked[query.text.as_str()];
                let cosine = |vector: &[f32]| vector.iter().zip(asked).map(|(a, b)| a * b).sum::<f32>();
                let scored = corpus.iter().zip(&vectors).map(|(d, vector)| (d.id.as_str(), cosine(vector)));
                let mut ranked: Vec<(&str, f32)> = scored.collect();
                ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
                ranked.truncate(N_DOCUMENTS);
                run.record(record(query, ARM, judged.of(query), &ranked))
            }
        };
        tally.push_all(&scored);
    }
    Ok(tally.figures(seed))
}

/// Queries as the product reads them, and their vectors, by how they are written.
pub(super) struct Queries<'q>(HashMap<&'q str, (String, Vec<f32>)>);

impl<'q> Queries<'q> {
    /// # Errors
    /// `not-loaded`, `cancelled`.
    pub async fn read<H: Host>(
        session: &mut Session<H>,
        written: impl Iterator<Item = &'q str> + Clone,
    ) -> Result<Self, EngineError> {
        let read = written.clone().map(|query| session.as_read(query)).collect::<Result<Vec<_>, _>>()?;
        let vectors = session.embed(&read).await?;
        Ok(Self(written.zip(read.into_iter().zip(vectors)).collect()))
    }

    /// What a ranking is asked.
    pub fn asked(&self, written: &str, ranking: Ranking) -> Query<'_> {
        let (read, vector) = &self.0[written];
        Query::new(read, (ranking != Ranking::Bm25).then_some(vector))
    }
}

/// Judgements by query.
struct Judged<'a>(HashMap<&'a str, Vec<&'a Judgement>>);

impl<'a> Judged<'a> {
    fn new(judgements: &'a [Judgement]) -> Self {
        let mut judged: HashMap<&str, Vec<&Judgement>> = HashMap::new();
        for judgement in judgements {
            judged.entry(&judgement.query).or_default().push(judgement);
        }
        Self(judged)
    }

    fn of(&self, query: &BeirQuery) -> &[&'a Judgement] {
        self.0.get(query.id.as_str()).map_or(&[], Vec::as_slice)
    }

    fn with_relevant<'q>(&self, queries: &'q [BeirQuery]) -> impl Iterator<Item = &'q BeirQuery> {
        queries.iter().filter(|query| self.of(query).iter().any(|judgement| judgement.gain > 0.0))
    }
}

fn record<'a>(
    query: &'a BeirQuery,
    arm: &'static str,
    judged: &[&'a Judgement],
    ranked: &[(&'a str, f32)],
) -> RunRecord<'a> {
    RunRecord {
        id: &query.id,
        arm,
        query: &query.text,
        expected: judged.iter().filter(|j| j.gain > 0.0).map(|j| j.document.as_str()).collect(),
        hits: ranked.iter().map(|&(doc, score)| HitRecord { doc, score, ..HitRecord::default() }).collect(),
        values: score(ranked, judged),
        ..RunRecord::default()
    }
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
    run: &mut Run<'_>,
) -> Result<RetrievalFigures, EngineError> {
    let judged = Judged::new(judgements);
    let queries: Vec<&BeirQuery> = judged.with_relevant(queries).collect();
    let shared = shared_names(queries.iter().map(|query| query.id.as_str()));
    let is_missing = |query: &&&BeirQuery| {
        shared.contains(query.id.as_str()) || Ranking::ALL.iter().any(|ranking| !run.has(ranking.name(), &query.id))
    };
    let missing: Vec<&BeirQuery> = queries.iter().filter(is_missing).copied().collect();
    let read = Queries::read(session, missing.iter().map(|query| query.text.as_str())).await?;
    let library = session.library();
    let index = library.index().ok_or(EngineError::NoDocuments)?;
    let names: HashMap<u32, &str> =
        library.sources().iter().map(|s| (s.id, s.name.strip_suffix(".html").unwrap_or(&s.name))).collect();
    let mut tallies: Vec<Tally> = Ranking::ALL.iter().map(|_| Tally::new(&NAMES)).collect();
    for (done, query) in queries.iter().enumerate() {
        for (ranking, tally) in Ranking::ALL.into_iter().zip(&mut tallies) {
            if let Some(kept) = run.take(ranking.name(), &query.id) {
                tally.push_all(&kept);
                continue;
            }
            run.progress("queries", done, queries.len());
            let found = index.search(read.asked(&query.text, ranking), &ranking.options(N_CHUNKS, dense))?;
            let chunks = found.hits.iter().filter_map(|hit| Some((*names.get(&hit.chunk.source)?, hit.score)));
            let mut ranked = documents(chunks);
            ranked.truncate(N_DOCUMENTS);
            tally.push_all(&run.record(record(query, ranking.name(), judged.of(query), &ranked)));
        }
    }
    run.progress("queries", queries.len(), queries.len());
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
