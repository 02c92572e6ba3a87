/** The page's own icons: 16 × 16, drawn with a 1.4 stroke. */
import { svg } from 'lit';
import type { TemplateResult } from 'lit';

function icon(paths: TemplateResult, size = 16): TemplateResult {
  return svg`<svg width=${size} height=${size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${paths}</svg>`;
}

export const lectern = icon(svg`<path d="M1.5 6.8 8 2.2l6.5 4.6L8 9.8zM8 9.8v3.8M5.2 13.8h5.6"/>`, 22);
export const page = icon(svg`<path d="M4 1.8h5.2L12.5 5v9.2H4zM9 2v3.2h3.3"/>`);
export const close = icon(svg`<path d="m4 4 8 8M12 4l-8 8"/>`);
export const stop = icon(svg`<rect x="4" y="4" width="8" height="8" rx="1" fill="currentColor"/>`);
export const settings = icon(svg`<path d="M2 5h6M12 5h2M2 11h2M8 11h6"/><circle cx="10" cy="5" r="1.8"/><circle cx="6" cy="11" r="1.8"/>`);
export const warning = icon(svg`<path d="M8 2.2 14.4 13.4H1.6zM8 6.4v3.4M8 11.6v.1"/>`);
export const info = icon(svg`<circle cx="8" cy="8" r="6.2"/><path d="M8 7.3v3.6M8 5.1v.1"/>`);
export const only = icon(svg`<circle cx="8" cy="8" r="5.8"/><circle cx="8" cy="8" r="1.9" fill="currentColor"/>`);
export const down = icon(svg`<path d="m4 6.2 4 4 4-4"/>`);
export const again = icon(svg`<path d="M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3"/>`);
