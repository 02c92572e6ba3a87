//! The CPU executor of the encoder: sequences of a batch share one pass over the weights.

use std::rc::Rc;

use lectern_simd::{Attention, Held, attend};

use crate::Precision;
use crate::encoder::config::Pooling;
use crate::encoder::weights::{EncoderLayer, EncoderWeights, Linear};
use crate::host::Host;
use crate::kernel::cpu::activation::Activations;
use crate::kernel::cpu::matmul::{Bits, Scratch, matmul};
use crate::kernel::cpu::norm::{gelu, gelu_fast, layer_norm};
use crate::kernel::cpu::vector::{add, dot};
use crate::kv_cache::Eights;
use crate::pace::Pace;

/// Runs an encoder's weights on the CPU.
pub struct CpuEncoder {
    weights: Rc<EncoderWeights>,
    precision: Precision,
    /// Of the sequence that attends.
    keys: Eights<f32>,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    /// `[n, hidden_size]`: the stream; sequences follow each other without padding.
    x: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    /// `[n, intermediate_size]`
    inner: Vec<f32>,
    delta: Vec<f32>,
    scores: Vec<f32>,
    activations: Activations,
    scratch: Scratch,
}

impl CpuEncoder {
    pub fn new(weights: Rc<EncoderWeights>) -> Self {
        let keys = Eights::new(weights.config.hidden_size);
        Self { weights, precision: Precision::Exact, keys, buffers: Buffers::default() }
    }

    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// One unit vector `[hidden_size]` for each sequence of ids.
    pub async fn embed<H: Host>(&mut self, batch: &[&[u32]], host: &H) -> Vec<Vec<f32>> {
        let weights = Rc::clone(&self.weights);
        let config = &weights.config;
        let hidden = config.hidden_size;
        let mut rows = self.hidden_rows(batch, usize::MAX, host).await.chunks_exact(hidden);
        batch
            .iter()
            .map(|ids| {
                let mut vector = vec![0.0; hidden];
                for (i, row) in rows.by_ref().take(ids.len()).enumerate() {
                    if config.pooling == Pooling::Mean || i == 0 {
                        add(&mut vector, row);
                    }
                }
                let inverse = 1.0 / dot(&vector, &vector).sqrt().max(f32::MIN_POSITIVE);
                vector.iter_mut().for_each(|v| *v *= inverse);
                vector
            })
            .collect()
    }

    /// The last layer's row of every token, `[n, hidden_size]`, sequences one after the other. The first `n_first` ids
    /// of each are of segment 0, the others of segment 1.
    pub(super) async fn hidden_rows<H: Host>(&mut self, batch: &[&[u32]], n_first: usize, host: &H) -> &[f32] {
        let weights = Rc::clone(&self.weights);
        let b = &mut self.buffers;
        b.x.clear();
        for ids in batch {
            weights.embed_tokens(ids, n_first, &mut b.x);
        }
        let norm = &weights.embedding_norm;
        layer_norm(&mut b.x, &norm.weight, &norm.bias, weights.config.layer_norm_eps);
        let mut pace = Pace::new(host);
        for layer in &weights.layers {
            self.layer(layer, batch);
            pace.step().await;
        }
        &self.buffers.x
    }

    /// `x ← norm(x + O·attention)`, then `x ← norm(x + Down·gelu(Up x))`.
    fn layer(&mut self, layer: &EncoderLayer, batch: &[&[u32]]) {
        let config = &self.weights.config;
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
        let (b, bits) = (&mut self.buffers, Bits::from(self.precision));
        b.activations.set(&b.x, hidden);
        linear(&layer.q, &mut b.activations, bits, &mut b.q, &mut b.scratch);
        linear(&layer.k, &mut b.activations, bits, &mut b.k, &mut b.scratch);
        linear(&layer.v, &mut b.activations, bits, &mut b.v, &mut b.scratch);
        b.attended.resize(b.x.len(), 0.0);
        let mut start = 0;
        for ids in batch {
            self.keys.truncate(0);
            self.keys.extend(&b.k[start * hidden..][..ids.len() * hidden]);
            let rows = start * hidden..(start + ids.len()) * hidden;
            let attention = Attention {
                num_attention_heads: config.num_attention_heads,
                num_key_value_heads: config.num_attention_heads,
                head_dim: config.head_dim(),
                len: ids.len(),
                step: 0,
                q: &b.q[rows.clone()],
                held: Held::Single { keys: self.keys.eights(), values: &b.v[rows.clone()] },
            };
            attend(&attention, bits == Bits::Eight, &mut b.scores, &mut b.attended[rows]);
            start += ids.len();
        }
        b.activations.set(&b.attended, hidden);
        linear(&layer.o, &mut b.activations, bits, &mut b.delta, &mut b.scratch);
        add(&mut b.x, &b.delta);
        layer_norm(&mut b.x, &layer.attention_norm.weight, &layer.attention_norm.bias, eps);
        b.activations.set(&b.x, hidden);
        linear(&layer.up, &mut b.activations, bits, &mut b.inner, &mut b.scratch);
        match bits {
            Bits::Eight => gelu_fast(&mut b.inner),
            Bits::Sixteen | Bits::EightTwice => gelu(&mut b.inner),
        }
        b.activations.set(&b.inner, config.intermediate_size);
        linear(&layer.down, &mut b.activations, bits, &mut b.delta, &mut b.scratch);
        add(&mut b.x, &b.delta);
        layer_norm(&mut b.x, &layer.output_norm.weight, &layer.output_norm.bias, eps);
    }
}

/// `out = W x + bias`, `[n, rows]`.
pub(super) fn linear(layer: &Linear, x: &mut Activations, bits: Bits, out: &mut Vec<f32>, scratch: &mut Scratch) {
    out.resize(x.n * layer.weight.rows, 0.0);
    matmul(&layer.weight, x, bits, out, scratch);
    for row in out.chunks_exact_mut(layer.bias.len()) {
        add(row, &layer.bias);
    }
}
