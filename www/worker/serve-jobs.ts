/** Ties jobs to this worker's global scope. */
import { answer } from './job';
import type { JobsPackage, StartJobs } from './package';
import type { JobRequest, JobsKind } from './protocol';

declare const self: DedicatedWorkerGlobalScope;

export function serveJobs(start: StartJobs): void {
  const packages = new Map<JobsKind, Promise<JobsPackage>>();
  const started = (kind: JobsKind) => {
    const pkg = packages.get(kind) ?? start(kind);
    packages.set(kind, pkg);
    pkg.catch(() => { packages.delete(kind); });
    return pkg;
  };
  self.addEventListener('message', ({ data }: MessageEvent<JobRequest>) => {
    if (data.type === 'start') {
      // Whoever asks for a job is told what is wrong.
      started(data.kind).catch(() => undefined);
      return;
    }
    void answer(started, data).then(([result, transfer]) => { self.postMessage(result, transfer); });
  });
}
