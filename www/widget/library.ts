/** What one `<lectern-ask>` answers from: its models, fetched after consent, and the site's pages. */
import { Lectern, LecternError, describe, modelSource, readCatalog, weightsOf, workersAt } from '../client/index';
import type { Answer, AskEvent, AskOptions, Catalog, CatalogAdapter, ErrorInfo, Run } from '../client/index';

export interface LibraryOptions {
  /** Where this module lies; workers and wasm are beside it. */
  base: URL;
  models: URL;
  /** Pages to read, or the folder of a collection that `lectern index` made. */
  pages: URL[];
  index: URL | null;
  /** Where the pages of an index are, for links. */
  home: URL | null;
  voice: string | null;
}

export interface Progress {
  what: string;
  done: number;
  total: number;
}

export class Library {
  #options: LibraryOptions;
  #lectern: Lectern | null = null;
  #catalog: Catalog | null = null;
  #opened = false;
  /** What a question that follows up is also searched for by. */
  #before: AskOptions['before'] = null;
  /** Pages that are on the desk. The next question tries the others again. */
  #read = new Set<string>();
  #onNotice: (notice: ErrorInfo) => void;
  /** Source name → address, for the links of citations. */
  readonly addresses = new Map<string, string>();

  constructor(options: LibraryOptions, onNotice: (notice: ErrorInfo) => void) {
    this.#options = options;
    this.#onNotice = onNotice;
  }

  /** The models are open and every page is read. */
  get ready(): boolean {
    return this.#opened && this.#options.pages.every(({ href }) => this.#read.has(href));
  }

  /** Bytes that answering would download; 0 when the browser keeps all of them already. */
  async nBytesMissing(): Promise<number> {
    const { lectern, catalog } = await this.#open();
    const voice = this.#voice(catalog);
    const files = [...catalog.models, ...(voice ? [weightsOf(voice)] : [])];
    const held = await lectern.held(files);
    return files.reduce((sum, { n_bytes }, i) => sum + n_bytes - (held[i] ?? 0), 0);
  }

  /** Fetches what is missing and reads the pages. Call only after consent. */
  async prepare(onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<void> {
    const { lectern, catalog } = await this.#open();
    if (!this.#opened) await this.#openModels(lectern, catalog, onProgress, signal);
    this.#opened = true;
    await this.#readPages(lectern, onProgress, signal);
  }

  async #openModels(lectern: Lectern, catalog: Catalog, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<void> {
    await lectern.start('auto');
    let before = 0;
    const total = catalog.models.reduce((sum, { n_bytes }) => sum + n_bytes, 0);
    for (const model of catalog.models) {
      const run = model.role === 'decoder' ? lectern.loadDecoder(modelSource(model), { signal }) : lectern.loadEmbedder(modelSource(model), { signal });
      for await (const event of run) onProgress({ what: event.type === 'opening' ? 'Opening the models' : 'Fetching the models', done: before + (event.type === 'bytes' ? event.done : model.n_bytes), total });
      before += model.n_bytes;
    }
    const voice = this.#voice(catalog);
    if (voice) await lectern.addAdapter(voice, { signal });
    if (this.#options.index) await this.#openIndex(lectern, this.#options.index, signal);
  }

  ask(question: string, fresh: boolean): Run<AskEvent, Answer> {
    if (!this.#lectern) throw new LecternError('not-loaded', 'The models have not been opened yet.');
    const run = this.#lectern.ask(question, {
      rag: true, top_k: null, max_tokens: 192, adapter: this.#options.voice, scale: this.#options.voice ? 1 : 0, stop: [], before: this.#before, fresh,
      sampling: { temperature: 0, top_k: 0, top_p: 1, repetition_penalty: 1, seed: 0 },
    });
    run.result.then((answer) => { if (!answer.refused) this.#before = { question, answer: answer.answer }; }, () => undefined);
    return run;
  }

  close(): void {
    this.#lectern?.close();
    this.#lectern = null;
    this.#opened = false;
    this.#before = null;
    this.#read.clear();
  }

  async #open(): Promise<{ lectern: Lectern; catalog: Catalog }> {
    this.#catalog ??= await readCatalog(this.#options.models);
    if (!this.#lectern) {
      this.#lectern = new Lectern(workersAt(this.#options.base, false));
      this.#lectern.on('notice', this.#onNotice);
    }
    return { lectern: this.#lectern, catalog: this.#catalog };
  }

  #voice(catalog: Catalog): CatalogAdapter | null {
    if (!this.#options.voice) return null;
    const found = catalog.adapters.find(({ name }) => name === this.#options.voice);
    if (!found) throw new LecternError('adapter-unknown', `models.json offers no voice called “${this.#options.voice}”.`);
    return found;
  }

  async #openIndex(lectern: Lectern, folder: URL, signal: AbortSignal): Promise<void> {
    const url = new URL('collection.lectern', asFolder(folder));
    const file = await (await fetched(url, signal)).blob();
    const home = this.#options.home && asFolder(this.#options.home);
    for (const { name } of await lectern.importCollection(file)) if (home) this.addresses.set(name, new URL(name.split('/').map(encodeURIComponent).join('/'), home).href);
  }

  async #readPages(lectern: Lectern, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<void> {
    const { pages } = this.#options;
    for (const [i, url] of pages.entries()) {
      onProgress({ what: 'Reading the pages', done: i, total: pages.length });
      if (this.#read.has(url.href)) continue;
      try {
        const response = await fetched(url, signal);
        const name = nameOf(url, response.headers.get('content-type') ?? '');
        this.addresses.set(name, url.href);
        await lectern.addSource(name, await response.blob(), { signal });
        this.#read.add(url.href);
      } catch (thrown) {
        // One page that is missing takes none of the others with it; without any, the question says so.
        signal.throwIfAborted();
        this.#onNotice(describe(thrown));
      }
    }
  }
}

function asFolder(url: URL): URL {
  return url.href.endsWith('/') ? url : new URL(`${url.href}/`);
}

/** The engine tells formats by their names; a page's address often has no ending, or a query after it. */
function nameOf(url: URL, type: string): string {
  const path = decodeURIComponent(url.pathname.replace(/^\//, '')) || 'index';
  const ending = /\.\w+$/.exec(path)?.[0] ?? '';
  const name = url.search ? `${path}${url.search}${ending}` : path;
  return type.includes('html') && !/\.html?$/i.test(name) ? `${name.replace(/\/$/, '/index')}.html` : name;
}

async function fetched(url: URL, signal: AbortSignal): Promise<Response> {
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return response;
  } catch (cause) {
    signal.throwIfAborted();
    throw new LecternError('download-failed', `${url.pathname} could not be fetched (${cause instanceof Error ? cause.message : String(cause)}).`, { cause });
  }
}
