import { describe, expect, it } from 'vitest';
import { ModelStore } from './store';
import type { LoadEvent } from './protocol';

const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i % 251);
const never = new AbortController().signal;
const download = { url: 'https://lectern.test/models/m.gguf', n_bytes: bytes.length, key: 'abc' };

function memoryCaches(put?: () => Promise<void>): CacheStorage {
  const kept = new Map<string, Uint8Array>();
  const cache = {
    match: ({ url }: Request) => Promise.resolve(kept.has(url) ? new Response(kept.get(url) as BufferSource) : undefined),
    put: async ({ url }: Request, response: Response) => {
      await put?.();
      kept.set(url, new Uint8Array(await response.arrayBuffer()));
    },
    delete: ({ url }: Request) => Promise.resolve(kept.delete(url)),
  };
  return { open: () => Promise.resolve(cache) } as unknown as CacheStorage;
}

function store(over: { caches?: CacheStorage | undefined; fetch?: typeof fetch } = {}) {
  const codes: string[] = [];
  let nFetched = 0;
  const made = new ModelStore({
    caches: 'caches' in over ? over.caches : memoryCaches(),
    fetch: over.fetch ?? (() => { nFetched += 1; return Promise.resolve(new Response(bytes as BufferSource)); }),
    origin: 'https://lectern.test',
    onNotice: ({ code }) => { codes.push(code); },
  });
  return { made, codes, nFetched: () => nFetched };
}

describe('ModelStore', () => {
  it('fetches once, with progress in bytes, and then never again', async () => {
    const { made, nFetched } = store();
    const events: LoadEvent[] = [];
    expect(await made.get(download, (event) => events.push(event), never)).toEqual(bytes);
    expect(events.at(-1)).toEqual({ type: 'bytes', done: 3000, total: 3000, cached: false });
    expect(await made.has('abc')).toBe(true);
    expect(await made.get(download, (event) => events.push(event), never)).toEqual(bytes);
    expect(events.at(-1)).toMatchObject({ cached: true });
    expect(nFetched()).toBe(1);
  });

  it('fetches again what was forgotten', async () => {
    const { made, nFetched } = store();
    await made.get(download, () => undefined, never);
    await made.forget('abc');
    await made.get(download, () => undefined, never);
    expect(nFetched()).toBe(2);
  });

  it('works from memory when the disk is full, and says so once', async () => {
    const { made, codes } = store({ caches: memoryCaches(() => Promise.reject(new DOMException('full', 'QuotaExceededError'))) });
    expect(await made.get(download, () => undefined, never)).toEqual(bytes);
    await made.get({ ...download, key: 'def' }, () => undefined, never);
    expect(codes).toEqual(['storage-quota']);
  });

  it('works where there is no cache at all', async () => {
    const { made, codes } = store({ caches: undefined });
    expect(await made.get(download, () => undefined, never)).toEqual(bytes);
    expect(await made.has('abc')).toBe(false);
    expect(codes).toEqual(['storage-unavailable']);
  });

  it.each([
    ['offline', () => Promise.reject(new TypeError('offline'))],
    ['not found', () => Promise.resolve(new Response('', { status: 404 }))],
    ['cut short', () => Promise.resolve(new Response(bytes.slice(0, 100) as BufferSource))],
  ])('reports %s as download-failed and keeps nothing', async (_name, failing) => {
    const { made } = store({ fetch: failing });
    await expect(made.get(download, () => undefined, never)).rejects.toMatchObject({ code: 'download-failed' });
    expect(await made.has('abc')).toBe(false);
  });

  it('stops with an AbortError', async () => {
    const control = new AbortController();
    const { made } = store({ fetch: () => { control.abort(); return Promise.reject(new DOMException('', 'AbortError')); } });
    await expect(made.get(download, () => undefined, control.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
