/** Where one asks, and the few switches that change how the answer is made. */
import { css, html, nothing } from 'lit';
import { live } from 'lit/directives/live.js';
import { DeskElement, controls, size } from './base';
import * as icons from './icons';

export class LecternComposer extends DeskElement {
  static override styles = [controls, css`
    :host { display: block; padding: 0.6rem 2rem 1.25rem; overflow: hidden; scrollbar-gutter: stable both-edges; background: linear-gradient(to bottom, transparent, var(--desk) 1.25rem); }
    .measure { max-width: 42rem; margin: 0 auto; }
    form { border: 1px solid var(--rule-strong); border-radius: 10px; background: var(--paper); box-shadow: var(--shadow); }
    form:focus-within { border-color: var(--accent); box-shadow: var(--shadow), 0 0 0 1px var(--accent); }
    .ask { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-items: end; gap: 0.5rem; padding: 0.5rem; }
    textarea {
      display: block; width: 100%; min-height: 2.5rem; max-height: 11rem; padding: 0.45rem 0.6rem; border: 0; outline: 0; resize: none; field-sizing: content;
      background: none; font: 1.125rem/1.45 var(--serif); font-size-adjust: 0.49; color: var(--ink);
    }
    textarea:focus-visible { outline: none; }
    textarea::placeholder { color: var(--ink-quiet); opacity: 1; }
    .ask .button { min-height: 2.5rem; min-width: 5rem; }
    .how { display: flex; flex-wrap: wrap; align-items: center; gap: 0.1rem 1.15rem; min-height: 2.4rem; padding: 0.2rem 0.95rem; border-top: 1px solid var(--rule); color: var(--ink-soft); font-size: 0.8125rem; }
    label { display: inline-flex; align-items: center; gap: 0.5rem; min-height: 1.75rem; }
    .off { color: var(--ink-quiet); }

    input[role="switch"] { appearance: none; position: relative; flex: none; width: 1.75rem; height: 1rem; margin: 0; border: 1px solid var(--rule-strong); border-radius: 1rem; background: var(--desk-deep); cursor: pointer; }
    input[role="switch"]::after { content: ""; position: absolute; inset: 2px auto 2px 2px; width: 0.625rem; border-radius: 50%; background: var(--rule-strong); }
    input[role="switch"]:checked { background: var(--accent); border-color: var(--accent); }
    input[role="switch"]:checked::after { inset: 2px 2px 2px auto; background: var(--accent-ink); }
    input[role="switch"]:focus-visible { border-radius: 1rem; }
    @media (forced-colors: active) {
      form:focus-within { outline: 2px solid Highlight; }
      input[role="switch"] { background: Canvas; border-color: CanvasText; }
      input[role="switch"]::after { background: CanvasText; }
      input[role="switch"]:checked { background: Highlight; border-color: Highlight; }
      input[role="switch"]:checked::after { background: HighlightText; }
    }
    select { min-height: 1.75rem; padding: 0 1.5rem 0 0.5rem; border: 1px solid transparent; border-radius: var(--radius); appearance: none; background: none; color: var(--ink); font-weight: 500; cursor: pointer; }
    select:hover { background-color: var(--desk-deep); }
    select option { background: var(--paper); color: var(--ink); }
    .select { position: relative; display: inline-flex; align-items: center; }
    .select svg { position: absolute; right: 0.3rem; pointer-events: none; color: var(--ink-quiet); }
    .voice { gap: 0.1rem; }
    input[type="range"] { width: 4.5rem; margin: 0; accent-color: var(--accent); cursor: pointer; }
    .strength .number { min-width: 1.6rem; }
    .chosen { display: flex; justify-content: space-between; gap: 0.75rem; padding: 0 0.95rem 0.55rem; font-size: 0.8125rem; color: var(--ink-soft); }
    .chosen span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .chosen b { font-weight: 500; color: var(--accent); }
    .chosen .link { flex: none; }
    .waiting { padding: 0 0.95rem 0.6rem; font-size: 0.8125rem; color: var(--ink-quiet); }
    @media (max-width: 47.99rem) {
      :host { padding: 0.5rem 0.75rem calc(0.75rem + env(safe-area-inset-bottom)); }
      .how { gap: 0 1rem; }
    }
  `];

  override connectedCallback(): void {
    super.connectedCallback();
    this.desk.addEventListener('question', this.#focus);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.desk.removeEventListener('question', this.#focus);
  }

  override render() {
    const { desk } = this;
    const { busy } = desk.conversation;
    return html`
      <div class="measure">
        <lectern-notices .desk=${desk}></lectern-notices>
        <form @submit=${this.#submit}>
          <div class="ask">
            <textarea rows="1" aria-label="Your question" placeholder=${this.#invitation}
              .value=${live(desk.draft)} @input=${this.#input} @keydown=${this.#key}></textarea>
            <button class="button ${busy ? '' : 'first'}">${busy ? html`${icons.stop} Stop` : 'Ask'}</button>
          </div>
          ${this.#waiting()}
          ${this.#chosen()}
          ${this.#how()}
        </form>
      </div>
    `;
  }

  get #invitation(): string {
    const { pages, settings } = this.desk;
    if (!settings.use_pages) return 'Ask the language model something';
    return pages.any ? 'Ask your pages something' : 'Lay down pages, then ask';
  }

  /** What the question waits for. */
  #waiting() {
    const { pending, unread, models, pages } = this.desk;
    if (pending === null) return nothing;
    const open = models.phase === 'ready';
    const what = [open ? '' : 'the models are open', unread ? `the pages are read (${unread} to go)` : ''].filter(Boolean).join(' and ');
    return html`
      <p class="waiting" role="status">
        Your question is kept, and asked as soon as ${what}.
        ${open && pages.list.some(({ state }) => state === 'ready') ? html`<button class="link" type="button" @click=${() => { this.desk.ask(pending); }}>Ask now</button>` : nothing}
      </p>`;
  }

  /** The pages that are asked alone. */
  #chosen() {
    const { pages, settings } = this.desk;
    const { chosen } = pages;
    if (chosen.length === 0 || !settings.use_pages) return nothing;
    const [first] = chosen;
    return html`
      <p class="chosen" role="status">
        <span>Only ${chosen.length === 1 && first ? html`<b>${first.name}</b>` : `${chosen.length} pages`} will be asked.</span>
        <button class="link" type="button" @click=${() => { pages.chooseOnly(); }}>Ask all pages</button>
      </p>`;
  }

  #how() {
    const { desk } = this;
    const { settings, models } = desk;
    const adapters = models.catalog?.adapters ?? [];
    const noVoice = settings.voice === null;
    return html`
      <div class="how" role="group" aria-label="How to answer">
        <label title="Search the pages and answer from what is found">
          <input type="checkbox" role="switch" .checked=${live(settings.use_pages)} @change=${(event: Event) => { desk.set({ use_pages: (event.target as HTMLInputElement).checked }); }}>
          Use my pages
        </label>
        ${adapters.length === 0 ? nothing : html`
          <label class="voice">Voice
            <span class="select">
              <select @change=${(event: Event) => { desk.set({ voice: adapters.find(({ name }) => name === (event.target as HTMLSelectElement).value) ?? null }); }}>
                <option value="" ?selected=${noVoice}>None</option>
                ${adapters.map((adapter) => html`<option value=${adapter.name} title="${adapter.description} (${size(adapter.n_bytes)})" ?selected=${settings.voice === adapter}>${adapter.title}</option>`)}
              </select>${icons.down}
            </span>
          </label>
          ${noVoice ? nothing : html`
            <label class="strength">Strength
              <input type="range" min="0" max="1" step="0.05" .value=${live(String(settings.scale))} @input=${(event: Event) => { desk.set({ scale: Number((event.target as HTMLInputElement).value) }); }}>
              <span class="number">${settings.scale.toFixed(2)}</span>
            </label>
            <label title="Answer twice, with the voice off and on, side by side">
              <input type="checkbox" role="switch" .checked=${live(settings.both)} @change=${(event: Event) => { desk.set({ both: (event.target as HTMLInputElement).checked }); }}>
              Hear both
            </label>`}`}
      </div>
    `;
  }

  #input = (event: Event) => { this.desk.write((event.target as HTMLTextAreaElement).value); };

  #key = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.desk.ask();
  };

  #submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (this.desk.conversation.busy) {
      this.desk.stop();
      this.#focus();
    } else this.desk.ask();
  };

  /** Where a keyboard would come up and cover half of the page, the button beside the box has to do. */
  #focus = () => { this.renderRoot.querySelector<HTMLElement>(matchMedia('(hover: none)').matches ? '.ask .button' : 'textarea')?.focus(); };
}
