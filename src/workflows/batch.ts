import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  proxyActivities,
  type RetryPolicy,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { BatchActivities } from '../activities';
import type { ReceivedMessages } from '../activities/receive-messages';
import type { PipelineDefinition } from '../config';
import { batchObjectKey } from '../lake/object-key';
import { QUERIES, SIGNALS } from '../names';
import { Assembler, type WaitingRow } from './assembler';
import { neverEnding } from './never-ending';
import { isNotRetryable, park, type Parked, parkedMs, problemOf } from './park';
import type { BatchCounts, BatchStatus } from './status';
import { type Deletion, Window, type WindowState } from './window';

export const startSignal = defineSignal(SIGNALS.start);
export const stopSignal = defineSignal(SIGNALS.stop);
export const pauseSignal = defineSignal(SIGNALS.pause);
export const resumeSignal = defineSignal(SIGNALS.resume);
export const flushSignal = defineSignal(SIGNALS.flush);
export const statusQuery = defineQuery<BatchStatus>(QUERIES.status);

/** A batch in its final form: every try to upload it writes the same bytes to the same key. */
interface FrozenBatch {
  sequence: number;
  objectKey: string;
  /** Of the definition whose columns the rows have. */
  version: number;
  columns: string[];
  rows: (readonly string[])[];
  /** Digests of the rows' keys. */
  keys: string[];
  bytes: number;
}

/** What continue-as-new carries, the settled keys aside. JSON. */
export interface LaneState {
  /** Of this record; another number is another shape. */
  schema: 1;
  /** Counts the changes of the definition. */
  version: number;
  paused: boolean;
  stopping: boolean;
  stopped: boolean;
  flushing: boolean;
  parked?: Parked;
  mayTry: boolean;
  claimed: boolean;
  nextSequence: number;
  now: number;
  waiting: readonly WaitingRow[];
  frozen: FrozenBatch[];
  window: WindowState;
  counts: BatchCounts;
  lastObject?: string;
}

const UPLOADS_AT_ONCE = 4;
const RECEIVES_AT_ONCE = 4;
const DELETES_AT_ONCE = 2;

/**
 * What the lane's state may come to, in bytes: window, rows, receipts, and what receives under way may bring. All arguments of
 * continue-as-new share 2 MiB.
 */
const STATE_BYTES = 1_600 * 1024;
const RECEIVE_BYTES = 256 * 1024;

/** SQS receipts are some 400 characters long, 1,024 at most. */
const RECEIPT_BYTES = 450;

/** Copies to delete wait for nine others, or so many milliseconds. */
const DELETE_AT = 10;
const DELETE_AFTER_MS = 5_000;
const MOST_DELETIONS = 100;

/** For how long a receive collects rows after its first; a quarter of the visibility timeout at most. */
const COLLECT_MS = 5_000;

/** Between receives that fail, in milliseconds: doubled from one second up to this. */
const LONGEST_RECEIVE_WAIT_MS = 15_000;

/** A lane whose window is full receives ten messages a second: only receiving lets keys leave. */
const TRICKLE_ROWS = 10;
const TRICKLE_MS = 1_000;

const NO_COUNTS: BatchCounts = {
  received: 0,
  redelivered: 0,
  repeats: 0,
  rejected: 0,
  lostReceives: 0,
  rows: 0,
  batches: 0,
  bytes: 0,
};

const shortActivity = { startToCloseTimeout: '60s', heartbeatTimeout: '10s' } as const;
const patient: RetryPolicy = {
  initialInterval: '500ms',
  maximumInterval: '15s',
  nonRetryableErrorTypes: ['PayloadsTooLarge'],
};

const { uploadBatch, claimQueue, measureQueue } = proxyActivities<BatchActivities>({
  ...shortActivity,
  retry: patient,
});
const { deleteMessages } = proxyActivities<BatchActivities>({
  ...shortActivity,
  retry: { ...patient, maximumAttempts: 3 },
});
// Attempted once: what a lost receive has hidden must be known to the window.
const { receiveMessages } = proxyActivities<BatchActivities>({
  ...shortActivity,
  retry: { maximumAttempts: 1 },
});

/**
 * One lane: the only reader of one queue. Receives messages, assembles batches, uploads them as objects and deletes the
 * messages whose rows are in the lake. Never ends by itself; `stop` drains the queue and idles.
 *
 * @param settledKeys eight bytes each; apart from the state, so that they travel as bytes
 */
export async function batch(
  definition: PipelineDefinition,
  state?: LaneState,
  settledKeys?: Uint8Array,
): Promise<void> {
  const lane = new Lane(definition, state, settledKeys);
  setHandler(startSignal, () => lane.start());
  setHandler(stopSignal, () => lane.stop());
  setHandler(pauseSignal, () => lane.pause());
  setHandler(resumeSignal, () => lane.resume());
  setHandler(flushSignal, () => lane.flush());
  setHandler(statusQuery, () => lane.status());
  await neverEnding(
    () => lane.stop(),
    async () => {
      await lane.runUntilHistoryIsLong();
      await condition(allHandlersFinished);
      await continueAsNew<typeof batch>(definition, lane.state(), lane.window.packKeys());
    },
  );
}

class Lane {
  readonly window: Window;
  readonly #definition: PipelineDefinition;
  readonly #assembler: Assembler;
  readonly #version: number;
  readonly #counts: BatchCounts;
  readonly #waitSeconds: number;
  #nextSequence: number;
  /** Frozen and not being uploaded, in order of their sequence. */
  #frozen: FrozenBatch[];
  #uploading: FrozenBatch[] = [];
  #receiving = 0;
  /** Rows are reserved before they are received: what a receive brings must find its place. */
  #reservedRows = 0;
  #deleting = 0;
  #measuring = false;
  #claimed: boolean;
  #paused: boolean;
  #stopping: boolean;
  #stopped: boolean;
  #parked: Parked | undefined;
  /** Wants the partial batch now. */
  #flushing: boolean;
  /** History is long: nothing new is received, so that what is under way can end. */
  #winding = false;
  /** The last receive met a backlog. */
  #backlog = false;
  /** The last receive found the queue empty. */
  #empty = false;
  /** Since when the queue was seen to be empty while stopping, and no sign to the contrary. */
  #quietSince: number | undefined;
  /** Copies to delete have waited long enough for others. */
  #copiesDue = false;
  #copiesWait = false;
  #receiveFailures = 0;
  #lastObject: string | undefined;
  #stirred = true;
  #alarmAt = Infinity;
  /**
   * Epoch milliseconds: the latest time that a result or a timer told. Date.now() is no input of a decision here: after a
   * query on a worker that replayed the workflow, it was seen to run behind, and the next replay decided otherwise.
   */
  #now: number;
  /** A parked lane tries again: it waited long enough, or was asked to. */
  #mayTry: boolean;

  constructor(definition: PipelineDefinition, state?: LaneState, settledKeys?: Uint8Array) {
    const { queue, batch: rules } = definition;
    const visibilityTimeoutMs = queue.visibilityTimeoutSeconds * 1000;
    // At most a quarter of the visibility timeout: a message may have been handed out when the poll began.
    this.#waitSeconds = Math.min(20, Math.max(1, Math.floor(queue.visibilityTimeoutSeconds / 4)));
    this.#definition = definition;
    this.window = new Window(
      {
        keys: definition.windowKeys,
        visibilityTimeoutMs,
        // A poll that is lost may still be handed messages at its very end.
        quarantineMs: Math.max(
          1.5 * visibilityTimeoutMs,
          visibilityTimeoutMs + (this.#waitSeconds + 1) * 1000,
        ),
      },
      state?.window,
      settledKeys,
    );
    this.#now = Math.max(state?.now ?? 0, workflowInfo().startTime.getTime());
    this.#assembler = new Assembler(
      { rows: rules.rows, flushAfterMs: rules.flushAfterSeconds * 1000 },
      state?.waiting,
    );
    this.#version = state?.version ?? 1;
    this.#counts = { ...(state?.counts ?? NO_COUNTS) };
    this.#nextSequence = state?.nextSequence ?? 1;
    this.#frozen = state?.frozen ?? [];
    this.#claimed = state?.claimed ?? false;
    this.#paused = state?.paused ?? false;
    this.#stopping = state?.stopping ?? false;
    this.#stopped = state?.stopped ?? false;
    this.#flushing = state?.flushing ?? false;
    this.#parked = state?.parked;
    this.#mayTry = state?.mayTry ?? true;
    this.#lastObject = state?.lastObject;
  }

  start(): void {
    this.#stopping = false;
    this.#stopped = false;
    this.resume();
  }

  /** Drains the queue into the lake, then idles with all state kept. */
  stop(): void {
    this.#stopping = true;
    this.#quietSince = undefined;
    this.resume();
  }

  pause(): void {
    this.#paused = true;
    this.#stir();
  }

  resume(): void {
    this.#paused = false;
    this.#mayTry = true;
    // A queue's tag may have changed since.
    this.#claimed = false;
    this.#stir();
  }

  flush(): void {
    this.#flushing = true;
    this.#stir();
  }

  status(): BatchStatus {
    return {
      activity: this.#activity(),
      ...(this.#parked && this.#isParked() ? { problem: this.#parked.problem } : {}),
      definition: this.#definition,
      counts: this.#counts,
      nextSequence: this.#nextSequence,
      rowsWaiting: this.#rowsInState(),
      batchesInFlight: this.#uploading.length,
      windowKeys: this.window.size,
      unsettled: this.window.unsettled,
      ...(this.#lastObject === undefined ? {} : { lastObject: this.#lastObject }),
    };
  }

  state(): LaneState {
    return {
      schema: 1,
      version: this.#version,
      paused: this.#paused,
      stopping: this.#stopping,
      stopped: this.#stopped,
      flushing: this.#flushing,
      ...(this.#parked ? { parked: this.#parked } : {}),
      mayTry: this.#mayTry,
      claimed: this.#claimed,
      nextSequence: this.#nextSequence,
      now: this.#now,
      waiting: this.#assembler.rows,
      frozen: this.#frozen,
      window: this.window.state(),
      counts: this.#counts,
      ...(this.#lastObject === undefined ? {} : { lastObject: this.#lastObject }),
    };
  }

  /** Resolves when continue-as-new is due and nothing is under way. */
  async runUntilHistoryIsLong(): Promise<void> {
    if (this.#parked && !this.#mayTry) void this.#tryAgain(this.#parked);
    for (;;) {
      this.#winding ||= workflowInfo().continueAsNewSuggested;
      if (!this.#isParked() && !this.#stopped) await this.#act();
      setCurrentDetails(this.#details());
      if (this.#winding && this.#isStill()) return;
      this.#setAlarm();
      await condition(() => this.#stirred);
      this.#stirred = false;
    }
  }

  /** Starts whatever can be started now. */
  async #act(): Promise<void> {
    if (!this.#claimed) await this.#claim();
    if (!this.#claimed) return;
    this.#freeze();
    this.#startUploads();
    this.#startDeletes();
    this.#startMeasuring();
    this.#startReceives();
  }

  async #claim(): Promise<void> {
    const { namespace, firstExecutionRunId } = workflowInfo();
    try {
      await claimQueue({ queue: this.#definition.queue.name, owner: `${namespace}/${firstExecutionRunId}` });
      this.#claimed = true;
      this.#worked('claim');
    } catch (error) {
      this.#park('claim', error);
    }
  }

  #startReceives(): void {
    const limit = this.#backlog && !this.window.isFull ? RECEIVES_AT_ONCE : 1;
    while (this.#mayReceive() && this.#receiving < limit) {
      const rows = this.#rowsToReceive();
      if (rows === 0 || this.#roomForBytes() < RECEIVE_BYTES) return;
      this.#receiving += 1;
      this.#reservedRows += rows;
      void this.#receive(rows);
    }
  }

  #mayReceive(): boolean {
    return !this.#paused && !this.#winding && !this.#measuring && !this.#isParked();
  }

  /** What completes the waiting batch; whole batches while more is waiting than that. */
  #rowsToReceive(): number {
    if (this.window.isFull) return TRICKLE_ROWS;
    const { rows } = this.#definition.batch;
    const wanted = this.#backlog ? rows : rows - (this.#assembler.rows.length % rows);
    const room = (UPLOADS_AT_ONCE + 1) * rows - this.#rowsInState() - this.#reservedRows;
    return room < wanted ? 0 : wanted;
  }

  #roomForBytes(): number {
    const frozen = [...this.#frozen, ...this.#uploading].reduce((sum, { bytes }) => sum + bytes, 0);
    const held = this.#assembler.bytes + frozen + this.#rowsInState() * RECEIPT_BYTES;
    return STATE_BYTES - this.window.bytes - held - this.#receiving * RECEIVE_BYTES;
  }

  async #receive(rows: number): Promise<void> {
    const { queue, lake, drainQuietSeconds } = this.#definition;
    let received: ReceivedMessages | undefined;
    let wait = 0;
    try {
      received = await receiveMessages({
        queue: queue.name,
        lake,
        rows,
        bytes: RECEIVE_BYTES,
        waitSeconds: this.#stopping
          ? Math.min(this.#waitSeconds, Math.max(1, Math.floor(drainQuietSeconds)))
          : this.#waitSeconds,
        collectMs: Math.min(COLLECT_MS, queue.visibilityTimeoutSeconds * 250),
        visibilityTimeoutSeconds: queue.visibilityTimeoutSeconds,
      });
    } catch (error) {
      wait = this.#receiveFailed(error);
    }
    if (received) this.#admit(received);
    if (this.window.isFull) wait = TRICKLE_MS;
    if (wait > 0) await sleep(wait);
    this.#receiving -= 1;
    this.#reservedRows -= rows;
    this.#stir();
  }

  #admit(received: ReceivedMessages): void {
    const { messageIds, keys, receipts, rows, bytes, rejected, from, until, reached } = received;
    const receive = { from, until };
    this.#tick(until);
    for (const [index, messageId] of messageIds.entries()) {
      const [key, receipt, cells] = [keys[index], receipts[index], rows[index]];
      if (key === undefined || receipt === undefined || cells === undefined) continue;
      const verdict = this.window.admit(messageId, key, receipt, receive);
      if (verdict === 'new') {
        this.#assembler.add({ key, cells, bytes: bytes[index] ?? 0, admittedAt: this.#now });
      } else this.#counts[verdict === 'redelivery' ? 'redelivered' : 'repeats'] += 1;
    }
    for (const { messageId, key, receipt } of rejected) {
      if (this.window.admit(messageId, key, receipt, receive) === 'new') this.#counts.rejected += 1;
      this.window.uploaded(key);
    }
    const count = messageIds.length + rejected.length;
    this.#counts.received += count;
    this.#backlog = received.behind;
    this.#empty = count === 0;
    this.#receiveFailures = 0;
    if (count > 0) this.#quietSince = undefined;
    this.#worked('receive');
    this.window.receiveAnswered(receive, reached);
    if (received.lostPolls > 0) this.#receiveLost();
  }

  /** @returns milliseconds to wait before the next try */
  #receiveFailed(error: unknown): number {
    this.#receiveLost();
    this.#receiveFailures += 1;
    if (isNotRetryable(error)) this.#park('receive', error);
    return Math.min(1_000 * 2 ** (this.#receiveFailures - 1), LONGEST_RECEIVE_WAIT_MS);
  }

  #receiveLost(): void {
    this.#counts.lostReceives += 1;
    this.#empty = false;
    this.#backlog = false;
    this.#quietSince = undefined;
    this.window.receiveLost();
  }

  /** Gives batches their final form, as long as there is room to upload them. */
  #freeze(): void {
    const isDraining = this.#stopping && this.#empty;
    // Rows with long receipts may leave no room for as many as a batch should have.
    const isStuck = this.#isStill() && this.#frozen.length === 0 && this.#roomForBytes() < RECEIVE_BYTES;
    while (this.#frozen.length + this.#uploading.length < UPLOADS_AT_ONCE) {
      const rows = this.#assembler.take(this.#now, this.#flushing || isDraining || isStuck);
      const [first] = rows ?? [];
      if (!rows || !first) break;
      this.#frozen.push({
        sequence: this.#nextSequence,
        objectKey: batchObjectKey(this.#definition.lake.prefix, {
          sequence: this.#nextSequence,
          frozenAt: this.#now,
          firstKeyDigest: first.key,
        }),
        version: this.#version,
        columns: this.#definition.lake.columns.map(({ name }) => name),
        rows: rows.map(({ cells }) => cells),
        keys: rows.map(({ key }) => key),
        bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
      });
      this.#nextSequence += 1;
    }
    if (this.#assembler.rows.length === 0) this.#flushing = false;
  }

  #startUploads(): void {
    for (let frozen = this.#frozen.shift(); frozen; frozen = this.#frozen.shift()) {
      this.#uploading.push(frozen);
      void this.#upload(frozen);
    }
  }

  async #upload(frozen: FrozenBatch): Promise<void> {
    const { objectKey, columns, rows, keys, sequence } = frozen;
    try {
      const { bytes } = await uploadBatch.executeWithOptions(
        {
          ...shortActivity,
          retry: patient,
          summary: `batch ${sequence}: ${rows.length} rows to ${objectKey}`,
        },
        [{ bucket: this.#definition.lake.bucket, key: objectKey, columns, rows }],
      );
      for (const key of keys) this.window.uploaded(key);
      this.#counts.rows += rows.length;
      this.#counts.batches += 1;
      this.#counts.bytes += bytes;
      this.#lastObject = objectKey;
      this.#worked('upload');
    } catch (error) {
      this.#park('upload', error);
      this.#frozen = [...this.#frozen, frozen].sort((a, b) => a.sequence - b.sequence);
    }
    this.#uploading = this.#uploading.filter((other) => other !== frozen);
    this.#stir();
  }

  /** Messages of uploaded rows go at once; single copies wait a little for others. */
  #startDeletes(): void {
    while (this.#deleting < DELETES_AT_ONCE && this.#mayDelete()) {
      this.#deleting += 1;
      void this.#delete(this.window.takeDue(MOST_DELETIONS));
    }
    if (this.window.due === 0) this.#copiesDue = false;
    else if (!this.#copiesWait && this.window.due < DELETE_AT) void this.#waitForCopies();
  }

  #mayDelete(): boolean {
    const isDraining = this.#stopping && this.#empty;
    const isTime = this.window.due >= DELETE_AT || this.#copiesDue || isDraining || this.#winding;
    return this.window.due > 0 && isTime;
  }

  async #waitForCopies(): Promise<void> {
    this.#copiesWait = true;
    await sleep(DELETE_AFTER_MS);
    this.#copiesWait = false;
    this.#copiesDue = true;
    this.#stir();
  }

  async #delete(deletions: Deletion[]): Promise<void> {
    let deleted: boolean[] = [];
    try {
      const answer = await deleteMessages({
        queue: this.#definition.queue.name,
        receipts: deletions.map(({ receipt }) => receipt),
      });
      deleted = answer.deleted;
      this.#tick(answer.at);
      this.#worked('delete');
    } catch (error) {
      // Otherwise the messages come back, and are deleted then.
      if (isNotRetryable(error)) this.#park('delete', error);
    }
    for (const [index, deletion] of deletions.entries()) {
      this.window.deletionAnswered(deletion, deleted[index] === true, this.#now);
    }
    this.#deleting -= 1;
    this.#stir();
  }

  /** While stopping: the queue must have looked empty for a while, since its counts lag. Nothing is received meanwhile. */
  #startMeasuring(): void {
    const isQuiet = this.#empty && this.#isStill() && this.#rowsInState() === 0 && this.window.messages === 0;
    if (!this.#stopping || !isQuiet) return;
    this.#measuring = true;
    void this.#measure();
  }

  async #measure(): Promise<void> {
    try {
      const { visible, notVisible, delayed, at } = await measureQueue(this.#definition.queue.name);
      this.#tick(at);
      if (visible + notVisible + delayed > 0) this.#quietSince = undefined;
      else this.#quietSince ??= at;
      this.#worked('measure');
    } catch (error) {
      this.#quietSince = undefined;
      this.#park('measure', error);
    }
    const quietMs = this.#quietSince === undefined ? 0 : this.#now - this.#quietSince;
    this.#stopped = this.#stopping && quietMs >= this.#definition.drainQuietSeconds * 1000;
    this.#measuring = false;
    // The next look at the counts follows another empty poll.
    this.#empty = false;
    this.#stir();
  }

  /** Idle until the problem may be over; several batches that fail together count as one try. */
  #park(doing: string, error: unknown): void {
    if (this.#isParked()) return;
    this.#parked = park(doing, problemOf(error), this.#parked);
    this.#mayTry = false;
    void this.#tryAgain(this.#parked);
  }

  async #tryAgain(parked: Parked): Promise<void> {
    await sleep(parkedMs(parked));
    if (this.#parked !== parked) return;
    this.#mayTry = true;
    this.#stir();
  }

  #worked(doing: string): void {
    if (this.#parked?.doing === doing) this.#parked = undefined;
  }

  #isParked(): boolean {
    return this.#parked !== undefined && !this.#mayTry;
  }

  #isStill(): boolean {
    return this.#receiving === 0 && this.#uploading.length === 0 && this.#deleting === 0 && !this.#measuring;
  }

  #rowsInState(): number {
    const frozen = [...this.#frozen, ...this.#uploading].reduce((sum, { rows }) => sum + rows.length, 0);
    return this.#assembler.rows.length + frozen;
  }

  #stir(): void {
    this.#stirred = true;
  }

  #tick(time: number): void {
    this.#now = Math.max(this.#now, time);
  }

  /** Wakes the lane when the oldest row is due. One timer at a time as far as possible: each costs three events. */
  #setAlarm(): void {
    const { dueAt } = this.#assembler;
    if (dueAt === undefined || dueAt >= this.#alarmAt || this.#stopped || this.#isParked()) return;
    this.#alarmAt = dueAt;
    void this.#ring(dueAt);
  }

  async #ring(time: number): Promise<void> {
    await sleep(Math.max(1, time - this.#now));
    this.#tick(time);
    if (this.#alarmAt === time) this.#alarmAt = Infinity;
    this.#stir();
  }

  #activity(): BatchStatus['activity'] {
    if (this.#isParked()) return 'parked';
    if (this.#stopped) return 'stopped';
    if (this.#stopping) return 'stopping';
    return this.#paused ? 'paused' : 'running';
  }

  #details(): string {
    const { rows, batches, repeats, rejected } = this.#counts;
    const problem = this.#parked && this.#isParked() ? `: ${this.#parked.problem}` : '';
    const head = `**${this.#activity()}**${problem}`;
    return `${head}\n\n${rows} rows in ${batches} objects, ${repeats} repeats recognised, ${rejected} rejected`;
  }
}
