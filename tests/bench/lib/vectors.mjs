/** Made vectors near real ones, seeded, so that every index gets the same; runs in the page. */

/** `n` unit vectors in one array, each near one of `centres`: their cosine to it is some 0.85. */
export function made(centres, n) {
  const dims = centres[0].length;
  const vectors = new Float32Array(n * dims);
  const gauss = gaussian(42);
  const spread = 0.6 / Math.sqrt(dims);
  for (let i = 0; i < n; i += 1) {
    const vector = vectors.subarray(i * dims, (i + 1) * dims);
    const centre = centres[i % centres.length];
    let square = 0;
    for (let d = 0; d < dims; d += 1) {
      vector[d] = centre[d] + spread * gauss();
      square += vector[d] ** 2;
    }
    const length = Math.sqrt(square);
    for (let d = 0; d < dims; d += 1) vector[d] /= length;
  }
  return vectors;
}

/** Standard normal numbers (Box & Muller 1958) from mulberry32. */
function gaussian(seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
