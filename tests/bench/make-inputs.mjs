/**
 * Writes inputs.json: prompts and passages of known token counts, cut from the project's own prose, so that every engine
 * reads the same. Needs LECTERN_BIN and the models; run again only to change the texts, since figures are not comparable
 * across them.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..', '..');
const examples = join(root, 'www/site/public/examples');
const files = [...readdirSync(examples).filter((name) => name.endsWith('.md')).map((name) => join(examples, name)), join(root, 'README.md'), join(root, 'crate/ARCHITECTURE.md')];
const words = files.map((file) => readFileSync(file, 'utf8')).join(' ').replace(/```[\s\S]*?```/g, ' ').replace(/[-#*`|]+/g, ' ').split(/\s+/).filter(Boolean);
const text = (from, n) => Array.from({ length: n }, (_, i) => words[(from + i) % words.length]).join(' ');

const folder = mkdtempSync(join(tmpdir(), 'inputs-'));
function promptTokens(content) {
  const file = join(folder, 'messages.json');
  writeFileSync(file, JSON.stringify([{ role: 'user', content }]));
  return JSON.parse(execFileSync(process.env.LECTERN_BIN, ['generate', '--device', 'cpu', '--messages', file, '--max-tokens', '1', '--json'], { stdio: ['ignore', 'pipe', 'ignore'] })).prompt_ids.length;
}
function promptOf(n) {
  // Some four words make five tokens; what is missing in the end is filled with words of one.
  let count = Math.round(n / 1.5);
  let found = promptTokens(text(0, count));
  while (found > n || n - found > 8) {
    count += Math.trunc((n - found) / 1.8) || Math.sign(n - found);
    found = promptTokens(text(0, count));
  }
  const content = text(0, count) + ' a'.repeat(n - found);
  if (promptTokens(content) !== n) throw new Error(`no prompt of ${n} tokens`);
  return content;
}
const { vocab } = JSON.parse(readFileSync(join(root, 'models/cache/all-MiniLM-L6-v2/tokenizer.json'))).model;
/** WordPiece as BERT splits it, to count. */
function pieces(word) {
  let n = 0;
  for (const part of word.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []) {
    let at = 0;
    while (at < part.length) {
      let end = part.length;
      while (end > at && !((at ? '##' : '') + part.slice(at, end) in vocab)) end -= 1;
      if (end === at) { end = part.length; }
      at = end;
      n += 1;
    }
  }
  return n;
}
const passages = [];
let at = 0;
for (let i = 0; i < 32; i += 1) {
  // Two more tokens frame a text.
  let [tokens, n] = [2, 0];
  while (tokens + pieces(words[(at + n) % words.length]) <= 128) { tokens += pieces(words[(at + n) % words.length]); n += 1; }
  passages.push({ tokens, text: text(at, n) });
  at += Math.floor(n / 1.7);
}
writeFileSync(join(here, 'inputs.json'), `${JSON.stringify({
  prompts: Object.fromEntries([64, 511, 1000, 1984].map((n) => [n, promptOf(n)])),
  passages: passages.map(({ text: passage }) => passage),
}, null, 1)}\n`);
console.log(passages.map(({ tokens }) => tokens).join(' '), words.length);
