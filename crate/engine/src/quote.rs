//! Answers of the passages' own sentences, where no language model is asked, or where it says nothing.

use std::collections::HashSet;

use lectern_model::host::Host;

use crate::answer::{Answer, AskEvent, AskOptions, Ending};
use crate::cite::{citations, unmarked};
use crate::embedder::Embedder;
use crate::error::EngineError;
use crate::find::Finder;
use crate::reader::Reader;
use crate::retrieve::Hit;
use crate::sentence::{forms, sentences};
use crate::support::{Sentence, Support};

/// Passages whose sentences are weighed, where nothing is said.
const N_PASSAGES: usize = 3;
/// Sentences given.
const N_SENTENCES: usize = 3;

/// Answers `question` with the sentences of its passages that are nearest to it, best first, word for word and each with
/// its mark. Near is the cosine and the share of the question's words that the sentence holds. Of 200 questions of
/// SQuAD 2.0 the first sentence holds the gold answer to 82 %, two to 89 %, three to 94 %, the passages whole to 98 %; by
/// the cosine alone 71, 86 and 90 %. Below the relevance threshold it refuses as any answer does.
///
/// # Errors
/// `question-empty`, `no-documents`, `not-loaded`, and those of retrieval.
pub async fn quote<H: Host>(
    finder: &mut Finder<'_, H>,
    reader: Option<&mut Reader>,
    question: &str,
    options: &AskOptions,
    on_event: &mut dyn FnMut(AskEvent),
) -> Result<Answer, EngineError> {
    let question = question.trim();
    if question.is_empty() {
        return Err(EngineError::EmptyQuestion);
    }
    let host = finder.host;
    let started = host.now_ms();
    let n_shown = options.top_k.unwrap_or(N_PASSAGES).max(1);
    let retrieval = finder.find(reader, n_shown, question, options).await?;
    let question = &retrieval.question.clone();
    let relevant = retrieval.is_relevant;
    let embedder = finder.embedder.as_deref_mut().ok_or(EngineError::NotLoaded("embedder"))?;
    on_event(AskEvent::Retrieved(retrieval.hits.clone()));
    let mut answer = Answer { extractive: true, ..Answer::refusal(retrieval, embedder.encoder.executor()) };
    if relevant {
        answer.n_passages = answer.hits.len();
        let (text, sentences) = quoted(embedder, question, &answer.hits, host).await?;
        if !text.is_empty() {
            answer = Answer {
                citations: citations(&text, &answer.hits),
                answer: text,
                sentences,
                refused: false,
                stopped: Ending::End,
                ..answer
            };
        }
    }
    on_event(AskEvent::Token(answer.answer.clone()));
    answer.timings_ms.total = host.now_ms() - started;
    Ok(answer)
}

/// The sentences of `hits` that are nearest to `question`, each on a line of its own with its mark.
///
/// # Errors
/// `cancelled`, `gpu-lost`.
pub(crate) async fn quoted<H: Host>(
    embedder: &mut Embedder,
    question: &str,
    hits: &[Hit],
    host: &H,
) -> Result<(String, Vec<Sentence>), EngineError> {
    let asked = embedder.embed_question(question, host).await?;
    let wanted = forms(question);
    let mut seen = HashSet::new();
    let candidates: Vec<(usize, String, f32)> = hits
        .iter()
        .enumerate()
        .flat_map(|(i, hit)| sentences(&hit.text).map(move |sentence| (i, unmarked(sentence))))
        .filter_map(|(i, sentence)| {
            let said = forms(&sentence);
            let held = wanted.intersection(&said).count() as f32 / wanted.len().max(1) as f32;
            (said.len() > 1 && seen.insert(sentence.clone())).then_some((i, sentence, held))
        })
        .collect();
    let texts: Vec<String> = candidates.iter().map(|(_, sentence, _)| sentence.clone()).collect();
    let vectors = embedder.embed(&texts, host, &mut |_| ()).await?;
    let mut ranked: Vec<(f32, usize)> = vectors
        .iter()
        .zip(&candidates)
        .map(|(vector, (.., held))| vector.iter().zip(&asked).map(|(a, b)| a * b).sum::<f32>() + held)
        .zip(0..)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut text = String::new();
    let mut given = Vec::new();
    for &(_, at) in ranked.iter().take(N_SENTENCES) {
        let (passage, sentence, _) = &candidates[at];
        if !text.is_empty() {
            text.push('\n');
        }
        let start = text.len();
        text += &format!("{sentence} [{}]", passage + 1);
        let marker = Some(passage + 1);
        given.push(Sentence { start, end: text.len(), support: Support::Supported, marker });
    }
    Ok((text, given))
}
