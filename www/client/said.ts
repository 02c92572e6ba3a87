/** How an answer is shown, wherever it is: its marks, and its sentences that the passages do not hold. */
import type { Respelling, Sentence } from './generated';
import { Utf8Offsets } from './utf8';

/** What is said of an answer that was only told again, and the button that has it made anew. */
export const ANSWERED_BEFORE = 'Answered before; the pages have not changed.';
export const ANSWER_AGAIN = 'Answer again';

/** What is said of words of a question that were read otherwise than they are written; empty where there are none. */
export function respelledOf(words: Respelling[]): string {
  const [first, ...others] = words.map(({ written, read }) => [`“${written}”`, `as “${read}”`]);
  if (!first) return '';
  const read = [first.join(' was read '), ...others.map((other) => other.join(' '))].join(', ');
  return `${read}: no page has ${others.length ? 'them' : 'it'} as written. Words in quotes are kept.`;
}

const TOLD = { supported: null, partly: 'only partly in the passages', 'not-found': 'not in the passages' };

export interface Part {
  text: string;
  /** The word that a mark follows, and must stay on one line with. */
  word: string;
  marker: number | null;
}

/** An answer's text cut at its bracketed numbers; the parts' texts add up to it. */
export function partsOf(text: string): Part[] {
  return text.split(/([^\s[\]`*]*\s?\[\d+\])/).filter(Boolean).map((part) => {
    const [, word, number] = /^([^\s[\]`*]*)\s?\[(\d+)\]$/.exec(part) ?? [];
    return { text: part, word: word ?? '', marker: number === undefined ? null : Number(number) };
  });
}

export interface Styled {
  text: string;
  as: 'code' | 'strong' | null;
}

/** A text cut at what Markdown sets apart within a line, without its marks. */
export function styledOf(text: string): Styled[] {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).filter(Boolean).map((run): Styled => {
    if (/^`[^`]+`$/.test(run)) return { text: run.slice(1, -1), as: 'code' };
    if (/^\*\*[^*]+\*\*$/.test(run)) return { text: run.slice(2, -2), as: 'strong' };
    return { text: run, as: null };
  });
}

/** What is said under an answer of the lines below its sentences; empty where there are none. */
export function legendOf(sentences: Sentence[]): string {
  const has = (support: Sentence['support']) => sentences.some((sentence) => sentence.support === support);
  const lines = [
    has('partly') ? `Dotted: ${TOLD.partly}.` : '',
    has('not-found') ? `Dashed: ${TOLD['not-found']}.` : '',
  ];
  return lines.filter(Boolean).join(' ');
}

export interface Said {
  text: string;
  /** Null for what was not checked: the space between sentences, and those that say nothing. */
  support: Sentence['support'] | null;
  /** What is said of a sentence that the passages do not hold, or not all of. */
  told: string | null;
}

/** An answer's text cut at its sentences; the texts add up to it. */
export function saidOf(text: string, sentences: Sentence[]): Said[] {
  const offsets = new Utf8Offsets(text);
  const said: Said[] = [];
  const space = (text: string): Said => ({ text, support: null, told: null });
  let at = 0;
  for (const { start, end, support } of sentences) {
    const [from, to] = [offsets.toIndex(start), offsets.toIndex(end)];
    said.push(space(text.slice(at, from)), { text: text.slice(from, to), support, told: TOLD[support] });
    at = to;
  }
  said.push(space(text.slice(at)));
  return said.filter((part) => part.text !== '');
}
