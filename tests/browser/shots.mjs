/** Takes the screenshots that are looked at by eye: each state of the page, in light and dark, wide and narrow. */
import { join } from 'node:path';
import { agreeToDownload, answered, answers, ask, composer, layExample, layFiles, marks } from './lib/desk.mjs';
import { openSite, output } from './lib/site.mjs';

const site = await openSite();
const shoot = (page, name) => page.screenshot({ path: join(output, `${name}.png`) });
const looks = [
  ['light', { viewport: { width: 1440, height: 900 }, colorScheme: 'light' }],
  ['dark', { viewport: { width: 1440, height: 900 }, colorScheme: 'dark' }],
  ['phone', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: 'light' }],
  ['phone-dark', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: 'dark' }],
];
const only = process.argv[2];

for (const [look, options] of looks.filter(([name]) => !only || name === only)) {
  const page = await site.open(await site.context(options));
  await page.getByText('Downloads two models').waitFor();
  await shoot(page, `${look}-1-empty`);

  await layFiles(page, [
    { name: 'field-notes.md', text: `# Field notes\n\n${Array.from({ length: 900 }, (_, i) => `Day ${i + 1}. The heron came to the weir at dusk and waited.`).join('\n\n')}` },
    { name: 'empty.txt', text: '' },
    { name: 'letters/to-the-editor-about-the-weir.md', text: 'The weir needs mending.\n\nThe council has been told.' },
  ]);
  await page.getByRole('button', { name: /^Download/ }).waitFor();
  await shoot(page, `${look}-2-consent`);
  site.server.bytesPerSecond = 400_000;
  await agreeToDownload(page);
  await page.getByText('Fetching the models').waitFor();
  await page.waitForTimeout(1700);
  await shoot(page, `${look}-3-fetching`);
  site.server.bytesPerSecond = Infinity;
  await page.getByText(/reading passage [1-9]/).first().waitFor();
  await shoot(page, `${look}-4-indexing`);
  await page.close();

  const second = await site.open(await site.context(options));
  await layExample(second);
  await shoot(second, `${look}-5-example`);
  await ask(second, 'How are the two lists of search results merged?');
  await answers(second).locator('.text[aria-live]', { hasText: /\w+ \w+ \w+ \w+ \w+/ }).first().waitFor();
  await shoot(second, `${look}-6-answering`);
  await answered(second);
  await shoot(second, `${look}-7-answered`);
  await marks(second).first().click();
  await second.waitForTimeout(500);
  await shoot(second, `${look}-8-citation`);
  await second.keyboard.press('Escape');
  await second.getByRole('combobox', { name: 'Voice' }).selectOption('pirate');
  await second.getByRole('switch', { name: 'Hear both' }).check();
  await ask(second, 'What happens when the strength of a voice is zero?');
  await answered(second);
  await shoot(second, `${look}-9-both`);
  await ask(second, 'Who won the cup in 1974?');
  await answered(second);
  await second.locator('lectern-facts summary').last().click();
  await composer(second).focus();
  await shoot(second, `${look}-10-refused`);
  await second.getByRole('button', { name: /Settings/ }).click();
  await shoot(second, `${look}-11-settings`);
  await second.close();
}
await site.close();
