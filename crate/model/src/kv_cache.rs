//! Keys and values of the positions read so far, on the CPU.

/// Positions whose keys lie side by side.
const LANES: usize = 4;

/// Keys by position, laid out so that a query meets four of them at once.
pub struct Keys {
    kv_dim: usize,
    len: usize,
    lanes: Vec<[f32; LANES]>,
}

impl Keys {
    pub fn new(kv_dim: usize) -> Self {
        Self { kv_dim, len: 0, lanes: Vec::new() }
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// `[⌈len/4⌉, kv_dim, 4]`
    pub fn lanes(&self) -> &[[f32; LANES]] {
        &self.lanes
    }

    /// Adds positions, `[n, kv_dim]`.
    pub fn extend(&mut self, keys: &[f32]) {
        let start = self.len;
        self.len += keys.len() / self.kv_dim;
        self.lanes.resize(self.len.div_ceil(LANES) * self.kv_dim, [0.0; LANES]);
        for (position, keys) in (start..).zip(keys.chunks_exact(self.kv_dim)) {
            let block = &mut self.lanes[position / LANES * self.kv_dim..][..keys.len()];
            for d in 0..keys.len() {
                block[d][position % LANES] = keys[d];
            }
        }
    }
}

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
