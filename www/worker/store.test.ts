import { describe, expect, it } from 'vitest';
import { ModelStore } from './store';
import type { LoadEvent, SiteFile } from './protocol';

const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i % 251);
const never = new AbortController().signal;
const hash = async (part: Uint8Array<ArrayBuffer>) => {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', part));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
};
/** Stands for the CRC-32 that the engine makes. */
const sum = (part: Uint8Array) => part.reduce((all, byte) => (31 * all + byte) >>> 0, 7);
const file: SiteFile = {
  url: 'https://lectern.test/models/m.gguf', n_bytes: bytes.length, sha256: 'abc', piece_bytes: 1024,
  piece_sha256: await Promise.all([0, 1024, 2048].map((at) => hash(bytes.slice(at, at + 1024)))),
};

function memoryCaches(put?: () => Promise<void>): CacheStorage {
  const kept = new Map<string, { body: ArrayBuffer; headers: Headers }>();
  const cache = {
    match: ({ url }: Request) => {
      const found = kept.get(url);
      return Promise.resolve(found && new Response(found.body, { headers: found.headers }));
    },
    put: async ({ url }: Request, response: Response) => {
      await put?.();
      kept.set(url, { body: await response.arrayBuffer(), headers: response.headers });
    },
    delete: ({ url }: Request) => Promise.resolve(kept.delete(url)),
  };
  return { open: () => Promise.resolve(cache), has: () => Promise.resolve(false) } as unknown as CacheStorage;
}

/** A server that knows ranges unless told otherwise, and breaks off after `upTo` bytes of the file. */
function server({ ranges = true, upTo = Infinity, damage = -1 } = {}) {
  const asked: number[] = [];
  /** Bytes sent. */
  const sent: number[] = [];
  const settings = { ranges, upTo, damage };
  const fetched: typeof fetch = (_url, options) => {
    const [from = 0, to = Infinity] = new Headers(options?.headers).get('range')?.match(/\d+/g)?.map(Number) ?? [];
    const [start, end] = settings.ranges ? [from, to] : [0, Infinity];
    asked.push(start);
    const body = bytes.slice(start, Math.min(end + 1, settings.upTo));
    sent.push(body.length);
    if (settings.damage >= start && settings.damage < start + body.length) body[settings.damage - start] = 255;
    return Promise.resolve(new Response(body, { status: start ? 206 : 200 }));
  };
  return { fetched, asked, sent, settings };
}

function store(over: { caches?: CacheStorage | undefined; fetch?: typeof fetch } = {}) {
  const codes: string[] = [];
  const { fetched, asked, sent } = server();
  const made = new ModelStore({
    caches: 'caches' in over ? over.caches : memoryCaches(),
    fetch: over.fetch ?? fetched,
    origin: 'https://lectern.test',
    onNotice: ({ code }) => { codes.push(code); },
  });
  const get = (wanted: SiteFile = file, onEvent: (event: LoadEvent) => void = () => undefined) => made.get(wanted, onEvent, never);
  return { made, get, codes, asked, sent };
}

describe('ModelStore', () => {
  it('fetches once, with progress in bytes, and then never again', async () => {
    const { made, get, asked } = store();
    const events: LoadEvent[] = [];
    expect(await get(file, (event) => events.push(event))).toEqual(bytes);
    expect(events.at(-1)).toEqual({ type: 'bytes', done: 3000, total: 3000, cached: false });
    expect(await made.held(file)).toBe(3000);
    expect(await get(file, (event) => events.push(event))).toEqual(bytes);
    expect(events.at(-1)).toEqual({ type: 'bytes', done: 3000, total: 3000, cached: true });
    expect(asked).toEqual([0]);
  });

  it('fetches again what was forgotten', async () => {
    const { made, get, asked } = store();
    await get();
    await made.forget(file);
    expect(await made.held(file)).toBe(0);
    await get();
    expect(asked).toEqual([0, 0]);
  });

  it.each([[true, [0, 2048]], [false, [0, 0]]])('goes on where a download broke off; server with ranges: %s', async (ranges, expected) => {
    const { fetched, asked, settings } = server({ ranges, upTo: 2500 });
    const { made, get } = store({ fetch: fetched });
    await expect(get()).rejects.toMatchObject({ code: 'download-failed' });
    expect(await made.held(file)).toBe(2048);
    settings.upTo = Infinity;
    const events: LoadEvent[] = [];
    expect(await get(file, (event) => events.push(event))).toEqual(bytes);
    expect(events.filter((event) => event.type === 'bytes' && event.cached)).toHaveLength(2);
    expect(asked).toEqual(expected);
  });

  it('keeps no piece that arrives damaged, and fetches that one anew', async () => {
    const { fetched, asked, settings } = server({ damage: 1500 });
    const { made, get } = store({ fetch: fetched });
    await expect(get()).rejects.toMatchObject({ code: 'model-hash-mismatch' });
    expect(await made.held(file)).toBe(1024);
    settings.damage = -1;
    expect(await get()).toEqual(bytes);
    expect(asked).toEqual([0, 1024]);
  });

  it.each([['SHA-256', () => undefined], ['CRC-32', sum]])('finds by its %s the piece that was damaged while it was kept', async (_name, crc32) => {
    const caches = memoryCaches();
    const { made, asked, sent } = store({ caches });
    const read = async () => {
      const parts: number[] = [];
      await made.read(file, (piece) => { parts.push(...piece); return crc32(piece); }, () => undefined, never);
      return Uint8Array.from(parts);
    };
    expect(await read()).toEqual(bytes);
    const cache = await caches.open('');
    const kept = new Request('https://lectern.test/.lectern/abc/1');
    await cache.put(kept, new Response(new Uint8Array(1024), { headers: (await cache.match(kept))?.headers ?? {} }));
    await expect(read()).rejects.toMatchObject({ code: 'model-hash-mismatch' });
    expect(await made.held(file)).toBe(3000 - 1024);
    expect(await read()).toEqual(bytes);
    expect(asked).toEqual([0, 1024]);
    expect(sent).toEqual([3000, 1024]);
    expect(await made.held(file)).toBe(3000);
  });

  it.each([true, false])('fetches the pieces between those that are kept, in order; server with ranges: %s', async (ranges) => {
    const caches = memoryCaches();
    const { fetched, asked } = server({ ranges });
    const { made, get } = store({ caches, fetch: fetched });
    await get();
    const cache = await caches.open('');
    for (const i of [0, 2]) await cache.delete(new Request(`https://lectern.test/.lectern/abc/${i}`));
    expect(await made.held(file)).toBe(1024);
    expect(await get()).toEqual(bytes);
    expect(asked).toEqual(ranges ? [0, 0, 2048] : [0, 0, 0]);
    expect(await made.held(file)).toBe(3000);
  });

  it('takes a file that nothing is known of as one piece', async () => {
    const { get } = store();
    expect(await get({ ...file, n_bytes: 0, piece_bytes: 1, piece_sha256: [] })).toEqual(bytes);
  });

  it('refuses a file that is longer than it should be', async () => {
    const { get } = store();
    await expect(get({ ...file, n_bytes: 2048 })).rejects.toMatchObject({ code: 'download-failed' });
  });

  it('works from memory when the disk is full, and says so once', async () => {
    const { get, codes } = store({ caches: memoryCaches(() => Promise.reject(new DOMException('full', 'QuotaExceededError'))) });
    expect(await get()).toEqual(bytes);
    await get({ ...file, sha256: 'def' });
    expect(codes).toEqual(['storage-quota']);
  });

  it('works where there is no cache at all', async () => {
    const { made, get, codes } = store({ caches: undefined });
    expect(await get()).toEqual(bytes);
    expect(await made.held(file)).toBe(0);
    expect(codes).toEqual(['storage-unavailable']);
  });

  it.each([
    ['offline', () => Promise.reject(new TypeError('offline'))],
    ['not found', () => Promise.resolve(new Response('', { status: 404 }))],
  ])('reports %s as download-failed and keeps nothing', async (_name, failing) => {
    const { made, get } = store({ fetch: failing });
    await expect(get()).rejects.toMatchObject({ code: 'download-failed' });
    expect(await made.held(file)).toBe(0);
  });

  it('stops with an AbortError', async () => {
    const control = new AbortController();
    const { made } = store({ fetch: () => { control.abort(); return Promise.reject(new DOMException('', 'AbortError')); } });
    await expect(made.get(file, () => undefined, control.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
