/** Ties an engine host to this worker's global scope. */
import { EngineHost } from './host';
import { gpuAdapter } from './gpu-adapter';
import type { StartPackage } from './package';
import type { ToWorker } from './protocol';

declare const self: DedicatedWorkerGlobalScope & { lectern?: EngineHost };

export function serve(startPackage: StartPackage): void {
  const host = new EngineHost({
    port: { postMessage: (message, transfer) => { self.postMessage(message, transfer ?? []); } },
    startPackage,
    gpuAdapter,
    caches: (self as { caches?: CacheStorage }).caches,
    fetch: (...args) => self.fetch(...args),
    locks: (self.navigator as { locks?: LockManager }).locks,
    origin: self.origin,
  });
  self.lectern = host;
  self.addEventListener('message', (event: MessageEvent<ToWorker>) => { host.receive(event.data); });
  self.addEventListener('error', (event) => { host.died(event.error); });
  self.addEventListener('unhandledrejection', (event) => { host.died(event.reason); });
}
