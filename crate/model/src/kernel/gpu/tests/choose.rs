use super::*;
use crate::kernel::gpu::{CHOOSE_THREADS, arg, choose_by_chance, draw_words, state, state_words};
use crate::sample::{Sampler, SamplingOptions};
use cubecl::prelude::*;

/// As many draws as fit, one after another without the host.
fn draw(logits: &[f32], best: &[u32], sampler: &Sampler) -> Vec<u32> {
    let gpu = gpu(Tuning::HARDWARE);
    let (n, vocab) = (best.len() / 2, logits.len());
    let mut words = state_words(5, 0, 0.0, &[1], 1);
    draw_words(&mut words, sampler);
    let step = gpu.upload(&words).unwrap();
    let (logits, best) = (gpu.upload(logits).unwrap(), gpu.upload(best).unwrap());
    for _ in 0..state::MAX_RUN {
        // SAFETY: one workgroup of the kernel's own size, and lengths as uploaded.
        unsafe {
            choose_by_chance::launch_unchecked(
                &gpu.client,
                CubeCount::Static(1, 1, 1),
                CubeDim::new_1d(CHOOSE_THREADS as u32),
                arg(&logits, vocab),
                arg(&best, 2 * n),
                arg(&step, words.len()),
                n,
                vocab,
            );
        }
    }
    let words = pollster::block_on(gpu.read::<u32>(&step, 0, words.len())).unwrap();
    assert_eq!(words[state::POSITION], 5 + state::MAX_RUN as u32);
    assert_eq!(words[state::N_RESULTS], state::MAX_RUN as u32);
    assert_eq!(words[state::N_DRAWN], sampler.n_drawn() + state::MAX_RUN as u32);
    let results = &words[state::RESULTS..state::RESULTS + state::MAX_RUN];
    let last = results[state::MAX_RUN - 1];
    assert!(last == state::BROKEN || words[state::IDS] == last - 1);
    results.to_vec()
}

/// The largest of every hundred logits, as the head gives them.
fn best(logits: &[f32]) -> Vec<u32> {
    let of = |part: usize| {
        let from = part * 100;
        let end = logits.len().min(from + 100);
        let id = (from..end).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        [logits[id].to_bits(), id as u32]
    };
    (0..logits.len().div_ceil(100)).flat_map(of).collect()
}

#[test]
fn draws_are_those_of_the_cpu() {
    let mut noise = Noise(11);
    let plain = SamplingOptions { temperature: 0.8, seed: 0x1234_5678_9abc, ..Default::default() };
    for options in [
        plain,
        SamplingOptions { temperature: 2.5, ..plain },
        SamplingOptions { top_k: 1, ..plain },
        SamplingOptions { top_k: 7, ..plain },
        SamplingOptions { top_p: 0.0, ..plain },
        SamplingOptions { top_p: 0.6, ..plain },
        SamplingOptions { top_k: 40, top_p: 0.9, ..plain },
        SamplingOptions { top_k: 100_000, top_p: 0.95, seed: u64::MAX, ..plain },
    ] {
        for vocab in [9, 263, 4099] {
            let logits: Vec<f32> = noise.numbers(vocab).iter().map(|v| v * 6.0 - 1.0).collect();
            let mut sampler = Sampler::new(options);
            sampler.advance(3);
            let drawn = draw(&logits, &best(&logits), &sampler);
            let expected = (0..state::MAX_RUN).map(|_| sampler.sample(&mut logits.clone(), &[]) + 1);
            assert_eq!(drawn, expected.collect::<Vec<_>>(), "{options:?} of {vocab}");
        }
    }
}

#[test]
fn equal_logits_are_drawn_alike() {
    let logits = [vec![2.0; 600], vec![-1.0; 9]].concat();
    let options = SamplingOptions { temperature: 1.0, top_k: 3, ..Default::default() };
    let mut sampler = Sampler::new(options);
    let drawn = draw(&logits, &best(&logits), &sampler);
    assert_eq!(drawn, (0..state::MAX_RUN).map(|_| sampler.sample(&mut logits.clone(), &[]) + 1).collect::<Vec<_>>());
    assert!(drawn.iter().any(|result| *result > 300) && drawn.iter().all(|result| *result <= 600));
}

#[test]
fn broken_logits_are_reported_by_draws_too() {
    let sampler = Sampler::new(SamplingOptions { temperature: 1.0, ..Default::default() });
    for best in [[3.0e38f32.to_bits(), state::BROKEN], [0, 0]] {
        assert_eq!(draw(&[0.0; 50], &best, &sampler), [state::BROKEN; state::MAX_RUN]);
    }
}
