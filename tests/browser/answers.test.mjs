/** What an answer says of itself: that no model was asked, that it was given before, and what the passages do not hold. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { agreeToDownload, answered, answers, ask, assertMarked, layExample, layFiles, marks, modelsOpen } from './lib/desk.mjs';
import { assertAccessible, assertQuiet, catalog, isFake, openSite } from './lib/site.mjs';

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

const QUESTION = 'How are the two lists of search results merged?';
const embedded = ['weir.html', 'herons.md'].map((name) => ({ name, text: readFileSync(new URL(`embed/${name}`, import.meta.url), 'utf8') }));

const lastAnswer = (page) => page.evaluate(() => document.querySelector('lectern-desk').desk.conversation.list.at(-1).replies[0].answer);
const squeezed = (text) => text.replace(/\s+/g, '');

test('until the language model has come, the passages’ own sentences answer, and open where they stand', async (t) => {
  const context = await site.context();
  const { url } = catalog.models.find(({ role }) => role === 'decoder');
  let asked = 0;
  let letCome;
  const coming = new Promise((resolve) => { letCome = resolve; });
  await context.route(({ pathname }) => pathname.endsWith(`/${url}`), async (route) => {
    asked += 1;
    await coming;
    await route.continue();
  });
  const page = await site.open(context);
  t.after(() => page.close());
  await page.getByRole('button', { name: 'Try it with example pages' }).click();
  await page.getByText('3 of 3 read').waitFor();
  await ask(page, QUESTION);
  await answered(page);
  await page.getByText('The passages themselves; no language model was asked.').waitFor();
  assert.equal(asked, 1, 'its file is on its way, and nothing of it is here');
  const { answer, citations, extractive } = await lastAnswer(page);
  assert.equal(extractive, true);
  const said = [...answer.matchAll(/\s*([^[]+?)\s?\[(\d+)\]\.?/g)].map(([, text, marker]) => ({ text, passage: citations.find((one) => one.marker === Number(marker)).text }));
  assert.equal(await marks(page).count(), said.length);
  assert.ok(said.length > 0, answer);
  for (const [i, { text, passage }] of said.entries()) {
    assert.ok(squeezed(passage).includes(squeezed(text)), `${text} is nowhere in ${passage}`);
    await marks(page).nth(i).click();
    const open = page.locator('lectern-reader mark.active');
    await open.first().waitFor();
    assert.equal(squeezed((await open.allInnerTexts()).join('')), squeezed(passage));
    await page.keyboard.press('Escape');
    await open.first().waitFor({ state: 'detached' });
  }
  const askTheModel = page.getByRole('button', { name: 'Ask the language model' });
  assert.equal(await askTheModel.count(), 0);

  letCome();
  await modelsOpen(page);
  await askTheModel.click();
  await answered(page);
  assert.equal((await lastAnswer(page)).extractive, false);
  assert.equal(await answers(page).count(), 2);
  assertQuiet(page);
});

test('the same question is answered from memory, and anew when that is asked for', { skip: isFake && 'the fake engine keeps no answer' }, async (t) => {
  const page = await site.open(await site.context());
  t.after(() => page.close());
  await layExample(page);
  const known = (i) => answers(page).nth(i).getByText('Answered before; the pages have not changed.');
  await ask(page, QUESTION);
  const first = await answered(page);
  assert.equal(await known(0).count(), 0);
  await ask(page, QUESTION);
  assert.equal(await answered(page), first);
  await known(1).waitFor();
  assert.equal((await lastAnswer(page)).timings_ms.decode, 0, 'nothing is written anew');
  await page.getByRole('button', { name: 'Answer again' }).click();
  await answered(page);
  assert.equal(await answers(page).count(), 3);
  assert.equal(await known(2).count(), 0);
  assert.ok((await lastAnswer(page)).timings_ms.decode > 0);
  // Other pages may answer otherwise.
  await layFiles(page, [{ name: 'ferry.md', text: 'The ferry leaves at nine from the eastern landing.' }]);
  await page.getByText('4 of 4 read').waitFor();
  await ask(page, QUESTION);
  await answered(page);
  assert.equal(await known(3).count(), 0);
  assertQuiet(page);
});

/** The pages of the weir and its herons, read, and the models open. */
const openWeir = async (t) => {
  const page = await site.open(await site.context());
  t.after(() => page.close());
  await layFiles(page, embedded);
  await agreeToDownload(page);
  await page.getByText('2 of 2 read').waitFor();
  await modelsOpen(page);
  return page;
};

test('a question is read as the pages spell it, and what is made up gives way to the passages', { skip: isFake && 'the fake engine spells nothing and makes nothing up' }, async (t) => {
  const page = await openWeir(t);
  // There is no story in the pages.
  await ask(page, 'Tell me a story about the weir and the hreons.');
  const text = await answered(page);
  await page.getByText('“hreons” was read as “herons”: no page has it as written. Words in quotes are kept.').waitFor();
  await page.getByText('The passages themselves; what the language model said stands in none of them.').waitFor();
  const { set_aside: story, answer } = await lastAnswer(page);
  assert.match(text, /Herons come to the weir at dusk/);
  assert.ok(story.length > 0 && story !== answer, story);
  assert.ok(await page.getByText(story).isHidden());
  await page.getByText('What it said').click();
  await page.getByText(story).waitFor();
  await assertAccessible(page, 'what was set aside');
  assertQuiet(page);
});

test('what the passages do not hold is marked', { skip: isFake && 'the fake engine judges no sentence' }, async (t) => {
  const page = await openWeir(t);
  // Little of it is in the pages; what else is told is made up.
  await ask(page, 'What is the history of the weir?');
  await answered(page);
  await assertMarked(answers(page).locator('.text').first(), await lastAnswer(page));
  await page.getByText(/(Dotted: only partly|Dashed: not) in the passages\./).waitFor();
  await ask(page, 'When was the weir built to drive the paper mill?');
  await answered(page);
  const { sentences } = await lastAnswer(page);
  assert.equal(await answers(page).last().locator('.partly, .not-found').count(), sentences.filter(({ support }) => support !== 'supported').length);
  assertQuiet(page);
});
