/** The reading desk: pages at the left, the conversation in the middle, the open page at the right. */
import { css, html, nothing } from 'lit';
import type { PropertyDeclarations } from 'lit';
import { laidFromDrop } from '../desk/dropped';
import { DeskElement, controls } from './base';
import * as icons from './icons';
import type { LecternSettings } from './settings';

/** Below this width the open page is a sheet over the rest. */
const SHEET = '(max-width: 71.99rem)';

export class LecternDesk extends DeskElement {
  static override properties: PropertyDeclarations = { dropping: { state: true }, sheet: { state: true } };
  declare dropping: boolean;
  declare sheet: boolean;
  #media = matchMedia(SHEET);
  #depth = 0;

  static override styles = [controls, css`
    :host { display: grid; grid-template: auto minmax(0, 1fr) / 17rem minmax(0, 1fr) clamp(23rem, 31vw, 38rem); height: 100dvh; }

    .skip { position: fixed; inset: 0.6rem auto auto 1.25rem; z-index: 4; }
    .skip:not(:focus) { opacity: 0; pointer-events: none; }
    header { grid-column: 1 / -1; display: flex; align-items: center; gap: 0.75rem; padding: 0.9rem 1.5rem 0.7rem; }
    h1 { display: flex; align-items: center; gap: 0.55rem; margin: 0; font: 600 1.3125rem/1 var(--serif); font-size-adjust: 0.49; letter-spacing: 0.005em; }
    h1 svg { color: var(--accent); }
    .promise { flex: 1; padding-inline-start: 0.9rem; margin-inline-start: 0.2rem; border-inline-start: 1px solid var(--rule); color: var(--ink-quiet); }
    .where { display: flex; align-items: center; gap: 0.5rem; min-height: 2rem; padding: 0 0.6rem; border: 0; border-radius: var(--radius); background: none; color: var(--ink-soft); }
    .where:hover { background: var(--desk-deep); color: var(--ink); }

    nav { overflow-y: auto; padding: 1rem 0.5rem 2rem 1.5rem; }
    main { display: grid; grid-template-rows: minmax(0, 1fr) auto; min-width: 0; }
    aside { min-width: 0; padding: 0.25rem 1.5rem 0 0.5rem; }
    lectern-conversation { min-height: 0; }

    .drop {
      position: fixed; inset: 0.75rem; z-index: 5; display: grid; place-items: center; pointer-events: none;
      border: 2px solid var(--accent); border-radius: 10px; background: color-mix(in srgb, var(--desk) 88%, transparent);
      font: 500 1.75rem/1.3 var(--serif); font-size-adjust: 0.49; color: var(--accent);
    }

    @media (max-width: 71.99rem) {
      :host { grid-template-columns: 15.5rem minmax(0, 1fr); }
      .veil { position: fixed; inset: 0; z-index: 2; background: var(--veil); }
      div.sheet { position: fixed; inset: 0 0 0 auto; z-index: 3; width: min(34rem, 88vw); padding: 0; }
    }
    @media (max-width: 47.99rem) {
      :host { display: flex; flex-direction: column; height: auto; min-height: 100dvh; }
      header { padding: 0.75rem 1.125rem 0.25rem; }
      .promise { display: none; }
      .where { margin-inline-start: auto; }
      nav { padding: 0.5rem 1.125rem 0; overflow: visible; }
      main { flex: 1; display: flex; flex-direction: column; }
      lectern-conversation { flex: 1; }
      lectern-composer { position: sticky; bottom: 0; z-index: 1; }
      lectern-composer.still { position: static; }
      div.sheet { inset: auto 0 0 0; width: 100%; height: 86dvh; }
    }
    /* Of so little, a box that stays would leave too little. */
    @media (max-width: 47.99rem) and (max-height: 30rem) { lectern-composer { position: static; } }
    @media (max-width: 71.99rem) and (prefers-reduced-motion: no-preference) {
      div.sheet { animation: rise 0.22s ease-out; }
      @keyframes rise { from { transform: translateX(3rem); opacity: 0; } }
    }
    @media (max-width: 47.99rem) and (prefers-reduced-motion: no-preference) {
      @keyframes rise { from { transform: translateY(4rem); opacity: 0; } }
    }
  `];

  constructor() {
    super();
    this.dropping = false;
    this.sheet = this.#media.matches;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#media.addEventListener('change', this.#resized);
    document.addEventListener('keydown', this.#key);
    for (const [type, listener] of Object.entries(this.#drag)) document.addEventListener(type, listener as EventListener);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#media.removeEventListener('change', this.#resized);
    document.removeEventListener('keydown', this.#key);
    for (const [type, listener] of Object.entries(this.#drag)) document.removeEventListener(type, listener as EventListener);
  }

  override render() {
    const { desk } = this;
    const reader = html`<lectern-reader .desk=${desk}></lectern-reader>`;
    const over = this.sheet && desk.opened !== null;
    return html`
      <button class="button first skip" ?inert=${over} @click=${() => { desk.toQuestion(); }}>Skip to the question</button>
      <header ?inert=${over}>
        <h1>${icons.lectern} Lectern</h1>
        <p class="promise">Your pages stay on this machine.</p>
        <button class="where" @click=${this.#openSettings} aria-haspopup="dialog">
          <span>${this.#where()}</span>${icons.settings}<span class="hidden">Settings</span>
        </button>
      </header>
      <nav aria-label="Pages" ?inert=${over}><lectern-pages .desk=${desk}></lectern-pages></nav>
      <main ?inert=${over}>
        <lectern-conversation .desk=${desk}></lectern-conversation>
        <lectern-composer class=${desk.isBlank ? 'still' : ''} .desk=${desk}></lectern-composer>
      </main>
      ${over ? html`<div class="veil" @click=${() => { desk.close(); }}></div>` : nothing}
      ${over ? html`<div class="sheet" role="dialog" aria-modal="true" aria-label="Open page">${reader}</div>` : nothing}
      ${this.sheet ? nothing : html`<aside aria-label="Open page">${reader}</aside>`}
      <lectern-settings .desk=${desk}></lectern-settings>
      ${this.dropping ? html`<div class="drop">Let go to lay the pages down</div>` : nothing}
    `;
  }

  #where(): string {
    const { models, executor, switching } = this.desk;
    if (switching) return 'Changing over…';
    if (models.phase === 'loading' && !models.list.some(({ state }) => state === 'fetching')) return 'Opening the models…';
    if (models.phase !== 'ready' || !executor) return '';
    return executor.executor === 'gpu' ? 'On the graphics processor' : 'On the processor';
  }

  #openSettings = () => {
    this.renderRoot.querySelector<LecternSettings>('lectern-settings')?.open();
  };

  #resized = () => { this.sheet = this.#media.matches; };

  #key = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented || this.renderRoot.querySelector<LecternSettings>('lectern-settings')?.isOpen) return;
    if (this.sheet && this.desk.opened) this.desk.close();
    else if (this.desk.conversation.busy) this.desk.stop();
    else if (this.desk.opened) this.desk.close();
  };

  #drag = {
    dragenter: (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      this.#depth += 1;
      this.dropping = true;
    },
    dragover: (event: DragEvent) => {
      if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
    },
    dragleave: () => {
      this.#depth = Math.max(0, this.#depth - 1);
      if (this.#depth === 0) this.dropping = false;
    },
    drop: (event: DragEvent) => {
      this.#depth = 0;
      this.dropping = false;
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      void laidFromDrop(event.dataTransfer).then((laid) => this.desk.lay(laid));
    },
  };
}
