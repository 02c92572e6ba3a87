/** Which collection lies on the desk, which others there are, and what they take of this device. */
import { Collections, describe } from '../../client/index';
import type { Collection, ErrorInfo, Lectern, Storage } from '../../client/index';
import { numbered } from './names';
import type { Pages } from './pages';

/** Which one was open last. */
const LAST = 'lectern-collection';

export interface ShelvesOptions {
  changed: () => void;
  notify: (notice: ErrorInfo) => void;
  /** Another one has come in the place of the last, which is null where that was deleted. */
  switched: (from: string | null, to: string) => void;
}

export class Shelves {
  list: Collection[] = [];
  current: Collection | null = null;
  storage: Storage | null = null;
  /** The title of the one that has just been deleted, and how many pages it had. */
  deleted: { title: string; nPages: number } | null = null;
  /** Nothing was ever kept here, as far as the page remembers. */
  readonly isNew = remembered() === null;
  #client: Lectern;
  #pages: Pages;
  #options: ShelvesOptions;
  #collections: Promise<Collections>;
  #asked = false;
  /** Of the collection that is open; null when it has just been deleted. */
  #onDesk: string | null = null;

  constructor(client: Lectern, pages: Pages, options: ShelvesOptions) {
    this.#client = client;
    this.#pages = pages;
    this.#options = options;
    this.#collections = Collections.open(options.notify);
    client.on('deleted', () => {
      options.notify({ code: 'collection-deleted', message: `“${this.current?.title ?? ''}” was deleted in another tab.` });
      this.#onDesk = null;
      void this.#try(() => this.begin());
    });
  }

  /** Opens the collection that was open last, else the first. */
  async begin(): Promise<void> {
    const collections = await this.#collections;
    this.list = await collections.list();
    const last = remembered();
    const found = this.list.find(({ id }) => id === last) ?? this.list[0];
    if (found) await this.choose(found);
  }

  async choose(collection: Collection): Promise<void> {
    if (this.#onDesk === collection.id) return;
    const isSwitch = this.current !== null;
    const from = this.#onDesk;
    this.#onDesk = collection.id;
    this.current = collection;
    this.deleted = null;
    remember(collection.id);
    if (isSwitch) this.#options.switched(from, collection.id);
    await this.#try(async () => {
      const collections = await this.#collections;
      await this.#pages.open(collections.shelf(collection));
    });
    await this.measure();
  }

  async create(title: string): Promise<void> {
    await this.#try(async () => {
      const made = await (await this.#collections).create(numbered(title, this.list.map((other) => other.title)));
      this.list = await (await this.#collections).list();
      await this.choose(made);
    });
  }

  async rename(wanted: string): Promise<void> {
    const { current } = this;
    if (!current) return;
    const title = numbered(wanted, this.list.flatMap((other) => (other.id === current.id ? [] : other.title)));
    await this.#try(async () => {
      await (await this.#collections).rename(current, title);
      this.list = await (await this.#collections).list();
      this.current = this.list.find(({ id }) => id === current.id) ?? { ...current, title };
    });
  }

  async delete(): Promise<void> {
    const deleted = { title: this.current?.title ?? '', nPages: this.#pages.list.length };
    const isDone = await this.#try(() => this.#pages.delete());
    // Whatever went wrong, it is not on the desk any more.
    this.#onDesk = null;
    await this.#try(() => this.begin());
    if (isDone) this.deleted = deleted;
    this.#options.changed();
  }

  /** The collection as one file. */
  async export(): Promise<{ name: string; file: Blob } | null> {
    let exported = null;
    await this.#try(async () => {
      const left = this.#pages.list.filter(({ state }) => state !== 'ready').length;
      if (left > 0) this.#options.notify({ code: 'export-incomplete', message: `What is not read yet is not in the exported file: ${left} of ${this.#pages.list.length}.` });
      exported = { name: `${this.current?.title ?? 'Pages'}.lectern`, file: new Blob([await this.#client.exportCollection()]) };
    });
    return exported;
  }

  /** Something is about to be kept that the person may want to find again. */
  askToPersist(): void {
    if (this.#asked) return;
    this.#asked = true;
    void Collections.persist().then(() => this.measure());
  }

  async measure(): Promise<void> {
    this.storage = await Collections.storage();
    this.#options.changed();
  }

  /** Whether it went well; what did not is said. */
  async #try(step: () => Promise<void>): Promise<boolean> {
    let isDone = true;
    try {
      await step();
    } catch (thrown) {
      isDone = false;
      this.#options.notify(describe(thrown));
    }
    this.#options.changed();
    return isDone;
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(LAST);
  } catch {
    return null;
  }
}

function remember(id: string): void {
  try {
    localStorage.setItem(LAST, id);
  } catch {
    // The first one is opened next time.
  }
}
