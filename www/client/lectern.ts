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
import { layDown } from './lay-down';
import type { Call } from './lay-down';
import { Run } from './run';
import { Segments } from './segments';
import type { Workers } from './workers';

export interface CallOptions {
  signal?: AbortSignal;
}

export interface OpenOptions extends CallOptions {
  /** Opens a file that is locked. */
  password?: string;
}

/** What the client says unasked. */
export interface LecternEvents {
  notice: ErrorInfo;
  executor: ExecutorInfo;
  /** The engine was restarted: sources kept their order but may have new ids, old → new. */
  restarted: Map<number, number>;
}

const MAX_DEATHS = 3;

export class Lectern {
  #workers: Workers;
  #connection: Connection;
  #reader: Jobs;
  #builder: Jobs;
  #segments: Segments;
  #helpers: Helpers;
  #listeners: { [K in keyof LecternEvents]: Set<(value: LecternEvents[K]) => void> } = { notice: new Set(), executor: new Set(), restarted: new Set() };

  #device: Device = 'auto';
  /** What runs the models, as far as the engine has said. */
  #executor: ExecutorInfo | null = null;
  #decoder: ModelSource | null = null;
  #embedder: ModelSource | null = null;
  #adapters = new Map<string, AdapterSource>();
  #texts = new Map<number, SourceText>();
  /** The last exported collection, and the changes made since. */
  #snapshot: Uint8Array | null = null;
  /** Those built over the passages since, oldest first. */
  #graphs: Uint8Array[] = [];
  #unsaved = new Map<number, Opening>();
  #stale = false;
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
    this.#segments = new Segments(this.#builder, {
      next: () => this.#call('next_segment_job', {}).result,
      install: async (built) => {
        await this.#call('install_segment', { built }).result;
        this.#graphs.push(built);
      },
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
      const info = await this.#call('open', { device, restarted: false }).result;
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

  loadEmbedder(model: ModelSource, options: CallOptions = {}): Run<LoadEvent, ModelInfo> {
    return this.#run('load_embedder', { model }, options, () => {
      this.#embedder = model;
      // Those that run have another one.
      this.#helpers.close();
      // What reads PDF files is fetched now that nobody waits, so that nothing is fetched later.
      this.#reader.start('pdf');
    });
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

  addSource(name: string, file: Blob, { signal, password }: OpenOptions = {}): Run<IngestEvent, SourceInfo> {
    const opening = { name, file, password: password ?? null };
    const control = new AbortController();
    const stop = () => { control.abort(); };
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
    return new Run(async (emit) => {
      try {
        const added = await this.#layDown((...call) => this.#call(...call), opening, emit, control.signal);
        this.#unsaved.set(added.info.id, opening);
        this.#remember([added]);
        this.#changed();
        return added.info;
      } catch (thrown) {
        throw control.signal.aborted ? aborted() : thrown;
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    }, stop);
  }

  async removeSource(id: number): Promise<void> {
    await this.#call('remove_source', { id }).result;
    this.#texts.delete(id);
    this.#unsaved.delete(id);
    this.#changed();
  }

  /**
   * The text that spans and citations point into. It is kept on this side, so that a passage can be
   * opened while an answer is being written.
   *
   * # Errors
   * `source-unknown` for a source that has been removed.
   */
  sourceText(id: number): SourceText {
    const text = this.#texts.get(id);
    if (!text) throw new LecternError('source-unknown', 'This page has been taken off the desk.');
    return text;
  }

  search(query: string, topK: number, options: CallOptions = {}): Run<never, SearchResult> {
    return this.#run('search', { query, top_k: topK }, options);
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

  exportCollection(): Promise<Uint8Array> {
    return this.#call('export_collection', { graphs: this.#graphs }).result;
  }

  /** Replaces what is on the desk with what `lectern index` or {@link exportCollection} wrote. */
  async importCollection(bytes: Uint8Array): Promise<SourceInfo[]> {
    const added = await this.#call('import_collection', { bytes }).result;
    this.#unsaved.clear();
    this.#texts.clear();
    this.#graphs = [];
    this.#remember(added);
    this.#changed();
    return added.map(({ info }) => info);
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
  }

  /** Reads a file through `call`; where the processor runs the embedder, others help. */
  async #layDown(call: Call, opening: Opening, emit: (event: IngestEvent) => void, signal: AbortSignal): Promise<AddedSource> {
    const helpers = (nTexts: number) => (this.#executor?.executor === 'gpu' ? [] : this.#helpers.forTexts(nTexts, this.#embedder));
    try {
      return await layDown({ opening, extract: (...job) => this.#reader.extract(...job), call, helpers, emit, signal });
    } finally {
      this.#helpers.rest();
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
    const settled = () => { if (this.#stale) setTimeout(() => void this.#save(), 0); };
    result.then(settled, settled);
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

  #remember(added: AddedSource[]): void {
    for (const { info, text } of added) this.#texts.set(info.id, text);
  }

  /** Looks for a graph to build; the snapshot to restart from is taken when the last call in flight has settled. */
  #changed(): void {
    this.#stale = true;
    this.#segments.look();
  }

  /** A change that comes in between is saved by the next call, once this snapshot has settled. */
  async #save(): Promise<void> {
    if (!this.#stale || this.#connection.nPending > 0 || this.#closed) return;
    this.#stale = false;
    const ids = [...this.#texts.keys()];
    try {
      this.#snapshot = await this.exportCollection();
      for (const id of ids) this.#unsaved.delete(id);
    } catch {
      // The files themselves are still here to be read again.
      this.#stale = true;
    }
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
    const renewed = this.#restore().then((ids) => { this.#emit('restarted', ids); });
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

  /** Brings a fresh worker to where the dead one was; old → new ids of the sources. */
  async #restore(): Promise<Map<number, number>> {
    const connection = this.#connection;
    const ids = new Map<number, number>();
    const texts = new Map<number, SourceText>();
    const unsaved = new Map<number, Opening>();
    this.#emit('executor', await connection.call('open', { device: this.#device, restarted: true }).result);
    if (this.#embedder) await connection.call('load_embedder', { model: this.#embedder }).result;
    if (this.#snapshot) {
      const added = await connection.call('import_collection', { bytes: this.#snapshot.slice() }).result;
      // A page keeps its number; one that was taken off since the snapshot stays off.
      for (const { info, text } of added) {
        if (!this.#texts.has(info.id)) await connection.call('remove_source', { id: info.id }).result;
        else {
          texts.set(info.id, text);
          ids.set(info.id, info.id);
        }
      }
    }
    for (const [old, opening] of this.#unsaved) {
      const { info, text } = await this.#layDown((...call) => connection.call(...call), opening, () => undefined, new AbortController().signal);
      texts.set(info.id, text);
      unsaved.set(info.id, opening);
      ids.set(old, info.id);
    }
    if (this.#decoder) {
      const model = this.#decoder;
      await this.#attempt(async () => { this.#emit('executor', (await connection.call('load_decoder', { model }).result).executor); });
    }
    for (const adapter of this.#adapters.values()) await this.#attempt(() => connection.call('add_adapter', { adapter }).result);
    this.#texts = texts;
    this.#unsaved = unsaved;
    this.#changed();
    return ids;
  }
}

function aborted(): DOMException {
  return new DOMException('Stopped.', 'AbortError');
}
