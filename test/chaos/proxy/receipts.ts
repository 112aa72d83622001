/** A message as a receive brings it; its other fields travel along. */
export interface Message {
  MessageId: string;
  ReceiptHandle: string;
}

/** What a receipt can still do. */
export type Worth =
  /** Deletes; `real` is the newest receipt that the backend gave for the message. */
  | { worth: 'deletion'; real: string }
  | { worth: 'nothing'; because: 'expired' | 'superseded' | 'deleted' }
  | { worth: 'unknown' };

interface Known {
  /** Forgotten when the message was deleted long ago. */
  message?: Message;
  real: string;
  newest: string;
  deleted: boolean;
}

/** Messages in flight that can be brought again, at most: the newest. */
const REMEMBERED = 50;

/**
 * The same of those that were deleted. A message has up to a hundred events, and a window of 500 keys knows what comes again within these: of one that
 * comes after more, nothing is promised.
 */
const REMEMBERED_DELETED = 4;

/**
 * What each receipt of one queue is worth, as AWS documents it: the newest of its message, within the visibility timeout
 * of its receive. Pure: times are epoch milliseconds and come in as arguments.
 *
 * Source: "DeleteMessage" in the SQS API reference; "if you receive a message more than once, the ReceiptHandle is different
 * each time"; at-least-once delivery in the developer guide.
 */
export class Receipts {
  readonly #known = new Map<string, Known>();
  readonly #receipts = new Map<string, { messageId: string; until: number }>();
  readonly #inFlight = new Set<string>();
  readonly #deleted = new Set<string>();
  #given = 0;

  /** The backend brought a message. */
  received(message: Message, until: number): void {
    const { MessageId: messageId, ReceiptHandle: receipt } = message;
    this.#known.set(messageId, { message, real: receipt, newest: receipt, deleted: false });
    this.#receipts.set(receipt, { messageId, until });
    this.#deleted.delete(messageId);
    remember(this.#inFlight, messageId, REMEMBERED);
  }

  /** @returns the id of a message in flight, or none. @param fraction which one: at least 0 and below 1 */
  inFlight(fraction: number): string | undefined {
    return pick(this.#inFlight, fraction);
  }

  /** @returns the id of a message that was deleted and did not come again yet, or none */
  deletedLately(fraction: number): string | undefined {
    return pick(this.#deleted, fraction);
  }

  /** Gives out a message that the backend does not bring, with a new receipt. It makes the older ones stale. */
  again(messageId: string, until: number): Message | undefined {
    const known = this.#known.get(messageId);
    if (!known?.message) return undefined;
    this.#given += 1;
    const receipt = `proxy-${this.#given}-${messageId}`;
    known.newest = receipt;
    this.#receipts.set(receipt, { messageId, until });
    this.#deleted.delete(messageId);
    return { ...known.message, ReceiptHandle: receipt };
  }

  worth(receipt: string, now: number): Worth {
    const given = this.#receipts.get(receipt);
    const known = given && this.#known.get(given.messageId);
    if (!known) return { worth: 'unknown' };
    if (known.deleted) return { worth: 'nothing', because: 'deleted' };
    if (known.newest !== receipt) return { worth: 'nothing', because: 'superseded' };
    if (now >= given.until) return { worth: 'nothing', because: 'expired' };
    return { worth: 'deletion', real: known.real };
  }

  /** @returns the id of the message that is gone */
  deleted(receipt: string): string | undefined {
    const messageId = this.#receipts.get(receipt)?.messageId;
    const known = messageId === undefined ? undefined : this.#known.get(messageId);
    if (messageId === undefined || !known) return undefined;
    known.deleted = true;
    this.#inFlight.delete(messageId);
    const forgotten = remember(this.#deleted, messageId, REMEMBERED_DELETED);
    if (forgotten !== undefined) delete this.#known.get(forgotten)?.message;
    return messageId;
  }

  /** The message of this receipt stays hidden until then. */
  hidden(receipt: string, until: number): void {
    const given = this.#receipts.get(receipt);
    if (given) given.until = until;
  }
}

/** @returns what had to leave for it */
function remember(ids: Set<string>, id: string, most: number): string | undefined {
  ids.delete(id);
  ids.add(id);
  const [oldest] = ids;
  if (ids.size <= most || oldest === undefined) return undefined;
  ids.delete(oldest);
  return oldest;
}

function pick(ids: Set<string>, fraction: number): string | undefined {
  return [...ids][Math.floor(fraction * ids.size)];
}
