/** What went wrong or changed, in plain words with its code, until it is dismissed. */
import { css, html } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { DeskElement, controls } from './base';
import * as icons from './icons';

export class LecternNotices extends DeskElement {
  static override styles = [controls, css`
    .one { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0.7rem; align-items: start; padding: 0.6rem 0.4rem 0.6rem 0.9rem; margin-bottom: 0.6rem; border: 1px solid var(--rule); border-inline-start: 3px solid var(--ink-soft); border-radius: var(--radius); background: var(--paper); }
    .one > svg { margin-top: 0.15rem; color: var(--ink-soft); }
    .one.error { border-inline-start-color: var(--ink); }
    code { color: var(--ink-quiet); white-space: nowrap; }
    .icon { margin-block: -0.3rem; }
  `];

  override render() {
    return repeat(this.desk.notices, ({ key }) => key, (notice) => html`
      <div class="one ${notice.kind}" role=${notice.kind === 'error' ? 'alert' : 'status'}>
        ${notice.kind === 'error' ? icons.warning : icons.info}
        <p>${notice.message} <code>${notice.code}</code></p>
        <button class="icon" aria-label="Dismiss" @click=${() => { this.desk.dismiss(notice); }}>${icons.close}</button>
      </div>
    `);
  }
}
