/** Lectern's engine and its jobs as a page's client drives them, with given vectors; runs in the page. */
import { centresOf, documentOf, questionsOf, spelt } from './texts.mjs';
import { made, nearest, quantile, recall } from './vectors.mjs';

const K = 10;
/** Passages of a file. */
const FILE_LEN = 2500;

export async function start(passages) {
  const engine = new Worker('/lib/probed-worker.mjs', { type: 'module' });
  const jobs = new Worker('/lectern/worker/jobs.js', { type: 'module' });
  let last = 0;
  const waiting = new Map();
  let onLongest;
  const longestOf = () => new Promise((resolve) => { onLongest = resolve; });
  engine.onmessage = ({ data }) => {
    if (data.longest !== undefined) onLongest(data.longest);
    if (data.type === 'result') waiting.get(data.id).resolve(data.value);
    if (data.type === 'error') waiting.get(data.id).reject(new Error(`${data.error.code}: ${data.error.message}`));
  };
  await longestOf();
  const call = (method, params, transfer = []) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    engine.postMessage({ type: 'call', id: last, method, params }, transfer);
  });
  const job = (message, transfer = []) => new Promise((resolve, reject) => {
    jobs.onmessage = ({ data }) => { if (data.error) reject(new Error(data.error.message)); else resolve(data); };
    jobs.postMessage(message, transfer);
  });
  /** The longest turn of the worker's loop while `work` is done, in milliseconds. */
  const probed = async (work) => {
    engine.postMessage({ probe: true });
    await work();
    const longest = longestOf();
    engine.postMessage({ probe: false });
    return longest;
  };

  const list = new URL('/lectern/models/models.json', location.href);
  const { models } = await (await fetch(list)).json();
  const { url, ...model } = models.find(({ role }) => role === 'embedder');
  await call('open', { device: 'cpu', restarted: true });
  await call('load_embedder', { model: { kind: 'site', ...model, url: new URL(url, list).href } });
  const plain = async (texts) => (await call('embed', { texts })).map((vector) => [...vector]);
  const questions = questionsOf(passages);
  const known = { centres: await plain([...passages, ...centresOf(passages)]), queries: await plain(questions) };
  const dims = known.centres[0].length;

  let vectors = new Float32Array();
  /** Sources laid down, and what the engine was given to keep. */
  let laid = [];
  let graphs = [];

  /** Reads and cuts a file of passages `first` to `first + n`; what is then laid down, with vectors of `from`. */
  const cut = async (first, n, from = vectors) => {
    const name = `${first}.md`;
    const text = documentOf(passages, first, n);
    const { document } = await job({ type: 'extract', name, file: new Blob([text]), password: null });
    const { number, texts } = await call('cut_source', { name, document });
    if (texts.length !== n) throw new Error(`${texts.length} passages, not ${n}`);
    return { number, vectors: Array.from({ length: n }, (_, i) => from.slice((first + i) * dims, (first + i + 1) * dims)) };
  };
  const lay = async (cut) => (await call('lay_down', cut)).info.id;
  const graphsBuilt = async () => {
    for (let next = await call('next_segment_job', {}); next; next = await call('next_segment_job', {})) {
      const { built } = await job({ type: 'build', job: next }, [next.buffer]);
      graphs.push(built.slice());
      await call('install_segment', { built });
    }
  };
  const removeAll = async () => {
    for (const id of laid.splice(0)) await call('remove_source', { id });
    graphs = [];
  };
  const cutAll = async (n) => {
    const files = [];
    for (let first = 0; first < n; first += FILE_LEN) files.push(await cut(first, Math.min(FILE_LEN, n - first)));
    return files;
  };
  const numberOf = ({ headings }) => Number(headings.at(-1).slice(1));
  const found = async () => {
    const all = [];
    for (const query of questions) all.push((await call('search', { query, top_k: K, sources: [] })).hits.map(numberOf));
    return all;
  };
  const wanted = () => known.queries.map((query) => nearest(vectors, Float32Array.from(query), K));

  /** What is measured, each over `n` passages with their graphs. */
  const blocks = {
    /** A file of many passages, beside others. */
    async add({ n, large }) {
      const file = await cut(n, large, made(known.centres, n + large));
      let id;
      const longest = await probed(async () => { id = await lay(file); });
      await call('remove_source', { id });
      return longest;
    },
    async cut({ n, large }) {
      const text = documentOf(passages, n, large);
      const { document } = await job({ type: 'extract', name: 'large.md', file: new Blob([text]), password: null });
      let number;
      const longest = await probed(async () => { ({ number } = await call('cut_source', { name: 'large.md', document })); });
      await call('drop_source', { number });
      return longest;
    },
    /** By words and vectors. */
    async query() {
      for (const query of questions) await call('search', { query: spelt(query), top_k: K, sources: [] });
      // The last one's vector is in memory.
      const query = spelt(questions.at(-1));
      return probed(() => call('search', { query, top_k: K, sources: [] }));
    },
    /** Everything is laid down again, without its graphs: a query, the job of a graph, and its installing. */
    async 'query without graphs'({ n }) {
      await removeAll();
      const files = await cutAll(n);
      for (const file of files) laid.push(await lay(file));
      return this.query();
    },
    async job() {
      let next;
      const longest = await probed(async () => { next = await call('next_segment_job', {}); });
      if (!next) throw new Error('there is no graph to build');
      this.built = (await job({ type: 'build', job: next }, [next.buffer])).built;
      return longest;
    },
    async install() {
      graphs.push(this.built);
      const longest = await probed(() => call('install_segment', { built: this.built }));
      await graphsBuilt();
      return longest;
    },
    async export() {
      return probed(async () => { this.file = await call('export_collection', { graphs }); });
    },
    async open() {
      return probed(async () => { laid = (await call('import_collection', { file: new Blob([this.file]) })).map(({ id }) => id); });
    },
    /** The first file of all. */
    async remove() {
      const longest = await probed(() => call('remove_source', { id: laid.shift() }));
      await removeAll();
      return longest;
    },
  };

  return {
    known,
    /** Milliseconds until everything is laid down and its graphs are in use; files are cut before. */
    async build(n) {
      await removeAll();
      vectors = made(known.centres, n);
      const files = await cutAll(n);
      const started = performance.now();
      for (const file of files) laid.push(await lay(file));
      await graphsBuilt();
      return performance.now() - started;
    },
    /** Median milliseconds of a query by words and vectors with the 95th percentile, without making its vector; recall of vectors. */
    async query() {
      const times = [];
      for (const query of questions.map(spelt)) {
        await call('search', { query, top_k: K, sources: [] });
        times.push((await call('search', { query, top_k: K, sources: [] })).retrieve_ms);
      }
      return { value: quantile(times, 0.5), p95: quantile(times, 0.95), recall: recall(wanted(), await found()) };
    },
    /** Milliseconds to add a file of `added` passages to the `n` that are there; recall with it. */
    async add(n, added) {
      const before = vectors;
      vectors = made(known.centres, n + added);
      const file = await cut(n, added);
      const started = performance.now();
      const id = await lay(file);
      await graphsBuilt();
      const ms = performance.now() - started;
      const { hits } = await call('search', { query: `n${n + 7}`, top_k: 1, sources: [] });
      if (numberOf(hits[0]) !== n + 7) throw new Error('what was added is not found');
      const share = recall(wanted(), await found());
      await call('remove_source', { id });
      vectors = before;
      return { ms, recall: share };
    },
    block: (what, n, large) => blocks[what]({ n, large }),
  };
}
