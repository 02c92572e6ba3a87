import { LitElement, css } from 'lit';
import type { PropertyDeclarations, PropertyValues } from 'lit';
import type { Desk } from '../desk/desk';

/** Shows a part of the desk, and shows it again whenever the desk changes. */
export class DeskElement extends LitElement {
  static override properties: PropertyDeclarations = { desk: { attribute: false } };
  declare desk: Desk;

  #changed = () => { this.requestUpdate(); };

  override connectedCallback(): void {
    super.connectedCallback();
    this.desk.addEventListener('change', this.#changed);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.desk.removeEventListener('change', this.#changed);
  }

  protected override update(changed: PropertyValues): void {
    const held = this.shadowRoot?.activeElement;
    super.update(changed);
    if (held && !held.isConnected) this.handOn();
  }

  /** What had the focus is gone: where one who has no mouse would go on. */
  protected handOn(): void {
    this.desk.toQuestion();
  }
}

/** What operated things look like everywhere. */
export const controls = css`
  *, *::before, *::after { box-sizing: border-box; }
  :host { font: 400 0.875rem/1.45 var(--sans); font-size-adjust: 0.53; color: var(--ink); }
  h2, h3, p, dl, dd, ol, ul { margin: 0; padding: 0; }
  ol, ul { list-style: none; }
  svg { display: block; flex: none; }

  .read { font-family: var(--serif); font-size-adjust: 0.49; }
  .quiet { color: var(--ink-quiet); }
  .label { font-size: 0.75rem; font-weight: 600; letter-spacing: 0.06em; text-transform: uppercase; color: var(--ink-quiet); }
  code { font: 0.92em var(--mono); font-size-adjust: 0.53; }
  .number { font-variant-numeric: tabular-nums; }

  button, select, input, textarea { font: inherit; font-size-adjust: inherit; color: inherit; }
  button { cursor: pointer; }
  button:disabled { cursor: default; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }

  .button {
    display: inline-flex; align-items: center; justify-content: center; gap: 0.45em;
    min-height: 2.25rem; padding: 0.3rem 0.9rem;
    border: 1px solid var(--rule-strong); border-radius: var(--radius);
    background: transparent; font-weight: 500; text-align: center;
  }
  .button:disabled { opacity: 0.55; }
  .button:hover:enabled { background: var(--desk-deep); }
  .button.first { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
  .button.first:hover:enabled { background: color-mix(in srgb, var(--accent) 88%, var(--ink)); }
  .button.small { min-height: 1.875rem; padding: 0.15rem 0.65rem; font-size: 0.8125rem; }

  .link {
    padding: 0; border: 0; background: none; color: var(--accent);
    text-decoration: underline; text-decoration-thickness: 1px; text-underline-offset: 0.2em;
  }
  .link:hover { text-decoration-thickness: 2px; }

  .icon {
    display: inline-grid; place-items: center; flex: none; width: 2rem; height: 2rem; padding: 0;
    border: 0; border-radius: var(--radius); background: none; color: var(--ink-quiet);
  }
  .icon:hover { color: var(--ink); background: var(--desk-deep); }

  .bar { height: 3px; border-radius: 2px; background: var(--rule); overflow: hidden; }
  .bar > span { display: block; height: 100%; background: var(--accent); }
  @media (forced-colors: active) {
    .bar { outline: 1px solid CanvasText; }
    .bar > span { background: Highlight; }
  }
  @media (prefers-reduced-motion: no-preference) { .bar > span { transition: width 0.2s linear; } }

  .hidden {
    position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; border: 0;
    clip-path: inset(50%); overflow: hidden; white-space: nowrap;
  }
`;

/** Decimal units, as file managers and download lists show them. */
export function size(nBytes: number): string {
  if (nBytes < 1000) return `${nBytes} bytes`;
  if (nBytes < 1e6) return `${(nBytes / 1e3).toFixed(0)} kB`;
  if (nBytes < 1e9) return `${(nBytes / 1e6).toFixed(nBytes < 1e7 ? 1 : 0)} MB`;
  return `${(nBytes / 1e9).toFixed(nBytes < 1e10 ? 1 : 0)} GB`;
}

/** Making one takes longer than a row of a list. */
const NUMBERS = new Intl.NumberFormat('en');

export function count(n: number, one: string, many = `${one}s`): string {
  return `${NUMBERS.format(n)} ${n === 1 ? one : many}`;
}
