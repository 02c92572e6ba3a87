/** A source's text as headings and paragraphs, cut where passages begin and end. Offsets are string indices. */
import { Utf8Offsets } from '../../client/index';
import type { SourceText } from '../../client/index';

export interface Block {
  kind: 'heading' | 'text' | 'page';
  /** Of a heading; of a page its number. */
  level: number;
  start: number;
  end: number;
}

export interface Range {
  start: number;
  end: number;
  name: string;
  active: boolean;
}

export interface Piece {
  from: number;
  to: number;
  names: string[];
  active: boolean;
}

/** Of text whose lines and columns mean something no heading is set apart. */
export function blocksOf(source: SourceText, isVerbatim = false): { blocks: Block[]; offsets: Utf8Offsets } {
  const { text } = source;
  const offsets = new Utf8Offsets(text);
  const headings = new Map(source.sections.map((section) => [offsets.toIndex(section.start), section]));
  const pages = source.pages.map((at, i) => ({ at: offsets.toIndex(at), number: i + 1 }));
  const blocks: Block[] = [];
  /** Says which page begins at `start`, where one does; of several the last. */
  const pageBreak = (start: number) => {
    let page = 0;
    for (; pages[0] && pages[0].at <= start; pages.shift()) page = pages[0].number;
    if (page > 1) blocks.push({ kind: 'page', level: page, start, end: start });
  };
  for (const match of text.matchAll(/\S(?:[^\n]|\n(?![^\S\n]*\n))*/g)) {
    let start = match.index;
    const end = start + match[0].trimEnd().length;
    pageBreak(start);
    const heading = headings.get(start);
    if (!isVerbatim && heading && text.startsWith(heading.title, start)) {
      const titleEnd = start + heading.title.length;
      blocks.push({ kind: 'heading', level: heading.level, start, end: titleEnd });
      start = titleEnd;
      while (start < end && /\s/.test(text.charAt(start))) start += 1;
    }
    // A paragraph is cut where a page ends, as it is in a book.
    while (pages[0] && pages[0].at < end) {
      const { at } = pages[0];
      if (start < at) blocks.push({ kind: 'text', level: 0, start, end: at });
      start = Math.max(start, at);
      pageBreak(start);
    }
    if (start < end) blocks.push({ kind: 'text', level: 0, start, end });
  }
  return { blocks, offsets };
}

/** Cuts `start..end` at every range boundary inside it; each piece names the ranges that cover it. */
export function piecesOf(start: number, end: number, ranges: Range[]): Piece[] {
  const cuts = new Set([start, end]);
  for (const range of ranges) for (const at of [range.start, range.end]) if (at > start && at < end) cuts.add(at);
  const at = [...cuts].sort((a, b) => a - b);
  const pieces: Piece[] = [];
  for (let i = 0; i + 1 < at.length; i += 1) {
    const from = at[i] as number;
    const to = at[i + 1] as number;
    const over = ranges.filter((range) => range.start < to && range.end > from);
    pieces.push({ from, to, names: over.map(({ name }) => name), active: over.some(({ active }) => active) });
  }
  return pieces;
}

/** A passage's words on one line, without the heading that stands beside them. */
export function wordsUnder(heading: string, passage: string): string {
  const words = passage.replace(/\s+/g, ' ').trim();
  return heading && words.startsWith(`${heading} `) ? words.slice(heading.length + 1) : words;
}
