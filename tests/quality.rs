//! Retrieval over the development data, held against the figures that `quality.json` keeps: a change that finds less
//! fails here. `LECTERN_QUALITY=write` writes the figures of this run.

use std::path::{Path, PathBuf};

use lectern_engine::evaluate::data::{Pair, Passage, Question, passages_of};
use lectern_engine::evaluate::qa::QaOptions;
use lectern_engine::evaluate::{Event, Run, pages, place, qa};
use lectern_engine::index::DenseMode;
use lectern_engine::model::Precision;
use lectern_engine::{Gpu, Preference, Session};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{TestHost, block_on, embedder_gguf, model_file};

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

/// The figures that are kept.
fn kept(figures: &impl serde::Serialize) -> Value {
    let figures = serde_json::to_value(figures).unwrap();
    json!({ "n": figures["n_scored"]["hit@1"], "hit@1": figures["hit@1"], "hit@5": figures["hit@5"] })
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
    kept(&figures.figures)
}

fn of_questions(questions: &str, passages: Option<&str>) -> Value {
    let mut session = session();
    let mut questions: Vec<Question> = rows(questions);
    let passages: Vec<Passage> = passages.map_or_else(|| passages_of(&mut questions), rows);
    let mut quietly = |_: Event<'_>| ();
    let mut run = Run::new(Vec::new(), &mut quietly);
    let places = block_on(place::lay_down(&mut session, &passages, &[], &mut run, &mut |_, _| ())).unwrap();
    let options = QaOptions { arms: &[], ..QaOptions::default() };
    let figures = block_on(qa::run(&mut session, &questions, &places, &options, &mut run)).unwrap();
    kept(&figures.retrieval)
}

#[test]
fn retrieval_finds_what_it_found() {
    let found = json!({
        "mdbook-guide pages": of_pages("docs/mdbook-guide"),
        "squad2 passages": of_questions("qa/squad2.questions.jsonl", Some("qa/squad2.passages.jsonl")),
        "clapnq passages": of_questions("qa/clapnq.questions.jsonl", None),
        "covidqa documents": of_questions("qa/covidqa.questions.jsonl", Some("qa/covidqa.documents.jsonl")),
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("quality.json");
    if std::env::var_os("LECTERN_QUALITY").is_some_and(|value| value == "write") {
        std::fs::write(&file, format!("{found:#}\n")).unwrap();
    }
    let last: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for (set, figures) in last.as_object().unwrap() {
        assert_eq!(found[set]["n"], figures["n"], "{set} holds other questions than it did");
        // Rounding differs between processors, and may move one question's hit.
        let one = 1.0 / figures["n"].as_f64().unwrap();
        for name in ["hit@1", "hit@5"] {
            let (now, then) = (found[set][name].as_f64().unwrap(), figures[name].as_f64().unwrap());
            assert!(now >= then - 1.01 * one, "{set}: {name} fell from {then} to {now}");
        }
    }
}
