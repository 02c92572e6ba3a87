/** `<lectern-ask>` in a page that is not ours: same origin in a sub-path, and from another origin. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertMarked, layExample } from './lib/desk.mjs';
import { assertAccessible, assertQuiet, dist, isFake, openSite, output, PATIENCE } from './lib/site.mjs';
import { serve } from './lib/serve.mjs';

let site;
before(async () => { site = await openSite({ mounts: { '/embed/': fileURLToPath(new URL('embed/', import.meta.url)), '/some/where/lectern/': dist } }); });
after(() => site.close());

async function askTheWeir(page, question = 'When was the weir built to drive the paper mill?') {
  await page.getByRole('textbox', { name: 'Your question' }).fill(question);
  await page.getByRole('button', { name: 'Ask' }).click();
  const consent = page.getByRole('button', { name: /^Download [\d.]+ MB$/ });
  await consent.waitFor();
  return consent;
}

/** What the element tells of the next answer that it gives after `act`. */
async function answerAfter(page, act) {
  const answer = page.evaluate(() => new Promise((resolve) => { document.addEventListener('lectern-answer', ({ detail }) => resolve(detail), { once: true }); }));
  await act();
  return answer;
}

test('it asks before it downloads, answers, and links to the page', async (t) => {
  const page = await site.open(await site.context(), '/embed/?widget=/some/where/lectern/widget.js');
  t.after(() => page.close());
  site.server.requests.length = 0;
  const consent = await askTheWeir(page);
  assert.deepEqual(site.server.requests.filter((path) => /\.(gguf|wasm)$|weir/.test(path)), [], 'nothing is fetched before consent');
  await assertAccessible(page, 'asking for the download');
  const { answer: text, hits, citations } = await answerAfter(page, () => consent.click());
  assert.ok(text.length > 0);
  assert.match(hits[0].source, /weir/);
  if (citations.length) await page.locator('lectern-ask li a').first().waitFor();
  await page.screenshot({ path: join(output, 'embed.png') });
  await assertAccessible(page, 'answered');
  assertQuiet(page);
});

test('it marks what the pages do not hold, and says which answer is told again until it is made anew', { skip: isFake && 'the fake engine judges no sentence and keeps no answer' }, async (t) => {
  const page = await site.open(await site.context(), '/embed/?widget=/some/where/lectern/widget.js');
  t.after(() => page.close());
  // Little of it is in the pages; what else is told is made up.
  const consent = await askTheWeir(page, 'What is the history of the weir?');
  const first = await answerAfter(page, () => consent.click());
  await assertMarked(page.locator('lectern-ask .answer'), first);
  await page.getByText(/(Dotted: only partly|Dashed: not) in the passages\./).waitFor();
  const known = page.getByText('Answered before; the pages have not changed.');
  assert.equal(first.cached, false);
  assert.ok(await known.isHidden());

  const second = await answerAfter(page, () => page.getByRole('button', { name: 'Ask', exact: true }).click());
  assert.equal(second.cached, true);
  await known.waitFor();
  await assertAccessible(page, 'told again, light');
  await page.addStyleTag({ content: ':root { color-scheme: dark } body { background: #141716; color: #e6e9e4 } a { color: #9cf }' });
  await assertAccessible(page, 'told again, dark');
  const third = await answerAfter(page, () => page.getByRole('button', { name: 'Answer again' }).click());
  assert.equal(third.cached, false);
  await known.waitFor({ state: 'hidden' });
  assertQuiet(page);
});

test('declining downloads nothing, and the question stays', async (t) => {
  const page = await site.open(await site.context(), '/embed/?widget=/some/where/lectern/widget.js');
  t.after(() => page.close());
  await askTheWeir(page);
  site.server.requests.length = 0;
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByRole('button', { name: 'Ask' }).waitFor();
  assert.match(await page.getByRole('textbox', { name: 'Your question' }).inputValue(), /weir/);
  assert.deepEqual(site.server.requests, []);
  assertQuiet(page);
});

test('it works from another origin', async (t) => {
  const other = await serve({ '/lectern/': dist });
  t.after(() => other.close());
  const page = await site.open(await site.context(), `/embed/?widget=${other.url}/lectern/widget.js`);
  t.after(() => page.close());
  const consent = await askTheWeir(page);
  await consent.click();
  await page.locator('lectern-ask .answer', { hasText: /\w+ \w+/ }).waitFor({ timeout: PATIENCE });
  assert.deepEqual(page.said, []);
});

test('it answers from an index folder instead of pages', async (t) => {
  const context = await site.context();
  const desk = await site.open(context);
  await layExample(desk);
  const collection = await desk.evaluate(async () => Array.from(await document.querySelector('lectern-desk').desk.client.exportCollection()));
  await desk.close();
  await context.route('**/shelf/collection.lectern', (route) => route.fulfill({ body: Buffer.from(collection) }));
  const page = await site.open(context, '/embed/?widget=/some/where/lectern/widget.js');
  t.after(() => page.close());
  const source = await page.evaluate(() => new Promise((resolve, reject) => {
    const element = document.querySelector('lectern-ask');
    element.removeAttribute('pages');
    element.setAttribute('index', 'shelf');
    element.addEventListener('lectern-answer', ({ detail }) => { resolve(detail.hits[0].source); });
    element.addEventListener('lectern-error', ({ detail }) => { reject(new Error(detail.code)); });
    void customElements.whenDefined('lectern-ask').then(() => element.ask('How are the two lists of search results merged?'));
  }));
  assert.equal(source, 'how-lectern-finds-passages.md', 'and asks for no consent when the models are here already');
  assertQuiet(page);
});
