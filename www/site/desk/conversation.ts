/** Questions and their answers: one at a time, each answered once or, to hear both, twice. */
import { describe, isAbort } from '../../client/index';
import type { Answer, AskEvent, AskOptions, CatalogAdapter, ErrorInfo, Hit, Lectern, Run } from '../../client/index';

export interface Reply {
  voice: { title: string; scale: number } | null;
  state: 'waiting' | 'searching' | 'thinking' | 'writing' | 'done' | 'failed';
  text: string;
  hits: Hit[];
  prefill: { done: number; total: number } | null;
  answer: Answer | null;
  error: ErrorInfo | null;
  options: AskOptions;
  /** How many of the pages were still to be read when it was asked. */
  unread: number;
}

export interface Exchange {
  key: number;
  question: string;
  replies: Reply[];
}

export interface AskSettings {
  rag: boolean;
  voice: CatalogAdapter | null;
  scale: number;
  both: boolean;
  unread: number;
  options: Omit<AskOptions, 'rag' | 'adapter' | 'scale'>;
}

/** How one voice, or none, is asked. */
export function optionsFor({ rag, scale, options }: AskSettings, adapter: CatalogAdapter | null): AskOptions {
  return { ...options, rag, adapter: adapter?.name ?? null, scale: adapter ? scale : 0 };
}

export class Conversation {
  list: Exchange[] = [];
  busy = false;
  #client: Lectern;
  #changed: () => void;
  #run: Run<AskEvent, Answer> | null = null;
  #stopped = false;
  #lastKey = 0;

  constructor(client: Lectern, changed: () => void) {
    this.#client = client;
    this.#changed = changed;
  }

  /** Answers the question; `prepare` makes the voice ready. Failures are shown in the reply. */
  async ask(question: string, settings: AskSettings, prepare: () => Promise<void>): Promise<void> {
    const { voice, scale, both, unread } = settings;
    const reply = (adapter: CatalogAdapter | null): Reply => ({
      voice: adapter && { title: adapter.title, scale }, state: 'waiting', text: '', hits: [], prefill: null, answer: null, error: null, unread,
      options: optionsFor(settings, adapter),
    });
    const exchange: Exchange = { key: ++this.#lastKey, question, replies: voice && both ? [reply(null), reply(voice)] : [reply(voice)] };
    this.list.push(exchange);
    this.busy = true;
    this.#stopped = false;
    this.#changed();
    try {
      await prepare();
    } catch (thrown) {
      for (const failed of exchange.replies.filter(({ voice: needed }) => needed)) this.#failed(failed, thrown);
    }
    for (const next of exchange.replies) if (next.state === 'waiting') await this.#answer(question, next);
    this.busy = false;
    this.#changed();
  }

  /** What a question that follows up is also searched for by: the last other one that the pages answered. */
  before(asked: string): { question: string; answer: string } | null {
    for (const { question, replies } of [...this.list].reverse()) {
      if (question === asked.trim()) continue;
      const answer = replies.find((reply) => reply.options.rag && reply.answer && !reply.answer.refused)?.answer;
      if (answer) return { question, answer: answer.answer };
    }
    return null;
  }

  stop(): void {
    this.#stopped = true;
    this.#run?.stop();
  }

  /** Another one takes the place of this one. */
  show(list: Exchange[]): void {
    this.stop();
    this.list = list;
    this.#changed();
  }

  async #answer(question: string, reply: Reply): Promise<void> {
    reply.state = reply.options.rag ? 'searching' : 'thinking';
    this.#changed();
    try {
      if (this.#stopped) throw new DOMException('Stopped.', 'AbortError');
      this.#run = this.#client.ask(question, reply.options);
      for await (const event of this.#run) {
        this.#take(reply, event);
        this.#changed();
      }
      reply.answer = await this.#run;
      reply.state = 'done';
    } catch (thrown) {
      this.#failed(reply, thrown);
    }
    this.#run = null;
    this.#changed();
  }

  #failed(reply: Reply, thrown: unknown): void {
    reply.state = 'failed';
    reply.error = isAbort(thrown) ? { code: 'cancelled', message: reply.text ? 'Stopped here.' : 'Stopped before anything was written.' } : describe(thrown);
  }

  #take(reply: Reply, event: AskEvent): void {
    switch (event.type) {
      case 'retrieved':
        reply.hits = event.hits;
        reply.state = 'thinking';
        break;
      case 'prefill':
        reply.prefill = { done: event.done, total: event.total };
        reply.state = 'thinking';
        break;
      case 'token':
        reply.text += event.text;
        reply.state = 'writing';
        break;
      case 'notice':
      case 'executor':
        // The client tells them to whoever listens.
        break;
    }
  }
}
