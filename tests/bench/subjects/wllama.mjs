/** wllama: llama.cpp in WebAssembly, on the same GGUF; one thread, since the page is not cross-origin isolated. */
import { dirname, join } from 'node:path';

export async function open({ browser, peers, gguf, chat, inputs }) {
  const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/wllama/': join(peers, 'node_modules/@wllama/wllama/esm'), '/models/': dirname(gguf) });
  const start = (url) => page.evaluate(async (model) => {
    const { Wllama } = await import('/wllama/index.js');
    const silent = { debug() {}, log() {}, warn() {}, error: console.error };
    const started = performance.now();
    const blob = await (await fetch(model)).blob();
    const wllama = new Wllama({ default: `${location.origin}/wllama/wasm/wllama.wasm` }, { suppressNativeLog: true, logger: silent });
    await wllama.loadModel([blob], { n_threads: 1, n_gpu_layers: 0, n_ctx: 2176, n_batch: 512, n_ubatch: 512, n_parallel: 1, warmup: false });
    globalThis.wllama = wllama;
    return performance.now() - started;
  }, url);
  const url = `/models/${gguf.slice(dirname(gguf).length + 1)}`;
  await start(url);
  /** Milliseconds to the first token, tokens after it, and milliseconds for those. */
  const complete = (content, n) => page.evaluate(async ([prompt, tokens]) => {
    const started = performance.now();
    let [first, last, chunks, timings] = [0, 0, 0, null];
    await globalThis.wllama.createCompletion({
      prompt, max_tokens: tokens, ignore_eos: true, temperature: 0, top_k: 1, cache_prompt: false, seed: 1, stream: true,
      onData: (data) => { last = performance.now(); first ||= last; chunks += 1; timings = data.timings ?? timings; },
    });
    return { first: first - started, chunks, decode: last - first, timings };
  }, [chat(content), n]);

  return {
    name: 'wllama-q4_1-1',
    async load() {
      await page.evaluate(() => globalThis.wllama.exit());
      await page.reload();
      return start(url);
    },
    async prefill(n) {
      const { first } = await complete(inputs.prompts[n], 1);
      return (1000 * n) / first;
    },
    async decode(n, context) {
      const { chunks, decode } = await complete(inputs.prompts[context], n);
      return (1000 * (chunks - 1)) / decode;
    },
    close,
  };
}

/** Files that a page fetches before a model. */
export function bytes({ peers }) {
  const esm = join(peers, 'node_modules/@wllama/wllama/esm');
  return { module: [join(esm, 'wasm/wllama.wasm')], page: [join(esm, 'index.js')] };
}
