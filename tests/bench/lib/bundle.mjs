/** Pages of the peers, each as one script. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Bundles `subjects/NAME.mjs`, and answers with the folder of `NAME.js`. Throws where the peers are not installed. */
export async function bundled(peers, name) {
  const { build } = await import('esbuild');
  const folder = join(peers, 'node_modules/.lectern');
  mkdirSync(folder, { recursive: true });
  await build({ entryPoints: [join(peers, `subjects/${name}.mjs`)], bundle: true, format: 'esm', platform: 'browser', outfile: join(folder, `${name}.js`), minify: true, logLevel: 'error' });
  return folder;
}
