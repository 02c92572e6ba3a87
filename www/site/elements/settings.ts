/** Everything that most people never need: where it runs, which model, how it writes. */
import { css, html, nothing } from 'lit';
import { live } from 'lit/directives/live.js';
import type { Device } from '../../client/index';
import type { Settings } from '../desk/desk';
import { DeskElement, controls, count, size } from './base';
import * as icons from './icons';

const DEVICES: [Device, string][] = [['auto', 'Choose for me'], ['gpu', 'Graphics processor'], ['cpu', 'Processor']];

interface Field {
  key: 'temperature' | 'sample_top_k' | 'top_p' | 'repetition_penalty' | 'seed' | 'max_tokens' | 'top_k';
  name: string;
  hint: string;
  min: number;
  max: number;
  step: number;
}

const FIELDS: Field[] = [
  { key: 'top_k', name: 'Passages', hint: 'given to the model for each answer; 0 for as many as it reads best', min: 0, max: 12, step: 1 },
  { key: 'max_tokens', name: 'Longest answer', hint: 'in tokens; a token is about three quarters of a word', min: 16, max: 1024, step: 16 },
  { key: 'temperature', name: 'Temperature', hint: '0 always takes the likeliest word', min: 0, max: 2, step: 0.05 },
  { key: 'sample_top_k', name: 'Top k', hint: 'likeliest words to choose from; 0 for all', min: 0, max: 200, step: 1 },
  { key: 'top_p', name: 'Top p', hint: 'share of likelihood to choose from', min: 0.05, max: 1, step: 0.05 },
  { key: 'repetition_penalty', name: 'Repetition penalty', hint: '1 for none', min: 1, max: 2, step: 0.05 },
  { key: 'seed', name: 'Seed', hint: 'the same seed gives the same answer', min: 0, max: 4294967295, step: 1 },
];

export class LecternSettings extends DeskElement {
  static override styles = [controls, css`
    dialog { width: min(36rem, calc(100vw - 1.5rem)); max-height: calc(100dvh - 3rem); padding: 0; border: 1px solid var(--rule); border-radius: 10px; background: var(--paper); color: var(--ink); box-shadow: var(--shadow); }
    dialog::backdrop { background: var(--veil); }
    .head { position: sticky; top: 0; display: flex; align-items: center; justify-content: space-between; padding: 1rem 1rem 0.75rem 1.75rem; background: var(--paper); }
    h2 { font: 600 1.3125rem/1.2 var(--serif); font-size-adjust: 0.49; }
    section, fieldset { margin: 0; padding: 1rem 1.75rem 1.25rem; border: 0; border-top: 1px solid var(--rule); }
    h3, legend { float: left; width: 100%; margin-bottom: 0.6rem; padding: 0; font-size: 0.9375rem; font-weight: 600; }
    h3 + *, legend + * { clear: both; }
    .choices { display: flex; flex-wrap: wrap; gap: 0.4rem 1.25rem; margin-bottom: 0.5rem; }
    .choices label { display: inline-flex; align-items: center; gap: 0.45rem; min-height: 1.75rem; }
    input[type="radio"] { margin: 0; accent-color: var(--accent); }
    .quiet { max-width: 30rem; }
    .row { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: 0.75rem; }
    .fields { display: grid; gap: 0.35rem; }
    .fields label { display: grid; grid-template-columns: minmax(0, 1fr) 6rem; align-items: center; gap: 0 1rem; }
    .fields input { min-height: 2rem; padding: 0.15rem 0.5rem; border: 1px solid var(--rule-strong); border-radius: var(--radius); background: var(--desk); color: var(--ink); text-align: end; font-variant-numeric: tabular-nums; }
  `];

  get isOpen(): boolean {
    return this.#dialog?.open ?? false;
  }

  open(): void {
    this.#dialog?.showModal();
    this.requestUpdate();
  }

  override render() {
    const { desk } = this;
    const { settings, models, executor } = desk;
    const { decoder } = models;
    const busy = desk.conversation.busy || desk.switching || models.phase === 'loading';
    return html`
      <dialog aria-labelledby="title" @close=${() => { this.requestUpdate(); }}>
        <div class="head"><h2 id="title">Settings</h2><button class="icon" aria-label="Close settings" @click=${() => { this.#dialog?.close(); }}>${icons.close}</button></div>
        <fieldset ?disabled=${busy}>
          <legend>Where it runs</legend>
          <div class="choices">${DEVICES.map(([device, name]) => html`
            <label><input type="radio" name="device" value=${device} .checked=${live(settings.device === device)} @change=${() => { void desk.chooseDevice(device); }}> ${name}</label>`)}
          </div>
          <p class="quiet" role="status">${desk.switching ? 'Changing over…' : executor ? html`Now on the ${executor.executor === 'gpu' ? 'graphics processor' : 'processor'}${executor.adapter ? ` (${executor.adapter})` : ''}. ${executor.reason}${executor.self_test_max_error === null ? nothing : html` Largest difference from the processor in the test at the start: <span class="number">${executor.self_test_max_error.toPrecision(2)}</span>.`}` : 'Not started yet.'}</p>
        </fieldset>
        <section>
          <h3>Language model</h3>
          <p class="number">${decoder ? html`${models.decoderName}<br><span class="quiet">${size(decoder.n_bytes)} · ${decoder.quantization} · ${count(decoder.n_layers, 'layer')} · context of ${count(decoder.n_ctx, 'token')}</span>` : html`<span class="quiet">None opened yet.</span>`}</p>
          <div class="row">
            <button class="button small" ?disabled=${busy} @click=${() => { this.renderRoot.querySelector<HTMLInputElement>('.gguf')?.click(); }}>Use a GGUF file of my own</button>
            ${models.own ? html`<button class="button small" ?disabled=${busy} @click=${() => void models.useSites()}>Back to the site’s model</button>` : nothing}
          </div>
          <input class="gguf" type="file" accept=".gguf" hidden aria-label="GGUF file" @change=${this.#own}>
          ${this.isOpen ? html`<lectern-notices .desk=${desk}></lectern-notices>` : nothing}
        </section>
        <section>
          <h3>Reading and writing</h3>
          <div class="fields">${FIELDS.map((field) => html`
            <label><span>${field.name} <span class="quiet">${field.hint}</span></span>
              <input type="number" min=${field.min} max=${field.max} step=${field.step} .value=${live(String(settings[field.key]))} @change=${(event: Event) => { this.#set(field, event.target as HTMLInputElement); }}>
            </label>`)}
          </div>
        </section>
        <section>
          <p class="quiet">Terms of what runs here: <a href="models/NOTICE.md">models and voices</a>, <a href="LICENSE-MIT">Lectern</a>, <a href="THIRD-PARTY.txt">the code it is built with</a>.</p>
        </section>
      </dialog>
    `;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #set(field: Field, input: HTMLInputElement): void {
    const value = Number.isFinite(input.valueAsNumber) ? Math.min(field.max, Math.max(field.min, input.valueAsNumber)) : this.desk.settings[field.key];
    this.desk.set({ [field.key]: value } satisfies Partial<Settings>);
  }

  #own = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    input.value = '';
    if (file) void this.desk.models.useOwn(file).then((opened) => { if (opened) this.desk.set({ voice: null }); });
  };
}
