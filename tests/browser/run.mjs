/**
 * Runs the browser tests over a built site, two files at a time: `node tests/browser/run.mjs
 * [name…]`. LECTERN_DIST names the build (default `dist/`), CHROME_BIN the browser.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(here).filter((file) => file.endsWith('.test.mjs') && (wanted.length === 0 || wanted.some((name) => file.includes(name))));
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=2', '--test-reporter=spec', ...files.map((file) => join(here, file))], { stdio: 'inherit' });
process.exit(status ?? 1);
