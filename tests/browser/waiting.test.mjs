/** Questions that are asked before the models or the pages are there: they wait, and what they wait for is said. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { agreeToDownload, answered, answers, ask, composer, layExample, layFiles } from './lib/desk.mjs';
import { assertQuiet, openSite } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

const files = [
  { name: 'weir.md', text: '# The weir\n\nThe weir was built in 1843 to drive the paper mill at Eastbrook.' },
  { name: 'ferry.md', text: '# The ferry\n\nThe ferry leaves at nine from the eastern landing.' },
  { name: 'otters.md', text: '# Otters\n\nOtters dive for crayfish below the northern wall.' },
];
const QUESTION = 'When was the weir built for the paper mill?';

/** A page has been read when the test says so, and not before. */
function holdReading() {
  const { postMessage } = Worker.prototype;
  const held = [];
  let free = 0;
  globalThis.readOn = (n) => {
    free += n;
    while (free > 0 && held.length > 0) {
      free -= 1;
      held.shift()();
    }
  };
  Worker.prototype.postMessage = function (message, transfer) {
    const send = () => { postMessage.call(this, message, transfer); };
    if (message.method !== 'lay_down') send();
    else {
      held.push(send);
      globalThis.readOn(0);
    }
  };
}

const readOn = (page, n) => page.evaluate((n) => { globalThis.readOn(n); }, n);
const exchanges = (page) => page.evaluate(() => document.querySelector('lectern-desk').desk.conversation.list.length);
const kept = (page) => page.getByRole('status').filter({ hasText: 'Your question is kept' });

const open = async (t) => {
  const context = await site.context();
  await context.addInitScript(holdReading);
  const page = await site.open(context);
  t.after(() => page.close());
  return page;
};

test('a question asked before the models are there is asked once they are open and the pages are read', async (t) => {
  const page = await open(t);
  await layFiles(page, files);
  await ask(page, QUESTION);
  await kept(page).getByText('as soon as the models are open and the pages are read (3 to go)').waitFor();
  await agreeToDownload(page);
  await readOn(page, 2);
  await kept(page).getByText('as soon as the pages are read (1 to go)').waitFor();
  assert.equal(await exchanges(page), 0);
  await kept(page).getByRole('button', { name: 'Ask now' }).waitFor();
  // Another one is begun meanwhile, and stays.
  await composer(page).fill('And the ferry');
  await readOn(page, 1);
  await answered(page);
  assert.equal(await exchanges(page), 1);
  assert.equal(await answers(page).evaluate(({ question, reply }) => `${question} ${reply.answer.hits[0].source}`), `${QUESTION} weir.md`);
  assert.equal(await composer(page).inputValue(), 'And the ferry');
  assert.equal(await kept(page).count(), 0);
  assertQuiet(page);
});

test('where pages are not used, a question waits for the models alone', async (t) => {
  const page = await open(t);
  await layFiles(page, files);
  await page.getByText('Use my pages').click();
  await ask(page, QUESTION);
  await kept(page).getByText('as soon as the models are open.').waitFor();
  await agreeToDownload(page);
  await answered(page);
  assert.equal(await page.getByText('0 of 3 read').count(), 1);
  assertQuiet(page);
});

test('an answer that could not look at all pages says so, and is given again once they are read', async (t) => {
  const page = await open(t);
  await readOn(page, 3);
  await layExample(page);
  await layFiles(page, files.slice(0, 2));
  await ask(page, QUESTION);
  await answered(page);
  const said = answers(page).getByText('2 pages were not read yet when this was asked.');
  await said.getByText('It can be asked again once all are.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Ask again' }).count(), 0);
  await readOn(page, 2);
  await page.getByRole('button', { name: 'Ask again' }).click();
  await answered(page);
  assert.equal(await exchanges(page), 2);
  assert.equal(await answers(page).last().evaluate(({ reply }) => reply.answer.hits[0].source), 'weir.md');
  assert.equal(await said.count(), 1, 'the first one alone');
  assertQuiet(page);
});

test('a download that was put off is said to be what the pages wait for, and is a click away', async (t) => {
  const page = await open(t);
  await readOn(page, 3);
  await layFiles(page, files);
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByText('Your pages wait for the models, and so will your questions.').waitFor();
  assert.equal(await page.getByText('You can ask already').count(), 0);
  await page.getByRole('button', { name: /^Get the models/ }).click();
  await agreeToDownload(page);
  await page.getByText('3 of 3 read').waitFor();
  assertQuiet(page);
});
