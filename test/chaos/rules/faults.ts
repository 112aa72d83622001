import { seededRandom } from '../../../local/simulated-stream/random';

/** What the proxy does to requests now and then; each has a rate, 0 to 1. Per request, where nothing else is said. */
export const FAULTS = [
  /** The connection is reset before the request is carried out. */
  'resetBefore',
  /** 500, nothing was carried out. */
  'failedBefore',
  /** 503, nothing was carried out. */
  'unavailable',
  /** SQS: 400 or 403 with a throttling code; S3: 503 SlowDown. Nothing was carried out. */
  'throttled',
  /** The connection is reset after the request was carried out: the answer is lost. */
  'resetAfter',
  /** 500, and the request was carried out all the same. */
  'failedAfter',
  /** Up to `slowestMs` pass before the request is carried out, or before its answer is given. */
  'slow',
  /** Per entry of a batch: `Failed` with InternalError under 200; the entry is not carried out. */
  'entryFailed',
  /** Per entry of a batch: `Failed` with a throttling code and SenderFault true; the entry is not carried out. */
  'entryThrottled',
  /** A receive also brings a message that is in flight already, with a receipt of its own. */
  'copied',
  /** A receive also brings a message that was deleted, once. */
  'revived',
  /** The messages of a receive come in another order. */
  'shuffled',
  /** One message of a receive stays behind and comes a second later, after younger ones. */
  'withheld',
  /** 409 to a conditional PUT, which is not carried out. */
  'conflict',
] as const;

export type FaultKind = (typeof FAULTS)[number];

/** What AWS does always and moto never. Counted where it made a difference. */
export const RULES = [
  /** A deletion after its receive's visibility timeout: success, and the message stays. */
  'expiredReceipt',
  /** A deletion with a receipt that is not the newest of its message: success, and the message stays. */
  'supersededReceipt',
  /** A receipt that the queue never gave. */
  'unknownReceipt',
  /** A batch that is empty, has more than ten entries, or ids that are not distinct or not allowed. */
  'malformedBatch',
  /** A message or batch of too many bytes. */
  'tooLong',
  /** Characters that SQS takes in no message. */
  'refusedCharacters',
  /** A body that is not the one of its checksum. */
  'badDigest',
  /** An ACL, which new buckets refuse. */
  'aclRefused',
  /** Counts of a queue's messages that are some seconds old. */
  'lateCounts',
] as const;

export type Rule = (typeof RULES)[number];
export type Counts = Record<FaultKind | Rule, number>;

/** What is decided about one request, by seed, operation and number of the request alone. */
export interface Roll {
  /**
   * Whether a fault is due.
   *
   * @param index of the entry, for faults of single entries
   */
  happens(fault: FaultKind, index?: number): boolean;
  /** A number of its own for each detail that is to be decided; at least 0 and below 1. */
  fraction(detail: string): number;
}

/**
 * Decides about faults, and counts them. Requests of one operation are numbered as they come: how those of different
 * operations interleave changes nothing.
 */
export class Dice {
  /** Requests by operation. */
  readonly requests: Record<string, number> = {};
  readonly counts = Object.fromEntries([...FAULTS, ...RULES].map((kind) => [kind, 0])) as Counts;
  readonly #seed: number;
  #rates: Partial<Record<FaultKind, number>>;

  /** @param rates 0 to 1; a fault without one does not happen */
  constructor(seed: number, rates: Partial<Record<FaultKind, number>>) {
    this.#seed = seed;
    this.#rates = rates;
  }

  roll(operation: string): Roll {
    const number = (this.requests[operation] ?? 0) + 1;
    this.requests[operation] = number;
    const fraction = (detail: string) =>
      seededRandom(hash(`${this.#seed}/${operation}/${number}/${detail}`)).fraction();
    return {
      fraction,
      happens: (fault, index = 0) => fraction(`${fault} ${index}`) < (this.#rates[fault] ?? 0),
    };
  }

  happened(kind: FaultKind | Rule): void {
    this.counts[kind] += 1;
  }

  /** No fault is due any more, also none of a request that was rolled before. */
  heal(): void {
    this.#rates = {};
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}
