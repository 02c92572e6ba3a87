/** UTF-8 byte offsets, as the engine counts them, to the UTF-16 indices of JavaScript strings. */

const EVERY = 1024;

/** Converts offsets of one text; a table every 1,024 code units keeps each look-up short. */
export class Utf8Offsets {
  readonly length: number;
  #text: string;
  /** `#bytes[i]` is the byte offset at code unit `i * EVERY`, moved back off a low surrogate. */
  #bytes: number[] = [];

  constructor(text: string) {
    this.#text = text;
    let bytes = 0;
    for (let i = 0; i < text.length; i += 1) {
      if (i % EVERY === 0) this.#bytes.push(bytes);
      bytes += unitBytes(text, i);
    }
    this.length = bytes;
  }

  /** The string index of byte `offset`; an offset inside a character gives that character's start. */
  toIndex(offset: number): number {
    if (offset <= 0) return 0;
    if (offset >= this.length) return this.#text.length;
    let low = 0;
    let high = this.#bytes.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#bytes[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    let index = low * EVERY;
    let bytes = this.#bytes[low] ?? 0;
    while (index < this.#text.length) {
      const size = unitBytes(this.#text, index);
      if (bytes + size > offset) break;
      bytes += size;
      index += 1;
    }
    return isLowSurrogate(this.#text, index) ? index - 1 : index;
  }

  /** The text between two byte offsets. */
  slice(start: number, end: number): string {
    return this.#text.slice(this.toIndex(start), this.toIndex(end));
  }
}

/** Bytes that the code unit at `i` adds: a surrogate pair's four are counted at its low half. */
function unitBytes(text: string, i: number): number {
  const unit = text.charCodeAt(i);
  if (unit < 0x80) return 1;
  if (unit < 0x800) return 2;
  if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text, i + 1)) return 0;
  return isLowSurrogate(text, i) && i > 0 && isHighSurrogate(text, i - 1) ? 4 : 3;
}

function isHighSurrogate(text: string, i: number): boolean {
  const unit = text.charCodeAt(i);
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLowSurrogate(text: string, i: number): boolean {
  const unit = text.charCodeAt(i);
  return unit >= 0xdc00 && unit < 0xe000;
}
