//! Why a file could not be read.

/// Everything [`crate::extract()`] can refuse, with the byte figures a person may ask about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorpusError {
    #[error("The file holds no text. Choose a file with words in it.")]
    Empty,
    #[error(
        "The file holds no text, only {what}. If it shows words, they are pictures: have them recognised (OCR) by another program first."
    )]
    NoText { what: String },
    #[error("{}", if *.is_wrong { "The password does not open the file. Try another one." } else { "The file is locked. Give its password to have it read." })]
    Password { is_wrong: bool },
    #[error("The file is damaged ({reason}). Get it anew, or save it again with the program that made it.")]
    Damaged { reason: String },
    #[error("The file is too large: {reason}. Lay down a part of it.")]
    TooLarge { reason: String },
    #[error(
        "The file is binary, not text ({n_controls} of {n_bytes} bytes are control characters). Save it as text, Markdown or HTML first."
    )]
    Binary { n_controls: usize, n_bytes: usize },
    #[error(
        "The file's text encoding could not be read (best guess: {guess}, {n_errors} broken characters). Save it as UTF-8 and try again."
    )]
    Undecodable { guess: &'static str, n_errors: usize },
    #[error("{kind} files are not read here. {}", advice(.kind))]
    Unsupported { kind: &'static str },
}

fn advice(kind: &str) -> &'static str {
    if kind.contains("Zip") {
        return "Unpack the file with the program that made it, and lay down what was in it.";
    }
    "Save the file as text, Markdown or HTML and try again."
}

impl CorpusError {
    /// The stable code to branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "file-empty",
            Self::NoText { .. } => "file-no-text",
            Self::Password { .. } => "file-password",
            Self::Damaged { .. } => "file-damaged",
            Self::TooLarge { .. } => "file-too-large",
            Self::Binary { .. } => "file-binary",
            Self::Undecodable { .. } => "file-undecodable",
            Self::Unsupported { .. } => "file-unsupported",
        }
    }
}
