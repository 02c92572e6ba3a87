/** The reference's own numbers, through the page's worker, on both executors. Needs the real models. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { chooseDevice, layExample } from './lib/desk.mjs';
import { assertQuiet, isFake, openSite } from './lib/site.mjs';

const golden = (name) => JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8'));
const LOGIT_TOLERANCE = 0.05;
/** Below this margin between the two likeliest tokens, rounding may choose the other. */
const MARGIN = 0.1;
const N_LAYERS = 30;
/** WebGPU is emulated on most test machines: some one token a second. */
const FULL = Boolean(process.env.LECTERN_FULL);
const N_TOKENS = { cpu: 24, gpu: FULL ? 24 : 3 };

/** Cases whose messages are known: three prompts without a voice, then the pirate's at 1, ½, 0 and off, of which the emulated device takes the first. */
function cases() {
  const chat = golden('chat').cases;
  const messagesOf = (ids) => chat.find(({ prompt_ids }) => JSON.stringify(prompt_ids) === JSON.stringify(ids))?.messages;
  const plain = Object.values(golden('decoder').prompts).map(({ ids, greedy_ids, ...one }) => ({ ...one, scale: null, prompt_ids: ids, generated_ids: greedy_ids, messages: messagesOf(ids) }));
  const voiced = golden('adapters').adapters.pirate.cases.map((one) => ({ ...one, messages: messagesOf(one.prompt_ids) }));
  const known = (some, n) => {
    const found = some.filter(({ messages }) => messages);
    assert.ok(found.length >= n, `the chat goldens hold ${found.length} of the messages`);
    return found;
  };
  return { plain: known(plain, 3), voiced: known(voiced, 4) };
}

describe('goldens in the page', { skip: isFake && 'the fake engine knows no language' }, () => {
  let site;
  let page;
  before(async () => {
    site = await openSite();
    page = await site.open(await site.context());
    await layExample(page);
    await page.evaluate(async () => {
      const { desk } = document.querySelector('lectern-desk');
      await desk.models.voice(desk.models.catalog.adapters.find(({ name }) => name === 'pirate'));
    });
  });
  after(() => site?.close());

  const generate = (messages, adapter, scale, nTokens, precision = 'exact') => page.evaluate(async ([messages, adapter, scale, max_tokens, precision]) => {
    const { client } = document.querySelector('lectern-desk').desk;
    const before = await client.gpuCounters();
    const sampling = { temperature: 0, top_k: 0, top_p: 1, repetition_penalty: 1, seed: 0 };
    const generation = await client.generate(messages, { max_tokens, precision, adapter, scale, sampling, stop: [] });
    const after = await client.gpuCounters();
    return { ...generation, dispatches: after.dispatches - before.dispatches, submits: after.submits - before.submits };
  }, [messages, adapter, scale, nTokens, precision]);

  function assertGolden(got, one) {
    assert.deepEqual(got.prompt_ids, one.prompt_ids);
    let nCommon = 0;
    for (const [i, id] of got.first_logits_top20.ids.entries()) {
      const at = one.first_logits_top20.ids.indexOf(id);
      if (at < 0) continue;
      nCommon += 1;
      const difference = Math.abs(got.first_logits_top20.values[i] - one.first_logits_top20.values[at]);
      assert.ok(difference <= LOGIT_TOLERANCE, `logit of ${id} is ${difference} off`);
    }
    assert.ok(nCommon >= 18, `${nCommon} of the likeliest 20 tokens are the reference's`);
    const n = Math.min(got.ids.length, one.generated_ids.length);
    assert.ok(n > 0);
    const differs = got.ids.slice(0, n).findIndex((id, i) => id !== one.generated_ids[i]);
    if (differs >= 0) assert.ok(one.margins[differs] <= MARGIN, `token ${differs} is ${got.ids[differs]}, not ${one.generated_ids[differs]}, at a margin of ${one.margins[differs]}`);
    return differs < 0 ? n : differs;
  }

  for (const [device, name, choice] of [['cpu', 'the processor', 'Processor'], ['gpu', 'WebGPU', 'Graphics processor']]) {
    test(`ids and logits of the reference on ${name}, three prompts and a voice`, async () => {
      await chooseDevice(page, choice);
      await page.evaluate(async () => {
        const { desk } = document.querySelector('lectern-desk');
        await desk.models.voice(desk.models.catalog.adapters.find(({ name }) => name === 'pirate'));
      });
      const { executor, reason } = await page.evaluate(() => document.querySelector('lectern-desk').desk.executor);
      assert.equal(executor, device, reason);
      const emulated = device === 'gpu' && !FULL;
      const { plain, voiced } = cases();
      // Half, silent and off are run on the emulated device natively, by the Rust tests.
      const chosen = emulated ? voiced.filter(({ scale }) => scale === 1).slice(0, 1) : voiced;
      let nEqual = 0;
      for (const one of [...plain, ...chosen]) {
        const got = await generate(one.messages, one.scale === null ? null : 'pirate', one.scale ?? 0, N_TOKENS[device]);
        nEqual += assertGolden(got, one);
      }
      assert.ok(nEqual >= 2 * (plain.length + chosen.length), `${nEqual} tokens are the reference's`);
      assertQuiet(page);
    });
  }

  test('a token on WebGPU takes at most five dispatches a layer and three more, with a voice as well', async () => {
    const { executor } = await page.evaluate(() => document.querySelector('lectern-desk').desk.executor);
    assert.equal(executor, 'gpu');
    const messages = [{ role: 'user', content: 'Count slowly from one to twenty.' }];
    for (const voice of [null, 'pirate']) {
      // Read once before, so that both go on from the same place.
      await generate(messages, voice, 1, 1);
      const short = await generate(messages, voice, 1, 2);
      const long = await generate(messages, voice, 1, 6);
      const perToken = (count) => (long[count] - short[count]) / (long.ids.length - short.ids.length);
      assert.ok(perToken('dispatches') > 0 && perToken('dispatches') <= 5 * N_LAYERS + 3, `${perToken('dispatches')} dispatches a token with ${voice}`);
      // The step, and the copy of the four bytes that are read, which CubeCL submits by itself.
      assert.equal(perToken('submits'), 2, `submissions a token with ${voice}`);
    }
  });

  test('fast on the processor is near the reference, and not exact: the kernels of relaxed SIMD are in place', async () => {
    await chooseDevice(page, 'Processor');
    for (const one of cases().plain) {
      const exact = await generate(one.messages, null, 0, 1);
      const fast = await generate(one.messages, null, 0, 1, 'fast');
      const of = (id) => fast.first_logits_top20.values[fast.first_logits_top20.ids.indexOf(id)];
      const differences = exact.first_logits_top20.ids.map((id, i) => Math.abs(of(id) - exact.first_logits_top20.values[i])).filter((difference) => !Number.isNaN(difference));
      assert.ok(differences.length >= 15 && Math.max(...differences) < 2, differences.join(', '));
      assert.ok(Math.max(...differences) > 0, 'fast is exact: were the kernels installed?');
      assert.equal(fast.usage.cached_tokens, 0, 'another precision starts anew');
    }
  });
});
