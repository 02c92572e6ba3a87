/** Without a mouse: few stops on the way to the question, and the focus is never lost with what held it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answered, answers, ask, composer, layExample, layFiles, modelsOpen } from './lib/desk.mjs';
import { assertQuiet, openSite } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

const open = async (t) => {
  const page = await site.open(await site.context());
  t.after(() => page.close());
  return page;
};

/** What has the focus, by the name that a screen reader says. */
const focused = (page) => page.evaluate(() => {
  let { activeElement } = document;
  while (activeElement?.shadowRoot?.activeElement) ({ activeElement } = activeElement.shadowRoot);
  return activeElement === document.body ? null : activeElement?.getAttribute('aria-label') ?? activeElement?.textContent.trim();
});
const untilFocused = async (page, name) => {
  const end = Date.now() + 5000;
  for (let found = await focused(page); found !== name; found = await focused(page)) {
    if (Date.now() > end) assert.fail(`${found} has the focus, not ${name}`);
    await page.waitForTimeout(30);
  }
};
const press = async (button) => {
  await button.focus();
  await button.press('Enter');
};

test('with nineteen pages the question is one key away, or a few stops', async (t) => {
  const page = await open(t);
  await layExample(page);
  await layFiles(page, Array.from({ length: 16 }, (_, i) => ({ name: `hut-${i}.md`, text: `# Hut ${i}\n\nIt lies at ${i} metres.` })));
  await page.getByText('19 of 19 read').waitFor();
  await page.reload();
  await page.getByText('19 of 19 read').waitFor();
  await modelsOpen(page);
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Skip to the question');
  const skip = page.getByRole('button', { name: 'Skip to the question' });
  assert.ok(await skip.evaluate((link) => Number(window.getComputedStyle(link).opacity) === 1), 'it is seen');
  let stops = 0;
  do {
    await page.keyboard.press('Tab');
    stops += 1;
  } while ((await focused(page)) !== 'Your question' && stops < 30);
  assert.ok(stops < 15, `${stops} stops`);
  await press(skip);
  await untilFocused(page, 'Your question');
  assertQuiet(page);
});

test('the arrow keys go from page to page', async (t) => {
  const page = await open(t);
  await layExample(page);
  const names = await page.evaluate(() => document.querySelector('lectern-desk').desk.pages.list.map(({ name }) => name));
  await page.getByRole('button', { name: names[0], exact: true }).focus();
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(page), names[1]);
  await page.keyboard.press('End');
  assert.equal(await focused(page), names[2]);
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), `Choose ${names[2]}`);
  await page.keyboard.press('ArrowUp');
  assert.equal(await focused(page), `Choose ${names[1]}`);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Choose files');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(page), `Take ${names[1]} off the desk`);
  assertQuiet(page);
});

test('the focus goes on where one would: after a download was put off, asked for and begun, and after Stop', async (t) => {
  const page = await open(t);
  await layFiles(page, [{ name: 'weir.md', text: 'The weir was built in 1843.' }]);
  await press(page.getByRole('button', { name: 'Not now' }));
  await untilFocused(page, 'Your question');
  await press(page.getByRole('button', { name: /^Get the models/ }));
  await page.getByRole('button', { name: /^Download/ }).waitFor();
  assert.match(await focused(page), /^Download/);
  await page.keyboard.press('Enter');
  await untilFocused(page, 'Your question');
  await modelsOpen(page);
  await page.getByText('Use my pages').click();
  await ask(page, 'Tell a long story about a lighthouse.');
  await answers(page).locator('.text[aria-live]', { hasText: /\w+ \w+/ }).waitFor();
  await press(page.getByRole('button', { name: 'Stop' }));
  await untilFocused(page, 'Your question');
  await answered(page);
  // Asking by the button leaves the focus on what stops it, and then asks again.
  await composer(page).fill('Tell another one.');
  await press(page.getByRole('button', { name: 'Ask', exact: true }));
  await untilFocused(page, 'Stop');
  await page.keyboard.press('Enter');
  await answered(page);
  assertQuiet(page);
});

test('deleting a collection leaves the focus on the one that has come in its place', async (t) => {
  const page = await open(t);
  await layExample(page);
  await page.getByTitle('Collections').click();
  await press(page.getByRole('button', { name: 'Delete…' }));
  await untilFocused(page, 'Keep it');
  await page.keyboard.press('Enter');
  await untilFocused(page, 'Delete…');
  await page.keyboard.press('Enter');
  await untilFocused(page, 'Keep it');
  await press(page.getByRole('button', { name: 'Delete 3 pages from this device' }));
  await page.getByRole('dialog').getByText('0 pages').waitFor();
  await untilFocused(page, 'My pages');
  assertQuiet(page);
});
