//! Measurements that are cut short, and what they are when they are whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn command(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lectern"));
    // The models lie beside the sources, where `LECTERN_MODELS` does not say otherwise.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if std::env::var_os("LECTERN_MODELS").is_none_or(|dir| dir.is_empty()) {
        command.env("LECTERN_MODELS", root.join("models/cache"));
    }
    let adapter = root.join("models/adapters/cite");
    let args = args.split_whitespace().map(|arg| arg.replace("$CITE", &adapter.to_string_lossy()));
    command.current_dir(dir).args(args).args(["--device", "cpu"]);
    command
}

fn run(dir: &Path, args: &str) -> Output {
    command(dir, args).output().unwrap()
}

/// The figures that a command prints.
fn figures(dir: &Path, args: &str) -> Value {
    let output = run(dir, args);
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write_rows(path: &Path, rows: &[Value]) {
    fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const FACTS: [(&str, &str, &str); 4] = [
    (
        "Who built the lighthouse of Eddystone?",
        "The lighthouse of Eddystone was built by John Smeaton.",
        "John Smeaton",
    ),
    ("How high is the tower of Pharos?", "The tower of Pharos is 103 metres high.", "103 metres"),
    ("Which lamp burned whale oil?", "The lamp of Nantucket burned whale oil.", "the lamp of Nantucket"),
    ("When was the bell of Inchcape hung?", "The bell of Inchcape was hung in 1394.", "1394"),
];

fn questions() -> Vec<Value> {
    let turn = |role, content| json!({ "role": role, "content": content });
    let mut rows: Vec<Value> = FACTS
        .iter()
        .enumerate()
        .map(|(i, (question, context, answer))| {
            json!({ "id": format!("q{i}"), "question": question, "answers": [answer], "answerable": true,
                    "doc_id": format!("d{i}"), "context": context })
        })
        .collect();
    rows[1]["history"] = json!([turn("user", "Which towers are there?"), turn("assistant", "The tower of Pharos.")]);
    let unanswerable = json!({ "id": "q4", "question": "Who paints lighthouses?", "answers": [], "answerable": false,
                               "doc_id": "d0", "context": FACTS[0].1 });
    rows.push(unanswerable);
    rows
}

/// Figures are the means of the lines' values, arm by arm.
fn check_means(run: &[Value], arm: &str, figures: &Value) {
    let of_arm: Vec<&Value> = run.iter().filter(|line| line["arm"] == arm).collect();
    for (name, n) in figures["n_scored"].as_object().unwrap() {
        let values: Vec<f64> = of_arm.iter().filter_map(|line| line["values"][name].as_f64()).collect();
        assert_eq!(values.len() as u64, n.as_u64().unwrap(), "{arm}: {name}");
        let Some(figure) = figures[name].as_f64() else { continue };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean - figure).abs() < 1e-9, "{arm}: {name} is {figure}, its lines say {mean}");
        let interval = &figures["interval_95"][name];
        assert!(interval[0].as_f64().unwrap() <= figure && figure <= interval[1].as_f64().unwrap(), "{arm}: {name}");
    }
}

#[test]
fn answers_that_were_killed_in_the_middle_go_on_to_the_same_figures() {
    let dir = folder("killed");
    write_rows(&dir.join("q.jsonl"), &questions());
    let args = "eval qa q.jsonl --arms neither,rag --max-tokens 24 --seed 3 --json --run";
    let whole = figures(&dir, &format!("{args} whole.jsonl"));
    let bytes = fs::read(dir.join("whole.jsonl")).unwrap();
    let told = lines(&dir.join("whole.jsonl"));
    // The settings; a search for each question, one of them with and without the turn before; two answers each.
    assert_eq!(told.len(), 1 + 6 + 10);
    assert_eq!((&told[0]["arm"], &told[0]["settings"]["seed"]), (&json!("settings"), &json!(3)));
    check_means(&told, "retrieval", &whole["retrieval"]);
    check_means(&told, "alone", &whole["follow_ups"]["alone"]);
    check_means(&told, "neither", &whole["arms"]["neither"]);
    check_means(&told, "rag", &whole["arms"]["rag"]);

    let cut = dir.join("cut.jsonl");
    let mut child =
        command(&dir, &format!("{args} cut.jsonl")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let n_lines = || fs::read(&cut).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count());
    while n_lines() < 10 {
        assert!(started.elapsed() < Duration::from_secs(300) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let left = fs::read(&cut).unwrap();
    assert!(bytes.starts_with(&left) && left.len() < bytes.len());
    fs::write(&cut, [&left[..], b"{\"arm\":\"rag\",\"id\":\"q"].concat()).unwrap();
    assert_eq!(figures(&dir, &format!("{args} cut.jsonl")), whole);
    assert_eq!(fs::read(&cut).unwrap(), bytes);

    // What is there is taken as it is, not computed again.
    let changed = String::from_utf8(bytes).unwrap().replace("\"false_refusal\":0.0", "\"false_refusal\":1.0");
    fs::write(&cut, &changed).unwrap();
    let figures = figures(&dir, &format!("{args} cut.jsonl"));
    assert_eq!(figures["arms"]["neither"]["false_refusal"], 1.0);

    let other = run(&dir, &format!("{args} cut.jsonl --limit 2"));
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(other.status.code() == Some(1) && other.stdout.is_empty());
    assert!(said.contains("(run-mismatch)") && said.contains("limit (there null, here 2)"), "{said}");
    assert_eq!(fs::read_to_string(&cut).unwrap(), changed);
}

/// Runs a command whole, and again behind a part of its lines.
fn check_resumes(dir: &Path, args: &str) -> Value {
    let whole = figures(dir, &format!("{args} --json --run whole.jsonl"));
    let bytes = fs::read(dir.join("whole.jsonl")).unwrap();
    for share in [3, 2] {
        fs::write(dir.join("cut.jsonl"), &bytes[..bytes.len() - bytes.len() / share]).unwrap();
        assert_eq!(figures(dir, &format!("{args} --json --run cut.jsonl")), whole, "{args}");
        assert_eq!(fs::read(dir.join("cut.jsonl")).unwrap(), bytes, "{args}");
    }
    fs::remove_file(dir.join("whole.jsonl")).unwrap();
    whole
}

#[test]
fn every_measurement_goes_on_where_it_was_cut() {
    let dir = folder("cut");
    fs::create_dir_all(dir.join("pages")).unwrap();
    let mut pairs = Vec::new();
    let (mut corpus, mut queries, mut qrels) = (Vec::new(), Vec::new(), "query-id\tcorpus-id\tscore\n".to_owned());
    for (i, (question, text, _)) in FACTS.iter().enumerate() {
        fs::write(dir.join(format!("pages/{i}.md")), text).unwrap();
        let expected = format!("{i}.md");
        pairs.push(json!({ "id": format!("p{i}"), "query": question, "expected": [expected], "derivation": "made" }));
        corpus.push(json!({ "_id": format!("d{i}"), "title": "", "text": text }));
        queries.push(json!({ "_id": format!("q{i}"), "text": question }));
        qrels += &format!("q{i}\td{i}\t1\n");
    }
    write_rows(&dir.join("pairs.jsonl"), &pairs);
    fs::create_dir_all(dir.join("beir")).unwrap();
    write_rows(&dir.join("beir/corpus.jsonl"), &corpus);
    write_rows(&dir.join("beir/queries.jsonl"), &queries);
    fs::write(dir.join("beir/qrels.tsv"), qrels).unwrap();

    let found = check_resumes(&dir, "eval pages pages pairs.jsonl");
    assert_eq!((&found["n"], &found["hit@5"]), (&json!(4), &json!(1.0)));
    let found = check_resumes(&dir, "eval retrieval beir --reference");
    assert_eq!(found["arms"]["hybrid"]["recall@100"], 1.0);

    let passages: Vec<&str> = FACTS.iter().take(3).map(|(_, text, _)| *text).collect();
    let example = |i: usize| {
        let (question, _, answer) = FACTS[i];
        let meta = json!({ "id": format!("s{i}"), "kind": "answer", "gold_index": i + 1, "answers": [answer],
                           "passages": passages });
        let message = |role, content| json!({ "role": role, "content": content });
        json!({ "messages": [message("user", question), message("assistant", answer)], "meta": meta })
    };
    write_rows(&dir.join("val.jsonl"), &[example(0), example(1)]);
    let voiced = check_resumes(&dir, "eval adapter $CITE val.jsonl --max-tokens 8");
    assert_eq!(voiced["adapter"]["n_scored"]["f1"], 2);

    let rows = [
        json!({ "file": "pages/0.md", "expect": "text", "must_contain": ["Smeaton"] }),
        json!({ "file": "pages/1.md", "expect": "empty" }),
    ];
    write_rows(&dir.join("manifest.jsonl"), &rows);
    let count = || figures(&dir, "eval files manifest.jsonl --json --run files.jsonl");
    let whole = count();
    assert_eq!((&whole["n"], &whole["met"], &whole["failures"][0]["got"]), (&json!(2), &json!(1), &json!("text: ")));
    assert_eq!(count(), whole);
}

#[test]
fn pages_that_were_kept_are_not_read_again() {
    let dir = folder("kept");
    write_rows(&dir.join("q.jsonl"), &questions());
    let args = "eval qa q.jsonl --retrieval-only --collection kept.lectern --json";
    let first = figures(&dir, args);
    let kept = fs::read(dir.join("kept.lectern")).unwrap();
    let modified = || fs::metadata(dir.join("kept.lectern")).unwrap().modified().unwrap();
    let when = modified();
    assert_eq!(figures(&dir, args), first);
    assert_eq!((fs::read(dir.join("kept.lectern")).unwrap(), modified()), (kept, when));

    // Of other data, nothing is taken and nothing written.
    let mut other = questions();
    other[2]["context"] = json!("The lamp of Nantucket burned nothing at all.");
    write_rows(&dir.join("q.jsonl"), &other);
    let refused = run(&dir, args);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("(collection-mismatch)"), "{said}");
    assert_eq!(modified(), when);
}
