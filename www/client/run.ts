/**
 * A call under way: iterate it for its events, await it for its result. Both may be done, in any
 * order; events that came before the first iteration are kept.
 *
 * ```ts
 * const run = lectern.ask('Where are the models kept?', options, { signal });
 * for await (const event of run) show(event);
 * const answer = await run;
 * ```
 */
export class Run<Event, Result> implements AsyncIterable<Event>, PromiseLike<Result> {
  readonly result: Promise<Result>;
  #events: Event[] = [];
  #ended = false;
  #wake: (() => void)[] = [];
  #stop: () => void;

  constructor(start: (emit: (event: Event) => void) => Promise<Result>, stop: () => void) {
    this.#stop = stop;
    this.result = start((event) => {
      this.#events.push(event);
      this.#notify();
    }).finally(() => {
      this.#ended = true;
      this.#notify();
    });
    this.result.catch(() => undefined);
  }

  /** Asks the engine to stop at the next token; what has been written so far is the result. */
  stop(): void {
    this.#stop();
  }

  then<A = Result, B = never>(fulfilled?: ((value: Result) => A | PromiseLike<A>) | null, rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<A | B> {
    return this.result.then(fulfilled, rejected);
  }

  /** Ends after the last event; throws what the call threw. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void> {
    for (let at = 0; ; at += 1) {
      while (at >= this.#events.length) {
        if (this.#ended) {
          await this.result;
          return;
        }
        await new Promise<void>((resolve) => { this.#wake.push(resolve); });
      }
      yield this.#events[at] as Event;
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
