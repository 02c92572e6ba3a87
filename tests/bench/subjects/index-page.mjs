/** What runs in the page of another's index; bundled for it. */
import { create, insertMultiple, search } from '@orama/orama';
import { loadHnswlib } from 'hnswlib-wasm';
import { made, nearest, quantile, recall } from '../lib/vectors.mjs';

const K = 10;
/** Queries before the clock runs. */
const N_WARM = 3;

/** Each answers with what finds the numbers of the `K` nearest vectors. */
const BUILDS = {
  async hnswlib({ vectors, n, dims }) {
    const lib = await loadHnswlib();
    const index = new lib.HierarchicalNSW('ip', dims, '');
    index.initIndex(n, 16, 200, 100);
    for (let i = 0; i < n; i += 1) index.addPoint(vectors.subarray(i * dims, (i + 1) * dims), i, false);
    index.setEfSearch(64);
    return (query) => index.searchKnn(query, K, undefined).neighbors;
  },
  async orama({ vectors, n, dims }) {
    const db = create({ schema: { vector: `vector[${dims}]` } });
    const rows = Array.from({ length: n }, (_, i) => ({ id: `${i}`, vector: [...vectors.subarray(i * dims, (i + 1) * dims)] }));
    await insertMultiple(db, rows, 1000);
    return async (query) => {
      const { hits } = await search(db, { mode: 'vector', vector: { value: [...query], property: 'vector' }, similarity: 0, limit: K, includeVectors: false });
      return hits.map(({ id }) => Number(id));
    };
  },
  /** Nothing is built: every vector is looked at. */
  scan({ vectors, n, dims }) {
    return (query) => {
      const best = new Float32Array(K).fill(-2);
      const ids = new Array(K).fill(-1);
      for (let i = 0, at = 0; i < n; i += 1, at += dims) {
        let [a, b, c, e] = [0, 0, 0, 0];
        for (let d = 0; d < dims; d += 4) {
          a += query[d] * vectors[at + d];
          b += query[d + 1] * vectors[at + d + 1];
          c += query[d + 2] * vectors[at + d + 2];
          e += query[d + 3] * vectors[at + d + 3];
        }
        const score = a + b + c + e;
        if (score <= best[K - 1]) continue;
        let place = K - 1;
        for (; place > 0 && best[place - 1] < score; place -= 1) [best[place], ids[place]] = [best[place - 1], ids[place - 1]];
        [best[place], ids[place]] = [score, i];
      }
      return ids;
    };
  },
};

let find;
let vectors;
globalThis.peer = {
  /** Milliseconds; nothing where nothing is built. */
  async build(kind, centres, n) {
    vectors = made(centres, n);
    const started = performance.now();
    find = await BUILDS[kind]({ vectors, n, dims: centres[0].length });
    return kind === 'scan' ? undefined : performance.now() - started;
  },
  /** Median milliseconds with the 95th percentile, and recall. */
  async query(queries) {
    const all = queries.map((values) => Float32Array.from(values));
    for (const query of all.slice(0, N_WARM)) await find(query);
    const [times, found] = [[], []];
    for (const query of all) {
      const started = performance.now();
      found.push(await find(query));
      times.push(performance.now() - started);
    }
    const wanted = all.map((query) => nearest(vectors, query, K));
    return { value: quantile(times, 0.5), p95: quantile(times, 0.95), recall: recall(wanted, found) };
  },
};
