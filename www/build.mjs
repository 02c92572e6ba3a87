/**
 * Builds the site into ../dist or $LECTERN_DIST: the workers, then the page, then the widget as one
 * file. Leaves `models/` there alone. `--mode fake` puts the fake engine in the workers' place.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, readdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, createServer } from 'vite';

const here = dirname(fileURLToPath(import.meta.url));
const dist = resolve(process.env.LECTERN_DIST ?? join(here, '..', 'dist'));
const fake = process.argv.includes('fake');

if (!fake && !existsSync(join(here, 'worker/pkg/cpu/lectern_wasm.js'))) {
  console.error('www/worker/pkg holds no wasm package. Build it first (cargo xtask build does), or use: npm run build -- --mode fake');
  process.exit(1);
}

for (const name of ['assets', 'worker', 'examples', 'index.html', 'widget.js']) await rm(join(dist, name), { recursive: true, force: true });

const common = { configFile: false, base: './', logLevel: 'warn', mode: 'production' };
const output = { outDir: dist, emptyOutDir: false, target: 'es2022', assetsInlineLimit: 0, modulePreload: false };

await build({
  ...common,
  root: here,
  publicDir: false,
  build: {
    ...output,
    assetsDir: 'worker',
    rolldownOptions: {
      input: {
        engine: join(here, fake ? 'client/testing/fake-worker.ts' : 'worker/engine.ts'),
        jobs: join(here, fake ? 'client/testing/fake-jobs-worker.ts' : 'worker/jobs.ts'),
      },
      output: { entryFileNames: 'worker/[name].js' },
    },
  },
});

// The workers keep their names, so the page asks for them by what is in them.
const digest = createHash('sha256');
for (const name of (await readdir(join(dist, 'worker'))).sort()) digest.update(name).update(await readFile(join(dist, 'worker', name)));
const version = digest.digest('hex').slice(0, 8);
const define = {
  __ENGINE_WORKER__: JSON.stringify(`./worker/engine.js?v=${version}`),
  __JOBS_WORKER__: JSON.stringify(`./worker/jobs.js?v=${version}`),
};

/** What the page promises, enforced by the browser: nothing is fetched from or sent to anywhere else. */
const policy = {
  name: 'lectern-policy',
  transformIndexHtml: () => [{
    tag: 'meta',
    injectTo: 'head-prepend',
    attrs: {
      'http-equiv': 'Content-Security-Policy',
      content: "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'",
    },
  }],
};

await build({ ...common, root: join(here, 'site'), plugins: [policy], define, build: output });

await build({
  ...common,
  root: here,
  publicDir: false,
  define,
  build: {
    ...output,
    rolldownOptions: {
      input: { widget: join(here, 'widget/widget.ts') },
      preserveEntrySignatures: 'allow-extension',
      output: { entryFileNames: '[name].js', codeSplitting: false },
    },
  },
});

if (fake) {
  const server = await createServer({ ...common, root: here, server: { middlewareMode: true, ws: false }, appType: 'custom', optimizeDeps: { noDiscovery: true } });
  const { writeFakeModels } = await server.ssrLoadModule(join(here, 'client/testing/fake-models.ts'));
  await writeFakeModels(dist);
  await server.close();
}
console.log(`built ${dist}${fake ? ' with the fake engine' : ''}`);
