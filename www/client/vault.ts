/** Where what a person laid down is kept on their device: files in folders one deep, each written whole or not at all. */
import { createStore, del, delMany, get, keys, set } from 'idb-keyval';

export interface Vault {
  /** Whether what is written outlives the page. */
  readonly lasts: boolean;
  folders(): Promise<string[]>;
  names(folder: string): Promise<string[]>;
  read(folder: string, name: string): Promise<Blob | null>;
  write(folder: string, name: string, data: Blob): Promise<void>;
  remove(folder: string, name: string): Promise<void>;
  removeAll(folder: string): Promise<void>;
}

/** The best that this browser has: a file system of the site's own, else its database, else memory. What an older browser has put in the database stays there. */
export async function openVault(): Promise<Vault> {
  const used = await DatabaseVault.openUsed();
  return used ?? (await FileVault.open()) ?? (await DatabaseVault.open()) ?? new MemoryVault();
}

const ROOT = 'lectern';

/** The origin private file system: a file takes the place of the old one when it is closed, and not before. */
class FileVault implements Vault {
  readonly lasts = true;
  #root: FileSystemDirectoryHandle;

  constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  static async open(): Promise<FileVault | null> {
    try {
      // Some browsers write such files in workers alone.
      if (!('createWritable' in FileSystemFileHandle.prototype)) return null;
      const storage = await navigator.storage.getDirectory();
      return new FileVault(await storage.getDirectoryHandle(ROOT, { create: true }));
    } catch {
      return null;
    }
  }

  async folders(): Promise<string[]> {
    return names(this.#root, 'directory');
  }

  async names(folder: string): Promise<string[]> {
    const directory = await present(this.#root.getDirectoryHandle(folder));
    if (!directory) return [];
    const all = await names(directory, 'file');
    await Promise.all(all.filter(isSwap).map((name) => sweep(directory, name)));
    return all.filter((name) => !isSwap(name));
  }

  async read(folder: string, name: string): Promise<Blob | null> {
    const directory = await present(this.#root.getDirectoryHandle(folder));
    const file = await (directory && present(directory.getFileHandle(name)));
    return file && file.getFile();
  }

  async write(folder: string, name: string, data: Blob): Promise<void> {
    const directory = await this.#root.getDirectoryHandle(folder, { create: true });
    const isNew = !(await present(directory.getFileHandle(name)));
    const file = await directory.getFileHandle(name, { create: true });
    let stream: FileSystemWritableFileStream | null = null;
    try {
      stream = await file.createWritable();
      await stream.write(data);
      await stream.close();
    } catch (thrown) {
      await stream?.abort().catch(() => undefined);
      if (isNew) await directory.removeEntry(name).catch(() => undefined);
      throw thrown;
    }
  }

  async remove(folder: string, name: string): Promise<void> {
    const directory = await present(this.#root.getDirectoryHandle(folder));
    if (directory) await present(directory.removeEntry(name));
  }

  async removeAll(folder: string): Promise<void> {
    await present(this.#root.removeEntry(folder, { recursive: true }));
  }
}

/** What Chromium writes until a file is closed. It stays when the browser is ended just then. */
function isSwap(name: string): boolean {
  return name.endsWith('.crswap');
}

const SWEPT_AFTER_MS = 60_000;

async function sweep(directory: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    const { lastModified } = await (await directory.getFileHandle(name)).getFile();
    if (lastModified < Date.now() - SWEPT_AFTER_MS) await directory.removeEntry(name);
  } catch {
    // It has been closed since, or is being written.
  }
}

async function names(directory: FileSystemDirectoryHandle, kind: FileSystemHandleKind): Promise<string[]> {
  const found: string[] = [];
  for await (const [name, handle] of directory.entries()) if (handle.kind === kind) found.push(name);
  return found;
}

/** Null for what is not there. */
async function present<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'NotFoundError') return null;
    throw thrown;
  }
}

/** One table whose keys are folder and name. */
class DatabaseVault implements Vault {
  readonly lasts = true;
  #store = createStore(ROOT, 'files');

  static async open(): Promise<DatabaseVault | null> {
    try {
      const vault = new DatabaseVault();
      await vault.#keys();
      return vault;
    } catch {
      return null;
    }
  }

  static async openUsed(): Promise<DatabaseVault | null> {
    try {
      const all = await indexedDB.databases();
      if (!all.some(({ name }) => name === ROOT)) return null;
    } catch {
      return null;
    }
    const vault = await DatabaseVault.open();
    return vault && (await vault.folders()).length > 0 ? vault : null;
  }

  async folders(): Promise<string[]> {
    return [...new Set((await this.#keys()).map(([folder]) => folder))];
  }

  async names(folder: string): Promise<string[]> {
    return (await this.#keys()).flatMap(([at, name]) => (at === folder ? [name] : []));
  }

  async read(folder: string, name: string): Promise<Blob | null> {
    const bytes = await get<ArrayBuffer>([folder, name], this.#store);
    return bytes ? new Blob([bytes]) : null;
  }

  // Private windows of some browsers keep bytes, but no blobs.
  async write(folder: string, name: string, data: Blob): Promise<void> {
    await set([folder, name], await data.arrayBuffer(), this.#store);
  }

  async remove(folder: string, name: string): Promise<void> {
    await del([folder, name], this.#store);
  }

  async removeAll(folder: string): Promise<void> {
    await delMany((await this.#keys()).filter(([at]) => at === folder), this.#store);
  }

  #keys(): Promise<[string, string][]> {
    return keys<[string, string]>(this.#store);
  }
}

/** For as long as the page is open. */
export class MemoryVault implements Vault {
  readonly lasts = false;
  #files = new Map<string, Map<string, Blob>>();

  folders(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()]);
  }

  names(folder: string): Promise<string[]> {
    return Promise.resolve([...(this.#files.get(folder)?.keys() ?? [])]);
  }

  read(folder: string, name: string): Promise<Blob | null> {
    return Promise.resolve(this.#files.get(folder)?.get(name) ?? null);
  }

  write(folder: string, name: string, data: Blob): Promise<void> {
    const files = this.#files.get(folder) ?? new Map<string, Blob>();
    this.#files.set(folder, files.set(name, data));
    return Promise.resolve();
  }

  remove(folder: string, name: string): Promise<void> {
    this.#files.get(folder)?.delete(name);
    return Promise.resolve();
  }

  removeAll(folder: string): Promise<void> {
    this.#files.delete(folder);
    return Promise.resolve();
  }
}

/** Keeps in memory what the other one has no room for, and says so. */
export class SpareVault implements Vault {
  #vault: Vault;
  #spare = new MemoryVault();
  #onTrouble: (thrown: unknown) => void;

  constructor(vault: Vault, onTrouble: (thrown: unknown) => void) {
    this.#vault = vault;
    this.#onTrouble = onTrouble;
  }

  get lasts(): boolean {
    return this.#vault.lasts;
  }

  folders(): Promise<string[]> {
    return this.#vault.folders();
  }

  async names(folder: string): Promise<string[]> {
    return [...new Set([...(await this.#vault.names(folder)), ...(await this.#spare.names(folder))])];
  }

  async read(folder: string, name: string): Promise<Blob | null> {
    return (await this.#spare.read(folder, name)) ?? this.#vault.read(folder, name);
  }

  async write(folder: string, name: string, data: Blob): Promise<void> {
    try {
      await this.#vault.write(folder, name, data);
      await this.#spare.remove(folder, name);
    } catch (thrown) {
      this.#onTrouble(thrown);
      await this.#spare.write(folder, name, data);
    }
  }

  async remove(folder: string, name: string): Promise<void> {
    await this.#spare.remove(folder, name);
    await this.#vault.remove(folder, name);
  }

  async removeAll(folder: string): Promise<void> {
    await this.#spare.removeAll(folder);
    await this.#vault.removeAll(folder);
  }
}
