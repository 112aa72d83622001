import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  log,
  metricMeter,
  patched,
  proxyActivities,
  type RetryPolicy,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { BatchActivities } from '../activities';
import type { ClaimInput } from '../activities/claim-queue';
import type { ReceivedMessages } from '../activities/receive-messages';
import type { UploadedObject } from '../activities/upload-batch';
import type { ObjectAcl, PipelineDefinition } from '../pipeline/definition';
import { differences } from '../settings/changes';
import { batchObjectKey, UPLOADS_AT_ONCE } from '../lake/layout';
import type { RejectReason } from '../event/event';
import { meterQueue, metersOf, type Meters } from '../metrics';
import { ADDED_MEMBERS, QUERIES, SIGNALS, UPDATES } from '../pipeline/names';
import { isKafkaUrl } from '../sources/kafka/address';
import { Assembler, type AssemblerLimits, type WaitingRow } from '../lane/assembler';
import { laneDetails } from './details';
import { neverEnding } from './never-ending';
import { isNotRetryable, park, type Parked, parkedMs, problemOf } from './park';
import { refused, refuseUnlessStopped, refuseUnusable } from './refusals';
import { Showcase } from './search-attributes';
import { type BatchCounts, type BatchStatus, NO_COUNTS } from './status';
import {
  type Deletion,
  pollSeconds,
  quarantineMs,
  Window,
  type WindowLimits,
  type WindowState,
} from '../lane/window';

export const startSignal = defineSignal(SIGNALS.start);
export const stopSignal = defineSignal(SIGNALS.stop);
export const pauseSignal = defineSignal(SIGNALS.pause);
export const resumeSignal = defineSignal(SIGNALS.resume);
export const flushSignal = defineSignal(SIGNALS.flush);
export const statusQuery = defineQuery<BatchStatus>(QUERIES.status);
export const updateUpdate = defineUpdate<number, [PipelineDefinition]>(UPDATES.update);
export const removeUpdate = defineUpdate(UPDATES.remove);

/** A batch in its final form: every try to upload it writes the same bytes to the same key. */
interface FrozenBatch {
  sequence: number;
  bucket: string;
  objectKey: string;
  acl?: ObjectAcl;
  /** Of the definition whose columns the rows have. */
  version: number;
  columns: string[];
  rows: (readonly string[])[];
  /** Digests of the rows' keys. */
  keys: string[];
  bytes: number;
  /** When its oldest row was received, in workflow time. */
  admittedAt: number;
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

const RECEIVES_AT_ONCE = 4;
const DELETES_AT_ONCE = 2;

/** How much one activity takes at once, and how many batches a lane holds. */
interface Sizes {
  /** Rows that a receive may bring in a backlog, as whole batches. */
  backlogRows: number;
  deletions: number;
  batches: number;
}

/** Messages wanted by one receive, at most in a backlog, and bytes of their rows. */
interface ReceiveSize {
  rows: number;
  most: number;
  bytes: number;
}

/** Each activity costs three events and a share of a workflow task, the dearest part of a row: fewer of them in a backlog. */
const LARGE: Sizes = {
  backlogRows: 300,
  deletions: 300,
  batches: 2 * UPLOADS_AT_ONCE,
};
const SMALL: Sizes = {
  backlogRows: 0,
  deletions: 100,
  batches: UPLOADS_AT_ONCE + 1,
};

/**
 * What the lane's state may come to, in bytes: window, rows, receipts, and what receives under way may bring. All arguments of
 * continue-as-new share 2 MiB.
 */
const STATE_BYTES = 1_600 * 1024;
const RECEIVE_BYTES = 256 * 1024;

/** What the state never exceeds, whatever could be gained by it. */
const MOST_STATE_BYTES = 1_900 * 1024;

/** SQS receipts are some 400 characters long, 1,024 at most. */
const RECEIPT_BYTES = 450;

/**
 * Messages to delete, from which on nothing is received: uploads must not outrun deletions that are slow or fail, since what could not
 * be deleted leaves the window only by being received.
 */
const MOST_UNDELETED = 1_500;

/** Copies to delete wait for nine others, or so many milliseconds. */
const DELETE_AT = 10;
const DELETE_AFTER_MS = 5_000;

/** For how long a receive collects rows after its first; a quarter of the visibility timeout at most. */
const COLLECT_MS = 5_000;

/** Between receives that fail, in milliseconds: doubled from one second up to this. */
const LONGEST_RECEIVE_WAIT_MS = 15_000;

/** A lane whose window is full, or whose deletions fail, receives ten messages a second: only receiving lets messages leave. */
const TRICKLE_ROWS = 10;
const TRICKLE_MS = 1_000;

/** What a trickle brings while one message is waited for must fit in the state, however long the visibility timeout is. */
const TRICKLE_MESSAGES = 2_000;

/** One row of the largest kind. */
const TRICKLE_BYTES = 64 * 1024;

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
const deleting = { ...shortActivity, retry: { ...patient, maximumAttempts: 3 } };
const { deleteMessages } = proxyActivities<BatchActivities>(deleting);
// Somebody waits for the answer.
const claiming = { ...shortActivity, retry: { ...patient, maximumAttempts: 3 } };
// Attempted once: what a lost receive has hidden must be known to the window.
const receiving = { ...shortActivity, retry: { maximumAttempts: 1 } };
const { receiveMessages } = proxyActivities<BatchActivities>(receiving);

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
  setHandler(startSignal, () => lane.start(), { description: 'Receive again, after a stop' });
  setHandler(stopSignal, () => lane.stop(), { description: 'Drain the queue into the lake, then idle' });
  setHandler(pauseSignal, () => lane.pause(), { description: 'Receive no more until resumed' });
  setHandler(resumeSignal, () => lane.resume(), { description: 'Go on, and try again what is parked' });
  setHandler(flushSignal, () => lane.flush(), { description: 'Write the partial batch now' });
  setHandler(statusQuery, () => lane.status(), { description: 'What the lane does and has done' });
  setHandler(updateUpdate, (wanted) => lane.update(wanted), {
    description: 'Other settings: a pipeline definition',
    validator: (wanted) => refuseUnusable(wanted, lane.definition, { hasRead: false }),
  });
  setHandler(removeUpdate, () => lane.remove(), {
    description: 'End this stopped lane for good',
    validator: () => refuseUnlessStopped(lane.status().activity),
  });
  await neverEnding(
    () => lane.stop(),
    async () => {
      await lane.runUntilHistoryIsLong();
      await condition(allHandlersFinished);
      if (lane.isRemoved) return;
      await continueAsNew<typeof batch>(lane.definition, lane.state(), lane.window.packKeys());
    },
  );
}

class Lane {
  readonly window: Window;
  readonly #meters: Meters;
  readonly #showcase = new Showcase();
  readonly #counts: BatchCounts;
  #definition: PipelineDefinition;
  /** Settings that will hold once all that was received under the present ones is frozen. */
  #wanted: PipelineDefinition | undefined;
  #version: number;
  #assembler: Assembler;
  #nextSequence: number;
  /** Frozen and not being uploaded, in order of their sequence. */
  #frozen: FrozenBatch[];
  #uploading: FrozenBatch[] = [];
  #removed = false;
  /** Runs that began before there were large receives go on as they began. */
  readonly #isOld = !patched('large-receives');
  readonly #sizes = this.#isOld ? SMALL : LARGE;
  #receiving = 0;
  /** The last receive whose rows a flush wants, as they were started. */
  #flushReceivesUpTo = 0;
  /** Rows are reserved before they are received: what a receive brings must find its place. */
  #reservedRows = 0;
  #deleting = 0;
  /** The last deletion of several messages deleted none. */
  #deletionsFail = false;
  #measuring = false;
  /** Updates under way: each holds continue-as-new back. */
  #updating = 0;
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
    this.#definition = definition;
    this.#meters = metersOf(metricMeter, definition.name);
    this.window = new Window(windowLimits(definition, this.#isOld), state?.window, settledKeys);
    this.#now = Math.max(state?.now ?? 0, workflowInfo().startTime.getTime());
    this.#assembler = new Assembler(assemblerLimits(definition), state?.waiting);
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

  get definition(): PipelineDefinition {
    return this.#definition;
  }

  get isRemoved(): boolean {
    return this.#removed;
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
    // The tag of the queue and the object in the lake may have changed since.
    this.#claimed = false;
    this.#stir();
  }

  /** Writes what waits now, and what receives under way may have in hand. */
  flush(): void {
    this.#flushing = true;
    this.#flushReceivesUpTo = this.window.receivesBegun;
    this.#stir();
  }

  /**
   * @returns the version of the definition that holds when the wanted settings do
   * @throws ApplicationFailure `UpdateRefused` where the lake that is wanted is another lane's; then nothing changes
   */
  async update(wanted: PipelineDefinition): Promise<number> {
    this.#updating += 1;
    try {
      // What was claimed stays this lane's: it does not matter which settings hold when an update before this one is done.
      if (!isSameLake(wanted, this.#definition)) await this.#claimFor(wanted);
      await condition(() => this.#wanted === undefined);
      if (differences(wanted, this.#definition).length === 0) return this.#version;
      this.#wanted = wanted;
      this.#stir();
      await condition(() => this.#wanted === undefined);
      return this.#version;
    } finally {
      this.#updating -= 1;
      if (!this.#isOld) this.#stir();
    }
  }

  async #claimFor(wanted: PipelineDefinition): Promise<void> {
    try {
      await claimQueue.executeWithOptions(claiming, [claimOf(wanted)]);
    } catch (error) {
      throw refused(problemOf(error));
    }
  }

  /** Only of a stopped lane: nothing is lost, but what it remembers of the queue and its sequence. */
  remove(): void {
    this.#removed = true;
    this.#stir();
  }

  status(): BatchStatus {
    return {
      activity: this.#activity(),
      ...(this.#parked && this.#isParked() ? { problem: this.#parked.problem } : {}),
      definition: this.#definition,
      version: this.#version,
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
      if (this.#wanted && this.#receiving === 0) this.#apply(this.#wanted);
      // No promise where none is needed: the SDK keeps a stack for each, which is the dearest part of a small step.
      const isIdle = this.#isParked() || this.#stopped;
      if (!isIdle && !this.#claimed) await this.#claim();
      if (!isIdle && this.#claimed) this.#act();
      this.#show();
      if (this.#removed || (this.#winding && this.#isStill() && !this.#isUpdating())) break;
      this.#setAlarm();
      await condition(() => this.#stirred);
      this.#stirred = false;
    }
    // A parked lane deletes nothing, and its receipts would be worth nothing when it is mended.
    if (!this.#isOld) this.window.unsettleDue(this.#now);
    // The next run may go to another worker.
    this.#meters.close();
  }

  /** An update that waits for another one sets its settings when the lane has come to those of the first. */
  #isUpdating(): boolean {
    return this.#wanted !== undefined || (this.#updating > 0 && !this.#isOld);
  }

  /** A batch never mixes two definitions: what waits is frozen first, as it is. */
  #apply(wanted: PipelineDefinition): void {
    while (this.#assembler.rows.length > 0) this.#freezeOne(true);
    this.#definition = wanted;
    this.#version += 1;
    this.#wanted = undefined;
    this.#assembler = new Assembler(assemblerLimits(wanted));
    this.window.limit(windowLimits(wanted, this.#isOld));
    this.#mayTry = true;
    log.info('Other settings hold', { version: this.#version });
  }

  /** Starts whatever can be started now. */
  #act(): void {
    this.#freeze();
    this.#startUploads();
    this.#startDeletes();
    this.#startMeasuring();
    this.#startReceives();
  }

  async #claim(): Promise<void> {
    try {
      await claimQueue(claimOf(this.#definition));
      this.#claimed = true;
      this.#worked('claim');
    } catch (error) {
      this.#park('claim', error);
    }
  }

  #startReceives(): void {
    const limit = this.#backlog && !this.#mustTrickle() ? RECEIVES_AT_ONCE : 1;
    while (this.#mayReceive() && this.#receiving < limit) {
      const size = this.#rowsToReceive();
      if (size.most === 0) return;
      const hasRoom = this.#roomForBytes() >= RECEIVE_BYTES;
      if (!hasRoom && !this.#isStarved()) return;
      this.#receiving += 1;
      this.#reservedRows += size.most;
      const bytes = hasRoom ? RECEIVE_BYTES : TRICKLE_BYTES;
      void this.#receive({ ...size, bytes }, this.window.beginReceive());
    }
  }

  #mustTrickle(): boolean {
    return this.window.isFull || this.#deletionsFail;
  }

  /** All that takes room are messages that only receiving lets leave. */
  #isStarved(): boolean {
    const isAlone = this.#isStill() && this.#rowsInState() === 0 && this.window.undeleted === 0;
    return !this.#isOld && isAlone && this.window.bytes < MOST_STATE_BYTES;
  }

  #mayReceive(): boolean {
    const isHeld = this.#paused || this.#winding || this.#wanted !== undefined;
    const isAhead = !this.#isOld && this.window.undeleted >= MOST_UNDELETED;
    return !isHeld && !isAhead && !this.#measuring && !this.#isParked();
  }

  /** What completes the waiting batch; whole batches while more is waiting than that. */
  #rowsToReceive(): Omit<ReceiveSize, 'bytes'> {
    if (this.#mustTrickle()) return { rows: TRICKLE_ROWS, most: TRICKLE_ROWS };
    const { rows } = this.#definition.batch;
    const room = this.#sizes.batches * rows - this.#rowsInState() - this.#reservedRows;
    const wanted = this.#backlog ? rows : rows - (this.#assembler.rows.length % rows);
    if (room < wanted) return { rows: 0, most: 0 };
    const wholeBatches = rows * Math.floor(Math.min(room, this.#sizes.backlogRows) / rows);
    return { rows: wanted, most: this.#backlog ? Math.max(wanted, wholeBatches) : wanted };
  }

  #roomForBytes(): number {
    const frozen = [...this.#frozen, ...this.#uploading].reduce((sum, { bytes }) => sum + bytes, 0);
    const reserved = this.#isOld ? 0 : this.#reservedRows;
    const receipts = (this.#rowsInState() + reserved) * RECEIPT_BYTES;
    const held = this.#assembler.bytes + frozen + receipts;
    return STATE_BYTES - this.window.bytes - held - this.#receiving * RECEIVE_BYTES;
  }

  async #receive(size: ReceiveSize, number: number): Promise<void> {
    let received: ReceivedMessages | undefined;
    let wait = 0;
    try {
      received = await this.#receiveFromQueue(size);
    } catch (error) {
      wait = this.#receiveFailed(error);
    }
    if (received) this.#admit(received);
    this.window.endReceive(number);
    if (number <= this.#flushReceivesUpTo) this.#flushing = true;
    if (this.#mustTrickle()) await this.#trickle(wait);
    else if (wait > 0) await sleep(wait, { summary: 'before the next receive' });
    this.#receiving -= 1;
    this.#reservedRows -= size.most;
    this.#stir();
  }

  /**
   * Ends early when deletions work again, and where receives must end.
   *
   * @param wait milliseconds at least
   */
  async #trickle(wait: number): Promise<void> {
    if (this.#isOld) return await sleep(TRICKLE_MS, { summary: 'before the next receive' });
    // What this receive brought is looked at meanwhile.
    this.#stir();
    const mayEnd = () => !this.#mustTrickle() || this.#wanted !== undefined || this.#winding;
    await condition(mayEnd, Math.max(wait, TRICKLE_MS, this.#patience()));
  }

  /** Milliseconds between receives that would make the state grow. */
  #patience(): number {
    if (this.#deletionsFail && this.window.isFull) return LONGEST_RECEIVE_WAIT_MS;
    if (!this.#deletionsFail && this.#roomForBytes() >= RECEIVE_BYTES) return 0;
    const { visibilityTimeoutSeconds } = this.#definition.queue;
    return Math.ceil((quarantineMs(visibilityTimeoutSeconds * 1_000) * TRICKLE_ROWS) / TRICKLE_MESSAGES);
  }

  #receiveFromQueue({ rows, most, bytes }: ReceiveSize): Promise<ReceivedMessages> {
    const { source, queue, lake, drainQuietSeconds } = this.#definition;
    const { kafka, sluice } = ADDED_MEMBERS;
    const { bucket, prefix, acl, columns, escapeFormulas } = lake;
    const visibilityMs = queue.visibilityTimeoutSeconds * 1_000;
    const patience = pollSeconds(visibilityMs);
    return receiveMessages.executeWithOptions(
      { ...receiving, summary: `up to ${most} rows from ${queue.name}` },
      [
        {
          queue: queue.name,
          lake: { bucket, prefix, ...(acl === undefined ? {} : { acl }) },
          paths: columns.map(({ path }) => path),
          escapeFormulas,
          addedMembers: isKafkaUrl(source.url) ? [kafka, sluice] : [sluice],
          rows,
          ...(most === rows ? {} : { backlogRows: most }),
          bytes,
          waitSeconds: this.#stopping
            ? Math.min(patience, Math.max(1, Math.floor(drainQuietSeconds)))
            : patience,
          collectMs: Math.min(COLLECT_MS, visibilityMs / 4),
          visibilityTimeoutSeconds: queue.visibilityTimeoutSeconds,
        },
      ],
    );
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
      } else this.#countAgain(verdict);
    }
    for (const { messageId, key, receipt, reason } of rejected) {
      const verdict = this.window.admit(messageId, key, receipt, receive);
      if (verdict === 'new') this.#countRejected(reason);
      // A copy says nothing about the row that another message brought.
      if (verdict === 'new' || this.#isOld) this.window.uploaded(key);
    }
    const count = messageIds.length + rejected.length;
    this.#counts.received += count;
    this.#meters.messagesReceived(count);
    this.#meters.oldestMessageAge(Math.max(0, until - (received.oldestSentAt ?? until)) / 1_000);
    if (reached !== undefined) this.#meters.reached(reached / 1_000);
    this.#backlog = received.behind;
    this.#empty = count === 0;
    this.#receiveFailures = 0;
    if (count > 0) this.#quietSince = undefined;
    this.#worked('receive');
    for (const messageId of received.leftInQueue) this.window.leftInQueue(messageId, until);
    // Before the window lets anything go: what the lost polls hid may be a copy of any key.
    if (received.lostPolls > 0) this.#receiveLost();
    this.window.receiveAnswered(receive, reached);
  }

  #countAgain(verdict: 'redelivery' | 'repeat'): void {
    if (verdict === 'redelivery') {
      this.#counts.redelivered += 1;
      this.#meters.messagesRedelivered(1);
    } else {
      this.#counts.repeats += 1;
      this.#meters.messagesRepeated(1);
    }
  }

  #countRejected(reason: RejectReason): void {
    const { rejected } = this.#counts;
    this.#counts.rejected = { ...rejected, [reason]: (rejected[reason] ?? 0) + 1 };
    this.#meters.messagesRejected(1, { reason });
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
    this.#meters.lostReceives(1);
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
      if (!this.#freezeOne(this.#flushing || isDraining || isStuck)) break;
    }
    if (this.#assembler.rows.length === 0) this.#flushing = false;
  }

  /** @returns whether there was a batch to freeze */
  #freezeOne(partial: boolean): boolean {
    const { bucket, prefix, acl, columns } = this.#definition.lake;
    const rows = this.#assembler.take(this.#now, partial);
    const [first] = rows ?? [];
    if (!rows || !first) return false;
    const sequence = this.#nextSequence;
    this.#nextSequence += 1;
    this.#frozen.push({
      sequence,
      bucket,
      objectKey: batchObjectKey(prefix, { sequence, frozenAt: this.#now, firstKeyDigest: first.key }),
      ...(acl === undefined ? {} : { acl }),
      version: this.#version,
      columns: columns.map(({ name }) => name),
      rows: rows.map(({ cells }) => cells),
      keys: rows.map(({ key }) => key),
      bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
      admittedAt: first.admittedAt,
    });
    return true;
  }

  #startUploads(): void {
    for (let frozen = this.#frozen.shift(); frozen; frozen = this.#frozen.shift()) {
      this.#uploading.push(frozen);
      void this.#upload(frozen);
    }
  }

  async #upload(frozen: FrozenBatch): Promise<void> {
    const { bucket, objectKey, acl, columns, rows, sequence } = frozen;
    try {
      const uploaded = await uploadBatch.executeWithOptions(
        {
          ...shortActivity,
          retry: patient,
          summary: `batch ${sequence}: ${rows.length} rows to ${objectKey}`,
        },
        [{ bucket, key: objectKey, ...(acl === undefined ? {} : { acl }), columns, rows }],
      );
      this.#uploaded(frozen, uploaded);
    } catch (error) {
      log.warn('A batch could not be written', { sequence, object: objectKey, error: problemOf(error) });
      this.#park('upload', error);
      this.#frozen = [...this.#frozen, frozen].sort((a, b) => a.sequence - b.sequence);
    }
    this.#uploading = this.#uploading.filter((other) => other !== frozen);
    this.#stir();
  }

  #uploaded(
    { sequence, objectKey, rows, keys, admittedAt }: FrozenBatch,
    { bytes, at }: UploadedObject,
  ): void {
    for (const key of keys) this.window.uploaded(key);
    this.#counts.rows += rows.length;
    this.#counts.batches += 1;
    this.#counts.bytes += bytes;
    this.#meters.rowsWritten(rows.length);
    this.#meters.batchesWritten(1);
    this.#meters.bytesWritten(bytes);
    this.#meters.rowWait(Math.max(0, at - admittedAt) / 1_000);
    this.#lastObject = objectKey;
    this.#worked('upload');
    log.info('Batch written', { sequence, object: objectKey, rows: rows.length, bytes });
  }

  /** Messages of uploaded rows go at once; single copies wait a little for others. */
  #startDeletes(): void {
    while (this.#deleting < DELETES_AT_ONCE && this.#mayDelete()) {
      this.#deleting += 1;
      void this.#delete(this.window.takeDue(this.#sizes.deletions));
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
    await sleep(DELETE_AFTER_MS, { summary: 'copies to delete wait for others' });
    this.#copiesWait = false;
    this.#copiesDue = true;
    this.#stir();
  }

  async #delete(deletions: Deletion[]): Promise<void> {
    /** Places of those that are not known to be gone; undefined: all. */
    let left: Set<number> | undefined;
    try {
      const { name: queue } = this.#definition.queue;
      const receipts = deletions.map(({ receipt }) => receipt);
      const answer = await deleteMessages.executeWithOptions(
        { ...deleting, summary: `${receipts.length} messages of ${queue}` },
        [{ queue, receipts }],
      );
      left = new Set(answer.left);
      this.#tick(answer.at);
      this.#worked('delete');
    } catch (error) {
      // Otherwise the messages come back, and are deleted then.
      if (isNotRetryable(error)) this.#park('delete', error);
    }
    const deleted = left === undefined ? 0 : deletions.length - left.size;
    if (deleted > 0) this.#deletionsFail = false;
    // A single message may fail for a reason of its own.
    else if (!this.#isOld && (left === undefined || deletions.length >= DELETE_AT)) {
      this.#deletionsFail = true;
      // Each of them will come back, perhaps long after it had every chance to.
      this.window.receiveLost();
    }
    for (const [index, deletion] of deletions.entries()) {
      const isDeleted = left !== undefined && !left.has(index);
      this.window.deletionAnswered(deletion, isDeleted, this.#now);
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
      const depth = await measureQueue(this.#definition.queue.name);
      const { visible, notVisible, delayed, at } = depth;
      meterQueue(this.#meters, depth);
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
    log.warn('Parked', { doing, problem: this.#parked.problem });
    void this.#tryAgain(this.#parked);
  }

  async #tryAgain(parked: Parked): Promise<void> {
    await sleep(parkedMs(parked), { summary: 'parked: the next try' });
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
    // It waits for an upload to end, which wakes the lane by itself.
    if (dueAt <= this.#now && !this.#isOld) return;
    this.#alarmAt = dueAt;
    void this.#ring(dueAt);
  }

  async #ring(time: number): Promise<void> {
    await sleep(Math.max(1, time - this.#now), { summary: 'the oldest row is due' });
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

  /** What people see of it: current details, search attributes, metrics. */
  #show(): void {
    const status = this.status();
    setCurrentDetails(laneDetails(status));
    this.#showcase.show(status);
    this.#meters.rowsWaiting(status.rowsWaiting);
    this.#meters.windowKeys(status.windowKeys);
    this.#meters.unsettledMessages(status.unsettled);
    this.#meters.parked(status.activity === 'parked' ? 1 : 0, { workflow: 'batch' });
    // The clock of this machine, which decides nothing.
    this.#meters.workflowSeen(workflowInfo().unsafe.now() / 1_000, { workflow: 'batch' });
  }
}

function claimOf({ name, queue, lake: { bucket, prefix, acl } }: PipelineDefinition): ClaimInput {
  const { namespace, workflowId, firstExecutionRunId } = workflowInfo();
  return {
    queue: queue.name,
    lake: { bucket, prefix, ...(acl === undefined ? {} : { acl }) },
    owner: { pipeline: name, lane: workflowId, run: `${namespace}/${firstExecutionRunId}` },
  };
}

function isSameLake({ lake: one }: PipelineDefinition, { lake: other }: PipelineDefinition): boolean {
  return one.bucket === other.bucket && one.prefix === other.prefix;
}

function windowLimits({ queue, windowKeys }: PipelineDefinition, isOld: boolean): WindowLimits {
  const visibilityTimeoutMs = queue.visibilityTimeoutSeconds * 1_000;
  return { keys: windowKeys, visibilityTimeoutMs, ...(isOld ? { mostKeys: Infinity } : {}) };
}

function assemblerLimits({ batch: { rows, flushAfterSeconds } }: PipelineDefinition): AssemblerLimits {
  return { rows, flushAfterMs: flushAfterSeconds * 1_000 };
}
