/** The pages on the desk, and the ways of laying down more. */
import { css, html, nothing } from 'lit';
import type { PropertyDeclarations } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { repeat } from 'lit/directives/repeat.js';
import { laidFromList } from '../desk/dropped';
import { numbered } from '../desk/names';
import { isUnread } from '../desk/pages';
import type { Page, Taken } from '../desk/pages';
import { DeskElement, controls, count } from './base';
import * as icons from './icons';

/** On a phone the list folds away once it has done its part. */
const NARROW = '(max-width: 47.99rem)';

export class LecternPages extends DeskElement {
  static override properties: PropertyDeclarations = { folded: { state: true }, narrow: { state: true }, at: { state: true } };
  declare folded: boolean;
  declare narrow: boolean;
  /** The key of the page whose buttons Tab comes to. */
  declare at: string;
  #media = matchMedia(NARROW);
  #foldedOnce = false;
  /** The row that holds the focus, before the rows change. */
  #held: { key: string; index: number } | null = null;
  #unlocking: Page | null = null;

  static override styles = [controls, css`
    .head { display: flex; align-items: baseline; justify-content: space-between; margin-bottom: 0.6rem; }
    h2 { font-size: 0.9375rem; font-weight: 600; }
    h2 button { display: inline-flex; align-items: center; gap: 0.35rem; padding: 0.25rem 0; border: 0; background: none; font-weight: 600; }
    h2 button[aria-expanded="true"] svg { transform: rotate(180deg); }
    .touch { display: none; }
    @media (hover: none) { .touch { display: inline; } .mouse { display: none; } }
    .name.gone { color: var(--ink-quiet); text-decoration: line-through; }
    .list { margin-bottom: 1rem; }
    .hint { margin: -0.6rem 0 1rem; font-size: 0.8125rem; color: var(--ink-quiet); }
    .list:not(:has(button:focus-visible)) + .hint { display: none; }
    li { position: relative; display: grid; grid-template-columns: minmax(0, 1fr) auto auto; align-items: center; padding: 0.5rem 0; border-top: 1px solid var(--rule); }
    li:last-child { border-bottom: 1px solid var(--rule); }
    .name {
      display: flex; align-items: center; gap: 0.5rem; min-width: 0; padding: 0.05rem 0; border: 0; background: none; text-align: start;
      font: 400 1rem/1.35 var(--serif); font-size-adjust: 0.49; color: var(--ink);
    }
    .name svg { color: var(--rule-strong); }
    .name > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    button.name:hover > span { text-decoration: underline; text-decoration-thickness: 1px; text-underline-offset: 0.2em; }
    li.open .name svg, li.lit .name svg { color: var(--accent); }
    li.open .name, li.lit .name { color: var(--accent); }
    li .icon { margin-inline-end: -0.35rem; opacity: 0; }
    li .icon.only { margin-inline-end: 0; }
    @media (hover: hover) { li:not(:hover, :focus-within) .icon.only[aria-pressed="false"] { display: none; } }
    li:hover .icon, li:focus-within .icon, li.failed .icon, .icon[aria-pressed="true"] { opacity: 1; }
    .icon[aria-pressed="true"] { color: var(--accent); }
    @media (hover: none) { li .icon { opacity: 1; } }
    @media (forced-colors: active) {
      .icon[aria-pressed="true"] { background: Highlight; color: HighlightText; }
      li.open .name { font-weight: 700; }
    }
    .state { grid-column: 1 / -1; padding-inline-start: 1.5rem; font-size: 0.8125rem; color: var(--ink-quiet); }
    .bar { margin: 0.4rem 0 0.25rem; }
    .why { color: var(--ink); }
    .unlock { display: flex; gap: 0.4rem; margin: 0.4rem 0 0.2rem; }
    .unlock input { flex: 1 1 auto; min-width: 0; padding: 0.3rem 0.5rem; border: 1px solid var(--rule-strong); border-radius: var(--radius); background: var(--paper); color: var(--ink); }
    .why code { color: var(--ink-quiet); white-space: nowrap; }

    .lay { padding: 1rem; border: 1px dashed var(--rule-strong); border-radius: var(--radius); }
    .lay h3 { margin-bottom: 0.2rem; font-size: inherit; font-weight: 600; }
    .lay p { margin-bottom: 0.85rem; font-size: 0.8125rem; color: var(--ink-quiet); }
    .ways { display: flex; gap: 0.4rem; }
    .ways .button { flex: 1 1 0; padding-inline: 0.25rem; }

    dialog { width: min(38rem, calc(100vw - 2rem)); padding: 1.5rem; border: 1px solid var(--rule); border-radius: 10px; background: var(--paper); color: var(--ink); box-shadow: var(--shadow); }
    dialog::backdrop { background: var(--veil); }
    dialog h2 { font: 600 1.25rem/1.2 var(--serif); font-size-adjust: 0.49; margin-bottom: 1rem; }
    dialog label { display: block; margin-bottom: 0.9rem; color: var(--ink-soft); }
    dialog input, dialog textarea { display: block; width: 100%; margin-top: 0.3rem; padding: 0.5rem 0.65rem; border: 1px solid var(--rule-strong); border-radius: var(--radius); background: var(--desk); color: var(--ink); }
    dialog textarea { min-height: 14rem; resize: vertical; font: 1.0625rem/1.55 var(--serif); font-size-adjust: 0.49; }
    .row { display: flex; justify-content: flex-end; gap: 0.5rem; }
  `];

  constructor() {
    super();
    this.folded = false;
    this.at = '';
    this.narrow = this.#media.matches;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#media.addEventListener('change', this.#resized);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#media.removeEventListener('change', this.#resized);
  }

  override willUpdate(): void {
    const row = this.shadowRoot?.activeElement?.closest('li');
    this.#held = row ? { key: row.dataset['key'] ?? '', index: this.#rows.indexOf(row) } : null;
    if (this.#foldedOnce || !this.narrow || this.desk.conversation.list.length === 0) return;
    this.#foldedOnce = true;
    this.folded = true;
  }

  override render() {
    const { list, taken } = this.desk.pages;
    const rows: (Page | Taken)[] = [...list];
    if (taken) rows.splice(taken.at, 0, taken);
    const at = list.some(({ key }) => key === this.at) ? this.at : list[0]?.key;
    const folded = this.narrow && this.folded && list.length > 0;
    const head = html`
      <div class="head">
        <h2>${this.narrow ? html`<button aria-expanded=${folded ? 'false' : 'true'} @click=${() => { this.folded = !this.folded; }}>Pages ${icons.down}</button>` : 'Pages'}</h2>
        <span class="quiet number">${list.filter(({ state }) => state === 'ready').length} of ${list.length} read</span>
      </div>`;
    const failed = list.some(isUnread) ? 0 : list.filter(({ state }) => state === 'failed').length;
    const told = html`<p class="hidden" role="status">${failed ? `${count(failed, 'page')} could not be read; the list says why.` : ''}</p>`;
    if (folded) return html`${head}${told}`;
    return html`
      ${told}
      <lectern-collections .desk=${this.desk}></lectern-collections>
      ${list.length ? head : html`<h2 class="hidden">Pages</h2>`}
      ${rows.length ? html`
        <ul class="list" @keydown=${this.#key} @focusin=${this.#came}>${repeat(rows, ({ key }) => key, (row) => ('laid' in row ? this.#taken(row) : this.#row(row, row.key === at)))}</ul>
        ${list.length > 1 ? html`<p class="hint">The arrow keys go from page to page.</p>` : nothing}` : nothing}
      <div class="lay">
        <h3>Lay down ${list.length ? 'more ' : ''}pages</h3>
        <p><span class="mouse">Drop PDF, Word, EPUB, HTML, Markdown, tables, code or text, a ZIP file, an exported collection or a whole folder, anywhere on the desk.</span><span class="touch">PDF, Word, EPUB, HTML, Markdown, tables, code or text, also in a ZIP file.</span></p>
        <div class="ways">
          <button class="button small" aria-label="Choose files" @click=${() => { this.#pick(false); }}>Files</button>
          <button class="button small" aria-label="Choose a folder" @click=${() => { this.#pick(true); }}>Folder</button>
          <button class="button small" aria-label="Paste text" @click=${() => { this.#dialog?.showModal(); }}>Text</button>
        </div>
      </div>
      <input class="files" type="file" multiple hidden aria-label="Files to lay down" @change=${this.#picked}>
      <input class="folder" type="file" webkitdirectory hidden aria-label="Folder to lay down" @change=${this.#picked}>
      <dialog aria-labelledby="paste">
        <form method="dialog" @submit=${this.#pasted}>
          <h2 id="paste">Paste text</h2>
          <label>What to call it <input name="name" autocomplete="off" placeholder="Pasted text"></label>
          <label>Text <textarea name="text" required></textarea></label>
          <div class="row">
            <button class="button" type="button" @click=${() => { this.#dialog?.close(); }}>Close</button>
            <button class="button first">Lay it down</button>
          </div>
        </form>
      </dialog>
    `;
  }

  /** Of thousands of rows only those that change are made anew. */
  #row(page: Page, isAt: boolean) {
    const { desk } = this;
    const { name, state, done, total, info, error } = page;
    const lit = info !== null && desk.lit?.source_id === info.id;
    const open = info !== null && desk.opened?.source_id === info.id;
    const chosen = desk.pages.isChosen(page);
    return guard([page, name, state, done, total, info, error, lit, open, chosen, isAt, desk.models.phase], () => this.#shown(page, { lit, open, chosen, isAt }));
  }

  #shown(page: Page, { lit, open, chosen, isAt }: { lit: boolean; open: boolean; chosen: boolean; isAt: boolean }) {
    const { desk } = this;
    const { info } = page;
    const name = html`${icons.page}<span>${page.name}</span>`;
    const tab = isAt ? nothing : '-1';
    return html`
      <li data-key=${page.key} class="${page.state} ${lit ? 'lit' : ''} ${open ? 'open' : ''}">
        ${info
          ? html`<button class="name" tabindex=${tab} title=${page.name} @click=${() => { desk.open({ source_id: info.id, name: page.name }); }}>${name}</button>`
          : html`<span class="name" title=${page.name}>${name}</span>`}
        ${info ? html`<button class="icon only" tabindex=${tab} title=${chosen ? 'Chosen: only chosen pages are asked' : 'Choose it: only chosen pages are asked'} aria-label="Choose ${page.name}" aria-pressed=${chosen ? 'true' : 'false'} @click=${() => { desk.pages.choose(page, !chosen); }}>${icons.only}</button>` : html`<span></span>`}
        <button class="icon off" tabindex=${tab} title="Take ${page.name} off the desk" aria-label="Take ${page.name} off the desk" @click=${() => { void desk.removePage(page); }}>${icons.close}</button>
        ${this.#state(page)}
      </li>
    `;
  }

  /** In the place of the page, and only as long as it can be put back. */
  #taken({ key, name }: Taken) {
    return html`
      <li data-key=${key}>
        <span class="name gone" title=${name}>${icons.page}<span>${name}</span></span>
        <button class="link back" aria-label="Put back ${name}" @click=${() => { void this.desk.pages.putBack(); }}>Put back</button>
        <div class="state">taken off the desk</div>
      </li>`;
  }

  #state(page: Page) {
    switch (page.state) {
      case 'waiting':
        return html`<div class="state">${this.desk.models.phase === 'missing' ? 'waits for the models' : 'waits its turn'}</div>`;
      case 'reading': {
        const share = page.total ? page.done / page.total : 0;
        return html`<div class="state">
          <div class="bar" role="progressbar" aria-label="Reading ${page.name}" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}><span style="width:${share * 100}%"></span></div>
          <span class="number">${page.total ? `reading passage ${Math.min(page.done + 1, page.total)} of ${page.total}` : 'reading'}</span>
        </div>`;
      }
      case 'ready': {
        const warnings = page.info?.warnings ?? [];
        return html`<div class="state number">${count(page.info?.n_chunks ?? 0, 'passage')}${warnings.map((warning) => html`<br>${warning}`)}</div>`;
      }
      case 'failed':
        return html`<div class="state">
          <span class="why">${whyOf(page)}</span> <code>${page.error?.code}</code>
          ${page.error?.code === 'file-password' ? html`
            <form class="unlock" @submit=${(event: SubmitEvent) => { this.#unlock(event, page); }}>
              <input type="password" name="password" autocomplete="off" required aria-label="Password of ${page.name}" placeholder="Password">
              <button class="button small">Open</button>
            </form>` : nothing}
          ${['cancelled', 'interrupted', 'engine-died', 'worker-died', 'file-too-slow'].includes(page.error?.code ?? '') ? html`<button class="link" @click=${() => { this.desk.pages.again(page); }}>Read it again</button>` : nothing}
        </div>`;
    }
  }

  #unlock(event: SubmitEvent, page: Page): void {
    event.preventDefault();
    const password = new FormData(event.target as HTMLFormElement).get('password');
    if (typeof password !== 'string' || !password) return;
    this.#unlocking = page;
    this.desk.pages.unlock(page, password);
  }

  /** To the same row, or to the one that has come in its place. */
  protected override handOn(): void {
    const rows = this.#rows;
    const { key, index } = this.#held ?? { key: '', index: 0 };
    const row = rows.find((one) => one.dataset['key'] === key) ?? rows[index] ?? rows.at(-1);
    (row ?? this.renderRoot).querySelector<HTMLElement>('.back, .off, .ways button')?.focus();
  }

  /** What became of the password is told to the one who still waits there for it. */
  override updated(): void {
    const page = this.#unlocking;
    if (!page || isUnread(page)) return;
    this.#unlocking = null;
    if (this.#held?.key !== page.key) return;
    this.#rows.find((one) => one.dataset['key'] === page.key)?.querySelector<HTMLElement>('.unlock input, button.name')?.focus();
  }

  get #rows(): HTMLElement[] {
    return [...this.renderRoot.querySelectorAll<HTMLElement>('.list > li')];
  }

  #came = (event: FocusEvent) => { this.at = (event.target as HTMLElement).closest('li')?.dataset['key'] ?? ''; };

  /** From a button to the same one of another row. */
  #key = (event: KeyboardEvent) => {
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    const button = (event.target as HTMLElement).closest('li > button');
    const row = button?.closest('li');
    if (step === undefined || !button || !row || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const rows = this.#rows;
    const to = rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(row) + step))];
    // The middle one shows itself only beside the focus.
    to?.querySelector<HTMLElement>('.off')?.focus();
    to?.querySelector<HTMLElement>(`:scope > .${['name', 'only', 'off'].find((kind) => button.classList.contains(kind)) ?? 'off'}:is(button)`)?.focus();
  };

  #resized = () => { this.narrow = this.#media.matches; };

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #pick(folder: boolean): void {
    this.renderRoot.querySelector<HTMLInputElement>(folder ? '.folder' : '.files')?.click();
  }

  #picked = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    void this.desk.lay(laidFromList(input.files ?? []));
    input.value = '';
  };

  #pasted = (event: SubmitEvent) => {
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const given = (data.get('name') as string).trim() || 'Pasted text';
    const [end = '.md'] = /\.\w+$/.exec(given) ?? [];
    const name = numbered(given.endsWith(end) ? given.slice(0, -end.length) : given, this.desk.pages.list.map((page) => page.name), end);
    void this.desk.lay([{ name, file: new Blob([data.get('text') as string]) }]);
    form.reset();
  };
}

/** What is wrong, without the name that stands above it. */
function whyOf({ name, error }: Page): string {
  const message = error?.message ?? '';
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
}
