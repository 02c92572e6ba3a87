/** Which models the site offers, which of them are here, and how far the others have come. */
import { describe, isAbort, modelSource, readCatalog } from '../../client/index';
import type { Catalog, CatalogAdapter, Device, ErrorInfo, Lectern, LoadEvent, ModelInfo, ModelSource, Run } from '../../client/index';

export type Phase = 'starting' | 'missing' | 'loading' | 'ready' | 'unavailable';

export interface ModelState {
  role: 'decoder' | 'embedder';
  name: string;
  licence: string;
  n_bytes: number;
  done: number;
  state: 'missing' | 'fetching' | 'opening' | 'ready';
}

export class Models {
  phase: Phase = 'starting';
  list: ModelState[] = [];
  catalog: Catalog | null = null;
  /** The language model in use, once opened; `own` is its file's name when the person brought it. */
  decoder: ModelInfo | null = null;
  own: string | null = null;
  /** The person has been asked whether to download, and has not answered. */
  asking = false;
  voiceLoading: { title: string; done: number; total: number } | null = null;

  #client: Lectern;
  #changed: () => void;
  #fail: (error: ErrorInfo) => void;
  #current: Run<LoadEvent, unknown> | null = null;
  #cancelled = false;
  #voices = new Set<string>();
  #decoderSource: ModelSource | null = null;

  constructor(client: Lectern, changed: () => void, fail: (error: ErrorInfo) => void) {
    this.#client = client;
    this.#changed = changed;
    this.#fail = fail;
  }

  get nBytesMissing(): number {
    return this.list.reduce((sum, model) => sum + (model.state === 'missing' ? model.n_bytes - model.done : 0), 0);
  }

  /** Whether pages can be read, and searched. */
  get canRead(): boolean {
    return this.list.some(({ role, state }) => role === 'embedder' && state === 'ready');
  }

  /** Reads the list and, when the browser already keeps every file, opens them unasked. */
  async begin(url: URL, device: Device): Promise<void> {
    try {
      const started = this.#start(device);
      started.catch(() => undefined);
      this.catalog = await readCatalog(url);
      const held = await this.#client.held(this.catalog.models);
      await started;
      this.list = this.catalog.models.map(({ role, name, licence, n_bytes }, i) => ({ role, name, licence, n_bytes, done: held[i] ?? 0, state: 'missing' }));
      this.phase = 'missing';
      this.#changed();
      if (this.nBytesMissing === 0) await this.load();
    } catch (thrown) {
      this.phase = 'unavailable';
      this.#fail(describe(thrown));
    }
    this.#changed();
  }

  /** Where what was chosen last time cannot be had any more, as if nothing had been. */
  async #start(device: Device): Promise<void> {
    try {
      await this.#client.start(device);
    } catch (thrown) {
      if (device === 'auto') throw thrown;
      this.#fail(describe(thrown));
      await this.#client.start('auto');
    }
  }

  /** What the site calls the language model in use, or its file's name where the person brought it. */
  get decoderName(): string {
    return this.own ?? this.list.find(({ role }) => role === 'decoder')?.name ?? '';
  }

  /** Asks the person whether to download. */
  ask(): void {
    this.asking = this.phase === 'missing';
    this.#changed();
  }

  /** Fetches and opens what is missing, the reading model first: pages can be read while the other one comes. */
  async load(): Promise<void> {
    if (this.phase !== 'missing' || !this.catalog) return;
    this.phase = 'loading';
    this.asking = false;
    this.#cancelled = false;
    this.#changed();
    try {
      const order = [...this.catalog.models].sort((a, b) => Number(a.role === 'decoder') - Number(b.role === 'decoder'));
      for (const model of order) {
        const state = this.list.find(({ name }) => name === model.name);
        if (!state || state.state === 'ready') continue;
        const source = modelSource(model);
        if (model.role === 'embedder') await this.#follow(state, this.#client.loadEmbedder(source));
        else {
          this.decoder = (await this.#follow(state, this.#client.loadDecoder(source))).model;
          this.#decoderSource = source;
        }
        state.state = 'ready';
        this.#changed();
      }
      this.phase = 'ready';
    } catch (thrown) {
      // What has come is kept, and the next try goes on from there.
      const held = await this.#client.held(this.catalog.models).catch(() => []);
      for (const [i, state] of this.list.entries()) if (state.state !== 'ready') Object.assign(state, { state: 'missing', done: held[i] ?? 0 });
      this.phase = 'missing';
      this.asking = true;
      if (!isAbort(thrown)) this.#fail(describe(thrown));
    }
    this.#changed();
  }

  cancel(): void {
    this.#cancelled = true;
    this.#current?.stop();
  }

  /** Opens a GGUF file of one's own in the language model's place; on failure the old one stays. */
  async useOwn(file: File): Promise<boolean> {
    return this.#replaceDecoder({ kind: 'own', name: file.name, file }, file.name);
  }

  async useSites(): Promise<boolean> {
    const model = this.catalog?.models.find(({ role }) => role === 'decoder');
    return model ? this.#replaceDecoder(modelSource(model), null) : false;
  }

  /** Opens the language model again, on the executor that has just been chosen. */
  async reopen(): Promise<boolean> {
    return this.#decoderSource ? this.#replaceDecoder(this.#decoderSource, this.own) : true;
  }

  /** Makes sure a voice is loaded, fetching it the first time. */
  async voice(adapter: CatalogAdapter): Promise<void> {
    if (this.#voices.has(adapter.name)) return;
    this.voiceLoading = { title: adapter.title, done: 0, total: adapter.n_bytes };
    this.#changed();
    try {
      const run = this.#client.addAdapter(adapter);
      for await (const event of run) {
        if (event.type !== 'bytes') continue;
        this.voiceLoading = { title: adapter.title, done: event.done, total: event.total };
        this.#changed();
      }
      this.#voices.add(adapter.name);
    } finally {
      this.voiceLoading = null;
      this.#changed();
    }
  }

  async #replaceDecoder(source: ModelSource, own: string | null): Promise<boolean> {
    this.#cancelled = false;
    const state = this.list.find(({ role }) => role === 'decoder');
    try {
      for (const name of this.#voices) await this.#client.removeAdapter(name).catch(() => undefined);
      this.#voices.clear();
      this.decoder = (await this.#follow(state ?? null, this.#client.loadDecoder(source))).model;
      this.#decoderSource = source;
      this.own = own;
      if (state) state.state = 'ready';
      if (this.list.every((model) => model.state === 'ready')) this.phase = 'ready';
      return true;
    } catch (thrown) {
      if (state) state.state = this.decoder ? 'ready' : 'missing';
      if (!isAbort(thrown)) this.#fail(describe(thrown));
      return false;
    } finally {
      this.#changed();
    }
  }

  async #follow<R>(state: ModelState | null, run: Run<LoadEvent, R>): Promise<R> {
    this.#current = run;
    if (this.#cancelled) run.stop();
    if (state) state.state = 'fetching';
    for await (const event of run) {
      if (!state) continue;
      if (event.type === 'opening') state.state = 'opening';
      else state.done = event.done;
      this.#changed();
    }
    this.#current = null;
    return run.result;
  }
}
