//! Retrieval and answers over the development data, held against the figures of `quality.json`: a change that finds or
//! answers less fails here.
//!
//! Under `held` are the figures that this test computes, of which answers are those of a small sample; with
//! `LECTERN_QUALITY=write` it writes them anew. Under `recorded` are figures of whole runs, which take up to half an hour:
//! **nothing here computes or checks them**, each stands with the command that gave it (paths are the data's own) and the
//! day. Every figure there is its mean with its interval of 95 %.

use std::path::{Path, PathBuf};

use lectern_engine::evaluate::data::{Pair, Passage, Question, passages_of};
use lectern_engine::evaluate::figures::{Figures, sample};
use lectern_engine::evaluate::place::Places;
use lectern_engine::evaluate::qa::{Arm, QaFigures, QaOptions};
use lectern_engine::evaluate::{Event, Run, pages, place, qa};
use lectern_engine::index::DenseMode;
use lectern_engine::model::Precision;
use lectern_engine::{Gpu, Preference, Session};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{TestHost, adapter_files, block_on, decoder_gguf, embedder_gguf, model_file};

fn data(path: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    assert!(dir.is_dir(), "the development data is missing: {} should be a folder", dir.display());
    dir.join(path)
}

fn rows<T: DeserializeOwned>(path: &str) -> Vec<T> {
    let text = std::fs::read_to_string(data(path)).unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn session() -> Session<TestHost> {
    let mut session = Session::new(TestHost::default(), Preference::Cpu, Gpu::None("this is a test".into()));
    session.set_precision(Precision::Fast);
    block_on(session.load_embedder(model_file(embedder_gguf()))).unwrap();
    session
}

/// What one processor's rounding may move: a question's hit, or the answers to two.
const HITS: (f64, &[&str]) = (1.01, &["hit@1", "hit@5"]);
const ANSWERS: (f64, &[&str]) =
    (2.01, &["f1", "contains", "citation_precision", "citation_recall", "refusal_right", "false_refusal"]);
/// The only figure of these that is better when it is lower.
const FALLS: &str = "false_refusal";
/// Questions that are answered.
const N_ANSWERS: usize = 20;

/// Figures with what each may fall by; those that cannot fall by so much are left out.
fn kept(figures: &Figures, (n_questions, names): (f64, &[&str])) -> Value {
    let named = names.iter().filter_map(|&name| {
        let figure = figures.get(name)?;
        let slack = n_questions / figure.n as f64;
        let room = if name == FALLS { 1.0 - figure.mean } else { figure.mean };
        (room > slack).then(|| (name.to_owned(), json!({ "is": figure.mean, "slack": slack, "n": figure.n })))
    });
    named.collect::<serde_json::Map<_, _>>().into()
}

/// What has become worse than it was.
fn fallen(set: &str, now: &Value, then: &Value) -> Vec<String> {
    let mut worse = Vec::new();
    for (name, then) in then.as_object().unwrap() {
        let now = &now[name];
        let [(is, n), (was, n_then)] = [now, then].map(|f| (f["is"].as_f64(), f["n"].as_u64()));
        let (Some(is), Some(was)) = (is, was) else {
            worse.push(format!("{set}: {name} has no value"));
            continue;
        };
        let by = if name == FALLS { is - was } else { was - is };
        // How many answers could cite anything is not the data's to say.
        let is_other = n != n_then && !name.starts_with("citation");
        if is_other || by > then["slack"].as_f64().unwrap() {
            worse.push(format!("{set}: {name} was {was} of {n_then:?}, is {is} of {n:?}"));
        }
    }
    worse
}

fn of_pages(site: &str) -> Value {
    let mut session = session();
    let root = data(site).join("pages");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        // An empty page is left out, as it is on the desk.
        let _ = block_on(session.add_source(&name, &std::fs::read(&file).unwrap(), &mut |_| ()));
    }
    let pairs: Vec<Pair> = rows(&format!("{site}/pairs.jsonl"));
    let mut quietly = |_: Event<'_>| ();
    let mut run = Run::new(Vec::new(), &mut quietly);
    let figures = block_on(pages::run(&mut session, &pairs, DenseMode::Exact, 0, &mut run)).unwrap();
    kept(&figures.figures, HITS)
}

/// A session with the passages of a set, and its questions.
fn laid_down(questions: &str, passages: Option<&str>) -> (Session<TestHost>, Vec<Question>, Places) {
    let mut session = session();
    let mut questions: Vec<Question> = rows(questions);
    let passages: Vec<Passage> = passages.map_or_else(|| passages_of(&mut questions), rows);
    let mut quietly = |_: Event<'_>| ();
    let mut run = Run::new(Vec::new(), &mut quietly);
    let places = block_on(place::lay_down(&mut session, &passages, &[], &mut run, &mut |_, _| ())).unwrap();
    (session, questions, places)
}

fn asked(
    session: &mut Session<TestHost>,
    questions: &[Question],
    places: &Places,
    arms: &[Arm],
    voice: Option<(&str, f32)>,
) -> QaFigures {
    let options = QaOptions { arms, voice, ..QaOptions::default() };
    let mut quietly = |_: Event<'_>| ();
    let mut run = Run::new(Vec::new(), &mut quietly);
    block_on(qa::run(session, questions, places, &options, &mut run)).unwrap()
}

fn of_questions(questions: &str, passages: Option<&str>) -> Value {
    let (mut session, questions, places) = laid_down(questions, passages);
    kept(&asked(&mut session, &questions, &places, &[], None).retrieval, HITS)
}

#[test]
fn what_was_found_and_answered_is_found_and_answered() {
    let (mut session, questions, places) = laid_down("qa/squad2.questions.jsonl", Some("qa/squad2.passages.jsonl"));
    let squad = asked(&mut session, &questions, &places, &[], None);
    block_on(session.load_decoder(model_file(decoder_gguf()))).unwrap();
    let (config, factors) = adapter_files("cite");
    session.add_adapter("cite", &config, &factors).unwrap();
    let sampled: Vec<Question> =
        sample(questions.len(), N_ANSWERS, 0).into_iter().map(|i| questions[i].clone()).collect();
    let answered = asked(&mut session, &sampled, &places, &[Arm::Rag, Arm::Both], Some(("cite", 1.0)));

    let found = json!({
        "mdbook-guide pages": of_pages("docs/mdbook-guide"),
        "squad2 passages": kept(&squad.retrieval, HITS),
        "clapnq passages": of_questions("qa/clapnq.questions.jsonl", None),
        "covidqa documents": of_questions("qa/covidqa.questions.jsonl", Some("qa/covidqa.documents.jsonl")),
        "squad2 answers, rag": kept(&answered.arms["rag"], ANSWERS),
        "squad2 answers, both": kept(&answered.arms["both"], ANSWERS),
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("quality.json");
    let mut last: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    if std::env::var_os("LECTERN_QUALITY").is_some_and(|value| value == "write") {
        last["held"] = found.clone();
        std::fs::write(&file, format!("{last:#}\n")).unwrap();
    }
    let held = last["held"].as_object().unwrap();
    assert_eq!(held.keys().collect::<Vec<_>>(), found.as_object().unwrap().keys().collect::<Vec<_>>());
    let worse: Vec<String> = held.iter().flat_map(|(set, figures)| fallen(set, &found[set], figures)).collect();
    assert!(worse.is_empty(), "{worse:#?}");
}

#[test]
fn a_figure_that_falls_is_told() {
    let figure = |is: f64, n: usize| json!({ "is": is, "n": n, "slack": 0.05 });
    let then = json!({ "f1": figure(0.4, 20), "false_refusal": figure(0.1, 20) });
    let n_worse = |f1, n, refusal| {
        fallen("set", &json!({ "f1": figure(f1, n), "false_refusal": figure(refusal, 20) }), &then).len()
    };
    assert_eq!([n_worse(0.36, 20, 0.14), n_worse(0.9, 20, 0.0)], [0, 0]);
    assert_eq!([n_worse(0.34, 20, 0.1), n_worse(0.4, 20, 0.16), n_worse(0.4, 19, 0.1)], [1, 1, 1]);
    assert_eq!(fallen("set", &json!({ "f1": null, "false_refusal": figure(0.1, 20) }), &then).len(), 1);
}
