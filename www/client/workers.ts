/** Starts the workers, from wherever the build has put them. */
import type { FromWorker, JobRequest, JobResult, ToWorker } from '../worker/protocol';

/** Paths relative to the base the page or the widget gives; set by the build. */
declare const __ENGINE_WORKER__: string;
declare const __JOBS_WORKER__: string;

export interface EngineWorker {
  postMessage(message: ToWorker): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

export interface JobsWorker {
  postMessage(message: JobRequest, transfer: Transferable[]): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<JobResult>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

export interface Workers {
  engine(): EngineWorker;
  jobs(): JobsWorker;
  /** How many engines may embed beside the first. */
  nHelpers: number;
}

/** More than this and the cores wait for memory, which each helper takes some 80 MB of. */
const MAX_HELPERS = 3;

/** Cores are told in threads, two to a core on most machines. */
function nHelpers(): number {
  const { hardwareConcurrency, deviceMemory = 8 } = navigator as Navigator & { deviceMemory?: number };
  return Math.min(MAX_HELPERS, Math.floor(hardwareConcurrency / 2), Math.floor(deviceMemory / 2));
}

/**
 * `held`: to the page's own content security policy, which must then allow workers from `blob:`. A worker from a file
 * is held to what its server sends, and any file server sends nothing.
 */
export function workersAt(base: URL, held: boolean): Workers {
  return {
    nHelpers: nHelpers(),
    engine: () => spawn(new URL(__ENGINE_WORKER__, base), 'lectern-engine', held),
    jobs: () => spawn(new URL(__JOBS_WORKER__, base), 'lectern-jobs', held),
  };
}

/** From another origin a worker may not start; a local stub may import it. */
function spawn(url: URL, name: string, held: boolean): Worker {
  if (!held && url.origin === location.origin) return new Worker(url, { type: 'module', name });
  const stub = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' }));
  const worker = new Worker(stub, { type: 'module', name });
  setTimeout(() => { URL.revokeObjectURL(stub); }, 60_000);
  return worker;
}
