//! What an answer says of itself: how far its sentences are held, whether a language model was asked.

use lectern_engine::{Answer, AskEvent, AskOptions, Support, Usage};

use crate::desk::{complete, laid};
use crate::engine::{CITE, options};
use crate::support::block_on;

const BUILT: &str = "Who built the Aldersey lighthouse?";

#[test]
fn every_sentence_says_how_far_the_passages_hold_it() {
    let (mut session, _) = complete();
    for voice in [CITE, None] {
        let answer = block_on(session.ask(BUILT, voice, &options(), &mut |_| ())).unwrap();
        let told: Vec<(&str, Support)> =
            answer.sentences.iter().map(|s| (&answer.answer[s.start..s.end], s.support)).collect();
        println!("{told:?}");
        let (first, support) = told[0];
        assert!(first.contains("Margaret Holm") && support == Support::Supported, "{answer:?}");
        let marker = answer.sentences[0].marker.unwrap();
        assert!(answer.hits[marker - 1].text.contains("Margaret Holm"));
        assert!(!answer.extractive);
    }
    let refused =
        block_on(session.ask("What is the boiling point of tungsten?", CITE, &options(), &mut |_| ())).unwrap();
    assert!(refused.refused && refused.sentences.is_empty());
    let alone = AskOptions { rag: false, ..options() };
    let answer = block_on(session.ask("What is the capital of France?", None, &alone, &mut |_| ())).unwrap();
    assert!(answer.sentences.is_empty(), "there are no passages to hold it");
}

/// Every line of it is a sentence of the passage that it cites.
fn assert_quoted(answer: &Answer) {
    assert!(answer.extractive && !answer.refused, "{answer:?}");
    assert_eq!(answer.usage, Usage::default());
    assert_eq!(answer.answer.lines().count(), answer.sentences.len());
    for (line, sentence) in answer.answer.lines().zip(&answer.sentences) {
        assert_eq!(line, &answer.answer[sentence.start..sentence.end]);
        let (quoted, mark) = line.rsplit_once(' ').unwrap();
        let marker = sentence.marker.unwrap();
        assert_eq!(mark, format!("[{marker}]"));
        let cited = answer.citations.iter().find(|citation| citation.marker == marker).unwrap();
        let text = cited.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(quoted), "{quoted} in {text}");
    }
}

#[test]
fn without_a_language_model_the_passages_answer_themselves() {
    let (mut session, _) = laid();
    let mut told = String::new();
    let mut on_event = |event: AskEvent| match event {
        AskEvent::Token(text) => told += &text,
        AskEvent::Retrieved(hits) => assert!(!hits.is_empty()),
        event => panic!("{event:?}"),
    };
    let answer = block_on(session.ask(BUILT, None, &options(), &mut on_event)).unwrap();
    assert_quoted(&answer);
    assert_eq!(told, answer.answer);
    assert!(answer.answer.lines().next().unwrap().contains("1874 by the engineer Margaret Holm"), "{}", answer.answer);

    let refused =
        block_on(session.ask("What is the boiling point of tungsten?", None, &options(), &mut |_| ())).unwrap();
    assert!(refused.refused && refused.extractive && refused.sentences.is_empty(), "{refused:?}");
    let alone = AskOptions { rag: false, ..options() };
    assert_eq!(block_on(session.ask(BUILT, None, &alone, &mut |_| ())).unwrap_err().code(), "not-loaded");

    let (mut session, _) = complete();
    let extractive = AskOptions { extractive: true, ..options() };
    let mut n_read = 0;
    let mut on_event = |event| n_read += usize::from(matches!(event, AskEvent::Prefill { .. }));
    assert_quoted(&block_on(session.ask(BUILT, CITE, &extractive, &mut on_event)).unwrap());
    assert_eq!(n_read, 0, "it is not asked where it is not wanted");
}
