/** One engine worker and the calls in flight to it. */
import type { Calls, FromWorker, Method, ToWorker } from '../worker/protocol';
import { LecternError, toError } from './errors';
import type { ErrorInfo } from './generated';
import type { EngineWorker } from './workers';

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  emit: (event: unknown) => void;
}

export interface ConnectionEvents {
  onNotice: (notice: ErrorInfo) => void;
  /** The engine can answer nothing more; every call in flight has been rejected with `engine-died`. */
  onDeath: (message: string) => void;
}

export class Connection {
  #worker: EngineWorker;
  #pending = new Map<number, Pending>();
  #lastId = 0;
  #events: ConnectionEvents;
  #closed = false;

  constructor(worker: EngineWorker, events: ConnectionEvents) {
    this.#worker = worker;
    this.#events = events;
    worker.onmessage = (event) => { this.#receive(event.data); };
    worker.onerror = (event) => { this.#die(event.message || 'the worker could not be started'); };
  }

  get nPending(): number {
    return this.#pending.size;
  }

  /** Starts a call; `cancel` asks the worker to end it early. */
  call<M extends Method>(method: M, params: Calls[M]['params'], emit: (event: Calls[M]['event']) => void = () => undefined): { result: Promise<Calls[M]['result']>; cancel: () => void } {
    const id = ++this.#lastId;
    const result = new Promise<Calls[M]['result']>((resolve, reject) => {
      if (this.#closed) {
        reject(died('it is no longer running'));
        return;
      }
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, emit: emit as (event: unknown) => void });
      this.#worker.postMessage({ type: 'call', id, method, params } as ToWorker);
    });
    return { result, cancel: () => { if (this.#pending.has(id)) this.#worker.postMessage({ type: 'cancel', id }); } };
  }

  close(): void {
    this.#closed = true;
    this.#worker.terminate();
    for (const pending of this.#pending.values()) pending.reject(died('it was closed'));
    this.#pending.clear();
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'notice':
        this.#events.onNotice(message.notice);
        return;
      case 'died':
        this.#die(message.message);
        return;
      case 'event':
        this.#pending.get(message.id)?.emit(message.event);
        return;
      case 'result':
        this.#pending.get(message.id)?.resolve(message.value);
        break;
      case 'error':
        this.#pending.get(message.id)?.reject(toError(message.error));
        break;
    }
    this.#pending.delete(message.id);
  }

  #die(message: string): void {
    if (this.#closed) return;
    this.close();
    this.#events.onDeath(message);
  }
}

function died(why: string): LecternError {
  return new LecternError('engine-died', `The engine stopped before it could answer: ${why}. Ask again.`);
}
