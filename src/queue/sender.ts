import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs, jittered } from '../backoff';
import { describeError, isTransient } from '../clients/aws-errors';
import type { OutgoingMessage } from './message';
import { type Answer, MESSAGES_PER_REQUEST, type Queue } from './queue';

/** Limit of one SendMessageBatch (SQS, since August 2025), */
const BATCH_BYTES = 1024 * 1024;

/** and before, which servers that stand in for SQS may still have. */
const OLD_BATCH_BYTES = 256 * 1024;

/** Between two tries, in milliseconds. */
const LONGEST_WAIT_MS = 10_000;

const TOO_LONG = /BatchRequestTooLong/;

/** Error codes with which SQS refuses the content of a message. SenderFault alone is no proof: throttling can carry it. */
const REFUSES_CONTENT = /InvalidMessageContents|InvalidParameterValue|MessageTooLong|BatchRequestTooLong/;

export interface SenderOptions {
  queue: Pick<Queue, 'send'>;
  /** Milliseconds for which a batch that is not full waits for more. */
  lingerMs?: number;
  /** SendMessageBatch calls under way at once. */
  batchesInFlight?: number;
  /** First wait in milliseconds after an answer that allows another try; doubled up to ten seconds. */
  backoffMs?: number;
  /**
   * Asked before each request with {@link signal}; resolves when it may be made, to what gives it up, so that it is made again. Default: at
   * once, and nothing but `signal` does.
   */
  mayBegin?: (signal: AbortSignal) => Promise<AbortSignal>;
  /** Ends all sending at once. The sender drops messages that SQS has not confirmed. */
  signal: AbortSignal;
  /** Told how many events a try did not bring into the queue; they are sent again. Default: nothing is told. */
  onUnconfirmed?: (events: number) => void;
  /** Called once, when SQS refuses the sender and trying again won't help. The sender sends nothing afterwards. */
  onFailure: (error: unknown) => void;
}

/** What became of a message; `refused` says why SQS will never take it. */
export type Outcome = 'sent' | { refused: string };

interface Entry {
  message: OutgoingMessage;
  settle: (outcome: Outcome) => void;
}

/** Fills SQS batches, and sends an entry again until SQS has put it into `Successful`. */
export class BatchSender {
  readonly #options: Required<SenderOptions>;
  readonly #inFlight = new Set<Promise<void>>();
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #mostBytes = BATCH_BYTES;
  #linger: NodeJS.Timeout | undefined;
  #hasFailed = false;

  constructor(options: SenderOptions) {
    this.#options = {
      lingerMs: 1_000,
      batchesInFlight: 4,
      backoffMs: 200,
      mayBegin: async (signal) => signal,
      onUnconfirmed: () => {},
      ...options,
    };
  }

  /**
   * Takes a message. Resolves when the next one may be taken, which is later when SQS is slow.
   *
   * @param settle called once when the message's fate is known; never after an abort or a failure
   */
  async add(message: OutgoingMessage, settle: Entry['settle']): Promise<void> {
    const { bytes } = message;
    if (this.#waitingBytes + bytes > this.#mostBytes) await this.#dispatch();
    this.#waiting.push({ message, settle });
    this.#waitingBytes += bytes;
    this.#linger ??= setTimeout(() => void this.#dispatch(), this.#options.lingerMs);
    if (this.#waiting.length >= MESSAGES_PER_REQUEST) await this.#dispatch();
  }

  /** Resolves when everything taken so far has its outcome, or sending has ended. */
  async flush(): Promise<void> {
    await this.#dispatch();
    await Promise.all(this.#inFlight);
  }

  async #dispatch(): Promise<void> {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    while (this.#inFlight.size >= this.#options.batchesInFlight) await Promise.race(this.#inFlight);
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const delivery = this.#deliver(batch).finally(() => this.#inFlight.delete(delivery));
    this.#inFlight.add(delivery);
  }

  /** Never rejects. */
  async #deliver(batch: Entry[]): Promise<void> {
    const { signal, backoffMs: first, onFailure, onUnconfirmed } = this.#options;
    let left = batch;
    try {
      for (let failures = 1; ; failures += 1) {
        if (signal.aborted || this.#hasFailed) return;
        left = await this.#send(left);
        if (left.length === 0) return;
        onUnconfirmed(left.reduce((sum, { message }) => sum + message.events, 0));
        const longest = backoffMs(failures, { first, most: LONGEST_WAIT_MS });
        await delay(jittered(longest), undefined, { signal });
      }
    } catch (error) {
      if (signal.aborted || this.#hasFailed) return;
      this.#hasFailed = true;
      onFailure(error);
    }
  }

  /** @returns the entries to send again */
  async #send(entries: Entry[]): Promise<Entry[]> {
    const { queue, signal, mayBegin } = this.#options;
    const abortSignal = await mayBegin(signal);
    try {
      const messages = entries.map(({ message }) => message);
      const answers = await queue.send(messages, { abortSignal });
      return entries.filter(({ settle }, index) => {
        const outcome = outcomeOf(answers[index]);
        if (outcome !== undefined) settle(outcome);
        return outcome === undefined;
      });
    } catch (error) {
      if (isTransient(error)) return entries;
      return await this.#sendOneByOne(entries, error);
    }
  }

  /** A batch refused as a whole may owe it to one of its entries. */
  async #sendOneByOne(entries: Entry[], error: unknown): Promise<Entry[]> {
    const refused = describeError(error);
    if (!REFUSES_CONTENT.test(refused)) throw error;
    if (TOO_LONG.test(refused)) this.#mostBytes = OLD_BATCH_BYTES;
    if (entries.length === 1) {
      entries[0]?.settle({ refused });
      return [];
    }
    const again: Entry[] = [];
    for (const entry of entries) again.push(...(await this.#send([entry])));
    return again;
  }
}

/** @returns undefined where the message is to be sent again */
function outcomeOf(answer: Answer | undefined): Outcome | undefined {
  if (answer === undefined) return undefined;
  if (answer.ok) return 'sent';
  const { code, message } = answer;
  return REFUSES_CONTENT.test(code) ? { refused: `${code}: ${message}` } : undefined;
}
