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

export function workersAt(base: URL): Workers {
  return {
    engine: () => spawn(new URL(__ENGINE_WORKER__, base), 'lectern-engine'),
    segments: () => spawn(new URL(__SEGMENT_WORKER__, base), 'lectern-segments'),
  };
}

/**
 * Workers are imported by a local stub: it may come from another origin, where a worker may not, and it is held to
 * the page's own content security policy, where a worker from a file would be held to none.
 */
function spawn(url: URL, name: string): Worker {
  const stub = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' }));
  const worker = new Worker(stub, { type: 'module', name });
  setTimeout(() => { URL.revokeObjectURL(stub); }, 60_000);
  return worker;
}
