//! The ONNX files of transformers.js, exported from the models that the others read.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::house::House;
use crate::models::sha256_of_bytes;
use crate::step;

/// Exports into `bench-onnx` of the target folder, unless the same export is there.
///
/// # Errors
/// Without Python, or when a step fails.
pub fn export(house: &House) -> Result<PathBuf> {
    let (folder, python) = (house.target.join("bench-onnx"), house.target.join("bench-python"));
    let scripts = house.root.join("tests/bench/onnx");
    let requirements = scripts.join("requirements.txt");
    // With the list of the models: other models are exported anew.
    let checkpoint = house.root.join("tests/reference/checkpoint.py");
    let made_from = [&requirements, &scripts.join("export.py"), &checkpoint, &house.manifest_path()].map(fs::read);
    let wanted = sha256_of_bytes(&made_from.into_iter().collect::<Result<Vec<_>, _>>()?.concat());
    let stamp = folder.join(".made-from");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        step::skip(format_args!("ONNX files in {}", house.shown(&folder)));
        return Ok(folder);
    }
    let advice = "install Python 3.11 with its venv, and see that there are 8 GB of room";
    step::loud("Installing the Python packages of the export (some 3 GB)", || {
        command::run(Command::new("python3").args(["-m", "venv"]).arg(&python), advice)?;
        let mut install = Command::new(python.join("bin/python"));
        command::run(install.args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements), advice)
    })?;
    step::loud("Exporting ONNX files (some minutes)", || {
        let mut export = Command::new(python.join("bin/python"));
        export.arg(scripts.join("export.py")).arg(house.models.join("SmolLM2-135M-Instruct.Q4_1.gguf"));
        command::run(export.arg(house.models.join("all-MiniLM-L6-v2")).arg(&folder), "mend what Python says above")
    })?;
    // Last, so that an export left half-made is made again.
    fs::write(stamp, wanted)?;
    Ok(folder)
}
