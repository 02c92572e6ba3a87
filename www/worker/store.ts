/**
 * Where models are kept between visits: the Cache API, under their SHA-256. The hash itself is
 * checked by whoever opens the file; a file that fails the check is forgotten here.
 */
import { CodedError } from './errors';
import type { LoadEvent } from './protocol';

const CACHE = 'lectern-models-v1';

export interface Download {
  /** Absolute. */
  url: string;
  /** What `models.json` promises; 0 when it is not known. */
  n_bytes: number;
  /** Lower-case hex; names the entry in the cache. */
  key: string;
}

export interface StoreOptions {
  caches: CacheStorage | undefined;
  fetch: typeof fetch;
  origin: string;
  /** Told when a file could not be kept: it works now, and will be fetched again next time. */
  onNotice: (notice: { code: string; message: string }) => void;
}

export class ModelStore {
  #options: StoreOptions;
  #noticed = new Set<string>();

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  async has(key: string): Promise<boolean> {
    const cache = await this.#open();
    return (await cache?.match(this.#request(key))) !== undefined;
  }

  async forget(key: string): Promise<void> {
    const cache = await this.#open();
    await cache?.delete(this.#request(key));
  }

  /**
   * The file's bytes, from the cache or the network.
   *
   * # Errors
   * `download-failed`; an AbortError when `signal` fires. A full disk is not an error: the file is
   * used from memory and `storage-quota` is noticed.
   */
  async get(download: Download, onEvent: (event: LoadEvent) => void, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    const kept = await (await this.#open())?.match(this.#request(download.key));
    if (kept) {
      const bytes = new Uint8Array(await kept.arrayBuffer());
      onEvent({ type: 'bytes', done: bytes.length, total: bytes.length, cached: true });
      return bytes;
    }
    const bytes = await this.#download(download, onEvent, signal);
    await this.#keep(download.key, bytes);
    return bytes;
  }

  async #download(download: Download, onEvent: (event: LoadEvent) => void, signal: AbortSignal): Promise<Uint8Array> {
    const failed = (why: string, cause?: unknown) =>
      new CodedError('download-failed', `${why} Check the connection and try again.`, { cause });
    const name = download.url.slice(download.url.lastIndexOf('/') + 1);
    let response: Response;
    try {
      response = await this.#options.fetch(download.url, { signal });
    } catch (cause) {
      signal.throwIfAborted();
      throw failed(`${name} could not be fetched.`, cause);
    }
    if (!response.ok || !response.body) throw failed(`${name} could not be fetched: the server answered ${response.status}.`);

    // A compressing server tells the compressed length, so the list's figure comes first.
    const total = download.n_bytes || Number(response.headers.get('content-length') ?? 0);
    let bytes = new Uint8Array(total);
    let done = 0;
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done: ended, value } = await reader.read();
        if (ended) break;
        if (done + value.length > bytes.length) bytes = grown(bytes, done + value.length);
        bytes.set(value, done);
        done += value.length;
        onEvent({ type: 'bytes', done, total: Math.max(total, done), cached: false });
      }
    } catch (cause) {
      signal.throwIfAborted();
      throw failed(`The download of ${name} broke off after ${done} bytes.`, cause);
    }
    if (done < total) throw failed(`The download of ${name} ended after ${done} of ${total} bytes.`);
    return bytes.subarray(0, done);
  }

  async #keep(key: string, bytes: Uint8Array): Promise<void> {
    try {
      const cache = await this.#open();
      if (!cache) {
        this.#notice('storage-unavailable', 'This browser does not let the page keep files here, so the models will be fetched again next time.');
        return;
      }
      await cache.put(this.#request(key), new Response(bytes as BufferSource, { headers: { 'content-type': 'application/octet-stream' } }));
    } catch {
      await this.forget(key).catch(() => undefined);
      this.#notice('storage-quota', 'There is not enough room in this browser’s storage to keep the models. They work for now and will be fetched again next time; free some disk space to keep them.');
    }
  }

  #notice(code: string, message: string): void {
    if (this.#noticed.has(code)) return;
    this.#noticed.add(code);
    this.#options.onNotice({ code, message });
  }

  async #open(): Promise<Cache | undefined> {
    try {
      return await this.#options.caches?.open(CACHE);
    } catch {
      return undefined;
    }
  }

  #request(key: string): Request {
    return new Request(new URL(`/.lectern/${key}`, this.#options.origin));
  }
}

function grown(bytes: Uint8Array<ArrayBuffer>, needed: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(needed, bytes.length * 2));
  larger.set(bytes);
  return larger;
}
