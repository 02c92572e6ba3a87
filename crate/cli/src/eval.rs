//! `lectern eval`: files in, figures out. What the figures are is said in the engine's `evaluate`.

mod files;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lectern_engine::evaluate::data::{
    BeirDocument, BeirQuery, Judgement, Pair, Passage, Question, StyleMeta, StyleRow, passages_of,
};
use lectern_engine::evaluate::figures::sample;
use lectern_engine::evaluate::qa::{Arm, QaOptions};
use lectern_engine::evaluate::{Event, pages, place, qa, retrieval, style};
use lectern_engine::index::DenseMode;
use lectern_engine::{AskOptions, Session};
use serde::de::DeserializeOwned;

use crate::commands::print_json;
use crate::error::CliError;
use crate::files::{Told, lay_down_file, open_collection, read, read_text, walk, write};
use crate::host::Terminal;
use crate::models::{AdapterArgs, ModelArgs, load_decoder, load_embedder, session};
use report::{Report, print_table};

/// What is measured.
#[derive(Debug, clap::Subcommand)]
pub enum EvalCommand {
    /// Documents found for queries: nDCG@10, MRR@10, recall@100 by words, vectors and both
    Retrieval(RetrievalArgs),
    /// Pages of a documentation site found for queries
    Pages(PagesArgs),
    /// Questions over passages: what is found and what is answered, with and without pages and voice
    Qa(Box<QaArgs>),
    /// Files as people have them: what is read of each, in which time and memory
    Files(files::FilesArgs),
    /// A voice against the model without it, on the examples it was made from
    Adapter(StyleArgs),
}

#[derive(Debug, clap::Args)]
pub struct CommonArgs {
    /// Write one JSON line for every query and arm: hits, answer, citations, figures
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Take a sample of so many queries
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Of the sample and of the intervals
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RetrievalArgs {
    /// A folder with corpus.jsonl, queries.jsonl and qrels.tsv (BEIR layout)
    dir: PathBuf,
    /// Keep what was read of the documents in this file, and take it from there the next time
    #[arg(long, value_name = "FILE")]
    collection: Option<PathBuf>,
    /// How vectors are searched
    #[arg(long, value_enum, default_value = "exact")]
    dense: Dense,
    /// Measure the bare embedder as well: one vector of title and text for each document
    #[arg(long)]
    reference: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
pub struct PagesArgs {
    /// The folder of pages; their names are their paths in it
    pages: PathBuf,
    /// JSON lines {id, query, expected: [page…], derivation}
    pairs: PathBuf,
    /// How vectors are searched
    #[arg(long, value_enum, default_value = "exact")]
    dense: Dense,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
pub struct QaArgs {
    /// JSON lines {id, question, answers, answerable, passage_id or doc_id, context}
    questions: PathBuf,
    /// JSON lines {passage_id or doc_id, text}; without it the questions' contexts serve
    passages: Option<PathBuf>,
    /// Lay these files down first; passages that are found in them are not laid down again
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Arms to ask in; by default all that there is an adapter for
    #[arg(long, value_enum, value_delimiter = ',')]
    arms: Vec<ArmArg>,
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Only look for passages, without an answer
    #[arg(long)]
    retrieval_only: bool,
    /// With --unanswerable: take so many answerable questions
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    answerable: Option<usize>,
    /// With --answerable: take so many unanswerable questions
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    unanswerable: Option<usize>,
    /// Passages shown to the language model
    ///
    /// Without it, as many as the model reads best: 2, or 3 in an adapter's voice.
    #[arg(long)]
    top_k: Option<usize>,
    /// Tokens of an answer at most
    #[arg(long, default_value_t = QaOptions::default().ask.max_tokens)]
    max_tokens: usize,
    /// How vectors are searched
    #[arg(long, value_enum, default_value = "exact")]
    dense: Dense,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
pub struct StyleArgs {
    /// A folder with adapter_config.json and adapter_model.safetensors
    adapter: PathBuf,
    /// JSON lines {messages, meta}; the last message is the answer wanted
    val: PathBuf,
    /// Strength of the adapter
    #[arg(long, default_value_t = 1.0)]
    scale: f32,
    /// Tokens of an answer at most
    #[arg(long, default_value_t = 72)]
    max_tokens: usize,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Dense {
    /// Graphs where there are many passages
    Auto,
    /// Every vector
    Exact,
    /// Graphs only
    Graph,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum ArmArg {
    Neither,
    Rag,
    Adapter,
    Both,
}

pub fn run(command: &EvalCommand, models: &ModelArgs) -> Result<(), CliError> {
    match command {
        EvalCommand::Retrieval(args) => run_retrieval(args, models),
        EvalCommand::Pages(args) => run_pages(args, models),
        EvalCommand::Qa(args) => run_qa(args, models),
        EvalCommand::Files(args) => files::run(args),
        EvalCommand::Adapter(args) => run_adapter(args, models),
    }
}

fn run_retrieval(args: &RetrievalArgs, models: &ModelArgs) -> Result<(), CliError> {
    let corpus: Vec<BeirDocument> = read_rows(&args.dir.join("corpus.jsonl"))?;
    let queries: Vec<BeirQuery> = read_rows(&args.dir.join("queries.jsonl"))?;
    let qrels = [args.dir.join("qrels.tsv"), args.dir.join("qrels/test.tsv")];
    let qrels = qrels.iter().find(|path| path.is_file()).unwrap_or(&qrels[0]);
    let judgements: Vec<Judgement> = read_text(qrels)?.lines().filter_map(Judgement::parse).collect();
    if judgements.is_empty() {
        return Err(no_rows(qrels, "no line `query-id<TAB>corpus-id<TAB>score`"));
    }
    let is_judged = |query: &BeirQuery| judgements.iter().any(|j| j.gain > 0.0 && j.query == query.id);
    let queries = args.common.sample(queries.into_iter().filter(is_judged).collect());
    let mut session = session(models, false);
    load_embedder(&mut session, models)?;
    let mut report = Report::new(args.common.run.as_deref())?;
    if let Some(file) = args.collection.as_deref().filter(|file| file.is_file()) {
        open_collection(&mut session, file)?;
    }
    let n_before = session.library().sources().len();
    pollster::block_on(retrieval::lay_down(&mut session, &corpus, &mut |event| report.on(event)))?;
    let graphs = args.dense.prepare(&mut session)?;
    if let Some(file) = args.collection.as_deref().filter(|_| session.library().sources().len() > n_before) {
        write(file, &session.export_collection(&graphs))?;
    }
    let seed = args.common.seed;
    let dense = args.dense.mode();
    let on_event = &mut |event: Event<'_>| report.on(event);
    let mut figures = pollster::block_on(retrieval::run(&mut session, &queries, &judgements, dense, seed, on_event))?;
    if args.reference {
        let run = retrieval::run_reference(&mut session, &corpus, &queries, &judgements, seed, on_event);
        figures.arms.insert("reference", pollster::block_on(run)?);
    }
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    print_table(&format!("{} queries over {} documents", figures.n_queries, figures.n_documents), &figures.arms)
}

fn run_pages(args: &PagesArgs, models: &ModelArgs) -> Result<(), CliError> {
    let pairs: Vec<Pair> = args.common.sample(read_rows(&args.pairs)?);
    let mut session = session(models, false);
    load_embedder(&mut session, models)?;
    let mut report = Report::new(args.common.run.as_deref())?;
    lay_down_files(&mut session, &args.pages, &mut report)?;
    if session.library().is_empty() {
        return Err(CliError::NoSources);
    }
    args.dense.prepare(&mut session)?;
    let on_event = &mut |event: Event<'_>| report.on(event);
    let figures = pollster::block_on(pages::run(&mut session, &pairs, args.dense.mode(), args.common.seed, on_event))?;
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    print_table(&format!("{} queries over {} pages", figures.n, figures.n_pages), &figures.arms)
}

fn run_qa(args: &QaArgs, models: &ModelArgs) -> Result<(), CliError> {
    let arms = args.arms();
    let mut questions: Vec<Question> = read_rows(&args.questions)?;
    let passages: Vec<Passage> = match &args.passages {
        Some(file) => read_rows(file)?,
        None => passages_of(&mut questions),
    };
    let questions = args.sample(questions);
    let mut session = session(models, false);
    let mut voice = None;
    if !arms.is_empty() {
        load_decoder(&mut session, models)?;
        voice = args.adapter.load(&mut session)?;
    }
    load_embedder(&mut session, models)?;
    let mut report = Report::new(args.common.run.as_deref())?;
    if let Some(dir) = &args.files {
        lay_down_files(&mut session, dir, &mut report)?;
    }
    let places = pollster::block_on(place::lay_down(&mut session, &passages, &mut |event| report.on(event)))?;
    args.dense.prepare(&mut session)?;
    let ask = AskOptions {
        top_k: args.top_k,
        max_tokens: args.max_tokens,
        dense: args.dense.mode(),
        ..QaOptions::default().ask
    };
    let options = QaOptions { arms: &arms, voice, ask, seed: args.common.seed };
    let on_event = &mut |event: Event<'_>| report.on(event);
    let figures = pollster::block_on(qa::run(&mut session, &questions, &places, &options, on_event))?;
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    let title = format!("{} questions, {} of them answerable", figures.n, figures.n_answerable);
    print_table(&title, &BTreeMap::from([("retrieval", figures.retrieval)]))?;
    if arms.is_empty() { Ok(()) } else { print_table("answers", &figures.arms) }
}

impl QaArgs {
    /// The arms asked for, or all that can be asked in. A voice that is not there ends the command as
    /// bad usage.
    fn arms(&self) -> Vec<Arm> {
        if self.retrieval_only {
            return Vec::new();
        }
        let named: Vec<Arm> = self.arms.iter().map(|&arm| arm.into()).collect();
        let has_adapter = self.adapter.adapter.is_some();
        if let Some(arm) = named.iter().find(|arm| arm.speaks_in_voice() && !has_adapter) {
            let message = format!("the arm `{}` needs --adapter DIR\n", arm.name());
            clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, message).exit();
        }
        let all = || Arm::ALL.into_iter().filter(|arm| has_adapter || !arm.speaks_in_voice()).collect();
        if named.is_empty() { all() } else { named }
    }

    fn sample(&self, questions: Vec<Question>) -> Vec<Question> {
        if self.answerable.is_none() && self.unanswerable.is_none() {
            return self.common.sample(questions);
        }
        let (answerable, rest): (Vec<_>, Vec<_>) =
            questions.into_iter().partition(|question| question.is_answerable() == Some(true));
        let unanswerable = rest.into_iter().filter(|q| q.is_answerable() == Some(false)).collect();
        let mut taken = take(answerable, self.answerable.unwrap_or(0), self.common.seed);
        taken.extend(take(unanswerable, self.unanswerable.unwrap_or(0), self.common.seed));
        taken
    }
}

fn run_adapter(args: &StyleArgs, models: &ModelArgs) -> Result<(), CliError> {
    let rows: Vec<StyleRow> = read_rows(&args.val)?;
    let n_cite = rows.iter().filter(|row| matches!(row.meta, StyleMeta::Cite { .. })).count();
    if n_cite != 0 && n_cite != rows.len() {
        return Err(no_rows(&args.val, "its rows are of two kinds; evaluate one kind at a time"));
    }
    let rows = args.common.sample(rows);
    let mut session = session(models, false);
    load_decoder(&mut session, models)?;
    let adapter = AdapterArgs { adapter: Some(args.adapter.clone()), scale: args.scale };
    let Some(voice) = adapter.load(&mut session)? else { return Err(CliError::NoSources) };
    let mut report = Report::new(args.common.run.as_deref())?;
    let seed = args.common.seed;
    let on_event = &mut |event: Event<'_>| report.on(event);
    let figures = pollster::block_on(style::run(&mut session, &rows, voice, args.max_tokens, seed, on_event))?;
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    let arms = BTreeMap::from([("adapter", figures.adapter), ("base", figures.base)]);
    print_table(&format!("{} answers", figures.n), &arms)
}

impl CommonArgs {
    fn sample<T>(&self, rows: Vec<T>) -> Vec<T> {
        let n = self.limit.unwrap_or(rows.len());
        take(rows, n, self.seed)
    }
}

/// A seeded sample of `rows`, in their order.
fn take<T>(rows: Vec<T>, n: usize, seed: u64) -> Vec<T> {
    let mut rows: Vec<Option<T>> = rows.into_iter().map(Some).collect();
    sample(rows.len(), n, seed).into_iter().filter_map(|i| rows[i].take()).collect()
}

impl Dense {
    fn mode(self) -> DenseMode {
        match self {
            Self::Auto => DenseMode::Auto,
            Self::Exact => DenseMode::Exact,
            Self::Graph => DenseMode::Graph,
        }
    }

    fn prepare(self, session: &mut Session<Terminal>) -> Result<Vec<Vec<u8>>, CliError> {
        match self {
            Self::Exact => Ok(Vec::new()),
            Self::Auto | Self::Graph => Ok(session.build_segments()?),
        }
    }
}

impl From<ArmArg> for Arm {
    fn from(arm: ArmArg) -> Self {
        match arm {
            ArmArg::Neither => Self::Neither,
            ArmArg::Rag => Self::Rag,
            ArmArg::Adapter => Self::Adapter,
            ArmArg::Both => Self::Both,
        }
    }
}

/// Lays the files of a folder down, each under its path in it. What cannot be read is named on stderr
/// and left out.
fn lay_down_files(session: &mut Session<Terminal>, dir: &Path, report: &mut Report) -> Result<(), CliError> {
    let files = walk(&[dir.to_owned()])?;
    for (done, file) in files.iter().enumerate() {
        report.on(Event::Progress { stage: "files", done, total: files.len() });
        let name = file.strip_prefix(dir).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let bytes = read(file)?;
        lay_down_file(session, &name, &bytes, &mut |_, told| {
            if let Told::LeftOut(error) = told {
                report.on(Event::Notice(format!("{error} ({}); left out", error.code())));
            }
        });
    }
    report.on(Event::Progress { stage: "files", done: files.len(), total: files.len() });
    Ok(())
}

/// The rows of a JSON lines file.
fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, CliError> {
    let mut rows = Vec::new();
    for (i, line) in read_text(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = serde_json::from_str(line);
        rows.push(row.map_err(|error| no_rows(path, &format!("line {} is not as it should be: {error}", i + 1)))?);
    }
    if rows.is_empty() {
        return Err(no_rows(path, "it has no rows"));
    }
    Ok(rows)
}

fn no_rows(path: &Path, reason: &str) -> CliError {
    CliError::Input { path: path.to_owned(), reason: reason.to_owned() }
}
