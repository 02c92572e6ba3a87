/** Starts the two workers, from wherever the build has put them. */
import type { FromWorker, SegmentJob, SegmentResult, ToWorker } from '../worker/protocol';

/** Paths relative to the base the page or the widget gives; set by the build. */
declare const __ENGINE_WORKER__: string;
declare const __SEGMENT_WORKER__: string;

export interface EngineWorker {
  postMessage(message: ToWorker): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

export interface SegmentWorker {
  postMessage(message: SegmentJob, transfer: Transferable[]): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<SegmentResult>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

export interface Workers {
  engine(): EngineWorker;
  segments(): SegmentWorker;
}

/**
 * `held`: to the page's own content security policy, which must then allow workers from `blob:`. A worker from a file
 * is held to what its server sends, and any file server sends nothing.
 */
export function workersAt(base: URL, held: boolean): Workers {
  return {
    engine: () => spawn(new URL(__ENGINE_WORKER__, base), 'lectern-engine', held),
    segments: () => spawn(new URL(__SEGMENT_WORKER__, base), 'lectern-segments', held),
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
