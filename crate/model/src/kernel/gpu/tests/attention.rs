use super::*;
use crate::kernel::gpu::{
    AttentionShape, arg, attention_combine, attention_decode, launch_bidirectional, launch_causal, state, state_words,
};
use cubecl::prelude::*;

/// One head: `q` `[d]`, keys and values `[len][d]`.
fn attend(q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
    let scale = 1.0 / (q.len() as f32).sqrt();
    let scores: Vec<f32> = keys.iter().map(|k| scale * q.iter().zip(*k).map(|(a, b)| a * b).sum::<f32>()).collect();
    let max = scores.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
    let total: f32 = weights.iter().sum();
    (0..q.len()).map(|d| weights.iter().zip(values).map(|(w, v)| w * v[d]).sum::<f32>() / total).collect()
}

fn check_cached(tuning: Tuning, heads: usize, kv_heads: usize, head_dim: usize, position: usize, rows: usize) {
    for parts in if rows == 1 { &[1, 3, 8][..] } else { &[1] } {
        check_parts(tuning, heads, kv_heads, head_dim, position, rows, *parts);
    }
}

fn check_parts(
    tuning: Tuning,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    position: usize,
    rows: usize,
    parts: usize,
) {
    let gpu = gpu(tuning);
    let mut noise = Noise(position as u32);
    let n_ctx = 1100;
    let (q_dim, kv_dim) = (heads * head_dim, kv_heads * head_dim);
    let stride = q_dim + 2 * kv_dim;
    let mut cache: Vec<f32> = noise.numbers(2 * n_ctx * kv_dim + q_dim);
    cache.iter_mut().for_each(|v| *v *= 3.0);
    let mut queries = noise.numbers(rows * stride);
    let single = rows == 1;
    if single {
        queries[..q_dim].copy_from_slice(&cache[2 * n_ctx * kv_dim..]);
    }
    let mut expected = Vec::new();
    for row in 0..rows {
        for head in 0..heads {
            let kv = head / (heads / kv_heads) * head_dim;
            let at = |half: usize, t: usize| &cache[(half * n_ctx + t) * kv_dim + kv..][..head_dim];
            let keys: Vec<&[f32]> = (0..position + row + 1).map(|t| at(0, t)).collect();
            let values: Vec<&[f32]> = (0..position + row + 1).map(|t| at(1, t)).collect();
            expected.extend(attend(&queries[row * stride + head * head_dim..][..head_dim], &keys, &values));
        }
    }
    let shape = AttentionShape {
        num_heads: heads,
        num_key_value_heads: kv_heads,
        head_dim,
        threads: tuning.attention_threads.max(head_dim / 4),
        q_offset: if single { 2 * n_ctx * kv_dim / 4 } else { 0 },
        q_stride: stride / 4,
        k_offset: 0,
        v_offset: n_ctx * kv_dim / 4,
        kv_stride: kv_dim / 4,
        direct: !single && tuning.attention_direct,
        parts,
    };
    assert!(shape.workgroup_bytes() <= 16 << 10);
    let padded = rows.next_multiple_of(64);
    queries.resize(padded * stride, 0.0);
    let out = gpu.empty(padded * q_dim).unwrap();
    let cache_handle = gpu.upload(&cache).unwrap();
    let words = gpu.upload(&state_words(position, 0, 1.0, &[], 0)).unwrap();
    let (cache_arg, step, out_arg) =
        (arg(&cache_handle, cache.len() / 4), arg(&words, state::IDS), arg(&out, padded * q_dim / 4));
    if single {
        let partial_len = AttentionShape::partial_len(heads, head_dim, parts);
        let partial = gpu.empty(partial_len).unwrap();
        let partial = || arg(&partial, partial_len / 4);
        let to = if parts == 1 { out_arg } else { partial() };
        let (count, dim) = (CubeCount::Static(heads as u32, parts as u32, 1), CubeDim::new_1d(shape.threads as u32));
        unsafe { attention_decode::launch_unchecked(&gpu.client, count, dim, cache_arg, step, to, shape) };
        if parts > 1 {
            let (count, dim) = (CubeCount::Static(heads as u32, 1, 1), CubeDim::new_1d(head_dim as u32 / 4));
            let out = arg(&out, padded * q_dim / 4);
            unsafe { attention_combine::launch_unchecked(&gpu.client, count, dim, partial(), out, shape) };
        }
    } else {
        let queries = gpu.upload(&queries).unwrap();
        launch_causal(&gpu, rows, [arg(&queries, padded * stride / 4), cache_arg, step, out_arg], shape);
    }
    assert_close(
        &format!("{head_dim} dimensions at {position} in {parts} parts, {tuning:?}"),
        &read(&gpu, &out, rows * q_dim),
        &expected,
        1e-5,
    );
}

#[test]
fn one_query_attends_to_the_cache() {
    for tuning in TUNINGS {
        for position in [0, 31, 63, 64, 1030] {
            check_cached(tuning, 6, 2, 64, position, 1);
        }
    }
    for head_dim in [8, 80, 128] {
        check_cached(Tuning::HARDWARE, 6, 2, head_dim, 300, 1);
    }
    check_cached(Tuning::SOFTWARE, 6, 2, 128, 300, 1);
}

#[test]
fn a_batch_attends_to_the_cache_and_to_what_came_before_in_it() {
    for tuning in TUNINGS {
        check_cached(tuning, 3, 1, 64, 0, 13);
        check_cached(tuning, 4, 4, 32, 150, 7);
        check_cached(tuning, 3, 3, 8, 1080, 20);
    }
}

#[test]
fn padded_sequences_attend_to_themselves_alone() {
    for tuning in TUNINGS {
        let gpu = gpu(tuning);
        let mut noise = Noise(3);
        let (heads, head_dim, width, lens) = (3, 32, 9, [9usize, 1, 5]);
        let hidden = heads * head_dim;
        let rows = width * lens.len();
        let padded = rows.next_multiple_of(64);
        let qkv = noise.numbers(padded * 3 * hidden);
        let shape = AttentionShape {
            num_heads: heads,
            num_key_value_heads: heads,
            head_dim,
            threads: tuning.attention_threads.max(head_dim / 4),
            q_offset: 0,
            q_stride: 3 * hidden / 4,
            k_offset: hidden / 4,
            v_offset: hidden / 2,
            kv_stride: 3 * hidden / 4,
            direct: tuning.attention_direct,
            parts: 1,
        };
        let mut words: Vec<u32> = [width, 9, 1, 5].map(|n| n as u32).to_vec();
        words.resize(words.len() + 64, 0);
        let (input, batch, out) =
            (gpu.upload(&qkv).unwrap(), gpu.upload(&words).unwrap(), gpu.empty(padded * hidden).unwrap());
        let buffers = [arg(&input, qkv.len() / 4), arg(&batch, words.len()), arg(&out, padded * hidden / 4)];
        launch_bidirectional(&gpu, rows, buffers, shape);
        let got = read(&gpu, &out, rows * hidden);
        for (sequence, &len) in lens.iter().enumerate() {
            for t in 0..len {
                for head in 0..heads {
                    let at = |part: usize, t: usize| {
                        &qkv[(sequence * width + t) * 3 * hidden + part * hidden + head * head_dim..][..head_dim]
                    };
                    let keys: Vec<&[f32]> = (0..len).map(|t| at(1, t)).collect();
                    let values: Vec<&[f32]> = (0..len).map(|t| at(2, t)).collect();
                    let to = (sequence * width + t) * hidden + head * head_dim;
                    assert_close("encoder", &got[to..to + head_dim], &attend(at(0, t), &keys, &values), 1e-5);
                }
            }
        }
    }
}
