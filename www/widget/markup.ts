/** The element's inside: fixed markup, filled in by the element. */
import { ANSWERED_BEFORE, ANSWER_AGAIN } from '../client/index';

export const markup = `
<style>
  :host {
    --_accent: var(--lectern-accent, light-dark(#0e6648, #86d3ad));
    --_rule: color-mix(in srgb, currentColor 22%, transparent);
    --_quiet: color-mix(in srgb, currentColor 72%, transparent);
    display: block; max-width: 42rem; font: 0.9375rem/1.5 var(--lectern-font, system-ui, sans-serif);
  }
  :host([hidden]) { display: none; }
  *, *::before { box-sizing: border-box; }
  p { margin: 0; }
  form { display: flex; gap: 0.5rem; }
  input, button { min-height: 2.5rem; padding: 0.4rem 0.8rem; border: 1px solid var(--_quiet); border-radius: 6px; background: transparent; color: inherit; font: inherit; }
  input { flex: 1; min-width: 0; }
  button { cursor: pointer; }
  button.first { border-color: var(--_accent); background: var(--_accent); color: light-dark(#fff, #0d1512); }
  :focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
  [hidden] { display: none !important; }
  .panel { margin-top: 0.75rem; padding: 0.9rem 1rem; border: 1px solid var(--_rule); border-radius: 6px; }
  .row { display: flex; gap: 0.5rem; margin-top: 0.75rem; }
  .known { flex-wrap: wrap; align-items: center; font-size: 0.875rem; }
  .known span { color: var(--_quiet); }
  .again { min-height: 1.875rem; padding: 0.15rem 0.65rem; }
  .status, .note, .respelt, .legend { margin-top: 0.6rem; color: var(--_quiet); font-size: 0.875rem; font-variant-numeric: tabular-nums; }
  progress { display: block; width: 100%; height: 4px; margin-top: 0.35rem; accent-color: var(--_accent); }
  .answer { position: relative; margin-top: 0.9rem; font: 1.0625rem/1.6 var(--lectern-read-font, "Iowan Old Style", Palatino, Charter, "Liberation Serif", Georgia, serif); white-space: pre-wrap; overflow-wrap: anywhere; }
  .partly, .not-found { text-decoration: underline dotted color-mix(in srgb, currentColor 55%, transparent) 1.5px; text-underline-offset: 0.22em; }
  .not-found { text-decoration-style: dashed; color: var(--_quiet); }
  .hidden { position: absolute; width: 1px; height: 1px; clip-path: inset(50%); overflow: hidden; white-space: nowrap; }
  .mark { color: var(--_accent); font: 600 0.75em/1 var(--lectern-font, system-ui, sans-serif); vertical-align: 0.35em; text-decoration: none; padding: 0 0.15em 0 0.25em; }
  ol { margin: 0.75rem 0 0; padding: 0; list-style: none; border-top: 1px solid var(--_rule); }
  li { padding: 0.5rem 0; border-bottom: 1px solid var(--_rule); font-size: 0.875rem; }
  li:target, li.lit { background: color-mix(in srgb, var(--_accent) 14%, transparent); }
  li a { color: var(--_accent); }
  blockquote { margin: 0.2rem 0 0; color: var(--_quiet); }
  code { font-size: 0.92em; }
  .bracket { font-size: 0; }
</style>
<slot name="title"></slot>
<form part="form">
  <input part="input" type="text" name="question" aria-label="Your question" placeholder="Ask these pages" autocomplete="off" required>
  <button part="button" class="first ask">Ask</button>
  <button part="button" class="stop" type="button" hidden>Stop</button>
</form>
<div class="panel consent" part="consent" role="group" aria-label="Download" hidden>
  <slot name="consent"><p class="cost"></p></slot>
  <div class="row">
    <button class="first yes" part="button" type="button">Download</button>
    <button class="no" part="button" type="button">Not now</button>
  </div>
</div>
<div class="status" part="status" role="status" hidden><span class="what"></span><progress max="1" aria-label="Progress"></progress></div>
<p class="note" part="error" role="alert" hidden></p>
<p class="respelt" part="respelt" role="status" hidden></p>
<div class="answer" part="answer" dir="auto" aria-live="polite" hidden></div>
<p class="legend" part="legend" hidden></p>
<div class="row known" part="known" hidden><span>${ANSWERED_BEFORE}</span><button class="again" part="button" type="button">${ANSWER_AGAIN}</button></div>
<ol part="citations" aria-label="Passages behind this answer" hidden></ol>
`;
