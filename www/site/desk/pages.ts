/** The pages on the desk: laid down, being read, ready, or refused with a reason. */
import { LecternError, describe, isAbort, isCollection, isStoredPage } from '../../client/index';
import type { ErrorInfo, Kept, Lectern, Shelf, SourceInfo } from '../../client/index';

export interface Page {
  /** What it is kept under. */
  key: string;
  name: string;
  n_bytes: number;
  state: 'waiting' | 'reading' | 'ready' | 'failed';
  /** Passages read so far, and in all. */
  done: number;
  total: number;
  info: SourceInfo | null;
  error: ErrorInfo | null;
  /** What the person gave to open it. */
  password?: string;
}

/** It is to be read yet. */
export function isUnread({ state }: Page): boolean {
  return state === 'waiting' || state === 'reading';
}

export interface Laid {
  name: string;
  file: Blob;
  /** Why there is nothing to read. */
  error?: ErrorInfo | null;
  password?: string;
}

/** A page that was taken off, and what it takes to put it back. */
export interface Taken {
  key: string;
  name: string;
  /** Its place in the list. */
  at: number;
  isChosen: boolean;
  /** Null where nothing of it was kept. */
  laid: Promise<Laid | null>;
}

/** A file whose reading ended so often with the tab is read again only when the person says so. */
const MAX_TRIES = 2;

/** What no later try can read is no longer kept. */
const USELESS = ['file-empty', 'file-no-text', 'file-damaged', 'file-too-large', 'file-binary', 'file-undecodable', 'file-unsupported'];

/** Another model has read it, whose vectors compare with no others. */
const OTHER_MODEL = 'index-model-mismatch';

/** What may end the tab or the engine the next time too. */
const HARMFUL = ['engine-died', 'worker-died', 'file-too-slow'];

/** While a collection is opened: a frame for each page takes longer than the page. */
const SHOWN_EVERY_MS = 250;

export interface PagesOptions {
  changed: () => void;
  notify: (notice: ErrorInfo) => void;
}

export class Pages {
  list: Page[] = [];
  /** The last one, until something else is done. */
  taken: Taken | null = null;
  #client: Lectern;
  #options: PagesOptions;
  /** Where things are kept from now on, and since everything that was there is here. */
  #shelf: Promise<Shelf>;
  #opened: Shelf | null = null;
  #begin: (shelf: Promise<Shelf>) => void = () => undefined;
  /** Those laid down here, as long as they may be read. */
  #files = new Map<string, Blob>();
  /** Settles once all files are kept. */
  #keeping: Promise<unknown> = Promise.resolve();
  #reading: Promise<void> | null = null;
  /** Settles once what was taken off is gone. */
  #removing: Promise<unknown> = Promise.resolve();
  /** What has come from there and is not in the list yet. */
  #telling = new Set<Promise<void>>();
  #canRead = false;
  /** By key. */
  #chosen = new Set<string>();
  #shownAt = -Infinity;
  #stop: (() => void) | null = null;

  constructor(client: Lectern, options: PagesOptions) {
    this.#client = client;
    this.#options = options;
    this.#shelf = new Promise((resolve) => { this.#begin = resolve; });
    client.on('kept', (kept) => {
      const telling = this.#kept(kept).finally(() => this.#telling.delete(telling));
      this.#telling.add(telling);
    });
    client.on('dropped', (key) => {
      this.list = this.list.filter((page) => page.key !== key);
      this.#chosen.delete(key);
      this.#options.changed();
    });
  }

  /** Shows another collection; what is being read of the last one is read when that is opened again. */
  async open(opening: Promise<Shelf>): Promise<void> {
    this.#begin(opening);
    this.#shelf = opening;
    this.#opened = null;
    this.list = [];
    this.taken = null;
    this.#files.clear();
    this.#chosen.clear();
    this.#options.changed();
    this.#stop?.();
    await Promise.allSettled([this.#reading, this.#keeping, this.#removing]);
    const shelf = await opening;
    if (this.#shelf !== opening) {
      shelf.close();
      return;
    }
    await this.#client.open(shelf);
    await Promise.all(this.#telling);
    if (this.#shelf !== opening) return;
    this.#opened = shelf;
    this.#options.changed();
    this.#read();
  }

  /** Nothing of the collection is left on this device. */
  async delete(): Promise<void> {
    const shelf = await this.#shelf;
    this.#opened = null;
    this.#stop?.();
    await Promise.allSettled([this.#reading, this.#keeping]);
    await shelf.delete();
  }

  /** Everything that is kept has been told. */
  get isOpen(): boolean {
    return this.#opened !== null;
  }

  /** Those that questions are asked of alone, once they are read; of all, where there is none. */
  get chosen(): Page[] {
    return this.#chosen.size === 0 ? [] : this.list.filter((page) => this.isChosen(page));
  }

  isChosen({ key }: Page): boolean {
    return this.#chosen.has(key);
  }

  choose(page: Page, chosen: boolean): void {
    if (chosen) this.#chosen.add(page.key);
    else this.#chosen.delete(page.key);
    this.#options.changed();
  }

  chooseOnly(...pages: Page[]): void {
    this.#chosen = new Set(pages.map(({ key }) => key));
    this.#options.changed();
  }

  /** Some are ready, or will be. */
  get any(): boolean {
    return this.list.some(({ state }) => state !== 'failed');
  }

  /** There are some, and none is to be read yet. */
  get settled(): boolean {
    return this.list.some(({ state }) => state === 'ready') && !this.list.some(isUnread);
  }

  /** Takes files, as soon as there is a collection. */
  async lay(laid: Laid[]): Promise<void> {
    const shelf = await this.#shelf;
    this.taken = null;
    this.list.push(...this.#pages(shelf, laid));
    this.#options.changed();
    this.#read();
  }

  #pages(shelf: Shelf, laid: Laid[]): Page[] {
    const pages = laid.map(({ name, file, error = null, password }): Page => ({
      key: shelf.newKey(), name, n_bytes: file.size, state: error ? 'failed' : 'waiting', done: 0, total: 0, info: null, error, ...(password === undefined ? {} : { password }),
    }));
    const files = laid.flatMap(({ file }, i) => {
      const { key, name, error } = pages[i] as Page;
      this.#files.set(key, file);
      return error ? [] : [{ key, name, file }];
    });
    this.#keeping = Promise.allSettled([this.#keeping, shelf.keepFiles(files)]);
    return pages;
  }

  /** Called once the reading model is open. */
  canRead(): void {
    if (this.#canRead) return;
    this.#canRead = true;
    this.#read();
  }

  remove(page: Page): Promise<void> {
    const removing = this.#remove(page, this.#shelf);
    this.#removing = Promise.allSettled([this.#removing, removing]);
    return removing;
  }

  async #remove(page: Page, shelf: Promise<Shelf>): Promise<void> {
    const { key, name, password } = page;
    const laid = this.#content(shelf, key).then((file) => ({ name, file, ...(password === undefined ? {} : { password }) }), () => null);
    const taken = { key, name, at: this.list.indexOf(page), isChosen: this.isChosen(page), laid };
    this.taken = taken;
    this.list = this.list.filter((other) => other !== page);
    this.#chosen.delete(key);
    this.#options.changed();
    if (page.state === 'reading') this.#stop?.();
    if (!await laid && this.taken === taken) this.taken = null;
    this.#files.delete(key);
    if (page.info) await this.#client.removeSource(page.info.id);
    else await this.#drop(page, shelf);
    // It may have come back with an engine that was started anew meanwhile.
    this.list = this.list.filter((other) => other.key !== key);
    this.#options.changed();
  }

  /** Lays the page that was taken off where it was; it is read again. */
  async putBack(): Promise<void> {
    const { taken } = this;
    const laid = await taken?.laid;
    const shelf = await this.#shelf;
    if (!laid || !taken || this.taken !== taken) return;
    this.taken = null;
    const pages = this.#pages(shelf, [laid]);
    this.list.splice(taken.at, 0, ...pages);
    if (taken.isChosen) for (const { key } of pages) this.#chosen.add(key);
    this.#options.changed();
    this.#read();
  }

  /** In memory: whatever it was read from will be gone. */
  async #content(shelf: Promise<Shelf>, key: string): Promise<Blob> {
    const file = await this.#file(await shelf, key);
    if (!file) throw new LecternError('file-unreadable', 'Nothing of it is kept.');
    return new Blob([await file.arrayBuffer()]);
  }

  /** What a page is read from. The one that is kept stays as it was laid down, whatever becomes of the other. */
  async #file(shelf: Shelf, key: string): Promise<Blob | undefined> {
    return (await shelf.file(key))?.content ?? this.#files.get(key) ?? (await storedPage(shelf, key))?.content;
  }

  /** Tries again with a password. */
  unlock(page: Page, password: string): void {
    page.password = password;
    this.again(page);
  }

  again(page: Page): void {
    Object.assign(page, { state: 'waiting', error: null, done: 0, total: 0 });
    this.#options.changed();
    this.#read();
  }

  /** The file that a page was read from; null for one that came in a collection. */
  async original(page: Page): Promise<Blob | null> {
    const kept = await (await this.#shelf).file(page.key);
    return kept && !await isStoredPage(kept.content) ? kept.content : null;
  }

  byId(id: number): Page | undefined {
    return this.list.find(({ info }) => info?.id === id);
  }

  /** Something comes from where it is kept. */
  async #kept({ key, info, error, lost, hasFile, tries }: Kept): Promise<void> {
    let page = this.list.find((other) => other.key === key);
    // Being read, or waiting to be, when the engine was started anew.
    if (!info && page && page.state !== 'ready') return;
    if (!page) {
      page = { key, name: info?.name ?? lost ?? '', n_bytes: info?.n_bytes ?? 0, state: 'waiting', done: 0, total: 0, info: null, error: null };
      this.list.push(page);
    }
    if (info) {
      Object.assign(page, { state: 'ready', info });
      this.#once(page, info.id);
    } else {
      // Nothing reads it before it is known what it is.
      Object.assign(page, { state: 'failed', info: null, error });
      let file = null;
      try {
        if (hasFile) file = await (await this.#shelf).file(key);
        // What came in a collection has no file, and can be read from itself.
        else if (error?.code === OTHER_MODEL) file = await storedPage(await this.#shelf, key);
      } catch (thrown) {
        page.error = { code: 'page-not-restored', message: `The browser could not read what it has kept of it (${describe(thrown).message}).` };
      }
      if (!file) this.#lost(page);
      else {
        Object.assign(page, { name: file.name || page.name, n_bytes: file.content.size });
        if (tries >= MAX_TRIES) page.error = { code: 'interrupted', message: 'The tab ended while this was being read, more than once.' };
        else Object.assign(page, { state: 'waiting', error: null });
        if (error) this.#options.notify({ code: error.code, message: `${error.message} It is read again from ${hasFile ? 'the file that was kept' : 'its text'}.` });
      }
    }
    const now = performance.now();
    if (this.#opened || now - this.#shownAt > SHOWN_EVERY_MS) {
      this.#shownAt = now;
      this.#options.changed();
    }
    this.#read();
  }

  /** Nothing is left of it but, perhaps, what is wrong. */
  #lost(page: Page): void {
    if (page.error) {
      page.name ||= 'A page';
      page.error = { ...page.error, message: `${page.error.message} Lay it down again.` };
      return;
    }
    this.list = this.list.filter((other) => other !== page);
    void this.#drop(page);
  }

  async #drop({ key }: Page, shelf = this.#shelf): Promise<void> {
    await this.#keeping;
    await (await shelf).drop(key);
  }

  /** The same page laid down again is there once. */
  #once(page: Page, id: number): void {
    for (const other of this.list.filter((other) => other !== page && other.info?.id === id)) {
      if (this.#chosen.delete(other.key)) this.#chosen.add(page.key);
    }
    this.list = this.list.filter((other) => other === page || other.info?.id !== id);
  }

  #read(): void {
    if (this.#reading || !this.#canRead || !this.#opened) return;
    const shelf = this.#opened;
    const work = async () => {
      for (let page = this.#next(); page && shelf === this.#opened; page = this.#next()) await this.#readOne(shelf, page);
    };
    this.#reading = work().catch((thrown: unknown) => { this.#options.notify(describe(thrown)); }).finally(() => {
      this.#reading = null;
      if (this.#next()) this.#read();
    });
  }

  /** An archive, or a collection, gives way to its files; whether there is nothing more to read. */
  async #unpacked(shelf: Shelf, page: Page, file: Blob): Promise<boolean> {
    const holdsPages = await isCollection(file);
    if (holdsPages && await this.#imported(page.name, file)) {
      this.list = this.list.filter((other) => other !== page);
    } else {
      const isPacked = holdsPages || await beginsAsZip(file);
      // Taken off, or put away with its collection, in the meantime.
      if (!this.list.includes(page)) return true;
      if (!isPacked) return false;
      const control = new AbortController();
      this.#stop = () => { control.abort(); };
      const { password } = page;
      const files = await this.#client.expand(page.name, file, { signal: control.signal, ...(password === undefined ? {} : { password }) });
      const at = this.list.indexOf(page);
      if (at < 0) return true;
      if (!files) return false;
      this.list.splice(at, 1, ...this.#pages(shelf, files.map((one) => ({ ...one, ...(password === undefined ? {} : { password }) }))));
    }
    // Not before they are: should the tab end now, one or the other is there.
    await this.#keeping;
    this.#files.delete(page.key);
    await shelf.drop(page.key);
    this.#options.changed();
    return true;
  }

  /** Whether its pages are here now; where another model read them, they are to be read again. */
  async #imported(name: string, file: Blob): Promise<boolean> {
    try {
      await this.#client.importCollection(file);
      return true;
    } catch (thrown) {
      const { code } = describe(thrown);
      if (code !== OTHER_MODEL) throw thrown;
      this.#options.notify({ code, message: `The pages of ${name} were read by another model. They are read again.` });
      return false;
    }
  }

  #next(): Page | undefined {
    return this.list.find(({ state }) => state === 'waiting');
  }

  async #readOne(shelf: Shelf, page: Page): Promise<void> {
    const { key } = page;
    page.state = 'reading';
    this.#options.changed();
    const opening = page.password === undefined ? { key } : { key, password: page.password };
    let failed = null;
    let isStored = false;
    try {
      await shelf.begin(key);
      const file = await this.#file(shelf, key);
      isStored = file !== undefined && await isStoredPage(file);
      if (!file) throw new LecternError('file-unreadable', 'The file is no longer kept here. Lay it down again.');
      if (await this.#unpacked(shelf, page, file)) return;
      const run = this.#client.addSource(page.name, file, opening);
      this.#stop = () => { run.stop(); };
      for await (const event of run) {
        if (event.type === 'chunked') page.total = event.n_chunks;
        if (event.type === 'embedded') Object.assign(page, { done: event.done, total: event.total });
        this.#options.changed();
      }
      page.info = await run;
      page.state = 'ready';
      this.#files.delete(key);
      // It has become the page that is kept now.
      if (isStored) await shelf.dropFile(key);
      this.#once(page, page.info.id);
      if (!this.list.includes(page) && shelf === this.#opened) await this.#client.removeSource(page.info.id);
    } catch (thrown) {
      failed = isAbort(thrown) ? { code: 'cancelled', message: 'Stopped before it was read.' } : describe(thrown);
      Object.assign(page, { state: 'failed', error: failed });
    } finally {
      this.#stop = null;
      this.#options.changed();
    }
    if (!failed) return;
    if (!HARMFUL.includes(failed.code)) await shelf.end(key);
    if (!USELESS.includes(failed.code) || isStored) return;
    await this.#keeping;
    await shelf.drop(key);
  }
}

/** A page as it is stored, to be read as its file was. */
async function storedPage(shelf: Shelf, key: string): Promise<{ name: string; content: Blob } | null> {
  const page = await shelf.page(key);
  return page && { name: page.name, content: new Blob([page.bytes]) };
}

/** Every ZIP file begins so, and so do documents that are packed in one. */
async function beginsAsZip(file: Blob): Promise<boolean> {
  const [p, k] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return p === 0x50 && k === 0x4b;
}
