import type { Random } from '../../local/simulated-stream/random';
import type { Scenario } from './scenario';
import type { VirtualTime } from './virtual-time';

const WORKERS = 3;

const HOUR_MS = 3_600_000;

/**
 * The clocks by which the workers tell what they do: each goes by the dates of the queue's answers, which have whole seconds, so that each
 * answer is a little off, otherwise each time. One worker may know no better than its own clock, which is hours off.
 */
export class Clocks {
  readonly #time: VirtualTime;
  readonly #random: Random;
  /** Milliseconds by which an answer is off at most. */
  readonly #mostMs: number;
  readonly #badMs: number;
  readonly #badUntil: number;

  constructor(time: VirtualTime, random: Random, scenario: Scenario) {
    this.#time = time;
    this.#random = random;
    this.#mostMs = scenario.skew * 1_000;
    this.#badMs = (scenario['clock-ahead'] - scenario['clock-behind']) * HOUR_MS;
    this.#badUntil = time.now + scenario['clock-mended'] * 1_000;
  }

  /** @returns the clock of the worker that takes the next piece of work, in epoch milliseconds */
  pick(): () => number {
    const worker = this.#random.integer(0, WORKERS - 1);
    const off = this.#random.integer(-this.#mostMs, this.#mostMs);
    return () => {
      const isBad = worker === 0 && this.#time.now < this.#badUntil;
      return this.#time.now + off + (isBad ? this.#badMs : 0);
    };
  }
}
