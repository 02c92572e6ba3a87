/** One Chromium for all subjects, and a page on a file server. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chromium } from '../../browser/lib/deps.mjs';
import { serve } from '../../browser/lib/serve.mjs';

const FLAGS = ['--no-sandbox', '--enable-unsafe-webgpu', '--ignore-gpu-blocklist', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export async function open() {
  const executablePath = process.env.CHROME_BIN ?? execFileSync('sh', ['-c', 'command -v chromium || command -v chromium-browser || command -v google-chrome'], { encoding: 'utf8' }).trim();
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  return {
    chromium: browser,
    version: browser.version(),
    /**
     * A page of its own process and cache over `mounts`; without a path an empty one, for a peer's modules. One that is
     * `isolated` has a clock of microseconds, where others have tenths of milliseconds.
     */
    async page(mounts, path = '/empty.html', { hardwareConcurrency = null, isolated = false } = {}) {
      const server = await serve(mounts);
      if (isolated) server.headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
      const context = await browser.newContext();
      const page = await context.newPage();
      page.setDefaultTimeout(600_000);
      page.on('pageerror', (error) => { console.error(`page: ${error.message.slice(0, 300)}`); });
      if (hardwareConcurrency !== null) await page.addInitScript((n) => { Object.defineProperty(navigator, 'hardwareConcurrency', { value: n }); }, hardwareConcurrency);
      await page.goto(server.url + path);
      return { page, server, close: async () => { await context.close(); server.close(); } };
    },
    close: () => browser.close(),
  };
}

/** JavaScript heap in use of a page and its workers, in bytes, after a collection. */
export async function heapBytes(page) {
  const session = await page.context().newCDPSession(page);
  const workers = [];
  const waiting = new Map();
  session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => { if (targetInfo.type === 'worker') workers.push(sessionId); });
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
  });
  const send = (sessionId, method) => new Promise((resolve) => {
    waiting.set(waiting.size, resolve);
    void session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id: waiting.size - 1, method }) });
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  await session.send('HeapProfiler.collectGarbage');
  let { usedSize } = await session.send('Runtime.getHeapUsage');
  for (const worker of workers) {
    await send(worker, 'HeapProfiler.collectGarbage');
    usedSize += (await send(worker, 'Runtime.getHeapUsage')).usedSize;
  }
  await session.detach();
  return usedSize;
}

/** Largest resident memory so far of the browser's pages and of what draws for them, in bytes; null where there is no /proc. */
export async function peakMemory(browser) {
  try {
    const session = await browser.chromium.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const peak = ({ id }) => 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0);
    const largest = (type) => Math.max(0, ...processInfo.filter((process) => process.type === type).map(peak));
    return largest('renderer') + largest('GPU');
  } catch {
    return null;
  }
}
