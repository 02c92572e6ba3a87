/** Everything the page knows; elements show it and tell it what the person did. */
import { Lectern, describe, workersAt } from '../../client/index';
import type { CatalogAdapter, Citation, Device, ErrorInfo, ExecutorInfo } from '../../client/index';
import { Ahead } from './ahead';
import { Conversation, optionsFor } from './conversation';
import type { AskSettings, Exchange } from './conversation';
import { keepDraft, keepSettings, readDraft, readSettings } from './remembered';
import type { Remembered } from './remembered';
import { Shelves } from './shelves';
import { Models } from './models';
import { Pages, isUnread } from './pages';
import type { Laid, Page } from './pages';

export interface Notice extends ErrorInfo {
  key: number;
  kind: 'notice' | 'error';
}

export interface Opened {
  source_id: number;
  name: string;
  /** Every passage of this source that the answer cites. */
  citations: Citation[];
  active: Citation | null;
  /** Grows with each opening, so that the reader scrolls again to the same passage. */
  turn: number;
}

export interface Settings {
  device: Device;
  use_pages: boolean;
  voice: CatalogAdapter | null;
  scale: number;
  both: boolean;
  /** Passages given to the model; 0 for as many as it reads best. */
  top_k: number;
  max_tokens: number;
  temperature: number;
  sample_top_k: number;
  top_p: number;
  repetition_penalty: number;
  seed: number;
}

interface ExampleSet {
  pages: string[];
  questions: string[];
}

const USUAL: Remembered = {
  device: 'auto', use_pages: true, voice: null, scale: 1, both: false, top_k: 0, max_tokens: 256,
  temperature: 0, sample_top_k: 40, top_p: 0.95, repetition_penalty: 1, seed: 0,
};

/** Milliseconds between looks at a page that nobody sees, where no frames come. */
const HIDDEN_FRAME = 250;

/** Passages for two answers beside each other: what a voice was trained on. */
const PASSAGES_BESIDE = 3;

export class Desk extends EventTarget {
  readonly client: Lectern;
  readonly models: Models;
  readonly pages: Pages;
  readonly conversation: Conversation;
  readonly shelves: Shelves;
  readonly settings: Settings;
  executor: ExecutorInfo | null = null;
  switching = false;
  notices: Notice[] = [];
  opened: Opened | null = null;
  lit: Citation | null = null;
  questions: string[] = [];
  exampleLaid = false;
  #base: URL;
  #due = false;
  #ahead: Ahead;
  #draft = readDraft();
  /** The voice that was chosen last time, until the site's voices are known. */
  #lastVoice: string | null;
  #pending: string | null = null;
  /** What was asked of the collections that are not on the desk now. */
  #left = new Map<string, { list: Exchange[]; exampleLaid: boolean; questions: string[] }>();
  #lastKey = 0;

  constructor(base: URL) {
    super();
    this.#base = base;
    const { voice, ...settings } = readSettings(USUAL);
    this.settings = { ...settings, voice: null };
    this.#lastVoice = voice;
    const changed = () => { this.changed(); };
    const fail = (error: ErrorInfo) => { this.notify(error, 'error'); };
    this.client = new Lectern(workersAt(base, true));
    this.models = new Models(this.client, () => { this.#modelsChanged(); }, fail);
    this.#ahead = new Ahead(this.client);
    const notify = (notice: ErrorInfo) => { this.notify(notice, 'notice'); };
    this.pages = new Pages(this.client, {
      changed: () => {
        this.#readAhead();
        this.changed();
      },
      notify,
    });
    this.conversation = new Conversation(this.client, changed);
    this.shelves = new Shelves(this.client, this.pages, {
      changed,
      notify,
      switched: (from, to) => {
        this.close();
        this.#pending = null;
        const { exampleLaid, questions } = this;
        if (from !== null) this.#left.set(from, { list: this.conversation.list, exampleLaid, questions });
        const { list, ...example } = this.#left.get(to) ?? { list: [], exampleLaid: false, questions: [] };
        this.#left.delete(to);
        this.conversation.show(list);
        Object.assign(this, example);
      },
    });
    this.client.on('notice', notify);
    this.client.on('executor', (info) => {
      this.executor = info;
      this.changed();
    });
  }

  async begin(): Promise<void> {
    await Promise.all([this.models.begin(new URL('models/models.json', this.#base), this.settings.device), this.shelves.begin()]);
  }

  /** Nothing has been laid down or asked: how to begin is all there is to see. */
  get isBlank(): boolean {
    return this.conversation.list.length === 0 && this.pages.list.length === 0 && !this.exampleLaid;
  }

  /** Shows what changed with the next frame: tokens and progress may come faster than that. */
  changed(): void {
    if (this.#due) return;
    this.#due = true;
    const show = () => {
      this.#due = false;
      this.#askKept();
      this.dispatchEvent(new Event('change'));
    };
    if (document.hidden) setTimeout(show, HIDDEN_FRAME);
    else requestAnimationFrame(show);
  }

  notify(error: ErrorInfo, kind: Notice['kind']): void {
    this.notices = [...this.notices.filter(({ code }) => code !== error.code), { ...error, kind, key: ++this.#lastKey }];
    this.changed();
  }

  /** What a notice asked for has been done. */
  #done(code: string): void {
    this.notices = this.notices.filter((other) => other.code !== code);
  }

  dismiss(notice: Notice): void {
    this.notices = this.notices.filter((other) => other !== notice);
    this.changed();
  }

  async lay(laid: Laid[]): Promise<void> {
    if (laid.length === 0) return;
    this.shelves.askToPersist();
    this.#done('no-documents');
    await this.pages.lay(laid);
    this.models.ask();
  }

  /** One click: the project's own pages, their questions and, its size being named on the button, the models. */
  async layExample(): Promise<void> {
    if (this.exampleLaid) return;
    this.exampleLaid = true;
    this.#done('no-documents');
    this.changed();
    void this.models.load();
    try {
      const folder = new URL('examples/', this.#base);
      const set = (await (await fetched(new URL('examples.json', folder))).json()) as ExampleSet;
      const laid = await Promise.all(set.pages.map(async (name) => ({ name, file: await (await fetched(new URL(name, folder))).blob() })));
      this.questions = set.questions;
      await this.pages.lay(laid);
    } catch (thrown) {
      this.exampleLaid = false;
      this.notify({ code: 'download-failed', message: `The example pages could not be fetched (${describe(thrown).message}). Check the connection and try again.` }, 'error');
    }
    this.changed();
  }

  async removePage(page: Page): Promise<void> {
    if (page.info && this.opened?.source_id === page.info.id) this.close();
    try {
      await this.pages.remove(page);
    } catch (thrown) {
      this.notify(describe(thrown), 'error');
    }
  }

  /** What is in the ask box; kept here so that no failure loses it. */
  get draft(): string {
    return this.#draft;
  }

  set draft(draft: string) {
    this.#draft = draft;
    keepDraft(draft);
  }

  /** What is in the box has changed. */
  write(draft: string): void {
    this.draft = draft;
    this.#readAhead();
  }

  /**
   * Asks what is in the box. Without the language model the passages' own sentences answer; without the reading model,
   * and while none of the pages is read, the question waits. With `fresh` it is answered anew though the answer is known,
   * and with `sources` of these pages.
   */
  ask(question = this.draft, fresh = false, sources?: number[]): void {
    const asked = question.trim();
    if (!asked || this.conversation.busy) return;
    const pages = this.#asked(sources);
    const unread = pages.filter(isUnread).length;
    const noneRead = this.settings.use_pages && !pages.some(({ state }) => state === 'ready');
    if (noneRead && unread === 0) {
      this.#pending = null;
      this.draft = question;
      this.notify({ code: 'no-documents', message: this.pages.any ? 'The pages that are to be asked cannot be read. Choose others, or ask all pages.' : 'There are no pages to answer from yet. Lay some down, open the example, or switch off “Use my pages”.' }, 'error');
      return;
    }
    this.notices = this.notices.filter(({ kind }) => kind === 'notice');
    const extractive = this.models.phase !== 'ready' && this.models.canRead && this.settings.use_pages;
    if (noneRead || (this.models.phase !== 'ready' && !extractive)) {
      this.draft = question;
      this.#pending = asked;
      this.models.ask();
      return;
    }
    this.#pending = null;
    // Another one may be on its way.
    if (this.draft.trim() === asked) this.draft = '';
    this.pages.taken = null;
    this.#ahead.stop();
    const asking = this.#asking(asked, extractive, fresh, sources ?? this.#sources ?? [], unread);
    const { voice } = asking;
    void this.conversation.ask(asked, asking, () => (voice ? this.models.voice(voice) : Promise.resolve()));
  }

  /** A question is waiting for the models, or for the pages to be read. */
  get pending(): string | null {
    return this.#pending;
  }

  /** How many of the pages that would be asked are still to be read. */
  get unread(): number {
    return this.settings.use_pages ? this.#asked().filter(isUnread).length : 0;
  }

  /** Not now: the question stays in the box, and is not asked on its own later. */
  postpone(): void {
    this.models.asking = false;
    this.#pending = null;
    this.changed();
  }

  stop(): void {
    this.conversation.stop();
  }

  set(settings: Partial<Settings>): void {
    Object.assign(this.settings, settings);
    if ('voice' in settings) this.#lastVoice = null;
    if (settings.use_pages === false) this.#done('no-documents');
    keepSettings({ ...this.settings, voice: this.settings.voice?.name ?? this.#lastVoice });
    this.#readAhead();
    this.changed();
  }

  async chooseDevice(device: Device): Promise<void> {
    this.set({ device });
    this.switching = true;
    this.changed();
    try {
      await this.client.start(device);
      await this.models.reopen();
    } catch (thrown) {
      this.notify(describe(thrown), 'error');
    }
    this.switching = false;
    this.changed();
  }

  /** Opens a page in the reader, at a passage when one is given. */
  open(source: { source_id: number; name: string }, citations: Citation[] = [], active: Citation | null = null): void {
    if (!this.pages.byId(source.source_id)) {
      this.notify({ code: 'source-unknown', message: `“${source.name}” has been taken off the desk, so its passage cannot be opened.` }, 'notice');
      return;
    }
    this.opened = { ...source, citations, active, turn: (this.opened?.turn ?? 0) + 1 };
    this.changed();
  }

  /** Shows the PDF file of a page as the browser shows such files. Never another kind: what runs in it would run as this site. */
  async openPdf(page: Page, number: number): Promise<void> {
    const file = await this.pages.original(page);
    if (!file) {
      this.notify({ code: 'file-not-kept', message: `The file of “${page.name}” is not kept on this device; only its text is.` }, 'notice');
      return;
    }
    const url = URL.createObjectURL(new Blob([file], { type: 'application/pdf' }));
    window.open(`${url}#page=${number}`, '_blank', 'noopener');
    setTimeout(() => { URL.revokeObjectURL(url); }, 60_000);
  }

  close(): void {
    this.opened = null;
    this.changed();
    this.dispatchEvent(new Event('closed'));
  }

  /** Puts the focus where one asks. */
  toQuestion(): void {
    this.dispatchEvent(new Event('question'));
  }

  light(citation: Citation | null): void {
    this.lit = citation;
    this.changed();
  }

  /** Of the pages that are asked alone; null while none of them is read. */
  get #sources(): number[] | null {
    const { chosen } = this.pages;
    const ids = chosen.flatMap(({ info }) => info?.id ?? []);
    return chosen.length > 0 && ids.length === 0 ? null : ids;
  }

  /** The pages with these numbers, all where none is named; else those that are chosen, or all. */
  #asked(sources?: number[]): Page[] {
    const { chosen, list } = this.pages;
    if (sources?.length) return list.filter(({ info }) => info && sources.includes(info.id));
    return sources || chosen.length === 0 ? list : chosen;
  }

  #asking(asked: string, extractive: boolean, fresh: boolean, sources: number[], unread = 0): AskSettings {
    const { settings } = this;
    const { use_pages: rag, scale, both } = settings;
    const voice = extractive ? null : settings.voice;
    return {
      rag, voice, scale, both, unread: rag ? unread : 0,
      options: {
        extractive, fresh, sources,
        // Side by side, both read the same passages.
        top_k: settings.top_k || (both && voice ? PASSAGES_BESIDE : null), max_tokens: settings.max_tokens, stop: [], before: this.conversation.before(asked),
        sampling: { temperature: settings.temperature, top_k: settings.sample_top_k, top_p: settings.top_p, repetition_penalty: settings.repetition_penalty, seed: settings.seed },
      },
    };
  }

  /** In its pauses, a question that is being written is searched for and its passages are read. */
  #readAhead(): void {
    const sources = this.#sources;
    const asking = this.#asking(this.draft, false, false, sources ?? []);
    const can = (sources !== null || !asking.rag) && this.models.phase === 'ready' && !this.conversation.busy && (!asking.rag || this.pages.settled);
    this.#ahead.look(this.draft, can ? optionsFor(asking, asking.both ? null : asking.voice) : null);
  }

  #modelsChanged(): void {
    const { models } = this;
    if (models.canRead) this.pages.canRead();
    if (models.catalog && this.#lastVoice) {
      this.settings.voice = models.catalog.adapters.find(({ name }) => name === this.#lastVoice) ?? null;
      this.#lastVoice = null;
    }
    if (models.phase === 'missing' && this.pages.any) models.asking = true;
    this.#readAhead();
    this.changed();
  }

  /** Asks what was waiting, when there is nothing left to wait for. */
  #askKept(): void {
    if (this.#pending !== null && this.models.phase === 'ready' && this.unread === 0) this.ask(this.#pending);
  }
}

async function fetched(url: URL): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response;
}
