import { setTimeout as delay } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { log } from '@temporalio/activity';
import { describeError } from '../clients/aws-errors';
import { membersOf, valueAt } from '../event/json-path';
import { projectionOf } from '../rows/columns';
import { keepRejected } from '../lake/kept';
import { type Lake } from '../pipeline/definition';
import { type RejectReason } from '../event/event';
import { ADDED_MEMBERS } from '../pipeline/names';
import type { QueueMessage } from '../queue/message';
import { Pace } from '../queue/pace';
import { MESSAGES_PER_REQUEST, type Queue } from '../queue/queue';
import { keyDigest } from '../event/key';
import { readPayload } from '../event/event';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';
import { type NamedQueue, requireOwnQueue } from './own-queue';

interface Clients {
  queue: NamedQueue & Pick<Queue, 'receive' | 'release'>;
  s3: Pick<S3Client, 'send'>;
}

export interface ReceiveInput {
  queue: string;
  /** Where rejected messages are kept. */
  lake: Lake;
  /** Where the cells of a row stand in an event, such as `meta.id`. Their names are not needed, and would stand in every history. */
  paths: readonly string[];
  escapeFormulas: boolean;
  /** Members that Sluice has added to the events: columns of them say nothing of what was published. */
  addedMembers: readonly string[];
  /** Messages wanted. */
  rows: number;
  /** Messages wanted at most, as long as there is a backlog. Default: {@link rows}. */
  backlogRows?: number;
  /** Bytes of rows (as JSON) wanted at most; messages beyond it are released at once. */
  bytes: number;
  /** Long polling, in seconds, for the first message. */
  waitSeconds: number;
  /** Milliseconds for which more messages are collected after the first. */
  collectMs: number;
  visibilityTimeoutSeconds: number;
}

/** Parallel arrays, one entry per message; never the payloads. */
export interface ReceivedMessages {
  messageIds: string[];
  receipts: string[];
  /** Digests of keys, 16 hexadecimal digits. */
  keys: string[];
  /** Bytes of each row as JSON. */
  bytes: number[];
  rows: string[][];
  /** Messages that can't become a row. They are kept under `rejected/` and only need to be deleted. */
  rejected: { messageId: string; receipt: string; key: string; reason: RejectReason }[];
  /** Ids of messages that were received and stay in the queue: released, or rejected and not to be kept. */
  leftInQueue: string[];
  /**
   * Epoch milliseconds: everything sent before was seen, as far as the queue's order can be trusted. The newest
   * SentTimestamp received or, when a long poll came back empty, the moment at which it began.
   */
  reached?: number;
  /** Epoch milliseconds at which the oldest message was sent; without one when there was none. */
  oldestSentAt?: number;
  /** Epoch milliseconds, by this worker's clock: when the first poll began and when the last was answered. */
  from: number;
  until: number;
  /** The last polls came back full, and many more should be waiting: several receives at once would find work. */
  behind: boolean;
  /** Polls that failed, and releases: they may have hidden messages that nobody knows of until their visibility timeout ends. */
  lostPolls: number;
}

/** Messages older than this when they are received, in milliseconds, waited behind others. */
const BACKLOG_AGE_MS = 2_000;

/** So many full polls that should be waiting are a backlog, too. */
const BACKLOG_POLLS = 20;

/** Beyond it a lane gains nothing, and the next receive finds what is left. */
const MOST_POLLS_AT_ONCE = 8;

/** A row larger than this is rejected: state and history carry rows. */
export const LARGEST_ROW_BYTES = 64 * 1024;

/**
 * Receives messages and turns them into rows. Polls one at a time, and several at once only while that many should come back
 * full: at 50 events/s four polls at once cost 0.48 requests per event, one costs 0.30.
 *
 * A poll under way is never aborted, since it would hide what it was just given.
 *
 * @throws the SQS client's error when not a single poll worked; attempt it once, the lane asks again
 */
export async function receiveMessages(clients: Clients, input: ReceiveInput): Promise<ReceivedMessages> {
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async (signal) => {
    await requireOwnQueue(clients.queue).catch((error: unknown) => {
      throw awsFailure(error, `find the queue ${input.queue}`);
    });
    const collector = new Collector(clients, input);
    while (collector.wantsMore() && !signal.aborted) {
      await collector.poll();
      await collector.pause(signal);
    }
    return collector.result;
  });
}

type ReadRow =
  { ok: true; row: string[]; bytes: number } | { ok: false; reason: RejectReason; detail: string };

/** Members of an event that are named to a person, and characters of each. */
const NAMED_MEMBERS = 10;
const LONGEST_NAME = 40;

class Collector {
  readonly result: ReceivedMessages = {
    messageIds: [],
    receipts: [],
    keys: [],
    bytes: [],
    rows: [],
    rejected: [],
    leftInQueue: [],
    from: 0,
    until: 0,
    behind: false,
    lostPolls: 0,
  };
  readonly #clients: Clients;
  readonly #input: ReceiveInput;
  readonly #project: (event: object) => string[];
  /** Columns of which one at least must be in an event. */
  readonly #published: readonly (readonly string[])[];
  readonly #wantsKey: boolean;
  readonly #pace = new Pace();
  #polled = false;
  #bytes = 0;
  #collectUntil = Infinity;
  #polls = 1;

  constructor(clients: Clients, input: ReceiveInput) {
    this.#clients = clients;
    this.#input = input;
    const { paths, escapeFormulas, addedMembers } = input;
    const members = paths.map(membersOf);
    this.#published = members.filter(([first = '']) => !addedMembers.includes(first));
    this.#wantsKey = members.some(([first]) => first === ADDED_MEMBERS.sluice);
    this.#project = projectionOf(
      paths.map((path) => ({ path })),
      { escapeFormulas },
    );
  }

  wantsMore(): boolean {
    if (!this.#polled) return true;
    if (this.result.lostPolls > 0 || this.#count() === 0) return false;
    return this.#room() > 0 && Date.now() < this.#collectUntil;
  }

  /** One round: one poll, or several at once where that many should come back full. */
  async poll(): Promise<void> {
    const room = this.#room();
    const polls = Math.min(this.#polls, Math.ceil(room / MESSAGES_PER_REQUEST));
    const sizes = Array.from({ length: polls }, (_, index) =>
      Math.min(MESSAGES_PER_REQUEST, room - index * MESSAGES_PER_REQUEST),
    );
    const begun = Date.now();
    const answers = await Promise.allSettled(sizes.map((size) => this.#receive(size, polls > 1)));
    this.#polled = true;
    this.result.from ||= begun;
    this.result.until = Date.now();
    const messages = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const errors = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as unknown] : [],
    );
    this.result.lostPolls += errors.length;
    if (errors.length > 0) {
      log.warn('A poll failed', { queue: this.#input.queue, error: describeError(errors[0]) });
      if (messages.length + this.#count() === 0)
        throw awsFailure(errors[0], `receive from the queue ${this.#input.queue}`);
    }
    if (messages.length === 0) this.#reach(begun);
    else if (this.#collectUntil === Infinity) this.#collectUntil = Date.now() + this.#input.collectMs;
    await this.#sort(messages);
    const wanted = sizes.reduce((sum, size) => sum + size, 0);
    this.#lookAhead(messages, messages.length === wanted);
  }

  /** How much is waiting, and so how many polls to make at once. A poll that was paused for is often full, too. */
  #lookAhead(messages: QueueMessage[], isFull: boolean): void {
    const sentAt = messages.flatMap((message) => message.sentAt ?? []);
    this.#pace.saw(sentAt, this.#count());
    const now = Date.now();
    const isOld = now - Math.max(...sentAt) > BACKLOG_AGE_MS;
    const waiting = isOld ? Infinity : this.#pace.fullPolls(now);
    this.result.behind = isFull && waiting >= BACKLOG_POLLS;
    this.#polls = isFull ? Math.max(1, Math.min(this.#polls * 2, waiting, MOST_POLLS_AT_ONCE)) : 1;
  }

  /**
   * A long poll returns with the first message there is. Where it did, the next one waits until ten have come, so that requests are
   * not spent on ones and twos.
   */
  async pause(signal: AbortSignal): Promise<void> {
    if (this.result.behind || !this.wantsMore()) return;
    const pause = Math.min(this.#pace.pauseMs(Date.now()), this.#collectUntil - Date.now());
    if (pause > 0) await delay(pause, undefined, { signal }).catch(() => {});
  }

  /** Messages that the next polls may bring: their rows, as large as those so far, must fit. */
  #room(): number {
    const { rows, backlogRows = rows, bytes } = this.#input;
    const count = this.#count();
    const wanted = (this.result.behind ? backlogRows : rows) - count;
    const rowBytes = count === 0 ? 0 : this.#bytes / count;
    return rowBytes === 0 ? wanted : Math.min(wanted, Math.floor((bytes - this.#bytes) / rowBytes));
  }

  #count(): number {
    return this.result.rows.length + this.result.rejected.length;
  }

  #reach(time: number): void {
    this.result.reached = Math.max(this.result.reached ?? 0, time);
  }

  async #receive(size: number, isOneOfSeveral: boolean): Promise<QueueMessage[]> {
    const { waitSeconds, visibilityTimeoutSeconds } = this.#input;
    const patience = this.#count() === 0 && !isOneOfSeveral ? waitSeconds : 1;
    return await this.#clients.queue.receive({
      most: size,
      waitSeconds: patience,
      visibilityTimeoutSeconds,
    });
  }

  async #sort(messages: QueueMessage[]): Promise<void> {
    const excess: QueueMessage[] = [];
    const rejecting: Promise<void>[] = [];
    for (const message of messages) {
      const { id: messageId, receipt, body } = message;
      // Without a key it is another program's message, and nothing but itself: two with equal bodies are two.
      const published = message.key ?? messageId;
      const read = this.#readRow(body, published);
      if (read.ok && this.#bytes + read.bytes > this.#input.bytes) {
        excess.push(message);
        continue;
      }
      this.#sentAt(message.sentAt);
      const key = keyDigest(published);
      if (!read.ok) {
        const rejected = { messageId, receipt, key, reason: read.reason };
        rejecting.push(this.#reject(rejected, { detail: read.detail, key: published, text: body }));
        continue;
      }
      this.#bytes += read.bytes;
      this.result.messageIds.push(messageId);
      this.result.receipts.push(receipt);
      this.result.keys.push(key);
      this.result.rows.push(read.row);
      this.result.bytes.push(read.bytes);
    }
    // Together: eighty one after the other would take as long as an activity may.
    await Promise.all(rejecting);
    if (excess.length > 0) await this.#release(excess);
  }

  #readRow(body: string, key: string): ReadRow {
    const read = readPayload(body);
    if (!read.ok) return read;
    const { value } = read;
    if (!this.#hasColumn(value)) return { ok: false, reason: 'no-columns', detail: this.#whatItHas(value) };
    let row: string[];
    try {
      row = this.#project(this.#wantsKey ? { ...value, [ADDED_MEMBERS.sluice]: { key } } : value);
    } catch (error) {
      // JSON.parse takes what JSON.stringify then overflows the stack with: some thousand levels.
      return { ok: false, reason: 'nested-too-deep', detail: describeError(error) };
    }
    const bytes = Buffer.byteLength(JSON.stringify(row));
    if (bytes <= LARGEST_ROW_BYTES) return { ok: true, row, bytes };
    const detail = `${bytes} bytes, and a row may have ${LARGEST_ROW_BYTES}`;
    return { ok: false, reason: 'row-too-large', detail };
  }

  /** A row of empty fields would be all that is left of an event of another kind. A tombstone has no payload by nature. */
  #hasColumn(event: object): boolean {
    if (this.#published.length === 0) return true;
    if (this.#published.some((members) => valueAt(event, members) !== undefined)) return true;
    const { kafka } = ADDED_MEMBERS;
    return this.#input.addedMembers.includes(kafka) && valueAt(event, [kafka, 'tombstone']) === true;
  }

  #whatItHas(event: object): string {
    const names = Object.keys(event).filter((name) => !this.#input.addedMembers.includes(name));
    const some = names.slice(0, NAMED_MEMBERS).map((name) => name.slice(0, LONGEST_NAME));
    const others = names.length > some.length ? ', …' : '';
    const members = names.length === 0 ? 'it has no members' : `its members are ${some.join(', ')}${others}`;
    return `none of the columns is in it (SLUICE_COLUMNS), and ${members}`;
  }

  #sentAt(time: number | undefined): void {
    if (time === undefined) return;
    this.#reach(time);
    this.result.oldestSentAt = Math.min(this.result.oldestSentAt ?? Infinity, time);
  }

  /** A message that can't be kept stays in the queue, and the others go on. */
  async #reject(
    message: ReceivedMessages['rejected'][number],
    event: { detail: string; key: string; text: string },
  ): Promise<void> {
    const { queue, lake } = this.#input;
    const { reason, messageId: id } = message;
    try {
      await keepRejected(this.#clients.s3, lake, { reason, source: queue, id, ...event });
      this.result.rejected.push(message);
    } catch (error) {
      this.result.leftInQueue.push(message.messageId);
      log.warn('A rejected message stays in the queue', {
        messageId: message.messageId,
        error: describeError(error),
      });
    }
  }

  /**
   * Makes messages visible at once. One that can't be released comes back when its visibility timeout ends; until then it is hidden
   * as by a poll that was lost, and may be a copy of any key.
   */
  async #release(messages: QueueMessage[]): Promise<void> {
    this.#bytes = this.#input.bytes;
    this.result.leftInQueue.push(...messages.map(({ id }) => id));
    const problems = await this.#clients.queue.release(messages.map(({ receipt }) => receipt));
    this.result.lostPolls += problems.length;
    for (const error of problems) {
      log.warn('Messages were not released early', { queue: this.#input.queue, error });
    }
  }
}
