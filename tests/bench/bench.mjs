/**
 * Measures Lectern beside what a page could load instead, in one Chromium, on the same texts, in alternation.
 *
 *     node tests/bench/bench.mjs [STAGE…] [--rounds N] [--json] [--native] [--gpu]
 *
 * `cargo xtask bench` does the set-up and calls this. Prints JSON lines and, on stderr, a table. A peer that could not
 * be set up says why and is left out. `busy` is how many cores other processes used meanwhile, on average.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';
import { open as openBrowser, peakMemory } from './lib/browser.mjs';
import { measured, quiet, summary } from './lib/machine.mjs';
import * as indexes from './subjects/indexes.mjs';
import * as lectern from './subjects/lectern.mjs';
import * as transformers from './subjects/transformers.mjs';
import * as native from './subjects/native.mjs';
import * as wllama from './subjects/wllama.mjs';

/** Vectors of an index. */
const VECTORS = [1000, 10000, 50000];
/** What may keep the engine's worker, and is measured. */
const BLOCKS = ['add', 'cut', 'query', 'query without graphs', 'job', 'install', 'export', 'open', 'remove'];

/** Stage → unit, whether less is better, what runs it, and its cases with what a subject is asked. */
const STAGES = {
  load: { unit: 'ms', less: true, executor: 'cpu', cases: { cache: (subject) => subject.load?.() } },
  prefill: { unit: 'tok/s', executor: 'cpu', cases: cases([64, 511, 1984], (n) => `${n}`, (subject, n) => subject.prefill?.(n)) },
  decode: { unit: 'tok/s', executor: 'cpu', cases: cases([64, 1000, 1984], (context) => `64@${context}`, (subject, context) => subject.decode?.(64, context)) },
  embed: { unit: 'texts/s', executor: 'cpu', cases: cases([1, 32], (n) => `${n}x128`, (subject, n) => subject.embed?.(n)) },
  ask: { unit: 'ms', less: true, executor: 'cpu', cases: cases(['first', 'follow-up', 'typed'], (kind) => kind, (subject, kind) => subject.ask?.(kind)) },
  adapter: { unit: 'ms', less: true, executor: 'cpu', cases: { switch: (subject) => subject.adapter?.() } },
  'lay-down': { unit: 'kB/s', executor: 'folder', cases: { '128 passages': (subject) => subject.layDown?.() } },
  markdown: { unit: 's', less: true, executor: 'folder', cases: { '1 MB': (subject) => subject.markdown?.() } },
  // How long a message to the engine's worker may wait, alone and beside a helper.
  block: { unit: 'ms', less: true, executor: 'folder', cases: cases([['laying down', 'layDown'], ['reading ahead', 'readAhead'], ['answering', 'answer']], ([name]) => name, (subject, [, what]) => subject.block?.(what)) },
  'index-build': { unit: 'ms', less: true, executor: 'index', cases: cases(VECTORS, vectors, (subject, n) => subject.build(n)) },
  'index-query': { unit: 'ms', less: true, executor: 'index', cases: cases(VECTORS, vectors, (subject, n) => subject.query(n)) },
  // A file of 50 passages beside others, and the share of building all anew.
  'index-add': { unit: 'ms', less: true, executor: 'index', cases: cases(VECTORS, (n) => `50@${vectors(n)}`, (subject, n) => subject.add?.(n)) },
  // The same of what the index does, in this order: each stands on the one before.
  'index-block': { unit: 'ms', less: true, executor: 'index', cases: Object.assign({}, ...[10000, 50000].map((n) => cases(BLOCKS, (what) => `${what}@${vectors(n)}`, (subject, what) => subject.block?.(what, n)))) },
  // Few tokens: where WebGPU is a program, others take minutes for more.
  'gpu-decode': { unit: 'tok/s', executor: 'gpu', cases: { '16@64': (subject) => subject.decode?.(16, 64) } },
  'native-prefill': { unit: 'tok/s', executor: 'native', cases: cases([64, 511, 1984], (n) => `${n}`, (subject, n) => subject.prefill?.(n)) },
  'native-decode': { unit: 'tok/s', executor: 'native', cases: cases([64, 1000], (context) => `64@${context}`, (subject, context) => subject.decode?.(64, context)) },
  'native-gpu-prefill': { unit: 'tok/s', executor: 'native-gpu', cases: cases([64, 511, 1984], (n) => `${n}`, (subject, n) => subject.prefill?.(n)) },
  'native-gpu-decode': { unit: 'tok/s', executor: 'native-gpu', cases: cases([64, 1000], (context) => `64@${context}`, (subject, context) => subject.decode?.(64, context)) },
  'gpu-embed': { unit: 'texts/s', executor: 'gpu', cases: { '4x128': (subject) => subject.embed?.(4) } },
};
/** Subjects by what runs them; the order is that of a round. */
const SUBJECTS = {
  cpu: { 'lectern-cpu-1': lectern, 'wllama-q4_1-1': wllama, 'transformers.js-q8-1': transformers },
  folder: { 'lectern-cpu-1': lectern, 'lectern-cpu-2': { open: (settings) => lectern.open({ ...settings, workers: 2 }) } },
  index: { 'lectern-cpu-1': { open: indexes.lectern }, 'hnswlib-wasm': { open: indexes.hnswlib }, orama: { open: indexes.orama }, scan: { open: indexes.scan } },
  gpu: { 'lectern-gpu-1': lectern, 'transformers.js-webgpu': transformers },
  native: { 'lectern-native-cpu-1': { open: native.lectern }, 'llama.cpp-cpu-1': { open: native.llama } },
  'native-gpu': { 'lectern-native-gpu-1': { open: native.lectern }, 'llama.cpp-gpu-1': { open: native.llama } },
};
/** A subject that takes longer for one round is measured once, and left out of the larger cases of its stage. */
const ONCE_MS = 60_000;
/** Measured once each, in a browser of its own. */
const SIZES = ['memory', 'bytes'];

const here = dirname(fileURLToPath(import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, json: { type: 'boolean', default: false }, native: { type: 'boolean', default: false }, gpu: { type: 'boolean', default: false } },
});
/** Without a name: what runs in the browser, or with --native what runs outside, on the processor or with --gpu on the GPU. */
const wanted = (executor) => executor === 'native' ? options.native && !options.gpu : executor === 'native-gpu' ? options.native && options.gpu : !options.native;
const known = [...Object.keys(STAGES), ...SIZES];
for (const name of positionals) if (!known.includes(name)) {
  console.error(`There is no stage ${name}: ${known.join(', ')}`);
  process.exit(2);
}
const stages = positionals.length ? positionals : [...known.filter((name) => STAGES[name] && wanted(STAGES[name].executor)), ...(options.native ? [] : SIZES)];
const inputs = JSON.parse(readFileSync(join(here, 'inputs.json'), 'utf8'));
const SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face';
const settings = {
  dist: process.env.LECTERN_DIST,
  bin: process.env.LECTERN_BIN,
  peers: here,
  onnx: process.env.LECTERN_ONNX,
  gguf: join(process.env.LECTERN_MODELS, 'SmolLM2-135M-Instruct.Q4_1.gguf'),
  // What the model's own template makes of one question.
  chat: (content) => `<|im_start|>system\n${SYSTEM}<|im_end|>\n<|im_start|>user\n${content}<|im_end|>\n<|im_start|>assistant\n`,
  inputs,
};

const inBrowser = stages.some((stage) => !STAGES[stage]?.executor.startsWith('native'));
const browser = inBrowser ? await openBrowser() : null;
if (browser) console.error(`Chromium ${browser.version}`);
const rows = [];
for (const executor of Object.keys(SUBJECTS)) {
  const named = stages.filter((stage) => STAGES[stage]?.executor === executor);
  if (!named.length) continue;
  const subjects = [];
  for (const [name, { open }] of Object.entries(SUBJECTS[executor])) {
    try {
      subjects.push(await open({ browser, executor, ...settings }));
    } catch (error) {
      leftOut(name, error);
    }
  }
  // An index of a size is built once for all that is asked of it.
  const sizes = executor === 'index' ? VECTORS.map(vectors) : [''];
  for (const size of sizes) for (const stage of named) await run(stage, subjects, size);
  for (const subject of subjects) await subject.close();
}
await browser?.close();
if (stages.includes('memory')) for (const [name, { open }] of Object.entries(SUBJECTS.cpu)) await memory(name, open);
if (stages.includes('bytes')) await bytes();

/** The cases of a stage whose names end as given. */
async function run(stage, subjects, ending) {
  const { unit, less, cases: asked } = STAGES[stage];
  // Whoever was slow at a small case is not asked a larger one: hours would pass.
  const slow = new Set();
  for (const [name, ask] of Object.entries(asked).filter(([name]) => name.endsWith(ending))) {
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
    for (const [subject, found] of rounds) if (found.length) add({ stage, case: name, subject: subject.name, unit, ...summary(found) });
    table(rows.filter((row) => row.stage === stage && row.case === name), less);
  }
}

/**
 * What a page takes for loading both models and answering once: resident above an empty page, and for ours what is held:
 * linear memory, which never shrinks, JavaScript heap and GPU buffers.
 */
async function memory(name, open) {
  const own = await openBrowser();
  try {
    const { close } = await own.page({ '/': join(here, 'empty') });
    const empty = await peakMemory(own);
    await close();
    const subject = await open({ browser: own, executor: 'cpu', ...settings });
    // The second visit: a first one also holds what it has fetched.
    await subject.load();
    await subject.decode?.(16, 1000);
    await subject.embed?.(1);
    const peak = await peakMemory(own);
    if (empty !== null && peak !== null) add({ stage: 'memory', case: '16@1000', subject: subject.name, unit: 'MB', ...one((peak - empty) / 1e6) });
    const held = await subject.held?.();
    if (held) add({ stage: 'memory', case: 'held', subject: subject.name, unit: 'MB', ...one(held / 1e6) });
  } catch (error) {
    leftOut(name, error);
  }
  await own.close();
  table(rows.filter((row) => row.stage === 'memory' && row.subject === name), true);
}

/** What crosses the network before a model does, compressed as a good server does. */
async function bytes() {
  for (const executor of ['cpu', 'gpu']) for (const [name, { bytes: filesOf }] of Object.entries(SUBJECTS[executor])) {
    try {
      for (const [part, files] of Object.entries(await filesOf({ executor, ...settings }))) {
        const size = files.reduce((sum, file) => sum + brotli(file), 0);
        add({ stage: 'bytes', case: part, subject: name, unit: 'kB', ...one(size / 1e3) });
      }
    } catch (error) {
      leftOut(name, error);
    }
  }
  for (const part of ['module', 'beside it', 'page']) table(rows.filter((row) => row.stage === 'bytes' && row.case === part), true);
}

function brotli(file) {
  const params = { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: statSync(file).size };
  return brotliCompressSync(readFileSync(file), { params }).length;
}

function one(value) {
  const rounded = Number(value.toPrecision(4));
  return { median: rounded, min: rounded, max: rounded, n: 1, busy: null };
}

function add(row) {
  const whole = { host: row.stage.startsWith('native') ? 'native' : 'browser', ...row };
  rows.push(whole);
  if (options.json) console.log(JSON.stringify(whole));
}

function leftOut(name, error) {
  console.error(`${name} is left out: ${error.message.split('\n')[0]}`);
}

function vectors(n) {
  return `${n}x384`;
}

function cases(values, name, ask) {
  return Object.fromEntries(values.map((value) => [name(value), (subject) => ask(subject, value)]));
}

/** One line a subject: its figures, and for ours the ratio to the best other. */
function table(found, less) {
  const others = found.filter(({ subject }) => !subject.startsWith('lectern')).map(({ median }) => median);
  const best = less ? Math.min(...others) : Math.max(...others);
  for (const { stage, case: name, subject, unit, median, min, max, n, busy, ...more } of found) {
    const ratio = others.length && subject.startsWith('lectern') ? `  ${(less ? best / median : median / best).toFixed(2)} ×` : '';
    const figures = Object.entries(more).filter(([, value]) => typeof value === 'number').map(([figure, value]) => `, ${figure} ${value}`).join('');
    console.error(`${stage.padEnd(10)} ${name.padEnd(9)} ${subject.padEnd(22)} ${String(median).padStart(8)} ${unit.padEnd(8)} ${min}–${max}, n ${n}${busy === null ? '' : `, busy ${busy}`}${figures}${ratio}`);
  }
}
