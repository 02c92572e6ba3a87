/**
 * The typed API of Lectern: promises for single results, {@link Run}s for streamed ones, an
 * AbortSignal to stop, {@link LecternError} for failures. It owns the workers, keeps what is needed
 * to bring a dead engine back, and hands to others what needs no engine: reading files and building graphs.
 */
import type { AddedSource, AdapterSource, Calls, ChatMessage, ExpandedFile, Facts, LoadEvent, Method, ModelSource, Opening, SiteFile } from '../worker/protocol';
import { Connection } from './connection';
import { LecternError, describe } from './errors';
import type {
  AdapterInfo, Answer, AskEvent, AskOptions, Device, ErrorInfo, ExecutorInfo, GenerateOptions, Generation, IngestEvent,
  ModelInfo, SearchResult, SourceInfo, SourceText,
} from './generated';
import { Helpers } from './helpers';
import { Jobs } from './jobs';
import { Keeper } from './keeper';
import type { Kept } from './keeper';
import { layDown } from './lay-down';
import type { Call } from './lay-down';
import { Run } from './run';
import { Segments } from './segments';
import type { Change, Shelf } from './shelf';
import type { Workers } from './workers';

export interface CallOptions {
  signal?: AbortSignal;
}

export interface OpenOptions extends CallOptions {
  /** Opens a file that is locked. */
  password?: string;
}

export interface AddOptions extends OpenOptions {
  /** What it is kept under, as {@link Shelf.newKey} made it. */
  key?: string;
}

/** What the client says unasked. */
export interface LecternEvents {
  notice: ErrorInfo;
  executor: ExecutorInfo;
  /** Of a collection that is opened, brought back after a restart, imported, or laid down in another tab. */
  kept: Kept;
  /** A page was taken off in another tab: its key. */
  dropped: string;
  /** The collection was deleted in another tab. */
  deleted: null;
}

const MAX_DEATHS = 3;

export class Lectern {
  #workers: Workers;
  #connection: Connection;
  #reader: Jobs;
  #builder: Jobs;
  #segments: Segments;
  #helpers: Helpers;
  #listeners: { [K in keyof LecternEvents]: Set<(value: LecternEvents[K]) => void> } = { notice: new Set(), executor: new Set(), kept: new Set(), dropped: new Set(), deleted: new Set() };

  #device: Device = 'auto';
  /** What runs the models, as far as the engine has said. */
  #executor: ExecutorInfo | null = null;
  #decoder: ModelSource | null = null;
  #embedder: ModelSource | null = null;
  #adapters = new Map<string, AdapterSource>();
  /** A fresh engine takes the pages from there. */
  #keeper: Keeper;
  #started: Promise<unknown> = Promise.resolve();
  /** What other tabs did is done here in their order. */
  #following: Promise<void> = Promise.resolve();
  /** Settles when a restart in progress is over; calls wait for it. */
  #ready: Promise<void> = Promise.resolve();
  #deaths = 0;
  #closed = false;

  constructor(workers: Workers) {
    this.#workers = workers;
    this.#connection = this.#connect();
    this.#helpers = new Helpers(workers);
    this.#reader = new Jobs(workers);
    this.#builder = new Jobs(workers);
    this.#keeper = new Keeper({
      call: (...call) => this.#call(...call),
      onKept: (kept) => { this.#emit('kept', kept); },
      onNotice: (notice) => { this.#emit('notice', notice); },
    });
    this.#segments = new Segments(this.#builder, {
      next: () => this.#call('next_segment_job', {}).result,
      install: (built) => this.#keeper.install(built),
      failed: (error) => { this.#emit('notice', error); },
    });
  }

  on<K extends keyof LecternEvents>(type: K, listener: (value: LecternEvents[K]) => void): () => void {
    this.#listeners[type].add(listener);
    return () => { this.#listeners[type].delete(listener); };
  }

  /** Opens the engine and chooses the executor; may be called again to force another. */
  async start(device: Device): Promise<ExecutorInfo> {
    this.#device = device;
    // The other one builds graphs, and there are none to build for most people.
    this.#reader.start('jobs');
    try {
      const opened = this.#call('open', { device, restarted: false }).result;
      this.#started = opened.catch(() => undefined);
      const info = await opened;
      this.#emit('executor', info);
      return info;
    } catch (thrown) {
      if (describe(thrown).code !== 'other-module') throw thrown;
    }
    // The module that runs cannot do it: another takes over where this one was, and says what runs the models.
    this.#connection.close();
    await this.#renew();
    if (!this.#executor) throw new LecternError('engine-died', 'The engine stopped before it could answer. Ask again.');
    return this.#executor;
  }

  /** How many bytes of each file the browser already keeps. */
  held(files: SiteFile[]): Promise<number[]> {
    return this.#call('held', { files }).result;
  }

  loadDecoder(model: ModelSource, options: CallOptions = {}): Run<LoadEvent, Calls['load_decoder']['result']> {
    return this.#run('load_decoder', { model }, options, (loaded) => {
      this.#decoder = model;
      this.#emit('executor', loaded.executor);
    });
  }

  /** Pages that another embedder has read are read again. */
  loadEmbedder(model: ModelSource, options: CallOptions = {}): Run<LoadEvent, ModelInfo> {
    const done = () => {
      this.#embedder = model;
      // Those that run have another one.
      this.#helpers.close();
      // What reads PDF files is fetched now that nobody waits, so that nothing is fetched later.
      this.#reader.start('pdf');
    };
    const load = () => this.#run('load_embedder', { model }, options, done);
    let run = load();
    return new Run(async (emit) => {
      const follow = async () => {
        for await (const event of run) emit(event);
        return run.result;
      };
      try {
        return await follow();
      } catch (thrown) {
        if (describe(thrown).code !== 'index-model-mismatch') throw thrown;
      }
      this.#keeper.halt();
      await this.#call('clear', {}).result;
      run = load();
      const info = await follow();
      await this.#keeper.takeIn();
      return info;
    }, () => { run.stop(); });
  }

  addAdapter(adapter: AdapterSource, options: CallOptions = {}): Run<LoadEvent, AdapterInfo> {
    return this.#run('add_adapter', { adapter }, options, () => { this.#adapters.set(adapter.name, adapter); });
  }

  async removeAdapter(name: string): Promise<void> {
    await this.#call('remove_adapter', { name }).result;
    this.#adapters.delete(name);
  }

  /** The files of an archive, each to be laid down by itself; null for a file that is no archive. */
  expand(name: string, file: Blob, { signal, password }: OpenOptions = {}): Promise<ExpandedFile[] | null> {
    return this.#reader.expand({ name, file, password: password ?? null }, signal);
  }

  /**
   * Puts what a collection holds in the place of what is on the desk; each thing of it is told by `kept`. What cannot be
   * brought back comes with the reason.
   */
  async open(shelf: Shelf): Promise<void> {
    await this.#started;
    shelf.onChange = (change) => { this.#following = this.#following.then(() => this.#follow(shelf, change)); };
    this.#keeper.put(shelf);
    try {
      await this.#call('clear', {}).result;
      await this.#keeper.takeIn();
    } catch (thrown) {
      if (describe(thrown).code !== 'engine-died') throw thrown;
      // The next one takes everything in by itself, if there is a next one.
      await this.#ready;
      if (this.#deaths > MAX_DEATHS) throw thrown;
    }
    this.#segments.look();
  }

  /** Resolves once the page is searchable and kept. */
  addSource(name: string, file: Blob, { signal, password, key }: AddOptions = {}): Run<IngestEvent, SourceInfo> {
    const opening = { name, file, password: password ?? null };
    const control = new AbortController();
    const stop = () => { control.abort(); };
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
    return new Run(async (emit) => {
      try {
        const added = await this.#layDown(opening, emit, control.signal);
        await this.#keeper.keep(added, key);
        this.#segments.look();
        return added.info;
      } catch (thrown) {
        throw control.signal.aborted ? aborted() : thrown;
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    }, stop);
  }

  async removeSource(id: number): Promise<void> {
    await this.#keeper.drop(id);
    try {
      await this.#call('remove_source', { id }).result;
    } catch (thrown) {
      // An engine that was started anew meanwhile has not taken it in.
      if (describe(thrown).code !== 'source-unknown') throw thrown;
    }
    this.#segments.look();
  }

  /**
   * The text that spans and citations point into. It is kept on this side, so that a passage can be
   * opened while an answer is being written.
   *
   * # Errors
   * `source-unknown` for a source that has been removed.
   */
  sourceText(id: number): SourceText {
    const text = this.#keeper.texts.get(id);
    if (!text) throw new LecternError('source-unknown', 'This page has been taken off the desk.');
    return text;
  }

  /** `sources` are the numbers of the pages to look in; all where none is named. */
  search(query: string, topK: number, { sources = [], ...options }: CallOptions & { sources?: number[] } = {}): Run<never, SearchResult> {
    return this.#run('search', { query, top_k: topK, sources }, options);
  }

  ask(question: string, options: AskOptions, callOptions: CallOptions = {}): Run<AskEvent, Answer> {
    return this.#run('ask', { question, options }, callOptions);
  }

  /** Reads what the answer to a question that is still being written begins with, so that it comes sooner; how many tokens. */
  readAhead(question: string, options: AskOptions, callOptions: CallOptions = {}): Run<AskEvent, number> {
    return this.#run('read_ahead', { question, options }, callOptions);
  }

  generate(messages: ChatMessage[], options: GenerateOptions, callOptions: CallOptions = {}): Run<AskEvent, Generation> {
    return this.#run('generate', { messages, options }, callOptions);
  }

  embed(texts: string[]): Promise<Float32Array[]> {
    return this.#call('embed', { texts }).result;
  }

  /** The pages as one file, with the graphs over them. */
  async exportCollection(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#call('export_collection', { graphs: await this.#keeper.graphs() }).result;
  }

  /** Lays down, beside what is there, what `lectern index` or {@link exportCollection} wrote. Only the engine's worker reads it. */
  async importCollection(file: Blob): Promise<SourceInfo[]> {
    const { shelf } = this.#keeper;
    const added = await this.#call('import_collection', { file }).result;
    for (const info of added) {
      if (!this.#keeper.holds(shelf)) throw aborted();
      if (this.#keeper.texts.has(info.id)) continue;
      const text = await this.#call('source_text', { id: info.id }).result;
      this.#emit('kept', await this.#keeper.keep({ info, text }));
    }
    this.#segments.look();
    return added;
  }

  /** What the engine takes and what bounds it. */
  facts(): Promise<Facts> {
    return this.#call('facts', {}).result;
  }

  gpuCounters(): Promise<Calls['gpu_counters']['result']> {
    return this.#call('gpu_counters', {}).result;
  }

  close(): void {
    this.#closed = true;
    this.#connection.close();
    this.#reader.close();
    this.#builder.close();
    this.#helpers.close();
    this.#keeper.close();
  }

  /** Where the processor runs the embedder, others help. */
  async #layDown(opening: Opening, emit: (event: IngestEvent) => void, signal: AbortSignal): Promise<AddedSource> {
    const helpers = (nTexts: number) => (this.#executor?.executor === 'gpu' ? [] : this.#helpers.forTexts(nTexts, this.#embedder));
    try {
      return await layDown({ opening, extract: (...job) => this.#reader.extract(...job), call: (...call) => this.#call(...call), helpers, emit, signal });
    } finally {
      this.#helpers.rest();
    }
  }

  /** What another tab has done to the collection is done here. */
  async #follow(shelf: Shelf, change: Change): Promise<void> {
    try {
      if (change.type === 'deleted') this.#emit('deleted', null);
      else if (change.type === 'kept') await this.#keeper.fetch(shelf, change.key);
      else if (await this.#keeper.forget(shelf, change.key)) this.#emit('dropped', change.key);
      this.#segments.look();
    } catch (thrown) {
      this.#emit('notice', describe(thrown));
    }
  }

  #connect(): Connection {
    return new Connection(this.#workers.engine(), {
      onNotice: (notice) => { this.#emit('notice', notice); },
      onDeath: (message) => { this.#restart(message); },
    });
  }

  /** A call that waits for a restart in progress. */
  #call<M extends Method>(method: M, params: Calls[M]['params'], emit?: (event: Calls[M]['event']) => void): { result: Promise<Calls[M]['result']>; cancel: () => void } {
    let started: { cancel: () => void } | null = null;
    let cancelled = false;
    const result = this.#ready.then(() => {
      if (cancelled) throw new DOMException('Stopped.', 'AbortError');
      const call = this.#connection.call(method, params, emit);
      started = call;
      return call.result;
    });
    result.catch(() => undefined);
    return { result, cancel: () => { cancelled = true; started?.cancel(); } };
  }

  #run<M extends Method>(method: M, params: Calls[M]['params'], { signal }: CallOptions, done?: (value: Calls[M]['result']) => void): Run<Calls[M]['event'], Calls[M]['result']> {
    if (signal?.aborted) return new Run(() => Promise.reject(aborted()), () => undefined);
    let cancel: () => void = () => undefined;
    return new Run(async (emit) => {
      const call = this.#call(method, params, (event) => {
        this.#overhear(event);
        emit(event);
      });
      ({ cancel } = call);
      signal?.addEventListener('abort', cancel);
      try {
        const value = await call.result;
        done?.(value);
        // `signal` is the platform's way: whoever aborts gets an AbortError. `stop()` gives the partial result.
        if (signal?.aborted) throw aborted();
        return value;
      } finally {
        signal?.removeEventListener('abort', cancel);
      }
    }, () => { cancel(); });
  }

  /** The executor may change under a call; everyone is told, not only the one who called. */
  #overhear(event: unknown): void {
    if (typeof event !== 'object' || event === null || !('type' in event)) return;
    const heard = event as AskEvent;
    if (heard.type === 'executor') this.#emit('executor', heard.info);
    if (heard.type === 'notice') this.#emit('notice', { code: heard.code, message: heard.message });
  }

  #emit<K extends keyof LecternEvents>(type: K, value: LecternEvents[K]): void {
    if (type === 'executor') this.#executor = value as ExecutorInfo;
    for (const listener of this.#listeners[type]) listener(value);
  }

  #restart(message: string): void {
    if (this.#closed) return;
    this.#deaths += 1;
    if (this.#deaths > MAX_DEATHS) {
      this.#emit('notice', { code: 'engine-died', message: `The engine keeps stopping (${message}). Reload the page; a smaller model or fewer pages may help.` });
      return;
    }
    this.#renew().then(() => {
      this.#emit('notice', { code: 'engine-restarted', message: `The engine stopped unexpectedly (${message}) and was started again. Your pages are still here; ask again.` });
      setTimeout(() => { this.#deaths = 0; }, 60_000);
    }, (thrown: unknown) => {
      this.#emit('notice', describe(thrown));
    });
  }

  /** A fresh worker where the last one was; calls wait until it is. */
  #renew(): Promise<void> {
    this.#connection = this.#connect();
    const renewed = this.#restore();
    this.#ready = renewed.catch(() => undefined);
    return renewed;
  }

  /** The pages are back; what the reader lacks is said, and said again by the next question. */
  async #attempt(step: () => Promise<unknown>): Promise<void> {
    try {
      await step();
    } catch (thrown) {
      const error = describe(thrown);
      if (error.code === 'engine-died') throw thrown;
      this.#emit('notice', error);
    }
  }

  /** Brings a fresh worker to where the dead one was. */
  async #restore(): Promise<void> {
    const connection = this.#connection;
    const call: Call = (...args) => connection.call(...args);
    this.#emit('executor', await call('open', { device: this.#device, restarted: true }).result);
    if (this.#embedder) await call('load_embedder', { model: this.#embedder }).result;
    await this.#keeper.takeIn(call);
    if (this.#decoder) {
      const model = this.#decoder;
      await this.#attempt(async () => { this.#emit('executor', (await call('load_decoder', { model }).result).executor); });
    }
    for (const adapter of this.#adapters.values()) await this.#attempt(() => call('add_adapter', { adapter }).result);
    this.#segments.look();
  }
}

function aborted(): DOMException {
  return new DOMException('Stopped.', 'AbortError');
}
