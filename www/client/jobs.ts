/** A worker for long calls that need no engine: one at a time. One that is stopped or fails is ended, and the next has a new worker. */
import type { ExpandedFile, Job, JobResult, JobsKind, Opening, ReadDocument } from '../worker/protocol';
import { LecternError, toError } from './errors';
import type { JobsWorker, Workers } from './workers';

/** No file of a size that is read takes a tenth of this on a slow machine; what does is out to harm. */
const MAX_READING_MS = 60_000;

export class Jobs {
  #workers: Workers;
  #worker: JobsWorker | null = null;
  /** Rejects the job that the worker is at. */
  #fail: (why: Error) => void = () => undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(workers: Workers) {
    this.#workers = workers;
  }

  /** Fetches what the jobs need, so that nothing is fetched later, in the middle of someone's work. */
  start(kind: JobsKind): void {
    this.#worker ??= this.#spawn();
    this.#worker.postMessage({ type: 'start', kind }, []);
  }

  async extract(opening: Opening, signal: AbortSignal): Promise<ReadDocument> {
    const result = await this.#run({ type: 'extract', ...opening }, [], signal);
    if (!('document' in result)) throw died('it answered something else');
    return result.document;
  }

  /** The files of an archive; null for a file that is none. */
  async expand(opening: Opening, signal?: AbortSignal): Promise<ExpandedFile[] | null> {
    const result = await this.#run({ type: 'expand', ...opening }, [], signal);
    if (!('files' in result)) throw died('it answered something else');
    return result.files;
  }

  async buildSegment(job: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const result = await this.#run({ type: 'build', job }, [job.buffer as ArrayBuffer]);
    if (!('built' in result)) throw died('it answered something else');
    return result.built;
  }

  close(): void {
    this.#closed = true;
    if (this.#worker) this.#end(this.#worker, died('it was closed'));
  }

  #run(job: Job, transfer: Transferable[], signal?: AbortSignal): Promise<JobResult> {
    const run = this.#last.then(() => this.#one(job, transfer, signal));
    this.#last = run.catch(() => undefined);
    // One that waits for its turn need not wait to be stopped.
    const stopped = new Promise<never>((_, reject) => { signal?.addEventListener('abort', () => { reject(aborted()); }, { once: true }); });
    return Promise.race([run, stopped]);
  }

  #one(job: Job, transfer: Transferable[], signal?: AbortSignal): Promise<JobResult> {
    return new Promise<JobResult>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed) throw died('it was closed');
      const worker = (this.#worker ??= this.#spawn());
      const stop = () => { this.#end(worker, aborted()); };
      signal?.addEventListener('abort', stop);
      const timer = job.type === 'build' ? undefined : setTimeout(() => { this.#end(worker, tooSlow(job.name)); }, MAX_READING_MS);
      const settled = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        this.#fail = () => undefined;
      };
      this.#fail = (why) => {
        settled();
        reject(why);
      };
      worker.onmessage = ({ data }: MessageEvent<JobResult>) => {
        // A module that has trapped is not entered again.
        if ('error' in data && data.error.code === 'worker-died') {
          this.#end(worker, toError(data.error));
          return;
        }
        settled();
        if ('error' in data) reject(toError(data.error));
        else resolve(data);
      };
      worker.postMessage(job, transfer);
    });
  }

  #spawn(): JobsWorker {
    const worker = this.#workers.jobs();
    worker.onerror = (event) => { this.#end(worker, died(event.message || 'it could not be fetched')); };
    return worker;
  }

  /** What a worker says after its end concerns nobody. */
  #end(worker: JobsWorker, why: Error): void {
    worker.onmessage = worker.onerror = null;
    worker.terminate();
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#fail(why);
  }
}

function aborted(): DOMException {
  return new DOMException('Stopped.', 'AbortError');
}

function tooSlow(name: string): LecternError {
  return new LecternError('file-too-slow', `${name}: The file was not read within ${MAX_READING_MS / 1000} seconds and was given up. It may be damaged; save it anew, or lay down a part of it.`);
}

function died(why: string): LecternError {
  return new LecternError('worker-died', `A worker stopped before it could answer: ${why}. Try again.`);
}
