/** The most that SQS hands out at once. */
export const MESSAGES_PER_POLL = 10;

const LONGEST_PAUSE_MS = 1_000;

/** As long as nothing tells how fast messages come. */
const FIRST_PAUSE_MS = 200;

/**
 * How long to wait between polls of a queue, so that requests are not spent on ones and twos.
 *
 * How fast messages come is told by when they were sent. How fast they are received is told by the pauses, too: where a long
 * poll had returned with the first message there was, each pause became the reason of the next, and a hundred messages that had taken
 * two seconds to come took seven.
 */
export class Pace {
  #first: { sentAt: number; count: number } | undefined;
  #last: { sentAt: number; count: number } | undefined;

  /**
   * @param sentAt epoch milliseconds, by the clock of the queue: when the newest message of a poll was sent
   * @param count messages received in all
   */
  saw(sentAt: number, count: number): void {
    this.#last = { sentAt: Math.max(sentAt, this.#last?.sentAt ?? sentAt), count };
    this.#first ??= this.#last;
  }

  /** @returns milliseconds until ten messages should be waiting, 0 to 1,000 */
  pauseMs(now: number): number {
    const [first, last] = [this.#first, this.#last];
    if (!first || !last || last.sentAt <= first.sentAt) return FIRST_PAUSE_MS;
    const msPerTen = (MESSAGES_PER_POLL * (last.sentAt - first.sentAt)) / (last.count - first.count);
    // The clocks of the queue and of this machine may differ.
    const waitingFor = Math.max(0, now - last.sentAt);
    return Math.min(Math.max(0, msPerTen - waitingFor), LONGEST_PAUSE_MS);
  }
}
