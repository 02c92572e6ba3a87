/**
 * Indexes over vectors. Lectern's is that of its engine, by the messages that the page's client sends: laid down with
 * given vectors and with its graphs built, of which there are none below 10,000. Others have the vectors alone, and no
 * words; hnswlib-wasm builds with its own usual 200 candidates, Lectern with 64.
 */
import { join } from 'node:path';
import { bundled } from '../lib/bundle.mjs';

/** Vectors of texts, which the first subject makes for all. */
let known = null;

export async function lectern({ browser, dist, peers, inputs }) {
  const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/lib/': join(peers, 'lib'), '/lectern/': dist });
  const queries = inputs.passages.map((text) => text.slice(0, 60));
  known = await page.evaluate(async ([passages, questions]) => {
    const worker = (name) => new globalThis.Worker(`/lectern/worker/${name}.js`, { type: 'module' });
    const [engine, jobs] = [worker('engine'), worker('jobs')];
    let last = 0;
    const waiting = new Map();
    engine.onmessage = ({ data }) => {
      if (data.type === 'result') waiting.get(data.id).resolve(data.value);
      if (data.type === 'error') waiting.get(data.id).reject(new Error(data.error.message));
    };
    const call = (method, params) => new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      engine.postMessage({ type: 'call', id: last, method, params });
    });
    const job = (message) => new Promise((resolve, reject) => {
      jobs.onmessage = ({ data }) => { if (data.error) reject(new Error(data.error.message)); else resolve(data); };
      jobs.postMessage(message);
    });
    const list = new URL('/lectern/models/models.json', location.href);
    const { models } = await (await fetch(list)).json();
    const { url, ...model } = models.find(({ role }) => role === 'embedder');
    await call('open', { device: 'cpu', restarted: true });
    await call('load_embedder', { model: { kind: 'site', ...model, url: new URL(url, list).href } });
    globalThis.engine = { call, job };
    const plain = async (texts) => (await call('embed', { texts })).map((vector) => [...vector]);
    return { centres: await plain(passages), queries: await plain(questions) };
  }, [inputs.passages, queries]);
  let laid = null;
  return of('lectern-cpu-1', close, {
    async build(n) {
      const found = await page.evaluate(async ([centres, n, laid]) => {
        const { call, job } = globalThis.engine;
        const { made } = await import('/lib/vectors.mjs');
        if (laid !== null) await call('remove_source', { id: laid });
        const all = made(centres, n);
        const vectors = Array.from({ length: n }, (_, i) => all.slice(i * centres[0].length, (i + 1) * centres[0].length));
        const text = Array.from({ length: n }, (_, i) => `## Place ${i}\n\nThe ${i}th of ${n} places.`).join('\n\n');
        const { document } = await job({ type: 'extract', name: 'places.md', file: new Blob([text]) });
        const cut = await call('cut_source', { name: 'places.md', n_bytes: text.length, document });
        if (cut.texts.length !== n) throw new Error(`${cut.texts.length} passages, not ${n}`);
        const started = performance.now();
        const { info } = await call('lay_down', { number: cut.number, vectors });
        for (let next = await call('next_segment_job', {}); next; next = await call('next_segment_job', {})) {
          await call('install_segment', { built: (await job({ type: 'build', job: next })).built });
        }
        return { id: info.id, seconds: (performance.now() - started) / 1000 };
      }, [known.centres, n, laid]);
      laid = found.id;
      return found.seconds;
    },
    /** Without the question's vector, which was made before: by words and vectors, merged. */
    query: () => page.evaluate(async (texts) => {
      const { mean } = await import('/lib/vectors.mjs');
      const times = [];
      for (const query of texts) {
        await globalThis.engine.call('search', { query, top_k: 10 });
        times.push((await globalThis.engine.call('search', { query, top_k: 10 })).retrieve_ms);
      }
      return mean(times);
    }, queries),
  });
}

export const hnswlib = peer('hnswlib', 'hnswlib-wasm');
export const orama = peer('orama', 'orama');
export const scan = peer('scan', 'JavaScript');

function peer(kind, name) {
  return async ({ browser, peers }) => {
    if (!known) throw new Error('there are no vectors without Lectern');
    const folder = await bundled(peers, 'index-page');
    const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/page/': folder });
    await page.addScriptTag({ url: '/page/index-page.js', type: 'module' });
    await page.waitForFunction(() => globalThis.peer);
    return of(name, close, {
      build: (n) => page.evaluate(([kind, centres, n]) => globalThis.peer.build(kind, centres, n), [kind, known.centres, n]),
      query: () => page.evaluate((queries) => globalThis.peer.query(queries), known.queries),
    });
  };
}

/** A subject whose index of `n` vectors is there when it is asked. */
function of(name, close, { build, query }) {
  let held = 0;
  const rebuilt = async (n) => {
    held = n;
    return build(n);
  };
  return {
    name,
    close,
    build: rebuilt,
    async query(n) {
      if (held !== n) await rebuilt(n);
      return query();
    },
  };
}
