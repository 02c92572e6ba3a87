/**
 * What runs in the page of another's index; bundled for it. `peer.build` answers with seconds where something is built,
 * `peer.query` with milliseconds.
 */
import { create, insertMultiple, search } from '@orama/orama';
import { loadHnswlib } from 'hnswlib-wasm';
import { made } from '../lib/vectors.mjs';

const K = 10;

const BUILDS = {
  async hnswlib({ vectors, n, dims }) {
    const lib = await loadHnswlib();
    const index = new lib.HierarchicalNSW('ip', dims, '');
    index.initIndex(n, 16, 200, 100);
    for (let i = 0; i < n; i += 1) index.addPoint(vectors.subarray(i * dims, (i + 1) * dims), i, false);
    index.setEfSearch(64);
    return (query) => index.searchKnn(query, K, undefined);
  },
  async orama({ vectors, n, dims }) {
    const db = create({ schema: { vector: `vector[${dims}]` } });
    const rows = Array.from({ length: n }, (_, i) => ({ id: `${i}`, vector: [...vectors.subarray(i * dims, (i + 1) * dims)] }));
    await insertMultiple(db, rows, 1000);
    return (query) => search(db, { mode: 'vector', vector: { value: [...query], property: 'vector' }, similarity: 0, limit: K, includeVectors: false });
  },
  /** Nothing is built: every vector is looked at. */
  scan({ vectors, n, dims }) {
    return (query) => {
      const scores = new Float32Array(n);
      for (let i = 0, at = 0; i < n; i += 1, at += dims) {
        let [a, b, c, e] = [0, 0, 0, 0];
        for (let d = 0; d < dims; d += 4) {
          a += query[d] * vectors[at + d];
          b += query[d + 1] * vectors[at + d + 1];
          c += query[d + 2] * vectors[at + d + 2];
          e += query[d + 3] * vectors[at + d + 3];
        }
        scores[i] = a + b + c + e;
      }
      return [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, K);
    };
  },
};

let find;
globalThis.peer = {
  async build(kind, centres, n) {
    const vectors = made(centres, n);
    const started = performance.now();
    find = await BUILDS[kind]({ vectors, n, dims: centres[0].length });
    return kind === 'scan' ? undefined : (performance.now() - started) / 1000;
  },
  async query(queries) {
    const all = queries.map((values) => Float32Array.from(values));
    for (const query of all.slice(0, 3)) await find(query);
    // All at once: the clock of a page has tenths of milliseconds.
    const started = performance.now();
    for (const query of all) await find(query);
    return (performance.now() - started) / all.length;
  },
};
