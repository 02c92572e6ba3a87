//! Scaled dot-product attention over cached keys and values, one query row at a time.

use wide::f32x4;

/// Positions whose keys lie side by side.
const LANES: usize = 4;

/// Heads of a layer.
#[derive(Clone, Copy)]
pub struct Heads {
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
}

/// Keys by position, laid out so that a query meets four of them at once.
pub struct Keys {
    kv_dim: usize,
    len: usize,
    /// `[⌈len/4⌉, kv_dim, 4]`
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

/// Attends from one query row to the first `len` cached positions.
///
/// # Shapes
/// `q`, `out` `[heads·head_dim]`; `keys` `len` positions or more; `values` `[≥ len, kv_heads·head_dim]`; `scores` is
/// scratch.
pub fn attend(
    heads: Heads,
    q: &[f32],
    keys: &Keys,
    values: &[f32],
    len: usize,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let Heads { num_attention_heads, num_key_value_heads, head_dim } = heads;
    let group = num_attention_heads / num_key_value_heads;
    let scale = f32x4::splat(1.0 / (head_dim as f32).sqrt());
    scores.resize(len.next_multiple_of(LANES), 0.0);
    for head in 0..num_attention_heads {
        let first = head / group * head_dim;
        let q = &q[head * head_dim..][..head_dim];
        let rows = scores.as_chunks_mut().0;
        let block = |b: usize| &keys.lanes[b * keys.kv_dim + first..][..head_dim];
        let mut b = 0;
        while b + 4 <= rows.len() {
            let dots = dots4(q, block(b), block(b + 1), block(b + 2), block(b + 3));
            for i in 0..4 {
                rows[b + i] = (dots[i] * scale).to_array();
            }
            b += 4;
        }
        while b < rows.len() {
            rows[b] = (dots1(q, block(b)) * scale).to_array();
            b += 1;
        }
        scores[len..].fill(f32::NEG_INFINITY);
        softmax(scores);
        let kv_dim = num_key_value_heads * head_dim;
        let out = &mut out[head * head_dim..][..head_dim];
        let mut d = 0;
        while d + 32 <= head_dim {
            weigh::<8>(&scores[..len], &values[first + d..], kv_dim, &mut out[d..][..32]);
            d += 32;
        }
        while d + 4 <= head_dim {
            weigh::<1>(&scores[..len], &values[first + d..], kv_dim, &mut out[d..][..4]);
            d += 4;
        }
        for d in d..head_dim {
            out[d] = (0..len).map(|t| scores[t] * values[t * kv_dim + first + d]).sum();
        }
    }
}

/// A query against four blocks of keys; all slices `[head_dim]`.
#[inline(always)]
fn dots4(q: &[f32], k0: &[[f32; 4]], k1: &[[f32; 4]], k2: &[[f32; 4]], k3: &[[f32; 4]]) -> [f32x4; 4] {
    let n = q.len();
    let (k0, k1, k2, k3) = (&k0[..n], &k1[..n], &k2[..n], &k3[..n]);
    let mut dots = [f32x4::ZERO; 4];
    for d in 0..n {
        let q = f32x4::splat(q[d]);
        dots[0] += q * f32x4::new(k0[d]);
        dots[1] += q * f32x4::new(k1[d]);
        dots[2] += q * f32x4::new(k2[d]);
        dots[3] += q * f32x4::new(k3[d]);
    }
    dots
}

#[inline(always)]
fn dots1(q: &[f32], k: &[[f32; 4]]) -> f32x4 {
    let k = &k[..q.len()];
    let mut dots = f32x4::ZERO;
    for d in 0..q.len() {
        dots += f32x4::splat(q[d]) * f32x4::new(k[d]);
    }
    dots
}

/// `out = Σ weights[t] · values[t·stride ..]`, `4·N` numbers wide.
#[inline(always)]
fn weigh<const N: usize>(weights: &[f32], values: &[f32], stride: usize, out: &mut [f32]) {
    let mut acc = [f32x4::ZERO; N];
    for t in 0..weights.len() {
        let weight = f32x4::splat(weights[t]);
        let value = values[t * stride..][..4 * N].as_chunks::<4>().0;
        for i in 0..N {
            acc[i] += weight * f32x4::new(value[i]);
        }
    }
    let out = out.as_chunks_mut().0;
    for i in 0..N {
        out[i] = acc[i].to_array();
    }
}

/// `exp(s) / Σ exp(s)` in place; the length is a multiple of 4, padding is −∞.
fn softmax(scores: &mut [f32]) {
    let scores = scores.as_chunks_mut().0;
    let mut largest = f32x4::splat(f32::NEG_INFINITY);
    for s in scores.iter() {
        largest = largest.max(f32x4::new(*s));
    }
    let largest = f32x4::splat(largest.to_array().into_iter().fold(f32::NEG_INFINITY, f32::max));
    let mut sum = f32x4::ZERO;
    // exp() of −∞ is kept out of the vector routine's range reduction.
    let floor = f32x4::splat(-87.0);
    for s in scores.iter_mut() {
        let shifted = f32x4::new(*s) - largest;
        let e = shifted.max(floor).exp() & shifted.simd_ge(floor);
        *s = e.to_array();
        sum += e;
    }
    let inverse = f32x4::splat(1.0 / sum.reduce_add());
    for s in scores {
        *s = (f32x4::new(*s) * inverse).to_array();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_equals_its_definition() {
        let heads = Heads { num_attention_heads: 6, num_key_value_heads: 2, head_dim: 8 };
        let value = |i: usize, salt: usize| ((i * 37 + salt * 101) % 97) as f32 / 48.0 - 1.0;
        for len in [1, 3, 4, 9, 21] {
            let q: Vec<f32> = (0..48).map(|i| value(i, 1)).collect();
            let keys: Vec<f32> = (0..len * 16).map(|i| value(i, 2) * 3.0).collect();
            let mut cached = Keys::new(16);
            cached.extend(&keys);
            let values: Vec<f32> = (0..len * 16).map(|i| value(i, 3)).collect();
            let (mut scores, mut out) = (Vec::new(), vec![0.0; 48]);
            attend(heads, &q, &cached, &values, len, &mut scores, &mut out);
            for head in 0..6 {
                let kv = head / 3;
                let s: Vec<f64> = (0..len)
                    .map(|t| {
                        (0..8).map(|d| q[head * 8 + d] as f64 * keys[t * 16 + kv * 8 + d] as f64).sum::<f64>()
                            / 8f64.sqrt()
                    })
                    .map(f64::exp)
                    .collect();
                for d in 0..8 {
                    let expected = (0..len).map(|t| s[t] * values[t * 16 + kv * 8 + d] as f64).sum::<f64>()
                        / s.iter().sum::<f64>();
                    assert!((out[head * 8 + d] as f64 - expected).abs() < 1e-5);
                }
            }
        }
    }
}
