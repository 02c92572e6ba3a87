/** Asks before anything large is downloaded, names the bytes, shows them come, and can stop. */
import { css, html, nothing } from 'lit';
import type { ModelState } from '../desk/models';
import { DeskElement, controls, size } from './base';

const WHAT_FOR = { decoder: 'writes the answers', embedder: 'reads your pages' };

export class LecternModels extends DeskElement {
  static override styles = [controls, css`
    section { padding: 1.4rem 1.5rem 1.5rem; margin-bottom: 0.75rem; border-radius: 10px; background: var(--paper); box-shadow: var(--shadow); }
    h2 { font: 600 1.25rem/1.25 var(--serif); font-size-adjust: 0.49; margin-bottom: 0.4rem; text-wrap: balance; }
    section > p { max-width: 34rem; color: var(--ink-soft); }
    ul { margin: 1rem 0 1.1rem; }
    li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 1rem; padding: 0.55rem 0; border-top: 1px solid var(--rule); }
    li:last-child { border-bottom: 1px solid var(--rule); }
    li .bar { grid-column: 1 / -1; margin-top: 0.45rem; }
    .row { display: flex; flex-wrap: wrap; gap: 0.5rem; }
    .later { display: flex; flex-wrap: wrap; align-items: center; gap: 0.75rem 1.1rem; padding-top: 0.25rem; }
    .later span { font: 1.4375rem/1.3 var(--serif); font-size-adjust: 0.49; color: var(--ink-quiet); }
    @media (max-width: 47.99rem) { section { scroll-margin-bottom: 18rem; padding: 1.2rem 1.25rem 1.3rem; } }
  `];

  #shown = 0;

  /** On a phone it may lie below what the person is looking at, or under the question that now waits for it. */
  override updated(): void {
    const section = this.renderRoot.querySelector('section');
    const shown = section ? 1 + Number(this.desk.pending !== null) : 0;
    if (shown > this.#shown) requestAnimationFrame(() => { section?.scrollIntoView({ block: 'nearest' }); });
    this.#shown = shown;
  }

  protected override handOn(): void {
    const download = this.renderRoot.querySelector<HTMLElement>('.first');
    if (download) download.focus();
    else super.handOn();
  }

  override render() {
    const { models } = this.desk;
    const fetching = models.phase === 'loading' && models.list.some(({ state, done, n_bytes }) => state === 'fetching' && done < n_bytes);
    const asking = models.phase === 'missing' && models.asking;
    const total = models.nBytesMissing;
    if (!asking && !fetching) return models.phase === 'missing' && this.#isNeeded ? this.#later(total) : this.#voice();
    return html`
      <section aria-labelledby="title">
        <h2 id="title">${fetching ? 'Fetching the models' : 'First, two models have to come to you'}</h2>
        <p>${fetching ? 'They will be kept in this browser, so this happens once.' : 'Lectern reads and answers on this machine. The models are fetched once from this site and kept in this browser; your pages go nowhere.'}</p>
        <ul>${models.list.map((model) => this.#row(model, fetching))}</ul>
        <div class="row">
          ${fetching
            ? html`<button class="button" @click=${() => { models.cancel(); }}>Cancel</button>`
            : html`<button class="button first" @click=${() => { void models.load(); }}>${total ? `Download ${size(total)}` : 'Open the models'}</button>
                   <button class="button" @click=${() => { this.desk.postpone(); }}>Not now</button>`}
        </div>
      </section>
    `;
  }

  /** There is something that only the models can go on with. */
  get #isNeeded(): boolean {
    const { pages, conversation } = this.desk;
    return pages.any || conversation.list.length > 0;
  }

  /** The person did not want to download yet. */
  #later(total: number) {
    const { models } = this.desk;
    return html`
      <p class="later">
        <span>${models.canRead ? 'The language model is not here yet: the passages themselves will answer.' : 'Your pages wait for the models, and so will your questions.'}</span>
        <button class="button" @click=${() => { models.ask(); }}>Get the models${total ? `, ${size(total)}` : ''}…</button>
      </p>`;
  }

  #row(model: ModelState, fetching: boolean) {
    const share = model.n_bytes ? model.done / model.n_bytes : 0;
    const figure = !fetching
      ? (model.done === model.n_bytes ? 'already here' : size(model.n_bytes))
      : { missing: size(model.n_bytes), fetching: `${size(model.done)} of ${size(model.n_bytes)}`, opening: 'opening', ready: 'ready' }[model.state];
    return html`
      <li>
        <span>${model.name} <span class="quiet">${WHAT_FOR[model.role]} · ${model.licence}</span></span>
        <span class="number">${figure}</span>
        ${fetching ? html`<div class="bar" role="progressbar" aria-label=${model.name} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}><span style="width:${share * 100}%"></span></div>` : nothing}
      </li>
    `;
  }

  #voice() {
    const { voiceLoading } = this.desk.models;
    if (!voiceLoading) return nothing;
    const { title, done, total } = voiceLoading;
    return html`<p role="status" class="quiet number">Fetching the voice ${title}, ${size(done)} of ${size(total)}</p>`;
  }
}
