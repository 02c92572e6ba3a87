/** Lay down pages, ask, get a cited answer, open the passage, switch the voice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { agreeToDownload, answered, answers, ask, composer, workerOf, layExample, dropFolder, layFiles, marks, modelsOpen } from './lib/desk.mjs';
import { assertQuiet, catalog, dist, openSite, PATIENCE } from './lib/site.mjs';

let site;
let context;
before(async () => {
  site = await openSite({ mounts: { '/deep/down/': dist } });
  context = await site.context();
});
after(() => site.close());

const open = async (t) => {
  const page = await site.open(context);
  t.after(() => page.close());
  return page;
};

test('the page loads, names the bytes before any download, and says nothing in the console', async (t) => {
  const page = await open(t);
  await page.getByText(/Downloads two models first, [\d.]+ MB in all/).waitFor();
  assert.deepEqual(site.server.requests.filter((path) => /\.(gguf|safetensors)$/.test(path)), [], 'no model is fetched unasked');
  assertQuiet(page);
});

test('the workers that see the pages can send nothing to anyone else', async (t) => {
  const page = await open(t);
  await page.getByText(/Downloads two models first/).waitFor();
  const elsewhere = site.server.url.replace('localhost', '127.0.0.1');
  assert.notEqual(elsewhere, site.server.url);
  for (const name of ['lectern-engine', 'lectern-jobs']) {
    const { reached, blocked } = await (await workerOf(page, name)).evaluate(async (url) => {
      const violation = new Promise((resolve) => { self.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => { resolve([effectiveDirective, blockedURI]); }); });
      const reached = await fetch(url, { mode: 'no-cors' }).then(() => true, () => false);
      return { reached, blocked: reached ? null : await violation };
    }, elsewhere);
    assert.equal(reached, false, name);
    assert.equal(blocked[0], 'connect-src');
    assert.ok(blocked[1].startsWith(elsewhere), blocked[1]);
  }
});

test('example, question, cited answer, passage, in that order and with one click each', async (t) => {
  const page = await open(t);
  await layExample(page);
  await page.getByRole('button', { name: 'How are the two lists of search results merged?' }).click();
  const text = await answered(page);
  assert.ok(text.trim().length > 20, text);
  await page.getByText(/tokens per second · .* prompt tokens · found in .* · on the [CG]PU/).waitFor();

  // A small model forgets its numbers; the program sets them where a passage holds the sentence's words.
  assert.ok((await marks(page).count()) > 0, `cites nothing: ${text}`);
  await marks(page).first().click();
  const passage = page.locator('lectern-reader mark.active').first();
  await passage.waitFor();
  assert.ok(await passage.evaluate((mark) => {
    const { top, bottom } = mark.getBoundingClientRect();
    return top >= 0 && top < window.innerHeight && bottom > 0;
  }), 'the passage is in sight');
  await page.keyboard.press('Escape');
  await page.locator('lectern-reader mark').first().waitFor({ state: 'detached' });
  assertQuiet(page);
});

test('a citation’s passage is the very text its span points at', async (t) => {
  const page = await open(t);
  await layExample(page);
  await ask(page, 'How are the two lists of search results merged?');
  await answered(page);
  const wrong = await page.evaluate(() => {
    const { desk } = document.querySelector('lectern-desk');
    const spans = desk.conversation.list.flatMap(({ replies }) => replies).flatMap(({ answer }) => [...answer.citations, ...answer.hits]);
    const bytes = (id) => new TextEncoder().encode(desk.client.sourceText(id).text);
    return { n: spans.length, wrong: spans.filter(({ source_id, start, end, text }) => new TextDecoder().decode(bytes(source_id).subarray(start, end)) !== text) };
  });
  assert.ok(wrong.n > 0);
  assert.deepEqual(wrong.wrong, []);
  assertQuiet(page);
});

test('a dropped folder of three files is read file by file and answered from', async (t) => {
  const page = await open(t);
  await dropFolder(page, [
    { name: 'weir.md', text: '# The weir\n\nThe weir was built in 1843 to drive the paper mill at Eastbrook.' },
    { name: 'herons.html', text: '<h1>Herons</h1><p>Herons come to the weir at dusk.</p><script>document.title = "no"</script>' },
    { name: 'otters.txt', text: 'Otters dive for crayfish below the northern wall.\n' },
  ]);
  await page.getByText('3 of 3 read').waitFor();
  await modelsOpen(page);
  await ask(page, 'When was the weir built for the paper mill?');
  await answered(page);
  const hits = await page.evaluate(() => document.querySelector('lectern-desk').desk.conversation.list[0].replies[0].answer.hits);
  assert.equal(hits[0].source, 'pages/weir.md');
  assert.equal(await page.title(), 'Lectern');
  await page.getByRole('button', { name: 'Take pages/otters.txt off the desk' }).click();
  await page.getByText('2 of 2 read').waitFor();
  assertQuiet(page);
});

test('it works from any folder of a server', async (t) => {
  const page = await site.open(context, '/deep/down/');
  t.after(() => page.close());
  await layExample(page);
  await ask(page, 'What does the reading model do?');
  assert.ok((await answered(page)).length > 0);
  assert.ok(site.server.requests.includes('/deep/down/worker/engine.js'));
  assertQuiet(page);
});

test('pasted text becomes a page, and two are told apart', async (t) => {
  const page = await open(t);
  const paste = async (text) => {
    await page.getByRole('button', { name: 'Paste text' }).click();
    await page.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
    await page.getByRole('button', { name: 'Lay it down' }).click();
  };
  await paste('The ferry leaves at nine from the eastern landing.');
  await page.getByText('Pasted text.md').waitFor();
  await page.getByText('1 of 1 read').waitFor({ timeout: PATIENCE });
  await paste('The heron comes at dusk.');
  await page.getByText('Pasted text 2.md').waitFor();
  assertQuiet(page);
});

test('a reload fetches no model again, and asking makes no request at all', async (t) => {
  const page = await open(t);
  await layExample(page);
  site.server.requests.length = 0;
  await page.reload();
  await modelsOpen(page);
  assert.deepEqual(site.server.requests.filter((path) => path.includes('/models/') && !path.endsWith('models.json')), []);
  await page.getByText('3 of 3 read').waitFor();
  site.server.requests.length = 0;
  const foreign = page.foreign.length;
  await ask(page, 'Does asking a question make a network request?');
  await answered(page);
  assert.deepEqual(site.server.requests, []);
  assert.equal(page.foreign.length, foreign);
  assertQuiet(page);
});

test('a reload keeps the settings and the question that is being written', async (t) => {
  const page = await open(t);
  await layExample(page);
  await page.getByRole('combobox', { name: 'Voice' }).selectOption('cite');
  await page.getByRole('switch', { name: 'Use my pages' }).uncheck();
  await page.getByPlaceholder('Ask the language model something').fill('Where does the');
  await page.getByRole('button', { name: /Settings/ }).click();
  await page.getByText(catalog.models.find(({ role }) => role === 'decoder').name).waitFor();
  await page.getByRole('spinbutton', { name: /^Longest answer/ }).fill('64');
  await page.getByRole('radio', { name: 'Processor', exact: true }).check();
  await page.reload();
  await modelsOpen(page);
  assert.equal(await composer(page).inputValue(), 'Where does the');
  assert.equal(await page.getByRole('combobox', { name: 'Voice' }).inputValue(), 'cite');
  assert.equal(await page.getByRole('switch', { name: 'Use my pages' }).isChecked(), false);
  await page.getByRole('button', { name: /Settings/ }).click();
  assert.equal(await page.getByRole('spinbutton', { name: /^Longest answer/ }).inputValue(), '64');
  assert.equal(await page.getByRole('radio', { name: 'Processor', exact: true }).isChecked(), true);
  assertQuiet(page);
});

test('Stop keeps what has been written, and the page answers again', async (t) => {
  const page = await open(t);
  await layExample(page);
  // From what the model knows: over passages it may be done before it is stopped.
  await page.getByText('Use my pages').click();
  await ask(page, 'Tell a long story about a lighthouse.');
  await answers(page).locator('.text[aria-live]', { hasText: /\w+ \w+/ }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped here.').waitFor();
  assert.ok((await answers(page).first().locator('.text').first().innerText()).length > 0);
  await page.getByText('Use my pages').click();
  await ask(page, 'How are the two lists of search results merged?');
  assert.ok((await answered(page)).length > 0);
  assertQuiet(page);
});

test('a question is asked of one page alone, and of all again', async (t) => {
  const page = await open(t);
  await layExample(page);
  const question = 'How are the two lists of search results merged?';
  const sources = () => page.evaluate(() => [...new Set(document.querySelector('lectern-desk').desk.conversation.list.at(-1).replies[0].answer.hits.map(({ source }) => source))]);
  await ask(page, question);
  await answered(page);
  const [first] = await sources();
  const [other] = (await page.evaluate(() => document.querySelector('lectern-desk').desk.pages.list.map(({ name }) => name))).filter((name) => name !== first);
  await page.getByRole('button', { name: other, exact: true }).click();
  await page.getByRole('button', { name: 'Ask only this page' }).click();
  await page.getByText(`Only ${other} will be asked.`).waitFor();
  await ask(page, question);
  await answered(page);
  assert.deepEqual(await sources(), [other]);
  await page.getByText(`Asked of ${other} alone.`).waitFor();
  // Its row says so, and undoes it.
  await page.getByRole('button', { name: `Choose ${other}`, pressed: true }).click();
  await page.getByText(`Only ${other} will be asked.`).waitFor({ state: 'detached' });
  // Whatever else is chosen, the open page alone, and all again.
  await page.locator('lectern-pages li').filter({ hasText: first }).hover();
  await page.getByRole('button', { name: `Choose ${first}` }).click();
  await page.getByRole('button', { name: 'Ask only this page' }).click();
  await page.getByText(`Only ${other} will be asked.`).waitFor();
  await page.locator('lectern-reader').getByRole('button', { name: 'Ask all pages' }).click();
  await page.getByText(`Only ${other} will be asked.`).waitFor({ state: 'detached' });
  await ask(page, question);
  await answered(page);
  assert.equal((await sources())[0], first);
  assertQuiet(page);
});

test('the same question is heard with the voice off and on, side by side', { skip: catalog.adapters.length === 0 && 'this build ships no voices' }, async (t) => {
  const page = await open(t);
  await layExample(page);
  await page.getByRole('combobox', { name: 'Voice' }).selectOption('pirate');
  await page.getByRole('switch', { name: 'Hear both' }).check();
  await ask(page, 'What does the reading model do?');
  await answered(page);
  const [off, on] = await answers(page).evaluateAll((both) => both.map(({ reply }) => reply.answer.answer));
  assert.ok(off && on);
  assert.notEqual(off, on);
  // Some of the markers that `lectern eval adapter` counts.
  const markers = /\b(arr|ye|yer|matey|th’|th'|be|aye|savvy|o'|seven seas|landlubber|hearty)\b/i;
  assert.match(on, markers);
  const boxes = await answers(page).evaluateAll((both) => both.map((box) => box.getBoundingClientRect().left));
  assert.ok(boxes[1] > boxes[0], 'beside each other');
  assertQuiet(page);
});

test('a download can be cancelled and begun again', async (t) => {
  const fresh = await site.context();
  const page = await site.open(fresh);
  t.after(() => page.close());
  site.server.bytesPerSecond = catalog.models.reduce((sum, { n_bytes }) => sum + n_bytes, 0) / 20;
  await composer(page).fill('Is this kept?');
  await layFiles(page, [{ name: 'a.md', text: 'Something is kept.' }]);
  await agreeToDownload(page);
  await page.getByText(/[\d.]+ [kM]B of [\d.]+ [kM]B/).first().waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  site.server.bytesPerSecond = Infinity;
  assert.equal(await composer(page).inputValue(), 'Is this kept?');
  await agreeToDownload(page);
  await page.getByText('1 of 1 read').waitFor({ timeout: PATIENCE });
  assertQuiet(page);
});
