import { encodePack, type OutgoingMessage } from './message';
import { MOST_EVENTS, MOST_TEXT_BYTES } from './pack';
import type { QueuedEvent } from './queued-event';
import type { BatchSender, Outcome } from './sender';

/** SQS bills each 64 KiB of a message as a request. */
const MOST_MESSAGE_BYTES = 64 * 1024;

export interface PackerOptions {
  sender: Pick<BatchSender, 'add' | 'flush'>;
  /** Events of one message at most, 1 to 100. At 1 each travels by itself, as plain JSON. */
  most: number;
  /** The most that a message of the queue may have. */
  maximumBytes: number;
  /** Milliseconds for which a pack that is not full waits for more. */
  lingerMs?: number;
}

type Settle = (outcome: Outcome) => void;

/** An event that may travel in a pack. */
export interface Packable {
  event: QueuedEvent;
  /** The same as a message of its own, which fits into the queue. */
  alone: OutgoingMessage;
}

interface Entry extends Packable {
  settle: Settle;
}

/**
 * Puts events into packs, and hands these to a sender. One event alone travels as plain JSON with its key, and so does each event of a pack that
 * SQS refuses, since one of them may be to blame.
 */
export class Packer {
  readonly #sender: PackerOptions['sender'];
  readonly #most: number;
  readonly #maximumBytes: number;
  readonly #lingerMs: number;
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #linger: NodeJS.Timeout | undefined;
  /** One message goes to the sender after the other. Never rejects. */
  #handing: Promise<void> = Promise.resolve();

  constructor({ sender, most, maximumBytes, lingerMs = 500 }: PackerOptions) {
    this.#sender = sender;
    this.#most = Math.min(most, MOST_EVENTS);
    this.#maximumBytes = maximumBytes;
    this.#lingerMs = lingerMs;
  }

  /**
   * Takes an event. Resolves when the next one may be taken, which is later when SQS is slow.
   *
   * @param settle called once when the event's fate is known; never after the sender has ended
   */
  async add({ event, alone }: Packable, settle: Settle): Promise<void> {
    if (this.#waitingBytes + alone.bytes > MOST_TEXT_BYTES) this.#close();
    this.#waiting.push({ event, alone, settle });
    this.#waitingBytes += alone.bytes;
    if (this.#waiting.length >= this.#most) this.#close();
    else this.#linger ??= setTimeout(() => this.#close(), this.#lingerMs);
    await this.#handing;
  }

  /** Resolves when everything taken so far has its outcome, or sending has ended. */
  async flush(): Promise<void> {
    this.#close();
    // What SQS refuses on the way is handed on singly.
    for (let handed; handed !== this.#handing;) {
      handed = this.#handing;
      await handed;
      await this.#sender.flush();
    }
  }

  #close(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    const entries = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#handOver(entries);
  }

  #handOver(entries: readonly Entry[]): void {
    const [first, ...others] = entries;
    if (!first) return;
    if (others.length === 0) return this.#hand(first.alone, first.settle);
    const message = encodePack(entries.map(({ event }) => event));
    if (message.bytes <= Math.min(this.#maximumBytes, MOST_MESSAGE_BYTES)) {
      return this.#hand(message, (outcome) => this.#settleAll(entries, outcome));
    }
    const half = Math.ceil(entries.length / 2);
    this.#handOver(entries.slice(0, half));
    this.#handOver(entries.slice(half));
  }

  #settleAll(entries: readonly Entry[], outcome: Outcome): void {
    for (const { alone, settle } of entries) {
      if (outcome === 'sent') settle(outcome);
      else this.#hand(alone, settle);
    }
  }

  #hand(message: OutgoingMessage, settle: Settle): void {
    this.#handing = this.#handing.then(() => this.#sender.add(message, settle));
  }
}
