/** Builds search graphs: one long call each, so it happens in a worker that answers nobody else. */
import { errorInfo } from './errors';
import type { EnginePackage, StartSegments } from './package';
import type { SegmentJob, SegmentResult } from './protocol';

declare const self: DedicatedWorkerGlobalScope;

export function serveSegments(start: StartSegments): void {
  let pkg: EnginePackage | null = null;
  self.addEventListener('message', (event: MessageEvent<SegmentJob>) => {
    void (async () => {
      try {
        pkg ??= await start(event.data.module);
        const built = pkg.build_segment(event.data.job);
        self.postMessage({ built } satisfies SegmentResult, [built.buffer as ArrayBuffer]);
      } catch (thrown) {
        self.postMessage({ error: errorInfo(thrown) } satisfies SegmentResult);
      }
    })();
  });
}
