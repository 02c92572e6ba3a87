//! The kernels on this machine's best instructions: `cargo bench -p lectern-simd --bench kernels`. Throughput is in products of one
//! weight with one activation, of 8 bits, or of a number of a query with one of a key or value.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lectern_simd::{Attention, BLOCK, Format, Held, Quantised, Scratch, Weights, attend, instructions};

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.37).sin()).collect()
}

/// Rows of a batch of a prompt, of one text, and of one token.
fn products(criterion: &mut Criterion) {
    let Some(instructions) = instructions() else { return eprintln!("this machine has no instructions for them") };
    let mut group = criterion.benchmark_group(format!("product, {}", instructions.name()));
    for (format, n, rows, cols) in [
        (Format::Q4, 64, 1536, 576),
        (Format::Q4, 64, 576, 1536),
        (Format::Q8, 128, 1536, 384),
        (Format::Q8, 128, 384, 1536),
        (Format::Q4, 1, 1536, 576),
        (Format::Q4, 1, 576, 1536),
    ] {
        let n_blocks = rows * cols / BLOCK;
        let quants: Vec<u8> = (0..n_blocks * format.block_bytes()).map(|i| (i * 31) as u8).collect();
        // d = 2⁻⁷, m = −2⁻⁴.
        let scales = vec![0xac00_2000_u32; n_blocks];
        let w = Weights { format, rows, cols, quants: &quants, scales: &scales };
        let mut x = Quantised::new(format.rounding());
        x.set(&wave(n * cols), cols);
        let (mut out, mut scratch) = (vec![0.0; n * rows], Scratch::default());
        group.throughput(Throughput::Elements((n * rows * cols) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{format:?} {n} × {rows} × {cols}")), |bencher| {
            bencher.iter(|| instructions.product(black_box(w), black_box(&x), &mut out, &mut scratch));
        });
    }
    group.finish();
}

fn roundings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rounding");
    let values = wave(128 * 1536);
    group.throughput(Throughput::Elements(values.len() as u64));
    for format in [Format::Q4, Format::Q8] {
        let mut x = Quantised::new(format.rounding());
        group.bench_function(BenchmarkId::from_parameter(format!("{:?}", format.rounding())), |bencher| {
            bencher.iter(|| x.set(black_box(&values), 1536));
        });
    }
    group.finish();
}

/// Of the default decoder at some contexts, of a batch and of one token, and of the default embedder.
fn attentions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention");
    for (heads, kv_heads, head_dim, n, len, step) in [
        (9_usize, 3_usize, 64, 64, 448_usize, 1),
        (9, 3, 64, 1, 64, 0),
        (9, 3, 64, 1, 1000, 0),
        (12, 12, 32, 128, 128, 0),
    ] {
        let (q_dim, kv_dim) = (heads * head_dim, kv_heads * head_dim);
        let positions = len + (n - 1) * step;
        let n_eights = positions.div_ceil(8);
        let keys = wave(n_eights * 8 * kv_dim);
        let values = wave(positions * kv_dim);
        let short = |values: &[f32]| values.iter().map(|v| (v * 30_000.0) as i16).collect::<Vec<_>>();
        let (short_keys, short_values) = (short(&keys), short(&values));
        let steps = vec![[1.0 / 30_000.0; 8]; n_eights * kv_heads];
        let single = Held::Single { keys: keys.as_chunks().0, values: &values };
        let short = Held::Short {
            keys: short_keys.as_chunks().0,
            values: &short_values,
            key_steps: &steps,
            value_steps: &steps,
        };
        let q = wave(n * q_dim);
        let (mut scores, mut out) = (Vec::new(), vec![0.0; n * q_dim]);
        let seen: usize = (0..n).map(|i| len + i * step).sum();
        group.throughput(Throughput::Elements((2 * seen * q_dim) as u64));
        for (form, held) in [("single", single), ("short", short)] {
            let attention = Attention {
                num_attention_heads: heads,
                num_key_value_heads: kv_heads,
                head_dim,
                len,
                step,
                q: &q,
                held,
            };
            let name = format!("{n} of {heads}/{kv_heads} × {head_dim}, {positions} positions, {form}");
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| attend(black_box(&attention), true, &mut scores, &mut out));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, products, roundings, attentions);
criterion_main!(benches);
