import { MESSAGES_PER_REQUEST } from './queue';

const LONGEST_PAUSE_MS = 1_000;

/** As long as nothing tells how fast messages come. */
const FIRST_PAUSE_MS = 200;

/**
 * How long to wait between polls of a queue, so that requests are not spent on ones and twos; and how many to make at once.
 *
 * How fast messages come is told by when they were sent. How fast they are received is told by the pauses, too: where a long
 * poll had returned with the first message there was, each pause became the reason of the next, and a hundred messages that had taken
 * two seconds to come took seven.
 */
export class Pace {
  #first: { sentAt: number; count: number } | undefined;
  #last: { sentAt: number; count: number } | undefined;
  #wasFull = false;

  /**
   * @param sentAt epoch milliseconds, by the clock of the queue: when each message of a poll was sent
   * @param count messages received in all
   */
  saw(sentAt: readonly number[], count: number): void {
    this.#wasFull = sentAt.length >= MESSAGES_PER_REQUEST;
    if (sentAt.length === 0) return;
    const oldest = Math.min(...sentAt);
    // What was sent at the same moment is where counting begins: senders send ten at once.
    this.#first ??= { sentAt: oldest, count: sentAt.filter((time) => time === oldest).length };
    this.#last = { sentAt: Math.max(...sentAt, this.#last?.sentAt ?? oldest), count };
  }

  /** @returns milliseconds until ten messages should be waiting, 0 to 1,000 */
  pauseMs(now: number): number {
    const msPerTen = this.#msPerTen();
    // Ten that were sent at once tell nothing, and a long poll waits by itself for the next.
    if (msPerTen === undefined) return this.#wasFull ? 0 : FIRST_PAUSE_MS;
    return Math.min(Math.max(0, msPerTen - this.#waitingFor(now)), LONGEST_PAUSE_MS);
  }

  /** @returns how many polls should come back full, 0 as long as nothing tells */
  fullPolls(now: number): number {
    const msPerTen = this.#msPerTen();
    return msPerTen === undefined ? 0 : Math.floor(this.#waitingFor(now) / msPerTen);
  }

  #msPerTen(): number | undefined {
    const [first, last] = [this.#first, this.#last];
    if (!first || !last || last.sentAt <= first.sentAt || last.count <= first.count) return undefined;
    return (MESSAGES_PER_REQUEST * (last.sentAt - first.sentAt)) / (last.count - first.count);
  }

  /** Milliseconds in which others may have come, not below zero: the clocks of the queue and of this machine may differ. */
  #waitingFor(now: number): number {
    return Math.max(0, now - (this.#last?.sentAt ?? now));
  }
}
