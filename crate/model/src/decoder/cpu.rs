//! The CPU executor of the decoder: batches of rows through packed weights.

use std::rc::Rc;

use lectern_simd::{Attention, attend};

use crate::Precision;
use crate::decoder::weights::{DecoderWeights, LayerWeights};
use crate::host::Host;
use crate::kernel::cpu::activation::Activations;
use crate::kernel::cpu::matmul::{Bits, Scratch, matmul};
use crate::kernel::cpu::norm::{rms_norm, rope, silu_mul};
use crate::kernel::cpu::vector::{add, dot};
use crate::kv_cache::KvCache;
use crate::lora::{ActiveLora, LowRank, Projection};
use crate::pace::Pace;
use crate::packed::{PackedFormat, PackedMatrix};

/// Which rows of a batch get logits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Logits {
    None,
    Last,
    All,
}

/// Runs a decoder's weights on the CPU.
pub struct CpuDecoder {
    weights: Rc<DecoderWeights>,
    cache: KvCache,
    lora: Option<ActiveLora>,
    precision: Precision,
    inverse_frequencies: Vec<f32>,
    buffers: Buffers,
}

/// Activations of one batch, reused from call to call.
#[derive(Default)]
struct Buffers {
    /// `[n, hidden_size]`: the residual stream.
    x: Vec<f32>,
    /// `[n, hidden_size]`
    normed: Vec<f32>,
    /// `[n, q_dim]`
    q: Vec<f32>,
    /// `[n, kv_dim]`
    k: Vec<f32>,
    /// `[n, kv_dim]`
    v: Vec<f32>,
    /// `[n, q_dim]`
    attended: Vec<f32>,
    /// `[n, intermediate_size]`
    gate: Vec<f32>,
    /// `[n, intermediate_size]`
    up: Vec<f32>,
    /// `[n, hidden_size]`: what a sub-layer adds to the stream.
    delta: Vec<f32>,
    /// `[n, head_dim/2]` each.
    cos: Vec<f32>,
    sin: Vec<f32>,
    scores: Vec<f32>,
    activations: Activations,
    scratch: Scratch,
    low: Vec<f32>,
}

impl CpuDecoder {
    pub fn new(weights: Rc<DecoderWeights>) -> Self {
        let config = &weights.config;
        Self {
            cache: KvCache::new(config.num_hidden_layers, config.num_key_value_heads, config.head_dim),
            inverse_frequencies: config.inverse_frequencies(),
            lora: None,
            precision: Precision::Exact,
            buffers: Buffers::default(),
            weights,
        }
    }

    pub fn set_adapter(&mut self, lora: Option<ActiveLora>) {
        self.lora = lora;
    }

    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Positions read so far.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// Makes room for `len` positions in all, so that a long prompt moves nothing.
    pub fn reserve(&mut self, len: usize) {
        self.cache.reserve(len);
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.cache.truncate(len);
    }

    /// Reads `ids` at the next positions. `host` has its turns between layers.
    ///
    /// # Shapes
    /// Returns `[rows, vocab_size]` logits: no row, the last one, or one for each id.
    pub async fn forward<H: Host>(&mut self, ids: &[u32], logits: Logits, host: &H) -> Vec<f32> {
        let weights = Rc::clone(&self.weights);
        let n = ids.len();
        self.buffers.x.clear();
        for &id in ids {
            self.buffers.x.extend(weights.embedding.row(id as usize));
        }
        self.rotations(n);
        // Rows that get no logits end with the last layer's keys and values.
        let first = match logits {
            Logits::None => n,
            Logits::Last => n - 1,
            Logits::All => 0,
        };
        let mut pace = Pace::new(host);
        for (index, layer) in weights.layers.iter().enumerate() {
            let is_last = index + 1 == weights.layers.len();
            self.attention(index, layer, if is_last { first } else { 0 });
            pace.step().await;
            self.mlp(index, layer);
            pace.step().await;
        }
        self.cache.advance(n);
        self.head(&weights)
    }

    /// Cosines and sines of the batch's positions.
    fn rotations(&mut self, n: usize) {
        let b = &mut self.buffers;
        b.cos.clear();
        b.sin.clear();
        for position in self.cache.len()..self.cache.len() + n {
            for frequency in &self.inverse_frequencies {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                b.cos.push(cos);
                b.sin.push(sin);
            }
        }
    }

    /// `x += O · attention(rope(Q x̂), rope(K x̂), V x̂)` with `x̂ = norm(x)`, for the rows from `first` on; those before
    /// leave their keys and values and end.
    fn attention(&mut self, index: usize, layer: &LayerWeights, first: usize) {
        let config = &self.weights.config;
        let (q_dim, kv_dim, half) = (config.q_dim(), config.kv_dim(), config.head_dim / 2);
        let b = &mut self.buffers;
        let (lora, bits) = (self.lora.as_ref(), Bits::from(self.precision));
        b.normed.resize(b.x.len(), 0.0);
        rms_norm(&b.x, &layer.attention_norm, config.rms_norm_eps, &mut b.normed);
        b.activations.set(&b.normed, config.hidden_size);
        // Rounding to 8 bits costs values thrice what it costs the others (2 % of their length): there is more in the
        // large components of `x̂` than they look at.
        let mut project = |projection, w, bits, x: &mut Activations, out: &mut Vec<f32>| {
            linear(w, factors(lora, index, projection), x, bits, out, &mut b.scratch, &mut b.low);
        };
        let fine = if bits == Bits::Eight { Bits::EightTwice } else { bits };
        project(Projection::K, &layer.k, bits, &mut b.activations, &mut b.k);
        project(Projection::V, &layer.v, fine, &mut b.activations, &mut b.v);
        rope(&mut b.k, kv_dim, &b.cos, &b.sin, half);
        self.cache.write(index, &b.k, &b.v);
        if first > 0 {
            b.x.drain(..first * config.hidden_size);
            b.normed.drain(..first * config.hidden_size);
            b.activations.set(&b.normed, config.hidden_size);
        }
        project(Projection::Q, &layer.q, bits, &mut b.activations, &mut b.q);
        rope(&mut b.q, q_dim, &b.cos[first * half..], &b.sin[first * half..], half);
        b.attended.resize(b.q.len(), 0.0);
        let attention = Attention {
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            len: self.cache.len() + first + 1,
            step: 1,
            q: &b.q,
            held: self.cache.layer(index),
        };
        attend(&attention, bits != Bits::Sixteen, &mut b.scores, &mut b.attended);
        b.activations.set(&b.attended, q_dim);
        linear(
            &layer.o,
            factors(lora, index, Projection::O),
            &mut b.activations,
            bits,
            &mut b.delta,
            &mut b.scratch,
            &mut b.low,
        );
        add(&mut b.x, &b.delta);
    }

    /// `x += Down · (silu(Gate x̂) · Up x̂)` with `x̂ = norm(x)`.
    fn mlp(&mut self, index: usize, layer: &LayerWeights) {
        let config = &self.weights.config;
        let b = &mut self.buffers;
        let (lora, bits) = (self.lora.as_ref(), Bits::from(self.precision));
        rms_norm(&b.x, &layer.mlp_norm, config.rms_norm_eps, &mut b.normed);
        b.activations.set(&b.normed, config.hidden_size);
        linear(
            &layer.gate,
            factors(lora, index, Projection::Gate),
            &mut b.activations,
            bits,
            &mut b.gate,
            &mut b.scratch,
            &mut b.low,
        );
        linear(
            &layer.up,
            factors(lora, index, Projection::Up),
            &mut b.activations,
            bits,
            &mut b.up,
            &mut b.scratch,
            &mut b.low,
        );
        silu_mul(&mut b.gate, &b.up);
        b.activations.set(&b.gate, config.intermediate_size);
        linear(
            &layer.down,
            factors(lora, index, Projection::Down),
            &mut b.activations,
            bits,
            &mut b.delta,
            &mut b.scratch,
            &mut b.low,
        );
        add(&mut b.x, &b.delta);
    }

    /// Logits of the rows that have come this far.
    fn head(&mut self, weights: &DecoderWeights) -> Vec<f32> {
        let config = &weights.config;
        let b = &mut self.buffers;
        b.normed.resize(b.x.len(), 0.0);
        rms_norm(&b.x, &weights.output_norm, config.rms_norm_eps, &mut b.normed);
        b.activations.set(&b.normed, config.hidden_size);
        let mut out = vec![0.0; b.x.len() / config.hidden_size * config.vocab_size];
        // Logits are what is compared; one row of them costs little.
        matmul(weights.head(), &mut b.activations, Bits::Sixteen, &mut out, &mut b.scratch);
        out
    }
}

fn factors(lora: Option<&ActiveLora>, layer: usize, projection: Projection) -> Option<(&LowRank, f32)> {
    let lora = lora?;
    Some((lora.set.layers.get(layer)?.get(projection)?, lora.scale))
}

/// `out = W x + scale · B (A x)`, `[n, rows]`.
fn linear(
    w: &PackedMatrix,
    delta: Option<(&LowRank, f32)>,
    x: &mut Activations,
    bits: Bits,
    out: &mut Vec<f32>,
    scratch: &mut Scratch,
    low: &mut Vec<f32>,
) {
    out.resize(x.n * w.rows, 0.0);
    // Activations lose half as much against 4-bit weights as against 8-bit ones, which leave them seven bits.
    let bits = if w.format == PackedFormat::Q4 { bits } else { Bits::Sixteen };
    matmul(w, x, bits, out, scratch);
    let Some((factors, scale)) = delta else { return };
    let scale = scale * factors.scaling;
    for (t, out) in out.chunks_exact_mut(w.rows).enumerate() {
        low.clear();
        low.extend(factors.a.chunks_exact(w.cols).map(|a| scale * dot(a, x.row_values(t))));
        for (out, b) in out.iter_mut().zip(factors.b.chunks_exact(factors.rank)) {
            *out += dot(b, low);
        }
    }
}
