import { describe, isAbort, legendOf, partsOf, respelledOf, saidOf, styledOf } from '../client/index';
import type { Answer, AskEvent, Citation, ErrorInfo, Run } from '../client/index';
import { Library } from './library';
import type { Progress } from './library';
import { markup } from './markup';

/**
 * Answers questions about a site's own pages, inside the visitor's browser. Asks before it
 * downloads a model and names the bytes; until then it fetches nothing but the list of models.
 *
 * ```html
 * <script type="module" src="https://example.org/lectern/widget.js"></script>
 * <lectern-ask pages="guide.html, faq.html"></lectern-ask>
 * ```
 *
 * @attr pages - Addresses of pages to read, comma-separated, or of a JSON file that holds a list of them.
 * @attr index - Address of a folder with the `collection.lectern` that `lectern index` wrote; instead of `pages`.
 * @attr home - With `index`: address of the folder that was indexed, so that citations link to its pages.
 * @attr models - Address of a `models.json`; by default the one beside this module.
 * @attr voice - Name of an adapter in `models.json` to answer with.
 *
 * @event lectern-answer - An answer is complete; `detail` is the `Answer`.
 * @event lectern-error - Something failed; `detail` is `{ code, message }`.
 * @event lectern-notice - Something to know, nothing lost; `detail` is `{ code, message }`.
 *
 * @slot title - Above the question.
 * @slot consent - In place of the sentence that asks for the download; the bytes stay on the button.
 *
 * @csspart form - The question and its buttons.
 * @csspart input - The question.
 * @csspart button - Every button.
 * @csspart consent - The panel that asks for the download.
 * @csspart status - Progress.
 * @csspart error - What went wrong.
 * @csspart answer - The answer.
 * @csspart known - That it was given before, and the button that has it made anew.
 * @csspart citations - The passages behind it.
 *
 * @cssproperty --lectern-accent - Buttons, marks, links.
 * @cssproperty --lectern-font - What is operated.
 * @cssproperty --lectern-read-font - What is read.
 */
export class LecternAsk extends HTMLElement {
  #root = this.attachShadow({ mode: 'open' });
  #library: Library | null = null;
  #control: AbortController | null = null;
  #run: Run<AskEvent, Answer> | null = null;
  /** The question that the answer shown is to. */
  #asked = '';

  constructor() {
    super();
    this.#root.innerHTML = markup;
    this.#on('form', 'submit', (event) => {
      event.preventDefault();
      void this.ask(this.#input.value);
    });
    this.#on('.stop', 'click', () => { this.stop(); });
    this.#on('.again', 'click', () => { void this.ask(this.#asked, true); });
    this.#root.addEventListener('keydown', (event) => { if ((event as KeyboardEvent).key === 'Escape') this.stop(); });
  }

  disconnectedCallback(): void {
    this.stop();
    this.#library?.close();
    this.#library = null;
  }

  /** Answers `question`, after consent where a download is needed; resolves with null when it was not given. With `fresh` it is answered anew though the answer is known. */
  async ask(question: string, fresh = false): Promise<Answer | null> {
    const asked = question.trim();
    if (!asked || this.#control) return null;
    this.#control = new AbortController();
    this.#asked = asked;
    if (!fresh) this.#input.value = asked;
    this.#show('.note, .respelt, .answer, .legend, .known, ol', false);
    try {
      const library = (this.#library ??= await this.#makeLibrary());
      if (!library.ready) {
        if (!(await this.#consented(await library.nBytesMissing()))) return null;
        this.#busy(true);
        await library.prepare((progress) => { this.#progress(progress); }, this.#control.signal);
      }
      this.#busy(true);
      return await this.#answer(library, asked, fresh);
    } catch (thrown) {
      if (!isAbort(thrown)) this.#fail(describe(thrown));
      return null;
    } finally {
      this.#busy(false);
      this.#show('.status', false);
      this.#control = null;
      this.#run = null;
    }
  }

  /** Stops the answer, or the download before it; what has been written stays. */
  stop(): void {
    if (this.#run) this.#run.stop();
    else this.#control?.abort();
  }

  async #makeLibrary(): Promise<Library> {
    const at = (value: string) => new URL(value, document.baseURI);
    const pages = this.getAttribute('pages');
    const index = this.getAttribute('index');
    const home = this.getAttribute('home');
    const models = this.getAttribute('models');
    return new Library({
      base: new URL(/* @vite-ignore */ '.', import.meta.url),
      models: models ? at(models) : new URL(/* @vite-ignore */ 'models/models.json', import.meta.url),
      pages: pages ? await pageList(pages, at) : [],
      index: index ? at(index) : null,
      home: home ? at(home) : null,
      voice: this.getAttribute('voice'),
    }, (notice) => {
      this.#note(notice);
      this.#emit('lectern-notice', notice);
    });
  }

  #consented(nBytes: number): Promise<boolean> {
    if (nBytes === 0) return Promise.resolve(true);
    const megabytes = `${(nBytes / 1e6).toFixed(nBytes < 1e7 ? 1 : 0)} MB`;
    this.#find('.cost').textContent = `To answer here, on your own machine, two models are needed: ${megabytes}, fetched once and kept in this browser. Your question goes nowhere.`;
    this.#find('.yes').textContent = `Download ${megabytes}`;
    this.#show('.consent', true);
    this.#find('.yes').focus();
    return new Promise((resolve) => {
      const settle = (yes: boolean) => () => {
        this.#show('.consent', false);
        this.#input.focus();
        resolve(yes);
      };
      this.#find('.yes').onclick = settle(true);
      this.#find('.no').onclick = settle(false);
      this.#control?.signal.addEventListener('abort', settle(false));
    });
  }

  async #answer(library: Library, question: string, fresh: boolean): Promise<Answer> {
    const box = this.#find('.answer');
    box.textContent = '';
    this.#show('.answer', true);
    box.setAttribute('aria-busy', 'true');
    this.#status('Looking through the pages', null);
    this.#run = library.ask(question, fresh);
    let text = '';
    for await (const event of this.#run) {
      if (event.type === 'retrieved') this.#status('Reading the passages', null);
      if (event.type === 'prefill') this.#status('Reading the passages', event.done / Math.max(1, event.total));
      if (event.type !== 'token') continue;
      this.#show('.status', false);
      text += event.text;
      box.textContent = text;
    }
    const answer = await this.#run;
    box.removeAttribute('aria-busy');
    box.replaceChildren(...this.#said(answer));
    this.#find('.respelt').textContent = respelledOf(answer.respelled);
    this.#show('.respelt', answer.respelled.length > 0);
    this.#find('.legend').textContent = legendOf(answer.sentences);
    this.#show('.legend', this.#find('.legend').textContent !== '');
    this.#show('.known', answer.cached);
    this.#cite(answer.citations, library);
    this.#emit('lectern-answer', answer);
    return answer;
  }

  /** Sentences that the passages do not hold are marked, to the eye and to a screen reader. */
  #said({ answer, sentences, citations }: Answer): (Node | string)[] {
    return saidOf(answer, sentences).flatMap(({ text, support, told }) => {
      const shown = this.#marked(text, citations);
      if (!told) return shown;
      const span = Object.assign(document.createElement('span'), { className: support, title: `This is ${told}.` });
      span.append(...shown, Object.assign(document.createElement('span'), { className: 'hidden', textContent: ` (${told})` }));
      return [span];
    });
  }

  /** A mark for each `[n]` that stands for a passage. */
  #marked(text: string, citations: Citation[]): (Node | string)[] {
    return partsOf(text).flatMap(({ text: written, word, marker }) => {
      if (!citations.some((citation) => citation.marker === marker)) {
        return styledOf(written).map(({ text: run, as }) => (as ? Object.assign(document.createElement(as), { textContent: run }) : run));
      }
      const mark = Object.assign(document.createElement('a'), { className: 'mark', href: `#passage-${marker}` });
      const bracket = (text: string) => Object.assign(document.createElement('span'), { className: 'bracket', textContent: text });
      mark.append(bracket('['), String(marker), bracket(']'));
      mark.setAttribute('aria-label', `Passage ${marker}`);
      const item = () => this.#root.getElementById(`passage-${marker}`);
      mark.onclick = (event) => {
        event.preventDefault();
        item()?.scrollIntoView({ block: 'nearest' });
        item()?.focus();
      };
      mark.onmouseenter = mark.onfocus = () => item()?.classList.add('lit');
      mark.onmouseleave = mark.onblur = () => item()?.classList.remove('lit');
      return [word, mark];
    });
  }

  #cite(citations: Citation[], library: Library): void {
    const items = citations.map((citation) => {
      const item = Object.assign(document.createElement('li'), { id: `passage-${citation.marker}`, tabIndex: -1 });
      const address = library.addresses.get(citation.source);
      const from = address
        ? Object.assign(document.createElement('a'), { href: `${address}#:~:text=${encodeURIComponent(firstWords(citation.text))}` })
        : document.createElement('span');
      from.textContent = citation.source;
      const quote = document.createElement('blockquote');
      quote.textContent = citation.text.length > 220 ? `${citation.text.slice(0, 220)}…` : citation.text;
      item.append(`${citation.marker}  `, from, quote);
      return item;
    });
    this.#find('ol').replaceChildren(...items);
    this.#show('ol', items.length > 0);
  }

  #progress({ what, done, total }: Progress): void {
    const figures = what === 'Fetching the models' ? `: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB` : '';
    this.#status(`${what}${figures}`, total ? done / total : null);
  }

  #status(what: string, share: number | null): void {
    this.#find('.what').textContent = what;
    const bar = this.#find('progress');
    bar.hidden = share === null;
    if (share !== null) bar.value = share;
    this.#show('.status', true);
  }

  #fail(error: ErrorInfo): void {
    this.#note(error);
    this.#emit('lectern-error', error);
  }

  #note({ code, message }: ErrorInfo): void {
    const label = document.createElement('code');
    label.textContent = code;
    this.#find('.note').replaceChildren(`${message} `, label);
    this.#show('.note', true);
  }

  #busy(busy: boolean): void {
    this.#show('.ask', !busy);
    this.#show('.stop', busy);
  }

  #emit(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  get #input(): HTMLInputElement {
    return this.#find('input');
  }

  #find(selector: '.yes' | '.no'): HTMLButtonElement;
  #find(selector: 'input'): HTMLInputElement;
  #find(selector: 'progress'): HTMLProgressElement;
  #find(selector: string): HTMLElement;
  #find(selector: string): HTMLElement {
    return this.#root.querySelector(selector) as HTMLElement;
  }

  #on(selector: string, type: string, listener: (event: Event) => void): void {
    this.#find(selector).addEventListener(type, listener);
  }

  #show(selector: string, shown: boolean): void {
    for (const part of this.#root.querySelectorAll<HTMLElement>(selector)) part.hidden = !shown;
  }
}

/** Either addresses themselves, or the address of a JSON list of them, relative to that list. */
async function pageList(value: string, at: (value: string) => URL): Promise<URL[]> {
  const parts = value.split(',').map((part) => part.trim()).filter(Boolean);
  const [only] = parts;
  if (parts.length !== 1 || !only?.split(/[?#]/)[0]?.endsWith('.json')) return parts.map(at);
  const list = at(only);
  const response = await fetch(list);
  if (!response.ok) throw new Error(`The list of pages could not be read: the server answered ${response.status} for ${list.pathname}.`);
  return ((await response.json()) as string[]).map((page) => new URL(page, list));
}

/** Enough of a passage for the browser to find it in its page. */
function firstWords(text: string): string {
  return text.trim().split(/\s+/).slice(0, 8).join(' ');
}
