/** One collection is not taken for another, and each has its own conversation. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answered, answers, ask, layExample, marks } from './lib/desk.mjs';
import { assertAccessible, assertQuiet, openSite } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

const open = async (t) => {
  const page = await site.open(await site.context());
  t.after(() => page.close());
  await layExample(page);
  return page;
};
const show = (page) => page.getByTitle('Collections').click();
const shut = (page) => page.getByRole('button', { name: 'Close collections' }).click();
const begin = async (page, name) => {
  await page.getByRole('textbox', { name: 'Name of a new collection' }).fill(name);
  await page.getByRole('button', { name: 'Begin' }).click();
};
const heading = (page, name) => page.getByRole('heading', { name, exact: true }).waitFor();

test('two collections of one name are told apart, and what was deleted is said', async (t) => {
  const page = await open(t);
  await show(page);
  await begin(page, 'Village');
  await heading(page, 'Village');
  await begin(page, 'Village');
  await heading(page, 'Village 2');
  await page.getByRole('textbox', { name: 'Name of this collection' }).fill('My pages');
  await page.getByRole('button', { name: 'Rename' }).click();
  await heading(page, 'My pages 2');
  await page.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('button', { name: 'Delete 0 pages from this device' }).click();
  await page.getByRole('status').getByText('“My pages 2” and its 0 pages have been deleted.').waitFor();
  await assertAccessible(page, 'a collection deleted');
  await shut(page);
  await show(page);
  await page.getByText('have been deleted').waitFor({ state: 'detached' });
  assertQuiet(page);
});

test('each collection keeps its questions and answers while another is on the desk', async (t) => {
  const page = await open(t);
  await ask(page, 'How are the two lists of search results merged?');
  await answered(page);
  await show(page);
  await begin(page, 'Voyages');
  await heading(page, 'Voyages');
  assert.equal(await answers(page).count(), 0);
  await page.getByRole('button', { name: 'My pages', exact: true }).last().click();
  await heading(page, 'My pages');
  await shut(page);
  await page.getByText('3 of 3 read').waitFor();
  assert.equal(await answers(page).count(), 1);
  await page.getByText('Also worth asking').waitFor();
  await marks(page).first().click();
  await page.locator('lectern-reader mark.active').first().waitFor();

  // With a collection its conversation goes too, also where the next one has its name.
  await show(page);
  await page.getByRole('button', { name: 'Voyages', exact: true }).click();
  await page.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('button', { name: 'Delete 0 pages from this device' }).click();
  await heading(page, 'My pages');
  assert.equal(await answers(page).count(), 1);
  await page.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('button', { name: 'Delete 3 pages from this device' }).click();
  await page.getByText('“My pages” and its 3 pages have been deleted.').waitFor();
  assert.equal(await answers(page).count(), 0);
  assertQuiet(page);
});
