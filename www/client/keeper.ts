/** The pages that are in the engine, and where they are kept: what is brought back from there, and what goes. */
import type { AddedSource } from '../worker/protocol';
import { describe } from './errors';
import type { ErrorInfo, SourceInfo, SourceText } from './generated';
import type { Call } from './lay-down';
import { Shelf } from './shelf';
import type { Item } from './shelf';

/** Something of a collection that has come: a page, or a file that is still to be read, and why if there was one. */
export interface Kept extends Item {
  info: SourceInfo | null;
  error: ErrorInfo | null;
}

export interface KeeperOptions {
  call: Call;
  onKept: (kept: Kept) => void;
  onNotice: (notice: ErrorInfo) => void;
}

export class Keeper {
  /** Of the pages in the engine. */
  readonly texts = new Map<number, SourceText>();
  #options: KeeperOptions;
  #shelf = Shelf.inMemory();
  #keys = new Map<number, string>();
  /** Tags of the graphs that are kept. */
  #graphs = new Set<string>();
  /** Pages that have come since the engine had none. */
  #here = new Set<number>();
  /** The engine ended over these; it is not given them again. */
  #fatal = new Set<string>();
  /** Grows when what is being taken in is no longer wanted. */
  #turn = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Another collection takes the place of the last one. */
  put(shelf: Shelf): void {
    this.halt();
    this.#shelf.close();
    this.#shelf = shelf;
    this.texts.clear();
    this.#keys.clear();
    this.#graphs.clear();
    this.#fatal.clear();
  }

  /** Whether `shelf` is the one that is open. */
  holds(shelf: Shelf): boolean {
    return shelf === this.#shelf;
  }

  get shelf(): Shelf {
    return this.#shelf;
  }

  /** What is being taken in is taken in no further: the engine is about to lose its pages. */
  halt(): void {
    this.#turn += 1;
  }

  close(): void {
    this.halt();
    this.#shelf.close();
  }

  /** Brings everything that is kept into an engine without pages. */
  async takeIn(call = this.#options.call): Promise<void> {
    const shelf = this.#shelf;
    this.halt();
    const turn = this.#turn;
    const isOver = () => turn !== this.#turn;
    this.#here.clear();
    this.#graphs.clear();
    const { items, graphs } = await shelf.contents();
    for await (const [item, entry] of ahead(items, (next) => this.#entry(shelf, next))) {
      if (isOver()) return;
      const kept = await this.#restore(call, shelf, item, entry, isOver);
      if (isOver()) return;
      this.#options.onKept(kept);
    }
    for (const id of this.texts.keys()) if (!this.#here.has(id)) this.#forget(id);
    for (const tag of graphs) {
      const isUsed = await this.#graph(call, shelf, tag, isOver);
      if (isOver()) return;
      if (isUsed) this.#graphs.add(tag);
      else await shelf.dropGraph(tag);
    }
  }

  async keep({ info, text }: AddedSource, key = this.#shelf.newKey()): Promise<Kept> {
    const shelf = this.#shelf;
    const page = await this.#options.call('page_bytes', { id: info.id }).result;
    await shelf.keepPage(key, info.name, page);
    return { key: await this.#remember(shelf, info.id, text, key), hasFile: false, hasPage: true, tries: 0, info, error: null };
  }

  async drop(id: number): Promise<void> {
    const key = this.#keys.get(id);
    this.#forget(id);
    if (key !== undefined) await this.#shelf.drop(key);
  }

  /** Takes in a page that another tab has kept. What cannot be is that tab's to read again, or to drop. */
  async fetch(shelf: Shelf, key: string): Promise<void> {
    if (!this.holds(shelf)) return;
    const turn = this.#turn;
    const item = { key, hasFile: true, hasPage: true, tries: 0 };
    const kept = await this.#restore(this.#options.call, shelf, item, await this.#entry(shelf, item), () => turn !== this.#turn);
    if (turn !== this.#turn) return;
    if (kept.info) this.#options.onKept(kept);
    else if (kept.error) this.#options.onNotice({ code: kept.error.code, message: `${kept.error.message} Another tab has read it; reload this one to see it.` });
  }

  /** Takes off a page that another tab has dropped; whether it may be shown here. */
  async forget(shelf: Shelf, key: string): Promise<boolean> {
    if (!this.holds(shelf)) return false;
    for (const [id, at] of this.#keys) {
      if (at !== key) continue;
      this.#forget(id);
      await this.#options.call('remove_source', { id }).result;
    }
    return true;
  }

  /** Keeps a graph that was just built, and none that it takes the place of. */
  async install(built: Uint8Array<ArrayBuffer>): Promise<void> {
    const shelf = this.#shelf;
    const { tag, used } = await this.#options.call('install_segment', { built }).result;
    if (tag === null || shelf !== this.#shelf) return;
    await shelf.keepGraph(tag, built);
    this.#graphs.add(tag);
    for (const old of this.#graphs) {
      if (used.includes(old)) continue;
      this.#graphs.delete(old);
      await shelf.dropGraph(old);
    }
  }

  /** As they are kept. */
  async graphs(): Promise<Uint8Array[]> {
    const found = await Promise.all([...this.#graphs].map((tag) => this.#shelf.graph(tag)));
    return Promise.all(found.flatMap((graph) => (graph ? [bytesOf(graph)] : [])));
  }

  /**
   * The same page laid down twice is kept once: under the later key, in whichever tab that was, so that two tabs drop
   * the same one. The key it is kept under.
   */
  async #remember(shelf: Shelf, id: number, text: SourceText, key: string): Promise<string> {
    const old = this.#keys.get(id) ?? key;
    const [stays, goes] = old < key ? [key, old] : [old, key];
    this.texts.set(id, text);
    this.#keys.set(id, stays);
    this.#here.add(id);
    if (goes !== stays) await shelf.drop(goes);
    return stays;
  }

  #forget(id: number): void {
    this.texts.delete(id);
    this.#keys.delete(id);
  }

  /** Null for a page that has not been read, or was not written whole, since the tab ended just then. */
  async #entry(shelf: Shelf, { key, hasPage }: Item): Promise<Entry> {
    try {
      return hasPage ? await shelf.page(key) : null;
    } catch (thrown) {
      return { name: 'A page', bytes: thrown };
    }
  }

  async #restore(call: Call, shelf: Shelf, item: Item, entry: Entry, isOver: () => boolean): Promise<Kept> {
    const kept: Kept = { ...item, info: null, error: null };
    if (item.lost !== undefined) kept.error = { code: 'file-not-kept', message: 'The tab ended before the browser had kept this file.' };
    if (!entry || isOver()) return kept;
    const { name, bytes } = entry;
    const failed = (code: string, message: string): Kept => ({ ...kept, error: { code, message: `${name}: ${message}` } });
    if (this.#fatal.has(item.key)) return failed('page-not-restored', 'The engine stopped when it was given this page back.');
    if (!(bytes instanceof Uint8Array)) return failed('page-not-restored', `The browser could not read it (${describe(bytes).message}).`);
    try {
      const { info, text } = await call('restore_page', { bytes }).result;
      if (isOver()) return kept;
      return { ...kept, info, key: await this.#remember(shelf, info.id, text, item.key) };
    } catch (thrown) {
      const { code, message } = describe(thrown);
      if (code !== 'engine-died') return failed(code, message);
      this.#fatal.add(item.key);
      throw thrown;
    }
  }

  /** Whether it is of use. One that is damaged is named; it is built anew from the pages. */
  async #graph(call: Call, shelf: Shelf, tag: string, isOver: () => boolean): Promise<boolean> {
    try {
      const graph = await shelf.graph(tag);
      // Not written whole.
      if (!graph?.size) return false;
      const built = await bytesOf(graph);
      return !isOver() && (await call('install_segment', { built }).result).tag !== null;
    } catch (thrown) {
      const { code, message } = describe(thrown);
      if (code === 'engine-died') throw thrown;
      this.#options.onNotice({ code, message: `The graph ${tag} over your pages could not be used (${message}) and is built anew. Your pages are all here.` });
      return false;
    }
  }
}

/** A stored page, or why the browser does not give it. */
type Entry = { name: string; bytes: unknown } | null;

/** Pages that are fetched while one is taken in. */
const AHEAD = 8;

async function* ahead<T, R>(all: T[], fetched: (one: T) => Promise<R>): AsyncGenerator<[T, R]> {
  const coming: Promise<R>[] = [];
  for (const [i, one] of all.entries()) {
    while (coming.length < AHEAD && i + coming.length < all.length) coming.push(fetched(all[i + coming.length] as T));
    yield [one, await (coming.shift() as Promise<R>)];
  }
}

async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}
