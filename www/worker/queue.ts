/** Runs one job at a time, in the order they came. */
export class Queue {
  #waiting: { start: () => Promise<void>; drop: () => void; signal: AbortSignal }[] = [];
  #running = false;

  /** Resolves with the job's result; rejects with an AbortError when `signal` fires before the job's turn. */
  run<T>(job: () => T | Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const drop = () => {
        reject(new DOMException('Stopped.', 'AbortError'));
      };
      if (signal.aborted) {
        drop();
        return;
      }
      const entry = { start: async () => {
        try {
          resolve(await job());
        } catch (error) {
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what the job threw is passed on as it is
          reject(error);
        }
      }, drop, signal };
      signal.addEventListener('abort', () => {
        const at = this.#waiting.indexOf(entry);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        drop();
      }, { once: true });
      this.#waiting.push(entry);
      void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (let entry = this.#waiting.shift(); entry; entry = this.#waiting.shift()) await entry.start();
    this.#running = false;
  }
}
