import type { Random } from '../../local/simulated-stream/random';
import type { Scenario } from './scenario';
import type { VirtualTime } from './virtual-time';

const WORKERS = 3;

/** People may make the visibility timeout as short as this, in seconds; clocks may differ by a tenth of it. */
const SHORTEST_VISIBILITY = 10;

/** The clocks of the workers that do a lane's work: each is a little off, and one may be far ahead. */
export class Clocks {
  readonly #time: VirtualTime;
  readonly #random: Random;
  /** Milliseconds by which each is ahead. */
  readonly #ahead: readonly number[];
  readonly #badMs: number;
  readonly #badUntil: number;

  constructor(time: VirtualTime, random: Random, scenario: Scenario) {
    this.#time = time;
    this.#random = random;
    const most = Math.round(scenario.skew * Math.min(scenario.visibility, SHORTEST_VISIBILITY) * 1_000);
    this.#ahead = Array.from({ length: WORKERS }, () => random.integer(-most, most));
    this.#badMs = scenario['clock-ahead'] * 3_600_000;
    this.#badUntil = time.now + scenario['clock-mended'] * 1_000;
  }

  /** @returns the clock of the worker that takes the next piece of work, in epoch milliseconds */
  pick(): () => number {
    const worker = this.#random.integer(0, WORKERS - 1);
    const ahead = this.#ahead[worker] ?? 0;
    return () => {
      const isBad = worker === 0 && this.#time.now < this.#badUntil;
      return this.#time.now + ahead + (isBad ? this.#badMs : 0);
    };
  }
}
