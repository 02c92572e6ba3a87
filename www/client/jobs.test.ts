import { describe, expect, it } from 'vitest';
import type { JobRequest, JobResult } from '../worker/protocol';
import { isAbort } from './errors';
import { Jobs } from './jobs';
import type { JobsWorker, Workers } from './workers';

interface Stub extends JobsWorker {
  asked: JobRequest[];
  ended: boolean;
}

/** Workers that answer nothing of their own accord. */
function stubs(): { workers: Workers; all: Stub[] } {
  const all: Stub[] = [];
  const jobs = () => {
    const stub: Stub = {
      asked: [],
      ended: false,
      onmessage: null,
      onerror: null,
      postMessage: (message) => { stub.asked.push(message); },
      terminate: () => { stub.ended = true; },
    };
    all.push(stub);
    return stub;
  };
  return { workers: { jobs, engine: () => { throw new Error('no engine'); }, nHelpers: 0 }, all };
}

const at = (all: Stub[], i: number): Stub => all[i] ?? expect.unreachable('no such worker');
const say = (stub: Stub, data: JobResult) => { stub.onmessage?.({ data } as MessageEvent<JobResult>); };
const file = new Blob(['text']);
const never = new AbortController().signal;
const turn = () => new Promise((resolve) => { setTimeout(resolve, 0); });

describe('jobs', () => {
  it('are done one after the other by one worker', async () => {
    const { workers, all } = stubs();
    const jobs = new Jobs(workers);
    jobs.start('jobs');
    const [first, second] = [jobs.extract({ name: 'a', file, password: null }, never), jobs.extract({ name: 'b', file, password: null }, never)];
    await turn();
    expect(at(all, 0).asked.map(({ type }) => type)).toEqual(['start', 'extract']);
    say(at(all, 0), { document: { text: 'A' } });
    expect(await first).toEqual({ text: 'A' });
    await turn();
    say(at(all, 0), { document: { text: 'B' } });
    expect(await second).toEqual({ text: 'B' });
    expect(all).toHaveLength(1);
  });

  it('end when they are stopped, at work or waiting, and the next has another worker', async () => {
    const { workers, all } = stubs();
    const jobs = new Jobs(workers);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = jobs.extract({ name: 'a', file, password: null }, one.signal);
    const waiting = jobs.extract({ name: 'b', file, password: null }, two.signal);
    const last = jobs.extract({ name: 'c', file, password: null }, never);
    await turn();
    two.abort();
    await expect(waiting).rejects.toSatisfy(isAbort);
    expect(at(all, 0).ended).toBe(false);
    const late = at(all, 0).onerror;
    one.abort();
    await expect(first).rejects.toSatisfy(isAbort);
    await turn();
    expect(all.map(({ ended }) => ended)).toEqual([true, false]);
    late?.({ message: 'too late' } as ErrorEvent);
    say(at(all, 1), { document: { text: 'C' } });
    expect(await last).toEqual({ text: 'C' });
  });

  it.each([
    ['that could not be fetched, before there was a job', (stub: Stub) => { stub.onerror?.({ message: '' } as ErrorEvent); }, true],
    ['that trapped', (stub: Stub) => { say(stub, { error: { code: 'worker-died', message: 'unreachable' } }); }, false],
    ['that threw', (stub: Stub) => { stub.onerror?.({ message: 'oh' } as ErrorEvent); }, false],
  ])('have a new worker after one %s', async (_, fail, isBefore) => {
    const { workers, all } = stubs();
    const jobs = new Jobs(workers);
    jobs.start('jobs');
    if (isBefore) fail(at(all, 0));
    else {
      const lost = jobs.extract({ name: 'a', file, password: null }, never);
      await turn();
      fail(at(all, 0));
      await expect(lost).rejects.toMatchObject({ code: 'worker-died' });
    }
    expect(at(all, 0).ended).toBe(true);
    const next = jobs.buildSegment(new Uint8Array([1]));
    await turn();
    say(at(all, 1), { built: new Uint8Array([2]) });
    expect(await next).toEqual(new Uint8Array([2]));
  });

  it('end with their owner', async () => {
    const { workers, all } = stubs();
    const jobs = new Jobs(workers);
    const control = new AbortController();
    const [first, second] = [jobs.extract({ name: 'a', file, password: null }, control.signal), jobs.extract({ name: 'b', file, password: null }, never)];
    await turn();
    jobs.close();
    await expect(first).rejects.toMatchObject({ code: 'worker-died' });
    await expect(second).rejects.toMatchObject({ code: 'worker-died' });
    control.abort();
    expect(all).toHaveLength(1);
  });
});
