/** Which collection lies on the desk, and what is kept of it on this device. */
import { css, html, nothing } from 'lit';
import type { PropertyDeclarations, PropertyValues } from 'lit';
import { DeskElement, controls, count, size } from './base';
import * as icons from './icons';

export class LecternCollections extends DeskElement {
  static override properties: PropertyDeclarations = { deleting: { state: true } };
  /** The person has been asked whether to delete, and has not answered. */
  declare deleting: boolean;

  static override styles = [controls, css`
    .open { display: flex; align-items: center; gap: 0.4rem; max-width: 100%; min-height: 2rem; margin: -0.4rem 0 0.6rem -0.5rem; padding: 0 0.5rem; border: 0; border-radius: var(--radius); background: none; color: var(--ink-soft); }
    .open:hover { background: var(--desk-deep); color: var(--ink); }
    .open > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    dialog { width: min(30rem, calc(100vw - 1.5rem)); max-height: calc(100dvh - 3rem); padding: 0; border: 1px solid var(--rule); border-radius: 10px; background: var(--paper); color: var(--ink); box-shadow: var(--shadow); }
    dialog::backdrop { background: var(--veil); }
    .head { display: flex; align-items: center; justify-content: space-between; padding: 1rem 1rem 0.75rem 1.75rem; }
    h2 { font: 600 1.3125rem/1.2 var(--serif); font-size-adjust: 0.49; }
    section { padding: 1rem 1.75rem 1.25rem; border-top: 1px solid var(--rule); }
    h3 { margin-bottom: 0.6rem; font-size: 0.9375rem; font-weight: 600; }
    .choices { display: grid; gap: 0.1rem; max-height: 14rem; overflow-y: auto; }
    .choices button { display: grid; grid-template-columns: 1.25rem minmax(0, 1fr); align-items: center; width: 100%; min-height: 1.9rem; padding: 0; border: 0; border-radius: var(--radius); background: none; text-align: start; }
    .choices button:hover { background: var(--desk-deep); }
    .choices [aria-current] { color: var(--accent); font-weight: 500; }
    .choices span { grid-column: 2; }
    .choices span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    form { display: flex; gap: 0.5rem; margin-top: 0.6rem; }
    form input { flex: 1 1 auto; min-width: 0; min-height: 1.875rem; padding: 0.15rem 0.6rem; border: 1px solid var(--rule-strong); border-radius: var(--radius); background: var(--desk); color: var(--ink); }
    .own { margin-top: 0.6rem; }
    .deleted { margin-bottom: 0.8rem; font-weight: 500; }
    .row { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: 0.75rem; }
    .grave { border-color: var(--accent); color: var(--accent); }
  `];

  constructor() {
    super();
    this.deleting = false;
  }

  override render() {
    const { shelves, pages } = this.desk;
    const { current, deleted, list, storage } = shelves;
    if (!current) return nothing;
    const nPages = pages.list.length;
    return html`
      <button class="open" aria-haspopup="dialog" title="Collections" @click=${this.#open}><span>${current.title}</span>${icons.down}</button>
      <dialog aria-labelledby="title" @close=${this.#closed}>
        <div class="head"><h2 id="title">Collections</h2><button class="icon" aria-label="Close collections" @click=${this.#close}>${icons.close}</button></div>
        <section>
          ${deleted ? html`<p class="deleted" role="status">“${deleted.title}” and its ${count(deleted.nPages, 'page')} have been deleted.</p>` : nothing}
          <h3 id="which">On the desk</h3>
          <ul class="choices" aria-labelledby="which">${list.map((collection) => html`
            <li><button aria-current=${collection.id === current.id ? 'true' : nothing} @click=${() => { void shelves.choose(collection); }}>${collection.id === current.id ? icons.page : nothing}<span>${collection.title}</span></button></li>`)}
          </ul>
          <form @submit=${this.#create}>
            <input name="title" required autocomplete="off" aria-label="Name of a new collection" placeholder="A new collection">
            <button class="button small">Begin</button>
          </form>
          <p class="quiet own">Each has its own pages, and its own questions and answers until the tab is closed.</p>
        </section>
        <section>
          <h3>${current.title}</h3>
          <p class="quiet number">${count(nPages, 'page')}</p>
          <form @submit=${this.#rename}>
            <input name="title" required autocomplete="off" aria-label="Name of this collection" .value=${current.title}>
            <button class="button small">Rename</button>
          </form>
          <div class="row">
            <button class="button small" ?disabled=${nPages === 0 || !pages.isOpen} @click=${this.#export}>Export as a file</button>
            ${this.deleting
              ? html`<button class="button small grave" @click=${this.#delete}>Delete ${count(nPages, 'page')} from this device</button>
                  <button class="button small keep" @click=${this.#keep}>Keep it</button>`
              : html`<button class="button small delete" ?disabled=${!pages.isOpen} @click=${() => { this.deleting = true; }}>Delete…</button>`}
          </div>
        </section>
        <section>
          <h3>On this device</h3>
          <p class="quiet number">${storage ? `${size(storage.used)} are kept, models included${storage.quota ? `, of ${size(storage.quota)} that the browser allows` : ''}. ${storage.persisted ? 'They stay until you delete them.' : 'The browser may clear them when the disk is full: export what matters.'}` : 'The browser does not say how much is kept.'}</p>
        </section>
      </dialog>
    `;
  }

  /** The question is heard where the focus is. */
  override updated(changed: PropertyValues<this>): void {
    if (changed.has('deleting') && this.deleting) this.renderRoot.querySelector<HTMLElement>('.keep')?.focus();
  }

  protected override handOn(): void {
    this.renderRoot.querySelector<HTMLElement>('[aria-current]')?.focus();
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #open = () => {
    void this.desk.shelves.measure();
    this.#dialog?.showModal();
  };

  #close = () => { this.#dialog?.close(); };

  #closed = () => {
    this.deleting = false;
    this.desk.shelves.deleted = null;
    this.requestUpdate();
  };

  #create = (event: SubmitEvent) => {
    const title = submitted(event);
    if (title) void this.desk.shelves.create(title);
  };

  #rename = (event: SubmitEvent) => {
    const title = submitted(event, false);
    if (title) void this.desk.shelves.rename(title);
  };

  #keep = () => {
    this.deleting = false;
    void this.updateComplete.then(() => { this.renderRoot.querySelector<HTMLElement>('.delete')?.focus(); });
  };

  #delete = () => {
    this.deleting = false;
    void this.desk.shelves.delete();
  };

  #export = async () => {
    const exported = await this.desk.shelves.export();
    if (!exported) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(exported.file);
    link.download = exported.name;
    link.click();
    setTimeout(() => { URL.revokeObjectURL(link.href); }, 60_000);
  };
}

function submitted(event: SubmitEvent, reset = true): string {
  event.preventDefault();
  const form = event.target as HTMLFormElement;
  const title = new FormData(form).get('title');
  if (reset) form.reset();
  return typeof title === 'string' ? title.trim() : '';
}
