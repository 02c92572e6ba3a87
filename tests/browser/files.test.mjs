/** Files as people have them, through the page's own worker: what `lectern eval files` asks of the command line. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layExample, layFiles } from './lib/desk.mjs';
import { assertQuiet, isFake, openSite } from './lib/site.mjs';

const data = fileURLToPath(new URL('../../../shared/data/files', import.meta.url));
const MAX_MS = 20_000;

const words = (text) => text.replace(/\s+/g, ' ').trim();

/** What is wrong with what a worker said of a file, or null. */
function fault({ expect, must_contain = [], password }, open, unlocked) {
  const holds = ({ text }) => {
    const missing = must_contain.find((wanted) => !words(text).includes(words(wanted)));
    return missing === undefined ? null : `${missing} is missing`;
  };
  const is = (code) => (open.code === code ? null : `${open.code ?? 'read'}: ${open.message ?? ''}`);
  for (const outcome of [open, unlocked]) {
    if (outcome && outcome.ms > MAX_MS) return `it took ${outcome.ms} ms`;
    if (outcome?.code && !outcome.message) return `${outcome.code} without a word`;
    if (outcome?.code === 'worker-died') return outcome.message;
  }
  switch (expect) {
    case 'text': return is(undefined) ?? holds(open);
    case 'no_text': return is('file-no-text');
    case 'empty': return is('file-empty');
    case 'password': return is('file-password') ?? (unlocked?.code ? `with ${password}: ${unlocked.message}` : holds(unlocked));
    case 'error': return open.code ? null : 'it was read';
    case 'bounded': return open.code ? null : holds(open);
    default: return null;
  }
}

describe('files in the page', { skip: isFake && 'the fake engine reads no formats' }, () => {
  let site;
  let context;
  before(async () => {
    assert.ok(existsSync(data), `the development data is missing: ${data} should be a folder`);
    site = await openSite({ mounts: { '/files/': data } });
    context = await site.context();
  });
  after(() => site?.close());

  test('every file of the manifest does what a person expects of it', async () => {
    const page = await site.open(context);
    await page.evaluate(() => {
      const worker = new globalThis.Worker('/worker/jobs.js', { type: 'module' });
      globalThis.read = (file, name, password) => new Promise((resolve) => {
        const started = performance.now();
        worker.onmessage = ({ data: { document, error } }) => { resolve({ ms: performance.now() - started, text: document?.text ?? '', ...error }); };
        worker.postMessage({ type: 'extract', name, file, password });
      });
    });
    const rows = readFileSync(join(data, 'manifest.jsonl'), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
    const read = (row, password) => page.evaluate(async ([name, password]) => {
      const file = await (await fetch(`/files/${encodeURIComponent(name)}`)).blob();
      return globalThis.read(file, name, password);
    }, [row.file, password]);
    const faults = [];
    for (const row of rows) {
      const open = await read(row, null);
      const unlocked = row.password ? await read(row, row.password) : null;
      const wrong = fault(row, open, unlocked);
      if (wrong) faults.push(`${row.file}: ${wrong}`);
    }
    assert.deepEqual(faults, []);
    assert.ok(rows.length > 50);
    await page.close();
  });

  test('a locked file asks for its password, and a page with pages says where one begins', async () => {
    const page = await site.open(context);
    await layExample(page);
    await layFiles(page, [{ name: 'locked.pdf', bytes: readFileSync(join(data, 'encrypted-aes.pdf')) }, { name: 'four.pdf', bytes: readFileSync(join(data, 'pdflatex-4-pages.pdf')) }]);
    await page.getByText('file-password').waitFor();
    await page.getByLabel('Password of locked.pdf').fill('wrong');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByText('The password does not open the file').waitFor();
    await page.getByLabel('Password of locked.pdf').fill('test');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByText('5 of 5 read').waitFor();
    await page.getByRole('button', { name: 'four.pdf', exact: true }).click();
    await page.getByRole('separator', { name: 'Page 3' }).waitFor({ state: 'attached' });
    // The file itself is a click away, at the page that was cited.
    await page.evaluate(() => {
      const { desk } = document.querySelector('lectern-desk');
      const { id } = desk.pages.list.find(({ name }) => name === 'four.pdf').info;
      const { pages } = desk.client.sourceText(id);
      desk.open({ source_id: id, name: 'four.pdf' }, [], { marker: 1, source_id: id, source: 'four.pdf', start: pages[2], end: pages[2] + 9, page: 3, text: '' });
    });
    const shown = context.waitForEvent('page');
    await page.getByRole('button', { name: 'Page 3 of the PDF' }).click();
    assert.match((await shown).url(), /^blob:.*#page=3$/);
    assertQuiet(page);
    await page.close();
  });
});
