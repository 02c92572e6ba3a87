/**
 * A collection as it is kept: for each thing laid down its file, from then on, and its page, once it is read; and the
 * graphs over the pages. Whatever is made of a file can be made of it again. Each is an entry of its own, so that one
 * that is damaged takes no other with it, and other tabs hear of what comes and goes.
 *
 * | entry | what |
 * |---|---|
 * | `file-KEY` | the file, after a head with its name |
 * | `page-KEY` | the page as the engine stores it, after such a head |
 * | `graph-TAG` | a graph as the engine stores it |
 * | `laying-TAB` | names of the files that a tab is about to keep |
 * | `reading-TAB` | files whose reading a tab has begun and not ended, and how often |
 * | `title` | what the collection is called (`collections.ts`) |
 *
 * A key tells when something was laid down and in which tab, which holds a lock for as long as it lives: what is still
 * unread after that is another tab's to read.
 */
import { MemoryVault } from './vault';
import type { Vault } from './vault';

/** What is kept of one thing that was laid down. */
export interface Item {
  key: string;
  /** Where neither file nor page was kept in time. */
  lost?: string;
  hasFile: boolean;
  hasPage: boolean;
  /** How often its reading was begun and ended with the tab. */
  tries: number;
}

export type Change = { type: 'kept' | 'dropped'; key: string } | { type: 'deleted' };

/** Files written at a time: each waits for the disk. */
const WRITERS = 8;

const LENGTH_BYTES = 4;

/** The head is so many bytes for its length, little-endian, and JSON. */
interface Head {
  name: string;
}

export class Shelf {
  /** Told of what other tabs do to this collection. */
  onChange: (change: Change) => void = () => undefined;
  #vault: Vault;
  #folder: string;
  #tab = newId(4);
  #n = 0;
  #channel: BroadcastChannel | null = null;
  #locks: LockManager | undefined;
  /** Ends each lock that is held. */
  #held = new Map<string, () => void>();
  #closed = false;
  #tries = new Map<string, number>();
  /** Names of what is not kept yet, or was not in time. */
  #laying = new Map<string, string>();
  #listing = Promise.resolve();

  private constructor(vault: Vault, folder: string) {
    this.#vault = vault;
    this.#folder = folder;
  }

  static async open(vault: Vault, folder: string): Promise<Shelf> {
    const shelf = new Shelf(vault, folder);
    shelf.#locks = (navigator as { locks?: LockManager }).locks;
    if (typeof BroadcastChannel !== 'undefined') shelf.#channel = new BroadcastChannel(`lectern-${folder}`);
    if (shelf.#channel) shelf.#channel.onmessage = ({ data }: MessageEvent<Change>) => {
      if (shelf.#closed) return;
      if (data.type === 'deleted') shelf.close();
      shelf.onChange(data);
    };
    await shelf.#claim(shelf.#tab);
    return shelf;
  }

  static inMemory(): Shelf {
    return new Shelf(new MemoryVault(), 'memory');
  }

  /** Nothing is written any more, and what is unread is anyone's. */
  close(): void {
    this.#closed = true;
    this.#channel?.close();
    for (const end of this.#held.values()) end();
    this.#held.clear();
  }

  /** Everything that is kept and not another tab's to read, in the order it was laid down, and the tags of the graphs. */
  async contents(): Promise<{ items: Item[]; graphs: string[] }> {
    const items = new Map<string, Item>();
    const graphs: string[] = [];
    const names = await this.#vault.names(this.#folder);
    for (const name of names.sort()) {
      const [kind, rest = ''] = split(name);
      if (kind === 'graph') graphs.push(rest);
      if (kind !== 'file' && kind !== 'page') continue;
      const item = items.get(rest) ?? { key: rest, hasFile: false, hasPage: false, tries: 0 };
      if (kind === 'file') item.hasFile = true;
      else item.hasPage = true;
      items.set(rest, item);
    }
    const unread = [...items.values()].filter(({ hasPage }) => !hasPage).map(({ key }) => tabOf(key));
    const told = names.map(split).flatMap(([kind, tab]) => (tab && (kind === 'laying' || kind === 'reading') ? [tab] : []));
    const ours = new Set<string>();
    for (const tab of new Set([...unread, ...told])) if (await this.#claim(tab)) ours.add(tab);
    for (const tab of ours) {
      if (names.includes(`reading-${tab}`)) await this.#interrupted(tab);
      if (names.includes(`laying-${tab}`)) await this.#adopt(tab);
    }
    const found = [...items.values()].filter(({ key, hasPage }) => hasPage || ours.has(tabOf(key)));
    const all = found.map((item) => ({ ...item, tries: this.#tries.get(item.key) ?? 0 }));
    const lost = [...this.#laying].map(([key, name]): Item => ({ key, lost: name, hasFile: false, hasPage: false, tries: 0 }));
    const kept = all.filter(({ key }) => !this.#laying.has(key));
    return { items: [...kept, ...lost].sort((a, b) => (a.key < b.key ? -1 : 1)), graphs };
  }

  newKey(): string {
    this.#n += 1;
    return `${digits(Date.now(), 9)}.${this.#tab}.${digits(this.#n, 4)}`;
  }

  /** First all their names, so that none is forgotten. One that cannot be read cannot be kept either; whoever reads it says so. */
  async keepFiles(files: { key: string; name: string; file: Blob }[]): Promise<void> {
    for (const { key, name } of files) this.#laying.set(key, name);
    await this.#writeLaying();
    const waiting = [...files];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const { key, name, file } = next;
        await this.#write(`file-${key}`, packed({ name }, file)).catch(() => undefined);
        this.#laying.delete(key);
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, work));
    await this.#writeLaying();
  }

  /** Null where it is not kept, or was not kept whole. */
  async file(key: string): Promise<{ name: string; content: Blob } | null> {
    const blob = await this.#vault.read(this.#folder, `file-${key}`);
    if (!blob || blob.size < LENGTH_BYTES) return null;
    const end = headEnd(await blob.slice(0, LENGTH_BYTES).arrayBuffer());
    return { name: nameIn(await blob.slice(LENGTH_BYTES, end).text()), content: blob.slice(end) };
  }

  /** The reading of a file begins: should the tab end with it, the next one knows which it was. */
  begin(key: string): Promise<void> {
    this.#tries.set(key, (this.#tries.get(key) ?? 0) + 1);
    return this.#writeTries();
  }

  /** It has ended, but not in a way that could end the tab the next time. */
  end(key: string): Promise<void> {
    return this.#tries.delete(key) ? this.#writeTries() : Promise.resolve();
  }

  async keepPage(key: string, name: string, page: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#write(`page-${key}`, packed({ name }, new Blob([page])));
    this.#tries.delete(key);
    this.#tell({ type: 'kept', key });
  }

  /** At once, since all of it is needed. Null as for a file. */
  async page(key: string): Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> } | null> {
    const blob = await this.#vault.read(this.#folder, `page-${key}`);
    if (!blob || blob.size < LENGTH_BYTES) return null;
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const end = headEnd(bytes.buffer);
    return { name: nameIn(new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, end))), bytes: bytes.subarray(end) };
  }

  async drop(key: string): Promise<void> {
    await this.#remove(`page-${key}`);
    await this.#remove(`file-${key}`);
    if (this.#laying.delete(key)) await this.#writeLaying();
    this.#tell({ type: 'dropped', key });
  }

  /** What is kept of it from now on is its page alone. */
  dropFile(key: string): Promise<void> {
    return this.#remove(`file-${key}`);
  }

  keepGraph(tag: string, graph: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#write(`graph-${tag}`, new Blob([graph]));
  }

  graph(tag: string): Promise<Blob | null> {
    return this.#vault.read(this.#folder, `graph-${tag}`);
  }

  dropGraph(tag: string): Promise<void> {
    return this.#remove(`graph-${tag}`);
  }

  /** All of it, in every tab. */
  async delete(): Promise<void> {
    // Without its title it is not found any more, whatever happens now.
    await this.#remove('title');
    this.#tell({ type: 'deleted' });
    this.close();
    await emptied(this.#vault, this.#folder);
  }

  #tell(change: Change): void {
    if (!this.#closed) this.#channel?.postMessage(change);
  }

  /** Whether what a tab has left unread is this one's. */
  async #claim(tab: string): Promise<boolean> {
    if (this.#held.has(tab) || !this.#locks) return true;
    const locks = this.#locks;
    return new Promise((resolve) => {
      locks.request(`lectern-tab-${tab}`, { ifAvailable: true }, (lock) => {
        const isOurs = lock !== null && !this.#closed;
        resolve(isOurs);
        return isOurs ? new Promise<void>((end) => { this.#held.set(tab, end); }) : undefined;
      }).catch(() => { resolve(true); });
    });
  }

  /** What another tab was reading when it ended. */
  async #interrupted(tab: string): Promise<void> {
    if (tab === this.#tab) return;
    const name = `reading-${tab}`;
    try {
      const tries = JSON.parse(await (await this.#vault.read(this.#folder, name))?.text() ?? '') as [string, number][];
      for (const [key, n] of tries) this.#tries.set(key, n);
      await this.#writeTries();
    } catch {
      // Not written whole: nothing had been begun.
    }
    await this.#remove(name);
  }

  /** What another tab was about to keep when it ended is this one's to name. */
  async #adopt(tab: string): Promise<void> {
    if (tab === this.#tab) return;
    try {
      const names = JSON.parse(await (await this.#vault.read(this.#folder, `laying-${tab}`))?.text() ?? '') as [string, string][];
      for (const [key, name] of names) if (!(await this.file(key))) this.#laying.set(key, name);
      await this.#writeLaying();
    } catch {
      // Not written whole.
    }
    await this.#remove(`laying-${tab}`);
  }

  #writeLaying(): Promise<void> {
    return this.#writeMap('laying', this.#laying);
  }

  #writeTries(): Promise<void> {
    return this.#writeMap('reading', this.#tries);
  }

  /** One after the other, so that the last one stands. */
  #writeMap(kind: string, map: Map<string, unknown>): Promise<void> {
    const entry = `${kind}-${this.#tab}`;
    const write = () => (map.size ? this.#write(entry, new Blob([JSON.stringify([...map])])) : this.#remove(entry));
    this.#listing = this.#listing.then(write, write);
    return this.#listing;
  }

  async #write(entry: string, data: Blob): Promise<void> {
    if (!this.#closed) await this.#vault.write(this.#folder, entry, data);
  }

  async #remove(entry: string): Promise<void> {
    if (!this.#closed) await this.#vault.remove(this.#folder, entry);
  }
}

/** Random, in hexadecimal. Pages without a secure context have no `crypto.randomUUID`. */
export function newId(nBytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(nBytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const DELETE_TRIES = 10;

/** What another tab is just writing cannot be deleted until it is written, which is soon. */
export async function emptied(vault: Vault, folder: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await vault.removeAll(folder);
      return;
    } catch (thrown) {
      if (tries === DELETE_TRIES) throw thrown;
      await new Promise((resolve) => { setTimeout(resolve, 200); });
    }
  }
}

function packed(head: Head, content: Blob): Blob {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  length.setUint32(0, json.length, true);
  return new Blob([length, json, content]);
}

function headEnd(entry: ArrayBuffer): number {
  return LENGTH_BYTES + new DataView(entry).getUint32(0, true);
}

function nameIn(json: string): string {
  try {
    return (JSON.parse(json) as Partial<Head>).name ?? '';
  } catch {
    return '';
  }
}

function split(name: string): [string, string?] {
  const at = name.indexOf('-');
  return at < 0 ? [name] : [name.slice(0, at), name.slice(at + 1)];
}

function tabOf(key: string): string {
  return key.split('.')[1] ?? '';
}

/** Digits sort as their numbers do. */
function digits(n: number, width: number): string {
  return n.toString(36).padStart(width, '0');
}
