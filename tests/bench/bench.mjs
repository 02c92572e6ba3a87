/**
 * Measures Lectern beside what a page could load instead, in one Chromium, on the same texts, in alternation.
 *
 *     node tests/bench/bench.mjs [STAGE…] [--rounds N] [--json]
 *
 * `cargo xtask bench` does the set-up and calls this. Prints JSON lines and, on stderr, a table. A peer that could not
 * be set up says why and is left out. `busy` is how many cores other processes used meanwhile, on average.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { open as openBrowser, peakMemory } from './lib/browser.mjs';
import { measured, quiet, summary } from './lib/machine.mjs';
import * as lectern from './subjects/lectern.mjs';
import * as transformers from './subjects/transformers.mjs';
import * as wllama from './subjects/wllama.mjs';

/** Stage → unit, whether less is better, and its cases with what a subject is asked. */
const STAGES = {
  load: { unit: 'ms', less: true, cases: { cache: (subject) => subject.load?.() } },
  prefill: { unit: 'tok/s', cases: Object.fromEntries([64, 511, 1984].map((n) => [n, (subject) => subject.prefill?.(n)])) },
  decode: { unit: 'tok/s', cases: Object.fromEntries([64, 1000, 1984].map((context) => [`64@${context}`, (subject) => subject.decode?.(64, context)])) },
  embed: { unit: 'texts/s', cases: Object.fromEntries([1, 32].map((n) => [`${n}x128`, (subject) => subject.embed?.(n)])) },
};
/** A subject that takes longer for one round is measured once, and left out of the larger cases of its stage. */
const ONCE_MS = 60_000;

const here = dirname(fileURLToPath(import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
});
for (const name of positionals) if (!(name in STAGES)) {
  console.error(`There is no stage ${name}: ${Object.keys(STAGES).join(', ')}`);
  process.exit(2);
}
const stages = positionals.length ? positionals : Object.keys(STAGES);
const inputs = JSON.parse(readFileSync(join(here, 'inputs.json'), 'utf8'));
const SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face';
const settings = {
  dist: process.env.LECTERN_DIST,
  peers: here,
  onnx: process.env.LECTERN_ONNX,
  gguf: join(process.env.LECTERN_MODELS, 'SmolLM2-135M-Instruct.Q4_1.gguf'),
  // What the model's own template makes of one question.
  chat: (content) => `<|im_start|>system\n${SYSTEM}<|im_end|>\n<|im_start|>user\n${content}<|im_end|>\n<|im_start|>assistant\n`,
  inputs,
};

const browser = await openBrowser();
const subjects = [];
for (const [name, start] of [
  ['lectern-cpu-1', () => lectern.open({ browser, device: 'cpu', ...settings })],
  ['wllama-q4_1-1', () => wllama.open({ browser, ...settings })],
  ['transformers.js-q8-1', () => transformers.open({ browser, ...settings })],
]) {
  try {
    subjects.push(await start());
  } catch (error) {
    console.error(`${name} is left out: ${error.message.split('\n')[0]}`);
  }
}

const rows = [];
for (const stage of stages) {
  // Whoever was slow at a small case is not asked a larger one: hours would pass.
  const slow = new Set();
  for (const [name, ask] of Object.entries(STAGES[stage].cases)) {
    const rounds = new Map(subjects.map((subject) => [subject, []]));
    for (let i = 0; i < Number(options.rounds); i += 1) {
      for (const [subject, found] of rounds) {
        if (slow.has(subject) || found.failed) continue;
        await quiet();
        try {
          const started = performance.now();
          const round = await measured(() => ask(subject));
          if (round.value === undefined) found.failed = true;
          else found.push(round);
          if (performance.now() - started > ONCE_MS) slow.add(subject);
        } catch (error) {
          found.failed = true;
          console.error(`${stage} ${name}, ${subject.name}: ${error.message.split('\n')[0]}`);
        }
      }
    }
    for (const [subject, found] of rounds) if (found.length) {
      const row = { stage, case: name, host: 'browser', subject: subject.name, unit: STAGES[stage].unit, ...summary(found) };
      rows.push(row);
      if (options.json) console.log(JSON.stringify(row));
    }
    table(rows.filter((row) => row.stage === stage && row.case === name), STAGES[stage].less);
  }
}
console.error(`Chromium ${browser.version}; largest page ${Math.round(peakMemory() ?? 0)} MB`);
for (const subject of subjects) await subject.close();
await browser.close();

/** One line a subject: its figures, and for ours the ratio to the best other. */
function table(found, less) {
  const others = found.filter(({ subject }) => !subject.startsWith('lectern')).map(({ median }) => median);
  const best = less ? Math.min(...others) : Math.max(...others);
  for (const { stage, case: name, subject, unit, median, min, max, n, busy } of found) {
    const ratio = others.length && subject.startsWith('lectern') ? `  ${(less ? best / median : median / best).toFixed(2)} ×` : '';
    console.error(`${stage.padEnd(10)} ${name.padEnd(9)} ${subject.padEnd(22)} ${String(median).padStart(8)} ${unit.padEnd(8)} ${min}–${max}, n ${n}, busy ${busy}${ratio}`);
  }
}
