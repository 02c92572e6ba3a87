/** What is laid down stays: over reloads, tabs and browsers that end in the middle, damage, and other collections. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { chromium } from './lib/deps.mjs';
import { answered, ask, layExample, layFiles, modelsOpen } from './lib/desk.mjs';
import { assertQuiet, catalog, chromiumPath, FLAGS, isFake, openSite, PATIENCE } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

/** Reading them takes a while, and each says something that no other one says. */
const WORDS = ['amber', 'basalt', 'cobalt', 'drumlin', 'estuary', 'feldspar', 'gneiss', 'hornfels', 'isthmus', 'juniper', 'karst', 'limestone'];
const files = WORDS.map((word, i) => ({
  name: `${word}.md`,
  text: [`# About ${word}`, ...Array.from({ length: 12 + 4 * (i % 5) }, (_, n) => `Station ${n} of the ${word} survey lies ${17 * n + i} metres above the harbour. Its keeper writes down the wind, the water and the birds every morning, and sends the sheet to the office in town by the noon boat.`)].join('\n\n'),
}));

const pagesOf = (page) => page.evaluate(() => document.querySelector('lectern-desk').desk.pages.list.map(({ name, state, error, info }) => ({ name, state, code: error?.code ?? null, n: info?.n_chunks ?? 0 })));
const isOpen = (page) => page.waitForFunction(() => document.querySelector('lectern-desk')?.desk.pages.isOpen, null, { timeout: PATIENCE });
const found = (page, query) => page.evaluate(async (query) => {
  const { hits } = await document.querySelector('lectern-desk').desk.client.search(query, 1);
  return hits[0]?.source;
}, query);
const readAll = (page, n) => page.getByText(`${n} of ${n} read`).waitFor({ timeout: PATIENCE });

async function prepared(context) {
  const page = await site.open(context);
  await layExample(page);
  return page;
}

/** Reads again what was begun more than once, and lays down again what the browser had had no time to keep. */
async function goOn(page) {
  const again = await page.evaluate(() => {
    const { pages } = document.querySelector('lectern-desk').desk;
    for (const page of pages.list.filter(({ error }) => error?.code === 'interrupted')) pages.again(page);
    return pages.list.filter(({ error }) => error?.code === 'file-not-kept').map(({ name }) => name);
  });
  for (const name of again) await page.getByRole('button', { name: `Take ${name} off the desk` }).click();
  if (again.length) await layFiles(page, files.filter(({ name }) => again.includes(name)));
}

/** Ends `page` by `kill` after each of `delays` and opens the next by `open`; nothing that was read may be lost, and nothing laid down forgotten. */
async function survives(page, { open, kill, delays }) {
  const names = (await pagesOf(page)).map(({ name }) => name).sort();
  for (const delay of delays) {
    await page.waitForTimeout(delay);
    const before = await pagesOf(page);
    await kill(page);
    page = await open();
    await isOpen(page);
    const after = await pagesOf(page);
    assert.deepEqual(after.map(({ name }) => name).sort(), names, 'everything that was laid down is listed');
    const read = (list) => list.filter(({ state }) => state === 'ready').map(({ name, n }) => `${name} ${n}`);
    for (const one of read(before)) assert.ok(read(after).includes(one), `${one} is still read`);
    for (const { name, state, code } of after) assert.ok(state !== 'failed' || ['interrupted', 'file-not-kept'].includes(code), `${name}: ${code}`);
    await goOn(page);
  }
  await readAll(page, names.length);
  for (const word of WORDS) assert.equal(await found(page, `How high is station 3 of the ${word} survey?`), `${word}.md`);
  return page;
}

/** The same figures every time. */
function moments(n, from, to) {
  let seed = 20;
  return Array.from({ length: n }, () => {
    seed = (seed * 48271) % 2147483647;
    return Math.round(from + ((to - from) * seed) / 2147483647);
  });
}

test('pages are there after a reload, in their order, without being read again', async (t) => {
  const context = await site.context();
  const page = await prepared(context);
  t.after(() => page.close());
  const before = await pagesOf(page);
  await page.reload();
  await readAll(page, 3);
  assert.deepEqual(await pagesOf(page), before);
  await modelsOpen(page);
  await ask(page, 'How are the two lists of search results merged?');
  assert.ok((await answered(page)).length > 0);
  await page.getByRole('button', { name: /^Take .* off the desk/ }).first().click();
  await readAll(page, 2);
  await page.reload();
  await readAll(page, 2);
  assertQuiet(page);
});

test('the tab ended at ten random moments of indexing: what was read is there, and the rest is read', { skip: isFake }, async (t) => {
  const context = await site.context();
  const page = await prepared(context);
  await layFiles(page, files);
  await page.getByText(`of ${files.length + 3} read`).waitFor();
  const last = await survives(page, {
    delays: moments(10, 0, 1500),
    kill: async (page) => {
      const crashed = page.waitForEvent('crash');
      void (await context.newCDPSession(page)).send('Page.crash').catch(() => undefined);
      await crashed;
      await page.close();
    },
    open: () => site.open(context, '/', { keep: true }),
  });
  t.after(() => last.close());
});

test('the whole browser ended in the middle: what was read is there, and the rest is read', { skip: isFake }, async (t) => {
  const profile = await mkdtemp(join(tmpdir(), 'lectern-'));
  let browser = await launch(profile);
  t.after(async () => {
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const page = await prepared(browser);
  await layFiles(page, files);
  await page.getByText(`of ${files.length + 3} read`).waitFor();
  await survives(page, {
    delays: [2000, 700],
    kill: async () => {
      const { pid } = await (await browser.browser().newBrowserCDPSession()).send('SystemInfo.getProcessInfo').then(({ processInfo }) => ({ pid: processInfo.find(({ type }) => type === 'browser').id }));
      const gone = new Promise((resolve) => { browser.once('close', resolve); });
      process.kill(pid, 'SIGKILL');
      await gone;
    },
    open: async () => {
      browser = await launch(profile);
      return site.open(browser, '/', { keep: true });
    },
  });
});

function launch(profile) {
  return chromium.launchPersistentContext(profile, { executablePath: chromiumPath(), headless: true, args: FLAGS, viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
}

/** Vectors without a model, in no time: what is embedded is not what these tests are about. */
function embedAtOnce() {
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (message, transfer) {
    if (message.method !== 'embed') {
      postMessage.call(this, message, transfer);
      return;
    }
    const value = message.params.texts.map((text) => {
      let seed = [...text].reduce((sum, c) => (31 * sum + c.codePointAt(0)) % 2147483647, 7);
      const vector = Float32Array.from({ length: 384 }, () => {
        seed = (seed * 48271) % 2147483647;
        return seed / 2147483647 - 0.5;
      });
      const length = Math.hypot(...vector);
      return vector.map((x) => x / length);
    });
    queueMicrotask(() => { this.onmessage({ data: { type: 'result', id: message.id, value } }); });
  };
}

/** Of everything that is kept, but for what only tells how far a tab is. */
const entries = (page) => page.evaluate(async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern');
  const found = [];
  for await (const folder of root.values()) for await (const [name, file] of folder.entries()) found.push([name, (await file.getFile().catch(() => ({ size: -1 }))).size]);
  return found.filter(([name]) => !/^(reading|laying)-/.test(name)).sort();
});

async function until(holds) {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`still not: ${holds}`);
    await new Promise((resolve) => { setTimeout(resolve, 250); });
  }
}

test('a damaged page and a damaged graph are named and made anew, and the others stay', { skip: isFake }, async (t) => {
  const context = await site.context();
  await context.addInitScript(embedAtOnce);
  const page = await prepared(context);
  t.after(() => page.close());
  await layFiles(page, Array.from({ length: 4 }, (_, k) => ({ name: `huts-${k}.md`, text: Array.from({ length: 3000 }, (_, i) => `# Hut ${k}-${i}\n\nIt lies at ${i} metres.`).join('\n\n') })));
  await readAll(page, 7);
  await until(async () => (await entries(page)).some(([name]) => /^graph-\w+$/.test(name)));
  const all = await entries(page);
  const graph = all.find(([name]) => name.startsWith('graph-'))[0].slice('graph-'.length);
  // One byte in the middle of each: of the graph, and of the page that was laid down first.
  await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern');
    for await (const folder of root.values()) {
      const names = [];
      for await (const name of folder.keys()) names.push(name);
      for (const prefix of ['graph-', 'page-']) {
        const handle = await folder.getFileHandle(names.sort().find((name) => name.startsWith(prefix)));
        const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
        bytes[bytes.length >> 1] ^= 0x20;
        const stream = await handle.createWritable();
        await stream.write(bytes);
        await stream.close();
      }
    }
  });
  const [{ name: first }] = await pagesOf(page);
  await page.reload();
  const said = (code) => page.getByRole('status').filter({ hasText: code }).first();
  await said('collection-invalid').waitFor({ timeout: PATIENCE });
  await said('index-corrupt').waitFor({ timeout: PATIENCE });
  assert.ok((await said('collection-invalid').innerText()).includes(first), 'the page is named');
  assert.ok((await said('index-corrupt').innerText()).includes(graph), 'the graph is named');
  await readAll(page, 7);
  const graphs = async () => (await entries(page)).filter(([name]) => /^graph-\w+$/.test(name));
  await until(async () => (await graphs()).length === 1);
  const others = (list) => list.filter(([name]) => !name.startsWith('graph-'));
  assert.deepEqual(others(await entries(page)), others(all), 'the rest is what it was');
  await page.reload();
  await readAll(page, 7);
  await modelsOpen(page);
  assert.equal((await graphs()).length, 1);
  assert.equal(await found(page, 'Hut 3-1207'), 'huts-3.md');
  assertQuiet(page);
  assert.equal(await page.getByRole('status').filter({ hasText: /index-corrupt|collection-invalid/ }).count(), 0);
});

/** The one page in `bytes`, as if another embedder had read it: its hash begins otherwise, and its checksum is right. */
function ofAnotherModel(bytes) {
  const changed = Buffer.from(bytes);
  const start = changed.indexOf('LECTPAGE');
  const at = changed.indexOf(catalog.models.find(({ role }) => role === 'embedder').sha256);
  assert.ok(start >= 0 && at > start);
  changed[at] = changed[at] === 0x30 ? 0x31 : 0x30;
  changed.writeUInt32LE(crc32(changed.subarray(start + 16)), start + 12);
  return changed;
}

test('pages that another model has read are read again: those of a collection that comes, and those that came in one', { skip: isFake }, async (t) => {
  const context = await site.context();
  const page = await prepared(context);
  t.after(() => page.close());
  const open = () => page.getByTitle('Collections').click();
  const shut = () => page.getByRole('button', { name: 'Close collections' }).click();
  const begin = async (name) => {
    await open();
    await page.getByRole('textbox', { name: 'Name of a new collection' }).fill(name);
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.getByRole('heading', { name }).waitFor();
    await shut();
  };
  const said = page.getByRole('status').filter({ hasText: 'index-model-mismatch' }).first();
  await begin('Voyages');
  await layFiles(page, [{ name: 'ferry.md', text: '# Ferry\n\nThe ferry leaves at nine from the eastern landing.' }]);
  await readAll(page, 1);
  await open();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export as a file' }).click();
  const collection = await readFile(await (await download).path());
  await shut();

  await begin('Of another model');
  await layFiles(page, [{ name: 'Voyages.lectern', bytes: ofAnotherModel(collection) }]);
  await said.waitFor({ timeout: PATIENCE });
  await readAll(page, 1);
  assert.equal(await found(page, 'When does the ferry leave?'), 'ferry.md');

  const folders = () => page.evaluate(async () => {
    const names = [];
    for await (const name of (await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern')).keys()) names.push(name);
    return names;
  });
  const others = await folders();
  await begin('Of this one');
  await layFiles(page, [{ name: 'Voyages.lectern', bytes: collection }]);
  await readAll(page, 1);
  const [own] = (await folders()).filter((name) => !others.includes(name));
  const folder = await page.evaluate(async (folder) => {
    const handle = await (await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern')).getDirectoryHandle(folder);
    const names = [];
    for await (const name of handle.keys()) names.push(name);
    const name = names.find((name) => name.startsWith('page-'));
    if (!name || names.some((name) => name.startsWith('file-'))) return null;
    return { folder, name, bytes: [...new Uint8Array(await (await (await handle.getFileHandle(name)).getFile()).arrayBuffer())] };
  }, own);
  assert.ok(folder, 'a page without its file is kept');
  await page.evaluate(async ({ folder, name, bytes }) => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern');
    const stream = await (await (await root.getDirectoryHandle(folder)).getFileHandle(name)).createWritable();
    await stream.write(new Uint8Array(bytes));
    await stream.close();
  }, { ...folder, bytes: [...ofAnotherModel(Buffer.from(folder.bytes))] });
  await page.reload();
  await said.waitFor({ timeout: PATIENCE });
  await readAll(page, 1);
  await modelsOpen(page);
  assert.equal(await found(page, 'When does the ferry leave?'), 'ferry.md');
  await page.reload();
  await readAll(page, 1);
  await modelsOpen(page);
  assert.equal(await said.count(), 0);
  assertQuiet(page);
});

test('collections are apart, can be exported and imported, and deleting one leaves nothing of it', async (t) => {
  const context = await site.context();
  const page = await prepared(context);
  t.after(() => page.close());
  const open = () => page.getByTitle('Collections').click();
  const shut = () => page.getByRole('button', { name: 'Close collections' }).click();
  await open();
  await page.getByRole('textbox', { name: 'Name of a new collection' }).fill('Voyages');
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('heading', { name: 'Voyages' }).waitFor();
  await shut();
  await layFiles(page, [{ name: 'ferry.md', text: 'The ferry leaves at nine from the eastern landing.' }]);
  await readAll(page, 1);
  assert.equal(await found(page, 'When does the ferry leave?'), 'ferry.md');

  await open();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export as a file' }).click();
  const exported = await download;
  assert.equal(exported.suggestedFilename(), 'Voyages.lectern');
  const path = await exported.path();

  await page.getByRole('button', { name: 'My pages', exact: true }).last().click();
  await page.getByRole('heading', { name: 'My pages' }).waitFor();
  await shut();
  await readAll(page, 3);
  assert.notEqual(await found(page, 'When does the ferry leave?'), 'ferry.md');
  await page.locator('input.files').setInputFiles(path);
  await readAll(page, 4);
  assert.equal(await found(page, 'When does the ferry leave?'), 'ferry.md');

  await open();
  await page.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('button', { name: 'Delete 4 pages from this device' }).click();
  await page.getByRole('heading', { name: 'Voyages' }).waitFor();
  await shut();
  await readAll(page, 1);
  await page.reload();
  await readAll(page, 1);
  const left = await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern');
    const names = [];
    for await (const folder of root.values()) for await (const name of folder.keys()) names.push(name.split('-')[0]);
    return names.filter((name) => name !== 'reading').sort();
  });
  assert.deepEqual(left, ['file', 'page', 'title']);
  assertQuiet(page);
});

test('without a file system of the site’s own the database keeps the pages', async (t) => {
  const context = await site.context();
  await context.addInitScript(() => { delete FileSystemFileHandle.prototype.createWritable; });
  const page = await prepared(context);
  t.after(() => page.close());
  await page.reload();
  await readAll(page, 3);
  assert.equal(await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name).join()), 'lectern');
  await page.getByRole('button', { name: /^Take .* off the desk/ }).first().click();
  await readAll(page, 2);
  await page.reload();
  await readAll(page, 2);
  assertQuiet(page);
});

test('where nothing can be kept it is said, and the pages work', async (t) => {
  const context = await site.context();
  await context.addInitScript(() => {
    delete FileSystemFileHandle.prototype.createWritable;
    Object.defineProperty(window, 'indexedDB', { value: { open: () => { throw new DOMException('no', 'SecurityError'); } } });
  });
  const page = await prepared(context);
  t.after(() => page.close());
  await page.getByRole('status').getByText('pages-not-kept').waitFor();
  await ask(page, 'How are the two lists of search results merged?');
  assert.ok((await answered(page)).length > 0);
});

test('storage that fills up while pages are laid down is said, and they work', async (t) => {
  const context = await site.context();
  const page = await prepared(context);
  t.after(() => page.close());
  await page.evaluate(() => {
    const { write } = FileSystemWritableFileStream.prototype;
    FileSystemWritableFileStream.prototype.write = function (data) {
      return data.size > 300 ? Promise.reject(new DOMException('full', 'QuotaExceededError')) : write.call(this, data);
    };
  });
  await layFiles(page, files.slice(0, 1));
  await page.getByRole('status').getByText('pages-not-kept').waitFor({ timeout: PATIENCE });
  await readAll(page, 4);
  assert.equal(await found(page, 'How high is station 3 of the amber survey?'), 'amber.md');
  await page.reload();
  await readAll(page, 3);
});
