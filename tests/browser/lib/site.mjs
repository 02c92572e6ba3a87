/** One browser and one served build for a test file; a fresh page for each test. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { axePath, chromium } from './deps.mjs';
import { serve } from './serve.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));
export const dist = resolve(process.env.LECTERN_DIST ?? join(here, '..', '..', 'dist'));
export const output = join(here, 'output');

const catalogPath = join(dist, 'models', 'models.json');
if (!existsSync(catalogPath)) throw new Error(`${dist} holds no built site. Run \`cargo xtask build\`, or name one in LECTERN_DIST.`);
export const catalog = JSON.parse(readFileSync(catalogPath, 'utf8'));
/** The fake engine's models are small; a few tests are about the fake's or the real engine's own behaviour. */
export const isFake = catalog.models.every(({ n_bytes }) => n_bytes < 2e6);
/** Real models decode some 30 tokens a second on a free core. */
export const PATIENCE = isFake ? 20_000 : 240_000;

export const FLAGS = ['--no-sandbox', '--ignore-gpu-blocklist', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export function chromiumPath() {
  if (process.env.CHROME_BIN) return process.env.CHROME_BIN;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    } catch {
      // The next name may be there.
    }
  }
  throw new Error('No Chromium found. Name one in CHROME_BIN, or install the package chromium.');
}

/** `webgpu: false` starts a browser that offers none. */
export async function openSite({ webgpu = true, mounts = {} } = {}) {
  await mkdir(output, { recursive: true });
  const server = await serve({ '/': dist, ...mounts });
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    headless: true,
    args: [...FLAGS, ...(webgpu ? ['--enable-unsafe-webgpu'] : ['--disable-features=WebGPU,WebGPUService', '--disable-gpu'])],
  });
  const contexts = [];
  const site = {
    server,
    browser,
    /** A context of its own has an empty cache; pages of one context share what has been fetched. */
    async context(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options });
      contexts.push(context);
      return context;
    },
    /** An empty desk; with `keep` what earlier pages of the context have laid down. */
    async open(context, path = '/', { keep = false } = {}) {
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE);
      const said = [];
      if (!keep) await forget(page, server.url);
      page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => said.push(`pageerror: ${error.message}`));
      page.said = said;
      page.foreign = [];
      page.on('request', (request) => { if (!request.url().startsWith(server.url) && !/^(data|blob):/.test(request.url())) page.foreign.push(request.url()); });
      await page.goto(server.url + path);
      return page;
    },
    async close() {
      for (const context of contexts) await context.close();
      await browser.close();
      server.close();
    },
  };
  return site;
}

/** What is kept of pages; models stay. */
async function forget(page, url) {
  await page.route(`${url}/forget`, (route) => route.fulfill({ contentType: 'text/html', body: '<link rel="icon" href="data:,">' }));
  await page.goto(`${url}/forget`);
  await page.evaluate(async () => {
    localStorage.clear();
    const root = await navigator.storage.getDirectory();
    await root.removeEntry('lectern', { recursive: true }).catch(() => undefined);
  });
}

/** Every page that behaves ends with this. */
export function assertQuiet(page) {
  assert.deepEqual(page.said, [], 'the console is empty');
  assert.deepEqual(page.foreign, [], 'nothing is asked of anyone else');
}

/** `state` says which of its states the page is in. */
export async function assertAccessible(page, state) {
  await page.evaluate(readFileSync(axePath, 'utf8'));
  const violations = await page.evaluate(async () => {
    const { violations } = await window.axe.run();
    return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ target, failureSummary }) => `${target.join(' ')}: ${failureSummary}`) }));
  });
  assert.deepEqual(violations, [], state);
}
