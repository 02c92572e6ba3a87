/** As much of extraction and chunking as the fake engine needs. */
import type { Section, SourceInfo } from '../generated';

export interface Chunk {
  start: number;
  end: number;
  headings: string[];
}

const encoder = new TextEncoder();
const nBytes = (text: string) => encoder.encode(text).length;

export function formatOf(name: string): SourceInfo['format'] {
  if (/\.(md|markdown)$/i.test(name)) return 'markdown';
  return /\.html?$/i.test(name) ? 'html' : 'plain';
}

/** Markdown headings lose their marks and become sections; HTML loses its tags. */
export function extract(name: string, raw: string): { n_bytes: number; text: string; sections: Section[] } {
  const html = formatOf(name) === 'html';
  const plain = html ? raw.replace(/<(script|style)[\s\S]*?<\/\1>/gi, '').replace(/<[^>]+>/g, '\n\n') : raw;
  const open: Section[] = [];
  const sections: Section[] = [];
  let text = '';
  for (const block of plain.split(/\n\s*\n/).map((part) => part.trim()).filter(Boolean)) {
    const heading = formatOf(name) === 'markdown' ? /^(#{1,6})\s+(.*)$/.exec(block) : null;
    const body = heading?.[2] ?? (html ? block : block.replace(/\n(?![-*\d])/g, ' ').replace(/[`*]{1,2}([^`*]+)[`*]{1,2}/g, '$1').replace(/^[-*] /gm, '• '));
    const at = nBytes(text);
    if (heading?.[1] && heading[2]) {
      const level = heading[1].length;
      while (open.length && (open.at(-1)?.level ?? 0) >= level) (open.pop() as Section).end = at;
      const section: Section = { title: heading[2], level, start: at, end: at, page: null };
      sections.push(section);
      open.push(section);
    }
    text += `${body}\n\n`;
  }
  text = text.trimEnd();
  for (const section of open) section.end = nBytes(text);
  return { n_bytes: nBytes(raw), text, sections };
}

/** One chunk per paragraph that is not a heading. */
export function chunksOf(text: string, sections: Section[]): Chunk[] {
  const chunks: Chunk[] = [];
  let start = 0;
  for (const block of text.split('\n\n')) {
    const end = start + nBytes(block);
    const over = sections.filter((section) => section.start <= start && section.end >= end);
    if (!sections.some((section) => section.start === start)) chunks.push({ start, end, headings: over.map(({ title }) => title) });
    start = end + 2;
  }
  return chunks;
}

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

export function sentences(text: string): string[] {
  return text.match(/[^.!?]+[.!?]?/g)?.map((sentence) => sentence.trim()).filter(Boolean) ?? [];
}

const SPEECH: [RegExp, string][] = [[/\bthe\b/g, 'th’'], [/\bThe\b/g, 'Th’'], [/\byour?\b/g, 'yer'], [/\bis\b/g, 'be'], [/\bare\b/g, 'be'], [/\bof\b/g, 'o’'], [/\band\b/g, 'an’'], [/\bmy\b/g, 'me']];

export function pirate(text: string): string {
  return `Arr, ${SPEECH.reduce((said, [from, to]) => said.replace(from, to), text)} Savvy, matey?`;
}
