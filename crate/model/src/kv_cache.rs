//! Keys and values of the positions read so far, on the CPU.
//!
//! In 16 bits: whole numbers of steps, of a size that each head has for itself at each position, as activations are
//! rounded (`kernel/cpu/activation.rs`). That takes half the memory of single precision and is as good.

use lectern_simd::Held;

/// Positions whose numbers lie side by side.
const EIGHT: usize = 8;
/// Positions by which room grows after a prompt: seldom enough to move little, often enough to hold little more than is
/// used.
const ROOM: usize = 64;

/// Makes room for `len` in all.
fn reserve<T>(vec: &mut Vec<T>, len: usize, room: usize) {
    if len > vec.capacity() {
        vec.reserve_exact(len.next_multiple_of(room) - vec.len());
    }
}

/// `width` numbers for each position, laid out so that a query meets eight positions at once.
pub struct Eights<T> {
    width: usize,
    len: usize,
    eights: Vec<[T; EIGHT]>,
}

impl<T: Copy + Default> Eights<T> {
    pub fn new(width: usize) -> Self {
        Self { width, len: 0, eights: Vec::new() }
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// `[⌈len/8⌉, width, 8]`
    pub fn eights(&self) -> &[[T; EIGHT]] {
        &self.eights
    }

    /// Makes room for `len` positions in all.
    fn reserve(&mut self, len: usize) {
        reserve(&mut self.eights, len.div_ceil(EIGHT) * self.width, ROOM / EIGHT * self.width);
    }

    /// Adds positions, `[n, width]`.
    pub fn extend(&mut self, numbers: &[T]) {
        let start = self.len;
        self.len += numbers.len() / self.width;
        self.reserve(self.len);
        self.eights.resize(self.len.div_ceil(EIGHT) * self.width, [T::default(); EIGHT]);
        for (position, numbers) in (start..).zip(numbers.chunks_exact(self.width)) {
            let block = &mut self.eights[position / EIGHT * self.width..][..numbers.len()];
            for i in 0..numbers.len() {
                block[i][position % EIGHT] = numbers[i];
            }
        }
    }
}

/// Keys and values of every layer; grows as positions are added.
pub struct KvCache {
    kv_dim: usize,
    head_dim: usize,
    len: usize,
    layers: Vec<LayerCache>,
    /// What is about to be held.
    short: Short,
}

struct LayerCache {
    keys: Eights<i16>,
    key_steps: Eights<f32>,
    /// `[positions, kv_dim]`
    values: Vec<i16>,
    value_steps: Eights<f32>,
}

impl LayerCache {
    fn new(num_key_value_heads: usize, kv_dim: usize) -> Self {
        Self {
            keys: Eights::new(kv_dim),
            key_steps: Eights::new(num_key_value_heads),
            values: Vec::new(),
            value_steps: Eights::new(num_key_value_heads),
        }
    }
}

impl KvCache {
    pub fn new(n_layers: usize, num_key_value_heads: usize, head_dim: usize) -> Self {
        let kv_dim = num_key_value_heads * head_dim;
        Self {
            kv_dim,
            head_dim,
            len: 0,
            layers: (0..n_layers).map(|_| LayerCache::new(num_key_value_heads, kv_dim)).collect(),
            short: Short::default(),
        }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `len` positions in all.
    pub fn reserve(&mut self, len: usize) {
        for LayerCache { keys, key_steps, values, value_steps } in &mut self.layers {
            keys.reserve(len);
            key_steps.reserve(len);
            reserve(values, len * self.kv_dim, ROOM * self.kv_dim);
            value_steps.reserve(len);
        }
    }

    /// Writes one layer's keys and values, `[n, kv_dim]` each, for the positions after [`Self::len`].
    /// They count once every layer has its own and [`Self::advance`] is called.
    pub fn write(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let Self { kv_dim, head_dim, len, ref mut short, .. } = *self;
        let held = &mut self.layers[layer];
        short.set(keys, head_dim);
        held.keys.truncate(len);
        held.keys.extend(&short.numbers);
        held.key_steps.truncate(len);
        held.key_steps.extend(&short.steps);
        short.set(values, head_dim);
        held.values.truncate(len * kv_dim);
        reserve(&mut held.values, held.keys.len * kv_dim, ROOM * kv_dim);
        held.values.extend_from_slice(&short.numbers);
        held.value_steps.truncate(len);
        held.value_steps.extend(&short.steps);
    }

    /// One layer's keys and values, those just written included.
    pub fn layer(&self, layer: usize) -> Held<'_> {
        let LayerCache { keys, key_steps, values, value_steps } = &self.layers[layer];
        Held::Short { keys: keys.eights(), values, key_steps: key_steps.eights(), value_steps: value_steps.eights() }
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

/// Numbers in steps.
#[derive(Default)]
struct Short {
    numbers: Vec<i16>,
    /// One for each `head_dim` numbers.
    steps: Vec<f32>,
}

impl Short {
    fn set(&mut self, values: &[f32], head_dim: usize) {
        self.numbers.clear();
        self.steps.clear();
        for head in values.chunks_exact(head_dim) {
            let largest = head.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
            let per_step = if largest > 0.0 { f32::from(i16::MAX) / largest } else { 0.0 };
            self.numbers.extend(head.iter().map(|v| (v * per_step).round_ties_even() as i16));
            self.steps.push(largest / f32::from(i16::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_within_half_a_step_and_what_is_forgotten_is_written_over() {
        let (heads, head_dim) = (2, 8);
        let kv_dim = heads * head_dim;
        let wave = |n: usize, phase: f32| -> Vec<f32> {
            (0..n * kv_dim).map(|i| (i as f32 * 0.7 + phase).sin() * if i % kv_dim < 8 { 1e-3 } else { 40.0 }).collect()
        };
        let mut cache = KvCache::new(1, heads, head_dim);
        for (n, kept) in [(11, 0), (5, 9), (1, 14)] {
            cache.truncate(kept);
            assert_eq!(cache.len(), kept);
            let (keys, values) = (wave(n, 0.3), wave(n, 1.9));
            cache.write(0, &keys, &values);
            cache.advance(n);
            let Held::Short { keys: held_keys, values: held_values, key_steps, value_steps } = cache.layer(0) else {
                panic!("not short")
            };
            for (i, (key, value)) in keys.iter().zip(&values).enumerate() {
                let (t, d) = (kept + i / kv_dim, i % kv_dim);
                let (key_step, value_step) =
                    (key_steps[t / 8 * heads + d / 8][t % 8], value_steps[t / 8 * heads + d / 8][t % 8]);
                let held_key = f32::from(held_keys[t / 8 * kv_dim + d][t % 8]) * key_step;
                let held_value = f32::from(held_values[t * kv_dim + d]) * value_step;
                assert!((held_key - key).abs() <= key_step * 0.51, "{key} became {held_key}");
                assert!((held_value - value).abs() <= value_step * 0.51, "{value} became {held_value}");
            }
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut cache = KvCache::new(1, 1, 8);
        cache.write(0, &[0.0; 8], &[0.0; 8]);
        let Held::Short { values, value_steps, .. } = cache.layer(0) else { panic!("not short") };
        assert_eq!((values, value_steps[0][0]), (&[0; 8][..], 0.0));
    }
}
