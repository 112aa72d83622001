import { messagesIn } from '../queue/retention';
import type { QueueDepth } from './work';

/**
 * Whether a stopping lane has drained its queue. The counts of SQS lag, so that the queue must look empty for a while, and a receive
 * that finds nothing goes before each look at them.
 */
export class Draining {
  /** The last receive found nothing. */
  #looksEmpty = false;
  /** Epoch milliseconds: since when the counts say so, with no sign to the contrary. */
  #quietSince: number | undefined;
  #isMeasuring = false;

  get looksEmpty(): boolean {
    return this.#looksEmpty;
  }

  /** Nothing is received while the queue is measured. */
  get isMeasuring(): boolean {
    return this.#isMeasuring;
  }

  /** The lane was asked to stop, or its clock began anew: what it saw before counts for nothing. */
  begin(): void {
    this.#looksEmpty = false;
    this.#quietSince = undefined;
  }

  /** @param messages how many a receive brought */
  received(messages: number): void {
    this.#looksEmpty = messages === 0;
    if (messages > 0) this.#quietSince = undefined;
  }

  /** A receive may have been handed messages. */
  receiveLost(): void {
    this.#looksEmpty = false;
    this.#quietSince = undefined;
  }

  measure(): void {
    this.#isMeasuring = true;
  }

  /**
   * @param depth undefined where the queue could not be measured
   * @param now epoch milliseconds
   * @returns milliseconds for which the queue has looked empty; undefined where it does not
   */
  measured(depth: QueueDepth | undefined, now: number): number | undefined {
    this.#isMeasuring = false;
    // The next look at the counts follows another receive.
    this.#looksEmpty = false;
    const isEmpty = depth !== undefined && messagesIn(depth) === 0;
    if (!isEmpty) this.#quietSince = undefined;
    else this.#quietSince ??= depth.at;
    return this.#quietSince === undefined ? undefined : now - this.#quietSince;
  }
}
