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

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Another collection takes the place of the last one. */
  put(shelf: Shelf): void {
    this.#shelf.close();
    this.#shelf = shelf;
    this.texts.clear();
    this.#keys.clear();
    this.#graphs.clear();
  }

  close(): void {
    this.#shelf.close();
  }

  /** Brings everything that is kept into an engine without pages. */
  async takeIn(call = this.#options.call): Promise<void> {
    const shelf = this.#shelf;
    const { items, graphs } = await shelf.contents();
    for (const item of items) this.#options.onKept(await this.#page(call, shelf, item));
    this.#graphs.clear();
    for (const tag of graphs) {
      if (await this.#graph(call, shelf, tag)) this.#graphs.add(tag);
      else await shelf.dropGraph(tag);
    }
  }

  async keep({ info, text }: AddedSource, key = this.#shelf.newKey()): Promise<Kept> {
    const shelf = this.#shelf;
    const page = await this.#options.call('page_bytes', { id: info.id }).result;
    await shelf.keepPage(key, info.name, page);
    await this.#here(shelf, info.id, text, key);
    return { key, hasFile: false, hasPage: true, tries: 0, info, error: null };
  }

  async drop(id: number): Promise<void> {
    const key = this.#keys.get(id);
    this.texts.delete(id);
    this.#keys.delete(id);
    if (key !== undefined) await this.#shelf.drop(key);
  }

  /** Takes in a page that another tab has kept. */
  async fetch(shelf: Shelf, key: string): Promise<void> {
    if (shelf === this.#shelf) this.#options.onKept(await this.#page(this.#options.call, shelf, { key, hasFile: true, hasPage: true, tries: 0 }));
  }

  /** Takes off a page that another tab has dropped; whether it was here, or waited to be. */
  async forget(shelf: Shelf, key: string): Promise<boolean> {
    if (shelf !== this.#shelf) return false;
    for (const [id, at] of this.#keys) {
      if (at !== key) continue;
      this.texts.delete(id);
      this.#keys.delete(id);
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

  /** The same page laid down twice is kept once. */
  async #here(shelf: Shelf, id: number, text: SourceText, key: string): Promise<void> {
    const old = this.#keys.get(id);
    this.texts.set(id, text);
    this.#keys.set(id, key);
    if (old !== undefined && old !== key) await shelf.drop(old);
  }

  async #page(call: Call, shelf: Shelf, item: Item): Promise<Kept> {
    const error = item.lost === undefined ? null : { code: 'file-not-kept', message: 'The tab ended before the browser had kept this file.' };
    const kept: Kept = { ...item, info: null, error };
    const page = item.hasPage ? await shelf.page(item.key) : null;
    // Without: not read yet, or not written whole, since the tab ended just then.
    if (!page) return kept;
    try {
      const { info, text } = await call('restore_page', { bytes: await bytesOf(page.content) }).result;
      await this.#here(shelf, info.id, text, item.key);
      return { ...kept, info };
    } catch (thrown) {
      const { code, message } = describe(thrown);
      if (code === 'engine-died') throw thrown;
      return { ...kept, error: { code, message: `${page.name}: ${message}` } };
    }
  }

  /** Whether it is of use. One that is damaged is named; it is built anew from the pages. */
  async #graph(call: Call, shelf: Shelf, tag: string): Promise<boolean> {
    try {
      const graph = await shelf.graph(tag);
      return graph !== null && (await call('install_segment', { built: await bytesOf(graph) }).result).tag !== null;
    } catch (thrown) {
      const { code, message } = describe(thrown);
      if (code === 'engine-died') throw thrown;
      this.#options.onNotice({ code, message: `The graph ${tag} over your pages could not be used (${message}) and is built anew. Your pages are all here.` });
      return false;
    }
  }
}

async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}
