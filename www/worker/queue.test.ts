import { expect, it } from 'vitest';
import { Queue } from './queue';

const never = new AbortController().signal;

it('runs jobs one at a time and in order, past a failure', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const job = (name: string, fails = false) => queue.run(async () => {
    log.push(`${name} starts`);
    await Promise.resolve();
    log.push(`${name} ends`);
    if (fails) throw new Error(name);
  }, never);
  const settled = await Promise.allSettled([job('a'), job('b', true), job('c')]);
  expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

it('drops a waiting job when its signal fires, and leaves a running one alone', async () => {
  const queue = new Queue();
  const control = new AbortController();
  const running = queue.run(() => new Promise((resolve) => { setTimeout(resolve, 5, 'done'); }), control.signal);
  const waiting = queue.run(() => 'never', control.signal);
  control.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  expect(await running).toBe('done');
});
