//! Pages found for queries: the search of a documentation site.

use std::collections::{BTreeMap, HashMap};

use lectern_index::DenseMode;
use lectern_model::host::Host;
use serde::Serialize;

use super::data::Pair;
use super::figures::{Figures, Tally, Values};
use super::ranking::{documents, hit, mrr};
use super::retrieval::{Queries, Ranking};
use super::{HitRecord, Run, RunRecord, shared_names};
use crate::error::EngineError;
use crate::session::Session;

/// Chunks ranked for a query. Pages are long; these are enough for ten of them.
const N_CHUNKS: usize = 100;
/// Pages that a ranking holds.
const N_PAGES: usize = 10;
const NAMES: [&str; 3] = ["hit@1", "hit@5", "mrr"];

/// Of the product's search, which is the hybrid one; `arms` has the others beside it. `mrr` looks at
/// ten pages.
#[derive(Clone, Debug, Serialize)]
pub struct PagesFigures {
    pub n: usize,
    pub n_pages: usize,
    #[serde(flatten)]
    pub figures: Figures,
    pub by_derivation: BTreeMap<String, GroupFigures>,
    pub arms: BTreeMap<&'static str, Figures>,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupFigures {
    pub n: usize,
    #[serde(flatten)]
    pub figures: Figures,
}

/// Ranks the pages that are laid down, named by their paths, for every query. A page is scored by its
/// best chunk.
///
/// # Errors
/// `no-documents`, `not-loaded`, `cancelled`, those of the index.
pub async fn run<H: Host>(
    session: &mut Session<H>,
    pairs: &[Pair],
    dense: DenseMode,
    seed: u64,
    run: &mut Run<'_>,
) -> Result<PagesFigures, EngineError> {
    let shared = shared_names(pairs.iter().map(|pair| pair.id.as_str()));
    let is_missing = |pair: &&Pair| {
        shared.contains(pair.id.as_str()) || Ranking::ALL.iter().any(|ranking| !run.has(ranking.name(), &pair.id))
    };
    let missing: Vec<&Pair> = pairs.iter().filter(is_missing).collect();
    let read = Queries::read(session, missing.iter().map(|pair| pair.query.as_str())).await?;
    let library = session.library();
    let index = library.index().ok_or(EngineError::NoDocuments)?;
    let names: HashMap<u32, &str> = library.sources().iter().map(|s| (s.id, s.name.as_str())).collect();
    for page in pairs.iter().flat_map(|pair| &pair.expected) {
        if !library.sources().iter().any(|s| s.name == *page) {
            run.notice(format!("{page} is expected by a query but is not among the pages"));
        }
    }
    let mut tallies: Vec<Tally> = Ranking::ALL.iter().map(|_| Tally::new(&NAMES)).collect();
    let mut groups: BTreeMap<String, (usize, Tally)> = BTreeMap::new();
    for (done, pair) in pairs.iter().enumerate() {
        for (ranking, tally) in Ranking::ALL.into_iter().zip(&mut tallies) {
            let scored = match run.take(ranking.name(), &pair.id) {
                Some(kept) => kept,
                None => {
                    run.progress("queries", done, pairs.len());
                    let ranked = index.search(read.asked(&pair.query, ranking), &ranking.options(N_CHUNKS, dense))?;
                    let chunks = ranked.hits.iter().filter_map(|hit| Some((*names.get(&hit.chunk.source)?, hit.score)));
                    let mut pages = documents(chunks);
                    pages.truncate(N_PAGES);
                    run.record(record(pair, ranking, &pages))
                }
            };
            tally.push_all(&scored);
            if ranking == Ranking::Hybrid {
                let (n, group) = groups.entry(pair.derivation.clone()).or_insert_with(|| (0, Tally::new(&NAMES)));
                *n += 1;
                group.push_all(&scored);
            }
        }
    }
    run.progress("queries", pairs.len(), pairs.len());
    let arms: BTreeMap<_, _> =
        Ranking::ALL.into_iter().zip(&tallies).map(|(r, tally)| (r.name(), tally.figures(seed))).collect();
    Ok(PagesFigures {
        n: pairs.len(),
        n_pages: library.sources().len(),
        figures: arms[Ranking::Hybrid.name()].clone(),
        by_derivation: groups
            .into_iter()
            .map(|(name, (n, tally))| (name, GroupFigures { n, figures: tally.figures(seed) }))
            .collect(),
        arms,
    })
}

fn record<'a>(pair: &'a Pair, ranking: Ranking, pages: &[(&'a str, f32)]) -> RunRecord<'a> {
    RunRecord {
        id: &pair.id,
        arm: ranking.name(),
        query: &pair.query,
        expected: pair.expected.iter().map(String::as_str).collect(),
        hits: pages.iter().map(|&(doc, score)| HitRecord { doc, score, ..HitRecord::default() }).collect(),
        values: score(pages, &pair.expected),
        ..RunRecord::default()
    }
}

fn score(pages: &[(&str, f32)], expected: &[String]) -> Values {
    let gains: Vec<f64> = pages.iter().map(|(page, _)| f64::from(expected.iter().any(|e| e == page))).collect();
    Values::from([
        ("hit@1", f64::from(hit(&gains, 1))),
        ("hit@5", f64::from(hit(&gains, 5))),
        ("mrr", mrr(&gains, N_PAGES)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_expected_page_counts() {
        let pages = [("a.md", 0.9), ("b.md", 0.8), ("c.md", 0.7)];
        let values = score(&pages, &["c.md".into(), "b.md".into()]);
        assert_eq!((values["hit@1"], values["hit@5"], values["mrr"]), (0.0, 1.0, 0.5));
    }
}
