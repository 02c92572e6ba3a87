/** The engine worker: answers the client's calls from one engine, one long call at a time. */
import { CodedError, errorInfo, isDeath } from './errors';
import { GpuWatch } from './gpu-watch';
import type { Adapter, Reading } from '../client/generated';
import type { Engine, ModelFile, PackageKind, ReadSource, StartPackage, StartedPackage } from './package';
import type { AdapterSource, Calls, FromWorker, LoadEvent, Method, ModelSource, SiteFile, ToWorker } from './protocol';
import { weightsOf } from './protocol';
import { Queue } from './queue';
import { ModelStore, checksPieces } from './store';
import { holdTabLock } from './tab-lock';

/** The side of a worker or a message port that the host needs. */
export interface Port {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

export interface HostOptions {
  port: Port;
  startPackage: StartPackage;
  gpuAdapter: () => Promise<Adapter>;
  caches: CacheStorage | undefined;
  fetch: typeof fetch;
  locks: LockManager | undefined;
  origin: string;
}

type Emit<M extends Method> = (event: Calls[M]['event']) => void;
type Handler<M extends Method> = (params: Calls[M]['params'], emit: Emit<M>, signal: AbortSignal) => Promise<Calls[M]['result']>;
type Handlers = { [M in Method]: Handler<M> };

export class EngineHost {
  readonly gpu = new GpuWatch((message) => {
    this.#engine?.gpu_failed(message);
  });
  #options: HostOptions;
  #store: ModelStore;
  #queue = new Queue();
  #calls = new Map<number, AbortController>();
  #engine: Engine | null = null;
  #package: ({ kind: PackageKind } & StartedPackage) | null = null;
  /** Files that wait for their vectors. */
  #cut = new Map<number, ReadSource>();
  #lastCut = 0;
  #reading: Reading | null = null;
  #lock: Promise<void> | null = null;
  #dead = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#store = new ModelStore({ ...options, onNotice: (notice) => { this.#post({ type: 'notice', notice }); } });
    this.gpu.install();
  }

  receive(message: ToWorker): void {
    if (message.type === 'cancel') this.#calls.get(message.id)?.abort();
    else void this.#answer(message.id, message.method, message.params);
  }

  /** A trap in a spawned future reaches nobody's promise; the worker's global handlers bring it here. */
  died(thrown: unknown): void {
    if (this.#dead || !isDeath(thrown)) return;
    this.#dead = true;
    this.#post({ type: 'died', message: thrown.message });
  }

  async #answer<M extends Method>(id: number, method: M, params: Calls[M]['params']): Promise<void> {
    const control = new AbortController();
    this.#calls.set(id, control);
    const emit: Emit<M> = (event) => { this.#post({ type: 'event', id, event }); };
    try {
      const value = await this.#handlers[method](params, emit, control.signal);
      this.#post({ type: 'result', id, value }, transferable(value));
    } catch (thrown) {
      this.#post({ type: 'error', id, error: errorInfo(thrown) });
      this.died(thrown);
    } finally {
      this.#calls.delete(id);
    }
  }

  #handlers: Handlers = {
    open: async ({ device, restarted }, _emit, signal) => {
      this.#lock ??= holdTabLock(this.#options.locks, () => {
        if (!restarted) this.#post({ type: 'notice', notice: { code: 'second-tab', message: 'Lectern is open in another tab too. Both work, but they share this machine’s memory and processor; close one if it gets slow.' } });
      });
      await this.#lock;
      return this.#queue.run(async () => {
        const adapter: Adapter = device === 'cpu' ? { type: 'none', reason: 'it was not asked for' } : await this.#options.gpuAdapter();
        const isWanted = adapter.type === 'found' && (device === 'gpu' || !adapter.software);
        if (!this.#package) {
          const kind = isWanted ? 'gpu' : 'cpu';
          const started = await this.#options.startPackage(kind);
          this.#package = { kind, ...started };
          this.#engine = new started.pkg.Engine();
        } else if (isWanted && this.#package.kind === 'cpu') {
          throw new CodedError('other-module', 'The engine that runs has no GPU executor: start another.');
        }
        if (!this.#engine) throw notStarted();
        return this.#engine.start(device, adapter);
      }, signal);
    },
    held: ({ files }) => Promise.all(files.map((file) => this.#store.held(file))),
    load_decoder: ({ model }, emit, signal) => this.#load(model, emit, signal, (engine, file) => {
      this.#reading = null;
      return engine.load_decoder(file);
    }, (engine, file) => engine.compile_ahead(file)),
    load_embedder: ({ model }, emit, signal) => this.#load(model, emit, signal, (engine, file) => engine.load_embedder(file)),
    add_adapter: async ({ adapter }, emit, signal) => {
      const configFile = configOf(adapter);
      const config = await this.#store.get(configFile, () => undefined, signal);
      const weights = await this.#store.get(weightsOf(adapter), emit, signal);
      emit({ type: 'opening' });
      try {
        return await this.#run(signal, (engine) => engine.add_adapter(adapter.name, config, weights));
      } catch (thrown) {
        // The list names no hash for it: what is wrong with it must not be kept.
        if (errorInfo(thrown).code.startsWith('adapter-')) await this.#store.forget(configFile);
        throw thrown;
      }
    },
    remove_adapter: ({ name }, _emit, signal) => this.#run(signal, (engine) => { engine.remove_adapter(name); return null; }),
    cut_source: ({ name, document }, emit, signal) => this.#run(signal, async (engine) => {
      const source = await engine.cut_source(name, document, emit);
      this.#lastCut += 1;
      this.#cut.set(this.#lastCut, source);
      return { number: this.#lastCut, texts: source.texts() };
    }),
    lay_down: ({ number, vectors }, _emit, signal) => this.#run(signal, async (engine) => {
      const source = this.#cut.get(number);
      if (!source) throw new CodedError('source-unknown', 'The engine was started anew while this page was being read. Lay it down again.');
      this.#cut.delete(number);
      const info = await engine.lay_down(source, vectors);
      return { info, text: engine.source_text(info.id) };
    }),
    drop_source: ({ number }) => {
      this.#cut.get(number)?.free();
      this.#cut.delete(number);
      return Promise.resolve(null);
    },
    remove_source: ({ id }, _emit, signal) => this.#run(signal, async (engine) => { await engine.remove_source(id); return null; }),
    page_bytes: ({ id }, _emit, signal) => this.#run(signal, (engine) => engine.page_bytes(id)),
    restore_page: ({ bytes }, _emit, signal) => this.#run(signal, async (engine) => {
      const info = await engine.restore_page(bytes);
      return { info, text: engine.source_text(info.id) };
    }),
    clear: (_params, _emit, signal) => this.#run(signal, (engine) => { engine.clear(); return null; }),
    search: ({ query, top_k, sources }, _emit, signal) => this.#run(signal, (engine) => engine.search(query, top_k, Uint32Array.from(sources))),
    ask: ({ question, options }, emit, signal) => this.#run(signal, (engine) => engine.ask(question, options, emit)),
    read_ahead: ({ question, options }, emit, signal) => this.#run(signal, (engine) => engine.read_ahead(question, options, emit)),
    generate: ({ messages, options }, emit, signal) => this.#run(signal, (engine) => engine.generate(messages, options, emit)),
    export_collection: ({ graphs }, _emit, signal) => this.#run(signal, (engine) => engine.export_collection(graphs)),
    import_collection: ({ file }, _emit, signal) => this.#run(signal, async (engine) => {
      const { sources, lost } = await engine.import_collection(await whole(file, signal));
      for (const message of lost) this.#post({ type: 'notice', notice: { code: 'collection-invalid', message } });
      return sources;
    }),
    source_text: ({ id }, _emit, signal) => this.#run(signal, (engine) => engine.source_text(id)),
    embed: ({ texts }, _emit, signal) => this.#run(signal, (engine) => engine.embed(texts)),
    next_segment_job: (_params, _emit, signal) => this.#run(signal, async (engine) => (await engine.next_segment_job()) ?? null),
    install_segment: ({ built }, _emit, signal) => this.#run(signal, (engine) => ({ tag: engine.install_segment(built) ?? null, used: engine.segments() })),
    facts: (_params, _emit, signal) => this.#run(signal, (engine) => {
      try {
        this.#reading ??= engine.measure_reading();
      } catch (thrown) {
        if (errorInfo(thrown).code !== 'not-loaded') throw thrown;
      }
      return { memory: { engine: this.#package?.nBytes() ?? 0, gpu: this.gpu.counters.buffer_bytes }, reading: this.#reading };
    }),
    gpu_counters: () => Promise.resolve({ ...this.gpu.counters }),
  };

  /** Waits for the engine's turn; once running, an abort becomes the engine's own `cancel`. */
  #run<T>(signal: AbortSignal, job: (engine: Engine) => T | Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      const engine = this.#engine;
      if (!engine) throw notStarted();
      const cancel = () => { engine.cancel(); };
      signal.addEventListener('abort', cancel);
      try {
        return await job(engine);
      } finally {
        signal.removeEventListener('abort', cancel);
      }
    }, signal);
  }

  /** As {@link #loadOnce}; what was damaged where it was kept is fetched anew, and that alone. */
  async #load<T>(model: ModelSource, emit: (event: LoadEvent) => void, signal: AbortSignal, open: (engine: Engine, file: ModelFile) => Promise<T>, begun?: (engine: Engine, file: ModelFile) => boolean): Promise<T> {
    try {
      return await this.#loadOnce(model, emit, signal, open, begun);
    } catch (thrown) {
      if (model.kind !== 'site' || signal.aborted || errorInfo(thrown).code !== 'model-hash-mismatch') throw thrown;
      return this.#loadOnce(model, emit, signal, open);
    }
  }

  /** The file goes into the engine's memory as it comes, beside whatever the engine is at; only then is it opened. `begun` is called after each piece until it is done. */
  async #loadOnce<T>(model: ModelSource, emit: (event: LoadEvent) => void, signal: AbortSignal, open: (engine: Engine, file: ModelFile) => Promise<T>, begun?: (engine: Engine, file: ModelFile) => boolean): Promise<T> {
    if (!this.#package) throw notStarted();
    if (model.kind === 'own' && model.file.size > MAX_MODEL_BYTES) {
      throw new CodedError('model-too-large', `${model.name} has ${Math.round(model.file.size / 1e6)} MB; a browser tab can hold ${Math.round(MAX_MODEL_BYTES / 1e6)} MB at most. Choose a smaller model.`);
    }
    const site = model.kind === 'site' ? model : null;
    const file = new this.#package.pkg.ModelFile(model.kind === 'site' ? model.n_bytes : model.file.size, site?.sha256, checksPieces);
    let waiting = begun;
    const push = (piece: Uint8Array) => {
      const crc = file.push(piece);
      if (this.#engine && waiting?.(this.#engine, file)) waiting = undefined;
      return crc;
    };
    let isTaken = false as boolean;
    try {
      if (model.kind === 'site') await this.#store.read(model, push, emit, signal);
      else await slices(model.file, push, emit, signal);
      return await this.#run(signal, (engine) => {
        emit({ type: 'opening' });
        isTaken = true;
        return open(engine, file);
      });
    } catch (thrown) {
      if (!isTaken) file.free();
      // Where pieces are checked, whole ones that the engine refuses would only come again as they are.
      if (site && !checksPieces && errorInfo(thrown).code.startsWith('model-')) await this.#store.forget(site);
      throw thrown;
    }
  }

  #post(message: FromWorker, transfer: Transferable[] = []): void {
    this.#options.port.postMessage(message, transfer);
  }
}

/** Bytes made for the client alone need not be copied on their way. */
function transferable(value: unknown): Transferable[] {
  if (value instanceof Uint8Array && value.buffer instanceof ArrayBuffer) return [value.buffer];
  return [];
}

function notStarted(): CodedError {
  return new CodedError('not-loaded', 'The engine has not been started.');
}

/** The list tells nothing of a configuration; it is kept under its weights' name. */
function configOf({ config_url, sha256 }: AdapterSource): SiteFile {
  return { url: config_url, n_bytes: 0, sha256: `${sha256}.config`, piece_bytes: 1, piece_sha256: [] };
}

/** Half of what WebAssembly can address: keys, values and the pages need room too. */
const MAX_MODEL_BYTES = 2 ** 31;

/** Bytes of a file of the person's own that are in memory at a time. */
const SLICE_BYTES = 8 << 20;

/** A file's bytes, in slices: to put a large one together in one go keeps the worker from all else. */
async function whole(file: Blob, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  let at = 0;
  const push = (piece: Uint8Array) => {
    bytes.set(piece, at);
    at += piece.length;
  };
  await slices(file, push, () => undefined, signal);
  return bytes;
}

async function slices(file: Blob, push: (piece: Uint8Array) => void, emit: (event: LoadEvent) => void, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < file.size; at += SLICE_BYTES) {
    signal.throwIfAborted();
    push(new Uint8Array(await file.slice(at, at + SLICE_BYTES).arrayBuffer()));
    emit({ type: 'bytes', done: Math.min(at + SLICE_BYTES, file.size), total: file.size, cached: true });
  }
}
