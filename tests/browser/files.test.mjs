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

/** `zip -X survey.zip gate.md; zip -X -P tide survey.zip key.md; zip -X -P ebb survey.zip boat.md`, each a sentence. */
const SURVEY = `\
UEsDBAoAAAAAAAAAIVz32C3jKwAAACsAAAAHAAAAZ2F0ZS5tZFRoZSBnYXRlIG9mIHRoZSB3ZWlyIGlzIG9pbGVkIGV2ZXJ5IHNwcmluZy5QSwMEFAAJ\
AAgAAAAhXD1Zzpk0AAAALQAAAAYAAABrZXkubWRha/nQH9Lm5cj/6R76IV0NGIaEhjgukC+OyJ904ws/3SEkZUtnnpyU38kAo2njW8jQrVD1UEsHCD1Z\
zpk0AAAALQAAAFBLAwQUAAkACAAAACFcb12yyzcAAAAsAAAABwAAAGJvYXQubWRo0JKvVmfC0LqX2Twvvpoemtr8ObF+0zKebC37DXBQR/RRgE9yKsQZ\
tgXHhGhzxDdFZ8xKH+lMUEsHCG9dsss3AAAALAAAAFBLAQIeAwoAAAAAAAAAIVz32C3jKwAAACsAAAAHAAAAAAAAAAEAAACkgQAAAABnYXRlLm1kUEsB\
Ah4DFAAJAAgAAAAhXD1Zzpk0AAAALQAAAAYAAAAAAAAAAQAAAKSBUAAAAGtleS5tZFBLAQIeAxQACQAIAAAAIVxvXbLLNwAAACwAAAAHAAAAAAAAAAEA\
AACkgbgAAABib2F0Lm1kUEsFBgAAAAADAAMAngAAACQBAAAAAA==`;
/** `zip -X -P neap letters.zip lamp.md; zip -X attic.zip letters.zip`. */
const ATTIC = `\
UEsDBAoAAAAAAAAAIVzlxb6lpAAAAKQAAAALAAAAbGV0dGVycy56aXBQSwMECgAJAAAAAAAhXHKZnngkAAAAGAAAAAcAAABsYW1wLm1kz5yKxBS7XTBy\
uR4JBWHoAFntvl+aOIzFQFlkBoqcL9h66NQ9UEsHCHKZnngkAAAAGAAAAFBLAQIeAwoACQAAAAAAIVxymZ54JAAAABgAAAAHAAAAAAAAAAEAAACkgQAA\
AABsYW1wLm1kUEsFBgAAAAABAAEANQAAAFkAAAAAAFBLAQIeAwoAAAAAAAAAIVzlxb6lpAAAAKQAAAALAAAAAAAAAAAAAACkgQAAAABsZXR0ZXJzLnpp\
cFBLBQYAAAAAAQABADkAAADNAAAAAAA=`;

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

/** It has the focus now, or in a moment. */
const hasFocus = async (locator) => locator.page().waitForFunction((element) => element.matches(':focus'), await locator.elementHandle());

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
    await hasFocus(page.getByLabel('Password of locked.pdf'));
    await page.getByLabel('Password of locked.pdf').fill('test');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByText('5 of 5 read').waitFor();
    await hasFocus(page.getByRole('button', { name: 'locked.pdf', exact: true }));
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

  test('a locked file in an archive asks for its own password, whatever the others take', async () => {
    const page = await site.open(context);
    await layExample(page);
    const row = (name) => page.locator('lectern-pages li', { has: page.getByTitle(name, { exact: true }) });
    const unlock = async (name, password) => {
      await page.getByLabel(`Password of ${name}`).fill(password);
      await row(name).getByRole('button', { name: 'Open', exact: true }).click();
    };
    const found = (query) => page.evaluate(async (query) => {
      const { hits } = await document.querySelector('lectern-desk').desk.client.search(query, 1);
      return [hits[0].source, hits[0].text];
    }, query);

    // One file is open, and two are locked, each by a password of its own: the first one opens the archive.
    await layFiles(page, [{ name: 'survey.zip', bytes: Buffer.from(SURVEY, 'base64') }]);
    await unlock('survey.zip', 'spring');
    await row('survey.zip').getByText('The password does not open the file').waitFor();
    await unlock('survey.zip', 'tide');
    await page.getByText('5 of 6 read').waitFor();
    assert.equal(await row('survey.zip').count(), 0, 'it has given way to its files');
    assert.deepEqual(await found('Where is the key of the lighthouse?'), ['survey.zip/key.md', 'The key of the lighthouse lies under the mat.']);
    await row('survey.zip/boat.md').getByText('The password does not open the file').waitFor();

    // What is still locked is kept as it came, and asks again.
    await page.reload();
    await page.getByText('5 of 6 read').waitFor();
    await row('survey.zip/boat.md').getByText('The file is locked').waitFor();
    await unlock('survey.zip/boat.md', 'tide');
    await row('survey.zip/boat.md').getByText('The password does not open the file').waitFor();
    await unlock('survey.zip/boat.md', 'ebb');
    await page.getByText('6 of 6 read').waitFor();
    assert.deepEqual(await found('Where is the boat moored?'), ['survey.zip/boat.md', 'The boat is moored behind the northern wall.']);

    // An archive that is not locked, and one in it that is.
    await layFiles(page, [{ name: 'attic.zip', bytes: Buffer.from(ATTIC, 'base64') }]);
    await row('attic.zip/letters.zip').getByText('file-password').waitFor();
    await unlock('attic.zip/letters.zip', 'neap');
    await page.getByText('7 of 7 read').waitFor();
    assert.deepEqual(await found('When is the lamp lit?'), ['attic.zip/letters.zip/lamp.md', 'The lamp is lit at dusk.']);
    assertQuiet(page);
    await page.close();
  });
});
