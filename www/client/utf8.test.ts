import { describe, expect, it } from 'vitest';
import { Utf8Offsets } from './utf8';

const texts = ['', 'plain', 'naïve café', 'a😀b', '日本語のテキスト', '😀'.repeat(1500), `${'x'.repeat(1023)}😀ü`, 'lone \ud83d half', '\udc00\ud800'];

describe('Utf8Offsets', () => {
  it.each(texts)('agrees with TextEncoder on every character of %#', (text) => {
    const offsets = new Utf8Offsets(text);
    const encoder = new TextEncoder();
    expect(offsets.length).toBe(encoder.encode(text).length);
    let bytes = 0;
    let index = 0;
    for (const character of text) {
      expect(offsets.toIndex(bytes)).toBe(index);
      bytes += encoder.encode(character).length;
      index += character.length;
    }
    expect(offsets.toIndex(bytes)).toBe(text.length);
  });

  it('gives the start of the character an offset points into', () => {
    const offsets = new Utf8Offsets('a😀b');
    expect([1, 2, 3, 4, 5].map((offset) => offsets.toIndex(offset))).toEqual([1, 1, 1, 1, 3]);
    expect(new Utf8Offsets('é!').toIndex(1)).toBe(0);
  });

  it('clamps offsets outside the text', () => {
    const offsets = new Utf8Offsets('abc');
    expect([offsets.toIndex(-1), offsets.toIndex(99)]).toEqual([0, 3]);
    expect(offsets.slice(1, 2)).toBe('b');
  });
});
