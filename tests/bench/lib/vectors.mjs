/** Made vectors near real ones, seeded, so that every index gets the same; runs in the page. */

/** Directions in which a vector differs from the real one that it is near, how far, and how much of it is noise. */
const N_DIRECTIONS = 8;
const SPREAD = 0.5;
const NOISE = 0.3;

/**
 * `n` unit vectors in one array, each one of `centres`, moved in directions in which real ones differ and by some noise.
 * Of noise alone, all neighbours would be equally far, which is harder than what texts give: with 64 candidates
 * hnswlib-wasm and Lectern had a recall of 0.87 then, where Lectern's of 12,566 real passages is 0.99.
 */
export function made(centres, n) {
  const dims = centres[0].length;
  const vectors = new Float32Array(n * dims);
  const uniform = mulberry32(42);
  const gauss = gaussian(uniform);
  const other = () => centres[Math.floor(uniform() * centres.length)];
  const [step, noise] = [SPREAD / Math.sqrt(N_DIRECTIONS), NOISE / Math.sqrt(dims)];
  for (let i = 0; i < n; i += 1) {
    const vector = vectors.subarray(i * dims, (i + 1) * dims);
    vector.set(centres[i % centres.length]);
    for (let k = 0; k < N_DIRECTIONS; k += 1) {
      const [from, to, far] = [other(), other(), step * gauss()];
      for (let d = 0; d < dims; d += 1) vector[d] += far * (to[d] - from[d]);
    }
    let square = 0;
    for (let d = 0; d < dims; d += 1) {
      vector[d] += noise * gauss();
      square += vector[d] ** 2;
    }
    const length = Math.sqrt(square);
    for (let d = 0; d < dims; d += 1) vector[d] /= length;
  }
  return vectors;
}

/** Standard normal numbers (Box & Muller 1958). */
function gaussian(uniform) {
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Numbers from 0 to 1. */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The numbers of the `k` of `vectors` that are nearest to `query` by inner product, best first: by looking at all. */
export function nearest(vectors, query, k) {
  const n = vectors.length / query.length;
  const best = [];
  for (let i = 0, at = 0; i < n; i += 1, at += query.length) {
    let score = 0;
    for (let d = 0; d < query.length; d += 1) score += query[d] * vectors[at + d];
    if (best.length === k && score <= best[k - 1].score) continue;
    const place = best.findIndex((other) => other.score < score);
    best.splice(place < 0 ? best.length : place, 0, { i, score });
    best.length = Math.min(best.length, k);
  }
  return best.map(({ i }) => i);
}

/** The share of `wanted` that is in `found`, over all queries. */
export function recall(wanted, found) {
  const n = wanted.reduce((sum, ids, query) => sum + ids.filter((id) => found[query].includes(id)).length, 0);
  return n / wanted.flat().length;
}

/** The value below which a share of the values lies. */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
