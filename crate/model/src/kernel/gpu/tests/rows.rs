use super::*;
use crate::kernel::gpu::{
    GatherShape, LayerNormShape, PoolShape, RopeShape, arg, gather, gather_encoder, layer_norm, pool, rms_norm,
    rope_scatter, silu_mul, state, state_words,
};
use cubecl::prelude::*;

const EPS: f32 = 1e-5;
const THREADS: usize = 32;

#[test]
fn embeddings_are_gathered_in_every_format() {
    for format in FORMATS {
        let gpu = gpu(Tuning::HARDWARE);
        let mut noise = Noise(5);
        let (vocab, cols, head_dim, position) = (11, 96, 8, 2);
        let matrix = noise.matrix(format, vocab, cols);
        let rope = noise.numbers(4 * head_dim);
        let uploaded = upload(&gpu, &matrix);
        let words = gpu.upload(&state_words(position, 0, 1.0, &[3, 10], 2)).unwrap();
        let n = 2 * cols + head_dim;
        let (x, rope_handle) = (gpu.empty(n).unwrap(), gpu.upload(&rope).unwrap());
        let shape = GatherShape { format, cols, vocab, rope: 2 * cols / 4, head_dim };
        unsafe {
            gather::launch_unchecked(
                &gpu.client,
                CubeCount::Static(1, 2, 1),
                CubeDim::new_1d(THREADS as u32),
                uploaded.quants4(),
                uploaded.scales(&gpu),
                arg(&rope_handle, head_dim),
                arg(&words, state::IDS + 2),
                arg(&x, n / 4),
                shape,
            );
        }
        let expected = [matrix.row(3), matrix.row(10), rope[position * head_dim..][..head_dim].to_vec()].concat();
        assert_close(&format!("{format:?}"), &read(&gpu, &x, n), &expected, 1e-6);

        let positions = noise.numbers(2 * cols);
        let batch: Vec<u32> = vec![2, 2, 3, 10];
        let (x, batch_handle) = (gpu.empty(2 * cols).unwrap(), gpu.upload(&batch).unwrap());
        let positions_handle = gpu.upload(&positions).unwrap();
        unsafe {
            gather_encoder::launch_unchecked(
                &gpu.client,
                CubeCount::Static(1, 2, 1),
                CubeDim::new_1d(THREADS as u32),
                uploaded.quants4(),
                uploaded.scales(&gpu),
                arg(&positions_handle, positions.len() / 4),
                arg(&batch_handle, batch.len()),
                arg(&x, 2 * cols / 4),
                2,
                shape,
            );
        }
        let expected: Vec<f32> = expected.iter().zip(&positions).map(|(a, b)| a + b).collect();
        assert_close(&format!("{format:?}"), &read(&gpu, &x, 2 * cols), &expected, 1e-6);
    }
}

#[test]
fn rows_are_normalised() {
    let gpu = gpu(Tuning::HARDWARE);
    let mut noise = Noise(9);
    let (rows, cols) = (3, 96);
    let (x, residual, parameters) = (noise.numbers(rows * cols), noise.numbers(rows * cols), noise.numbers(2 * cols));
    let x_handle = gpu.upload(&x).unwrap();
    let residual_handle = gpu.upload(&residual).unwrap();
    let weight = gpu.upload(&parameters).unwrap();
    let out = gpu.empty(rows * cols).unwrap();
    let n = rows * cols / 4;
    let (count, dim) = (CubeCount::Static(rows as u32, 1, 1), CubeDim::new_1d(THREADS as u32));
    unsafe {
        rms_norm::launch_unchecked(
            &gpu.client,
            count.clone(),
            dim,
            arg(&x_handle, n),
            arg(&weight, cols / 2),
            arg(&out, n),
            cols,
            EPS.to_bits(),
            THREADS,
        );
    }
    let expected: Vec<f32> = x.chunks(cols).flat_map(|x| rms_normed(x, &parameters[..cols], EPS)).collect();
    assert_close("rms norm", &read(&gpu, &out, rows * cols), &expected, 1e-5);
    let shape = LayerNormShape { cols, eps: EPS.to_bits(), residual: true, threads: THREADS };
    unsafe {
        layer_norm::launch_unchecked(
            &gpu.client,
            count,
            dim,
            arg(&x_handle, n),
            arg(&residual_handle, n),
            arg(&weight, cols / 2),
            shape,
        );
    }
    let expected: Vec<f32> = (0..rows)
        .flat_map(|row| {
            let v: Vec<f32> = (row * cols..(row + 1) * cols).map(|i| x[i] + residual[i]).collect();
            let mean = v.iter().sum::<f32>() / cols as f32;
            let variance = v.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / cols as f32;
            let parameters = &parameters;
            (0..cols)
                .map(move |i| (v[i] - mean) / (variance + EPS).sqrt() * parameters[i] + parameters[cols + i])
                .collect::<Vec<_>>()
        })
        .collect();
    assert_close("layer norm", &read(&gpu, &x_handle, rows * cols), &expected, 1e-5);
}

#[test]
fn a_batch_is_rotated_and_cached() {
    let gpu = gpu(Tuning::HARDWARE);
    let mut noise = Noise(2);
    let (q_dim, kv_dim, head_dim, n_ctx, position, rows) = (48, 16, 8, 7, 2, 3);
    let stride = q_dim + 2 * kv_dim;
    let qkv = noise.numbers(rows * stride);
    let rope = noise.numbers(n_ctx * head_dim);
    let mut expected = vec![0f32; 2 * n_ctx * kv_dim];
    let mut rotated = qkv.clone();
    for row in 0..rows {
        let values = &mut rotated[row * stride..][..stride];
        for i in (0..q_dim + kv_dim).step_by(2) {
            let at = (position + row) * head_dim + i % head_dim;
            let (cos, sin) = (rope[at], rope[at + 1]);
            (values[i], values[i + 1]) = (values[i] * cos - values[i + 1] * sin, values[i] * sin + values[i + 1] * cos);
        }
        expected[(position + row) * kv_dim..][..kv_dim].copy_from_slice(&values[q_dim..][..kv_dim]);
        expected[(n_ctx + position + row) * kv_dim..][..kv_dim].copy_from_slice(&values[q_dim + kv_dim..]);
    }
    let cache = gpu.upload(&vec![0f32; expected.len()]).unwrap();
    let (qkv_handle, rope_handle) = (gpu.upload(&qkv).unwrap(), gpu.upload(&rope).unwrap());
    let words = gpu.upload(&state_words(position, 0, 1.0, &[], 0)).unwrap();
    unsafe {
        rope_scatter::launch_unchecked(
            &gpu.client,
            CubeCount::Static((stride / 4).div_ceil(THREADS) as u32, rows as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            arg(&qkv_handle, qkv.len() / 4),
            arg(&rope_handle, rope.len() / 4),
            arg(&words, state::IDS),
            arg(&cache, expected.len() / 4),
            RopeShape { q_dim, kv_dim, head_dim, n_ctx },
        );
    }
    assert_close("cache", &read(&gpu, &cache, expected.len()), &expected, 1e-6);
    let got = read(&gpu, &qkv_handle, qkv.len());
    for row in 0..rows {
        assert_close("queries", &got[row * stride..][..q_dim], &rotated[row * stride..][..q_dim], 1e-6);
    }
}

#[test]
fn gates_multiply_their_neighbours() {
    let gpu = gpu(Tuning::HARDWARE);
    let (rows, cols) = (2, 96);
    let input = Noise(4).numbers(rows * 2 * cols);
    let (handle, out) = (gpu.upload(&input).unwrap(), gpu.empty(rows * cols).unwrap());
    unsafe {
        silu_mul::launch_unchecked(
            &gpu.client,
            CubeCount::Static(1, rows as u32, 1),
            CubeDim::new_1d(THREADS as u32),
            arg(&handle, input.len() / 4),
            arg(&out, rows * cols / 4),
            cols,
        );
    }
    let expected: Vec<f32> = input
        .chunks(2 * cols)
        .flat_map(|row| (0..cols).map(|i| silu(row[i]) * row[cols + i]).collect::<Vec<_>>())
        .collect();
    assert_close("silu mul", &read(&gpu, &out, rows * cols), &expected, 1e-6);
}

#[test]
fn sequences_pool_to_unit_vectors() {
    let gpu = gpu(Tuning::HARDWARE);
    let (cols, width, lens) = (160, 4, [4usize, 2]);
    let x = Noise(6).numbers(width * lens.len() * cols);
    let (handle, out) = (gpu.upload(&x).unwrap(), gpu.empty(lens.len() * cols).unwrap());
    let batch = gpu.upload(&[4u32, 4, 2]).unwrap();
    for first_token in [false, true] {
        unsafe {
            pool::launch_unchecked(
                &gpu.client,
                CubeCount::Static(2, 1, 1),
                CubeDim::new_1d(THREADS as u32),
                arg(&handle, x.len() / 4),
                arg(&batch, 3),
                arg(&out, lens.len() * cols / 4),
                PoolShape { cols, first_token, threads: THREADS },
            );
        }
        let expected: Vec<f32> = lens
            .iter()
            .enumerate()
            .flat_map(|(s, &len)| {
                let n = if first_token { 1 } else { len };
                let sum: Vec<f32> = (0..cols).map(|i| (0..n).map(|t| x[(s * width + t) * cols + i]).sum()).collect();
                let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
                sum.into_iter().map(move |v| v / length).collect::<Vec<_>>()
            })
            .collect();
        assert_close("pool", &read(&gpu, &out, lens.len() * cols), &expected, 1e-6);
    }
}
