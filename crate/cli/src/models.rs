//! Where models lie, and a session with them loaded.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lectern_engine::model::decoder::Executor;
use lectern_engine::model::{ModelError, Precision};
use lectern_engine::{ExecutorInfo, Hash, ModelFile, ModelInfo, Preference, Session};

use crate::device;
use crate::error::CliError;
use crate::files::read;
use crate::host::Terminal;

const DECODER: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const EMBEDDER: &str = "all-MiniLM-L6-v2.Q8_0.gguf";
/// The name under which a command's `--adapter` is loaded.
pub const VOICE: &str = "adapter";

/// Models and executor of a command.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelArgs {
    /// A Llama-architecture GGUF instead of the default language model
    #[arg(long, value_name = "FILE", global = true)]
    pub model: Option<PathBuf>,
    /// A BERT-architecture GGUF instead of the default embedder
    #[arg(long, value_name = "FILE", global = true)]
    pub embedder: Option<PathBuf>,
    /// What runs the models
    #[arg(long, value_enum, default_value = "auto", global = true)]
    pub device: DeviceArg,
    /// How activations are rounded on the CPU: `exact` for generate and perplexity, `fast` for all else
    #[arg(long, value_enum, global = true)]
    pub precision: Option<PrecisionArg>,
}

impl ModelArgs {
    /// With the precision of a command that holds to reference values, unless another was asked for.
    pub fn exactly(&self) -> Self {
        Self { precision: self.precision.or(Some(PrecisionArg::Exact)), ..self.clone() }
    }

    /// How activations are rounded.
    pub fn rounding(&self) -> Precision {
        match self.precision {
            Some(PrecisionArg::Exact) => Precision::Exact,
            Some(PrecisionArg::Fast) | None => Precision::Fast,
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum PrecisionArg {
    /// 16 bits; the reference values hold to 0.05 a logit
    Exact,
    /// 8 bits where the processor has instructions for it, else exact
    Fast,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum DeviceArg {
    Auto,
    Gpu,
    Cpu,
}

/// A PEFT folder and its strength.
#[derive(Clone, Debug, clap::Args)]
pub struct AdapterArgs {
    /// A folder with adapter_config.json and adapter_model.safetensors
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Strength of the adapter; 0 is off
    #[arg(long, default_value_t = 1.0)]
    pub scale: f32,
}

impl AdapterArgs {
    /// Loads the adapter, if there is one, and says which voice to speak in.
    pub fn load(&self, session: &mut Session<Terminal>) -> Result<Option<(&'static str, f32)>, CliError> {
        let Some(dir) = &self.adapter else { return Ok(None) };
        let config = read(&dir.join("adapter_config.json"))?;
        session.add_adapter(VOICE, &config, &read(&dir.join("adapter_model.safetensors"))?)?;
        Ok(Some((VOICE, self.scale)))
    }
}

/// A session without models; `auto` opens no device for work that is `short`: opening one takes longer.
pub fn session(args: &ModelArgs, short: bool) -> Session<Terminal> {
    let preference = match args.device {
        DeviceArg::Auto => Preference::Auto,
        DeviceArg::Gpu => Preference::Gpu,
        DeviceArg::Cpu => Preference::Cpu,
    };
    let gpu = match short && preference == Preference::Auto {
        true => device::open(Preference::Cpu),
        false => device::open(preference),
    };
    let mut session = Session::new(Terminal::new(), preference, gpu);
    session.set_precision(args.rounding());
    session
}

/// Loads the language model and says on stderr what runs it.
pub fn load_decoder(session: &mut Session<Terminal>, args: &ModelArgs) -> Result<(ModelInfo, Executor), CliError> {
    let file = model_file(&path(args.model.as_deref(), DECODER)?)?;
    let (model, executor) = pollster::block_on(session.load_decoder(file))?;
    tell(&executor);
    Ok((model, executor.executor))
}

fn tell(executor: &ExecutorInfo) {
    let name = match executor.executor {
        Executor::Cpu => "cpu",
        Executor::Gpu => "gpu",
    };
    let adapter = executor.adapter.as_ref().map_or(String::new(), |a| format!(" ({a})"));
    eprintln!("device: {name}{adapter}. {}", executor.reason);
}

/// Loads the embedder; without a language model, whose place it would share, says on stderr what runs it. A GPU asked for by
/// name is a must here, where nobody can choose again meanwhile.
pub fn load_embedder(session: &mut Session<Terminal>, args: &ModelArgs) -> Result<(ModelInfo, Executor), CliError> {
    let file = model_file(&path(args.embedder.as_deref(), EMBEDDER)?)?;
    let (model, executor) = pollster::block_on(session.load_embedder(file))?;
    if matches!(args.device, DeviceArg::Gpu) && executor.executor == Executor::Cpu {
        return Err(ModelError::GpuUnavailable { reason: executor.reason }.into());
    }
    if session.reader().is_none() {
        tell(&executor);
    }
    Ok((model, executor.executor))
}

/// A model's file, read in pieces.
pub fn model_file(path: &Path) -> Result<ModelFile, CliError> {
    let failed = |error| CliError::Read { path: path.to_owned(), error };
    let mut source = File::open(path).map_err(failed)?;
    let n_bytes = source.metadata().map_err(failed)?.len() as usize;
    let mut file = ModelFile::new(n_bytes, Hash::Unchecked { expected: None });
    let mut piece = vec![0; 1 << 20];
    loop {
        match source.read(&mut piece).map_err(failed)? {
            0 => return Ok(file),
            n => file.push(&piece[..n])?,
        }
    }
}

fn path(chosen: Option<&Path>, default: &str) -> Result<PathBuf, CliError> {
    if let Some(path) = chosen {
        return Ok(path.to_owned());
    }
    let path = models_dir().join(default);
    if !path.is_file() {
        return Err(CliError::ModelMissing { path });
    }
    Ok(path)
}

/// `LECTERN_MODELS`, or `models/cache` of the checkout that this binary or this folder lies in.
fn models_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("LECTERN_MODELS").filter(|dir| !dir.is_empty()) {
        return dir.into();
    }
    let exe = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    let folders =
        [exe, here].into_iter().flatten().flat_map(|path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>());
    folders.map(|dir| dir.join("models/cache")).find(|dir| dir.is_dir()).unwrap_or_else(|| "models/cache".into())
}
