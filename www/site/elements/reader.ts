/** The open page, set for reading, with the cited passages marked. */
import { css, html, nothing } from 'lit';
import type { TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import type { Citation, SourceInfo } from '../../client/index';
import type { Page } from '../desk/pages';
import { blocksOf, piecesOf } from '../desk/typeset';
import type { Block, Range } from '../desk/typeset';
import { DeskElement, controls, count, size } from './base';
import * as icons from './icons';

export class LecternReader extends DeskElement {
  static override styles = [controls, css`
    :host { display: block; height: 100%; }
    .page { display: grid; grid-template-rows: auto minmax(0, 1fr); height: 100%; border-radius: 4px 4px 0 0; background: var(--paper); box-shadow: var(--shadow); }
    header { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 0.5rem; align-items: center; padding: 0.8rem 0.8rem 0.7rem 2.25rem; border-bottom: 1px solid var(--rule); }
    h2 { font-size: 0.9375rem; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    header p { grid-column: 1; font-size: 0.8125rem; color: var(--ink-quiet); }
    header .icon { grid-area: 1 / 2 / span 2; }
    .scroll { overflow-y: auto; padding: 2rem 2.25rem 40vh; overscroll-behavior: contain; }
    .sheet { max-width: 34rem; margin: 0 auto; font: 1.0625rem/1.62 var(--serif); font-size-adjust: 0.49; text-wrap: pretty; hyphens: auto; overflow-wrap: break-word; }
    .sheet p { margin: 0 0 0.95em; white-space: pre-wrap; content-visibility: auto; contain-intrinsic-height: auto 6em; }
    .sheet h3 { margin: 2em 0 0.55em; font: 600 1.1875rem/1.3 var(--serif); font-size-adjust: 0.49; text-wrap: balance; hyphens: manual; }
    .sheet h3.top { margin-top: 0; margin-bottom: 0.8em; font-weight: 400; font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.01em; }
    .sheet h3:first-child { margin-top: 0; }
    .sheet h3.low { font-size: 1.0625rem; font-style: italic; font-weight: 500; }
    mark { padding: 0.22em 0; border-radius: 2px; background: var(--passage); color: inherit; box-decoration-break: clone; -webkit-box-decoration-break: clone; box-shadow: 0.12em 0 0 var(--passage), -0.12em 0 0 var(--passage); scroll-margin-block: 30vh; }
    mark.active, mark.lit { background: var(--passage-lit); box-shadow: 0.12em 0 0 var(--passage-lit), -0.12em 0 0 var(--passage-lit); }
    mark:focus { outline: none; }
    @media (forced-colors: active) { mark { background: Mark; color: MarkText; } mark.active { outline: 2px solid CanvasText; } }
    @media (prefers-reduced-motion: no-preference) { mark { transition: background-color 0.15s, box-shadow 0.15s; } }
    .sheet.verbatim { font: 0.875rem/1.55 ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size-adjust: none; hyphens: none; }
    .break { display: flex; align-items: center; gap: 0.7rem; margin: 1.6em 0; font: 0.75rem/1 var(--sans); color: var(--ink-quiet); }
    .break::before, .break::after { content: ""; flex: 1; border-top: 1px solid var(--rule); }
    .none { display: grid; place-content: center; justify-items: center; gap: 0.9rem; height: 100%; padding: 2rem; text-align: center; font: 1.0625rem/1.55 var(--serif); font-size-adjust: 0.49; color: var(--ink-quiet); background: var(--desk-deep); border-radius: 4px 4px 0 0; }
    .none p { max-width: 17rem; text-wrap: balance; }
    @media (max-width: 47.99rem) {
      .page { border-radius: 14px 14px 0 0; }
      header { padding-inline: 1.25rem 0.6rem; }
      .scroll { padding: 1.5rem 1.25rem 40vh; }
    }
  `];

  #shown = -1;
  #from: HTMLElement | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.desk.addEventListener('closed', this.#back);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.desk.removeEventListener('closed', this.#back);
  }

  override render() {
    const { opened } = this.desk;
    const page = opened && this.desk.pages.byId(opened.source_id);
    if (!opened || !page?.info) {
      return html`<div class="none"><p>${this.desk.pages.any ? 'The page an answer came from opens here, at the passage.' : 'The pages you lay down open here.'}</p></div>`;
    }
    const { info } = page;
    return html`
      <div class="page">
        <header>
          <h2 title=${page.name}>${page.name}</h2>
          <p class="number">${size(info.n_bytes)} · ${count(info.n_chunks, 'passage')}${info.format === 'pdf' ? this.#pdf(page, opened.active?.page ?? 1) : nothing}${this.#only(page)}</p>
          <button class="icon" title="Close" aria-label="Close the page" @click=${() => { this.desk.close(); }}>${icons.close}</button>
        </header>
        <div class="scroll" tabindex="0" role="region" aria-label="Text of ${page.name}">
          ${guard([opened.source_id, opened.turn], () => this.#sheet(opened.source_id, opened.citations, opened.active))}
        </div>
      </div>
    `;
  }

  override updated(): void {
    const { opened, lit } = this.desk;
    for (const mark of this.renderRoot.querySelectorAll<HTMLElement>('mark')) {
      mark.classList.toggle('lit', lit !== null && lit.source_id === opened?.source_id && (mark.dataset['spans'] ?? '').split(' ').includes(spanOf(lit)));
    }
    if (!opened || opened.turn === this.#shown) return;
    this.#shown = opened.turn;
    this.#from = deepFocus();
    const active = this.renderRoot.querySelector<HTMLElement>('mark.active');
    if (!active) {
      this.renderRoot.querySelector('.scroll')?.scrollTo({ top: 0 });
      return;
    }
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    active.focus({ preventScroll: true });
    active.scrollIntoView({ block: 'start', behavior: still ? 'auto' : 'smooth' });
  }

  #only(page: Page) {
    const { pages } = this.desk;
    if (pages.list.length < 2) return nothing;
    const isOnly = pages.isChosen(page) && pages.chosen.length === 1;
    return html` · <button class="link" @click=${() => { pages.chooseOnly(...(isOnly ? [] : [page])); }}>${isOnly ? 'Ask all pages' : 'Ask only this page'}</button>`;
  }

  #pdf(page: Page, number: number) {
    return html` · <button class="link" title=${page.password === undefined ? nothing : 'The browser asks for the password again'} @click=${() => { void this.desk.openPdf(page, number); }}>Page ${number} of the PDF</button>`;
  }

  /** Esc and the close button lead back to the mark that opened the page. */
  #back = () => {
    const from = this.#from;
    this.#from = null;
    requestAnimationFrame(() => { if (from?.isConnected) from.focus(); });
  };

  #sheet(id: number, citations: Citation[], active: Citation | null): TemplateResult {
    const source = this.desk.client.sourceText(id);
    const isVerbatim = VERBATIM.includes(this.desk.pages.byId(id)?.info?.format ?? 'plain');
    const { blocks, offsets } = blocksOf(source, isVerbatim);
    const all = active && !citations.includes(active) ? [...citations, active] : citations;
    const ranges = all.map((citation): Range => ({ start: offsets.toIndex(citation.start), end: offsets.toIndex(citation.end), name: spanOf(citation), active: citation === active }));
    let first = true;
    const block = ({ kind, level, start, end }: Block) => {
      const inside = piecesOf(start, end, ranges).map(({ from, to, names, active: isActive }) => {
        const text = source.text.slice(from, to);
        if (names.length === 0) return text;
        const focusable = isActive && first;
        if (isActive) first = false;
        return html`<mark class=${isActive ? 'active' : ''} data-spans=${names.join(' ')} tabindex=${focusable ? '-1' : nothing}>${text}</mark>`;
      });
      if (kind === 'page') return html`<div class="break" role="separator" aria-label="Page ${level}"><span>page ${level}</span></div>`;
      if (kind === 'text') return html`<p dir="auto">${inside}</p>`;
      return html`<h3 dir="auto" class=${level === 1 ? 'top' : level > 2 ? 'low' : ''}>${inside}</h3>`;
    };
    return html`<div class="sheet ${isVerbatim ? 'verbatim' : ''}">${blocks.map(block)}</div>`;
  }
}

/** Formats whose lines and columns mean something. */
const VERBATIM: SourceInfo['format'][] = ['code', 'json'];

function spanOf({ start, end }: Citation): string {
  return `${start}-${end}`;
}

function deepFocus(): HTMLElement | null {
  let { activeElement } = document;
  while (activeElement?.shadowRoot?.activeElement) ({ activeElement } = activeElement.shadowRoot);
  return activeElement instanceof HTMLElement ? activeElement : null;
}
