//! GGUF model files, read as they come and written.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.

mod directory;
mod read;
mod stream;
mod value;
mod write;

pub use read::Gguf;
pub use stream::GgufStream;
pub use value::Value;
pub use write::GgufWriter;

use std::ops::Range;

use crate::quant::TensorKind;

const MAGIC: [u8; 4] = *b"GGUF";
const DEFAULT_ALIGNMENT: u32 = 32;
const ALIGNMENT_KEY: &str = "general.alignment";

/// What the file's directory says about one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    /// Row-major, slowest axis first: `[rows, cols]` of a matrix (GGUF's own dimensions are the reverse).
    pub shape: Vec<usize>,
    pub kind: TensorKind,
    /// Bytes of the whole file that hold the elements; checked to lie inside it.
    pub range: Range<usize>,
}

/// Bytes of a tensor, `None` if the last axis is not whole blocks or the size overflows.
fn n_bytes(shape: &[usize], kind: TensorKind) -> Option<usize> {
    let columns = *shape.last()?;
    if columns == 0 || !columns.is_multiple_of(kind.block_len()) {
        return None;
    }
    let n_elements = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim))?;
    (n_elements / kind.block_len()).checked_mul(kind.block_bytes())
}

#[cfg(test)]
mod tests;
