/** transformers.js on onnxruntime-web; its ONNX files lie under LECTERN_ONNX. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundled } from '../lib/bundle.mjs';

/** Its usual forms: 8-bit weights on one thread; 4-bit weights, and an encoder in fp32, on WebGPU. */
const FORMS = {
  cpu: { name: 'transformers.js-q8-1', device: 'wasm', embedderType: 'q8', decoderType: 'q8' },
  gpu: { name: 'transformers.js-webgpu', device: 'webgpu', embedderType: 'fp32', decoderType: 'q4' },
};

export async function open({ browser, executor, peers, onnx, chat, inputs }) {
  const { name, ...form } = FORMS[executor];
  if (!onnx || !existsSync(join(onnx, 'smollm2/onnx/model_quantized.onnx'))) throw new Error('LECTERN_ONNX names no folder with its ONNX files (cargo xtask bench --onnx exports them)');
  const bundle = await bundled(peers, 'transformers-page');
  const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/page/': bundle, '/ort/': join(peers, 'node_modules/onnxruntime-web/dist'), '/models/': onnx });
  const start = async () => {
    await page.addScriptTag({ url: '/page/transformers-page.js', type: 'module' });
    await page.waitForFunction(() => globalThis.peer);
    return page.evaluate((wanted) => globalThis.peer.load(wanted), form);
  };
  await start();
  const complete = (content, n) => page.evaluate(([prompt, tokens]) => globalThis.peer.complete(prompt, tokens), [chat(content), n]);

  return {
    name,
    async load() {
      await page.reload();
      return start();
    },
    async prefill(n) {
      const { prompt, first } = await complete(inputs.prompts[n], 1);
      return (1000 * prompt) / first;
    },
    async decode(n, context) {
      const { tokens, decode } = await complete(inputs.prompts[context], n);
      return (1000 * (tokens - 1)) / decode;
    },
    embed: (n) => page.evaluate((texts) => globalThis.peer.embed(texts), inputs.passages.slice(0, n)),
    close,
  };
}

/** Files that a page fetches before a model. */
export async function bytes({ executor, peers }) {
  const ort = join(peers, 'node_modules/onnxruntime-web/dist', executor === 'gpu' ? 'ort-wasm-simd-threaded.jsep' : 'ort-wasm-simd-threaded');
  return { module: [`${ort}.wasm`], page: [join(await bundled(peers, 'transformers-page'), 'transformers-page.js'), `${ort}.mjs`] };
}
