/** The pages on the desk: laid down, being read, ready, or refused with a reason. */
import { describe, isAbort } from '../../client/index';
import type { ErrorInfo, Lectern, SourceInfo } from '../../client/index';

export interface Page {
  key: number;
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

export interface Laid {
  name: string;
  file: Blob;
  /** Why there is nothing to read. */
  error?: ErrorInfo | null;
  password?: string;
}

export class Pages {
  list: Page[] = [];
  #client: Lectern;
  #changed: () => void;
  #files = new Map<number, Blob>();
  #lastKey = 0;
  #working = false;
  #canRead = false;
  #stop: (() => void) | null = null;

  constructor(client: Lectern, changed: () => void) {
    this.#client = client;
    this.#changed = changed;
    client.on('restarted', (ids) => {
      for (const page of this.list) {
        const id = page.info ? ids.get(page.info.id) : undefined;
        if (page.info && id !== undefined) page.info = { ...page.info, id };
      }
      changed();
    });
  }

  /** Some are ready, or will be. */
  get any(): boolean {
    return this.list.some(({ state }) => state !== 'failed');
  }

  /** There are some, and none is to be read yet. */
  get settled(): boolean {
    return this.list.some(({ state }) => state === 'ready') && !this.list.some(({ state }) => state === 'waiting' || state === 'reading');
  }

  lay(laid: Laid[]): void {
    this.list.push(...laid.map((one) => this.#page(one)));
    this.#changed();
    void this.#read();
  }

  #page({ name, file, error = null, password }: Laid): Page {
    const key = ++this.#lastKey;
    this.#files.set(key, file);
    return { key, name, n_bytes: file.size, state: error ? 'failed' : 'waiting', done: 0, total: 0, info: null, error, ...(password === undefined ? {} : { password }) };
  }

  /** Called once the reading model is open. */
  canRead(): void {
    if (this.#canRead) return;
    this.#canRead = true;
    void this.#read();
  }

  async remove(page: Page): Promise<void> {
    this.list = this.list.filter((other) => other !== page);
    this.#files.delete(page.key);
    this.#changed();
    if (page.state === 'reading') this.#stop?.();
    else if (page.info) await this.#client.removeSource(page.info.id);
  }

  /** Tries again with a password. */
  unlock(page: Page, password: string): void {
    page.password = password;
    this.again(page);
  }

  again(page: Page): void {
    Object.assign(page, { state: 'waiting', error: null, done: 0, total: 0 });
    this.#changed();
    void this.#read();
  }

  byId(id: number): Page | undefined {
    return this.list.find(({ info }) => info?.id === id);
  }

  async #read(): Promise<void> {
    if (this.#working || !this.#canRead) return;
    this.#working = true;
    for (let page = this.#next(); page; page = this.#next()) await this.#readOne(page);
    this.#working = false;
  }

  /** An archive gives way to its files; whether the page was one. */
  async #unpacked(page: Page, file: Blob): Promise<boolean> {
    if (!(await beginsAsZip(file))) return false;
    const control = new AbortController();
    this.#stop = () => { control.abort(); };
    const { password } = page;
    const files = await this.#client.expand(page.name, file, { signal: control.signal, ...(password === undefined ? {} : { password }) });
    this.#stop = null;
    if (!files) return false;
    const at = this.list.indexOf(page);
    if (at >= 0) this.list.splice(at, 1, ...files.map((one) => this.#page({ ...one, ...(password === undefined ? {} : { password }) })));
    this.#files.delete(page.key);
    this.#changed();
    return true;
  }

  #next(): Page | undefined {
    return this.list.find(({ state }) => state === 'waiting');
  }

  async #readOne(page: Page): Promise<void> {
    const file = this.#files.get(page.key);
    if (!file) return;
    page.state = 'reading';
    this.#changed();
    const opening = page.password === undefined ? {} : { password: page.password };
    try {
      if (await this.#unpacked(page, file)) return;
      const run = this.#client.addSource(page.name, file, opening);
      this.#stop = () => { run.stop(); };
      for await (const event of run) {
        if (event.type === 'chunked') page.total = event.n_chunks;
        if (event.type === 'embedded') Object.assign(page, { done: event.done, total: event.total });
        this.#changed();
      }
      const info = await run;
      page.info = info;
      // The same page laid down again is there once.
      this.list = this.list.filter((other) => other === page || other.info?.id !== info.id);
      page.state = 'ready';
      this.#files.delete(page.key);
      if (!this.list.includes(page)) await this.#client.removeSource(page.info.id);
    } catch (thrown) {
      page.state = 'failed';
      page.error = isAbort(thrown) ? { code: 'cancelled', message: 'Stopped before it was read.' } : describe(thrown);
    }
    this.#stop = null;
    this.#changed();
  }
}

/** Every ZIP file begins so, and so do documents that are packed in one. */
async function beginsAsZip(file: Blob): Promise<boolean> {
  const [p, k] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return p === 0x50 && k === 0x4b;
}

/** Files of a drop, folders opened up; names are paths inside what was dropped. Hidden files are left out. */
export async function laidFromDrop(transfer: DataTransfer): Promise<Laid[]> {
  // All at once: the list is empty after the first wait. What another program drags may be a file without an entry.
  const dropped = [...transfer.items].map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const laid: Laid[] = [];
  for (const one of dropped) {
    if (one instanceof File) laid.push(...laidFromList([one]));
    else if (one) await tryWalk(one, laid);
  }
  return laid;
}

export function laidFromList(files: Iterable<File>): Laid[] {
  return [...files]
    .map((file) => ({ name: file.webkitRelativePath || file.name, file }))
    .filter(({ name }) => !isHidden(name));
}

/** One file or folder that cannot be read takes none of the others with it. */
async function tryWalk(entry: FileSystemEntry, laid: Laid[]): Promise<void> {
  try {
    await walk(entry, laid);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    laid.push({ name: nameOf(entry), file: new Blob([]), error: { code: 'file-unreadable', message: `The browser could not read it (${why}). It may have been moved; lay it down again.` } });
  }
}

function nameOf(entry: FileSystemEntry): string {
  return entry.fullPath.replace(/^\//, '');
}

async function walk(entry: FileSystemEntry, laid: Laid[]): Promise<void> {
  const name = nameOf(entry);
  if (isHidden(name)) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject); });
    laid.push({ name, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (batch.length === 0) return;
    for (const child of batch.sort((a, b) => a.name.localeCompare(b.name))) await tryWalk(child, laid);
  }
}

function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
}
