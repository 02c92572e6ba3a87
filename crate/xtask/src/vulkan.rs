//! A Vulkan driver for the GPU executor's native tests: the one that is there, or Mesa's in software.

use std::path::Path;

use anyhow::Result;

use crate::apt;
use crate::step;

/// Where the loader looks for drivers on Linux.
const DRIVERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// Installs a driver where there is none; other systems bring their own graphics interface.
///
/// # Errors
/// When apt cannot install one.
pub fn driver() -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    if let Some(folder) = DRIVERS.iter().find(|folder| has_entries(Path::new(folder))) {
        step::skip(format_args!("Vulkan driver in {folder}"));
        return Ok(());
    }
    apt::install(
        "a Vulkan driver",
        &["libvulkan1", "mesa-vulkan-drivers"],
        "install a Vulkan driver such as mesa-vulkan-drivers by hand",
    )
}

fn has_entries(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}
