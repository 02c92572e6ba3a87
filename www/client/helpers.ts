/**
 * More engine workers with the embedder alone, for when a lot is laid down: each embeds passages as the engine itself
 * does, bit for bit. They come when there is enough to do and leave when there has been nothing for a while.
 */
import type { ModelSource } from '../worker/protocol';
import { Connection } from './connection';
import type { Workers } from './workers';

/** Fewer texts are embedded sooner than a helper has opened the model. */
const MIN_TEXTS = 32;
const IDLE_MS = 30_000;

export type Embed = (texts: string[]) => Promise<Float32Array[]>;

interface Helper {
  connection: Connection;
  ready: Promise<Embed>;
}

export class Helpers {
  #workers: Workers;
  #running = new Set<Helper>();
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(workers: Workers) {
    this.#workers = workers;
  }

  /** Those that share the work on so many texts; one that fails is let go, and its work is another's. */
  forTexts(nTexts: number, model: ModelSource | null): Promise<Embed>[] {
    clearTimeout(this.#idle);
    if (nTexts < MIN_TEXTS || !model) return [];
    while (this.#running.size < this.#workers.nHelpers) this.#start(model);
    return [...this.#running].map(({ ready }) => ready);
  }

  /** The work is done; more may follow soon. */
  rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => { this.close(); }, IDLE_MS);
  }

  close(): void {
    clearTimeout(this.#idle);
    for (const { connection } of this.#running) connection.close();
    this.#running.clear();
  }

  #start(model: ModelSource): void {
    const connection = new Connection(this.#workers.engine(), { onNotice: () => undefined, onDeath: () => { leave(); } });
    const open = async (): Promise<Embed> => {
      await connection.call('open', { device: 'cpu', restarted: true }).result;
      await connection.call('load_embedder', { model }).result;
      return async (texts) => {
        try {
          return await connection.call('embed', { texts }).result;
        } catch (thrown) {
          leave();
          throw thrown;
        }
      };
    };
    const helper: Helper = { connection, ready: open() };
    const leave = () => {
      if (!this.#running.delete(helper)) return;
      connection.close();
    };
    helper.ready.catch(leave);
    this.#running.add(helper);
  }
}
