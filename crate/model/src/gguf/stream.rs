//! A file that comes in pieces.

use super::Gguf;
use super::directory::Directory;
use crate::error::ModelError;
use crate::packed::Packing;

/// Reads a GGUF file piece by piece: each tensor is packed as its blocks come, so that little more than the weights
/// themselves is ever held.
#[derive(Debug)]
pub struct GgufStream {
    /// Of the whole file.
    n_bytes: usize,
    /// Bytes that have come.
    at: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What has come of the directory; it is tried again when twice as much is there.
    Head {
        bytes: Vec<u8>,
        tried: usize,
    },
    Tensors(Tensors),
}

#[derive(Debug)]
struct Tensors {
    directory: Directory,
    /// Indices of the directory by place in the file.
    order: Vec<usize>,
    /// Of `order`: how many tensors are whole.
    n_whole: usize,
    packed: Vec<Option<Packing>>,
}

impl GgufStream {
    /// For a file of `n_bytes`.
    pub fn new(n_bytes: usize) -> Self {
        Self { n_bytes, at: 0, state: State::Head { bytes: Vec::new(), tried: 0 } }
    }

    /// Takes the next bytes of the file; they may end anywhere.
    ///
    /// # Errors
    /// `model-magic`, `model-version`, `model-invalid` (damaged or contradictory directory), `model-unsupported`
    /// (big-endian file, tensor type other than [`crate::quant::TensorKind`]), `model-truncated` (a directory that does
    /// not fit the file's length); the stream is then of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.at += bytes.len();
        match &mut self.state {
            State::Tensors(tensors) => tensors.push(self.at - bytes.len(), bytes),
            State::Head { bytes: head, tried } => {
                head.extend_from_slice(bytes);
                let is_whole = head.len() >= self.n_bytes;
                if !is_whole && head.len() < 2 * *tried {
                    return Ok(());
                }
                *tried = head.len();
                match Directory::parse(head, self.n_bytes) {
                    Err(ModelError::Truncated { .. }) if !is_whole => return Ok(()),
                    Err(error) => return Err(error),
                    Ok(directory) => {
                        let head = std::mem::take(head);
                        let mut tensors = Tensors::new(directory);
                        tensors.push(0, &head);
                        self.state = State::Tensors(tensors);
                    }
                }
            }
        }
        Ok(())
    }

    /// The model in outline, once the directory has come: its first block alone, with weights that are all 0. It has
    /// every shape that the whole has, unless blocks differ.
    pub fn outline(&self) -> Option<Gguf> {
        match &self.state {
            State::Tensors(Tensors { directory, .. }) => Some(Gguf::outline(directory)),
            State::Head { .. } => None,
        }
    }

    /// The file, once all of it has come.
    ///
    /// # Errors
    /// `model-truncated`.
    pub fn finish(self) -> Result<Gguf, ModelError> {
        match self.state {
            State::Tensors(Tensors { directory, order, n_whole, packed }) => match order.get(n_whole) {
                None => Ok(Gguf::new(directory, packed)),
                Some(&index) => {
                    let tensor = &directory.tensors[index];
                    Err(ModelError::Truncated {
                        part: format!("tensor {}", tensor.name),
                        offset: tensor.range.start as u64,
                        needed: tensor.range.len() as u64,
                        len: self.at as u64,
                    })
                }
            },
            // Less came than was announced, or nothing at all.
            State::Head { bytes, .. } => match Directory::parse(&bytes, bytes.len()) {
                Err(error) => Err(error),
                Ok(_) => Err(ModelError::Truncated {
                    part: "the tensors".into(),
                    offset: bytes.len() as u64,
                    needed: (self.n_bytes - bytes.len()) as u64,
                    len: bytes.len() as u64,
                }),
            },
        }
    }
}

impl Tensors {
    fn new(directory: Directory) -> Self {
        let mut order: Vec<usize> = (0..directory.tensors.len()).collect();
        order.sort_by_key(|&index| directory.tensors[index].range.start);
        let packed = directory.tensors.iter().map(|_| None).collect();
        Self { directory, order, n_whole: 0, packed }
    }

    /// Takes the bytes of the file from `at` on.
    fn push(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        while let Some(&index) = self.order.get(self.n_whole) {
            let tensor = &self.directory.tensors[index];
            let range = tensor.range.start.max(at)..tensor.range.end.min(end);
            if range.start >= end {
                return;
            }
            let packing = self.packed[index].get_or_insert_with(|| Packing::new(tensor.kind, tensor.range.len()));
            packing.push(&bytes[range.start - at..range.end - at]);
            if tensor.range.end > end {
                return;
            }
            self.n_whole += 1;
        }
    }
}
