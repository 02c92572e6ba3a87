import { beforeEach, describe, expect, it } from 'vitest';
import { Lectern, LecternError, isAbort } from './index';
import type { AskEvent, AskOptions, IngestEvent, ModelInfo, ModelSource, SourceInfo } from './index';
import { Shelf } from './shelf';
import { FakeEngine, fake, fakePackage } from './testing/fake-engine';
import type { ModelFile } from '../worker/package';
import { localWorkers } from './testing/local-workers';

const options: AskOptions = {
  rag: true, top_k: 4, max_tokens: 64, adapter: null, scale: 1, stop: [], before: null,
  sampling: { temperature: 0, top_k: 0, top_p: 1, repetition_penalty: 1, seed: 0 },
};

function gguf(nBytes = 64): Blob {
  const bytes = new Uint8Array(nBytes);
  bytes.set(new TextEncoder().encode('GGUF'));
  new DataView(bytes.buffer).setUint32(4, nBytes, true);
  return new Blob([bytes]);
}

const own = (file: Blob): ModelSource => ({ kind: 'own', name: 'own.gguf', file });
const page = new Blob(['# Herons\n\nA heron waits in shallow water and strikes at fish.\n\n# Otters\n\nAn otter dives for crayfish at dusk.']);

async function open(workers = localWorkers()) {
  const lectern = new Lectern(workers);
  await lectern.start('auto');
  await lectern.loadEmbedder(own(gguf()));
  await lectern.loadDecoder(own(gguf()));
  return lectern;
}

beforeEach(() => { fake.delay = 0; });

describe('asking', () => {
  it('streams tokens that add up to the answer, whose citation is a span of its source', async () => {
    const lectern = await open();
    const source = await lectern.addSource('birds.md', page);
    const run = lectern.ask('Where does the heron wait for fish?', options);
    const events: AskEvent[] = [];
    for await (const event of run) events.push(event);
    const answer = await run;
    expect(events.flatMap((event) => (event.type === 'token' ? [event.text] : [])).join('')).toBe(answer.answer);
    const [citation] = answer.citations;
    const { text } = lectern.sourceText(source.id);
    expect(text.slice(citation?.start, citation?.end)).toBe(citation?.text);
    expect(citation?.text).toContain('heron');
  });

  it('rejects with a stable code when nothing is laid down', async () => {
    const lectern = await open();
    const run = lectern.ask('Anything?', options);
    await expect(run.result).rejects.toMatchObject({ name: 'LecternError', code: 'no-documents' });
    await expect(run.result).rejects.toBeInstanceOf(LecternError);
  });

  it('gives the partial answer on stop()', async () => {
    fake.delay = 2;
    const lectern = await open();
    await lectern.addSource('birds.md', page);
    const run = lectern.ask('Where does the heron wait for fish?', options);
    for await (const event of run) if (event.type === 'token') run.stop();
    const answer = await run;
    expect(answer.stopped).toBe('cancelled');
    expect(answer.usage.completion_tokens).toBeGreaterThan(0);
  });

  it('rejects with an AbortError when its signal fires, running or still waiting', async () => {
    fake.delay = 2;
    const lectern = await open();
    await lectern.addSource('birds.md', page);
    const control = new AbortController();
    const running = lectern.ask('Where does the heron wait?', options, { signal: control.signal });
    const waiting = lectern.ask('And the otter?', options, { signal: control.signal });
    control.abort();
    await expect(running.result).rejects.toSatisfy(isAbort);
    await expect(waiting.result).rejects.toSatisfy(isAbort);
    expect(() => lectern.ask('Too late', options, { signal: control.signal })).not.toThrow();
  });

  it('tells everyone when the GPU is lost in the middle, and finishes', async () => {
    fake.delay = 1;
    const workers = localWorkers();
    const lectern = new Lectern(workers);
    const notices: string[] = [];
    const executors: string[] = [];
    lectern.on('notice', ({ code }) => notices.push(code));
    lectern.on('executor', ({ executor }) => executors.push(executor));
    await lectern.start('gpu');
    await lectern.loadEmbedder(own(gguf()));
    await lectern.loadDecoder(own(gguf()));
    await lectern.addSource('birds.md', page);
    const run = lectern.ask('Where does the heron wait for fish?', options);
    workers.hosts[0]?.gpu.fail('unplugged');
    expect((await run).executor).toBe('cpu');
    expect(notices).toEqual(['gpu-lost']);
    expect(executors.at(-1)).toBe('cpu');
  });
});

describe('reading ahead', () => {
  it('tells how much was read, and gives way when stopped', async () => {
    const lectern = await open();
    await lectern.addSource('birds.md', page);
    expect(await lectern.readAhead('Where does the heron', options)).toBe(64);
    fake.delay = 2;
    const run = lectern.readAhead('Where does the heron wait', options);
    setTimeout(() => { run.stop(); }, 5);
    expect(await run).toBeLessThan(64);
    expect((await lectern.ask('Where does the heron wait for fish?', options)).refused).toBe(false);
  });
});

describe('facts', () => {
  it('name the memory at any time, and the reading of weights once there are some', async () => {
    const lectern = new Lectern(localWorkers());
    await lectern.start('auto');
    expect(await lectern.facts()).toMatchObject({ memory: { engine: 1 << 20, gpu: 0 }, reading: null });
    await lectern.loadDecoder(own(gguf()));
    expect((await lectern.facts()).reading?.bytes_per_token).toBe(90e6);
  });
});

describe('models', () => {
  it('refuses a truncated file with its code and goes on', async () => {
    const lectern = await open();
    await expect(lectern.loadDecoder(own(gguf().slice(0, 20))).result).rejects.toMatchObject({ code: 'model-truncated' });
    await lectern.addSource('birds.md', page);
    expect((await lectern.ask('Where does the heron wait for fish?', options)).refused).toBe(false);
  });

  it('mends what has been damaged where it was kept, without a word', async () => {
    const file = new Uint8Array(await gguf().arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', file));
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    let nFetched = 0;
    const fetched = () => {
      nFetched += 1;
      return Promise.resolve(new Response(nFetched === 1 ? file.map((byte, i) => (i === 40 ? 1 : byte)) : file));
    };
    const lectern = new Lectern(localWorkers({ fetch: fetched }));
    const codes: string[] = [];
    lectern.on('notice', ({ code }) => codes.push(code));
    await lectern.start('auto');
    await lectern.loadDecoder({ kind: 'site', name: 'm', url: 'https://lectern.test/m.gguf', n_bytes: 64, sha256, piece_bytes: 64, piece_sha256: [sha256] });
    expect(nFetched).toBe(2);
    expect(codes).toEqual(['storage-unavailable']);
  });

  it('has a decoder compiled for while its file comes, until that is settled, and no embedder', async () => {
    let asked = 0;
    class Compiling extends FakeEngine {
      override compile_ahead(): boolean {
        asked += 1;
        return asked === 2;
      }
    }
    const lectern = new Lectern(localWorkers({ pkg: { ...fakePackage, Engine: Compiling } }));
    await lectern.start('auto');
    const pieces = 4;
    await lectern.loadEmbedder(own(gguf(pieces * 8e6)));
    expect(asked).toBe(0);
    await lectern.loadDecoder(own(gguf(pieces * 8e6)));
    expect(asked).toBe(2);
    lectern.close();
  }, 30_000);
});

describe('a dead engine', () => {
  it('is started again with models and pages, and says so', async () => {
    const workers = localWorkers();
    const lectern = await open(workers);
    const kept = await lectern.addSource('birds.md', page);
    const gone = await lectern.addSource('gone.md', new Blob(['Nothing here.']));
    await lectern.removeSource(gone.id);
    const back: (number | undefined)[] = [];
    lectern.on('kept', ({ info }) => back.push(info?.id));
    const said = new Promise<string>((resolve) => lectern.on('notice', ({ code }) => { resolve(code); }));
    await expect(lectern.ask('trap the engine', options).result).rejects.toMatchObject({ code: 'engine-died' });
    const answer = await lectern.ask('Where does the heron wait for fish?', options);
    expect(workers.hosts).toHaveLength(2);
    expect(back).toEqual([kept.id]);
    expect(lectern.sourceText(answer.citations[0]?.source_id ?? -1).name).toBe('birds.md');
    expect(await said).toBe('engine-restarted');
  });
});

describe('a collection', () => {
  const coded = (code: string) => Object.assign(new Error('no'), { code });

  it('takes the place of the last one, says what of it is damaged, and follows the engine', async () => {
    const lectern = await open();
    await lectern.addSource('gone.md', new Blob(['Nothing here.']));
    const shelf = Shelf.inMemory();
    const other = await open();
    await other.open(shelf);
    const { id } = await other.addSource('birds.md', page, { key: 'a.t.1' });
    await shelf.keepPage('a.t.2', 'torn.md', new Uint8Array([123]));
    const told: [string, string | undefined][] = [];
    lectern.on('kept', ({ key, error }) => told.push([key, error?.message]));
    await lectern.open(shelf);
    expect(told).toEqual([['a.t.1', undefined], ['a.t.2', 'torn.md: it is damaged']]);
    expect(lectern.sourceText(id).name).toBe('birds.md');
    expect((await lectern.search('herons in shallow water, or nothing here', 9)).hits.map(({ source }) => source)).toEqual(['birds.md', 'birds.md']);
    await expect(lectern.ask('trap the engine', options).result).rejects.toMatchObject({ code: 'engine-died' });
    expect((await lectern.search('herons', 1)).hits[0]?.source).toBe('birds.md');
  });

  it('that another embedder has read is told to be read again', async () => {
    class Another extends FakeEngine {
      #embedder = false;
      override load_embedder(file: ModelFile): Promise<ModelInfo> {
        if (this.sources().length > 0) throw coded('index-model-mismatch');
        this.#embedder = true;
        return super.load_embedder(file);
      }
      override restore_page(bytes: Uint8Array): Promise<SourceInfo> {
        if (this.#embedder) throw coded('index-model-mismatch');
        return super.restore_page(bytes);
      }
    }
    const shelf = Shelf.inMemory();
    const first = await open();
    await first.open(shelf);
    await first.addSource('birds.md', page, { key: 'a.t.1' });
    const lectern = new Lectern(localWorkers({ pkg: { ...fakePackage, Engine: Another } }));
    await lectern.start('auto');
    const told: (string | undefined)[] = [];
    lectern.on('kept', ({ info, error }) => told.push(info?.name ?? error?.code));
    await lectern.open(shelf);
    await lectern.loadEmbedder(own(gguf()));
    expect(told).toEqual(['birds.md', 'index-model-mismatch']);
  });
});

describe('the module with the GPU executor', () => {
  it.each([
    ['auto', { type: 'none', reason: 'no' }, 'cpu'],
    ['auto', { type: 'found', name: 'a program', software: true }, 'cpu'],
    ['auto', { type: 'found', name: 'a card', software: false }, 'gpu'],
    ['cpu', { type: 'found', name: 'a card', software: false }, 'cpu'],
    ['gpu', { type: 'found', name: 'a program', software: true }, 'gpu'],
    ['gpu', { type: 'none', reason: 'no' }, 'cpu'],
  ] as const)('for %s with %o is %s', async (device, adapter, kind) => {
    const workers = localWorkers({ adapter });
    await new Lectern(workers).start(device);
    expect(workers.kinds).toEqual([kind]);
  });

  it('takes over when the GPU is chosen later, with models and pages', async () => {
    const workers = localWorkers({ adapter: { type: 'found', name: 'a program', software: true } });
    const lectern = await open(workers);
    await lectern.addSource('birds.md', page);
    const codes: string[] = [];
    lectern.on('notice', ({ code }) => codes.push(code));
    expect((await lectern.start('gpu')).executor).toBe('gpu');
    expect(workers.kinds).toEqual(['cpu', 'gpu']);
    const answer = await lectern.ask('Where does the heron wait for fish?', options);
    expect(lectern.sourceText(answer.citations[0]?.source_id ?? -1).name).toBe('birds.md');
    expect((await lectern.start('cpu')).executor).toBe('cpu');
    expect(workers.kinds).toHaveLength(2);
    expect(codes).toEqual([]);
  });
});

describe('laying down much at once', () => {
  const long = new Blob([Array.from({ length: 420 }, (_, i) => `Paragraph ${i} of a page that goes on.`).join('\n\n')]);

  /** Engines that say which of them embedded how many texts; `failing` ones fail at it. */
  function counting(failing: (engine: number) => boolean = () => false) {
    const embedded: number[] = [];
    class Counting extends FakeEngine {
      #number = embedded.push(0) - 1;
      override async embed(texts: string[]): Promise<Float32Array[]> {
        await new Promise((resolve) => { setTimeout(resolve, 5); });
        if (failing(this.#number)) throw Object.assign(new Error('no'), { code: 'internal' });
        embedded[this.#number] = (embedded[this.#number] ?? 0) + texts.length;
        return super.embed(texts);
      }
    }
    return { embedded, pkg: { ...fakePackage, Engine: Counting } };
  }

  it('is shared with helpers, and is whole', async () => {
    const { embedded, pkg } = counting();
    const lectern = await open(localWorkers({ pkg, nHelpers: 2 }));
    const events: IngestEvent[] = [];
    const run = lectern.addSource('long.txt', long);
    for await (const event of run) events.push(event);
    const { n_chunks } = await run;
    expect(embedded).toHaveLength(3);
    expect(embedded.every((n) => n > 0)).toBe(true);
    expect(embedded.reduce((a, b) => a + b)).toBe(n_chunks);
    expect(events.at(-1)).toEqual({ type: 'embedded', done: n_chunks, total: n_chunks });
    lectern.close();
  });

  it('is not lost when a helper fails', async () => {
    const { embedded, pkg } = counting((engine) => engine > 0);
    const lectern = await open(localWorkers({ pkg, nHelpers: 2 }));
    const { n_chunks } = await lectern.addSource('long.txt', long);
    expect(embedded[0]).toBe(n_chunks);
    lectern.close();
  });

  it('needs no helpers for a page or two', async () => {
    const workers = localWorkers({ nHelpers: 2 });
    const lectern = await open(workers);
    await lectern.addSource('birds.md', page);
    expect(workers.hosts).toHaveLength(1);
  });

  it('lets a question in between, and can be stopped', async () => {
    const { pkg } = counting();
    const lectern = await open(localWorkers({ pkg }));
    await lectern.addSource('birds.md', page);
    const run = lectern.addSource('long.txt', long);
    const order: string[] = [];
    void run.result.then(() => order.push('page'), () => order.push('stopped'));
    await lectern.ask('Where does the heron wait for fish?', options);
    order.push('answer');
    run.stop();
    await expect(run.result).rejects.toSatisfy(isAbort);
    expect(order).toEqual(['answer', 'stopped']);
  });
});

describe('graphs', () => {
  it('are built in another worker and installed', async () => {
    const installed: number[] = [];
    class Counting extends FakeEngine {
      override install_segment(built: Uint8Array): string | undefined {
        installed.push(built.length);
        return super.install_segment(built);
      }
    }
    const lectern = await open(localWorkers({ pkg: { ...fakePackage, Engine: Counting } }));
    await lectern.addSource('long.txt', new Blob([Array.from({ length: 420 }, (_, i) => `Paragraph ${i}.`).join('\n\n')]));
    await expect.poll(() => installed).toEqual([3]);
  });
});
