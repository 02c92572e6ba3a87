/** Lectern itself, through the page's own client. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { heapBytes } from '../lib/browser.mjs';

/** What is asked over the first texts, of which four with a question are a prompt of some 600 tokens. */
const QUESTIONS = ['How are the two lists of search results merged?', 'When is no answer written at all?'];
const ASKED = { rag: true, top_k: 4, max_tokens: 1, adapter: null, scale: 0, stop: [], before: null, fresh: true };
const SAMPLING = { temperature: 0, top_k: 0, top_p: 1, repetition_penalty: 1, seed: 0 };

/** `folder` is the processor with as many workers as `workers` says. */
export async function open({ browser, dist, executor, workers = 1, inputs }) {
  const device = executor === 'gpu' ? 'gpu' : 'cpu';
  // Two threads to a core: the page takes one worker for each core.
  const { page, close } = await browser.page({ '/': dist }, '/', { hardwareConcurrency: 2 * (workers - 1) });
  await page.waitForFunction(() => document.querySelector('lectern-desk')?.desk.models.phase === 'missing');
  const chosen = await page.evaluate(async (wanted) => {
    const { desk } = document.querySelector('lectern-desk');
    await desk.client.start(wanted);
    const told = new Promise((resolve) => { desk.client.on('executor', resolve); });
    await desk.models.load();
    return told;
  }, device);
  if (chosen.executor !== device) {
    await close();
    throw new Error(chosen.reason);
  }
  const generate = (content, n, voice = null) => page.evaluate(async ([text, tokens, voice, sampling]) => {
    const { ids, usage, timings_ms } = await document.querySelector('lectern-desk').desk.client
      .generate([{ role: 'user', content: text }], { precision: 'fast', max_tokens: tokens, adapter: voice, scale: 1, sampling, stop: [] });
    return { read: usage.prompt_tokens - usage.cached_tokens, n: ids.length, ...timings_ms };
  }, [content, n, voice, SAMPLING]);

  let laid = false;
  const lay = async () => {
    if (laid) return;
    laid = true;
    await page.evaluate(async (texts) => {
      const { client } = document.querySelector('lectern-desk').desk;
      for (const [i, text] of texts.entries()) await client.addSource(`${i}.txt`, new Blob([text]));
    }, inputs.passages.slice(0, 6));
  };

  const readAhead = (question) => page.evaluate(([text, options]) => document.querySelector('lectern-desk').desk.client.readAhead(text, options).result, [question, { ...ASKED, sampling: SAMPLING }]);

  return {
    name: `lectern-${device}-${workers}`,
    async load() {
      laid = false;
      await page.reload();
      return page.evaluate(() => new Promise((resolve) => {
        const look = () => {
          if (document.querySelector('lectern-desk')?.desk.models.phase === 'ready') resolve(performance.now());
          else setTimeout(look, 5);
        };
        look();
      }));
    },
    async prefill(n) {
      // What an earlier round has read is not read again: another prompt in between leaves the template's beginning.
      await generate('Hello', 1);
      const { read, prefill } = await generate(inputs.prompts[n], 1);
      return (1000 * read) / prefill;
    },
    async decode(n, context) {
      const counters = () => page.evaluate(() => document.querySelector('lectern-desk').desk.client.gpuCounters());
      if (device === 'gpu') await generate(inputs.prompts[context], 2);
      const marks = [await counters()];
      // What a prompt's last token and one more take is taken off: it is not what a further token takes.
      if (device === 'gpu') await generate(inputs.prompts[context], 2);
      marks.push(await counters());
      const { n: written, decode } = await generate(inputs.prompts[context], n);
      marks.push(await counters());
      const of = (name) => marks[2][name] - 2 * marks[1][name] + marks[0][name];
      if (device === 'gpu') console.error(`decode: ${of('dispatches') / (written - 2)} dispatches and ${of('submits') / (written - 2)} submissions a token, ${((1000 * of('encode_ms')) / of('dispatches')).toFixed(1)} µs a dispatch to encode`);
      if (written < n / 2) throw new Error(`ended after ${written} tokens`);
      return (1000 * (written - 1)) / decode;
    },
    /** Thousand bytes of a page laid down in a second. */
    async layDown() {
      const text = (name, n) => Array.from({ length: n }, (_, i) => `## ${name} ${i}\n\n${inputs.passages[i % inputs.passages.length]}`).join('\n\n');
      const add = (name, n) => page.evaluate(async ([file, content]) => {
        const started = performance.now();
        const { client } = document.querySelector('lectern-desk').desk;
        const { id } = await client.addSource(file, new Blob([content]));
        const took = performance.now() - started;
        await client.removeSource(id);
        return content.length / took;
      }, [`${name}.md`, text(name, n)]);
      // Helpers come with the first one.
      await add('Warm', 64);
      return add('Page', 128);
    },
    /** Seconds from a megabyte of Markdown to its being searchable, by as many workers as there are; its stages are told. */
    markdown: workers < 2 ? undefined : async () => {
      let markdown = '';
      for (let i = 0; markdown.length < 1e6; i += 1) markdown += `## Section ${i}\n\n${inputs.passages[i % inputs.passages.length]} ${i}\n\n`;
      const times = await page.evaluate(async (text) => {
        const started = performance.now();
        const at = {};
        const { client } = document.querySelector('lectern-desk').desk;
        const run = client.addSource('megabyte.md', new Blob([text]));
        for await (const { type } of run) at[type] = performance.now() - started;
        const { id, n_chunks } = await run;
        const all = performance.now() - started;
        await client.removeSource(id);
        return { bytes: text.length, n_chunks, extracted: at.extracted, cut: at.chunked - at.extracted, embedded: at.embedded - at.chunked, laid: all - at.embedded, all };
      }, markdown);
      const seconds = (ms) => (ms / 1000).toFixed(2);
      console.error(`markdown: ${times.bytes} bytes, ${times.n_chunks} passages: read ${seconds(times.extracted)} s, cut ${seconds(times.cut)}, embedded ${seconds(times.embedded)}, indexed ${seconds(times.laid)}`);
      return times.all / 1000;
    },
    /** Milliseconds to the first token of an answer over passages of which nothing was read before, or all; or typed with a pause before it is asked. */
    async ask(kind) {
      await lay();
      await generate('Hello', 1);
      if (kind === 'typed') await readAhead(QUESTIONS[0]);
      const ask = (question) => page.evaluate(async ([text, options]) => {
        const started = performance.now();
        const run = document.querySelector('lectern-desk').desk.client
          .ask(text, options);
        let first = 0;
        for await (const event of run) if (event.type === 'token') first ||= performance.now() - started;
        const { usage } = await run;
        return { first, ...usage };
      }, [question, { ...ASKED, sampling: SAMPLING }]);
      let asked = await ask(QUESTIONS[0]);
      if (kind === 'follow-up') asked = await ask(QUESTIONS[1]);
      console.error(`${kind}: prompt of ${asked.prompt_tokens} tokens, ${asked.cached_tokens} of them not read again`);
      return asked.first;
    },
    async readAhead() {
      await lay();
      await generate('Hello', 1);
      return readAhead(QUESTIONS[0]);
    },
    /** A whole answer, with its sentences held against their passages. */
    async answer() {
      await lay();
      await generate('Hello', 1);
      return page.evaluate(([text, options]) => document.querySelector('lectern-desk').desk.client.ask(text, options).result, [QUESTIONS[1], { ...ASKED, max_tokens: 48, sampling: SAMPLING }]);
    },
    /** The longest turn of the engine's worker, in milliseconds, while `what` is done. */
    async block(what) {
      const engine = await engineOf(page);
      await engine.evaluate(() => {
        const { port1, port2 } = new MessageChannel();
        const watch = { longest: 0, end: () => { port1.close(); return watch.longest; } };
        let last = performance.now();
        port1.onmessage = () => {
          const now = performance.now();
          watch.longest = Math.max(watch.longest, now - last);
          last = now;
          port2.postMessage(null);
        };
        port2.postMessage(null);
        self.watch = watch;
      });
      await this[what]();
      return engine.evaluate(() => self.watch.end());
    },
    /** Milliseconds of a question of a few words, whose one token comes in the other voice than the last. */
    async adapter() {
      await page.evaluate(async () => {
        const { desk } = document.querySelector('lectern-desk');
        await desk.models.voice(desk.models.catalog.adapters.find(({ name }) => name === 'pirate'));
      });
      await generate('Hello', 1);
      const started = performance.now();
      await generate('Hello', 1, 'pirate');
      return performance.now() - started;
    },
    embed: (n) => page.evaluate(async (texts) => {
      const started = performance.now();
      await document.querySelector('lectern-desk').desk.client.embed(texts);
      return (1000 * texts.length) / (performance.now() - started);
    }, inputs.passages.slice(0, n)),
    /** Bytes of linear memory, JavaScript heap and GPU buffers. */
    async held() {
      const { memory: { engine, gpu } } = await page.evaluate(() => document.querySelector('lectern-desk').desk.client.facts());
      return engine + gpu + await heapBytes(page);
    },
    close,
  };
}

async function engineOf(page) {
  for (const worker of page.workers()) if (await worker.evaluate(() => self.name) === 'lectern-engine') return worker;
  throw new Error('the page has no worker of the engine');
}

/** Files that a page fetches before a model. */
export function bytes({ executor, dist }) {
  const files = (folder) => readdirSync(join(dist, folder)).map((file) => join(dist, folder, file));
  const [jobs, cpu, gpu] = files('worker').filter((file) => /lectern_wasm.*\.wasm$/.test(file)).sort((a, b) => statSync(a).size - statSync(b).size);
  const kernels = files('worker').filter((file) => /lectern_kernels.*\.wasm$/.test(file));
  return { module: [executor === 'gpu' ? gpu : cpu], 'beside it': [jobs, ...kernels], page: [join(dist, 'index.html'), ...files('assets')] };
}
