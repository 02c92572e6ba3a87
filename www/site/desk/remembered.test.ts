import { afterEach, expect, it, vi } from 'vitest';
import { keepDraft, keepSettings, readDraft, readSettings } from './remembered';
import type { Remembered } from './remembered';

const usual: Remembered = {
  device: 'auto', use_pages: true, voice: null, scale: 1, both: false, top_k: 0, max_tokens: 256,
  temperature: 0, sample_top_k: 40, top_p: 0.95, repetition_penalty: 1, seed: 0,
};

function storage(): Pick<Storage, 'getItem' | 'setItem'> {
  const items = new Map<string, string>();
  return { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => { items.set(key, value); } };
}

afterEach(() => { vi.unstubAllGlobals(); });

it('gives back what was kept', () => {
  vi.stubGlobal('localStorage', storage());
  vi.stubGlobal('sessionStorage', storage());
  expect(readSettings(usual)).toEqual(usual);
  keepSettings({ ...usual, voice: 'cite', max_tokens: 64 });
  expect(readSettings(usual)).toEqual({ ...usual, voice: 'cite', max_tokens: 64 });
  keepDraft('Where does');
  expect(readDraft()).toBe('Where does');
});

it('takes the usual for what another version kept otherwise, and for all where nothing can be kept', () => {
  vi.stubGlobal('localStorage', storage());
  localStorage.setItem('lectern-settings', JSON.stringify({ max_tokens: 'many', temperature: 0.5, gone: 1, voice: 3 }));
  expect(readSettings(usual)).toEqual({ ...usual, temperature: 0.5 });
  localStorage.setItem('lectern-settings', 'not JSON');
  expect(readSettings(usual)).toEqual(usual);
  vi.unstubAllGlobals();
  keepSettings(usual);
  keepDraft('Where');
  expect(readSettings(usual)).toEqual(usual);
  expect(readDraft()).toBe('');
});
