/** Ties jobs to this worker's global scope. */
import { answer } from './job';
import type { JobsPackage, StartJobs } from './package';
import type { JobRequest } from './protocol';

declare const self: DedicatedWorkerGlobalScope;

export function serveJobs(start: StartJobs): void {
  let pkg: Promise<JobsPackage> | null = null;
  const started = () => {
    pkg ??= start();
    pkg.catch(() => { pkg = null; });
    return pkg;
  };
  self.addEventListener('message', ({ data }: MessageEvent<JobRequest>) => {
    if (data.type === 'start') {
      // Whoever asks for a job is told what is wrong.
      started().catch(() => undefined);
      return;
    }
    void answer(started, data).then(([result, transfer]) => { self.postMessage(result, transfer); });
  });
}
