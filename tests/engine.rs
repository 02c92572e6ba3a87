//! The product end to end on real models: pages laid down, questions answered with citations, and everything a person
//! can do wrong.

use std::collections::BTreeSet;

use lectern_engine::embedder::Embedder;
use lectern_engine::index::{DenseMode, DensePath, SegmentOptions, build_segment};
use lectern_engine::ingest::{extract, ingest};
use lectern_engine::model::decoder::Executor;
use lectern_engine::model::generate::{GenerateOptions, Stopped};
use lectern_engine::model::{Gguf, Message, SamplingOptions};
use lectern_engine::retrieve::{RetrieveOptions, retrieve};
use lectern_engine::{
    Answer, AskEvent, AskOptions, Ending, EngineError, GenerateRequest, Gpu, Library, ModelFile, Preference, Session,
    Usage,
};

use crate::desk::{HANDBOOK, bare, best, complete, laid, lay, pages};
use crate::support::{
    TestHost, adapter_files, block_on, decoder_gguf, embedder_gguf, golden, ids, largest_difference, model_file,
};
use crate::tiny_checkpoint::{SECOND, tiny_checkpoint};

pub const CITE: Option<(&str, f32)> = Some(("cite", 1.0));

pub fn options() -> AskOptions {
    AskOptions { max_tokens: 48, ..AskOptions::default() }
}

fn ask(session: &mut Session<TestHost>, question: &str) -> Answer {
    block_on(session.ask(question, CITE, &options(), &mut |_| ())).unwrap()
}

fn ask_plainly(session: &mut Session<TestHost>, question: &str) -> Answer {
    block_on(session.ask(question, None, &options(), &mut |_| ())).unwrap()
}

#[test]
fn a_misspelt_question_is_read_as_the_pages_spell_it_and_quotes_are_kept() {
    let (mut session, _) = complete();
    let right = ask(&mut session, "Who built the Aldersey lighthouse?");
    let misspelt = ask(&mut session, "Who built the Aldresey lighthuose?");
    let words: Vec<_> = misspelt.respelled.iter().map(|word| (word.written.as_str(), word.read.as_str())).collect();
    assert_eq!(words, [("Aldresey", "Aldersey"), ("lighthuose", "lighthouse")]);
    assert_eq!((misspelt.answer, misspelt.sentences), (right.answer, right.sentences));
    assert!(right.respelled.is_empty());
    let quoted = "Who built the \u{201c}Aldresey lighthuose\u{201d} of Sufolk?";
    let options = RetrieveOptions { top_k: 1, ..RetrieveOptions::default() };
    let found = block_on(session.search(quoted, &options)).unwrap();
    assert_eq!((found.question.as_str(), found.respelled), (quoted, vec![]));
}

/// A question, the page that answers it, and words of the passage and of the answer.
struct Asked {
    question: &'static str,
    source: &'static str,
    passage: &'static str,
    answer: &'static str,
}

/// Asks in the `cite` voice: the answer is right, and its citation opens the source where the passage stands.
fn check(session: &mut Session<TestHost>, asked: &Asked) {
    let answer = ask(session, asked.question);
    println!("{} -> {}", asked.question, answer.answer);
    assert!(!answer.refused && answer.stopped == Ending::End, "{answer:?}");
    assert!(answer.answer.contains(asked.answer), "{answer:?}");
    assert!(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0);
    let [citation] = &answer.citations[..] else { panic!("one citation: {answer:?}") };
    assert!(answer.answer.contains(&format!("[{}]", citation.marker)));
    assert_eq!(citation.source, asked.source);
    assert!(citation.text.contains(asked.passage), "{citation:?}");
    let source = session.library().source(citation.source_id).unwrap();
    assert_eq!(source.name, citation.source);
    assert_eq!(source.text[citation.start..citation.end], citation.text);
}

#[test]
fn answers_cite_the_span_they_come_from_in_every_format() {
    let (mut session, _) = complete();
    for asked in [
        Asked {
            question: "Who built the Aldersey lighthouse?",
            source: "handbook.md",
            passage: "built in 1874 by the engineer Margaret Holm",
            answer: "Margaret Holm",
        },
        Asked {
            question: "How long does the ferry crossing take?",
            source: "ferry.html",
            passage: "the crossing takes 50 minutes",
            answer: "50 minutes",
        },
        Asked {
            question: "Who planted the oldest tree of the orchard?",
            source: "orchard.txt",
            passage: "by the gardener Séamus Ó Dálaigh",
            answer: "Séamus Ó Dálaigh",
        },
    ] {
        check(&mut session, &asked);
    }
}

#[test]
fn what_a_page_hides_is_not_read() {
    let (session, _) = laid();
    let text: String = session.library().sources().iter().map(|source| source.text.as_str()).collect();
    for hidden in ["moon", "sunk", "color", "title:", "lamp.html", "<b>", "\r"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    assert!(text.contains("€12.40") && text.contains("Séamus"));
}

#[test]
fn a_question_off_the_pages_is_refused_without_a_generation() {
    let (mut session, _) = laid();
    block_on(session.load_decoder(model_file(&tiny_checkpoint(SECOND).gguf))).unwrap();
    for question in [
        "What is the boiling point of tungsten?",
        "Who won the chess championship in 1972?",
        "how do I sort a list in python",
    ] {
        let mut events = Vec::new();
        let answer = block_on(session.ask(question, None, &options(), &mut |event| events.push(event))).unwrap();
        assert!(answer.refused && answer.stopped == Ending::Refused, "{question}: {answer:?}");
        assert_eq!(answer.answer, "Not in these documents.");
        assert_eq!(answer.usage, Usage::default());
        assert!(answer.citations.is_empty() && !answer.hits.is_empty(), "what was nearest is still shown");
        assert!(!events.iter().any(|event| matches!(event, AskEvent::Prefill { .. })), "{events:?}");
    }
}

#[test]
fn without_pages_asking_says_so_and_the_reader_alone_still_answers() {
    let (mut session, _) = bare();
    block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap();
    block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap();
    let mut ask =
        |question: &str, rag| block_on(session.ask(question, None, &AskOptions { rag, ..options() }, &mut |_| ()));
    assert_eq!(ask("Where is it?", true).unwrap_err().code(), "no-documents");
    assert_eq!(ask(" \n", true).unwrap_err().code(), "question-empty");
    let answer = ask("What is the capital of France?", false).unwrap();
    assert_eq!(answer.answer, "The capital of France is Paris.");
    assert!(!answer.refused && answer.hits.is_empty() && answer.citations.is_empty());
}

#[test]
fn a_gpu_that_cannot_be_had_keeps_no_page_from_being_read() {
    let mut session = Session::new(TestHost::default(), Preference::Gpu, Gpu::None("this is a test".into()));
    let (_, executor) = block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap();
    assert_eq!((executor.executor, executor.reason.as_str()), (Executor::Cpu, "On the CPU: this is a test."));
    lay(&mut session, "handbook.md", HANDBOOK.as_bytes()).unwrap();
    assert_eq!(block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap_err().code(), "gpu-unavailable");
    let answer = ask_plainly(&mut session, "Who built the Aldersey lighthouse?");
    assert!(answer.answer.contains("Margaret Holm"), "{answer:?}");
}

#[test]
fn removing_the_last_page_leaves_none_to_ask() {
    let (mut session, _) = laid();
    block_on(session.load_decoder(model_file(&tiny_checkpoint(SECOND).gguf))).unwrap();
    for id in session.library().sources().iter().map(|source| source.id).collect::<Vec<_>>() {
        block_on(session.remove_source(id)).unwrap();
        assert_eq!(block_on(session.remove_source(id)).unwrap_err().code(), "source-unknown");
    }
    assert_eq!(block_on(session.ask("Who?", None, &options(), &mut |_| ())).unwrap_err().code(), "no-documents");
    assert_eq!(block_on(session.search("Who?", &best(3))).unwrap_err().code(), "no-documents");
}

#[test]
fn a_question_is_asked_of_some_pages_alone() {
    let (mut session, _) = laid();
    lay(&mut session, "guide/lamp.md", b"# Lamp\n\nThe lamp of the Aldersey lighthouse is dusted on Mondays.").unwrap();
    let question = "Who built the Aldersey lighthouse?";
    let named = |session: &Session<TestHost>, name: &str| session.library().named(name);
    let sources = |session: &mut Session<TestHost>, wanted: &[u32]| -> Vec<String> {
        let hits = block_on(session.search(question, &RetrieveOptions { sources: wanted, ..best(9) })).unwrap().hits;
        hits.into_iter().map(|hit| hit.source).collect::<BTreeSet<_>>().into_iter().collect()
    };
    assert_eq!(sources(&mut session, &[]), ["ferry.html", "guide/lamp.md", "handbook.md", "orchard.txt"]);
    let two = [named(&session, "orchard.txt"), named(&session, "guide/")].concat();
    assert_eq!(sources(&mut session, &two), ["guide/lamp.md", "orchard.txt"]);
    assert_eq!((named(&session, "guide"), named(&session, "gui")), (vec![two[1]], vec![]));

    let mut ask =
        |sources: Vec<u32>| block_on(session.ask(question, None, &AskOptions { sources, ..options() }, &mut |_| ()));
    let everywhere = ask(vec![]).unwrap();
    assert!(everywhere.answer.contains("Margaret Holm") && !everywhere.cached);
    // Another question, and another answer.
    let elsewhere = ask(vec![two[0]]).unwrap();
    assert!(!elsewhere.cached && elsewhere.hits.iter().all(|hit| hit.source == "orchard.txt"), "{elsewhere:?}");
    assert!(ask(vec![two[0]]).unwrap().cached);
    assert_eq!(ask(vec![two[0], 1]).unwrap_err().code(), "source-unknown");
}

#[test]
fn graphs_find_what_a_scan_finds() {
    let host = TestHost::default();
    let mut embedder = Embedder::from_gguf(&mut Gguf::parse(embedder_gguf()).unwrap(), "a hash").unwrap();
    let mut library = Library::default();
    for (name, bytes) in pages() {
        block_on(ingest(&mut library, &mut embedder, name, &bytes, &host, &mut |_| ())).unwrap();
    }
    let index = library.index_mut().unwrap();
    let every = SegmentOptions { segment_len: index.len(), min_chunks: 1, ..SegmentOptions::default() };
    let job = index.next_segment_job(&every).expect("all chunks make a segment").to_bytes();
    index.install_segment(&build_segment(&job).unwrap()).unwrap();
    for question in ["Who built the lighthouse?", "What does a ticket cost?", "When are the apples ripe?"] {
        let mut found = |dense| {
            let options = RetrieveOptions { dense, ..best(5) };
            block_on(retrieve(&library, &mut embedder, question, &options, &host)).unwrap()
        };
        let (graph, exact) = (found(DenseMode::Graph), found(DenseMode::Exact));
        assert_eq!((graph.dense_path, exact.dense_path), (DensePath::Graph, DensePath::Exact));
        let spans = |hits: &[lectern_engine::Hit]| {
            hits.iter().map(|hit| (hit.source_id, hit.start, hit.end)).collect::<Vec<_>>()
        };
        assert_eq!(spans(&graph.hits), spans(&exact.hits), "{question}");
        let cosines = |hits: &[lectern_engine::Hit]| hits.iter().map(|hit| hit.dense.unwrap()).collect::<Vec<_>>();
        assert!(largest_difference(&cosines(&graph.hits), &cosines(&exact.hits)) < 1e-6);
    }
}

/// What a search shows, for comparison.
#[test]
fn passages_are_cut_before_the_question_and_it_is_said() {
    let (mut session, host) = complete();
    let mut told = |n_words: usize| {
        let question = format!("Who built the Aldersey lighthouse? {}", "lamp ".repeat(n_words));
        let mut notices = Vec::new();
        let options = AskOptions { max_tokens: 1024, top_k: Some(3), ..options() };
        host.stop.set(false);
        let answer = block_on(session.ask(&question, None, &options, &mut |event| match event {
            AskEvent::Notice { code, message } => notices.push((code, message)),
            // What is told before the first token is all that counts here.
            AskEvent::Prefill { .. } => host.stop.set(true),
            _ => {}
        }));
        (answer, notices)
    };
    let (answer, notices) = told(0);
    assert_eq!((answer.unwrap().n_passages_dropped, notices.len()), (0, 0));
    let (answer, notices) = told(880);
    let answer = answer.unwrap();
    assert!(answer.n_passages >= 1 && answer.n_passages_dropped >= 1, "{answer:?}");
    assert_eq!(answer.n_passages + answer.n_passages_dropped, answer.hits.len(), "all that was found is still shown");
    let expected = format!("{} of 3", answer.n_passages_dropped);
    assert!(matches!(&notices[..], [("passages-cut", message)] if message.starts_with(&expected)), "{notices:?}");
    let (error, notices) = told(2100);
    assert_eq!((error.unwrap_err().code(), notices.len()), ("prompt-too-long", 0));

    host.stop.set(false);
    let long = AskOptions { rag: false, ..options() };
    assert_eq!(
        block_on(session.ask(&"lamp ".repeat(2100), None, &long, &mut |_| ())).unwrap_err().code(),
        "prompt-too-long"
    );
    let answer = ask(&mut session, "Who built the Aldersey lighthouse?");
    assert!(answer.answer.contains("Margaret Holm"), "the desk stays usable: {answer:?}");
}

pub fn request(content: &str, max_tokens: usize, stop: &[&str]) -> GenerateRequest {
    let stop = stop.iter().map(|text| text.to_string()).collect();
    GenerateRequest {
        messages: vec![Message::new("user", content)],
        options: GenerateOptions {
            max_tokens,
            sampling: SamplingOptions::default(),
            stop,
            end_at_repeat: false,
            lookup: true,
        },
    }
}

#[test]
fn generation_is_the_references_and_stops_where_it_is_told_to() {
    let (mut session, host) = bare();
    block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap();
    let mut run = |content: &str, max_tokens, stop: &[&str]| {
        let generated = block_on(session.generate(&request(content, max_tokens, stop), None, &mut |_| ())).unwrap();
        (generated.generation, generated.prompt_ids)
    };
    let reference = &golden("decoder")["prompts"]["capital"];
    let (whole, prompt_ids) = run("What is the capital of France?", 64, &[]);
    assert_eq!(prompt_ids, ids(&reference["ids"]));
    assert_eq!(whole.ids, ids(&reference["greedy_ids"]));
    assert_eq!((whole.text.as_str(), whole.stopped), ("The capital of France is Paris.", Stopped::End));
    assert_eq!(
        whole.first_logits_top20.iter().map(|(id, _)| *id).collect::<Vec<_>>()[..4],
        ids(&reference["first_logits_top20"]["ids"])[..4]
    );

    let (cut, _) = run("What is the capital of France?", 64, &["of Rome", "rance is P"]);
    assert_eq!((cut.text.as_str(), cut.stopped), ("The capital of F", Stopped::Stop));
    let (short, _) = run("What is the capital of France?", 3, &[]);
    assert_eq!((short.ids.as_slice(), short.stopped), (&whole.ids[..3], Stopped::Length));

    host.stop_after.set(Some(3)); // one look before the prompt, one after each token
    let (stopped, _) = run("What is the capital of France?", 64, &[]);
    assert_eq!((stopped.ids.as_slice(), stopped.stopped), (&whole.ids[..3], Stopped::Cancelled));
    host.stop.set(false);
    host.stop_after.set(None);
    assert_eq!(run("What is the capital of France?", 64, &[]).0.ids, whole.ids, "nothing of a stopped answer stays");
}

#[test]
fn an_answer_goes_on_from_what_was_read_ahead_and_is_the_same() {
    let question = "How long does the ferry crossing take?";
    let (mut session, _) = complete();
    let expected = ask(&mut session, question);
    for begun in ["How long does the ferry", "", question] {
        let (mut session, _) = complete();
        let n_read = block_on(session.read_ahead(begun, CITE, &options(), &mut |_| ())).unwrap();
        let answer = ask(&mut session, question);
        assert_eq!((&answer.answer, &answer.citations), (&expected.answer, &expected.citations));
        let Usage { prompt_tokens, cached_tokens, .. } = answer.usage;
        println!("after {begun:?}: {n_read} tokens read, {cached_tokens} of {prompt_tokens} used");
        assert!(cached_tokens > 0 && cached_tokens <= n_read);
        assert_eq!(cached_tokens == prompt_tokens - 1, begun == question);
    }
    let n_read = block_on(session.read_ahead("What is the boiling point of tungsten?", CITE, &options(), &mut |_| ()));
    assert_eq!(n_read.unwrap(), 0, "nothing is read for a question off the pages");
}

#[test]
fn reading_the_weights_is_measured() {
    let (session, _) = complete();
    let reading = session.measure_reading().unwrap();
    // Half a byte a weight, 135 million of them, and the scales.
    assert!((70_000_000..110_000_000).contains(&reading.bytes_per_token), "{reading:?}");
    assert!(reading.ms > 0.5 && reading.ms < 5000.0, "{reading:?}");
}

#[test]
fn an_answer_ends_before_it_repeats_itself() {
    let (mut session, _) = bare();
    block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap();
    let mut run = |end_at_repeat| {
        let mut request = request("List 30 facts about ferries.", 80, &[]);
        request.options.end_at_repeat = end_at_repeat;
        let mut told = String::new();
        let generated = block_on(session.generate(&request, None, &mut |event| {
            if let AskEvent::Token(text) = event {
                told += &text;
            }
        }));
        let generation = generated.unwrap().generation;
        assert_eq!(told, generation.text, "what is told stays");
        generation
    };
    let sentence = "A network of boats that transport people and goods across the world.";
    let whole = run(false);
    assert!(whole.stopped == Stopped::Length && whole.text.matches(sentence).count() > 2, "{}", whole.text);
    let ended = run(true);
    assert_eq!(ended.stopped, Stopped::Repeat);
    assert_eq!(ended.text.matches(sentence).count(), 1, "{}", ended.text);
    assert!(whole.text.starts_with(&ended.text));
}

#[test]
fn stopping_while_a_page_is_read_leaves_the_library_as_it_was() {
    let (mut session, host) = laid();
    let before = session.export_collection(&[]);
    let long: String =
        (0..120).map(|i| format!("Keeper number {i} trimmed the wick and wound the clockwork.\n\n")).collect();
    let mut batches = 0;
    host.stop_after.set(Some(1));
    let error = block_on(session.add_source("log.txt", long.as_bytes(), &mut |event| {
        batches += u32::from(matches!(event, lectern_engine::IngestEvent::Embedded { .. }));
    }));
    assert_eq!(error.unwrap_err().code(), "cancelled");
    assert_eq!(batches, 1, "it was stopped on the way");
    host.stop.set(false);
    host.stop_after.set(None);
    assert_eq!(session.export_collection(&[]), before);
}

#[test]
fn vectors_made_elsewhere_give_the_same_library() {
    let text = "# Log\n\nKeeper Ness trimmed the wick.\n\n# Oil\n\nThe cistern holds nine barrels of colza oil.";
    let (mut whole, _) = laid();
    lay(&mut whole, "log.md", text.as_bytes()).unwrap();
    let (mut session, _) = laid();
    let (mut helper, _) = laid();
    let document = extract("log.md", text.as_bytes(), None).unwrap();
    let source = block_on(session.cut_source("log.md", document.clone(), &mut |_| ())).unwrap();
    assert!(source.texts.iter().any(|text| text.contains("nine barrels")));
    let vectors = block_on(helper.embed(&source.texts)).unwrap();
    block_on(session.lay_down(source, &vectors)).unwrap();
    assert_eq!(session.export_collection(&[]), whole.export_collection(&[]));

    let before = session.export_collection(&[]);
    let narrow = block_on(session.cut_source("log.md", document, &mut |_| ())).unwrap();
    assert_eq!(
        block_on(session.lay_down(narrow, &vec![vec![0.0; 3]; vectors.len()])).unwrap_err().code(),
        "index-dimension"
    );
    assert_eq!(session.export_collection(&[]), before);
}

#[test]
fn a_bad_file_is_refused_with_its_code_and_the_others_stay() {
    let (mut session, _) = laid();
    let before = session.export_collection(&[]);
    let noise: Vec<u8> = (0u32..4096).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (name, bytes, code) in [
        ("empty.md", &b""[..], "file-empty"),
        ("blank.txt", b" \n\t\r\n ", "file-empty"),
        ("picture.html", b"<img src=x><script>1</script>", "file-empty"),
        ("noise.txt", &noise, "file-binary"),
        ("half.txt", b"\xff\xfe\x00\xd8\x00\xd8\x00\xd8\x00\xd8", "file-undecodable"),
        ("paper.pdf", b"%PDF-1.7 ...", "file-damaged"),
        ("old.doc", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "file-unsupported"),
    ] {
        let error = lay(&mut session, name, bytes).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().starts_with(name), "the message names the file: {error}");
    }
    assert_eq!(session.export_collection(&[]), before);
}

#[test]
fn a_bad_model_is_refused_with_its_code_and_the_loaded_one_stays() {
    let tiny = tiny_checkpoint(SECOND).gguf;
    let (mut session, _) = bare();
    assert_eq!(block_on(session.generate(&request("x", 4, &[]), None, &mut |_| ())).unwrap_err().code(), "not-loaded");
    assert_eq!(lay(&mut session, "a.md", b"# A").unwrap_err().code(), "not-loaded");
    let (info, _) = block_on(session.load_decoder(model_file(&tiny))).unwrap();
    assert_eq!((info.name.as_str(), info.n_layers, info.n_ctx, info.n_bytes), ("Tiny 1M", 3, 96, tiny.len()));
    let run = |session: &mut Session<TestHost>| {
        block_on(session.generate(&request("x", 4, &[]), None, &mut |_| ())).unwrap().generation.ids
    };
    let expected = run(&mut session);

    let wrong_magic = [b"PK\x03\x04", &tiny[4..]].concat();
    let wrong_version = [&tiny[..4], &9u32.to_le_bytes()[..], &tiny[8..]].concat();
    let other_hash = "0".repeat(64);
    for (bytes, sha256, code) in [
        (&tiny[..tiny.len() / 2], None, "model-truncated"),
        (&tiny[..100], None, "model-truncated"),
        (&[], None, "model-truncated"),
        (&wrong_magic, None, "model-magic"),
        (&wrong_version, None, "model-version"),
        (&tiny, Some(other_hash.as_str()), "model-hash-mismatch"),
        (embedder_gguf(), None, "model-unsupported"),
    ] {
        let loaded = ModelFile::read(bytes, sha256).map_err(EngineError::from);
        let error = loaded.and_then(|file| block_on(session.load_decoder(file))).map(drop).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(run(&mut session), expected);
    }
    let shouted = ModelFile::read(&tiny, Some(&info.sha256.to_uppercase())).unwrap();
    block_on(session.load_decoder(shouted)).unwrap();
    let embedder = embedder_gguf();
    for (bytes, code) in [(&embedder[..embedder.len() - 64], "model-truncated"), (&tiny[..], "model-unsupported")] {
        let loaded = ModelFile::read(bytes, None).map_err(EngineError::from);
        let error = loaded.and_then(|file| block_on(session.load_embedder(file))).map(drop).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn a_voice_of_another_model_is_refused_and_the_loaded_one_stays() {
    let (mut session, _) = complete();
    let (config_json, safetensors) = adapter_files("cite");
    let config = String::from_utf8(config_json.clone()).unwrap();
    let with_base = |base: &str| config.replace("HuggingFaceTB/SmolLM2-135M-Instruct", base).into_bytes();
    for (config_json, safetensors, code) in [
        (with_base("HuggingFaceTB/SmolLM2-360M-Instruct"), &safetensors[..], "adapter-base-mismatch"),
        (with_base("meta-llama/Llama-3.2-1B"), &safetensors, "adapter-base-mismatch"),
        (config.replace("\"r\": 8", "\"r\": 16").into_bytes(), &safetensors, "adapter-shape"),
        (config.replace("\"use_dora\": false", "\"use_dora\": true").into_bytes(), &safetensors, "adapter-unsupported"),
        (config_json.clone(), &safetensors[..safetensors.len() - 1], "adapter-invalid"),
        (b"{}".to_vec(), &safetensors, "adapter-invalid"),
    ] {
        let error = session.add_adapter("cite", &config_json, safetensors).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert_eq!(
        block_on(session.ask("Who?", Some(("bard", 1.0)), &options(), &mut |_| ())).unwrap_err().code(),
        "adapter-unknown"
    );
    assert!(
        !ask(&mut session, "Who built the Aldersey lighthouse?").citations.is_empty(),
        "the voice that was there still speaks"
    );

    block_on(session.load_decoder(model_file(&tiny_checkpoint(SECOND).gguf))).unwrap();
    assert_eq!(session.adapters().count(), 0, "voices go with their model");
    assert_eq!(session.add_adapter("cite", &config_json, &safetensors).unwrap_err().code(), "adapter-base-mismatch");
}
