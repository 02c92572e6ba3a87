/** The page on a phone, in the dark, by keyboard and to a screen reader. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { answered, answers, ask, composer, layExample, layFiles, marks } from './lib/desk.mjs';
import { assertAccessible, assertQuiet, openSite, output } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in any state, ${colorScheme}`, async (t) => {
    const page = await site.open(await site.context({ colorScheme }));
    t.after(() => page.close());
    await page.getByText('Downloads two models').waitFor();
    await assertAccessible(page, 'empty');
    await ask(page, 'Anyone?');
    await assertAccessible(page, 'an error');
    await layFiles(page, [{ name: 'empty.txt', text: '' }]);
    await page.getByRole('button', { name: /^Download/ }).waitFor();
    await assertAccessible(page, 'asking for the download');
    await page.getByRole('button', { name: 'Take empty.txt off the desk' }).click();
    await page.getByRole('button', { name: 'Not now' }).click();
    await layExample(page);
    await page.getByRole('combobox', { name: 'Voice' }).selectOption({ index: 1 });
    await page.getByRole('switch', { name: 'Hear both' }).check();
    await ask(page, 'How are the two lists of search results merged?');
    await answered(page);
    await answers(page).first().locator('lectern-facts summary').click();
    await answers(page).first().locator('lectern-facts td button').first().click();
    await page.locator('lectern-reader mark.active').first().waitFor();
    await assertAccessible(page, 'answered, with a page open');
    await page.getByRole('button', { name: /Settings/ }).click();
    await assertAccessible(page, 'settings');
    await page.screenshot({ path: join(output, `look-${colorScheme}.png`) });
    assertQuiet(page);
  });
}

test('a phone shows one column without sideways scrolling, and the source as a sheet', async (t) => {
  const page = await site.open(await site.context({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }));
  t.after(() => page.close());
  await layExample(page);
  await ask(page, 'How are the two lists of search results merged?');
  await answered(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing sticks out');
  await answers(page).locator('lectern-facts summary').click();
  await answers(page).locator('lectern-facts td button').first().click();
  const sheet = page.getByRole('dialog', { name: 'Open page' });
  await sheet.waitFor();
  const box = await sheet.boundingBox();
  assert.equal(Math.round(box.width), 360);
  assert.equal(Math.round(box.y + box.height), 740);
  await assertAccessible(page, 'phone, sheet open');
  await page.screenshot({ path: join(output, 'look-phone.png') });
  await page.getByRole('button', { name: 'Close the page' }).click();
  await sheet.waitFor({ state: 'detached' });
  assertQuiet(page);
});

test('everything can be done by keyboard', async (t) => {
  const page = await site.open(await site.context());
  t.after(() => page.close());
  await layExample(page);
  await composer(page).focus();
  await page.keyboard.type('How are the two lists');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('of search results merged?');
  await page.keyboard.press('Enter');
  await answers(page).first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByText(/Stopped/).first().waitFor();
  await ask(page, 'How are the two lists of search results merged?');
  await answered(page);
  const mark = (await marks(page).count()) ? marks(page).last() : answers(page).last().locator('lectern-facts summary');
  if (!(await marks(page).count())) {
    await mark.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
  } else await mark.focus();
  await page.keyboard.press('Enter');
  await page.locator('lectern-reader mark.active').first().waitFor();
  await page.keyboard.press('Escape');
  await page.locator('lectern-reader mark').first().waitFor({ state: 'detached' });
  await page.waitForFunction(() => {
    let { activeElement } = document;
    while (activeElement?.shadowRoot?.activeElement) ({ activeElement } = activeElement.shadowRoot);
    return activeElement?.matches('.mark, .link');
  });
  assertQuiet(page);
});

test('where the system forces its colours, a switch that is on looks otherwise than one that is off', async (t) => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await site.open(await site.context({ forcedColors: 'active', colorScheme }));
    t.after(() => page.close());
    const look = (locator, part = null) => locator.evaluate((element, part) => {
      const { backgroundColor, borderColor } = window.getComputedStyle(element, part);
      return `${backgroundColor} ${borderColor}`;
    }, part);
    const pages = page.getByRole('switch', { name: 'Use my pages' });
    await pages.waitFor();
    const both = async () => [await look(pages), await look(pages, '::after')];
    const [on, knobOn] = await both();
    await pages.uncheck();
    const [off, knobOff] = await both();
    assert.notEqual(on, off);
    assert.notEqual(knobOn, knobOff);
    for (const [track, knob] of [[on, knobOn], [off, knobOff]]) assert.notEqual(track.split(' rgb')[0], knob.split(' rgb')[0], 'the knob is seen');
    await layExample(page);
    const choose = page.getByRole('button', { name: /^Choose how-voices/ });
    await page.locator('lectern-pages li').filter({ hasText: 'how-voices' }).hover();
    const unpressed = await look(choose);
    await choose.click();
    await page.getByRole('button', { name: /^Choose how-voices/, pressed: true }).waitFor();
    assert.notEqual(await look(choose), unpressed);
  }
});

test('on a phone the question that waits for the models does not lie over their download', async (t) => {
  const page = await site.open(await site.context({ viewport: { width: 360, height: 740 } }));
  t.after(() => page.close());
  await layFiles(page, [{ name: 'weir.md', text: 'The weir was built in 1843.' }]);
  await page.getByRole('button', { name: /^Download/ }).waitFor();
  await ask(page, 'When was the weir built to drive the paper mill of the village?');
  await page.getByText('Your question is kept').waitFor();
  await page.waitForTimeout(300);
  const above = await page.getByRole('button', { name: /^Download/ }).evaluate((button) => button.getBoundingClientRect().bottom);
  const below = await page.locator('lectern-composer').evaluate((box) => box.getBoundingClientRect().top);
  assert.ok(above <= below, `${above} is under ${below}`);
});

for (const [what, viewport] of [['on a phone', { width: 360, height: 740 }], ['twice as large', { width: 640, height: 400 }]]) {
  test(`the first visit ${what}: nothing lies over what one begins with`, async (t) => {
    const page = await site.open(await site.context({ viewport }));
    t.after(() => page.close());
    await page.getByText('Downloads two models').waitFor();
    for (const locator of [page.getByRole('heading', { name: /^Lay down pages, ask/ }), page.getByRole('button', { name: 'Try it with example pages' })]) {
      const { above, below } = await locator.evaluate((element) => {
        const { bottom } = element.getBoundingClientRect();
        return { above: bottom + window.scrollY, below: document.querySelector('lectern-desk').shadowRoot.querySelector('lectern-composer').getBoundingClientRect().top + window.scrollY };
      });
      assert.ok(above <= below, `${above} is under ${below}`);
    }
    await page.screenshot({ path: join(output, `look-first-${viewport.width}.png`) });
  });
}
