/** A worker for long calls that need no engine: one at a time, and one that is stopped or fails costs a new worker. */
import type { Job, JobResult, ReadDocument } from '../worker/protocol';
import { toError } from './errors';
import type { JobsWorker, Workers } from './workers';

export class Jobs {
  #workers: Workers;
  #worker: JobsWorker;
  #last: Promise<unknown> = Promise.resolve();

  constructor(workers: Workers) {
    this.#workers = workers;
    // Here at once, so that no script is fetched later, in the middle of someone's work.
    this.#worker = workers.jobs();
  }

  /** Fetches what the jobs need, before there is one. */
  start(): void {
    this.#worker.postMessage({ type: 'start' }, []);
  }

  async extract(name: string, file: Blob, signal: AbortSignal): Promise<ReadDocument> {
    const result = await this.#run({ type: 'extract', name, file }, [], signal);
    if (!('document' in result)) throw new Error('The worker answered something else.');
    return result.document;
  }

  async buildSegment(job: Uint8Array): Promise<Uint8Array> {
    const result = await this.#run({ type: 'build', job }, [job.buffer as ArrayBuffer]);
    if (!('built' in result)) throw new Error('The worker answered something else.');
    return result.built;
  }

  close(): void {
    this.#worker.terminate();
  }

  #run(job: Job, transfer: Transferable[], signal?: AbortSignal): Promise<JobResult> {
    const run = this.#last.then(() => this.#one(job, transfer, signal));
    this.#last = run.catch(() => undefined);
    return run;
  }

  #one(job: Job, transfer: Transferable[], signal?: AbortSignal): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const renew = (why: Error) => {
        signal?.removeEventListener('abort', stop);
        this.#worker.terminate();
        this.#worker = this.#workers.jobs();
        this.start();
        reject(why);
      };
      const stop = () => { renew(new DOMException('Stopped.', 'AbortError')); };
      signal?.addEventListener('abort', stop);
      this.#worker.onmessage = ({ data }: MessageEvent<JobResult>) => {
        // A module that has trapped is not entered again.
        if ('error' in data && data.error.code === 'engine-died') {
          renew(toError(data.error));
          return;
        }
        signal?.removeEventListener('abort', stop);
        if ('error' in data) reject(toError(data.error));
        else resolve(data);
      };
      this.#worker.onerror = (event) => { renew(new Error(event.message || 'a worker stopped')); };
      this.#worker.postMessage(job, transfer);
    });
  }
}
