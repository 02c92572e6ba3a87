/** A page that was taken off can be put back until something else is done, and what cites it says where it is. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answered, answers, ask, layExample, layFiles, marks } from './lib/desk.mjs';
import { assertAccessible, assertQuiet, isFake, openSite } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

const open = async (t) => {
  const page = await site.open(await site.context());
  t.after(() => page.close());
  await layExample(page);
  return page;
};
const names = (page) => page.evaluate(() => document.querySelector('lectern-desk').desk.pages.list.map(({ name }) => name));
const takeOff = (page, name) => page.getByRole('button', { name: `Take ${name} off the desk` }).press('Enter');
const putBack = (page, name) => page.getByRole('button', { name: `Put back ${name}` });
const hasFocus = async (locator) => locator.page().waitForFunction((element) => element.matches(':focus'), await locator.elementHandle());

test('a page that was taken off is put back where it was, and opens where it was cited', async (t) => {
  const page = await open(t);
  await ask(page, 'How are the two lists of search results merged?');
  await answered(page);
  const before = await names(page);
  const cited = await answers(page).evaluate(({ reply }) => reply.answer.citations[0].source);
  await takeOff(page, cited);
  await hasFocus(putBack(page, cited));
  await page.getByText('2 of 2 read').waitFor();
  await page.getByText(`Taken off the desk: ${cited}`).first().waitFor();
  await marks(page).first().click();
  await page.getByRole('status').getByText(`“${cited}” has been taken off the desk, so its passage cannot be opened.`).waitFor();
  await assertAccessible(page, 'a page taken off');

  await putBack(page, cited).press('Enter');
  await page.getByText('3 of 3 read').waitFor();
  assert.deepEqual(await names(page), before);
  await hasFocus(page.getByRole('button', { name: `Take ${cited} off the desk` }));
  // The fake engine gives it another number.
  if (!isFake) {
    await page.getByText(`Taken off the desk: ${cited}`).first().waitFor({ state: 'detached' });
    await marks(page).first().click();
    await page.locator('lectern-reader mark.active').first().waitFor();
  }
  await page.reload();
  await page.getByText('3 of 3 read').waitFor();
  assertQuiet(page);
});

test('it stays off once something else is done, and over a reload', async (t) => {
  const page = await open(t);
  const [first, second, third] = await names(page);
  await takeOff(page, first);
  await takeOff(page, second);
  await putBack(page, second).waitFor();
  assert.equal(await putBack(page, first).count(), 0);
  await ask(page, 'What does the reading model do?');
  await answered(page);
  assert.equal(await putBack(page, second).count(), 0);
  await takeOff(page, third);
  await layFiles(page, [{ name: 'weir.md', text: 'The weir was built in 1843.' }]);
  await page.getByText('1 of 1 read').waitFor();
  assert.equal(await putBack(page, third).count(), 0);
  await takeOff(page, 'weir.md');
  await putBack(page, 'weir.md').waitFor();
  await page.waitForFunction(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lectern');
    for await (const folder of root.values()) for await (const name of folder.keys()) if (/^(file|page)-/.test(name)) return false;
    return true;
  });
  await page.reload();
  await page.getByRole('button', { name: 'Try it with example pages' }).waitFor();
  assertQuiet(page);
});

test('it is gone from its collection, whatever comes on the desk meanwhile', async (t) => {
  const page = await open(t);
  const [first] = await names(page);
  await page.evaluate(() => {
    const { arrayBuffer } = Blob.prototype;
    Blob.prototype.arrayBuffer = async function () {
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      return arrayBuffer.call(this);
    };
  });
  await takeOff(page, first);
  const choose = (title) => page.evaluate(async (title) => {
    const { shelves } = document.querySelector('lectern-desk').desk;
    const found = shelves.list.find((one) => one.title === title);
    await (found ? shelves.choose(found) : shelves.create(title));
  }, title);
  await choose('Voyages');
  await choose('My pages');
  await page.getByText('2 of 2 read').waitFor();
  assert.ok(!(await names(page)).includes(first));
  assertQuiet(page);
});
