/**
 * Where models are kept between visits: the Cache API, in pieces under the file's SHA-256. A piece is held against its
 * own SHA-256 when it comes from the network, and against the CRC-32 it had then each time it is read again, which takes
 * a tenth of the time. So a download that broke off goes on where it was, and of a damaged file only the damaged piece
 * is fetched anew.
 */
import { CodedError } from './errors';
import type { LoadEvent, SiteFile } from './protocol';

const CACHE = 'lectern-models-v2';
/** Whole files, as they were kept before. */
const OLD_CACHE = 'lectern-models-v1';

const CRC32 = 'lectern-crc32';

/** Uses a piece, and may answer with its CRC-32. */
export type Take = (piece: Uint8Array<ArrayBuffer>) => number | undefined;

interface Kept {
  piece: Uint8Array<ArrayBuffer>;
  crc32: number | null;
}

export interface StoreOptions {
  caches: CacheStorage | undefined;
  fetch: typeof fetch;
  origin: string;
  /** Told when a file could not be kept: it works now, and will be fetched again next time. */
  onNotice: (notice: { code: string; message: string }) => void;
}

/** Pages without a secure context have no `crypto.subtle`: there the engine checks what it can. */
export const checksPieces = (globalThis.crypto as Crypto | undefined)?.subtle !== undefined;

export class ModelStore {
  #options: StoreOptions;
  #noticed = new Set<string>();
  #cache: Promise<Cache | undefined> | null = null;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** Bytes of the file that need not be fetched. */
  async held(file: SiteFile): Promise<number> {
    const cache = await this.#open();
    let held = 0;
    for (let i = 0; i < nPieces(file); i += 1) if (await cache?.match(this.#request(file, i))) held += pieceBytes(file, i);
    return held;
  }

  async forget(file: SiteFile): Promise<void> {
    const cache = await this.#open();
    for (let i = 0; i < nPieces(file); i += 1) await cache?.delete(this.#request(file, i));
  }

  /**
   * The whole file, for small ones.
   *
   * # Errors
   * As {@link read}.
   */
  async get(file: SiteFile, onEvent: (event: LoadEvent) => void, signal: AbortSignal): Promise<Uint8Array> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    await this.read(file, (piece) => { parts.push(piece.slice()); return undefined; }, onEvent, signal);
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  /**
   * Hands the file's bytes on in order, from the cache where they are kept and else from the network. `take` must be done
   * with a piece when it returns; it may answer with its CRC-32, else kept pieces are held against their SHA-256.
   *
   * # Errors
   * `download-failed`; `model-hash-mismatch` when a piece is damaged, which is then forgotten; an AbortError when
   * `signal` fires. A full disk is not an error: `storage-quota` is noticed.
   */
  async read(file: SiteFile, take: Take, onEvent: (event: LoadEvent) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let done = 0;
    let i = 0;
    let kept: Promise<void> = Promise.resolve();
    for (;;) {
      for await (const { piece, crc32 } of this.#kept(file, i)) {
        signal.throwIfAborted();
        const found = take(piece);
        if (found === undefined || crc32 === null) await this.#check(file, i, piece);
        else if (found !== crc32) await this.#damaged(file, i);
        done += piece.length;
        onEvent({ type: 'bytes', done, total: file.n_bytes || done, cached: true });
        i += 1;
      }
      if (i === nPieces(file)) break;
      for await (const piece of this.#download(file, i, await this.#missing(file, i), onEvent, signal)) {
        await this.#check(file, i, piece);
        const crc32 = take(piece);
        await kept;
        kept = this.#keep(file, i, piece, crc32);
        done += piece.length;
        i += 1;
      }
    }
    await kept;
  }

  /** The first piece after `i` that is kept, else the number of pieces. */
  async #missing(file: SiteFile, i: number): Promise<number> {
    const cache = await this.#open();
    let end = i + 1;
    while (end < nPieces(file) && !(await cache?.match(this.#request(file, end)))) end += 1;
    return end;
  }

  /** The pieces that are here from `first` on; the next one is read while one is in use. */
  async *#kept(file: SiteFile, first: number): AsyncGenerator<Kept> {
    const cache = await this.#open();
    const buffers = [0, 1].map(() => new ArrayBuffer(Math.min(file.piece_bytes, file.n_bytes)));
    const piece = async (i: number): Promise<Kept | null> => {
      const found = i < nPieces(file) ? await cache?.match(this.#request(file, i)) : undefined;
      if (!found) return null;
      const crc32 = found.headers.get(CRC32);
      const bytes = await filled(found, buffers[i % 2] ?? new ArrayBuffer(0));
      buffers[i % 2] = bytes.buffer;
      return file.n_bytes && bytes.length !== pieceBytes(file, i) ? null : { piece: bytes, crc32: crc32 === null ? null : Number(crc32) };
    };
    let next = piece(first);
    for (let i = first; ; i += 1) {
      const found = await next;
      if (!found) return;
      next = piece(i + 1);
      // Awaited in the next turn, if there is one.
      next.catch(() => undefined);
      yield found;
    }
  }

  /** Pieces `first..end` from the network. */
  async *#download(file: SiteFile, first: number, end: number, onEvent: (event: LoadEvent) => void, signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const failed = (why: string, cause?: unknown) =>
      new CodedError('download-failed', `${why} Check the connection and try again.`, { cause });
    const name = fileName(file);
    const isPart = first > 0 || end < nPieces(file);
    let done = first * file.piece_bytes;
    const range = `bytes=${done}-${end < nPieces(file) ? end * file.piece_bytes - 1 : ''}`;
    let response: Response;
    try {
      response = await this.#options.fetch(file.url, { signal, ...(isPart ? { headers: { range } } : {}) });
    } catch (cause) {
      signal.throwIfAborted();
      throw failed(`${name} could not be fetched.`, cause);
    }
    if (!response.ok || !response.body) throw failed(`${name} could not be fetched: the server answered ${response.status}.`);

    // A server that knows no ranges sends what is already here once more.
    let skip = response.status === 206 ? 0 : done;
    // A compressing server tells the compressed length, so the list's figure comes first.
    const total = file.n_bytes || Number(response.headers.get('content-length') ?? 0);
    let piece = new Uint8Array(file.n_bytes ? pieceBytes(file, first) : total);
    let n = 0;
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done: ended, value } = await reader.read();
        if (ended) break;
        let bytes = value.subarray(Math.min(skip, value.length));
        skip -= value.length - bytes.length;
        while (bytes.length > 0) {
          if (!file.n_bytes && n + bytes.length > piece.length) piece = grown(piece, n + bytes.length);
          const taken = bytes.subarray(0, piece.length - n);
          if (taken.length === 0) throw failed(`${name} is longer than the list of models says.`);
          piece.set(taken, n);
          n += taken.length;
          done += taken.length;
          bytes = bytes.subarray(taken.length);
          onEvent({ type: 'bytes', done, total: Math.max(total, done), cached: false });
          if (!file.n_bytes || n < piece.length) continue;
          yield piece;
          first += 1;
          if (first === end && end < nPieces(file)) return;
          n = 0;
          piece = piece.subarray(0, first < nPieces(file) ? pieceBytes(file, first) : 0);
        }
      }
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof CodedError) throw cause;
      throw failed(`The download of ${name} broke off after ${done} bytes.`, cause);
    } finally {
      // Whoever stops in the middle wants no more of it.
      await reader.cancel().catch(() => undefined);
    }
    if (done < total) throw failed(`The download of ${name} ended after ${done} of ${total} bytes.`);
    if (!file.n_bytes) yield piece.subarray(0, n);
  }

  async #check(file: SiteFile, i: number, piece: Uint8Array<ArrayBuffer>): Promise<void> {
    const expected = file.piece_sha256[i];
    if (!checksPieces || expected === undefined) return;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', piece));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (found !== expected.toLowerCase()) await this.#damaged(file, i);
  }

  async #damaged(file: SiteFile, i: number): Promise<never> {
    await (await this.#open())?.delete(this.#request(file, i));
    throw new CodedError('model-hash-mismatch', `A part of ${fileName(file)} is damaged and was thrown away. Try again: only that part is fetched anew.`);
  }

  async #keep(file: SiteFile, i: number, piece: Uint8Array<ArrayBuffer>, crc32: number | undefined): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream', ...(crc32 === undefined ? {} : { [CRC32]: String(crc32) }) };
    const response = new Response(piece, { headers });
    try {
      const cache = await this.#open();
      if (!cache) {
        this.#notice('storage-unavailable', 'This browser does not let the page keep files here, so the models will be fetched again next time.');
        return;
      }
      await cache.put(this.#request(file, i), response);
    } catch {
      this.#notice('storage-quota', 'There is not enough room in this browser’s storage to keep the models. They work for now and will be fetched again next time; free some disk space to keep them.');
    }
  }

  #notice(code: string, message: string): void {
    if (this.#noticed.has(code)) return;
    this.#noticed.add(code);
    this.#options.onNotice({ code, message });
  }

  #open(): Promise<Cache | undefined> {
    this.#cache ??= (async () => {
      try {
        const { caches } = this.#options;
        if (await caches?.has(OLD_CACHE)) await caches?.delete(OLD_CACHE);
        return await caches?.open(CACHE);
      } catch {
        return undefined;
      }
    })();
    return this.#cache;
  }

  #request({ sha256 }: SiteFile, i: number): Request {
    return new Request(new URL(`/.lectern/${sha256}/${i}`, this.#options.origin));
  }
}

function nPieces({ n_bytes, piece_bytes }: SiteFile): number {
  return Math.max(1, Math.ceil(n_bytes / piece_bytes));
}

function pieceBytes({ n_bytes, piece_bytes }: SiteFile, i: number): number {
  return Math.min(piece_bytes, n_bytes - i * piece_bytes);
}

function fileName({ url }: SiteFile): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

/** A kept piece, read into `buffer` where the browser can do that, which saves making room for every piece. */
async function filled(response: Response, buffer: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>> {
  let reader: ReadableStreamBYOBReader;
  try {
    if (!response.body || buffer.byteLength === 0) throw new TypeError();
    reader = response.body.getReader({ mode: 'byob' });
  } catch {
    return new Uint8Array(await response.arrayBuffer());
  }
  let n = 0;
  while (n < buffer.byteLength) {
    const { done, value } = await reader.read(new Uint8Array(buffer, n));
    if (!value) break;
    ({ buffer } = value);
    n += value.length;
    if (done) break;
  }
  // Nothing waits for it: what is wanted is here.
  reader.cancel().catch(() => undefined);
  return new Uint8Array(buffer, 0, n);
}

function grown(bytes: Uint8Array<ArrayBuffer>, needed: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(needed, bytes.length * 2));
  larger.set(bytes);
  return larger;
}
