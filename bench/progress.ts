import { setTimeout as delay } from 'node:timers/promises';
import { usageOf } from './processes';

export interface ProgressOptions {
  /** How many events or rows are through. */
  count: () => Promise<number>;
  target: number;
  /** It is measured between these two shares of the target: neither how it starts nor how it ends. Who is slow starts for a quarter of its time. */
  from?: number;
  to?: number;
  everyMs: number;
  /** What is reached after this counts. */
  limitMs: number;
  /** Processes whose CPU time is measured meanwhile, by name. */
  pids: Record<string, number>;
  /** @throws Error when what is measured has ended */
  requireAlive: () => void;
}

export interface Progress {
  perSecond: number;
  /** Milliseconds of CPU time for each, by process. */
  cpuMsPerEvent: Record<string, number>;
  /** Whether the target was reached in time. */
  complete: boolean;
  /** Milliseconds and count, as seen. */
  samples: [number, number][];
}

interface Mark {
  at: number;
  count: number;
  cpuMs: Record<string, number>;
}

/**
 * Watches a count grow to its target.
 *
 * @throws Error when nothing was reached after measuring began
 */
export async function watchProgress(options: ProgressOptions): Promise<Progress> {
  const { count, target, from = 0.1, to = 0.95, everyMs, limitMs, pids, requireAlive } = options;
  const began = performance.now();
  const samples: [number, number][] = [];
  let first: Mark | undefined;
  /** When there was nothing yet. */
  let nothing: Mark | undefined;
  let last: Mark | undefined;
  let reached = 0;
  const mark = (): Mark => ({ at: performance.now(), count: reached, cpuMs: cpuOf(pids) });
  while (reached < target && performance.now() - began < limitMs) {
    await delay(everyMs);
    requireAlive();
    if (reached === 0) nothing = mark();
    reached = await count();
    samples.push([Math.round(performance.now() - began), reached]);
    const isUnderWay = reached >= from * target || performance.now() - began > limitMs / 4;
    if (!first && reached > 0 && isUnderWay) {
      first = mark();
    } else if (first && !last && reached >= to * target) {
      last = mark();
    }
  }
  if (first && !last) last = mark();
  // Few packs may all come between two looks.
  if (first && last && last.count <= first.count) first = nothing;
  if (!first || !last || last.count <= first.count) {
    throw new Error(
      `Only ${reached} of ${target} within ${Math.round(limitMs / 1_000)} s: nothing to measure`,
    );
  }
  const done = last.count - first.count;
  const { cpuMs: before } = first;
  const { cpuMs: after } = last;
  return {
    perSecond: (done * 1_000) / (last.at - first.at),
    cpuMsPerEvent: Object.fromEntries(
      Object.keys(pids).map((name) => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / done]),
    ),
    complete: reached >= target,
    samples,
  };
}

function cpuOf(pids: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, usageOf(pid).cpuMs]));
}
