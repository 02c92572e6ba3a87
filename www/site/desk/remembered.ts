/** What outlives a reload: how questions are asked, and for as long as the tab is open the one that is being written. */
import type { Settings } from './desk';

const SETTINGS = 'lectern-settings';
const DRAFT = 'lectern-draft';

/** The voice by its name: the list of voices comes later. */
export type Remembered = Omit<Settings, 'voice'> & { voice: string | null };

/** What was set, where it still is of the kind that it has to be; for the rest what is `usual`. */
export function readSettings(usual: Remembered): Remembered {
  const found = parsed(tried(() => localStorage.getItem(SETTINGS)));
  const same = Object.entries(usual).filter(([key, value]) => typeof found[key] === typeof value || (key === 'voice' && typeof found[key] === 'string'));
  return { ...usual, ...Object.fromEntries(same.map(([key]) => [key, found[key]])) };
}

export function keepSettings(settings: Remembered): void {
  tried(() => { localStorage.setItem(SETTINGS, JSON.stringify(settings)); });
}

export function readDraft(): string {
  return tried(() => sessionStorage.getItem(DRAFT)) ?? '';
}

export function keepDraft(draft: string): void {
  tried(() => { sessionStorage.setItem(DRAFT, draft); });
}

/** Null where the browser keeps nothing. */
function tried<T>(step: () => T): T | null {
  try {
    return step();
  } catch {
    return null;
  }
}

function parsed(json: string | null): Record<string, unknown> {
  const found = tried(() => JSON.parse(json ?? '') as unknown);
  return typeof found === 'object' && found !== null ? { ...found } : {};
}
