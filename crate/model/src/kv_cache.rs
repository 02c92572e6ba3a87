//! Keys and values of the positions read so far, on the CPU.

use crate::kernel::cpu::attention::Keys;

/// Keys and values of every layer; grows as positions are added.
pub struct KvCache {
    kv_dim: usize,
    len: usize,
    layers: Vec<LayerCache>,
}

struct LayerCache {
    keys: Keys,
    /// `[positions, kv_dim]`
    values: Vec<f32>,
}

impl KvCache {
    pub fn new(n_layers: usize, kv_dim: usize) -> Self {
        Self {
            kv_dim,
            len: 0,
            layers: (0..n_layers).map(|_| LayerCache { keys: Keys::new(kv_dim), values: Vec::new() }).collect(),
        }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes one layer's keys and values, `[n, kv_dim]` each, for the positions after [`Self::len`].
    /// They count once every layer has its own and [`Self::advance`] is called.
    pub fn write(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let cache = &mut self.layers[layer];
        cache.keys.truncate(self.len);
        cache.values.truncate(self.len * self.kv_dim);
        cache.keys.extend(keys);
        cache.values.extend_from_slice(values);
    }

    /// One layer's keys, and its values `[positions, kv_dim]`, those just written included.
    pub fn layer(&self, layer: usize) -> (&Keys, &[f32]) {
        let cache = &self.layers[layer];
        (&cache.keys, &cache.values)
    }

    /// Counts `n` positions that every layer has written.
    pub fn advance(&mut self, n: usize) {
        self.len += n;
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}
