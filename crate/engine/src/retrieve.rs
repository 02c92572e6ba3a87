//! A question to the passages that may answer it.

use std::collections::HashSet;

use lectern_index::{ChunkId, DenseMode, DensePath, Query, RankedChunk, SearchOptions};
use lectern_model::host::Host;
use serde::Serialize;

use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::library::{Library, Passage};
use crate::parts::{parts, refers_back, stands_alone};
use crate::respell::{Respelling, respelled};

/// Score below which the best passage is taken to be about something else: chosen so that of 480 questions which their
/// collection answers (SQuAD 2.0, CLAP NQ, COVID-QA, mdBook, Material for MkDocs) 1 % are refused.
///
/// Refused of 160 to 200 questions to other collections: SQuAD 82 %, CLAP NQ 79 %, COVID-QA 90 %, mdBook 99 %, Material
/// 96 %; by the cosine alone, at the same share of false refusals, 77, 64, 81, 94 and 87 %. Questions that are on the
/// topic but not answered pass nearly all: those are the reader's to refuse.
///
/// With the turn before as context: of 101 follow-ups (MTRAG-UN) 5 % are refused, of 100 questions to another collection
/// after such a turn 88 %.
pub const MIN_SCORE: f32 = 0.205;

/// A passage with its scores.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    pub source_id: u32,
    pub source: String,
    /// UTF-8 byte offsets into the source's extracted text.
    pub start: usize,
    pub end: usize,
    /// Page number from 1 on which it begins, where the source has pages.
    pub page: Option<u32>,
    pub text: String,
    pub headings: Vec<String>,
    /// From 0 to 1: the weighted mean of cosine and words shared, see [`lectern_index::Weights`].
    pub score: f32,
    /// Cosine.
    pub dense: Option<f32>,
    pub bm25: Option<f32>,
}

/// A question that was asked before, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub question: String,
    pub answer: String,
}

/// How much of an answer tells what was talked about.
const ANSWER_BYTES: usize = 300;

impl Exchange {
    /// What a question that follows up is searched for by, beside its own words.
    fn context(&self) -> String {
        let answer = &self.answer[..self.answer.floor_char_boundary(ANSWER_BYTES)];
        format!("{}\n{answer}", self.question)
    }
}

/// Where a question is looked for, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetrieveOptions<'a> {
    /// Passages wanted.
    pub top_k: usize,
    pub dense: DenseMode,
    /// What the question may follow up.
    pub before: Option<&'a Exchange>,
    /// Numbers of the pages to look in; all where none is named.
    pub sources: &'a [u32],
    /// Of the best passages, how many [`Finder::search`](crate::find::Finder::search) puts in another order; nothing to
    /// [`retrieve`].
    pub rerank: usize,
}

/// What a search found and how.
#[derive(Clone, Debug)]
pub struct Retrieval {
    /// As it was read.
    pub question: String,
    /// Words of it that were read otherwise than they are written.
    pub respelled: Vec<Respelling>,
    pub hits: Vec<Hit>,
    /// Whether one of them is near enough to be worth reading, see [`MIN_SCORE`].
    pub is_relevant: bool,
    /// Of a question that asks several things.
    pub has_parts: bool,
    pub dense_path: DensePath,
    pub embed_ms: f64,
    pub retrieve_ms: f64,
}

impl Retrieval {
    /// Where pages are not used.
    pub(crate) fn none(question: &str) -> Self {
        Self {
            question: question.to_owned(),
            respelled: Vec::new(),
            hits: Vec::new(),
            is_relevant: true,
            has_parts: false,
            dense_path: DensePath::None,
            embed_ms: 0.0,
            retrieve_ms: 0.0,
        }
    }
}

/// The best passages for a question, which may follow up what was said before. Of one that asks several things each part
/// is searched for, and of the parts' passages and the whole's each ranking gives one in turn.
///
/// Pairs of questions joined by `and` or put one after the other, 198 of SQuAD 2.0 and 80 of CLAP NQ; share with the
/// passages of both among the first two and the first five:
///
/// | | SQuAD 2.0 | CLAP NQ |
/// |---|---|---|
/// | the whole alone | 0.27, 0.60 | 0.40, 0.84 |
/// | the whole, then the parts | 0.71, 0.90 | 0.86, 0.94 |
/// | the parts, then the whole | 0.82, 0.91 | 0.90, 0.94 |
///
/// With the whole as context of every part, and not only of one that refers back, 0.78 and 0.90 on SQuAD 2.0. Of the
/// questions by themselves two of CLAP NQ are taken apart, which do ask two things, and none of SQuAD 2.0.
///
/// # Errors
/// `no-documents`, `source-unknown`, `index-model-mismatch`, and those of the embedder.
pub async fn retrieve<H: Host>(
    library: &Library,
    embedder: &mut Embedder,
    question: &str,
    options: &RetrieveOptions<'_>,
    host: &H,
) -> Result<Retrieval, EngineError> {
    let index = library.index().ok_or(EngineError::NoDocuments)?;
    index.check_model(&embedder.hash)?;
    for &id in options.sources {
        library.source(id)?;
    }
    let started = host.now_ms();
    let read = respelled(question, index, &embedder.tokenizer)?;
    let question = read.question.as_str();
    let vector = embedder.embed_question(question, host).await?;
    let context = match options.before {
        Some(before) if !stands_alone(question) => {
            let text = respelled(&before.context(), index, &embedder.tokenizer)?.question;
            let vector = embedder.embed_question(&text, host).await?;
            Some((text, vector))
        }
        _ => None,
    };
    let mut asked = Vec::new();
    for part in parts(question) {
        let vector = embedder.embed_question(&part, host).await?;
        asked.push((part, vector));
    }
    let embedded = host.now_ms();
    let wanted: HashSet<u32> = options.sources.iter().copied().collect();
    let is_wanted = |chunk: ChunkId| wanted.contains(&chunk.source);
    let search_options = SearchOptions {
        k: options.top_k,
        dense: options.dense,
        filter: if wanted.is_empty() { None } else { Some(&is_wanted) },
        ..SearchOptions::default()
    };
    let query = Query {
        text: question,
        vector: Some(&vector),
        context: context.as_ref().map(|(text, vector)| (text.as_str(), vector.as_slice())),
    };
    let mut ranked = index.search(query, &search_options)?;
    let mut rankings = Vec::new();
    for (text, part) in &asked {
        // What a part leaves unsaid, the whole says.
        let context = refers_back(text).then_some((question, vector.as_slice()));
        let query = Query { text, vector: Some(part), context };
        rankings.push(index.search(query, &search_options)?.hits);
    }
    if !rankings.is_empty() {
        rankings.push(std::mem::take(&mut ranked.hits));
        ranked.hits = in_turn(&rankings, options.top_k);
    }
    let hits: Vec<Hit> = ranked
        .hits
        .iter()
        .filter_map(|hit| {
            let (source, passage) = library.passage(hit.chunk)?;
            Some(Hit {
                source_id: source.id,
                source: source.name.clone(),
                start: passage.span.start,
                end: passage.span.end,
                page: source.page(passage.span.start),
                text: source.text[passage.span.start..passage.span.end].to_owned(),
                headings: passage.headings.clone(),
                score: hit.score,
                dense: hit.dense,
                bm25: hit.bm25,
            })
        })
        .collect();
    Ok(Retrieval {
        question: read.question,
        respelled: read.words,
        is_relevant: is_relevant(&hits),
        has_parts: !asked.is_empty(),
        hits,
        dense_path: ranked.dense_path,
        embed_ms: embedded - started,
        retrieve_ms: host.now_ms() - embedded,
    })
}

/// The `n` first of several rankings, one of each in turn, each once.
fn in_turn(rankings: &[Vec<RankedChunk>], n: usize) -> Vec<RankedChunk> {
    let mut taken: Vec<RankedChunk> = Vec::new();
    let longest = rankings.iter().map(Vec::len).max().unwrap_or(0);
    for rank in 0..longest.min(n) {
        for hit in rankings.iter().filter_map(|ranking| ranking.get(rank)) {
            if taken.iter().all(|other| other.chunk != hit.chunk) {
                taken.push(*hit);
            }
        }
    }
    taken.truncate(n);
    taken
}

/// Bytes of a passage with its neighbours: two such and an answer fit beside each other.
const WIDENED_BYTES: usize = 3000;

/// Hits with up to `n` passages of their section before and behind them, as far as [`WIDENED_BYTES`] reach. One that
/// another then holds is left out.
pub fn widened(library: &Library, hits: Vec<Hit>, n: usize) -> Vec<Hit> {
    let mut taken: Vec<Hit> = Vec::new();
    for mut hit in hits {
        if let Ok(source) = library.source(hit.source_id)
            && let Some(at) = source.passages.iter().position(|p| (p.span.start, p.span.end) == (hit.start, hit.end))
        {
            let is_near = |p: &&Passage| p.headings == source.passages[at].headings;
            let mut before = source.passages[..at].iter().rev().take(n).take_while(is_near);
            let mut behind = source.passages[at + 1..].iter().take(n).take_while(is_near);
            loop {
                let start = before.next().map_or(hit.start, |p| p.span.start);
                let end = behind.next().map_or(hit.end, |p| p.span.end);
                let widest = [(start, end), (start, hit.end), (hit.start, end)];
                let Some(wider) = widest.into_iter().find(|(start, end)| end - start <= WIDENED_BYTES) else { break };
                if wider == (hit.start, hit.end) {
                    break;
                }
                (hit.start, hit.end) = wider;
            }
            hit.text = source.text[hit.start..hit.end].to_owned();
            hit.page = source.page(hit.start);
        }
        let holds = |other: &Hit| other.source_id == hit.source_id && other.start <= hit.start && hit.end <= other.end;
        if !taken.iter().any(holds) {
            taken.push(hit);
        }
    }
    taken
}

/// Whether a hit is near enough to be worth reading: the best, or of a question of several parts that of any.
fn is_relevant(hits: &[Hit]) -> bool {
    hits.iter().any(|hit| hit.score >= MIN_SCORE)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A passage of a page that has no other.
    pub fn hit(text: &str) -> Hit {
        Hit {
            source_id: 0,
            source: "page.md".into(),
            start: 0,
            end: text.len(),
            page: None,
            text: text.into(),
            headings: vec![],
            score: 0.0,
            dense: None,
            bm25: None,
        }
    }
}
