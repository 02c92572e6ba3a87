//! The codes that programs branch on, frozen. One that is not listed here does not compile.

use expect_test::expect;
use lectern_adapter::AdapterError;
use lectern_engine::EngineError;
use lectern_engine::corpus::CorpusError;
use lectern_engine::index::IndexError;
use lectern_engine::model::ModelError;

/// The codes of all variants of an enum; a variant without an example is a compile error.
macro_rules! codes {
    ($error:ident { $($pattern:pat => $example:expr),* $(,)? }) => {{
        let examples = vec![$($example),*];
        for example in &examples {
            match example { $($pattern => assert!(!example.to_string().is_empty()),)* }
        }
        examples.iter().map(|example: &$error| example.code()).collect::<Vec<_>>()
    }};
}

#[test]
fn every_code_is_what_it_was() {
    let text = || "x".to_string();
    let model = codes!(ModelError {
        ModelError::Truncated { .. } => ModelError::Truncated { part: text(), offset: 0, needed: 1, len: 0 },
        ModelError::Magic { .. } => ModelError::Magic { found: *b"PK\x03\x04" },
        ModelError::Version { .. } => ModelError::Version { found: 9 },
        ModelError::Invalid { .. } => ModelError::invalid("x", "y"),
        ModelError::Unsupported { .. } => ModelError::unsupported("x"),
        ModelError::HashMismatch { .. } => ModelError::HashMismatch { expected: text(), found: text() },
        ModelError::PromptTooLong { .. } => ModelError::PromptTooLong { n_tokens: 2, n_ctx: 1 },
        ModelError::Cancelled => ModelError::Cancelled,
        ModelError::GpuLost { .. } => ModelError::GpuLost { reason: text() },
        ModelError::GpuUnavailable { .. } => ModelError::GpuUnavailable { reason: text() },
    });
    let adapter = codes!(AdapterError {
        AdapterError::Invalid(_) => AdapterError::Invalid(text()),
        AdapterError::Unsupported(_) => AdapterError::Unsupported(text()),
        AdapterError::BaseMismatch { .. } => AdapterError::BaseMismatch { adapter_base: text(), model: text() },
        AdapterError::UnknownTarget(_) => AdapterError::UnknownTarget(text()),
        AdapterError::Shape { .. } => AdapterError::Shape { tensor: text(), got: vec![], expected: vec![] },
        AdapterError::NoEffect => AdapterError::NoEffect,
    });
    let corpus = codes!(CorpusError {
        CorpusError::Empty => CorpusError::Empty,
        CorpusError::NoText { .. } => CorpusError::NoText { what: text() },
        CorpusError::Password { .. } => CorpusError::Password { is_wrong: false },
        CorpusError::Damaged { .. } => CorpusError::Damaged { reason: text() },
        CorpusError::TooLarge { .. } => CorpusError::TooLarge { reason: text() },
        CorpusError::Binary { .. } => CorpusError::Binary { n_controls: 1, n_bytes: 1 },
        CorpusError::Undecodable { .. } => CorpusError::Undecodable { guess: "x", n_errors: 1 },
        CorpusError::Unsupported { .. } => CorpusError::Unsupported { kind: "x" },
    });
    let index = codes!(IndexError {
        IndexError::Corrupt { .. } => IndexError::Corrupt { reason: "x" },
        IndexError::Version { .. } => IndexError::Version { found: 2, expected: 1 },
        IndexError::ModelMismatch { .. } => IndexError::ModelMismatch { found: text(), expected: text() },
        IndexError::Dimension { .. } => IndexError::Dimension { found: 2, expected: 1 },
        IndexError::NotUnit { .. } => IndexError::NotUnit { what: "x" },
    });
    let engine = codes!(EngineError {
        EngineError::Model(_) => ModelError::Cancelled.into(),
        EngineError::Adapter(_) => AdapterError::NoEffect.into(),
        EngineError::Index(_) => IndexError::NotUnit { what: "x" }.into(),
        EngineError::Corpus { .. } => EngineError::Corpus { name: text(), error: CorpusError::Empty },
        EngineError::NoDocuments => EngineError::NoDocuments,
        EngineError::NotLoaded(_) => EngineError::NotLoaded("x"),
        EngineError::AdapterUnknown(_) => EngineError::AdapterUnknown(text()),
        EngineError::SourceUnknown(_) => EngineError::SourceUnknown(1),
        EngineError::EmptyQuestion => EngineError::EmptyQuestion,
        EngineError::Collection(_) => EngineError::Collection(text()),
    });
    // The first four of the engine's hand on the code of the error they hold.
    let all = [model, adapter, corpus, index, engine[4..].to_vec()].concat();
    assert_eq!(engine[..4], ["cancelled", "adapter-no-effect", "index-not-unit", "file-empty"]);
    expect![[r#"
        model-truncated
        model-magic
        model-version
        model-invalid
        model-unsupported
        model-hash-mismatch
        prompt-too-long
        cancelled
        gpu-lost
        gpu-unavailable
        adapter-invalid
        adapter-unsupported
        adapter-base-mismatch
        adapter-unknown-target
        adapter-shape
        adapter-no-effect
        file-empty
        file-no-text
        file-password
        file-damaged
        file-too-large
        file-binary
        file-undecodable
        file-unsupported
        index-corrupt
        index-version
        index-model-mismatch
        index-dimension
        index-not-unit
        no-documents
        not-loaded
        adapter-unknown
        source-unknown
        question-empty
        collection-invalid"#]]
    .assert_eq(&all.join("\n"));
}
