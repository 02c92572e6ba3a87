//! What a run is made with, as the first line of its file says it.

use std::path::{Path, PathBuf};

use lectern_engine::ModelInfo;
use lectern_engine::evaluate::sha256;
use lectern_engine::model::Precision;
use lectern_engine::model::decoder::Executor;
use serde_json::{Map, Value};

use crate::error::CliError;
use crate::files::{read, walk};

/// Everything that the lines of a run depend on. Two runs of the same settings give the same lines.
pub struct Settings(Map<String, Value>);

impl Settings {
    /// For a command with the options in `options`, an object; and this very program.
    pub fn new(command: &str, options: Value) -> Result<Self, CliError> {
        let Value::Object(options) = options else { unreachable!("options are named") };
        let mut settings = Self(Map::new());
        settings.insert("command", command);
        settings.insert("program", sha256([read(&std::env::current_exe()?)?]));
        settings.0.extend(options);
        Ok(settings)
    }

    /// A file of data, or a folder of it, by what it holds.
    pub fn data(self, name: &str, path: &Path) -> Result<Self, CliError> {
        self.files(name, path, &walk(&[path.to_owned()])?)
    }

    /// Files of a folder, by their paths in it and what they hold.
    pub fn files(mut self, name: &str, dir: &Path, files: &[PathBuf]) -> Result<Self, CliError> {
        let mut pieces = Vec::new();
        for file in files {
            pieces.push(file.strip_prefix(dir).unwrap_or(file).to_string_lossy().replace('\\', "/").into_bytes());
            pieces.push(read(file)?);
        }
        self.insert(name, sha256(pieces));
        Ok(self)
    }

    /// A model and what runs it.
    pub fn model(mut self, name: &str, (info, executor): &(ModelInfo, Executor), precision: Precision) -> Self {
        self.insert(name, info.sha256.as_str());
        let runs = match (executor, precision) {
            (Executor::Gpu, _) => "gpu",
            (Executor::Cpu, Precision::Exact) => "cpu, exact",
            (Executor::Cpu, Precision::Fast) => "cpu, fast",
        };
        self.insert(&format!("{name} runs on"), runs);
        self
    }

    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// The names of what `there` and `here` say differently, with what they say where that is short.
pub fn differences(there: &Value, here: &Value) -> Vec<String> {
    let (Value::Object(there), Value::Object(here)) = (there, here) else { return vec!["all of them".to_owned()] };
    let names: std::collections::BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let differing = names.into_iter().filter(|&name| there.get(name) != here.get(name));
    let said = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    differing
        .map(|name| match (said(there.get(name)), said(here.get(name))) {
            (was, is) if was.len() + is.len() < 60 => format!("{name} (there {was}, here {is})"),
            _ => name.clone(),
        })
        .collect()
}

#[cfg(test)]
impl Settings {
    pub fn of(options: Map<String, Value>) -> Self {
        Self(options)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_named() {
        let there = json!({ "limit": 5, "seed": 0, "embedder": "a".repeat(64), "dense": "exact" });
        let here = json!({ "limit": 6, "seed": 0, "embedder": "b".repeat(64) });
        let said = ["dense (there \"exact\", here nothing)", "embedder", "limit (there 5, here 6)"];
        assert_eq!(differences(&there, &here), said);
        assert!(differences(&there, &there).is_empty());
    }
}
