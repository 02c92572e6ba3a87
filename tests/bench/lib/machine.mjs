/** How busy the machine is with other things, and figures over rounds. */
import { readFileSync, readdirSync } from 'node:fs';

/** Clock ticks a second in /proc; fixed on Linux. */
const TICKS = 100;
/** A round counts as clean when other processes used less than so many cores meanwhile. */
export const CLEAN = 0.15;

/** Busy ticks of all processes, and of this one with its children; null where there is no /proc. */
function ticks() {
  let stat;
  try {
    stat = readFileSync('/proc/stat', 'utf8');
  } catch {
    return null;
  }
  const [user, nice, system, , , irq, softirq, steal] = stat.slice(0, stat.indexOf('\n')).trim().split(/\s+/).slice(1).map(Number);
  const processes = new Map();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
      // Of this process, also those of children that have ended.
      const used = fields.slice(11, Number(pid) === process.pid ? 15 : 13).reduce((sum, field) => sum + Number(field), 0);
      processes.set(Number(pid), { parent: Number(fields[1]), ticks: used });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid) => pid === process.pid || (processes.has(pid) && pid > 1 && isOurs(processes.get(pid).parent));
  let own = 0;
  for (const [pid, { ticks: used }] of processes) if (isOurs(pid)) own += used;
  return { all: user + nice + system + irq + softirq + steal, own, at: performance.now() };
}

/** Runs `work` and says how many cores other processes used meanwhile. */
export async function measured(work) {
  const before = ticks();
  const value = await work();
  const after = ticks();
  if (!before || !after) return { value, busy: null };
  const seconds = (after.at - before.at) / 1000;
  return { value, busy: Math.max(0, (after.all - before.all - (after.own - before.own)) / TICKS / seconds) };
}

/** Waits until other processes leave the machine alone for a second, `seconds` at most. */
export async function quiet(seconds = 20) {
  const end = performance.now() + 1000 * seconds;
  for (;;) {
    const { busy } = await measured(() => new Promise((resolve) => { setTimeout(resolve, 1000); }));
    if (busy === null || busy < CLEAN || performance.now() > end) return;
  }
}

/**
 * Median, spread and number of the clean rounds, or of all where none was clean. A value is a number, or a `value` with
 * further figures, of which the medians are given.
 */
export function summary(measurements) {
  const rounds = measurements.map(({ value, busy }) => (typeof value === 'number' ? { value, busy } : { ...value, busy, figures: Object.keys(value).filter((name) => name !== 'value') }));
  const clean = rounds.filter(({ busy }) => busy === null || busy < CLEAN);
  const used = clean.length ? clean : rounds;
  const values = used.map(({ value }) => value).sort((a, b) => a - b);
  const figures = Object.fromEntries((used[0].figures ?? []).map((name) => [name, round(medianOf(used.map((one) => one[name])))]));
  const busy = used.some((round) => round.busy === null) ? null : used.reduce((sum, round) => sum + round.busy, 0) / used.length;
  return { median: round(medianOf(values)), ...figures, min: round(values[0]), max: round(values.at(-1)), n: values.length, busy: busy === null ? null : round(busy, 2) };
}

function medianOf(unsorted) {
  const values = unsorted.toSorted((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

function round(value, digits = 4) {
  return Number(value.toPrecision(digits));
}
