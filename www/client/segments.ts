/** Takes graph-building jobs from the engine, has the second worker build them, and brings them back. */
import type { Calls, SegmentResult } from '../worker/protocol';
import { describe, toError } from './errors';
import type { ErrorInfo } from './generated';
import type { SegmentWorker, Workers } from './workers';

export interface SegmentEngine {
  next: () => Promise<Calls['next_segment_job']['result']>;
  install: (built: Uint8Array) => Promise<void>;
  /** Search stays exact, only slower; nothing is lost. */
  failed: (error: ErrorInfo) => void;
}

export class Segments {
  #workers: Workers;
  #engine: SegmentEngine;
  #worker: SegmentWorker;
  #looking = false;
  #again = false;

  constructor(workers: Workers, engine: SegmentEngine) {
    this.#workers = workers;
    this.#engine = engine;
    // Started at once, so that no script is fetched later, in the middle of someone's work.
    this.#worker = workers.segments();
  }

  /** Call after every change of the collection. */
  look(): void {
    this.#again = true;
    if (!this.#looking) void this.#work();
  }

  close(): void {
    this.#worker.terminate();
  }

  async #work(): Promise<void> {
    this.#looking = true;
    try {
      while (this.#again) {
        this.#again = false;
        for (let next = await this.#engine.next(); next; next = await this.#engine.next()) {
          await this.#engine.install(await this.#build(next));
        }
      }
    } catch (thrown) {
      const { code, message } = describe(thrown);
      if (code !== 'engine-died' && code !== 'cancelled') this.#engine.failed({ code, message });
    } finally {
      this.#looking = false;
    }
    // Looked for while the last attempt was failing: the engine was started again meanwhile.
    if (this.#again) void this.#work();
  }

  #build(next: NonNullable<Calls['next_segment_job']['result']>): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      // A module that has trapped is not entered again.
      const renew = (message: string) => {
        this.#worker.terminate();
        this.#worker = this.#workers.segments();
        reject(new Error(message));
      };
      this.#worker.onmessage = ({ data }: MessageEvent<SegmentResult>) => {
        if ('built' in data) resolve(data.built);
        else if (data.error.code === 'engine-died') renew(data.error.message);
        else reject(toError(data.error));
      };
      this.#worker.onerror = (event) => { renew(event.message || 'the second worker stopped'); };
      this.#worker.postMessage(next, [next.job.buffer as ArrayBuffer]);
    });
  }
}
