/** The quiet line under an answer: how fast, how much, where; opens to everything that was measured. */
import { css, html, nothing } from 'lit';
import type { PropertyDeclarations } from 'lit';
import type { Answer, Facts, Hit, Reading } from '../../client/index';
import type { Reply } from '../desk/conversation';
import { DeskElement, controls, count, size } from './base';
import * as icons from './icons';

const PATHS: Record<Answer['dense_path'], string> = { none: 'words only', exact: 'exact', graph: 'graph', mixed: 'graph and exact' };
const STOPPED: Record<Answer['stopped'], string> = { end: 'the model was done', length: 'the longest length was reached', cancelled: 'you stopped it', stop: 'a stop word came', repeat: 'the next sentence would have been one said before', refused: 'nothing near enough was found' };

export class LecternFacts extends DeskElement {
  static override properties: PropertyDeclarations = { reply: { attribute: false }, facts: { state: true } };
  declare reply: Reply;
  /** Asked for when the panel is opened. */
  declare private facts: Facts | null;

  static override styles = [controls, css`
    :host { display: block; color: var(--ink-quiet); font-size: 0.8125rem; }
    summary { display: flex; align-items: baseline; gap: 0.35rem; padding: 0.35rem 0.25rem; cursor: pointer; list-style: none; }
    summary::-webkit-details-marker { display: none; }
    summary svg { align-self: center; }
    summary:hover { color: var(--ink); }
    details[open] summary svg { transform: rotate(180deg); }
    summary span span { white-space: nowrap; }
    .more { padding: 0.25rem 0.25rem 0.75rem; }
    dl { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); gap: 0.3rem 0.75rem; }
    dd { color: var(--ink-soft); }
    table { width: 100%; margin-top: 0.9rem; border-collapse: collapse; }
    caption { padding-bottom: 0.25rem; text-align: start; }
    th, td { padding: 0.3rem 0 0.3rem 0.75rem; border-top: 1px solid var(--rule); text-align: end; font-weight: 400; white-space: nowrap; }
    th:first-child, td:first-child { padding-inline-start: 0; text-align: start; width: 100%; max-width: 0; overflow: hidden; text-overflow: ellipsis; }
    td { color: var(--ink-soft); }
    td .link { color: inherit; max-width: 100%; overflow: hidden; text-overflow: ellipsis; text-decoration-color: var(--rule-strong); }
  `];

  override render() {
    const { answer } = this.reply;
    if (!answer) return nothing;
    const { usage, timings_ms: ms } = answer;
    const line = answer.cached ? [`told again after ${millis(ms.total)}`] : [
      usage.completion_tokens && ms.decode ? `${(usage.completion_tokens / (ms.decode / 1000)).toFixed(1)} tokens per second` : null,
      usage.prompt_tokens ? count(usage.prompt_tokens, 'prompt token') : null,
      this.reply.options.rag ? `found in ${millis(ms.embed + ms.retrieve)} (${PATHS[answer.dense_path]})` : 'pages not used',
      answer.executor === 'gpu' ? 'on the GPU' : 'on the CPU',
    ].filter((fact) => fact !== null);
    return html`
      <details class="number" @toggle=${this.#toggle}>
        <summary>${icons.down}<span>${line.map((fact, i) => html`${i ? ' · ' : ''}<span>${fact}</span>`)}</span></summary>
        <div class="more">${this.#more(answer)}${answer.hits.length ? this.#hits(answer.hits) : nothing}</div>
      </details>
    `;
  }

  #more(answer: Answer) {
    const { usage, timings_ms: ms, dispatches_per_token: dispatches } = answer;
    const rate = (n: number, time: number) => (n && time ? `, ${(n / (time / 1000)).toFixed(1)} a second` : '');
    const row = (name: string, value: string) => html`<dt>${name}</dt><dd>${value}</dd>`;
    const { executor } = this.desk;
    return html`
      <dl>
        ${this.reply.options.rag && !answer.cached ? html`
          ${row('Question read', ms.embed ? `${millis(ms.embed)} (embedding)` : 'while it was being written')}
          ${row('Pages searched', `${millis(ms.retrieve)}, ${PATHS[answer.dense_path]}`)}
          ${answer.refused ? nothing : row('Passages given', `${answer.n_passages} of ${answer.n_passages + answer.n_passages_dropped}${answer.n_passages_dropped ? ', the rest did not fit' : ''}`)}` : nothing}
        ${usage.prompt_tokens === 0 || answer.cached ? nothing : row('Prompt read', `${count(usage.prompt_tokens - usage.cached_tokens, 'token')} in ${millis(ms.prefill)}${rate(usage.prompt_tokens - usage.cached_tokens, ms.prefill)} (prefill)${usage.cached_tokens ? `; ${count(usage.cached_tokens, 'token')} known from before` : ''}`)}
        ${usage.completion_tokens === 0 || answer.cached ? nothing : row('Answer written', `${count(usage.completion_tokens, 'token')} in ${millis(ms.decode)}${rate(usage.completion_tokens, ms.decode)} (decode)`)}
        ${this.facts?.reading && answer.executor === 'cpu' ? row('At most', limit(this.facts.reading)) : nothing}
        ${row('In all', millis(ms.total))}
        ${row('Ended because', STOPPED[answer.stopped])}
        ${row('Ran on', `${answer.executor === 'gpu' ? 'the GPU' : 'the CPU'}${executor?.executor === answer.executor ? `${executor.adapter ? `, ${executor.adapter}` : ''}. ${executor.reason}` : ''}`)}
        ${dispatches === null ? nothing : row('GPU dispatches', `${dispatches} a token`)}
        ${this.facts ? row('Memory now', memory(this.facts.memory)) : nothing}
      </dl>
    `;
  }

  #toggle = (event: Event) => {
    const details = event.target as HTMLDetailsElement;
    if (!details.open) return;
    const show = () => { details.scrollIntoView({ block: 'nearest' }); };
    show();
    // An engine that is busy tells when it is done.
    this.desk.client.facts().then((facts) => {
      this.facts = facts;
      void this.updateComplete.then(show);
    }, () => undefined);
  };

  #hits(hits: Hit[]) {
    const score = (value: number | null, digits: number) => (value === null ? '–' : value.toFixed(digits));
    return html`
      <table>
        <caption>Passages found, best first</caption>
        <tr><th scope="col">Passage</th><th scope="col">Meaning (cosine)</th><th scope="col">Words (BM25)</th></tr>
        ${hits.map((hit) => html`
          <tr>
            <td><button class="link" @click=${() => { this.#open(hit); }}>${hit.headings.at(-1) ?? hit.source}</button></td>
            <td>${score(hit.dense, 3)}</td><td>${score(hit.bm25, 1)}</td>
          </tr>`)}
      </table>
    `;
  }

  #open(hit: Hit): void {
    const { source_id, source, start, end, page, text } = hit;
    this.desk.open({ source_id, name: source }, [], { marker: 0, source_id, source, start, end, page, text });
  }
}

/** What the memory allows: every token meets every weight. Drafted tokens can come quicker, since several meet them together. */
function limit({ bytes_per_token, ms }: Reading): string {
  const perSecond = 1000 / ms;
  return `${perSecond.toFixed(0)} tokens a second, one by one: each reads ${size(bytes_per_token)}, and one thread reads ${(bytes_per_token * perSecond / 1e9).toFixed(1)} GB a second here`;
}

function memory({ engine, gpu }: Facts['memory']): string {
  return `${size(engine)} in the engine${gpu ? `, ${size(gpu)} on the GPU` : ''}`;
}

function millis(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
