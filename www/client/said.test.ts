import { expect, it } from 'vitest';
import type { Sentence } from './generated';
import { legendOf, partsOf, respelledOf, saidOf, styledOf } from './said';

it('finds the marks of an answer, alone, in pairs and after a space, and loses no character', () => {
  const answer = 'Built in 1843 [1], mended [2][13]. See [sic] a[0] and [x].';
  const parts = partsOf(answer);
  expect(parts.map(({ text }) => text).join('')).toBe(answer);
  expect(partsOf('Run `mdbook init` [1].').map(({ text }) => text)).toEqual(['Run `mdbook init`', ' [1]', '.']);
  expect(parts.filter(({ marker }) => marker !== null).map(({ word, marker }) => [word, marker])).toEqual([['1843', 1], ['mended', 2], ['', 13], ['a', 0]]);
});

it('says which words of a question were read otherwise', () => {
  const [lamp, oil] = [{ written: 'lmap', read: 'lamp' }, { written: 'oli', read: 'oil' }];
  expect(respelledOf([])).toBe('');
  expect(respelledOf([lamp])).toBe('“lmap” was read as “lamp”: no page has it as written. Words in quotes are kept.');
  expect(respelledOf([lamp, oil])).toBe('“lmap” was read as “lamp”, “oli” as “oil”: no page has them as written. Words in quotes are kept.');
});

it('sets apart what Markdown does within a line', () => {
  expect(styledOf('Run `mdbook init`, **not** `a\nb` or ** c **.')).toEqual([
    { text: 'Run ', as: null }, { text: 'mdbook init', as: 'code' }, { text: ', ', as: null }, { text: 'not', as: 'strong' },
    { text: ' `a\nb` or ', as: null }, { text: ' c ', as: 'strong' }, { text: '.', as: null },
  ]);
});

it('says what the lines below sentences mean', () => {
  const of = (...supports: Sentence['support'][]) => legendOf(supports.map((support) => ({ start: 0, end: 1, support, marker: null })));
  expect([of(), of('supported'), of('not-found', 'supported'), of('not-found', 'partly')]).toEqual([
    '', '', 'Dashed: not in the passages.', 'Dotted: only partly in the passages. Dashed: not in the passages.',
  ]);
});

it('cuts an answer at its sentences by their byte offsets', () => {
  const bytes = (part: string) => new TextEncoder().encode(part).length;
  const [first, second] = ['Séamus grew apples [1].', 'Über allem.'];
  const answer = `${first}\n${second} So.`;
  const said = saidOf(answer, [
    { start: 0, end: bytes(first), support: 'supported', marker: 1 },
    { start: bytes(first) + 1, end: bytes(first) + 1 + bytes(second), support: 'not-found', marker: null },
  ]);
  expect(said).toEqual([
    { text: first, support: 'supported', told: null },
    { text: '\n', support: null, told: null },
    { text: second, support: 'not-found', told: 'not in the passages' },
    { text: ' So.', support: null, told: null },
  ]);
  expect(saidOf(answer, [])).toEqual([{ text: answer, support: null, told: null }]);
});
