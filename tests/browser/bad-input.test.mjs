/** Each gives a message a person can act on and a stable code; nothing is lost; the page goes on. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { answered, answers, ask, chooseDevice, composer, workerOf, layExample, layFiles, modelsOpen } from './lib/desk.mjs';
import { assertQuiet, catalog, dist, isFake, openSite, PATIENCE } from './lib/site.mjs';

let site;
let context;
before(async () => {
  site = await openSite();
  context = await site.context();
});
after(() => site.close());

const open = async (t, path) => {
  const page = await site.open(context, path);
  t.after(() => page.close());
  return page;
};
const stillAnswers = async (page) => {
  await ask(page, 'How are the two lists of search results merged?');
  assert.ok((await answered(page)).length > 0);
};

test('empty and binary files are refused by name, and the good one is read', async (t) => {
  const page = await open(t);
  await layExample(page);
  await layFiles(page, [{ name: 'empty.txt', text: '' }, { name: 'picture.md', text: '\u0089PNG\r\n\u001a\n\0\0\0\rIHDR\0\0\u0001\0' }, { name: 'good.md', text: 'Good words.' }]);
  await page.getByText('4 of 6 read').waitFor();
  await page.getByText('file-empty').waitFor();
  await page.getByText('file-binary').waitFor();
  // A screen reader hears of all of them once, and each row says what is wrong without its name again.
  await page.getByRole('status').getByText('2 pages could not be read; the list says why.').waitFor({ state: 'attached' });
  assert.equal(await page.getByRole('alert').count(), 0);
  if (!isFake) assert.equal(await page.getByText('empty.txt:').count(), 0);
  await stillAnswers(page);
  assertQuiet(page);
});

test('a question with no documents is kept in the box, with what to do', async (t) => {
  const page = await open(t);
  await ask(page, 'Who is there?');
  await page.getByRole('alert').getByText('no-documents').waitFor();
  assert.equal(await composer(page).inputValue(), 'Who is there?');
  // What it asks for has been done.
  const use = page.getByRole('switch', { name: 'Use my pages' });
  await use.uncheck();
  await page.getByText('no-documents').waitFor({ state: 'detached' });
  await use.check();
  await ask(page, 'Who is there?');
  await page.getByText('no-documents').waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByText('no-documents').waitFor({ state: 'detached' });
  await layExample(page);
  await stillAnswers(page);
  assertQuiet(page);
});

test('a question far from the pages is refused, without a guess', async (t) => {
  const page = await open(t);
  await layExample(page);
  await ask(page, 'Which team won the football cup in 1974?');
  await answered(page);
  await page.getByRole('button', { name: 'Show the nearest passage' }).waitFor();
  await stillAnswers(page);
  assertQuiet(page);
});

test('a truncated model of one’s own and a file that is none are refused; the old model stays', async (t) => {
  const page = await open(t);
  await layExample(page);
  await page.getByRole('button', { name: /Settings/ }).click();
  const whole = readFileSync(join(dist, 'models', catalog.models.find(({ role }) => role === 'decoder').url));
  const pick = (name, buffer) => page.locator('input.gguf').setInputFiles({ name, mimeType: 'application/octet-stream', buffer });
  await pick('short.gguf', whole.subarray(0, Math.floor(Math.min(whole.length / 2, 400_000))));
  await page.locator('lectern-settings').getByText('model-truncated').waitFor();
  await pick('none.gguf', Buffer.from('this is no model, only words that go on for a while'));
  await page.locator('lectern-settings').getByText('model-magic').waitFor();
  await page.getByRole('button', { name: 'Close settings' }).click();
  await stillAnswers(page);
  assertQuiet(page);
});

test('a model that arrives damaged is thrown away, said, and fetched anew on the next try', async (t) => {
  const fresh = await site.context();
  const url = catalog.models.find(({ role }) => role === 'embedder').url;
  let damage = true;
  await fresh.route(`**/models/${url}`, async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    if (damage) body[body.length >> 1] ^= 0xff;
    await route.fulfill({ response, body });
  });
  const page = await site.open(fresh);
  t.after(() => page.close());
  await page.getByRole('button', { name: 'Try it with example pages' }).click();
  await page.getByText('model-hash-mismatch').waitFor({ timeout: PATIENCE });
  damage = false;
  await page.getByRole('button', { name: /^(Download|Open the models)/ }).click();
  await page.getByText('3 of 3 read').waitFor({ timeout: PATIENCE });
  assertQuiet(page);
});

test('a missing model file is an error to act on, not a dead page', async (t) => {
  const fresh = await site.context();
  await fresh.route('**/models/*.gguf', (route) => route.fulfill({ status: 404, body: '' }));
  const page = await site.open(fresh);
  t.after(() => page.close());
  await page.getByRole('button', { name: 'Try it with example pages' }).click();
  await page.getByText('download-failed').waitFor();
  await fresh.unroute('**/models/*.gguf');
  await page.getByRole('button', { name: /^Download/ }).click();
  await page.getByText('3 of 3 read').waitFor({ timeout: PATIENCE });
});

test('full storage is said; the models work from memory', async (t) => {
  const fresh = await site.context();
  const page = await site.open(fresh);
  t.after(() => page.close());
  await page.getByText('Downloads two models').waitFor();
  await (await workerOf(page)).evaluate(() => { Cache.prototype.put = () => Promise.reject(new DOMException('full', 'QuotaExceededError')); });
  await layExample(page);
  await page.getByText('storage-quota').waitFor();
  await stillAnswers(page);
  assertQuiet(page);
});

test('a second tab is told that there is a first, and both have the same pages', async (t) => {
  const first = await open(t);
  await first.getByText(/Downloads two models|Three short pages/).waitFor();
  const second = await site.open(context, '/', { keep: true });
  t.after(() => second.close());
  await second.getByRole('status').getByText('second-tab').waitFor();
  await layExample(second);
  await first.getByText('3 of 3 read').waitFor();
  await stillAnswers(second);
  await first.getByRole('button', { name: /^Take how-voices/ }).click();
  await second.getByText('2 of 2 read').waitFor();
  await layFiles(first, [{ name: 'more.md', text: 'The ferry leaves at nine.' }]);
  await second.getByText('3 of 3 read').waitFor();
  assertQuiet(first);
  assertQuiet(second);
});

test('a GPU lost in the middle of an answer: the processor goes on, and it is said', async (t) => {
  const page = await open(t);
  await layExample(page);
  await chooseDevice(page, 'Graphics processor');
  const executor = await page.evaluate(() => document.querySelector('lectern-desk').desk.executor);
  assert.equal(executor.executor, 'gpu', executor.reason);
  await ask(page, 'How are the two lists of search results merged?');
  await page.waitForFunction(() => ['thinking', 'writing'].includes(document.querySelector('lectern-desk').desk.conversation.list.at(-1).replies[0].state));
  await (await workerOf(page)).evaluate(() => {
    const { gpu } = self.lectern;
    if (gpu.devices.length) gpu.devices.at(-1).destroy();
    else gpu.fail('lost by the test');
  });
  await page.getByRole('status').getByText('gpu-lost').waitFor();
  assert.ok((await answered(page)).length > 0);
  await page.locator('lectern-desk .where').getByText('On the processor').waitFor();
  await stillAnswers(page);
});

test('a dead engine is started again with its models and pages', async (t) => {
  const page = await open(t);
  await layExample(page);
  await page.waitForTimeout(500);
  await (await workerOf(page)).evaluate(() => { self.lectern.died(new WebAssembly.RuntimeError('unreachable')); });
  await page.getByRole('status').getByText('engine-restarted').waitFor({ timeout: PATIENCE });
  await stillAnswers(page);
  await answers(page).last().locator('lectern-facts summary').click();
  await answers(page).last().locator('lectern-facts td button').first().click();
  await page.locator('lectern-reader mark.active').first().waitFor();
});

test('without WebGPU the processor answers, and the page says why', async (t) => {
  const plain = await openSite({ webgpu: false });
  t.after(() => plain.close());
  const page = await plain.open(await plain.context());
  await layExample(page);
  await modelsOpen(page);
  await page.getByRole('button', { name: /Settings/ }).click();
  const reason = await page.locator('lectern-settings fieldset [role=status]').innerText();
  assert.match(reason, /^Now on the processor\..*\w{3,}/);
  await page.getByRole('button', { name: 'Close settings' }).click();
  await stillAnswers(page);
  assertQuiet(page);
});
