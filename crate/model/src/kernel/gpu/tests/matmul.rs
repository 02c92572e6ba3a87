use super::*;
use crate::kernel::gpu::{
    ColumnOrder, GemmEpilogue, GemmShape, LowRankShape, MAX_PREFILL_ROWS, arg, state, state_words,
};
use cubecl::prelude::*;

/// Runs [`gemm`] for `n` rows of input; `parts` `(rows, rank)` of an adapter.
fn check(
    tuning: Tuning,
    format: PackedFormat,
    rows: usize,
    cols: usize,
    n: usize,
    epilogue: GemmEpilogue,
    parts: &[(usize, usize)],
) {
    let gpu = gpu(tuning);
    let mut noise = Noise(rows as u32 + n as u32);
    let matrix = noise.matrix(format, rows, cols);
    let stride = rows.next_multiple_of(4) + 8;
    let x = noise.numbers(MAX_PREFILL_ROWS * cols);
    let before = noise.numbers(MAX_PREFILL_ROWS * stride);
    let bias = noise.numbers(rows.next_multiple_of(4));
    let (low_rank, len) = LowRankShape::new(parts, cols);
    let data = noise.numbers(len);
    let scale = 0.5;
    let out = gpu.upload(&before).unwrap();
    let mut shape = gpu.tuning.gemm(format, rows, cols, n, stride, epilogue);
    shape.out_first = 4;
    assert!(shape.workgroup_bytes() <= 16 << 10 && shape.threads() <= 256);
    let uploaded = upload(&gpu, &matrix);
    let words = gpu.upload(&state_words(0, 0, scale, &[], 0)).unwrap();
    let x_handle = gpu.upload(&x).unwrap();
    let bias_handle = gpu.upload(&bias).unwrap();
    let factors = gpu.upload(&data).unwrap();
    let ax = gpu.empty(low_rank.total_rank() * MAX_PREFILL_ROWS).unwrap();
    let launch = |shape: GemmShape, quants, scales, [extra, ax]: [BufferArg; 2], out| {
        let x = arg(&x_handle, MAX_PREFILL_ROWS * cols / 4);
        shape.launch(&gpu, n, [quants, scales, x, extra, ax, arg(&words, state::IDS), out]);
    };
    let mut extra = [arg(&bias_handle, bias.len() / 4), gpu.unused(2)];
    if low_rank.is_active() {
        let a = GemmShape {
            format: PackedFormat::F32,
            order: ColumnOrder::Of(format),
            rows: low_rank.total_rank(),
            epilogue: GemmEpilogue::Transposed,
            ..shape
        };
        let ax_len = low_rank.total_rank() * MAX_PREFILL_ROWS / 4;
        launch(a, arg(&factors, len), gpu.unused(0), [gpu.unused(1), gpu.unused(2)], arg(&ax, ax_len));
        shape.low_rank = low_rank;
        extra = [arg(&factors, len / 4), arg(&ax, ax_len)];
    }
    launch(shape, uploaded.quants(), uploaded.scales(&gpu), extra, arg(&out, before.len() / 4));
    let got = read(&gpu, &out, before.len());
    for row in 0..n {
        let x = &x[row * cols..][..cols];
        let mut y = product(&matrix, x);
        let permuted: Vec<f32> =
            (0..cols).map(|k| x[k / BLOCK * BLOCK + ColumnOrder::Of(format).natural(k % BLOCK)]).collect();
        for (i, part) in low_rank.parts[..low_rank.n_parts].iter().enumerate() {
            let ax: Vec<f32> = (0..part.rank)
                .map(|r| data[(low_rank.a_row(i) + r) * cols..][..cols].iter().zip(&permuted).map(|(a, x)| a * x).sum())
                .collect();
            for row in low_rank.start(i)..part.end {
                let b = &data[part.b * 4 + (row - low_rank.start(i)) * part.rank..][..part.rank];
                y[row] += scale * b.iter().zip(&ax).map(|(b, a)| b * a).sum::<f32>();
            }
        }
        let before = &before[row * stride + 4..][..rows];
        let expected: Vec<f32> = match epilogue {
            GemmEpilogue::Store | GemmEpilogue::Transposed => y,
            GemmEpilogue::Add => before.iter().zip(&y).map(|(b, y)| b + y).collect(),
            GemmEpilogue::Bias => y.iter().zip(&bias).map(|(y, b)| y + b).collect(),
            GemmEpilogue::BiasGelu => y.iter().zip(&bias).map(|(y, b)| gelu(y + b)).collect(),
        };
        assert_close(
            &format!("{format:?} {epilogue:?} {tuning:?} row {row}"),
            &got[row * stride + 4..][..rows],
            &expected,
            3e-5,
        );
    }
}

/// With `erf` integrated numerically.
fn gelu(v: f32) -> f32 {
    let (z, n) = (v as f64 / 2f64.sqrt(), 2000);
    let step = z / n as f64;
    let erf: f64 = (0..n).map(|i| (-((i as f64 + 0.5) * step).powi(2)).exp() * step).sum::<f64>() * 2.0
        / std::f64::consts::PI.sqrt();
    (0.5 * v as f64 * (1.0 + erf)) as f32
}

#[test]
fn every_format_multiplies_a_batch() {
    for tuning in TUNINGS {
        for format in FORMATS {
            check(tuning, format, 36, 64, 5, GemmEpilogue::Add, &[]);
        }
        check(tuning, PackedFormat::Q4, 96, 64, 64, GemmEpilogue::Store, &[]);
    }
}

#[test]
fn rows_that_do_not_fill_tiles_are_guarded() {
    for tuning in TUNINGS {
        check(tuning, PackedFormat::Q8, 45, 96, 33, GemmEpilogue::Store, &[]);
    }
}

#[test]
fn low_rank_deltas_are_added_to_a_batch() {
    for tuning in TUNINGS {
        for format in FORMATS {
            check(tuning, format, 96, 64, 9, GemmEpilogue::Add, &[(48, 8), (16, 0), (32, 4)]);
        }
        check(tuning, PackedFormat::Q4, 96, 64, 20, GemmEpilogue::Add, &[(96, 40)]);
    }
}

#[test]
fn biases_and_gelu_are_applied() {
    for tuning in TUNINGS {
        check(tuning, PackedFormat::Q8, 64, 64, 10, GemmEpilogue::Bias, &[]);
        check(tuning, PackedFormat::Q8, 64, 64, 10, GemmEpilogue::BiasGelu, &[]);
    }
}
