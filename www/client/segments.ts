/** Takes graph-building jobs from the engine, has another worker build them, and brings them back. */
import { describe } from './errors';
import type { ErrorInfo } from './generated';
import type { Jobs } from './jobs';

export interface SegmentEngine {
  next: () => Promise<Uint8Array | null>;
  install: (built: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Search stays exact, only slower; nothing is lost. */
  failed: (error: ErrorInfo) => void;
}

export class Segments {
  #jobs: Jobs;
  #engine: SegmentEngine;
  #looking = false;
  #again = false;

  constructor(jobs: Jobs, engine: SegmentEngine) {
    this.#jobs = jobs;
    this.#engine = engine;
  }

  /** Call after every change of the collection. */
  look(): void {
    this.#again = true;
    if (!this.#looking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#looking = true;
    try {
      while (this.#again) {
        this.#again = false;
        for (let next = await this.#engine.next(); next; next = await this.#engine.next()) {
          await this.#engine.install(await this.#jobs.buildSegment(next));
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
}
