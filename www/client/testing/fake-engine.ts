/**
 * Stands in for the wasm package in unit tests and in `vite --mode fake`: keeps the contract of its
 * methods, events, delays and errors, and knows nothing of language. It answers with the first
 * sentences of the best-matching paragraphs.
 */
import type { Engine, EnginePackage, JobsPackage, ModelFile, ReadSource, StartJobs, StartPackage } from '../../worker/package';
import type { ReadDocument } from '../../worker/protocol';
import type {
  AdapterInfo, Answer, AskEvent, AskOptions, Citation, Device, ExecutorInfo, GenerateOptions, Generation, Hit, IngestEvent, ModelInfo,
  OpenedCollection, Reading, SearchResult, SourceInfo, SourceText,
} from '../generated';
import { chunksOf, extract, formatOf, pirate, sentences, wordsOf } from './fake-text';
import type { Chunk } from './fake-text';

interface Source {
  info: SourceInfo;
  text: SourceText;
  chunks: Chunk[];
}

const ASKING = new Set(['what', 'when', 'where', 'which', 'does', 'with', 'that']);

/** Milliseconds of each waiting step; tests set it to 0. */
export const fake = { delay: 12 };

const fail = (code: string, message: string): never => {
  throw Object.assign(new Error(message), { code });
};
const wait = (factor: number) => new Promise((resolve) => { setTimeout(resolve, fake.delay * factor); });

export class FakeEngine implements Engine {
  #sources: Source[] = [];
  #nextId = 0;
  #decoder: ModelInfo | null = null;
  #embedder: ModelInfo | null = null;
  #adapters = new Set<string>();
  #executor: ExecutorInfo = { executor: 'cpu', reason: '', adapter: null, self_test_max_error: null };
  #device: Device = 'auto';
  #cancelled = false;
  #gpuFailure: string | null = null;
  #jobsGiven = 0;
  #graphs: string[] = [];
  /** Questions that were read ahead, for tests. */
  readonly ahead: string[] = [];

  async start(device: Device): Promise<ExecutorInfo> {
    await wait(1);
    this.#device = device;
    const gpu = (globalThis as { navigator?: { gpu?: unknown } }).navigator?.gpu;
    if (device === 'cpu') this.#executor = cpu('You chose it in the settings.');
    else if (device === 'gpu') this.#executor = { executor: 'gpu', reason: 'You chose it in the settings.', adapter: 'fake adapter', self_test_max_error: 0.002 };
    else this.#executor = cpu(gpu ? 'The only GPU offered here is emulated in software, which is slower than the processor.' : 'This browser offers no WebGPU.');
    return this.#executor;
  }

  /** It has nothing to compile. */
  compile_ahead(): boolean { return true; }

  async load_decoder(file: ModelFile) {
    this.#decoder = await open(file, 'SmolLM2 135M Instruct');
    return { model: this.#decoder, executor: this.#executor };
  }

  async load_embedder(file: ModelFile): Promise<ModelInfo> {
    this.#embedder = await open(file, 'all-MiniLM-L6-v2');
    return this.#embedder;
  }

  add_adapter(name: string, _config: Uint8Array, safetensors: Uint8Array): AdapterInfo {
    if (!this.#decoder) return fail('not-loaded', 'Load a language model before a voice.');
    this.#adapters.add(name);
    return { name, rank: 8, alpha: 16, target_modules: ['q_proj', 'v_proj'], n_bytes: safetensors.length };
  }

  remove_adapter(name: string): void {
    if (!this.#adapters.delete(name)) fail('adapter-unknown', `There is no voice called ${name}.`);
  }

  cut_source(name: string, document: ReadDocument, on_event: (event: IngestEvent) => void): Promise<ReadSource> {
    if (!this.#embedder) return fail('not-loaded', 'Load a reading model first.');
    const { n_bytes, text, sections } = document as unknown as ReturnType<typeof extract>;
    on_event({ type: 'extracted', n_chars: text.length });
    const chunks = chunksOf(text, sections);
    on_event({ type: 'chunked', n_chunks: chunks.length });
    return Promise.resolve(new FakeSource(name, n_bytes, text, sections, chunks));
  }

  async lay_down(source: ReadSource, vectors: Float32Array[]): Promise<SourceInfo> {
    await wait(0);
    if (!(source instanceof FakeSource)) return fail('internal', 'This page is of another package.');
    const { name, nBytes, text, sections, chunks } = source;
    if (vectors.length !== chunks.length || vectors.some(({ length }) => length !== 3)) fail('bad-call', 'Not the vectors of this page.');
    const id = this.#nextId++;
    const info: SourceInfo = { id, name, format: formatOf(name), title: sections[0]?.title ?? null, n_bytes: nBytes, n_chunks: chunks.length, warnings: [] };
    this.#sources.push({ info, text: { id, name, text, sections, pages: [] }, chunks });
    return info;
  }

  async remove_source(id: number): Promise<void> {
    await wait(0);
    this.#sources = this.#sources.filter((source) => source.info.id !== id);
  }

  clear(): void {
    this.#sources = [];
  }

  sources(): SourceInfo[] {
    return this.#sources.map(({ info }) => info);
  }

  source_text(id: number): SourceText {
    return this.#sources.find((source) => source.info.id === id)?.text ?? fail('source-unknown', 'No such source.');
  }

  async next_segment_job(): Promise<Uint8Array | undefined> {
    await wait(0);
    const n = this.#sources.reduce((sum, source) => sum + source.chunks.length, 0);
    if (n < 400 || this.#jobsGiven > 0) return undefined;
    this.#jobsGiven += 1;
    return new Uint8Array([1, 2, 3]);
  }

  install_segment(built: Uint8Array): string | undefined {
    this.#graphs.push(`of-${built.length}`);
    return this.#graphs.at(-1);
  }

  segments(): string[] { return this.#graphs; }

  async search(query: string, top_k: number, sources: Uint32Array): Promise<SearchResult> {
    await wait(1);
    return { respelled: [], hits: this.#rank(query, [...sources]).slice(0, top_k), dense_path: 'exact', embed_ms: 31, retrieve_ms: 2 };
  }

  async ask(question: string, options: AskOptions, on_event: (event: AskEvent) => void): Promise<Answer> {
    const extractive = options.rag && (options.extractive === true || (!this.#decoder && this.#embedder !== null));
    if (!this.#decoder && !extractive) return fail('not-loaded', 'Load a language model first.');
    this.#cancelled = false;
    if (question.includes('trap the engine')) return Promise.reject(new WebAssembly.RuntimeError('unreachable'));
    if (options.rag && this.#sources.length === 0) fail('no-documents', 'There are no pages to answer from. Lay some down, or switch off “Use my pages”.');
    if (options.adapter && !this.#adapters.has(options.adapter)) fail('adapter-unknown', `There is no voice called ${options.adapter}.`);
    const started = performance.now();
    await wait(3);
    const hits = options.rag ? this.#rank(question, options.sources).slice(0, options.top_k ?? 2) : [];
    const answer: Answer = {
      answer: '', respelled: [], refused: false, sentences: [], citations: [], hits, usage: { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 },
      timings_ms: { load: 0, embed: 31, retrieve: 2, prefill: 0, decode: 0, total: 0 }, executor: this.#executor.executor,
      dense_path: options.rag ? 'exact' : 'none', n_passages: hits.length, n_passages_dropped: 0, stopped: 'end', dispatches_per_token: null, extractive: false, set_aside: null, cached: false,
    };
    if (options.rag) on_event({ type: 'retrieved', hits });
    if (options.rag && (hits[0]?.score ?? 0) < 0.03) {
      return { ...answer, answer: 'Your pages do not seem to answer this.', refused: true, stopped: 'refused', timings_ms: { ...answer.timings_ms, total: performance.now() - started } };
    }
    if (extractive) {
      const text = composed(question, hits);
      on_event({ type: 'token', text });
      return { ...answer, answer: text, citations: cited(text, hits), extractive, timings_ms: { ...answer.timings_ms, total: performance.now() - started } };
    }
    if (hits.length > 3 && question.length > 400) {
      on_event({ type: 'notice', code: 'passages-cut', message: 'The question is long, so 1 of 4 passages was left out to fit the model’s context.' });
      answer.n_passages_dropped = 1;
    }
    answer.usage.prompt_tokens = 60 + hits.reduce((sum, hit) => sum + wordsOf(hit.text).length, 0);
    for (let done = 0; done <= 4; done += 1) {
      on_event({ type: 'prefill', done: Math.round((answer.usage.prompt_tokens * done) / 4), total: answer.usage.prompt_tokens });
      await wait(6);
      if (this.#isCancelled()) return { ...answer, stopped: 'cancelled' };
    }
    const plain = options.rag ? composed(question, hits) : 'I can say something about that from what I was trained on, but without your pages I cannot point to where it is written. Switch your pages on for an answer with its sources.';
    const full = options.adapter && options.scale > 0 ? (options.adapter === 'pirate' ? pirate(plain) : plain.split('. ').slice(0, 1).join('. ')) : plain;
    for (const token of full.match(/\s?\S+/g) ?? []) {
      await wait(3);
      if (this.#isCancelled()) {
        answer.stopped = 'cancelled';
        break;
      }
      const failure = this.#failure();
      if (failure !== null) {
        on_event({ type: 'notice', code: 'gpu-lost', message: `The GPU stopped answering, so Lectern went on with the processor. (${failure})` });
        this.#gpuFailure = null;
        this.#executor = cpu('The GPU was lost while answering.');
        answer.executor = 'cpu';
        on_event({ type: 'executor', info: this.#executor });
      }
      answer.answer += token;
      answer.usage.completion_tokens += 1;
      on_event({ type: 'token', text: token });
      if (answer.usage.completion_tokens >= options.max_tokens) {
        answer.stopped = 'length';
        break;
      }
    }
    answer.citations = cited(answer.answer, hits);
    answer.timings_ms = { load: 0, embed: 31, retrieve: 2, prefill: 24 * fake.delay, decode: 3 * fake.delay * answer.usage.completion_tokens, total: performance.now() - started };
    return answer;
  }

  async read_ahead(question: string, options: AskOptions): Promise<number> {
    if (!this.#decoder) return fail('not-loaded', 'Load a language model first.');
    if (options.rag && this.#sources.length === 0) fail('no-documents', 'There are no pages to answer from.');
    this.#cancelled = false;
    for (let done = 0; done < 4; done += 1) {
      await wait(6);
      if (this.#isCancelled()) return 16 * done;
    }
    this.ahead.push(question);
    return 64;
  }

  measure_reading(): Reading {
    if (!this.#decoder) return fail('not-loaded', 'Load a language model first.');
    return { bytes_per_token: 90e6, ms: 12 };
  }

  async generate(messages: { role: string; content: string }[], options: GenerateOptions, on_event: (event: AskEvent) => void): Promise<Generation> {
    const answer = await this.ask(messages.at(-1)?.content ?? '', { ...options, rag: false, top_k: 0, before: null }, on_event);
    return { text: answer.answer, ids: [], prompt_ids: [], first_logits_top20: { ids: [], values: [] }, usage: answer.usage, timings_ms: answer.timings_ms, stopped: answer.stopped };
  }

  async export_collection(): Promise<Uint8Array<ArrayBuffer>> {
    await wait(0);
    return new TextEncoder().encode(JSON.stringify({ sources: this.#sources, nextId: this.#nextId }));
  }

  page_bytes(id: number): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(JSON.stringify(this.#sources.find(({ info }) => info.id === id)));
  }

  async restore_page(bytes: Uint8Array): Promise<SourceInfo> {
    await wait(0);
    const source = read(bytes) as Source;
    this.#sources.push(source);
    this.#nextId = Math.max(this.#nextId, source.info.id + 1);
    return source.info;
  }

  async import_collection(bytes: Uint8Array): Promise<OpenedCollection> {
    await wait(0);
    const { sources, nextId } = read(bytes) as { sources: Source[]; nextId: number };
    this.#sources.push(...sources);
    this.#nextId = nextId;
    return { sources: this.sources(), lost: [] };
  }

  embed(texts: string[]): Promise<Float32Array[]> {
    return Promise.resolve(texts.map(() => new Float32Array([1, 0, 0])));
  }

  cancel(): void {
    this.#cancelled = true;
  }

  gpu_failed(message: string): void {
    if (this.#executor.executor === 'gpu' || this.#device === 'gpu') this.#gpuFailure = message;
  }

  /** Asked again after every wait: the answer may have changed meanwhile. */
  #isCancelled(): boolean {
    return this.#cancelled;
  }

  #failure(): string | null {
    return this.#gpuFailure;
  }

  #rank(query: string, sources: number[] = []): Hit[] {
    const words = new Set(wordsOf(query).filter((word) => word.length > 3 && !ASKING.has(word)));
    const looked = this.#sources.filter(({ info }) => !sources.length || sources.includes(info.id));
    const hits = looked.flatMap(({ info, text, chunks }) => chunks.map((chunk): Hit => {
      const slice = new TextDecoder().decode(new TextEncoder().encode(text.text).subarray(chunk.start, chunk.end));
      const inChunk = wordsOf(`${chunk.headings.join(' ')} ${slice}`);
      const n = inChunk.filter((word) => words.has(word)).length;
      return { source_id: info.id, source: info.name, start: chunk.start, end: chunk.end, page: null, text: slice, headings: chunk.headings, score: n / 60, dense: Math.min(0.92, n / 12), bm25: n * 1.7 };
    }));
    return hits.sort((a, b) => b.score - a.score);
  }
}

function read(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return fail('collection-invalid', 'it is damaged');
  }
}

function cpu(reason: string): ExecutorInfo {
  return { executor: 'cpu', reason, adapter: null, self_test_max_error: null };
}

/** Fake models are `GGUF`, a little-endian u32 length of the whole file, and padding. */
class FakeSource implements ReadSource {
  constructor(
    readonly name: string,
    readonly nBytes: number,
    readonly text: string,
    readonly sections: SourceText['sections'],
    readonly chunks: Chunk[],
  ) {}

  texts(): string[] {
    return this.chunks.map(({ start, end }) => this.text.slice(start, end));
  }

  free(): void {}
}

class FakeFile implements ModelFile {
  readonly head: number[] = [];
  readonly sha256: string;
  n = 0;

  constructor(_nBytes: number, sha256: string | undefined) {
    this.sha256 = sha256 ?? '';
  }

  push(bytes: Uint8Array): number {
    if (this.n < 8) this.head.push(...bytes.subarray(0, 8 - this.n));
    this.n += bytes.length;
    if (String.fromCharCode(...this.head.slice(0, 4)) !== 'GGUF') fail('model-magic', 'This is not a GGUF file. Choose a model in GGUF format.');
    return bytes.reduce((sum, byte) => (31 * sum + byte) >>> 0, 0);
  }

  free(): void {}
}

async function open(file: ModelFile, name: string): Promise<ModelInfo> {
  await wait(20);
  if (!(file instanceof FakeFile)) return fail('internal', 'This file is of another package.');
  if (file.n < 8 || new DataView(Uint8Array.from(file.head).buffer).getUint32(4, true) !== file.n) fail('model-truncated', 'The model file ends too early. Download it again.');
  return { name, architecture: 'llama', n_layers: 30, n_ctx: 2048, n_bytes: file.n, quantization: 'Q4_1', sha256: file.sha256 };
}

function cited(text: string, hits: Hit[]): Citation[] {
  const all = hits.map(({ source_id, source, start, end, page, text }, i): Citation => ({ marker: i + 1, source_id, source, start, end, page, text }));
  return all.filter(({ marker }) => text.includes(`[${marker}]`));
}

function composed(question: string, hits: Hit[]): string {
  const wanted = new Set(wordsOf(question).filter((word) => word.length > 3));
  const best = (hit: Hit) => sentences(hit.text).map((text) => ({ text, n: wordsOf(text).filter((word) => wanted.has(word)).length })).sort((a, b) => b.n - a.n)[0]?.text ?? '';
  return hits.slice(0, 2).map((hit, i) => best(hit).replace(/[.!?]?$/, ` [${i + 1}].`)).join(' ');
}

export const fakePackage: EnginePackage = { Engine: FakeEngine, ModelFile: FakeFile };
export const fakeJobs: JobsPackage = {
  extract: (name, bytes) => {
    if (bytes.length === 0) fail('file-empty', `${name} is empty. Choose a file with text in it.`);
    if (bytes.includes(0)) fail('file-binary', `${name} is not a text file. Lectern reads Markdown, HTML and plain text.`);
    return { ...extract(name, new TextDecoder().decode(bytes)) };
  },
  expand: (_name, bytes, _password, onFile) => {
    const text = new TextDecoder().decode(bytes);
    if (!text.startsWith('ARCHIVE\n')) return false;
    for (const line of text.split('\n').slice(1)) {
      const [name = '', content = ''] = line.split('=');
      if (content) onFile(name, new TextEncoder().encode(content), null);
      else onFile(name, null, { code: 'file-damaged', message: `${name} is damaged.` });
    }
    return true;
  },
  build_segment: (job) => job.slice(),
};
export const startFakePackage: StartPackage = () => Promise.resolve({ pkg: fakePackage, nBytes: () => 1 << 20 });
export const startFakeJobs: StartJobs = () => Promise.resolve(fakeJobs);
