//! Low-rank deltas on the decoder's linear layers, as the executors apply them: never merged.
//!
//! `y = W x + scale · B (A x)`. Reading PEFT files and matching them to a model is the adapter
//! crate's work; this is only the shape it hands over.

use std::rc::Rc;

/// The seven linear layers of a decoder block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

impl Projection {
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];
}

/// Factors for one linear layer `[out, in]`, rows in the GGUF's order.
#[derive(Clone, Debug)]
pub struct LowRank {
    pub rank: usize,
    /// `[rank, in]`, row-major.
    pub a: Vec<f32>,
    /// `[out, rank]`, row-major.
    pub b: Vec<f32>,
    /// `alpha / rank`, or `alpha / √rank` with rsLoRA.
    pub scaling: f32,
}

/// An adapter laid out for one model: for every layer, the deltas of its projections.
#[derive(Clone, Debug)]
pub struct LoraSet {
    pub name: String,
    /// SHA-256 of the file the factors came from, in hexadecimal.
    pub hash: String,
    pub layers: Vec<LoraLayer>,
}

/// The deltas of one decoder block.
#[derive(Clone, Debug, Default)]
pub struct LoraLayer {
    factors: [Option<LowRank>; 7],
}

impl LoraLayer {
    pub fn get(&self, projection: Projection) -> Option<&LowRank> {
        self.factors[projection as usize].as_ref()
    }

    pub fn set(&mut self, projection: Projection, factors: LowRank) {
        self.factors[projection as usize] = Some(factors);
    }
}

/// An adapter that is switched on. `scale` is never 0: that is [`None`] in its place.
#[derive(Clone, Debug)]
pub struct ActiveLora {
    pub set: Rc<LoraSet>,
    /// The user's multiplier on top of each factor's own `scaling`.
    pub scale: f32,
}

impl ActiveLora {
    /// `None` for a scale of 0, so that "off" is one thing.
    pub fn new(set: Rc<LoraSet>, scale: f32) -> Option<Self> {
        (scale != 0.0).then_some(Self { set, scale })
    }
}
