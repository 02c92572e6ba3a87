//! The commands that read, ask and build.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use lectern_engine::model::convert::{Quantization, convert, wants};
use lectern_engine::model::generate::GenerateOptions;
use lectern_engine::model::{Message, SamplingOptions};
use lectern_engine::{AskEvent, AskOptions, GenerateRequest, Respelling, RetrieveOptions, Support};
use serde_json::json;

use crate::error::CliError;
use crate::files::{COLLECTION, lay_down, open_collection, pages_named, read, read_text, write};
use crate::models::{AdapterArgs, ModelArgs, load_decoder, load_embedder, session};
use crate::passages::PassageArgs;

#[derive(Clone, Debug, clap::Args)]
pub struct SamplingArgs {
    /// Tokens to generate at most
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    /// 0 is greedy
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f32,
    /// Likeliest tokens in play; 0 is all
    #[arg(long = "sample-top-k", default_value_t = 0)]
    pub sample_top_k: usize,
    /// Probability that the tokens in play reach together
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    #[arg(long, default_value_t = 1.0)]
    pub repetition_penalty: f32,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A text that ends the answer; may be given again
    #[arg(long)]
    pub stop: Vec<String>,
}

impl SamplingArgs {
    fn sampling(&self) -> SamplingOptions {
        SamplingOptions {
            temperature: self.temperature,
            top_k: self.sample_top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub struct AskArgs {
    /// Files, folders, or one folder made by `lectern index`
    #[arg(required_unless_present = "no_rag")]
    pub paths: Vec<PathBuf>,
    #[arg(short, long)]
    pub question: String,
    /// Opens files that are locked
    #[arg(long)]
    pub password: Option<String>,
    #[command(flatten)]
    pub adapter: AdapterArgs,
    /// Read only this page, or the pages of this folder; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// Answer without reading the pages
    #[arg(long, conflicts_with_all = ["source", "neighbours", "hyde", "rerank"])]
    pub no_rag: bool,
    /// Answer with the passages' own sentences, without a language model
    #[arg(long, conflicts_with_all = ["no_rag", "adapter", "hyde"])]
    pub extractive: bool,
    #[command(flatten)]
    pub passages: PassageArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[arg(long)]
    pub json: bool,
}

pub fn ask(args: &AskArgs, models: &ModelArgs) -> Result<(), CliError> {
    if args.extractive && args.passages.asks_reader() {
        let message = "--extractive asks no language model: --rerank needs --reranker FILE\n";
        clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, message).exit();
    }
    let mut session = session(models, false);
    let mut voice = None;
    if !args.extractive {
        load_decoder(&mut session, models)?;
        voice = args.adapter.load(&mut session)?;
    }
    if !args.no_rag {
        load_embedder(&mut session, models)?;
        args.passages.load(&mut session)?;
        lay_down(&mut session, &args.paths, args.password.as_deref())?;
    }
    let load_ms = lectern_engine::model::host::Host::now_ms(session.host());
    let options = args.passages.over(AskOptions {
        rag: !args.no_rag,
        max_tokens: args.sampling.max_tokens,
        sampling: args.sampling.sampling(),
        stop: args.sampling.stop.clone(),
        extractive: args.extractive,
        sources: pages_named(&session, &args.source)?,
        ..AskOptions::default()
    });
    // Someone who watches sees the words come; the marks of the finished answer come with the whole.
    let watched = !args.json && std::io::stdout().is_terminal();
    let mut told = String::new();
    let mut on_event = |event: AskEvent| match event {
        AskEvent::Notice { code, message } => eprintln!("{message} ({code})"),
        AskEvent::Token(text) if watched => {
            print!("{text}");
            let _ = std::io::stdout().flush();
            told += &text;
        }
        _ => {}
    };
    let mut answer = pollster::block_on(session.ask(&args.question, voice, &options, &mut on_event))?;
    answer.timings_ms.load = load_ms;
    if args.json {
        return print_json(&answer);
    }
    if watched {
        println!("\n");
    }
    tell_respelled(&answer.respelled);
    if told.trim() != answer.answer {
        println!("{}\n", answer.answer);
    }
    if answer.extractive && !answer.refused {
        let why = if answer.set_aside.is_some() {
            "what the language model said is in none of them"
        } else if answer.usage.completion_tokens > 0 {
            "the language model said nothing"
        } else {
            "no language model was asked"
        };
        println!("The passages themselves; {why}.\n");
    }
    for citation in &answer.citations {
        println!("[{}] {} {}–{}", citation.marker, citation.source, citation.start, citation.end);
    }
    for sentence in &answer.sentences {
        let told = match sentence.support {
            Support::Supported => continue,
            Support::Partly => "only partly in the passages",
            Support::NotFound => "not in the passages",
        };
        println!("{told}: {}", &answer.answer[sentence.start..sentence.end]);
    }
    Ok(())
}

#[derive(Clone, Debug, clap::Args)]
pub struct GenerateArgs {
    /// A JSON array of {role, content}
    #[arg(long, value_name = "FILE")]
    pub messages: PathBuf,
    #[command(flatten)]
    pub adapter: AdapterArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[arg(long)]
    pub json: bool,
}

pub fn generate(args: &GenerateArgs, models: &ModelArgs) -> Result<(), CliError> {
    let messages: Vec<Message> = serde_json::from_str(&read_text(&args.messages)?).map_err(|e| CliError::Input {
        path: args.messages.clone(),
        reason: format!("not a JSON array of {{role, content}}: {e}"),
    })?;
    let mut session = session(models, false);
    load_decoder(&mut session, models)?;
    let voice = args.adapter.load(&mut session)?;
    let load_ms = lectern_engine::model::host::Host::now_ms(session.host());
    let options = GenerateOptions {
        max_tokens: args.sampling.max_tokens,
        sampling: args.sampling.sampling(),
        stop: args.sampling.stop.clone(),
        end_at_repeat: false,
        lookup: true,
    };
    let generated = pollster::block_on(session.generate(&GenerateRequest { messages, options }, voice, &mut |_| ()))?;
    let generation = generated.generation;
    if !args.json {
        println!("{}", generation.text);
        return Ok(());
    }
    let (ids, values): (Vec<u32>, Vec<f32>) = generation.first_logits_top20.into_iter().unzip();
    print_json(&json!({
        "text": generation.text,
        "ids": generation.ids,
        "prompt_ids": generated.prompt_ids,
        "first_logits_top20": { "ids": ids, "values": values },
        "timings_ms": { "load": load_ms, "prefill": generation.prefill_ms, "decode": generation.decode_ms },
    }))
}

pub fn perplexity(file: &Path, as_json: bool, models: &ModelArgs) -> Result<(), CliError> {
    let text = read_text(file)?;
    let mut session = session(models, false);
    load_decoder(&mut session, models)?;
    let (tokens, perplexity) = pollster::block_on(session.perplexity(&text))?;
    if as_json {
        return print_json(&json!({ "tokens": tokens, "perplexity": perplexity }));
    }
    println!("{perplexity:.4} over {tokens} tokens");
    Ok(())
}

/// One vector for each line of stdin.
pub fn embed(models: &ModelArgs) -> Result<(), CliError> {
    let lines = std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?;
    let mut session = session(models, false);
    load_embedder(&mut session, models)?;
    for vector in pollster::block_on(session.embed(&lines))? {
        print_json(&json!({ "vector": vector }))?;
    }
    Ok(())
}

pub fn index(
    paths: &[PathBuf],
    out: &Path,
    password: Option<&str>,
    as_json: bool,
    models: &ModelArgs,
) -> Result<(), CliError> {
    let mut session = session(models, false);
    load_embedder(&mut session, models)?;
    // Before the work, so that a folder that cannot be made costs none.
    std::fs::create_dir_all(out).map_err(|error| CliError::Write { path: out.to_owned(), error })?;
    let graphs = lay_down(&mut session, paths, password)?;
    let bytes = session.export_collection(&graphs);
    write(&out.join(COLLECTION), &bytes)?;
    let (n_sources, n_chunks) = (session.library().sources().len(), session.library().index().map_or(0, |i| i.len()));
    if as_json {
        return print_json(&json!({ "sources": n_sources, "chunks": n_chunks, "bytes": bytes.len() }));
    }
    let place = out.join(COLLECTION);
    println!("{n_sources} pages, {n_chunks} passages, {} bytes in {}", bytes.len(), place.display());
    Ok(())
}

#[derive(Clone, Debug, clap::Args)]
pub struct SearchArgs {
    dir: PathBuf,
    query: String,
    /// Look only in this page, or the pages of this folder; may be given more than once
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    #[arg(long, default_value_t = 10)]
    top_k: usize,
    #[arg(long)]
    json: bool,
}

pub fn search(args: &SearchArgs, models: &ModelArgs) -> Result<(), CliError> {
    let mut session = session(models, true);
    load_embedder(&mut session, models)?;
    open_collection(&mut session, &args.dir.join(COLLECTION))?;
    let sources = &pages_named(&session, &args.source)?;
    let options = RetrieveOptions { top_k: args.top_k, sources, ..RetrieveOptions::default() };
    let found = pollster::block_on(session.search(&args.query, &options))?;
    if args.json {
        let found = json!({ "respelled": found.respelled, "hits": found.hits, "dense_path": found.dense_path });
        return print_json(&found);
    }
    tell_respelled(&found.respelled);
    for hit in &found.hits {
        println!(
            "{:.4}  {} {}–{}\n        {}",
            hit.score,
            hit.source,
            hit.start,
            hit.end,
            hit.text.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
    Ok(())
}

fn tell_respelled(words: &[Respelling]) {
    for Respelling { written, read } in words {
        eprintln!("{written} was read as {read}: no page has it as written. Words in quotes are kept.");
    }
}

/// A Hugging Face folder to a GGUF file.
pub fn convert_folder(dir: &Path, out: &Path, quantization: Quantization) -> Result<(), CliError> {
    let mut files = Vec::new();
    for path in crate::files::walk(&[dir.to_owned()])? {
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if wants(&name) {
            files.push((name, read(&path)?));
        }
    }
    let named: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let model = dir.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
    let bytes = convert(&model, &named, quantization)?;
    write(out, &bytes)?;
    println!("{}: {} bytes", out.display(), bytes.len());
    Ok(())
}

pub fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
