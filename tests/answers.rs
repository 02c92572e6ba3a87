//! What an answer says of itself: how far its sentences are held, whether a language model was asked, and whether it was
//! given before.

use std::collections::BTreeSet;

use lectern_engine::model::Gguf;
use lectern_engine::model::convert::Quantization;
use lectern_engine::model::encoder::CrossEncoder;
use lectern_engine::retrieve::MIN_SCORE;
use lectern_engine::{Answer, AskEvent, AskOptions, Ending, Exchange, Hit, RetrieveOptions, Session, Support, Usage};

use crate::desk::{bare, best, complete, laid, lay};
use crate::engine::{CITE, options};
use crate::reranker::reranker_gguf;
use crate::support::{TestHost, adapter_files, block_on, decoder_gguf, embedder_gguf, model_file};

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
    assert_eq!(answer.usage, Usage::default());
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

/// Without a voice the default model likes to make things up.
#[test]
fn what_stands_in_no_passage_is_set_aside_for_what_does() {
    let (mut session, _) = complete();
    let mut n_set_aside = 0;
    for question in [
        "Why was the lighthouse built?",
        "Which film was made about the ferry Kittiwake?",
        "How heavy is the ferry?",
        "Which other lighthouses are near?",
        "What do visitors like best?",
        "Who painted the tower?",
        "What happened to the oil lamp in the war?",
    ] {
        let answer = block_on(session.ask(question, None, &options(), &mut |_| ())).unwrap();
        println!("{question} -> {:?}, {}", answer.set_aside, answer.answer);
        assert!(answer.refused || !answer.citations.is_empty(), "{answer:?}");
        if let Some(said) = &answer.set_aside {
            n_set_aside += 1;
            assert!(!said.is_empty() && answer.usage.completion_tokens > 0);
            assert_quoted(&answer);
        }
    }
    assert!(n_set_aside > 0, "the model has learnt: ask it other things");
    let alone = AskOptions { rag: false, ..options() };
    let answer =
        block_on(session.ask("Brief, with sources: what is the capital of France?", CITE, &alone, &mut |_| ()));
    let answer = answer.unwrap();
    assert!(answer.set_aside.is_none() && !answer.answer.contains('['), "{answer:?}");
}

#[test]
fn the_same_question_over_the_same_pages_is_answered_from_memory() {
    let (mut session, host) = complete();
    let mut told = Vec::new();
    let mut ask = |session: &mut Session<TestHost>, question: &str, options: &AskOptions| {
        told.clear();
        let answer = block_on(session.ask(question, CITE, options, &mut |event| match event {
            AskEvent::Token(text) => told.push(text),
            AskEvent::Prefill { .. } => told.push(String::new()),
            _ => {}
        }));
        (answer.unwrap(), told.clone())
    };
    let (first, _) = ask(&mut session, BUILT, &options());
    let (again, told) = ask(&mut session, &format!("  {} ", BUILT.replace(' ', "\n")), &options());
    assert!(!first.cached && again.cached);
    assert_eq!(told, [first.answer.as_str()], "told at once, and nothing is read");
    assert!(again.timings_ms.total > 0.0 && again.timings_ms.decode == 0.0, "{:?}", again.timings_ms);
    let said = |answer: &Answer| format!("{:?}", (&answer.answer, &answer.citations, &answer.sentences, answer.usage));
    assert_eq!(said(&again), said(&first));

    let fresh = AskOptions { fresh: true, ..options() };
    let shorter = AskOptions { max_tokens: 47, ..options() };
    for (question, options) in [(BUILT, &fresh), (BUILT, &shorter), ("Who built the lighthouse?", &options())] {
        assert!(!ask(&mut session, question, options).0.cached, "{question} {options:?}");
    }
    assert!(ask(&mut session, BUILT, &options()).0.cached, "a fresh answer is kept as well");
    assert!(!block_on(session.ask(BUILT, None, &options(), &mut |_| ())).unwrap().cached, "another voice");
    let before = Exchange { question: "Who keeps the dogs?".into(), answer: "The keeper keeps the dogs.".into() };
    let after = AskOptions { before: Some(before), ..options() };
    let again = ask(&mut session, BUILT, &after).0;
    assert!(again.cached && again.answer == first.answer, "the same passages after something else was said: {again:?}");
    let plea = ask(&mut session, "And when?", &after).0;
    let other = Exchange { question: "When does the ferry leave?".into(), answer: "At nine o'clock.".into() };
    let elsewhere = ask(&mut session, "And when?", &AskOptions { before: Some(other), ..options() }).0;
    assert!(!plea.cached && !elsewhere.cached, "the same words about something else are another question");
    host.stop_after.set(Some(4));
    let stopped = ask(&mut session, BUILT, &fresh).0;
    assert_eq!(stopped.stopped, Ending::Cancelled);
    host.stop.set(false);
    host.stop_after.set(None);
    let known = ask(&mut session, BUILT, &options()).0;
    assert!(known.cached && known.answer == first.answer, "one that was stopped takes no place: {known:?}");

    let id = session.library().sources()[1].id;
    let page = session.page_bytes(id).unwrap();
    let all = session.export_collection(&[]);
    type Change = Box<dyn Fn(&mut Session<TestHost>)>;
    let changes: [(&str, Change); 6] = [
        ("add", Box::new(|session| lay(session, "new.txt", b"Something else is laid down.").unwrap())),
        ("remove", Box::new(move |session| block_on(session.remove_source(id)).unwrap())),
        ("restore", Box::new(move |session| drop(block_on(session.restore_page(&page)).unwrap()))),
        ("import", Box::new(move |session| drop(block_on(session.import_collection(&all)).unwrap()))),
        ("embedder", Box::new(|session| drop(block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap()))),
        (
            "voice",
            Box::new(|session| {
                let (config_json, safetensors) = adapter_files("cite");
                session.add_adapter("cite", &config_json, &safetensors).unwrap();
            }),
        ),
    ];
    for (name, change) in changes {
        assert!(ask(&mut session, BUILT, &options()).0.cached, "before {name}");
        change(&mut session);
        assert!(!ask(&mut session, BUILT, &options()).0.cached, "after {name}");
    }
}

#[test]
fn a_passage_is_shown_with_its_neighbours_where_that_is_asked_for() {
    let (mut session, _) = laid();
    let keeper = |i: usize| format!("Keeper number {i} trimmed the wick, wound the clockwork and wrote the log. ");
    let log = format!("# Log\n\n{}\n\n# Dogs\n\nThe dogs wait.", (1..60).map(keeper).collect::<String>());
    lay(&mut session, "log.md", log.as_bytes()).unwrap();
    let mut hit = |neighbours| {
        let options = AskOptions { neighbours, top_k: Some(1), ..options() };
        let hits = block_on(session.ask("What did keeper number 30 do?", None, &options, &mut |_| ())).unwrap().hits;
        let [hit] = &hits[..] else { panic!("{hits:?}") };
        let source = session.library().source(hit.source_id).unwrap();
        assert_eq!(hit.text, source.text[hit.start..hit.end]);
        assert!(!hit.text.contains("dogs"), "of another section: {hit:?}");
        (hit.start, hit.end)
    };
    let [alone, one, all] = [hit(0), hit(1), hit(99)];
    assert!(one.0 < alone.0 && alone.1 < one.1, "{alone:?} {one:?}");
    assert!(all.0 < one.0 && one.1 < all.1 && all.1 - all.0 <= 3000, "{one:?} {all:?}");
}

#[test]
fn what_the_model_would_say_is_searched_for_where_that_is_asked_for() {
    let (mut session, _) = complete();
    let mut found = |hyde| {
        let options = AskOptions { hyde, ..options() };
        let answer = block_on(session.ask(BUILT, CITE, &options, &mut |_| ())).unwrap();
        assert!(answer.answer.contains("Margaret Holm"), "{answer:?}");
        answer.hits[0].score
    };
    assert_ne!(found(true), found(false));
}

#[test]
fn only_so_many_answers_are_kept() {
    let (mut session, _) = laid();
    let mut is_known = |i: usize| {
        let options = AskOptions { max_tokens: i, ..options() };
        block_on(session.ask("What is the boiling point of tungsten?", None, &options, &mut |_| ())).unwrap().cached
    };
    assert!((1..=64).all(|i| !is_known(i)) && (1..=64).all(&mut is_known));
    assert!(!is_known(65) && !is_known(1) && is_known(65), "the oldest has gone");
}

#[test]
fn passages_are_put_in_the_order_that_the_reader_gives_them() {
    let (mut session, _) = complete();
    let spans = |hits: &[Hit]| hits.iter().map(|hit| (hit.source_id, hit.start)).collect::<Vec<_>>();
    let mut n_moved = 0;
    for question in [BUILT, "May I bring my dog?"] {
        let found = block_on(session.search(question, &best(6))).unwrap().hits;
        let order = block_on(session.search(question, &RetrieveOptions { rerank: 6, ..best(6) })).unwrap().hits;
        let as_sets = [&found, &order].map(|hits| spans(hits).into_iter().collect::<BTreeSet<_>>());
        assert_eq!(as_sets[0], as_sets[1], "{question}");
        n_moved += usize::from(spans(&found) != spans(&order));
        // Fewer are the first of these, and what lies behind those that are judged stays where it is.
        let two = block_on(session.search(question, &RetrieveOptions { rerank: 6, ..best(2) })).unwrap().hits;
        assert_eq!(spans(&two), spans(&order)[..2], "{question}");
        let some = block_on(session.search(question, &RetrieveOptions { rerank: 2, ..best(6) })).unwrap().hits;
        assert_eq!(spans(&some)[2..], spans(&found)[2..], "{question}");

        let ask = AskOptions { rerank: 6, ..options() };
        let answer = block_on(session.ask(question, None, &ask, &mut |_| ())).unwrap();
        assert_eq!(spans(&answer.hits), spans(&order)[..answer.hits.len()], "{question}");
    }
    assert!(n_moved > 0);

    // A cross-encoder says it in the reader's place.
    let gguf = reranker_gguf(Quantization::F32);
    let found = block_on(session.search(BUILT, &best(6))).unwrap().hits;
    let mut encoder = CrossEncoder::from_gguf(&mut Gguf::parse(&gguf).unwrap()).unwrap();
    let texts: Vec<&str> = found.iter().map(|hit| hit.text.as_str()).collect();
    let scores = block_on(encoder.scores(BUILT, &texts, &TestHost::default())).unwrap();
    let mut expected: Vec<usize> = (0..found.len()).collect();
    expected.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut without_reader, _) = laid();
    assert_eq!(without_reader.load_reranker(model_file(embedder_gguf())).unwrap_err().code(), "model-unsupported");
    for session in [&mut session, &mut without_reader] {
        session.load_reranker(model_file(&gguf)).unwrap();
        let order = block_on(session.search(BUILT, &RetrieveOptions { rerank: 6, ..best(6) })).unwrap().hits;
        assert_eq!(spans(&order), expected.iter().map(|&i| spans(&found)[i]).collect::<Vec<_>>());
    }
    // What it puts first may be far from the question; that something is near was said before.
    let one = AskOptions { rerank: 99, top_k: Some(1), ..options() };
    let mut n_far = 0;
    for question in ["What does a ticket cost?", "May I bring my dog?", "When are the apples ripe?", "How tall is it?"]
    {
        let answer = block_on(without_reader.ask(question, None, &one, &mut |_| ())).unwrap();
        let found = block_on(without_reader.search(question, &best(1))).unwrap();
        assert_eq!(answer.refused, !found.is_relevant, "{answer:?}");
        n_far += usize::from(found.is_relevant && answer.hits[0].score < MIN_SCORE);
    }
    assert!(n_far > 0);
    // Of a question of several parts the passages of each stay.
    let both = "Who built the Aldersey lighthouse? What does a return ticket cost?";
    let two = block_on(without_reader.search(both, &RetrieveOptions { rerank: 99, ..best(2) })).unwrap().hits;
    assert_eq!(spans(&two), spans(&block_on(without_reader.search(both, &best(2))).unwrap().hits));

    let (mut without_reader, _) = laid();
    let failed = block_on(without_reader.search(BUILT, &RetrieveOptions { rerank: 6, ..best(6) })).unwrap_err();
    assert_eq!(failed.code(), "not-loaded");
}

#[test]
fn where_the_model_says_nothing_the_passages_answer_themselves() {
    let (mut session, _) = bare();
    block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap();
    block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap();
    for name in ["weir.html", "herons.md"] {
        let page = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/embed/").to_owned() + name).unwrap();
        lay(&mut session, name, &page).unwrap();
    }
    let mut told = String::new();
    let mut on_event = |event: AskEvent| {
        if let AskEvent::Token(text) = event {
            told += &text;
        }
    };
    let answer = block_on(session.ask("Why do herons come to the weir?", None, &options(), &mut on_event)).unwrap();
    assert!(
        told.trim_end().ends_with(['1', ']', ':']) && told.len() < 60,
        "it is a question that it has no answer to: {told}"
    );
    assert_quoted(&answer);
    assert!(answer.answer.contains("at dusk") && answer.usage.completion_tokens > 0, "{answer:?}");
}
