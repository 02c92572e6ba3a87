//! ZIP files that are one document each: told apart by what lies in them, whatever their name.

use super::{Extracted, Format, docx, epub, package::Package};
use crate::CorpusError;

/// What a ZIP file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the path of its main part.
    Docx(String),
    Epub,
    /// A document of a kind that is not read here.
    Foreign(&'static str),
    /// Files put together.
    Archive,
}

/// Reads a document that is a ZIP file, with warnings for what is missing.
///
/// # Errors
/// `file-unsupported` for other documents and for archives, which [`crate::expand`] takes apart; `file-password` for
/// one that is locked and a password that is missing or wrong; and those of the format.
pub(super) fn extract(bytes: &[u8], password: Option<&str>) -> Result<(Format, Extracted, Vec<String>), CorpusError> {
    let mut package = Package::open(bytes, password)?;
    package.unlock()?;
    let mut warnings = Vec::new();
    match kind(&mut package) {
        Kind::Docx(main) => Ok((Format::Docx, docx::extract(&mut package, &main)?, warnings)),
        Kind::Epub => Ok((Format::Epub, epub::extract(&mut package, &mut warnings)?, warnings)),
        Kind::Archive => Err(CorpusError::Unsupported { kind: "Zip archive" }),
        Kind::Foreign(kind) => Err(CorpusError::Unsupported { kind }),
    }
}

pub(crate) fn kind(package: &mut Package<'_>) -> Kind {
    if package.has("META-INF/container.xml") && !package.has("META-INF/MANIFEST.MF") {
        return Kind::Epub;
    }
    if package.has("[Content_Types].xml") || package.has("_rels/.rels") {
        // What says it may be locked.
        let usual = ["word/document.xml", "xl/workbook.xml", "ppt/presentation.xml"];
        let usual = usual.into_iter().find(|path| package.has(path)).unwrap_or_default();
        let main = docx::main_part(package).unwrap_or_else(|| usual.to_owned());
        return match main.split('/').next() {
            Some("xl") => Kind::Foreign("Excel"),
            Some("ppt") => Kind::Foreign("PowerPoint"),
            Some("visio") => Kind::Foreign("Visio"),
            _ if package.has("word/document.xml") => Kind::Docx("word/document.xml".to_owned()),
            Some("word") => Kind::Docx(main),
            _ => Kind::Archive,
        };
    }
    if package.has("word/document.xml") {
        return Kind::Docx("word/document.xml".to_owned());
    }
    match package.read_text("mimetype").ok().flatten() {
        Some(kind) if kind.trim().starts_with("application/vnd.oasis.opendocument") => Kind::Foreign("OpenDocument"),
        Some(kind) if kind.trim() == "application/epub+zip" => Kind::Epub,
        _ if package.has("Index/Document.iwa") => Kind::Foreign("Pages, Numbers and Keynote"),
        _ => Kind::Archive,
    }
}
