//! The greedy token of a step, and the step forward.

use super::state;
use cubecl::prelude::*;

/// Invocations of the one workgroup.
pub const ARGMAX_THREADS: usize = 64;

/// Reduces `n` workgroups' `[bits, index]` to the greedy token (the lowest index among equals) and
/// advances the state: position + 1, the token as the next id, and [`state::RESULT`].
#[cube(launch_unchecked)]
pub fn argmax(best: &[u32], step: &mut [u32], #[comptime] n: usize) {
    let tid = UNIT_POS as usize;
    let mut values = Shared::<[f32]>::new_slice(ARGMAX_THREADS);
    let mut indices = Shared::<[u32]>::new_slice(ARGMAX_THREADS);
    let mut value = f32::new(-3.2e38);
    let mut index = u32::MAX.runtime();
    for i in range_stepped(tid, n, ARGMAX_THREADS) {
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
        for i in 1..ARGMAX_THREADS {
            let v = values[i];
            if v > value || (v == value && indices[i] < index) {
                value = v;
                index = indices[i];
            }
        }
        let mut result = index + 1;
        if index == state::BROKEN || value == 0f32 {
            result = state::BROKEN.runtime();
        }
        step[state::POSITION] += 1;
        step[state::IDS] = index;
        step[state::RESULT] = result;
    }
}
