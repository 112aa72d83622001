import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { ApplicationFailure } from '@temporalio/common';
import type { BatchActivities } from '../../src/activities';
import type { ClaimInput } from '../../src/activities/claim-queue';
import type { DeleteInput } from '../../src/activities/delete-messages';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from '../../src/activities/heartbeat';
import { type Received, type ReceivedMessage, takenApart } from '../../src/lane/received';
import type {
  Adopted,
  AdoptInput,
  Deleted,
  QueueDepth,
  ReceiveInput,
  Uploaded,
  UploadInput,
} from '../../src/lane/work';
import { projectionOf } from '../../src/rows/columns';
import { keyDigest } from '../../src/event/key';
import { wikimediaEvent } from '../../src/sources/sse/wikimedia';
import { Gate } from './gate';

interface StoredMessage {
  messageId: string;
  key: string;
  /** What its row is made of. */
  value: object;
  bytes: number;
  sentAt: number;
  visibleAt: number;
  receipt: string;
}

/** Called at a point of an activity with how often it came there; throws what the activity fails with. */
export type Hook = (count: number) => void | Promise<void>;

const POLL_MS = 20;

/** A hook may hold an activity for longer than its heartbeat timeout. */
async function alive<T>(work: () => Promise<T>): Promise<T> {
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, work);
}

/** A failure as the real activities throw it for what another try can't mend: with what AWS said below it. */
export function hopeless(message: string): ApplicationFailure {
  const cause = new Error('said without context');
  return ApplicationFailure.create({ message, type: 'Hopeless', nonRetryable: true, cause });
}

/** One queue and one bucket in memory, and the batch activities on them. */
export class FakeLane {
  /** Objects by key, in the order in which they were written. */
  readonly objects = new Map<string, UploadInput>();
  /** Every attempt to write one. */
  readonly uploads: UploadInput[] = [];
  readonly claims: ClaimInput[] = [];
  readonly adoptions: AdoptInput[] = [];
  /** Keys that were deleted while neither an object held their row nor another message brought them. */
  readonly deletedTooEarly: string[] = [];
  readonly receives: ReceiveInput[] = [];
  /** How many messages each deletion was told to delete. */
  readonly deletions: number[] = [];
  /** Characters of a receipt. Those of SQS are some 400. */
  receiptLength = 16;
  /**
   * Whether hidden messages come back when their visibility timeout ends. Default: when {@link redeliver} is called, so that none
   * does in a test that a busy machine makes slow.
   */
  comesBack = false;
  /** Receives that wait for messages. */
  polling = 0;
  /** Deletions that will be answered with success and delete nothing. */
  staleDeletions = 0;
  /** Whether deletions delete nothing, and say so. */
  deletionsFail = false;
  /** Which keys' messages can't become a row. */
  rejects: (key: string) => boolean = () => false;
  /** Before anything is received; before the queue hides what it hands out. */
  beforeReceive: Hook = () => {};
  /** What fails here has hidden messages. */
  afterReceive: Hook = () => {};
  beforeUpload: Hook = () => {};
  /** What fails here has written the object. */
  afterUpload: Hook = () => {};
  beforeClaim: Hook = () => {};
  beforeAdopt: Hook = () => {};
  readonly #messages = new Map<string, StoredMessage>();
  /** Message ids, by their receipts. */
  readonly #receipts = new Map<string, string>();
  readonly #end = new Gate();
  #isClosed = false;

  /** Messages in the queue, hidden ones too. */
  get size(): number {
    return this.#messages.size;
  }

  get hidden(): number {
    return [...this.#messages.values()].filter(({ visibleAt }) => visibleAt > Date.now()).length;
  }

  /** Objects in the order of their sequence numbers. */
  get batches(): { sequence: number; keys: string[] }[] {
    return [...this.objects]
      .map(([key, { rows }]) => ({
        sequence: Number(/-(\d{10})-[0-9a-f]{16}\.csv$/.exec(key)?.[1]),
        keys: rows.map(([first = '']) => first),
      }))
      .sort((a, b) => a.sequence - b.sequence);
  }

  /** The keys of all rows in the lake, sorted. */
  get rowKeys(): string[] {
    return this.batches.flatMap(({ keys }) => keys).sort();
  }

  /** Sends one message for each key, in this order: an event with the members `key` and `text`. */
  send(keys: readonly string[], text = ''): void {
    for (const key of keys) this.#send(key, { key, text });
  }

  /** Sends events as the source published them. */
  sendEvents(texts: readonly string[]): void {
    for (const text of texts) {
      const event = wikimediaEvent(text);
      if (!event.ok) throw new TypeError(`The fake takes events only: ${event.detail}`);
      this.#send(event.key, event.value);
    }
  }

  /** Makes hidden messages visible, as the end of their visibility timeout would. */
  redeliver(): void {
    for (const message of this.#messages.values()) message.visibleAt = 0;
  }

  /** Answers all polls, and any later one at once, and lets go what a hook holds: the Worker can end. */
  close(): void {
    this.#isClosed = true;
    this.#end.open();
  }

  readonly activities: BatchActivities = {
    claimQueue: (input) => alive(() => this.#claim(input)),
    adoptLake: (input) => alive(() => this.#adopt(input)),
    receiveMessages: (input) => alive(() => this.#receive(input)),
    uploadBatch: (input) => alive(() => this.#upload(input)),
    deleteMessages: (input) => this.#delete(input),
    measureQueue: () => this.#measure(),
  };

  async #claim(input: ClaimInput): Promise<void> {
    this.claims.push(input);
    await this.#pass(this.beforeClaim, this.claims.length);
  }

  async #adopt(input: AdoptInput): Promise<Adopted> {
    this.adoptions.push(input);
    await this.#pass(this.beforeAdopt, this.adoptions.length);
    return { keys: this.rowKeys.slice(-input.keys).map(keyDigest).join('') };
  }

  async #pass(hook: Hook, count: number): Promise<void> {
    await Promise.race([hook(count), this.#end.passed]);
  }

  #send(key: string, value: object): void {
    const messageId = randomUUID();
    const bytes = Buffer.byteLength(JSON.stringify(value));
    const message = {
      messageId,
      key,
      value,
      bytes,
      sentAt: Date.now(),
      visibleAt: 0,
      receipt: '',
    };
    this.#messages.set(messageId, message);
  }

  async #receive(input: ReceiveInput): Promise<Received> {
    this.receives.push(input);
    const count = this.receives.length;
    await this.#pass(this.beforeReceive, count);
    const begun = Date.now();
    const all = await this.#poll(input);
    await this.#pass(this.afterReceive, count);
    const rowOf = projectionOf(input.paths.map((path) => ({ path })));
    return {
      ...takenApart(all.map((message) => this.#received(message, rowOf(message.value)))),
      leftInQueue: [],
      reached: all.length === 0 ? begun : Math.max(...all.map(({ sentAt }) => sentAt)),
      from: begun,
      until: Date.now(),
      behind: all.length === (input.backlogRows ?? input.rows),
      lostPolls: 0,
      refusedPolls: 0,
    };
  }

  #received(
    { messageId: id, receipt, sentAt, key: published }: StoredMessage,
    cells: string[],
  ): ReceivedMessage {
    const key = keyDigest(published);
    const row = { key, cells, bytes: Buffer.byteLength(JSON.stringify(cells)) };
    return {
      id,
      receipt,
      sentAt,
      events: [this.rejects(published) ? { key, reason: 'row-too-large' } : row],
    };
  }

  async #poll(input: ReceiveInput): Promise<StoredMessage[]> {
    const until = Date.now() + input.waitSeconds * 1_000;
    this.polling += 1;
    let taken = this.#take(input);
    while (taken.length === 0 && Date.now() < until && !this.#isClosed) {
      await delay(POLL_MS);
      taken = this.#take(input);
    }
    this.polling -= 1;
    return taken;
  }

  #take({ rows, backlogRows = rows, bytes, visibilityTimeoutSeconds }: ReceiveInput): StoredMessage[] {
    const now = Date.now();
    const taken: StoredMessage[] = [];
    let room = bytes;
    for (const message of this.#messages.values()) {
      if (message.visibleAt > now) continue;
      room -= message.bytes;
      if (taken.length === backlogRows || room < 0) break;
      message.receipt = randomBytes(this.receiptLength).toString('base64').slice(0, this.receiptLength);
      this.#receipts.set(message.receipt, message.messageId);
      message.visibleAt = this.comesBack ? now + visibilityTimeoutSeconds * 1_000 : Infinity;
      taken.push({ ...message });
    }
    return taken;
  }

  async #upload(input: UploadInput): Promise<Uploaded> {
    this.uploads.push(input);
    const count = this.uploads.length;
    await this.#pass(this.beforeUpload, count);
    const found = this.objects.get(input.key);
    if (found && !isDeepStrictEqual(found, input)) throw hopeless(`${input.key} holds another batch`);
    this.objects.set(input.key, input);
    await this.#pass(this.afterUpload, count);
    return { bytes: Buffer.byteLength(JSON.stringify(input.rows)), at: Date.now() };
  }

  async #delete({ receipts }: DeleteInput): Promise<Deleted> {
    this.deletions.push(receipts.length);
    if (this.deletionsFail) return { left: receipts.map((_, index) => index), at: Date.now() };
    const inLake = new Set(this.rowKeys);
    for (const receipt of receipts) {
      const messageId = this.#receipts.get(receipt) ?? '';
      const message = this.#messages.get(messageId);
      if (this.staleDeletions > 0) this.staleDeletions -= 1;
      else if (message?.receipt === receipt) {
        this.#messages.delete(messageId);
        const isQueued = [...this.#messages.values()].some(({ key }) => key === message.key);
        if (!isQueued && !inLake.has(message.key)) this.deletedTooEarly.push(message.key);
      }
    }
    return { left: [], at: Date.now() };
  }

  async #measure(): Promise<QueueDepth> {
    const visible = this.size - this.hidden;
    return { visible, notVisible: this.hidden, delayed: 0, retentionSeconds: 345_600, at: Date.now() };
  }
}

/** @returns `count` keys, `from` on: such as key-0001 */
export function keysOf(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, index) => `key-${String(from + index).padStart(4, '0')}`);
}
