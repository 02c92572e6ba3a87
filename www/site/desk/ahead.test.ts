import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Run } from '../../client/index';
import type { AskOptions, Lectern } from '../../client/index';
import { Ahead } from './ahead';

const options: AskOptions = {
  rag: true, top_k: null, max_tokens: 64, adapter: null, scale: 0, stop: [], before: null,
  sampling: { temperature: 0, top_k: 0, top_p: 1, repetition_penalty: 1, seed: 0 },
};

function client() {
  const asked: string[] = [];
  const stopped: string[] = [];
  const readAhead = (question: string) => new Run(() => {
    asked.push(question);
    return new Promise<number>(() => undefined);
  }, () => { stopped.push(question); });
  return { asked, stopped, client: { readAhead } as unknown as Lectern };
}

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

it('reads in the pauses, what has changed, and one at a time', async () => {
  const { asked, stopped, client: lectern } = client();
  const ahead = new Ahead(lectern);
  for (const question of ['Where', 'Where does', 'Where does the heron']) {
    ahead.look(question, options);
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toEqual(['Where does the heron']);
  ahead.look('Where does the heron ', options);
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toHaveLength(1);
  ahead.look('Where does the heron wait', options);
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toHaveLength(2);
  expect(stopped).toEqual(['Where does the heron']);
});

it('reads nothing while it must not, and gives way to an answer', async () => {
  const { asked, stopped, client: lectern } = client();
  const ahead = new Ahead(lectern);
  ahead.look('Where', options);
  ahead.look('Where does', null);
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toEqual([]);
  ahead.look('Where does', options);
  await vi.advanceTimersByTimeAsync(500);
  ahead.stop();
  expect(stopped).toEqual(['Where does']);
  ahead.look('Where does', { ...options, adapter: 'cite' });
  ahead.stop();
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toHaveLength(1);
});
