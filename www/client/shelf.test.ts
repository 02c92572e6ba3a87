import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Shelf } from './shelf';
import type { Change } from './shelf';
import { MemoryVault } from './vault';

/** Of one browser: whoever asks for a lock that is held gets none. */
function locks(): Pick<LockManager, 'request'> {
  const held = new Set<string>();
  return {
    request: (async (name: string, _options: LockOptions, callback: (lock: Lock | null) => Promise<unknown> | undefined) => {
      if (held.has(name)) return callback(null);
      held.add(name);
      try {
        return await callback({ name, mode: 'exclusive' });
      } finally {
        held.delete(name);
      }
    }) as LockManager['request'],
  };
}

const open: Shelf[] = [];
const shelf = async (vault: MemoryVault) => {
  const one = await Shelf.open(vault, 'c');
  open.push(one);
  return one;
};
const laid = (one: Shelf, ...names: string[]) => names.map((name) => ({ key: one.newKey(), name, file: new Blob([`text of ${name}`]) }));
const keysOf = async (one: Shelf) => (await one.contents()).items.map(({ key }) => key);

beforeEach(() => { vi.stubGlobal('navigator', { locks: locks() }); });
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  vi.unstubAllGlobals();
});

describe('a shelf', () => {
  it('gives back what was laid on it, in order', async () => {
    const one = await shelf(new MemoryVault());
    const files = laid(one, 'b.md', 'a.md');
    await one.keepFiles(files);
    const [b, a] = files.map(({ key }) => key);
    await one.keepPage(b ?? '', 'b.md', new Uint8Array([1, 2]));
    await one.keepGraph('beef', new Uint8Array([3]));
    expect(await one.contents()).toEqual({
      items: [{ key: b, hasFile: true, hasPage: true, tries: 0 }, { key: a, hasFile: true, hasPage: false, tries: 0 }],
      graphs: ['beef'],
    });
    expect(await (await one.file(a ?? ''))?.content.text()).toBe('text of a.md');
    expect(await one.page(b ?? '')).toEqual({ name: 'b.md', bytes: new Uint8Array([1, 2]) });
    await one.drop(b ?? '');
    expect(await keysOf(one)).toEqual([a]);
  });

  it('leaves what another tab has not read to it while that tab lives, and no longer', async () => {
    const vault = new MemoryVault();
    const first = await shelf(vault);
    await first.keepFiles(laid(first, 'a.md'));
    const second = await shelf(vault);
    expect(await keysOf(second)).toEqual([]);
    first.close();
    await Promise.resolve();
    expect(await keysOf(second)).toHaveLength(1);
    expect(await keysOf(await shelf(vault)), 'and not to a third').toEqual([]);
  });

  it('counts how often the reading of a file ended with the tab', async () => {
    const vault = new MemoryVault();
    const first = await shelf(vault);
    const [file] = laid(first, 'a.md');
    if (!file) throw new Error('nothing laid down');
    await first.keepFiles([file]);
    let last = first;
    for (const tries of [1, 2]) {
      await last.begin(file.key);
      last.close();
      last = await shelf(vault);
      expect((await last.contents()).items[0]?.tries).toBe(tries);
    }
  });

  it('names what it had no time to keep, until that is taken off', async () => {
    const vault = new MemoryVault();
    const first = await shelf(vault);
    const files = laid(first, 'a.md', 'b.md');
    const write = vault.write.bind(vault);
    vault.write = (folder, name, data) => (name.startsWith('file-') ? new Promise(() => undefined) : write(folder, name, data));
    void first.keepFiles(files);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
    vault.write = write;
    for (let last = first, i = 0; i < 2; i += 1) {
      last.close();
      last = await shelf(vault);
      const { items } = await last.contents();
      expect(items.map(({ lost, hasFile }) => [lost, hasFile])).toEqual([['a.md', false], ['b.md', false]]);
    }
    const other = open.at(-1);
    for (const { key } of files) await other?.drop(key);
    expect(await vault.names('c')).toEqual([]);
  });

  it('tells other tabs what comes and goes, and writes nothing once it is deleted', async () => {
    const vault = new MemoryVault();
    const [first, second] = [await shelf(vault), await shelf(vault)];
    const heard: Change[] = [];
    second.onChange = (change) => { heard.push(change); };
    const key = first.newKey();
    await first.keepPage(key, 'a.md', new Uint8Array([1]));
    await first.drop(key);
    await first.delete();
    await expect.poll(() => heard).toEqual([{ type: 'kept', key }, { type: 'dropped', key }, { type: 'deleted' }]);
    await second.keepPage(key, 'a.md', new Uint8Array([1]));
    expect(await vault.folders()).toEqual([]);
  });
});
