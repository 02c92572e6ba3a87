//! The next token of a step, and the step forward: steps can follow one another without the host.

use cubecl::prelude::*;

use super::state;
use crate::sample::{PARITY, ROTATIONS};

/// Invocations of the one workgroup.
pub const CHOOSE_THREADS: usize = 256;

/// Writes the token as the next id and into the row of results, and moves on by a position. One invocation calls it.
#[cube]
fn advance(step: &mut [u32], index: u32, is_broken: bool) {
    let mut result = index + 1;
    if is_broken {
        result = state::BROKEN.runtime();
    }
    let n = step[state::N_RESULTS] as usize;
    step[state::POSITION] += 1;
    step[state::IDS] = index;
    step[state::RESULTS + usize::min(n, comptime!(state::MAX_RUN - 1))] = result;
    step[state::N_RESULTS] = n as u32 + 1;
}

/// The largest of `n` workgroups' `[bits, index]` (the lowest index among equals), as the first of the slices.
#[cube]
fn find_largest(best: &[u32], values: &mut Shared<[f32]>, indices: &mut Shared<[u32]>, #[comptime] n: usize) {
    let tid = UNIT_POS as usize;
    let mut value = f32::new(-3.2e38);
    let mut index = u32::MAX.runtime();
    for i in range_stepped(tid, n, CHOOSE_THREADS) {
        let v = f32::from_bits(best[i * 2]);
        if v > value {
            value = v;
            index = best[i * 2 + 1];
        }
    }
    values[tid] = value;
    indices[tid] = index;
    sync_cube();
    if tid == 0 {
        for i in 1..CHOOSE_THREADS {
            let v = values[i];
            if v > value || (v == value && indices[i] < index) {
                value = v;
                index = indices[i];
            }
        }
        values[0] = value;
        indices[0] = index;
    }
    sync_cube();
}

/// The most likely token.
///
/// # Shapes
/// `best` `[n][bits, index]` as [`super::gemv_head`] writes it.
#[cube(launch_unchecked)]
pub fn choose_largest(best: &[u32], step: &mut [u32], #[comptime] n: usize) {
    let mut values = Shared::<[f32]>::new_slice(CHOOSE_THREADS);
    let mut indices = Shared::<[u32]>::new_slice(CHOOSE_THREADS);
    find_largest(best, &mut values, &mut indices, n);
    if UNIT_POS == 0 {
        advance(step, indices[0], indices[0] == state::BROKEN || values[0] == 0f32);
    }
}

/// Sum over the invocations of the workgroup; every one gets it.
#[cube]
fn total(value: f32, sums: &mut Shared<[f32]>) -> f32 {
    let tid = UNIT_POS as usize;
    sums[tid] = value;
    sync_cube();
    #[unroll]
    for i in 1..9usize {
        let half = comptime!(CHOOSE_THREADS >> i);
        if tid < half {
            sums[tid] = sums[tid] + sums[tid + half];
        }
        sync_cube();
    }
    let sum = sums[0];
    sync_cube();
    sum
}

/// Words in the order of the numbers that they are bits of.
#[cube]
fn ordered(bits: u32) -> u32 {
    let mut word = bits | 0x8000_0000u32;
    if bits >= 0x8000_0000u32 {
        word = 0xffff_ffffu32 - bits;
    }
    word
}

/// The largest word at which, or above which, logits of `least` or more are `wanted`: counted, or weighed.
#[cube]
fn select(
    logits: &[f32],
    sums: &mut Shared<[f32]>,
    least: u32,
    wanted: f32,
    largest: f32,
    inverse_temperature: f32,
    #[comptime] is_weighed: bool,
    #[comptime] vocab: usize,
) -> u32 {
    let tid = UNIT_POS as usize;
    let mut found = 0u32;
    for bit in 0..32u32 {
        let tried = found | (0x8000_0000u32 >> bit);
        let mut sum = f32::new(0.0);
        for i in range_stepped(tid, vocab, CHOOSE_THREADS) {
            let logit = logits[i];
            let word = ordered(logit.to_bits());
            if word >= tried && word >= least {
                if comptime!(is_weighed) {
                    sum += f32::exp((logit - largest) * inverse_temperature);
                } else {
                    sum += 1f32;
                }
            }
        }
        if total(sum, sums) >= wanted {
            found = tried;
        }
    }
    found
}

#[cube]
fn rotate_left(word: u32, #[comptime] by: u32) -> u32 {
    (word << by) | (word >> comptime!(32 - by))
}

/// As [`crate::sample::uniform`].
#[cube]
fn uniform(low: u32, high: u32, n: u32) -> f32 {
    let third = low ^ high ^ PARITY;
    let mut x = n + low;
    let mut y = high;
    #[unroll]
    for round in 0..20usize {
        x += y;
        y = rotate_left(y, comptime!(ROTATIONS[round % 8])) ^ x;
        if comptime!(round % 4 == 3) {
            let n = comptime!(round / 4 + 1);
            if comptime!(n % 3 == 0) {
                x += low;
                y += high;
            } else if comptime!(n % 3 == 1) {
                x += high;
                y += third;
            } else {
                x += third;
                y += low;
            }
            y += comptime!(n as u32);
        }
    }
    f32::cast_from(x >> 8u32) * 5.960_464_5e-8_f32
}

/// A token by chance, as [`crate::sample::Sampler::sample`] draws it, but for rounding.
///
/// # Shapes
/// `logits` `[vocab]`, `best` `[n][bits, index]`.
#[cube(launch_unchecked)]
pub fn choose_by_chance(
    logits: &[f32],
    best: &[u32],
    step: &mut [u32],
    #[comptime] n: usize,
    #[comptime] vocab: usize,
) {
    let tid = UNIT_POS as usize;
    let mut sums = Shared::<[f32]>::new_slice(CHOOSE_THREADS);
    let mut indices = Shared::<[u32]>::new_slice(CHOOSE_THREADS);
    let mut asked = Shared::<[u32]>::new_slice(2usize);
    if tid == 0 {
        asked[0] = step[state::TOP_K];
        asked[1] = step[state::TOP_P];
    }
    find_largest(best, &mut sums, &mut indices, n);
    let (largest, index) = (sums[0], indices[0]);
    let top_k = workgroup_uniform_load(&asked[0]);
    let top_p = f32::from_bits(workgroup_uniform_load(&asked[1]));
    // Finite, so that the largest weighs 1 whatever the temperature.
    let inverse_temperature = f32::min(1f32 / f32::from_bits(step[state::TEMPERATURE]), f32::new(1e30));
    let mut least = 0u32;
    if top_k > 0 && (top_k as usize) < vocab {
        least = select(logits, &mut sums, least, f32::cast_from(top_k), largest, inverse_temperature, false, vocab);
    }
    if top_p < 1f32 {
        let mut sum = f32::new(0.0);
        for i in range_stepped(tid, vocab, CHOOSE_THREADS) {
            if ordered(logits[i].to_bits()) >= least {
                sum += f32::exp((logits[i] - largest) * inverse_temperature);
            }
        }
        let wanted = top_p * total(sum, &mut sums);
        // At least the largest: a sum of nothing reaches nothing.
        let wanted = f32::max(wanted, f32::new(1e-30));
        least = u32::max(least, select(logits, &mut sums, least, wanted, largest, inverse_temperature, true, vocab));
    }
    // Neighbouring ids to each invocation, so that one of them holds the token.
    let share = comptime!(vocab.div_ceil(CHOOSE_THREADS));
    let mut sum = f32::new(0.0);
    for i in 0..share {
        let id = tid * share + i;
        if id < vocab {
            if ordered(logits[id].to_bits()) >= least {
                sum += f32::exp((logits[id] - largest) * inverse_temperature);
            }
        }
    }
    sums[tid] = sum;
    sync_cube();
    if tid == 0 {
        let mut all = f32::new(0.0);
        for i in 0..CHOOSE_THREADS {
            all += sums[i];
        }
        let mut left = all * uniform(step[state::SEED], step[state::SEED + 1], step[state::N_DRAWN]);
        // The share that it falls into; by rounding it may fall behind them all, and is then in the last.
        let mut holder = 0usize;
        let mut is_found = false;
        for i in 0..CHOOSE_THREADS {
            if !is_found && sums[i] > 0f32 {
                holder = i;
                if left < sums[i] {
                    is_found = true;
                } else {
                    left -= sums[i];
                }
            }
        }
        let mut token = index;
        let mut is_drawn = false;
        for i in 0..share {
            let id = holder * share + i;
            if id < vocab && !is_drawn {
                let weight = f32::exp((logits[id] - largest) * inverse_temperature);
                if weight > 0f32 && ordered(logits[id].to_bits()) >= least {
                    token = id as u32;
                    left -= weight;
                    is_drawn = left < 0f32;
                }
            }
        }
        step[state::N_DRAWN] += 1;
        advance(step, token, index == state::BROKEN || largest == 0f32);
    }
}
