import type { Random } from '../../local/simulated-stream/random';
import type { Scenario } from './scenario';
import type { VirtualTime } from './virtual-time';

/**
 * What is away for a while:
 * - `uploads` fail, and are tried again; `forbidden`: they can't work, and the lane is told
 * - `deletions`: each message is in `Failed`; `slow deletions` work, after about a visibility timeout
 * - the `queue`: it is deleted and made again, with its messages and without its tag, and the lane is told while it is not there
 * - `receives` get no answer; `answers` of polls are lost after they have hidden messages; `throttling` refuses some polls
 */
const OUTAGES = [
  'uploads',
  'forbidden',
  'deletions',
  'slow deletions',
  'queue',
  'receives',
  'answers',
  'throttling',
] as const;
export type OutageName = (typeof OUTAGES)[number];

interface Outage {
  what: OutageName;
  /** Epoch milliseconds. */
  from: number;
  to: number;
}

/** The outages of a run. */
export class Faults {
  readonly #time: VirtualTime;
  #outages: Outage[];

  /** @param spanMs milliseconds in which outages begin */
  constructor(time: VirtualTime, random: Random, scenario: Scenario, spanMs: number) {
    this.#time = time;
    this.#outages = Array.from({ length: scenario.outages }, () => {
      const from = time.now + random.integer(0, spanMs);
      const ms = random.integer(1_000, Math.max(1_000, scenario.longest * scenario.visibility * 1_000));
      return { what: random.pick(OUTAGES), from, to: from + ms };
    });
  }

  isAway(what: OutageName): boolean {
    const { now } = this.#time;
    return this.#outages.some((outage) => outage.what === what && outage.from <= now && now < outage.to);
  }

  /** Nothing is away any more. */
  heal(): void {
    this.#outages = [];
  }
}
