/** What has been asked and answered; before that, what this is and how to begin. */
import { css, html, nothing } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Exchange } from '../desk/conversation';
import { isUnread } from '../desk/pages';
import { DeskElement, controls, size } from './base';

/** What the ask box takes of a phone's height. */
const COMPOSER = 140;

export class LecternConversation extends DeskElement {
  static override styles = [controls, css`
    :host { display: block; min-height: 0; }
    .scroll { height: 100%; overflow-y: auto; padding: 1.25rem 2rem 2.5rem; scrollbar-gutter: stable both-edges; }
    .measure { max-width: 42rem; min-height: 100%; margin: 0 auto; }
    .measure.wide { max-width: 56rem; }

    .welcome { display: flex; flex-direction: column; justify-content: center; padding: 2rem 0; }
    .welcome h2 { max-width: 18ch; margin-bottom: 1.1rem; font: 400 clamp(2rem, 1.4rem + 1.9vw, 2.875rem)/1.14 var(--serif); font-size-adjust: 0.49; letter-spacing: -0.012em; text-wrap: balance; }
    .welcome p { max-width: 34rem; font: 1.125rem/1.6 var(--serif); font-size-adjust: 0.49; color: var(--ink-soft); text-wrap: pretty; }
    .start { display: flex; flex-wrap: wrap; align-items: center; gap: 0.75rem 1.1rem; margin-top: 1.75rem; }
    .start .button { min-height: 2.6rem; padding-inline: 1.15rem; }
    .welcome .start p { max-width: 19rem; font: inherit; font-size-adjust: inherit; color: var(--ink-quiet); }

    .invitation { padding-top: 0.25rem; font: 1.4375rem/1.3 var(--serif); font-size-adjust: 0.49; color: var(--ink-quiet); }

    .try { padding-top: 0.5rem; }
    .try .label { margin-bottom: 0.6rem; }
    .try li { border-top: 1px solid var(--rule); }
    .try li:last-child { border-bottom: 1px solid var(--rule); }
    .try button { width: 100%; padding: 0.65rem 0.25rem; border: 0; background: none; text-align: start; font: 1.125rem/1.4 var(--serif); font-size-adjust: 0.49; color: var(--accent); }
    .try button:hover { text-decoration: underline; text-decoration-thickness: 1px; text-underline-offset: 0.2em; }

    article { padding: 0 0 2.25rem; }
    article + article { padding-top: 2.25rem; border-top: 1px solid var(--rule); }
    article > h3 { max-width: 36rem; margin-bottom: 1rem; font: 600 1.4375rem/1.3 var(--serif); font-size-adjust: 0.49; letter-spacing: -0.004em; text-wrap: balance; overflow-wrap: anywhere; }
    .both { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 2.5rem; }
    .both > * + * { position: relative; }
    .both > * + *::before { content: ""; position: absolute; inset: 0 auto 0 -1.25rem; border-inline-start: 1px solid var(--rule); }
    @media (max-width: 47.99rem) {
      .scroll { height: auto; overflow: visible; padding: 1rem 1.125rem 1.5rem; }
      .welcome { padding: 1.25rem 0 0.5rem; }
      .both { grid-template-columns: 1fr; gap: 1.75rem; }
      .both > * + *::before { inset: -0.875rem 0 auto 0; border-inline-start: 0; border-top: 1px solid var(--rule); }
    }
  `];

  #nSeen = 0;
  #following = false;

  override render() {
    const { list } = this.desk.conversation;
    const { pages, shelves, models } = this.desk;
    const known = pages.isOpen || shelves.isNew || models.phase === 'unavailable';
    const welcome = known && this.desk.isBlank && !this.#modelsShown;
    const wide = list.some(({ replies }) => replies.length > 1);
    return html`
      <div class="scroll" tabindex="0" role="region" aria-label="Conversation" @wheel=${this.#leave} @touchmove=${this.#leave} @keydown=${this.#leave}>
        <div class="measure ${welcome ? 'welcome' : ''} ${wide ? 'wide' : ''}">
          ${welcome ? this.#welcome() : this.#invitation()}
          ${repeat(list, ({ key }) => key, (exchange) => this.#exchange(exchange))}
          <lectern-models .desk=${this.desk}></lectern-models>
          ${welcome ? nothing : this.#try()}
        </div>
      </div>
    `;
  }

  /** Keeps the newest words in sight and the question above them, until the person scrolls. */
  override updated(): void {
    const { list, busy } = this.desk.conversation;
    if (list.length > this.#nSeen) this.#following = true;
    this.#nSeen = list.length;
    if (!this.#following) return;
    if (!busy) this.#following = false;
    requestAnimationFrame(() => { this.#follow(); });
  }

  #follow(): void {
    const scroll = this.renderRoot.querySelector('.scroll');
    const last = [...this.renderRoot.querySelectorAll('article')].at(-1)?.getBoundingClientRect();
    if (!scroll || !last) return;
    const own = getComputedStyle(scroll).overflowY === 'auto';
    const box = own ? scroll.getBoundingClientRect() : { top: 0, bottom: innerHeight - COMPOSER };
    const hidden = Math.min(last.bottom - box.bottom, last.top - box.top - 20);
    if (hidden > 0) (own ? scroll : document.documentElement).scrollBy({ top: hidden });
  }

  #leave = () => { this.#following = false; };

  get #modelsShown(): boolean {
    const { phase, asking, list } = this.desk.models;
    return (phase === 'missing' && asking) || (phase === 'loading' && list.some(({ state }) => state === 'fetching'));
  }

  #welcome() {
    const { models } = this.desk;
    const missing = models.nBytesMissing;
    return html`
      <h2>Lay down pages, ask, and see where it is written.</h2>
      <p>Lectern reads your documents with a small language model inside this tab. Every answer points to the passages it came from, and nothing you lay down leaves your machine.</p>
      <div class="start">
        <button class="button first" aria-describedby="cost" ?disabled=${models.phase === 'unavailable' || models.phase === 'starting'} @click=${() => { void this.desk.layExample(); }}>Try it with example pages</button>
        <p id="cost">${models.phase === 'missing' && missing ? `Downloads two models first, ${size(missing)} in all, once.` : 'Three short pages about Lectern itself.'}</p>
      </div>
    `;
  }

  /** Own pages, and nothing asked yet. */
  #invitation() {
    const { pages, conversation, exampleLaid, models } = this.desk;
    if (conversation.list.length > 0 || exampleLaid || this.#modelsShown || models.phase === 'missing' || !pages.any) return nothing;
    const reading = pages.list.some(isUnread);
    return html`<p class="invitation">${reading ? 'Your pages are being read. You can ask already.' : 'Your pages are read. What would you like to know?'}</p>`;
  }

  #exchange(exchange: Exchange) {
    const both = exchange.replies.length > 1;
    return html`
      <article aria-label="Question and answer">
        <h3 dir="auto">${exchange.question}</h3>
        <div class=${both ? 'both' : ''}>
          ${exchange.replies.map((reply) => html`<lectern-answer ?paired=${both} .desk=${this.desk} .reply=${reply} .question=${exchange.question} .titled=${both || reply.voice !== null}></lectern-answer>`)}
        </div>
      </article>
    `;
  }

  #try() {
    const { questions, conversation, models } = this.desk;
    const asked = new Set(conversation.list.map(({ question }) => question));
    const left = questions.filter((question) => !asked.has(question));
    if (left.length === 0 || conversation.busy || this.#modelsShown || models.phase === 'missing') return nothing;
    return html`
      <section class="try" aria-labelledby="try">
        <h2 class="label" id="try">${asked.size ? 'Also worth asking' : 'Ask the example pages'}</h2>
        <ul>${left.map((question) => html`<li><button @click=${() => { this.desk.ask(question); }}>${question}</button></li>`)}</ul>
      </section>
    `;
  }
}
