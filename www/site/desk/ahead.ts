/** Reads ahead while a question is being written: in the pauses, and never beside an answer. */
import type { AskOptions, Lectern, Run } from '../../client/index';

/** Milliseconds without a key that count as a pause. */
const PAUSE = 350;

export class Ahead {
  #client: Lectern;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #run: Run<unknown, number> | null = null;
  /** What was read last. */
  #read = '';

  constructor(client: Lectern) {
    this.#client = client;
  }

  /** The question has come so far, and would be asked like this; null when nothing can be read now. */
  look(question: string, options: AskOptions | null): void {
    clearTimeout(this.#timer);
    if (!options) return;
    const key = JSON.stringify([question.trim(), options]);
    if (key !== this.#read) this.#timer = setTimeout(() => { this.#begin(question, options, key); }, PAUSE);
  }

  /** Gives way to an answer, which goes on from what was read. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#run?.stop();
    this.#run = null;
    this.#read = '';
  }

  #begin(question: string, options: AskOptions, key: string): void {
    this.#run?.stop();
    this.#read = key;
    const run = this.#client.readAhead(question, options);
    this.#run = run;
    // Whatever is wrong with the question is said once it is asked.
    run.result.catch(() => undefined);
  }
}
