use super::*;
use crate::kernel::gpu::{
    CHOOSE_THREADS, ColumnOrder, GemvEpilogue, GemvShape, LowRankShape, QkvShape, arg, choose_largest, gemv, gemv_head,
    gemv_qkv, state, state_words,
};
use cubecl::prelude::*;

const EPS: f32 = 1e-5;

fn shape(gpu: &Gpu, matrix: &PackedMatrix, norm: bool) -> GemvShape {
    GemvShape {
        format: matrix.format,
        rows: matrix.rows,
        cols: matrix.cols,
        threads: gpu.tuning.gemv_threads,
        lanes: gpu.tuning.gemv_lanes,
        lane_pairs: gpu.tuning.gemv_lane_pairs,
        norm_eps: norm.then_some(EPS.to_bits()),
        low_rank: LowRankShape::default(),
    }
}

/// Factors for parts `(rows, rank)`: what is uploaded, and each part's plain `A` and `B`.
struct Factors {
    shape: LowRankShape,
    data: Vec<f32>,
    plain: Vec<(Vec<f32>, Vec<f32>)>,
}

fn factors(noise: &mut Noise, parts: &[(usize, usize)], cols: usize, format: PackedFormat) -> Factors {
    let (shape, len) = LowRankShape::new(parts, cols);
    let mut data = vec![0.0; len];
    let mut plain = Vec::new();
    for (i, &(rows, rank)) in parts.iter().enumerate() {
        let (a, b) = (noise.numbers(rank * cols), noise.numbers(rows * rank));
        for r in 0..rank {
            for k in 0..cols {
                let natural = k / BLOCK * BLOCK + ColumnOrder::Of(format).natural(k % BLOCK);
                data[(shape.a_row(i) + r) * cols + k] = a[r * cols + natural];
            }
        }
        for row in 0..rows {
            for r in 0..rank {
                data[shape.parts[i].b * 4 + row * shape.parts[i].rank + r] = b[row * rank + r];
            }
        }
        plain.push((a, b));
    }
    Factors { shape, data, plain }
}

impl Factors {
    /// Adds `scale · B (A x)`.
    fn add(&self, parts: &[(usize, usize)], scale: f32, x: &[f32], y: &mut [f32]) {
        let mut first = 0;
        for (&(rows, rank), (a, b)) in parts.iter().zip(&self.plain) {
            let ax: Vec<f32> = a.chunks(x.len()).map(|a| a.iter().zip(x).map(|(a, x)| a * x).sum()).collect();
            for row in 0..rows {
                y[first + row] += scale * b[row * rank..][..rank].iter().zip(&ax).map(|(b, a)| b * a).sum::<f32>();
            }
            first += rows;
        }
    }
}

/// Runs [`gemv`] and compares.
fn check(
    tuning: Tuning,
    format: PackedFormat,
    rows: usize,
    cols: usize,
    norm: bool,
    epilogue: GemvEpilogue,
    parts: &[(usize, usize)],
) {
    let gpu = gpu(tuning);
    let mut noise = Noise(rows as u32 + cols as u32);
    let matrix = noise.matrix(format, rows, cols);
    let (x, weight, before) = (noise.numbers(cols), noise.numbers(cols), noise.numbers(rows));
    let f = factors(&mut noise, parts, cols, format);
    let scale = 0.75;
    let input = if norm { rms_normed(&x, &weight, EPS) } else { x.clone() };
    let mut y = product(&matrix, &input);
    f.add(parts, scale, &input, &mut y);
    let expected: Vec<f32> = match epilogue {
        GemvEpilogue::Store => y,
        GemvEpilogue::Add => before.iter().zip(&y).map(|(b, y)| b + y).collect(),
        GemvEpilogue::SiluMul => (0..rows / 2).map(|i| silu(y[i]) * y[i + rows / 2]).collect(),
        GemvEpilogue::MulSilu => before.iter().zip(&y).map(|(b, y)| silu(*b) * y).collect(),
    };
    let mut shape = shape(&gpu, &matrix, norm);
    shape.low_rank = f.shape;
    assert!(shape.workgroup_bytes() <= 16 << 10);
    let uploaded = upload(&gpu, &matrix);
    let out = gpu.upload(&before).unwrap();
    let (x, weight) = (gpu.upload(&x).unwrap(), gpu.upload(&weight).unwrap());
    let data = gpu.upload(&f.data).unwrap();
    let words = gpu.upload(&state_words(0, 0, scale, &[], 0)).unwrap();
    unsafe {
        gemv::launch_unchecked(
            &gpu.client,
            CubeCount::Static(shape.cubes(), 1, 1),
            CubeDim::new_1d(shape.threads as u32),
            uploaded.quants4(),
            uploaded.scales(&gpu),
            arg(&x, cols / 4),
            if norm { arg(&weight, cols / 4) } else { gpu.unused(2) },
            if parts.is_empty() { gpu.unused(1) } else { arg(&data, f.data.len() / 4) },
            arg(&words, state::IDS),
            arg(&out, rows),
            epilogue,
            shape,
        );
    }
    assert_close(&format!("{format:?} {epilogue:?} {tuning:?}"), &read(&gpu, &out, expected.len()), &expected, 2e-5);
}

#[test]
fn every_format_multiplies() {
    for format in FORMATS {
        check(Tuning::HARDWARE, format, 96, 64, false, GemvEpilogue::Store, &[]);
    }
    check(Tuning::SOFTWARE, PackedFormat::F16, 96, 64, false, GemvEpilogue::Store, &[]);
}

#[test]
fn rows_that_do_not_fill_workgroups_are_guarded() {
    for tuning in TUNINGS {
        check(tuning, PackedFormat::Q8, 37, 96, true, GemvEpilogue::Add, &[]);
    }
}

#[test]
fn long_rows_go_through_in_chunks() {
    check(Tuning::HARDWARE, PackedFormat::Q4, 40, 4 * 1024 + 64, true, GemvEpilogue::Add, &[(40, 5)]);
}

#[test]
fn gate_and_up_become_silu_times_up() {
    for tuning in TUNINGS {
        check(tuning, PackedFormat::Q4, 136, 96, true, GemvEpilogue::SiluMul, &[]);
        check(tuning, PackedFormat::Q4, 136, 96, true, GemvEpilogue::SiluMul, &[(68, 8), (68, 3)]);
        check(tuning, PackedFormat::F16, 66, 96, true, GemvEpilogue::MulSilu, &[]);
    }
}

#[test]
fn low_rank_deltas_are_added_in_every_format() {
    for format in FORMATS {
        check(Tuning::SOFTWARE, format, 96, 64, true, GemvEpilogue::Store, &[(48, 8), (16, 0), (32, 6)]);
    }
    check(Tuning::HARDWARE, PackedFormat::Q4, 96, 64, true, GemvEpilogue::Store, &[(48, 8), (16, 0), (32, 6)]);
    check(Tuning::HARDWARE, PackedFormat::Q4, 96, 64, false, GemvEpilogue::Add, &[(96, 64)]);
}

#[test]
fn queries_keys_and_values_go_to_their_places() {
    for tuning in TUNINGS {
        let gpu = gpu(tuning);
        let mut noise = Noise(7);
        let (cols, head_dim, n_ctx, position) = (64, 8, 5, 3);
        let (q_dim, kv_dim) = (32, 16);
        let matrix = noise.matrix(PackedFormat::Q4, q_dim + 2 * kv_dim, cols);
        let (x, weight, angles) = (noise.numbers(cols), noise.numbers(cols), noise.numbers(head_dim / 2));
        let mut y = product(&matrix, &rms_normed(&x, &weight, EPS));
        for row in (0..q_dim + kv_dim).step_by(2) {
            let (sin, cos) = angles[row % head_dim / 2].sin_cos();
            (y[row], y[row + 1]) = (y[row] * cos - y[row + 1] * sin, y[row] * sin + y[row + 1] * cos);
        }
        let mut expected = vec![0f32; 2 * n_ctx * kv_dim + q_dim];
        expected[2 * n_ctx * kv_dim..].copy_from_slice(&y[..q_dim]);
        expected[position * kv_dim..][..kv_dim].copy_from_slice(&y[q_dim..q_dim + kv_dim]);
        expected[(n_ctx + position) * kv_dim..][..kv_dim].copy_from_slice(&y[q_dim + kv_dim..]);
        let mut with_rope = x.clone();
        with_rope.extend(angles.iter().flat_map(|a| [a.cos(), a.sin()]));
        let shape = shape(&gpu, &matrix, true);
        let uploaded = upload(&gpu, &matrix);
        let cache = gpu.upload(&vec![0f32; expected.len()]).unwrap();
        let (x, weight) = (gpu.upload(&with_rope).unwrap(), gpu.upload(&weight).unwrap());
        let words = gpu.upload(&state_words(position, 0, 1.0, &[], 0)).unwrap();
        let to = QkvShape { first_row: 0, q_dim, kv_dim, head_dim, n_ctx, rope: cols / 4 };
        unsafe {
            gemv_qkv::launch_unchecked(
                &gpu.client,
                CubeCount::Static(shape.cubes(), 1, 1),
                CubeDim::new_1d(shape.threads as u32),
                uploaded.quants4(),
                uploaded.scales(&gpu),
                arg(&x, with_rope.len() / 4),
                arg(&weight, cols / 4),
                gpu.unused(1),
                arg(&words, state::IDS),
                arg(&cache, expected.len()),
                to,
                shape,
            );
        }
        assert_close("qkv", &read(&gpu, &cache, expected.len()), &expected, 2e-5);
    }
}

/// The head and choose_largest on row 1 of two; what the state holds after it.
fn head(tuning: Tuning, rows: usize, spoil: impl Fn(&mut PackedMatrix)) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
    let gpu = gpu(tuning);
    let mut noise = Noise(rows as u32);
    let cols = 64;
    let mut matrix = noise.matrix(PackedFormat::F32, rows, cols);
    spoil(&mut matrix);
    let (x, weight) = (noise.numbers(2 * cols), noise.numbers(cols));
    let expected = product(&matrix, &rms_normed(&x[cols..], &weight, EPS));
    let shape = shape(&gpu, &matrix, true);
    let uploaded = upload(&gpu, &matrix);
    let logits = gpu.empty(rows).unwrap();
    let best = gpu.empty(2 * rows).unwrap();
    let (x, weight) = (gpu.upload(&x).unwrap(), gpu.upload(&weight).unwrap());
    let words = gpu.upload(&state_words(9, 1, 1.0, &[4], 1)).unwrap();
    unsafe {
        gemv_head::launch_unchecked(
            &gpu.client,
            CubeCount::Static(shape.cubes(), 1, 1),
            CubeDim::new_1d(shape.threads as u32),
            uploaded.quants4(),
            uploaded.scales(&gpu),
            arg(&x, 2 * cols / 4),
            arg(&weight, cols / 4),
            arg(&words, state::IDS + 1),
            arg(&logits, rows),
            arg(&best, 2 * rows),
            shape,
        );
        choose_largest::launch_unchecked(
            &gpu.client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(CHOOSE_THREADS as u32),
            arg(&best, 2 * rows),
            arg(&words, state::IDS + 1),
            shape.cubes() as usize,
        );
    }
    let state = pollster::block_on(gpu.read::<u32>(&words, 0, state::IDS + 1)).unwrap();
    (read(&gpu, &logits, rows), expected, state)
}

#[test]
fn the_greedy_token_is_found_and_the_state_advances() {
    for tuning in TUNINGS {
        for rows in [5, 4099] {
            let (logits, expected, state) = head(tuning, rows, |_| ());
            assert_close("logits", &logits, &expected, 2e-5);
            let best = (0..rows).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32;
            assert_eq!(state[state::POSITION], 10);
            assert_eq!(state[state::IDS], best);
            assert_eq!(state[state::RESULTS], best + 1);
        }
    }
}

#[test]
fn the_first_of_equal_logits_wins() {
    let (_, _, state) = head(Tuning::HARDWARE, 97, |matrix| {
        let row = matrix.quants[..matrix.cols].to_vec();
        matrix.quants.chunks_exact_mut(row.len()).for_each(|r| r.copy_from_slice(&row));
    });
    assert_eq!(state[state::RESULTS], 1);
}

#[test]
fn broken_logits_are_reported() {
    let nan = |matrix: &mut PackedMatrix| matrix.quants[70 * matrix.cols] = f32::NAN.to_bits();
    assert_eq!(head(Tuning::HARDWARE, 97, nan).2[state::RESULTS], state::BROKEN);
    let zero = |matrix: &mut PackedMatrix| matrix.quants.fill(0);
    assert_eq!(head(Tuning::HARDWARE, 97, zero).2[state::RESULTS], state::BROKEN);
}
