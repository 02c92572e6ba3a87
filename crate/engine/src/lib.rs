//! The product without I/O: pages in, cited answers out, in the voice that is switched on.

pub mod answer;
pub mod cite;
pub mod embedder;
pub mod error;
pub mod evaluate;
pub mod executor;
pub mod find;
pub mod ingest;
mod known;
pub mod library;
pub mod model_file;
pub mod parts;
pub mod prompt;
pub mod quote;
pub mod reader;
pub mod rerank;
mod respell;
pub mod retrieve;
pub mod sentence;
pub mod session;
mod stored;
pub mod support;

pub use answer::{Answer, AskEvent, AskOptions, Ending, Timings, Usage};
pub use cite::Citation;
pub use error::EngineError;
pub use executor::{ExecutorInfo, Gpu, Preference};
pub use ingest::{IngestEvent, ReadSource};
pub use library::{Library, Opened, SourceInfo};
pub use model_file::{Hash, ModelFile, ModelInfo};
pub use respell::Respelling;
pub use retrieve::{Exchange, Hit, Retrieval, RetrieveOptions};
pub use session::{AdapterInfo, GenerateRequest, Generated, Reading, Session};
pub use support::{Sentence, Support};

pub use lectern_corpus as corpus;
pub use lectern_index as index;
pub use lectern_model as model;
