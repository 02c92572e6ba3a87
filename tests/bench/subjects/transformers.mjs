/** transformers.js on onnxruntime-web, 8-bit weights, one thread; its ONNX files lie under LECTERN_ONNX. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

export async function open({ browser, peers, onnx, chat, inputs }) {
  if (!onnx || !existsSync(join(onnx, 'smollm2/onnx/model_quantized.onnx'))) throw new Error('LECTERN_ONNX names no folder with its ONNX files');
  const bundle = join(peers, 'node_modules/.lectern');
  mkdirSync(bundle, { recursive: true });
  await build({ entryPoints: [join(peers, 'subjects/transformers-page.mjs')], bundle: true, format: 'esm', platform: 'browser', outfile: join(bundle, 'transformers.js'), logLevel: 'error' });
  const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/page/': bundle, '/ort/': join(peers, 'node_modules/onnxruntime-web/dist'), '/models/': onnx });
  const start = async () => {
    await page.addScriptTag({ url: '/page/transformers.js', type: 'module' });
    await page.waitForFunction(() => globalThis.peer);
    return page.evaluate(() => globalThis.peer.load());
  };
  await start();
  const complete = (content, n) => page.evaluate(([prompt, tokens]) => globalThis.peer.complete(prompt, tokens), [chat(content), n]);

  return {
    name: 'transformers.js-q8-1',
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
