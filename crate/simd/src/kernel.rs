//! The products, over whatever lanes there are.
//!
//! Eight weight rows are unpacked into a panel, every four elements of all eight side by side, and meet the activations
//! a tile at a time: a load of weights serves the rows of a tile, four activations serve eight rows, and sums never
//! cross lanes. A single row of activations (decode) meets the packed weights as they lie, four rows at a time.

#![allow(unsafe_op_in_unsafe_fn, reason = "every line is one: pointers into buffers that `product` has measured")]

use wide::{f32x4, i32x4, u32x4};

use crate::BLOCK;
use crate::activation::{TILE, TileBlock};
use crate::call::{Call, PANEL, PanelBlock};
use crate::lanes::Lanes;
use crate::math::half_to_f32;

/// # Safety
/// The lanes' instructions are there, and the buffers of the call as long as it says.
#[inline(always)]
pub unsafe fn run<L: Lanes>(call: &Call) {
    if call.is_q8 != 0 {
        batch::<L, true>(call);
    } else if call.n == 1 {
        row_q4::<L>(call);
    } else {
        batch::<L, false>(call);
    }
}

#[inline(always)]
unsafe fn batch<L: Lanes, const Q8: bool>(call: &Call) {
    let &Call { rows, n_blocks, n, panel, .. } = call;
    let tiles = call.tiles.cast::<TileBlock<TILE>>();
    let mut row = 0;
    while row < rows {
        if Q8 {
            unpack_q8(call, row);
        } else {
            unpack_q4(call, row);
        }
        let mut first = 0;
        while first < n {
            let [s0, s1, s2, s3] = tile_sums::<L, Q8>(panel, tiles.add(first / TILE * n_blocks), n_blocks);
            let out = call.out.add(first * rows + row);
            if row + PANEL <= rows && first + TILE <= n {
                L::store(s0, out);
                L::store(s1, out.add(rows));
                L::store(s2, out.add(2 * rows));
                L::store(s3, out.add(3 * rows));
            } else {
                // Not an array of this function: in a module of its own it has no stack.
                let all = (&raw mut (*panel.add(n_blocks)).quants).cast::<f32>();
                L::store(s0, all);
                L::store(s1, all.add(PANEL));
                L::store(s2, all.add(2 * PANEL));
                L::store(s3, all.add(3 * PANEL));
                for t in 0..TILE.min(n - first) {
                    for r in 0..PANEL.min(rows - row) {
                        *out.add(t * rows + r) = *all.add(t * PANEL + r);
                    }
                }
            }
            first += TILE;
        }
        row += PANEL;
    }
}

/// A panel against a tile: eight sums for each of its rows. Variables, not arrays: these would live in memory. And a loop
/// over a block's elements, not eight copies: of these the compiler loads everything first, for more registers than
/// there are.
#[inline(always)]
unsafe fn tile_sums<L: Lanes, const Q8: bool>(
    panel: *const PanelBlock,
    tile: *const TileBlock<TILE>,
    n_blocks: usize,
) -> [L::Floats; TILE] {
    let (mut acc0, mut acc1, mut acc2, mut acc3) = (L::zero(), L::zero(), L::zero(), L::zero());
    for b in 0..n_blocks {
        let (w, x) = (&*panel.add(b), &*tile.add(b));
        let (mut s0, mut s1, mut s2, mut s3) = (L::none(), L::none(), L::none(), L::none());
        let mut k = 0;
        while k < BLOCK / 4 {
            let (w0, w1) = (L::bytes(&*w.quants[k].as_ptr().cast()), L::bytes(&*w.quants[k + 1].as_ptr().cast()));
            let (x0, x1) = (&x.quants[k], &x.quants[k + 1]);
            s0 = L::add_dots::<Q8>(s0, w0, L::quad(&x0[0]), w1, L::quad(&x1[0]));
            s1 = L::add_dots::<Q8>(s1, w0, L::quad(&x0[1]), w1, L::quad(&x1[1]));
            s2 = L::add_dots::<Q8>(s2, w0, L::quad(&x0[2]), w1, L::quad(&x1[2]));
            s3 = L::add_dots::<Q8>(s3, w0, L::quad(&x0[3]), w1, L::quad(&x1[3]));
            k += 2;
        }
        let (d, m) = (L::floats(w.d.as_ptr()), L::floats(w.m.as_ptr()));
        macro_rules! scaled {
            ($($acc:ident $sums:ident $t:literal)*) => {$(
                $acc = L::mul_add8(L::total::<Q8>($sums), L::mul(d, L::splat(x.steps[$t])), $acc);
                $acc = L::mul_add8(m, L::splat(x.offsets[$t]), $acc);
            )*};
        }
        scaled!(acc0 s0 0 acc1 s1 1 acc2 s2 2 acc3 s3 3);
    }
    [acc0, acc1, acc2, acc3]
}

/// One row of activations against four weight rows at a time.
#[inline(always)]
unsafe fn row_q4<L: Lanes>(call: &Call) {
    let &Call { rows, n_blocks, .. } = call;
    let x = call.tiles.cast::<TileBlock<1>>();
    let mut row = 0;
    while row < rows {
        let q = four_rows(call.quants, row, rows, n_blocks * 16);
        let s = four_rows(call.scales, row, rows, n_blocks);
        let mut acc = f32x4::ZERO;
        for b in 0..n_blocks {
            let x = &*x.add(b);
            let block = L::block(x.quants.as_ptr().cast());
            let dots = L::side_by_side([
                L::dot_q4(q[0].add(b * 16), block),
                L::dot_q4(q[1].add(b * 16), block),
                L::dot_q4(q[2].add(b * 16), block),
                L::dot_q4(q[3].add(b * 16), block),
            ]);
            let words = u32x4::new([*s[0].add(b), *s[1].add(b), *s[2].add(b), *s[3].add(b)]);
            acc = L::mul_add(dots, half_to_f32(words) * f32x4::splat(x.steps[0]), acc);
            acc = L::mul_add(half_to_f32(words >> 16u32), f32x4::splat(x.offsets[0]), acc);
        }
        // As above: by way of the scratch, not the stack.
        let all = call.panel.cast::<[f32; 4]>();
        *all = acc.to_array();
        let out = call.out.add(row);
        if row + 4 <= rows {
            *out.cast() = *all;
        } else {
            for r in 0..rows - row {
                *out.add(r) = *all.cast::<f32>().add(r);
            }
        }
        row += 4;
    }
}

#[inline(always)]
unsafe fn unpack_q4(call: &Call, row: usize) {
    let &Call { rows, n_blocks, panel, .. } = call;
    let low = u32x4::splat(0x0f0f_0f0f);
    let mut half = 0;
    while half < PANEL {
        let [q0, q1, q2, q3] = four_rows(call.quants, row + half, rows, n_blocks * 16);
        for b in 0..n_blocks {
            let (a, b, c, d, out) = (
                words(q0.add(b * 16)),
                words(q1.add(b * 16)),
                words(q2.add(b * 16)),
                words(q3.add(b * 16)),
                panel.add(b),
            );
            let out = (*out).quants.as_mut_ptr();
            put(out, half, across(a & low, b & low, c & low, d & low));
            put(out.add(4), half, across(a >> 4u32 & low, b >> 4u32 & low, c >> 4u32 & low, d >> 4u32 & low));
        }
        half += 4;
    }
    scales(call, row, |d, m, _| (d, m));
}

#[inline(always)]
unsafe fn unpack_q8(call: &Call, row: usize) {
    let &Call { rows, n_blocks, panel, .. } = call;
    let sign = u32x4::splat(0x8080_8080);
    let mut half = 0;
    while half < PANEL {
        let [q0, q1, q2, q3] = four_rows(call.quants, row + half, rows, n_blocks * 32);
        for b in 0..n_blocks {
            let out = panel.add(b);
            let quants = (*out).quants.as_mut_ptr();
            let at = b * 32;
            let first = across(words(q0.add(at)), words(q1.add(at)), words(q2.add(at)), words(q3.add(at)));
            let at = at + 16;
            let second = across(words(q0.add(at)), words(q1.add(at)), words(q2.add(at)), words(q3.add(at)));
            let sums = pair_sums(first) + pair_sums(second);
            let sums = (sums & u32x4::splat(0xffff)) + (sums >> 16u32);
            let sums: i32x4 = bytemuck::cast(sums);
            let sums = f32x4::from_i32x4(sums - i32x4::splat(128 * BLOCK as i32));
            *(*out).m.as_mut_ptr().add(half).cast() = sums.to_array();
            put(quants, half, [first[0] ^ sign, first[1] ^ sign, first[2] ^ sign, first[3] ^ sign]);
            put(quants.add(4), half, [second[0] ^ sign, second[1] ^ sign, second[2] ^ sign, second[3] ^ sign]);
        }
        half += 4;
    }
    scales(call, row, |d, _, sum| (d, d * sum));
}

/// Where four rows begin, each `pitch` long. Those past the last stand for it; their sums are not stored.
#[inline(always)]
unsafe fn four_rows<T>(from: *const T, first: usize, rows: usize, pitch: usize) -> [*const T; 4] {
    let last = rows - 1;
    [
        from.add(first.min(last) * pitch),
        from.add((first + 1).min(last) * pitch),
        from.add((first + 2).min(last) * pitch),
        from.add((first + 3).min(last) * pitch),
    ]
}

/// 16 bytes.
#[inline(always)]
unsafe fn words(from: *const u8) -> u32x4 {
    u32x4::new(from.cast::<[u32; 4]>().read_unaligned())
}

/// Word `i` of all four, for each `i`.
#[inline(always)]
fn across(a: u32x4, b: u32x4, c: u32x4, d: u32x4) -> [u32x4; 4] {
    let (a, b, c, d): (f32x4, f32x4, f32x4, f32x4) =
        (bytemuck::cast(a), bytemuck::cast(b), bytemuck::cast(c), bytemuck::cast(d));
    let (ac, bd) = (a.unpack_lo(c), b.unpack_lo(d));
    let (first, second) = (ac.unpack_lo(bd), ac.unpack_hi(bd));
    let (ac, bd) = (a.unpack_hi(c), b.unpack_hi(d));
    let (third, fourth) = (ac.unpack_lo(bd), ac.unpack_hi(bd));
    [bytemuck::cast(first), bytemuck::cast(second), bytemuck::cast(third), bytemuck::cast(fourth)]
}

/// Bytes of the words of each row, summed two by two into 16 bits.
#[inline(always)]
fn pair_sums([a, b, c, d]: [u32x4; 4]) -> u32x4 {
    let even = u32x4::splat(0x00ff_00ff);
    let odd = ((a >> 8u32) & even) + ((b >> 8u32) & even) + ((c >> 8u32) & even) + ((d >> 8u32) & even);
    (a & even) + (b & even) + (c & even) + (d & even) + odd
}

/// Four rows of a panel's block, from row `half` on.
#[inline(always)]
unsafe fn put(quants: *mut [[u8; 4]; PANEL], half: usize, [a, b, c, d]: [u32x4; 4]) {
    *(*quants).as_mut_ptr().add(half).cast() = a.to_array();
    *(*quants.add(1)).as_mut_ptr().add(half).cast() = b.to_array();
    *(*quants.add(2)).as_mut_ptr().add(half).cast() = c.to_array();
    *(*quants.add(3)).as_mut_ptr().add(half).cast() = d.to_array();
}

/// Scales of a panel; `of` makes the two from `d`, `m` and what `m` held.
#[inline(always)]
unsafe fn scales(call: &Call, row: usize, of: impl Fn(f32x4, f32x4, f32x4) -> (f32x4, f32x4)) {
    let &Call { rows, n_blocks, panel, .. } = call;
    for half in 0..PANEL / 4 {
        let s = four_rows(call.scales, row + half * 4, rows, n_blocks);
        for b in 0..n_blocks {
            let words = u32x4::new([*s[0].add(b), *s[1].add(b), *s[2].add(b), *s[3].add(b)]);
            let out = &mut *panel.add(b);
            let m = out.m.as_mut_ptr().add(half * 4).cast::<[f32; 4]>();
            let (d, new) = of(half_to_f32(words), half_to_f32(words >> 16u32), f32x4::new(*m));
            *out.d.as_mut_ptr().add(half * 4).cast() = d.to_array();
            *m = new.to_array();
        }
    }
}
