/** Lectern itself, through the page's own client. */
export async function open({ browser, dist, device, inputs }) {
  const { page, close } = await browser.page({ '/': dist }, '/');
  await page.waitForFunction(() => document.querySelector('lectern-desk')?.desk.models.phase === 'missing');
  const executor = await page.evaluate(async (wanted) => {
    const { desk } = document.querySelector('lectern-desk');
    await desk.client.start(wanted);
    const chosen = new Promise((resolve) => { desk.client.on('executor', resolve); });
    await desk.models.load();
    return chosen;
  }, device);
  if (executor.executor !== device) {
    await close();
    throw new Error(executor.reason);
  }
  const generate = (content, n) => page.evaluate(async ([text, tokens]) => {
    const sampling = { temperature: 0, top_k: 0, top_p: 1, repetition_penalty: 1, seed: 0 };
    const { ids, usage, timings_ms } = await document.querySelector('lectern-desk').desk.client
      .generate([{ role: 'user', content: text }], { precision: 'fast', max_tokens: tokens, adapter: null, scale: 0, sampling, stop: [] });
    return { read: usage.prompt_tokens - usage.cached_tokens, n: ids.length, ...timings_ms };
  }, [content, n]);

  return {
    name: `lectern-${device}-1`,
    async load() {
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
      const { n: written, decode } = await generate(inputs.prompts[context], n);
      if (written < n / 2) throw new Error(`ended after ${written} tokens`);
      return (1000 * (written - 1)) / decode;
    },
    embed: (n) => page.evaluate(async (texts) => {
      const started = performance.now();
      await document.querySelector('lectern-desk').desk.client.embed(texts);
      return (1000 * texts.length) / (performance.now() - started);
    }, inputs.passages.slice(0, n)),
    close,
  };
}
