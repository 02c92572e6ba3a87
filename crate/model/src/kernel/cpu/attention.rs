//! Scaled dot-product attention over cached keys and values, one query row at a time.

use wide::f32x4;

use super::vector::{add_scaled, dot};

/// Heads of a layer.
#[derive(Clone, Copy)]
pub struct Heads {
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
}

/// Attends from one query row to the first `len` cached positions.
///
/// # Shapes
/// `q`, `out` `[heads·head_dim]`; `keys`, `values` `[≥ len, kv_heads·head_dim]`; `scores` is scratch.
pub fn attend(heads: Heads, q: &[f32], keys: &[f32], values: &[f32], len: usize, scores: &mut Vec<f32>, out: &mut [f32]) {
    let Heads { num_attention_heads, num_key_value_heads, head_dim } = heads;
    let kv_dim = num_key_value_heads * head_dim;
    let group = num_attention_heads / num_key_value_heads;
    let scale = 1.0 / (head_dim as f32).sqrt();
    scores.resize(len.next_multiple_of(4) * group, 0.0);
    let stride = len.next_multiple_of(4);
    for kv_head in 0..num_key_value_heads {
        let column = kv_head * head_dim..(kv_head + 1) * head_dim;
        let first = kv_head * group;
        for t in 0..len {
            let key = &keys[t * kv_dim..][column.clone()];
            for g in 0..group {
                scores[g * stride + t] = dot(&q[(first + g) * head_dim..][..head_dim], key) * scale;
            }
        }
        let out = &mut out[first * head_dim..(first + group) * head_dim];
        out.fill(0.0);
        for scores in scores.chunks_exact_mut(stride).take(group) {
            scores[len..].fill(f32::NEG_INFINITY);
            softmax(scores);
        }
        for t in 0..len {
            let value = &values[t * kv_dim..][column.clone()];
            for g in 0..group {
                add_scaled(&mut out[g * head_dim..(g + 1) * head_dim], scores[g * stride + t], value);
            }
        }
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
        for len in [1, 3, 4, 9] {
            let q: Vec<f32> = (0..48).map(|i| value(i, 1)).collect();
            let keys: Vec<f32> = (0..len * 16).map(|i| value(i, 2) * 3.0).collect();
            let values: Vec<f32> = (0..len * 16).map(|i| value(i, 3)).collect();
            let (mut scores, mut out) = (Vec::new(), vec![0.0; 48]);
            attend(heads, &q, &keys, &values, len, &mut scores, &mut out);
            for head in 0..6 {
                let kv = head / 3;
                let s: Vec<f64> = (0..len)
                    .map(|t| (0..8).map(|d| q[head * 8 + d] as f64 * keys[t * 16 + kv * 8 + d] as f64).sum::<f64>() / 8f64.sqrt())
                    .map(f64::exp)
                    .collect();
                for d in 0..8 {
                    let expected = (0..len).map(|t| s[t] * values[t * 16 + kv * 8 + d] as f64).sum::<f64>() / s.iter().sum::<f64>();
                    assert!((out[head * 8 + d] as f64 - expected).abs() < 1e-5);
                }
            }
        }
    }
}
