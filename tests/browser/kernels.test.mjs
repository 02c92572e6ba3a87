/** Both forms of the quick kernels' product, whatever the processor of this machine would be given. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dist, isFake, openSite } from './lib/site.mjs';

/** Products of seeded weights and activations by each form, bit for bit; memory is laid out as `crate/simd/src/call.rs` says. */
async function products(bytes) {
  const memory = new WebAssembly.Memory({ initial: 64 });
  const { instance: { exports } } = await WebAssembly.instantiate(new Uint8Array(bytes), { env: { memory } });
  const words = new Uint32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  let state = 1;
  const random = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % n;
  };
  const found = [];
  for (const [isQ8, rows, cols, n] of [[0, 13, 64, 1], [0, 13, 64, 7], [1, 13, 96, 1], [1, 21, 64, 9]]) {
    const nBlocks = cols / 32;
    const lanes = n === 1 && !isQ8 ? 1 : 4;
    const nTiles = Math.ceil(n / lanes);
    let at = 1024;
    const room = (nBytes) => {
      const place = at;
      at += (nBytes + 63) & ~63;
      return place;
    };
    const call = room(64);
    const quants = room(rows * nBlocks * (isQ8 ? 32 : 16));
    const scales = room(rows * nBlocks * 4);
    const tiles = room(nTiles * nBlocks * 40 * lanes);
    const out = room(n * rows * 4);
    const panel = room((nBlocks + 1) * 320);
    const u8 = new Uint8Array(memory.buffer);
    // Q8 weights of seven bits: with eight, two pairs of products may be more than sixteen bits hold, and only one form has these.
    for (let i = quants; i < scales; i += 1) u8[i] = isQ8 ? 64 + random(128) : random(256);
    for (let i = 0; i < rows * nBlocks; i += 1) words[scales / 4 + i] = 0x2c002c00 + random(1024);
    for (let i = 0; i < nTiles * nBlocks; i += 1) {
      const tile = tiles + i * 40 * lanes;
      for (let k = 0; k < 32 * lanes; k += 1) u8[tile + k] = isQ8 ? random(128) : random(256);
      for (let k = 0; k < 2 * lanes; k += 1) floats[tile / 4 + 8 * lanes + k] = random(100) / 64;
    }
    words.set([isQ8, rows, nBlocks, n, quants, scales, tiles, out, panel], call / 4);
    const run = (form) => {
      words.fill(0, out / 4, out / 4 + n * rows);
      exports[form](call);
      return [...words.subarray(out / 4, out / 4 + n * rows)];
    };
    found.push([run('lectern_product'), run('lectern_product_dot')]);
  }
  return { found, hasDot: exports.lectern_has_dot() };
}

test('products are the same bits whether four bytes are one instruction or not', { skip: isFake && 'the fake engine has no kernels' }, async (t) => {
  const site = await openSite();
  t.after(() => site.close());
  const page = await site.open(await site.context());
  const file = readdirSync(join(dist, 'worker')).find((name) => /^lectern_kernels.*\.wasm$/.test(name));
  const { found, hasDot } = await page.evaluate(products, [...readFileSync(join(dist, 'worker', file))]);
  for (const [one, other] of found) {
    assert.ok(one.some((bits) => bits !== 0));
    assert.deepEqual(one, other);
  }
  t.diagnostic(`this processor ${hasDot ? 'has' : 'has no'} such instruction`);
});
