/** One answer as it is written, its citation marks, the passages behind them and the line of facts. */
import { css, html, nothing } from 'lit';
import type { PropertyDeclarations } from 'lit';
import { ANSWERED_BEFORE, ANSWER_AGAIN, legendOf, partsOf, respelledOf, saidOf, styledOf } from '../../client/index';
import type { Answer, Citation } from '../../client/index';
import type { Reply } from '../desk/conversation';
import { wordsUnder } from '../desk/typeset';
import { DeskElement, controls, count } from './base';

export class LecternAnswer extends DeskElement {
  static override properties: PropertyDeclarations = { reply: { attribute: false }, question: { attribute: false }, titled: { attribute: false } };
  declare reply: Reply;
  declare question: string;
  declare titled: boolean;

  static override styles = [controls, css`
    :host { display: block; min-width: 0; }
    .label { margin-bottom: 0.5rem; }
    .text { position: relative; font: 1.1875rem/1.62 var(--serif); font-size-adjust: 0.49; white-space: pre-wrap; overflow-wrap: anywhere; text-wrap: pretty; hanging-punctuation: first last; }
    :host([paired]) .text { font-size: 1.0625rem; }
    .text.refused { color: var(--ink-soft); font-style: italic; }
    .partly, .not-found { text-decoration: underline dotted var(--rule-strong) 1.5px; text-underline-offset: 0.22em; }
    .not-found { text-decoration-style: dashed; color: var(--ink-quiet); }
    .status { color: var(--ink-quiet); font-style: italic; }
    .note { margin-top: 0.6rem; color: var(--ink-soft); }
    .note.respelt { margin: 0 0 0.6rem; }
    details.note summary { cursor: pointer; }
    details.note p { margin-top: 0.4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
    .text code { font: 0.86em/1 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
    .bracket { font-size: 0; font-size-adjust: none; }
    .note code { color: var(--ink-quiet); }
    .actions { display: flex; flex-wrap: wrap; gap: 0.4rem; margin-top: 0.75rem; }

    .kept { white-space: nowrap; }
    .mark {
      position: relative; display: inline-block; min-width: 1.5em; margin: 0 0.12em 0 0.24em; padding: 0 0.32em; vertical-align: 0.34em;
      border: 1px solid color-mix(in srgb, var(--accent) 45%, transparent); border-radius: 4px; background: none;
      font: 600 0.6875rem/1.35 var(--sans); font-size-adjust: 0.53; font-variant-numeric: tabular-nums; font-style: normal; text-align: center; color: var(--accent);
    }
    .mark::after { content: ""; position: absolute; inset: -0.45rem -0.2rem; }
    button.mark:hover, button.mark.lit { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
    @media (forced-colors: active) { button.mark:hover, button.mark.lit { outline: 2px solid Highlight; } }
    span.mark { border-color: var(--rule); color: var(--ink-quiet); }

    .cited { margin-top: 1rem; }
    .cited li { border-top: 1px solid var(--rule); }
    .cited button { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0.1rem 0.7rem; width: 100%; padding: 0.55rem 0.25rem; border: 0; background: none; text-align: start; }
    .cited button:hover, .cited li.lit button { background: var(--passage); }
    .cited .mark { align-self: start; margin: 0.12rem 0 0; vertical-align: 0; border-color: color-mix(in srgb, var(--accent) 45%, transparent); color: var(--accent); }
    .cited .from { font-weight: 500; color: var(--ink-soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .cited .words { grid-column: 2; font: 0.9375rem/1.45 var(--serif); font-size-adjust: 0.49; color: var(--ink-quiet); display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
    lectern-facts { margin-top: 0.4rem; }
    .cited + lectern-facts { border-top: 1px solid var(--rule); padding-top: 0.25rem; margin-top: 0; }
  `];

  override render() {
    const { reply } = this;
    const { answer, error } = reply;
    const text = answer?.answer ?? reply.text;
    const running = !['done', 'failed'].includes(reply.state);
    return html`
      ${this.titled ? html`<p class="label">${reply.voice ? `${reply.voice.title}, strength ${reply.voice.scale.toFixed(2)}` : 'Voice off'}</p>` : nothing}
      ${answer?.respelled.length ? html`<p class="note respelt">${respelledOf(answer.respelled)}</p>` : nothing}
      <div class="text ${answer?.refused ? 'refused' : ''}" dir="auto" aria-live="polite" aria-busy=${running ? 'true' : 'false'}>${answer ? this.#said(answer) : this.#text(text.trim(), null)}</div>
      ${running && !text ? html`<p class="text status" role="status">${this.#status()}</p>` : nothing}
      ${this.#alone()}
      ${answer?.refused ? this.#refused() : nothing}
      ${answer && legendOf(answer.sentences) ? html`<p class="note">${legendOf(answer.sentences)}</p>` : nothing}
      ${answer ? this.#unread() : nothing}
      ${answer?.extractive && !answer.refused ? html`
        <p class="note" role="status">The passages themselves; ${this.#why(answer)}.</p>
        ${answer.set_aside ? html`<details class="note"><summary>What it said</summary><p dir="auto">${answer.set_aside}</p></details>` : nothing}
        ${this.desk.models.phase === 'ready' && !answer.usage.completion_tokens ? this.#again('Ask the language model') : nothing}` : nothing}
      ${answer?.cached ? html`
        <p class="note">${ANSWERED_BEFORE}</p>
        ${this.#again(ANSWER_AGAIN, true)}` : nothing}
      ${error ? html`
        <p class="note" role=${error.code === 'cancelled' ? 'status' : 'alert'}>${error.message}${error.code === 'cancelled' ? nothing : html` <code>${error.code}</code>`}</p>
        ${this.#again('Ask again')}` : nothing}
      ${answer && answer.stopped === 'cancelled' ? html`<p class="note" role="status">Stopped here.</p>` : nothing}
      ${answer?.stopped === 'length' ? html`<p class="note">The answer reached its longest length. It can be set higher under settings.</p>` : nothing}
      ${answer && answer.citations.length > 0 ? this.#cited(answer.citations) : nothing}
      ${answer ? html`<lectern-facts .desk=${this.desk} .reply=${reply}></lectern-facts>` : nothing}
    `;
  }

  #why({ set_aside, usage }: Answer): string {
    if (set_aside) return 'what the language model said stands in none of them';
    return usage.completion_tokens ? 'the language model said nothing' : 'no language model was asked';
  }

  #status(): string {
    const { reply } = this;
    if (reply.state === 'waiting') return this.desk.conversation.list.at(-1)?.replies[0] === reply ? 'One moment…' : 'Next…';
    if (reply.state === 'searching') return 'Looking through the pages…';
    const { prefill } = reply;
    const share = prefill && prefill.total ? ` ${Math.round((100 * prefill.done) / prefill.total)} %` : '';
    return reply.hits.length ? `Reading ${reply.hits.length} passages…${share}` : `Thinking…${share}`;
  }

  /** Sentences that the passages do not hold are marked, to the eye and to a screen reader. */
  #said({ answer, sentences, citations }: Answer) {
    return saidOf(answer, sentences).map(({ text, support, told }) => {
      const shown = this.#text(text, citations);
      return told ? html`<span class=${support} title=${`This is ${told}.`}>${shown}<span class="hidden"> (${told})</span></span>` : shown;
    });
  }

  /** Numbers in brackets become marks; they open once the answer says which passage each stands for. */
  #text(text: string, citations: Citation[] | null): unknown[] {
    return partsOf(text).map(({ text: written, word, marker }) => {
      if (marker === null) return this.#styled(written);
      const citation = citations?.find((other) => other.marker === marker);
      if (citations && !citation) return this.#styled(written);
      return html`<span class="kept">${word}${citation ? this.#mark(citation) : html`<span class="mark">${marker}</span>`}</span>`;
    });
  }

  #styled(text: string) {
    return styledOf(text).map(({ text: run, as }) => (as === 'code' ? html`<code>${run}</code>` : as ? html`<strong>${run}</strong>` : run));
  }

  #mark(citation: Citation) {
    const { desk } = this;
    const light = () => { desk.light(citation); };
    const dim = () => { desk.light(null); };
    return html`<button class="mark ${desk.lit === citation ? 'lit' : ''}" aria-label="Passage ${citation.marker}, ${citation.source}${citation.page ? `, page ${citation.page}` : ''}"
      @pointerenter=${light} @pointerleave=${dim} @focus=${light} @blur=${dim} @click=${() => { this.#open(citation); }}><span class="bracket">[</span>${citation.marker}<span class="bracket">]</span></button>`;
  }

  #cited(citations: Citation[]) {
    const { desk } = this;
    return html`
      <ol class="cited" aria-label="Passages behind this answer">
        ${citations.map((citation) => {
          const heading = this.#heading(citation);
          return html`
          <li class=${desk.lit === citation ? 'lit' : ''}>
            <button @pointerenter=${() => { desk.light(citation); }} @pointerleave=${() => { desk.light(null); }} @click=${() => { this.#open(citation); }}>
              <span class="mark">${citation.marker}</span>
              <span class="from">${desk.pages.isOpen && !desk.pages.byId(citation.source_id) ? 'Taken off the desk: ' : ''}${citation.source}${citation.page ? ` · page ${citation.page}` : ''}${heading ? ` · ${heading}` : ''}</span>
              <span class="words" dir="auto">${wordsUnder(heading, citation.text)}</span>
            </button>
          </li>`;
        })}
      </ol>
    `;
  }

  #heading(citation: Citation): string {
    const hit = this.reply.answer?.hits.find((other) => other.source_id === citation.source_id && other.start <= citation.start && other.end >= citation.end);
    return hit?.headings.at(-1) ?? '';
  }

  #open(citation: Citation): void {
    const all = this.reply.answer?.citations ?? [];
    this.desk.open({ source_id: citation.source_id, name: citation.source }, all.filter(({ source_id }) => source_id === citation.source_id), citation);
  }

  /** Of which pages it was asked, where not of all. */
  #alone() {
    const { rag, sources = [] } = this.reply.options;
    const [first] = sources;
    if (!rag || first === undefined) return nothing;
    const name = this.desk.pages.byId(first)?.name;
    return html`<p class="note">Asked of ${sources.length === 1 && name ? name : count(sources.length, 'page')} alone.</p>`;
  }

  #refused() {
    const near = this.reply.answer?.hits[0];
    return html`
      <p class="note">Try other words, or lay down the page that would know. With “Use my pages” off, the model answers from what it was trained on, without sources.</p>
      ${near ? html`<div class="actions"><button class="button small" @click=${() => { this.desk.open({ source_id: near.source_id, name: near.source }, [], { marker: 0, source_id: near.source_id, source: near.source, start: near.start, end: near.end, page: near.page, text: near.text }); }}>Show the nearest passage</button></div>` : nothing}
    `;
  }

  /** The pages that could not be looked at, since they were still to be read, may know. */
  #unread() {
    const { unread } = this.reply;
    if (!unread) return nothing;
    const { settled } = this.desk.pages;
    return html`
      <p class="note" role="status">${count(unread, 'page')} ${unread === 1 ? 'was' : 'were'} not read yet when this was asked.${settled ? '' : ' It can be asked again once all are.'}</p>
      ${settled ? this.#again('Ask again') : nothing}`;
  }

  /** Of the same pages, where it was asked of some alone. */
  #again(label: string, fresh = false) {
    if (this.desk.conversation.busy) return nothing;
    return html`<div class="actions"><button class="button small" @click=${() => { this.desk.ask(this.question, fresh, this.reply.options.sources); }}>${label}</button></div>`;
  }
}
