import { expect, it } from 'vitest';
import { blocksOf, piecesOf, wordsUnder } from './typeset';

const text = 'Übersicht\n\nErster Absatz,\nzweite Zeile.\n\n  \n\nTeil\nDer Text folgt sogleich.';
const source = { id: 0, name: 'a.md', text, pages: [], sections: [
  { title: 'Übersicht', level: 1, start: 0, end: 80, page: null },
  { title: 'Teil', level: 2, start: new TextEncoder().encode(text.slice(0, text.indexOf('Teil'))).length, end: 80, page: null },
] };

it('says where a page begins, and cuts a paragraph there', () => {
  const paged = 'Anfang über\n\nMitte, die auf Seite zwei endet.\n\nEnde.';
  const at = (part: string) => new TextEncoder().encode(paged.slice(0, paged.indexOf(part))).length;
  const { blocks } = blocksOf({ id: 0, name: 'a.pdf', text: paged, sections: [], pages: [0, at('zwei'), at('Ende'), at('Ende')] });
  expect(blocks.map(({ kind, level, start, end }) => [kind, level, paged.slice(start, end)])).toEqual([
    ['text', 0, 'Anfang über'], ['text', 0, 'Mitte, die auf Seite '], ['page', 2, ''], ['text', 0, 'zwei endet.'], ['page', 4, ''], ['text', 0, 'Ende.'],
  ]);
});

it('tells headings from paragraphs by the sections’ byte offsets', () => {
  const { blocks } = blocksOf(source);
  expect(blocks.map(({ kind, level, start, end }) => [kind, level, text.slice(start, end)])).toEqual([
    ['heading', 1, 'Übersicht'],
    ['text', 0, 'Erster Absatz,\nzweite Zeile.'],
    ['heading', 2, 'Teil'],
    ['text', 0, 'Der Text folgt sogleich.'],
  ]);
});

it('cuts no heading out of code', () => {
  const code = 'def lean(a):\n    return a\n\nx = 1';
  const section = { title: 'def lean', level: 1, start: 0, end: 30, page: null };
  const { blocks } = blocksOf({ id: 0, name: 'a.py', text: code, pages: [], sections: [section] }, true);
  expect(blocks.map(({ kind, start, end }) => [kind, code.slice(start, end)])).toEqual([['text', 'def lean(a):\n    return a'], ['text', 'x = 1']]);
});

it('cuts overlapping passages into pieces that lose no character', () => {
  const pieces = piecesOf(10, 30, [{ start: 0, end: 15, name: 'a', active: false }, { start: 12, end: 20, name: 'b', active: true }]);
  expect(pieces).toEqual([
    { from: 10, to: 12, names: ['a'], active: false },
    { from: 12, to: 15, names: ['a', 'b'], active: true },
    { from: 15, to: 20, names: ['b'], active: true },
    { from: 20, to: 30, names: [], active: false },
  ]);
  expect(piecesOf(10, 30, [])).toEqual([{ from: 10, to: 30, names: [], active: false }]);
});

it('shows a passage without repeating its heading', () => {
  expect(wordsUnder('The lamp', 'The lamp\n\nIt burned  oil.')).toBe('It burned oil.');
  expect(wordsUnder('The lamp', 'The lamps burned oil.')).toBe('The lamps burned oil.');
  expect(wordsUnder('', 'It burned oil.')).toBe('It burned oil.');
});
