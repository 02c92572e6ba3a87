//! The static site: the module, the page, the models and the list that tells the page of them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::command::{self, npm};
use crate::house::House;
use crate::manifest::{Adapter, Manifest, Role};
use crate::models::{self, Source};
use crate::native;
use crate::notices;
use crate::step;
use crate::tools;
use crate::wasm::{self, Optimize};

/// `models/models.json` of the site; its URLs are relative to itself.
#[derive(Debug, Serialize)]
struct Catalog<'a> {
    models: Vec<CatalogModel<'a>>,
    adapters: Vec<CatalogAdapter<'a>>,
}

#[derive(Debug, Serialize)]
struct CatalogModel<'a> {
    role: Role,
    name: &'a str,
    file: &'a str,
    url: &'a str,
    n_bytes: u64,
    sha256: &'a str,
    piece_bytes: usize,
    piece_sha256: Vec<String>,
    licence: &'a str,
}

/// How a page fetches, checks and keeps a model: few enough entries to open quickly, and little enough to fetch again.
const PIECE_BYTES: usize = 8 << 20;

#[derive(Debug, Serialize)]
struct CatalogAdapter<'a> {
    name: &'a str,
    title: &'a str,
    description: &'a str,
    config_url: String,
    weights_url: String,
    n_bytes: u64,
    sha256: &'a str,
    licence: &'a str,
}

/// Everyone's terms: written first, and what a folder is known by as a site of ours, finished or not.
const TERMS: &str = "THIRD-PARTY.txt";

/// Refuses a folder whose files are not a site's: building removes what was there of an older one.
///
/// # Errors
/// For the checkout, a folder of it that git keeps, or any folder that holds something else.
pub fn refuse_foreign(house: &House, dist: &Path) -> Result<()> {
    let is_source = house.root.starts_with(dist)
        || ["crate", "models", "tests", "www"].iter().any(|part| dist.starts_with(house.root.join(part)));
    ensure!(!is_source, "{} holds Lectern's sources: choose another folder for the site", dist.display());
    let is_empty = fs::read_dir(dist).is_ok_and(|mut entries| entries.next().is_none());
    let is_site = fs::read_to_string(dist.join(TERMS)).is_ok_and(|text| text.starts_with(notices::TITLE));
    ensure!(
        !dist.exists() || is_empty || is_site,
        "{} holds files that are not a site of Lectern: choose an empty folder",
        dist.display()
    );
    Ok(())
}

/// Does all set-up and writes the site to `dist`.
///
/// # Errors
/// When a step fails.
pub fn build(house: &House, dist: &Path, optimize: Optimize) -> Result<()> {
    tools::npm_packages(&house.www())?;
    models::get(house, Source::Package, || native::build_converter(house))?;
    assemble(house, dist, optimize)?;
    step::skip(format_args!("The site is in {}", house.shown(dist)));
    Ok(())
}

/// As [`build`], with packages and models in place.
///
/// # Errors
/// When a step fails.
pub fn assemble(house: &House, dist: &Path, optimize: Optimize) -> Result<()> {
    wasm::build(house, optimize)?;
    step::quiet("Laying down everyone's terms", || {
        fs::create_dir_all(dist)?;
        fs::write(dist.join(TERMS), notices::third_party(house)?)?;
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            fs::copy(house.root.join(licence), dist.join(licence))?;
        }
        Ok(())
    })?;
    step::quiet(format_args!("Building the page into {}", house.shown(dist)), || {
        command::output(
            npm(&house.www()).args(["run", "build"]).env("LECTERN_DIST", dist),
            "mend what the bundler says above",
        )
    })?;
    let manifest = Manifest::read(&house.manifest_path())?;
    step::quiet("Laying the models beside the page", || {
        lay_models(&manifest, &house.models, &house.root.join("models/adapters"), &dist.join("models"))?;
        fs::copy(house.root.join("models/NOTICE.md"), dist.join("models/NOTICE.md"))?;
        Ok(())
    })
}

/// Fills the site's `models` folder, files first and the list last.
fn lay_models(manifest: &Manifest, models: &Path, adapters: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let mut catalog = Catalog { models: Vec::new(), adapters: Vec::new() };
    for model in &manifest.models {
        let product = model.product();
        let path = product.path;
        let source = models.join(path);
        place(&source, &folder.join(path))?;
        catalog.models.push(CatalogModel {
            role: model.role,
            name: &model.name,
            file: path,
            url: path,
            n_bytes: fs::metadata(&source)?.len(),
            sha256: product.sha256,
            piece_bytes: PIECE_BYTES,
            piece_sha256: piece_hashes(&source)?,
            licence: &model.licence,
        });
    }
    for adapter in &manifest.adapters {
        catalog.adapters.push(lay_adapter(adapter, adapters, folder)?);
    }
    Ok(fs::write(folder.join("models.json"), serde_json::to_vec_pretty(&catalog)?)?)
}

fn piece_hashes(path: &Path) -> Result<Vec<String>> {
    let mut file = File::open(path)?;
    let mut hashes = Vec::new();
    loop {
        let mut hasher = Sha256::new();
        let n = io::copy(&mut file.by_ref().take(PIECE_BYTES as u64), &mut hasher)?;
        if n == 0 {
            return Ok(hashes);
        }
        hashes.push(format!("{:x}", hasher.finalize()));
    }
}

fn lay_adapter<'a>(adapter: &'a Adapter, adapters: &Path, folder: &Path) -> Result<CatalogAdapter<'a>> {
    let url = |file: &str| format!("adapters/{}/{file}", adapter.name);
    let (config_url, weights_url) = (url("adapter_config.json"), url("adapter_model.safetensors"));
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        place(&adapters.join(&adapter.name).join(file), &folder.join(url(file)))?;
    }
    Ok(CatalogAdapter {
        name: &adapter.name,
        title: &adapter.title,
        description: &adapter.description,
        config_url,
        weights_url,
        n_bytes: adapter.n_bytes,
        sha256: &adapter.sha256,
        licence: &adapter.licence,
    })
}

/// A hard link where the file system allows it, so that a local site takes no second copy of the models.
fn place(source: &Path, target: &Path) -> Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::hard_link(source, target).is_err() {
        fs::copy(source, target).with_context(|| format!("copying {} to {}", source.display(), target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::SMALL;

    #[test]
    fn the_list_names_what_lies_beside_it() {
        let scratch = tempfile::tempdir().unwrap();
        let (models, adapters, folder) =
            (scratch.path().join("cache"), scratch.path().join("adapters"), scratch.path().join("site/models"));
        fs::create_dir_all(&models).unwrap();
        fs::create_dir_all(adapters.join("plain")).unwrap();
        fs::write(models.join("tiny.gguf"), "abc").unwrap();
        fs::write(adapters.join("plain/adapter_config.json"), "{}").unwrap();
        fs::write(adapters.join("plain/adapter_model.safetensors"), "abc").unwrap();
        let manifest = Manifest::parse(SMALL).unwrap();

        for _again in 0..2 {
            lay_models(&manifest, &models, &adapters, &folder).unwrap();
        }

        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let list: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("models.json")).unwrap()).unwrap();
        assert_eq!(
            list,
            serde_json::json!({
                "models": [{
                    "role": "decoder", "name": "tiny", "file": "tiny.gguf", "url": "tiny.gguf",
                    "n_bytes": 3, "sha256": sha256, "piece_bytes": PIECE_BYTES, "piece_sha256": [sha256],
                    "licence": "Apache-2.0",
                }],
                "adapters": [{
                    "name": "plain", "title": "Plain", "description": "Says it plainly.",
                    "config_url": "adapters/plain/adapter_config.json",
                    "weights_url": "adapters/plain/adapter_model.safetensors",
                    "n_bytes": 3, "sha256": sha256, "licence": "MIT",
                }],
            })
        );
        for path in ["tiny.gguf", "adapters/plain/adapter_config.json", "adapters/plain/adapter_model.safetensors"] {
            assert!(folder.join(path).is_file(), "{path}");
        }
    }

    #[test]
    fn a_site_takes_no_folder_of_something_else() {
        let scratch = tempfile::tempdir().unwrap();
        let house = House::open().unwrap();
        for sources in [house.root.clone(), house.root.join("www"), house.root.join("models/cache")] {
            assert!(refuse_foreign(&house, &sources).is_err(), "{}", sources.display());
        }
        let dist = scratch.path().join("dist");
        assert!(refuse_foreign(&house, &dist).is_ok(), "none yet");
        fs::create_dir(&dist).unwrap();
        assert!(refuse_foreign(&house, &dist).is_ok(), "empty");
        fs::write(dist.join("index.html"), "").unwrap();
        assert!(refuse_foreign(&house, &dist).is_err(), "somebody's page");
        fs::write(dist.join(TERMS), "Terms of somebody else").unwrap();
        assert!(refuse_foreign(&house, &dist).is_err(), "somebody's page with terms");
        fs::write(dist.join(TERMS), notices::Notices::default().written().unwrap()).unwrap();
        assert!(refuse_foreign(&house, &dist).is_ok(), "an older site");
    }

    #[test]
    fn a_missing_model_is_a_failure() {
        let scratch = tempfile::tempdir().unwrap();
        let manifest = Manifest::parse(SMALL).unwrap();
        let error = lay_models(&manifest, scratch.path(), scratch.path(), &scratch.path().join("site")).unwrap_err();
        assert!(error.to_string().contains("tiny.gguf"), "{error}");
    }
}
