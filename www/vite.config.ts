import { defineConfig } from 'vitest/config';
import { fileURLToPath } from 'node:url';
import { resolve } from 'node:path';
import { fakeModels } from './client/testing/fake-models.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
/** Workers are plain modules at their source path while developing, and files beside the page once built. */
const devWorker = (path: string) => JSON.stringify(`/@fs${resolve(here, path)}`);

export default defineConfig(({ mode }) => {
  const fake = mode === 'fake';
  return {
    root: resolve(here, 'site'),
    base: './',
    server: { fs: { allow: [here] } },
    define: {
      __ENGINE_WORKER__: devWorker(fake ? 'client/testing/fake-worker.ts' : 'worker/engine.ts'),
      __JOBS_WORKER__: devWorker(fake ? 'client/testing/fake-jobs-worker.ts' : 'worker/jobs.ts'),
    },
    plugins: fake ? [fakeModels()] : [],
    test: { root: here, include: ['{client,worker,site,widget}/**/*.test.ts'], environment: 'node' },
  };
});
