/** The workers in the test's own realm: the real host behind a message channel. */
import { EngineHost } from '../../worker/host';
import { answer } from '../../worker/job';
import type { EnginePackage, PackageKind } from '../../worker/package';
import type { FromWorker, JobResult, ToWorker } from '../../worker/protocol';
import type { Adapter } from '../generated';
import type { EngineWorker, JobsWorker, Workers } from '../workers';
import { fakeJobs, fakePackage } from './fake-engine';

export interface LocalOptions {
  caches?: CacheStorage;
  fetch?: typeof fetch;
  locks?: LockManager;
  pkg?: EnginePackage;
  adapter?: Adapter;
  nHelpers?: number;
}

export interface LocalWorkers extends Workers {
  hosts: EngineHost[];
  /** Of the package that each of them loaded. */
  kinds: PackageKind[];
}

export function localWorkers(options: LocalOptions = {}): LocalWorkers {
  const hosts: EngineHost[] = [];
  const kinds: PackageKind[] = [];
  const pkg = options.pkg ?? fakePackage;
  return {
    hosts,
    kinds,
    nHelpers: options.nHelpers ?? 0,
    engine: () => {
      const worker: EngineWorker = {
        onmessage: null,
        onerror: null,
        postMessage: (message: ToWorker) => {
          const copy = structuredClone(message);
          queueMicrotask(() => { host.receive(copy); });
        },
        terminate: () => { worker.onmessage = null; },
      };
      const host = new EngineHost({
        port: { postMessage: (message: FromWorker, transfer = []) => {
          const data = structuredClone(message, { transfer });
          queueMicrotask(() => { worker.onmessage?.({ data } as MessageEvent<FromWorker>); });
        } },
        startPackage: (kind) => {
          kinds.push(kind);
          return Promise.resolve({ pkg, nBytes: () => 1 << 20 });
        },
        gpuAdapter: () => Promise.resolve(options.adapter ?? { type: 'none', reason: 'this is a test' }),
        caches: options.caches,
        fetch: options.fetch ?? (() => Promise.reject(new TypeError('offline'))),
        locks: options.locks,
        origin: 'https://lectern.test',
      });
      hosts.push(host);
      return worker;
    },
    jobs: () => {
      const worker: JobsWorker = {
        onmessage: null,
        onerror: null,
        postMessage: (job) => {
          if (job.type === 'start') return;
          void answer(() => Promise.resolve(fakeJobs), job).then(([data]) => { worker.onmessage?.({ data } as MessageEvent<JobResult>); });
        },
        terminate: () => { worker.onmessage = null; },
      };
      return worker;
    },
  };
}
