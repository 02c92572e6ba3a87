/** A file on its way into the engine: read beside it, cut there, embedded by whoever is free, taken in. */
import type { AddedSource, Calls, Method, Opening, ReadDocument } from '../worker/protocol';
import type { IngestEvent } from './generated';
import type { Embed } from './helpers';

/** Characters of a batch: some quarter of a second’s work, after which a question may come in between. */
const BATCH_CHARS = 2000;

export type Call = <M extends Method>(method: M, params: Calls[M]['params'], emit?: (event: Calls[M]['event']) => void) => { result: Promise<Calls[M]['result']>; cancel: () => void };

export interface LayDown {
  opening: Opening;
  extract: (opening: Opening, signal: AbortSignal) => Promise<ReadDocument>;
  call: Call;
  /** Others that embed as the engine does, for so many texts. */
  helpers: (nTexts: number) => Promise<Embed>[];
  emit: (event: IngestEvent) => void;
  signal: AbortSignal;
}

/** Rejects with what `signal` is aborted with, or what is said of the file; nothing of it is kept then. */
export async function layDown({ opening, extract, call, helpers, emit, signal }: LayDown): Promise<AddedSource> {
  const stoppable = async <M extends Method>(method: M, params: Calls[M]['params'], listen?: (event: Calls[M]['event']) => void): Promise<Calls[M]['result']> => {
    signal.throwIfAborted();
    const { result, cancel } = call(method, params, listen);
    signal.addEventListener('abort', cancel);
    try {
      return await result;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
  const document = await extract(opening, signal);
  const { number, texts } = await stoppable('cut_source', { name: opening.name, document }, emit);
  try {
    const onDone = (done: number) => { emit({ type: 'embedded', done, total: texts.length }); };
    const vectors = await embedAll(texts, (some) => stoppable('embed', { texts: some }), helpers(texts.length), onDone, signal);
    signal.throwIfAborted();
    return await call('lay_down', { number, vectors }).result;
  } catch (thrown) {
    call('drop_source', { number }).result.catch(() => undefined);
    throw thrown;
  }
}

/** Texts of like length go together, the longest first, so that the last batches are the shortest. */
async function embedAll(texts: string[], own: Embed, helpers: Promise<Embed>[], onDone: (done: number) => void, signal: AbortSignal): Promise<Float32Array[]> {
  const vectors = new Array<Float32Array>(texts.length);
  const batches = batchesOf(texts);
  const underWay = new Set<Promise<void>>();
  let done = 0;
  const one = async (embed: Embed, batch: number[]) => {
    try {
      const found = await embed(batch.map((i) => texts[i] ?? ''));
      for (const [at, i] of batch.entries()) vectors[i] = found[at] ?? new Float32Array();
    } catch (thrown) {
      batches.unshift(batch);
      throw thrown;
    }
    done += batch.length;
    onDone(done);
  };
  const work = async (embed: Embed) => {
    for (let batch = batches.shift(); batch && !signal.aborted; batch = batches.shift()) {
      const step = one(embed, batch);
      underWay.add(step);
      try {
        await step;
      } finally {
        underWay.delete(step);
      }
    }
  };
  // What a helper cannot do comes back to be done here.
  for (const helper of helpers) void helper.then(work).catch(() => undefined);
  while (batches.length > 0 || underWay.size > 0) {
    await work(own);
    signal.throwIfAborted();
    await Promise.allSettled(underWay);
  }
  return vectors;
}

function batchesOf(texts: string[]): number[][] {
  const order = [...texts.keys()].sort((a, b) => (texts[b]?.length ?? 0) - (texts[a]?.length ?? 0));
  const batches: number[][] = [];
  let chars = Infinity;
  for (const i of order) {
    const length = texts[i]?.length ?? 0;
    if (chars + length > BATCH_CHARS) {
      batches.push([]);
      chars = 0;
    }
    batches.at(-1)?.push(i);
    chars += length;
  }
  return batches;
}
