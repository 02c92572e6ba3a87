//! `lectern eval`: files in, figures out. What the figures are is said in the engine's `evaluate`.

mod files;
mod keep;
mod report;
mod run_file;
mod settings;

use std::path::{Path, PathBuf};

use lectern_engine::evaluate::data::{
    BeirDocument, BeirQuery, Judgement, Pair, Passage, Question, StyleMeta, StyleRow, passages_of,
};
use lectern_engine::evaluate::figures::sample;
use lectern_engine::evaluate::qa::{Arm, QaOptions};
use lectern_engine::evaluate::{Event, KeptLine, Run, pages, place, qa, retrieval, style};
use lectern_engine::index::DenseMode;
use lectern_engine::{AskOptions, Session};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::commands::print_json;
use crate::error::CliError;
use crate::files::read_text;
use crate::host::Terminal;
use crate::models::{AdapterArgs, ModelArgs, load_decoder, load_embedder, session};
use crate::passages::PassageArgs;
use keep::{KeepArgs, Keeper, lay_down_files};
use report::{Report, print_table};
use settings::Settings;

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
    ///
    /// Lines that are there already, of a run with the same settings that was cut short, are not computed again: the
    /// figures are those of all lines.
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
    #[command(flatten)]
    keep: KeepArgs,
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
    #[command(flatten)]
    keep: KeepArgs,
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
    #[command(flatten)]
    keep: KeepArgs,
    /// Arms to ask in; by default all that there is an adapter for
    #[arg(long, value_enum, value_delimiter = ',')]
    arms: Vec<ArmArg>,
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Only look for passages, without an answer
    #[arg(long, conflicts_with_all = ["hyde", "neighbours"])]
    retrieval_only: bool,
    /// With --unanswerable: take so many answerable questions
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    answerable: Option<usize>,
    /// With --answerable: take so many unanswerable questions
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    unanswerable: Option<usize>,
    #[command(flatten)]
    asking: PassageArgs,
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
    let embedder = load_embedder(&mut session, models)?;
    let (mut report, kept) = args.common.report(|| {
        let settings =
            args.common.settings("retrieval", json!({ "dense": args.dense.name(), "reference": args.reference }))?;
        let settings = settings.data("corpus", &args.dir.join("corpus.jsonl"))?;
        let settings = settings.data("queries", &args.dir.join("queries.jsonl"))?.data("qrels", qrels)?;
        Ok(settings.model("embedder", &embedder, models.rounding()))
    })?;
    let on_event = &mut |event: Event<'_>| report.on(event);
    let run = &mut Run::new(kept, on_event);
    let mut keeper = Keeper::open(&mut session, &args.keep)?;
    pollster::block_on(retrieval::lay_down(&mut session, &corpus, run, &mut |session, laid| {
        keeper.on_laid(session, laid)
    }))?;
    let graphs = args.dense.prepare(&mut session)?;
    keeper.finish(&session, &graphs)?;
    let seed = args.common.seed;
    let dense = args.dense.mode();
    let mut figures = pollster::block_on(retrieval::run(&mut session, &queries, &judgements, dense, seed, run))?;
    if args.reference {
        let reference = retrieval::run_reference(&mut session, &corpus, &queries, &judgements, seed, run);
        figures.arms.insert("reference", pollster::block_on(reference)?);
    }
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    let title = format!("{} queries over {} documents", figures.n_queries, figures.n_documents);
    print_table(&title, figures.arms.iter().map(|(&arm, figures)| (arm, figures)))
}

fn run_pages(args: &PagesArgs, models: &ModelArgs) -> Result<(), CliError> {
    let pairs: Vec<Pair> = args.common.sample(read_rows(&args.pairs)?);
    let mut session = session(models, false);
    let embedder = load_embedder(&mut session, models)?;
    let (mut report, kept) = args.common.report(|| {
        let settings = args.common.settings("pages", json!({ "dense": args.dense.name() }))?;
        let settings = settings.data("pages", &args.pages)?.data("pairs", &args.pairs)?;
        Ok(settings.model("embedder", &embedder, models.rounding()))
    })?;
    let on_event = &mut |event: Event<'_>| report.on(event);
    let run = &mut Run::new(kept, on_event);
    let mut keeper = Keeper::open(&mut session, &args.keep)?;
    lay_down_files(&mut session, &args.pages, run, &mut keeper)?;
    if session.library().is_empty() {
        return Err(CliError::NoSources);
    }
    let graphs = args.dense.prepare(&mut session)?;
    keeper.finish(&session, &graphs)?;
    let figures = pollster::block_on(pages::run(&mut session, &pairs, args.dense.mode(), args.common.seed, run))?;
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    let title = format!("{} queries over {} pages", figures.n, figures.n_pages);
    print_table(&title, figures.arms.iter().map(|(&arm, figures)| (arm, figures)))?;
    let groups: Vec<(String, _)> =
        figures.by_derivation.iter().map(|(name, group)| (format!("{name}, {}", group.n), &group.figures)).collect();
    print_table("by how the queries came about", groups.iter().map(|(name, figures)| (name.as_str(), *figures)))
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
    let mut decoder = None;
    if !arms.is_empty() || args.asking.asks_reader() {
        decoder = Some(load_decoder(&mut session, models)?);
        voice = args.adapter.load(&mut session)?;
    }
    let embedder = load_embedder(&mut session, models)?;
    let reranker = args.asking.load(&mut session)?;
    let (mut report, kept) = args.common.report(|| {
        let settings = args.common.settings("qa", args.options(&arms))?.data("questions", &args.questions)?;
        let mut settings = settings.model("embedder", &embedder, models.rounding());
        for (name, path) in [("passages", &args.passages), ("files", &args.files), ("adapter", &args.adapter.adapter)] {
            if let Some(path) = path {
                settings = settings.data(name, path)?;
            }
        }
        for (name, model) in [("model", &decoder), ("reranker", &reranker)] {
            if let Some(model) = model {
                settings = settings.model(name, model, models.rounding());
            }
        }
        Ok(settings)
    })?;
    let on_event = &mut |event: Event<'_>| report.on(event);
    let run = &mut Run::new(kept, on_event);
    let mut keeper = Keeper::open(&mut session, &args.keep)?;
    let files = match &args.files {
        Some(dir) => lay_down_files(&mut session, dir, run, &mut keeper)?,
        None => Vec::new(),
    };
    let on_laid = &mut |session: &_, laid| keeper.on_laid(session, laid);
    let places = pollster::block_on(place::lay_down(&mut session, &passages, &files, run, on_laid))?;
    let graphs = args.dense.prepare(&mut session)?;
    keeper.finish(&session, &graphs)?;
    let ask = args.asking.over(AskOptions {
        max_tokens: args.max_tokens,
        dense: args.dense.mode(),
        ..QaOptions::default().ask
    });
    let options = QaOptions { arms: &arms, voice, ask, seed: args.common.seed };
    let figures = pollster::block_on(qa::run(&mut session, &questions, &places, &options, run))?;
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    let title = format!("{} questions, {} of them answerable", figures.n, figures.n_answerable);
    print_table(&title, [("retrieval", &figures.retrieval)])?;
    print_table("share that passes the threshold", [("of the questions", &figures.relevance)])?;
    if let Some(follow_ups) = &figures.follow_ups {
        let searched = [("with the turn before", &follow_ups.with_context), ("alone", &follow_ups.alone)];
        print_table("questions that follow up others, searched for", searched)?;
    }
    if arms.is_empty() {
        return Ok(());
    }
    print_table("answers", arms.iter().map(|arm| (arm.name(), &figures.arms[arm.name()])))?;
    println!("{}", figures.citation_measure);
    Ok(())
}

impl QaArgs {
    /// What the answers depend on beside data and models.
    fn options(&self, arms: &[Arm]) -> Value {
        json!({
            "arms": arms.iter().map(|arm| arm.name()).collect::<Vec<_>>(),
            "answerable": self.answerable,
            "unanswerable": self.unanswerable,
            "dense": self.dense.name(),
            "max_tokens": self.max_tokens,
            "scale": self.adapter.scale,
            "shown": self.asking,
        })
    }

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
    let decoder = load_decoder(&mut session, models)?;
    let adapter = AdapterArgs { adapter: Some(args.adapter.clone()), scale: args.scale };
    let Some(voice) = adapter.load(&mut session)? else { return Err(CliError::NoSources) };
    let (mut report, kept) = args.common.report(|| {
        let options = json!({ "max_tokens": args.max_tokens, "scale": args.scale });
        let settings = args.common.settings("adapter", options)?.data("examples", &args.val)?;
        Ok(settings.data("adapter", &args.adapter)?.model("model", &decoder, models.rounding()))
    })?;
    let on_event = &mut |event: Event<'_>| report.on(event);
    let run = &mut Run::new(kept, on_event);
    let figures = pollster::block_on(style::run(&mut session, &rows, voice, args.max_tokens, args.common.seed, run))?;
    report.finish()?;
    if args.common.json {
        return print_json(&figures);
    }
    print_table(&format!("{} answers", figures.n), [("base", &figures.base), ("adapter", &figures.adapter)])
}

impl CommonArgs {
    fn settings(&self, command: &str, options: Value) -> Result<Settings, CliError> {
        let mut options = options;
        options["limit"] = json!(self.limit);
        options["seed"] = json!(self.seed);
        Settings::new(command, options)
    }

    fn report(
        &self,
        settings: impl FnOnce() -> Result<Settings, CliError>,
    ) -> Result<(Report, Vec<KeptLine>), CliError> {
        Report::open(self.run.as_deref(), settings)
    }

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
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Exact => "exact",
            Self::Graph => "graph",
        }
    }

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

/// The rows of a JSON lines file.
fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, CliError> {
    let mut rows = Vec::new();
    for (i, line) in
        read_text(path)?.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
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
