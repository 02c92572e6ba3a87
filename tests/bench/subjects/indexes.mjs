/**
 * Indexes over vectors. Lectern's is that of its engine, by the messages that the page's client sends: laid down with
 * given vectors as files of 2,500 passages, with its graphs built. A query of Lectern's is by vectors and words; others
 * have the vectors alone. hnswlib-wasm builds with its own usual 200 candidates and searches with 64.
 */
import { join } from 'node:path';
import { bundled } from '../lib/bundle.mjs';

/** Vectors of texts, which the first subject makes for all. */
let known = null;

/** Passages of the file that is added to others, and of one that is large. */
const N_ADDED = 50;
const N_LARGE = 3000;

export async function lectern({ browser, dist, peers, inputs }) {
  const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/lib/': join(peers, 'lib'), '/lectern/': dist }, undefined, { isolated: true });
  known = await page.evaluate(async (passages) => {
    const { start } = await import('/lib/index-desk.mjs');
    globalThis.desk = await start(passages);
    return globalThis.desk.known;
  }, inputs.passages);
  let lastBuild = null;
  const subject = of('lectern-cpu-1', close, {
    async build(n) {
      lastBuild = await page.evaluate((n) => globalThis.desk.build(n), n);
      return lastBuild;
    },
    query: () => page.evaluate(() => globalThis.desk.query()),
  });
  return {
    ...subject,
    /** Adds a file to `n` passages, and says what share of building all of them that takes. */
    async add(n) {
      await subject.held(n);
      const { ms, recall } = await page.evaluate(([n, added]) => globalThis.desk.add(n, added), [n, N_ADDED]);
      return { value: ms, rebuild: lastBuild, share: ms / lastBuild, recall };
    },
    /** The longest turn of the worker's loop while `what` is done over `n` passages, as milliseconds. */
    async block(what, n) {
      await subject.held(n);
      return page.evaluate(([what, n, large]) => globalThis.desk.block(what, n, large), [what, n, N_LARGE]);
    },
  };
}

export const hnswlib = peer('hnswlib', 'hnswlib-wasm');
export const orama = peer('orama', 'orama');
export const scan = peer('scan', 'scan');

function peer(kind, name) {
  return async ({ browser, peers }) => {
    if (!known) throw new Error('there are no vectors without Lectern');
    const folder = await bundled(peers, 'index-page');
    const { page, close } = await browser.page({ '/': join(peers, 'empty'), '/page/': folder }, undefined, { isolated: true });
    await page.addScriptTag({ url: '/page/index-page.js', type: 'module' });
    await page.waitForFunction(() => globalThis.peer);
    return of(name, close, {
      build: (n) => page.evaluate(([kind, centres, n]) => globalThis.peer.build(kind, centres, n), [kind, known.centres, n]),
      query: () => page.evaluate((queries) => globalThis.peer.query(queries), known.queries),
    });
  };
}

/** A subject whose index of `n` vectors is there when it is asked. */
function of(name, close, { build, query }) {
  let there = 0;
  const rebuilt = async (n) => {
    there = n;
    return build(n);
  };
  const held = async (n) => {
    if (there !== n) await rebuilt(n);
  };
  return {
    name,
    close,
    held,
    build: rebuilt,
    async query(n) {
      await held(n);
      return query();
    },
  };
}
