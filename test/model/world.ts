import { type Random, seededRandom } from '../../local/simulated-stream/random';
import type { LaneLimits } from '../../src/lane/limits';
import { Claim } from './claim';
import { Clocks } from './clocks';
import { Faults } from './faults';
import { Ingest } from './ingest';
import { Lake } from './lake';
import { limitsAt } from './limits';
import { Queue } from './queue';
import { drawScenario, type Scenario, SMALLEST_WINDOW, type Wanted } from './scenario';
import { Trace } from './trace';
import { VirtualTime } from './virtual-time';

/** Epoch milliseconds at which every run begins. */
export const BEGIN = Date.UTC(2026, 0, 31, 12);

/** All that is around a lane, in virtual time. */
export interface World {
  time: VirtualTime;
  random: Random;
  scale: number;
  limits: LaneLimits;
  scenario: Scenario;
  /** Milliseconds in which events are published, and faults and people begin what they do. */
  spanMs: number;
  /** What makes rows as large as they are. */
  filler: string;
  trace: Trace;
  queue: Queue;
  claim: Claim;
  lake: Lake;
  faults: Faults;
  clocks: Clocks;
  ingest: Ingest;
}

export interface WorldOptions {
  seed: number;
  scale: number;
  wanted: Wanted;
  /** An event whose life is told. */
  trace?: number;
  say?: (line: string) => void;
}

export function worldOf({ seed, scale, wanted, trace: event, say = console.log }: WorldOptions): World {
  const random = seededRandom(seed);
  const time = new VirtualTime(BEGIN);
  const trace = new Trace(time, event, say);
  const scenario = drawScenario(random, scale, wanted);
  const { order, stale, slip, window, shrink, 'releases-behind': releasesBehind } = scenario;
  // A window that was made small knows as little as it was given.
  const leastWindow = shrink > 0 ? Math.min(window, SMALLEST_WINDOW) : window;
  const spanMs = Math.ceil((scenario.events / scenario.rate) * 1_000);
  const habits = { order, stale, slip: Math.floor(slip * leastWindow), releasesBehind: releasesBehind > 0 };
  const queue = new Queue(time, random, habits, trace);
  const lake = new Lake(trace);
  queue.onGone = (event) => lake.isGone(event);
  return {
    time,
    random,
    scale,
    limits: limitsAt(scale),
    scenario,
    spanMs,
    filler: '.'.repeat(scenario['row-bytes']),
    trace,
    queue,
    claim: new Claim(time, scenario['claim-refused'] * 1_000),
    lake,
    faults: new Faults(time, random, scenario, spanMs),
    clocks: new Clocks(time, random, scenario),
    ingest: new Ingest(time, random, scenario, queue),
  };
}
