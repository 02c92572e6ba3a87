/** The collections on this device, and what they take of it. */
import type { ErrorInfo } from './generated';
import { Shelf, emptied, newId } from './shelf';
import { SpareVault, openVault } from './vault';
import type { Vault } from './vault';

export interface Collection {
  id: string;
  title: string;
}

/** Bytes of this site's storage, models included. */
export interface Storage {
  used: number;
  /** What the browser would let it grow to; 0 when it does not say. */
  quota: number;
  /** The browser does not clear it by itself when the disk is full. */
  persisted: boolean;
}

const FIRST: Collection = { id: 'first', title: 'My pages' };

export class Collections {
  #vault: Vault;

  private constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** `onNotice` is told when what is laid down cannot be kept. */
  static async open(onNotice: (notice: ErrorInfo) => void): Promise<Collections> {
    const vault = await openVault();
    if (!vault.lasts) onNotice({ code: 'pages-not-kept', message: 'This browser does not let the page keep anything here (a private window, perhaps): your pages are gone when this tab is closed. Export them to keep them.' });
    return new Collections(new SpareVault(vault, (thrown) => {
      const why = thrown instanceof DOMException && thrown.name === 'QuotaExceededError' ? 'There is not enough room in this browser’s storage' : `The browser could not write (${thrown instanceof Error ? thrown.message : String(thrown)})`;
      onNotice({ code: 'pages-not-kept', message: `${why}: pages that you lay down now work, and are gone when this tab is closed. Free some disk space, or delete a collection.` });
    }));
  }

  /** At least one, by title. What is left of one that was deleted goes. */
  list(): Promise<Collection[]> {
    return alone(async () => {
      const found: Collection[] = [];
      for (const id of await this.#vault.folders()) {
        const title = await this.#vault.read(id, 'title');
        if (title) found.push({ id, title: (await title.text()) || FIRST.title });
        else await emptied(this.#vault, id).catch(() => undefined);
      }
      if (found.length === 0) {
        await this.rename(FIRST, FIRST.title);
        found.push(FIRST);
      }
      return found.sort((a, b) => a.title.localeCompare(b.title));
    });
  }

  async create(title: string): Promise<Collection> {
    const collection = { id: newId(16), title };
    await alone(() => this.rename(collection, title));
    return collection;
  }

  async rename({ id }: Collection, title: string): Promise<void> {
    await this.#vault.write(id, 'title', new Blob([title]));
  }

  shelf({ id }: Collection): Promise<Shelf> {
    return Shelf.open(this.#vault, id);
  }

  /** What this site takes; null where the browser does not say. */
  static async storage(): Promise<Storage | null> {
    try {
      const [{ usage = 0, quota = 0 }, persisted] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
      return { used: usage, quota, persisted };
    } catch {
      return null;
    }
  }

  /** Asks the browser not to clear what is kept; it may ask the person, or decide by itself. */
  static async persist(): Promise<void> {
    try {
      await navigator.storage.persist();
    } catch {
      // What `storage` tells stays as it is.
    }
  }
}

/** One tab at a time. */
async function alone<T>(step: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  return locks ? locks.request('lectern-collections', step) : step();
}
