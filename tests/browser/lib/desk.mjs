/** What a person does on the page, in the words they would use. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalog, PATIENCE } from './site.mjs';

export const composer = (page) => page.getByRole('textbox', { name: 'Your question' });
export const answers = (page) => page.locator('lectern-answer');
export const marks = (page) => page.locator('lectern-answer .text button.mark');

/** Lays the example down and waits until its pages are read and the models are open. */
export async function layExample(page) {
  try {
    await page.getByRole('button', { name: 'Try it with example pages' }).click();
  } catch (error) {
    const models = await page.evaluate(() => { const { phase, asking, list } = document.querySelector('lectern-desk').desk.models; return { phase, asking, list }; });
    throw new Error(`The example cannot be laid down; models: ${JSON.stringify(models)}`, { cause: error });
  }
  await page.getByText('3 of 3 read').waitFor({ timeout: PATIENCE });
  await modelsOpen(page);
}

export async function layFiles(page, files) {
  await page.locator('input.files').setInputFiles(files.map(({ name, text, bytes }) => ({ name, mimeType: 'application/octet-stream', buffer: bytes ?? Buffer.from(text) })));
}

/** As dragged from a file manager: the browser's own drop of files that lie on the disk, in a folder. */
export async function dropFolder(page, files) {
  const folder = join(await mkdtemp(join(tmpdir(), 'lectern-')), 'pages');
  await mkdir(folder);
  for (const { name, text } of files) await writeFile(join(folder, name), text);
  const session = await page.context().newCDPSession(page);
  const { width, height } = page.viewportSize();
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await session.send('Input.dispatchDragEvent', { type, x: width / 2, y: height / 2, data: { items: [], files: [folder], dragOperationsMask: 1 } });
  }
}

export async function agreeToDownload(page) {
  await page.getByRole('button', { name: /^(Download|Open the models)/ }).click();
}

export async function modelsOpen(page) {
  await page.locator('lectern-desk .where', { hasText: /On the (graphics )?processor/ }).waitFor({ timeout: PATIENCE });
}

export async function ask(page, question) {
  await composer(page).fill(question);
  await composer(page).press('Enter');
}

/** Resolves with the last answer's text once nothing is being written any more. */
export async function answered(page) {
  await page.waitForFunction(() => {
    const { list, busy } = document.querySelector('lectern-desk').desk.conversation;
    return list.length > 0 && !busy;
  }, null, { timeout: PATIENCE });
  await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  await page.getByRole('button', { name: 'Ask', exact: true }).waitFor();
  return answers(page).last().locator('.text').first().innerText();
}

const TOLD = { partly: 'only partly in the passages', 'not-found': 'not in the passages' };

/** What the passages do not hold of an answer is marked in `box` to the eye and to a screen reader, and nothing else; it is some of it. */
export async function assertMarked(box, { answer, sentences }) {
  const unheld = sentences.filter(({ support }) => support !== 'supported');
  assert.ok(unheld.length > 0, answer);
  const marked = await box.locator('.partly, .not-found').evaluateAll((spans) => spans.map((span) => {
    const { textDecorationLine, textDecorationStyle } = window.getComputedStyle(span);
    return [span.textContent, span.title, textDecorationLine, textDecorationStyle];
  }));
  const bytes = Buffer.from(answer);
  const sentence = ({ start, end }) => bytes.subarray(start, end).toString().replace(/\s?(\[\d+\])/g, '$1');
  assert.deepEqual(marked, unheld.map((one) => [`${sentence(one)} (${TOLD[one.support]})`, `This is ${TOLD[one.support]}.`, 'underline', one.support === 'partly' ? 'dotted' : 'dashed']));
  const heard = await box.ariaSnapshot();
  for (const { support } of unheld) assert.ok(heard.includes(`(${TOLD[support]})`), heard);
  for (const { width } of await box.locator('.hidden').evaluateAll((spans) => spans.map((span) => span.getBoundingClientRect().toJSON()))) assert.ok(width <= 1, 'said to a screen reader alone');
}

export async function chooseDevice(page, name) {
  await page.getByRole('button', { name: /Settings/ }).click();
  await page.getByRole('radio', { name, exact: true }).check();
  // Not the words on the page: those before the change are still there for a moment.
  await page.waitForFunction(() => !document.querySelector('lectern-desk').desk.switching, null, { timeout: PATIENCE });
  await page.locator('lectern-settings [role=status]', { hasText: /Now on/ }).waitFor({ timeout: PATIENCE });
  await page.getByRole('button', { name: 'Close settings' }).click();
}

/** The engine worker's own globals: the host with its GPU watch. */
export async function workerOf(page, name = 'lectern-engine') {
  for (const worker of page.workers()) if (await worker.evaluate(() => self.name) === name) return worker;
  throw new Error(`the page has no worker ${name}`);
}

export const nBytesOfModels = catalog.models.reduce((sum, { n_bytes }) => sum + n_bytes, 0);
