//! Where things are: the checkout, Cargo's target folder, the models folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// File name of the native program.
pub const CLI: &str = if cfg!(windows) { "lectern.exe" } else { "lectern" };

/// The paths every task starts from; all absolute.
pub struct House {
    pub root: PathBuf,
    pub target: PathBuf,
    /// `LECTERN_MODELS`, or `models/cache`.
    pub models: PathBuf,
}

impl House {
    /// # Errors
    /// When Cargo cannot read the workspace.
    pub fn open() -> Result<Self> {
        let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = crate_folder.ancestors().nth(2).context("xtask lies in crate/xtask of the checkout")?.to_path_buf();
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("reading the workspace: run this inside the checkout")?;
        let models = match std::env::var_os("LECTERN_MODELS") {
            Some(folder) if !folder.is_empty() => std::path::absolute(folder)?,
            _ => root.join("models/cache"),
        };
        Ok(Self { root, target: metadata.target_directory.into_std_path_buf(), models })
    }

    /// The dependency graph as it is built for `platform`, a target triple.
    ///
    /// # Errors
    /// When Cargo cannot resolve the workspace.
    pub fn metadata(&self, platform: &str) -> Result<Metadata> {
        MetadataCommand::new()
            .manifest_path(self.root.join("Cargo.toml"))
            .other_options(["--filter-platform".to_owned(), platform.to_owned()])
            .exec()
            .context("reading the dependency graph")
    }

    pub fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    pub fn manifest_path(&self) -> PathBuf {
        self.root.join("models/manifest.toml")
    }

    /// The native program, where a release build leaves it.
    pub fn cli(&self) -> PathBuf {
        self.target.join("release").join(CLI)
    }

    /// `path` as a person in the checkout would write it.
    pub fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
