//! What is not done twice: prompts that share a beginning, and answers that quote.

use lectern_engine::model::Precision;
use lectern_engine::{AskOptions, Session};

use crate::desk::complete;
use crate::engine::{CITE, options, request};
use crate::support::{TestHost, block_on};

/// The second question is read from where it differs, and answered as if nothing had been read before; a voice, its
/// strength or another precision leaves nothing to go on from.
#[test]
fn what_two_questions_share_is_read_once() {
    let long = "The lamp of the Aldersey lighthouse is lit with oil from the village of Holm. ".repeat(4);
    let (first, second) = (format!("{long}Who brings the oil?"), format!("{long}Where is the oil from?"));
    let run = |session: &mut Session<TestHost>, content: &str, voice| {
        block_on(session.generate(&request(content, 12, &[]), voice, &mut |_| ())).unwrap()
    };
    for precision in [Precision::Exact, Precision::Fast] {
        let (mut fresh, _) = complete();
        fresh.set_precision(precision);
        let expected = run(&mut fresh, &second, None).generation;
        assert_eq!(expected.n_cached, 0);
        let (mut session, _) = complete();
        session.set_precision(precision);
        run(&mut session, &first, None);
        let found = run(&mut session, &second, None);
        let (n_prompt, found) = (found.prompt_ids.len(), found.generation);
        assert!(found.n_cached > n_prompt - 20 && found.n_cached < n_prompt, "{} of {n_prompt}", found.n_cached);
        assert_eq!((&found.ids, &found.first_logits_top20), (&expected.ids, &expected.first_logits_top20));

        let again = run(&mut session, &second, None).generation;
        assert_eq!((again.n_cached, &again.ids), (n_prompt - 1, &expected.ids), "all but the last, whose logits count");
        assert_eq!(again.first_logits_top20, expected.first_logits_top20);

        assert_eq!(run(&mut session, &second, CITE).generation.n_cached, 0, "a voice");
        assert_eq!(run(&mut session, &second, Some((CITE.unwrap().0, 0.5))).generation.n_cached, 0, "its strength");
        assert_eq!(run(&mut session, &second, None).generation.n_cached, 0, "no voice");
        session.set_precision(if precision == Precision::Exact { Precision::Fast } else { Precision::Exact });
        assert_eq!(run(&mut session, &second, None).generation.n_cached, 0, "another precision");
    }
}

/// Drafts from the prompt change how fast an answer is written, never the answer.
#[test]
fn an_answer_that_quotes_is_drafted_from_what_it_quotes() {
    let (mut session, _) = complete();
    let text = "The lamp of the Aldersey lighthouse is lit with oil from the village of Holm, and the keeper rows over twice a week to fetch it.";
    for (precision, voice) in [(Precision::Exact, None), (Precision::Fast, None), (Precision::Fast, CITE)] {
        session.set_precision(precision);
        let mut run = |lookup| {
            let mut request = request(&format!("Repeat this text word for word: {text}"), 40, &[]);
            request.options.lookup = lookup;
            block_on(session.generate(&request, voice, &mut |_| ())).unwrap().generation
        };
        let (plain, drafted) = (run(false), run(true));
        println!("{precision:?}: {} of {} tokens drafted: {}", drafted.n_drafted, drafted.ids.len(), drafted.text);
        assert_eq!((plain.ids, plain.stopped, plain.n_drafted), (drafted.ids, drafted.stopped, 0));
        assert!(voice.is_some() || drafted.n_drafted >= 10, "{}", drafted.n_drafted);
    }
}

/// As a conversation goes: a follow-up over the same passages.
#[test]
fn a_follow_up_over_the_same_passages_reads_its_own_tail() {
    let (mut session, _) = complete();
    let options = AskOptions { top_k: Some(1), ..options() };
    let mut ask = |question: &str| block_on(session.ask(question, None, &options, &mut |_| ())).unwrap();
    let first = ask("Who built the Aldersey lighthouse?");
    let next = ask("When was the Aldersey lighthouse built?");
    assert_eq!(first.hits[0].start, next.hits[0].start, "the questions are meant to find the same passage");
    println!("{:?}, then {:?}", first.usage, next.usage);
    assert!(next.usage.prompt_tokens - next.usage.cached_tokens <= 24, "{:?}", next.usage);
}
