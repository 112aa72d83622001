import type { LaneLife } from '../lake/layout';
import { ADDED_MEMBERS } from '../pipeline/names';
import type { PipelineDefinition } from '../pipeline/definition';
import { isKafkaUrl } from '../sources/kafka/address';
import { Adopting } from './adopting';
import { Assembler, type WaitingRow } from './assembler';
import { type CarriedLane, LANE_SCHEMA } from './carried';
import { LaneClock, type Span, type Told } from './clock';
import { Deleting } from './deleting';
import { Draining } from './draining';
import { type LaneLimits, LIMITS } from './limits';
import { type LaneListener, NO_LISTENER } from './listener';
import { Receiving } from './receiving';
import { messagesOf, type Received, type ReceivedMessage, type RejectedEvent } from './received';
import {
  hasRoomForBytes,
  type Load,
  mustTrickle,
  onlyReceivingMakesRoom,
  receiveSize,
  type ReceiveSize,
  trickleMs,
} from './room';
import { Standing } from './standing';
import { type Claim, type LaneCounts, type LaneStatus, NO_COUNTS } from './status';
import { Uploading } from './uploading';
import { pollSeconds, type Receive, Window, type WindowLimits } from './window';
import type {
  Adopted,
  AdoptWork,
  ClaimWork,
  Deleted,
  DeleteWork,
  Failed,
  MeasureWork,
  Outcome,
  QueueDepth,
  ReceiveInput,
  ReceiveWork,
  Uploaded,
  UploadWork,
  WaitWork,
  Work,
} from './work';

/**
 * Of the shorter visibility timeout: rows that wait for less until they are in the lake leave time to delete their messages before they
 * come back.
 */
const BRIEF = 2 / 3;

export interface LaneOptions {
  /** Stands in the keys of its objects. */
  life: LaneLife;
  /** Epoch milliseconds: when a lane that carries nothing began. */
  now: number;
  /** What the run before carried. */
  carried?: CarriedLane | undefined;
  /** What it carried of its window, eight bytes for each key. */
  settledKeys?: Uint8Array | undefined;
  /** Default: nobody is told. */
  listener?: LaneListener;
  limits?: Partial<LaneLimits>;
}

/**
 * One lane: the only reader of one queue. It decides what is received, when rows become a batch, what is uploaded and what is
 * deleted. A message goes this way: `received` admits its events, whose rows wait for their batch; a full batch is frozen and
 * uploaded; `uploaded` makes the messages of its rows due; they are deleted; `deleted` settles them.
 *
 * Pure: whoever runs it does the work that {@link takeWork} hands out, tells what came of it, and calls `takeWork` again. Times come in with the outcomes.
 */
export class Lane {
  readonly #life: LaneLife;
  readonly #limits: LaneLimits;
  readonly #listener: LaneListener;
  readonly #standing: Standing;
  readonly #window: Window;
  readonly #receiving: Receiving;
  readonly #uploading: Uploading;
  readonly #deleting: Deleting;
  readonly #draining = new Draining();
  readonly #adopting: Adopting;
  readonly #counts: LaneCounts;
  #assembler: Assembler;
  #definition: PipelineDefinition;
  #version: number;
  /** Settings that will hold once all that was received under the present ones is frozen. */
  #wanted: PipelineDefinition | undefined;
  #claim: Claim;
  #isClaiming = false;
  /** Epoch milliseconds: when this run of the lane last saw that queue and lake are its own. */
  #claimedAt: number | undefined;
  /** Writes the partial batch next. */
  #isFlushing: boolean;
  /** The last receive whose rows a flush wants, as they were begun. */
  #flushUpTo = 0;
  #isRemoved = false;
  /** Nothing new is received, so that what is under way can end. */
  #isWindingUp = false;
  #lastObject: string | undefined;
  readonly #clock: LaneClock;
  /** Asks for the time once more. */
  #look: MeasureWork | undefined;
  /** Events that a message had in the last receive that brought some. */
  #messageEvents: number;
  /** For how many milliseconds the oldest row of the last object waited. */
  #rowWaitMs = Infinity;
  /** Waits that outcomes asked for. */
  #waits: WaitWork[] = [];
  /** When the lane wakes for its oldest row. */
  readonly #alarms = new Map<WaitWork, number>();

  constructor(definition: PipelineDefinition, { now, life, carried, settledKeys, ...options }: LaneOptions) {
    this.#life = life;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#listener = options.listener ?? NO_LISTENER;
    this.#definition = definition;
    this.#version = carried?.version ?? 1;
    this.#clock = new LaneClock(now, carried);
    this.#standing = new Standing(carried);
    this.#window = new Window(this.#windowLimits(), carried?.window, settledKeys, rowKeysOf(carried));
    this.#assembler = this.#newAssembler(carried?.waiting);
    this.#receiving = new Receiving(this.#limits);
    this.#uploading = new Uploading(life, this.#limits, carried?.nextSequence, carried?.frozen);
    this.#deleting = new Deleting(this.#limits);
    this.#adopting = new Adopting(carried?.adopting);
    this.#counts = { ...(carried?.counts ?? NO_COUNTS) };
    this.#claim = carried?.claim ?? 'never';
    this.#isFlushing = carried?.flushing ?? false;
    this.#lastObject = carried?.lastObject;
    this.#messageEvents = definition.packEvents;
    this.#waitToTry();
  }

  get definition(): PipelineDefinition {
    return this.#definition;
  }

  get version(): number {
    return this.#version;
  }

  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  /** See {@link Window.reached}. */
  get reached(): number {
    return this.#window.reached;
  }

  /** Other settings are wanted and do not hold yet. */
  get isChanging(): boolean {
    return this.#wanted !== undefined;
  }

  /** Nothing is under way, so that the lane may end or be carried over. Ask after {@link takeWork}. */
  get mayEnd(): boolean {
    if (this.#isClaiming || this.#adopting.isUnderWay) return false;
    return this.#isRemoved || (this.#isWindingUp && this.#isStill && !this.isChanging);
  }

  // What people ask of it.

  start(): void {
    this.#standing.start();
    this.#unclaim();
  }

  /** Drains the queue into the lake, then idles with all state kept. A lane that can't claim its queue, and never could, idles at once. */
  stop(): void {
    this.#standing.stop();
    this.#draining.begin();
    this.#unclaim();
  }

  pause(): void {
    this.#standing.pause();
  }

  /** Goes on, and looks again whose the queue and the lake are, and what time it is: that may have changed since. */
  resume(): void {
    this.#standing.resume();
    this.#clock.doubt();
    this.#unclaim();
  }

  /** Writes what waits now, and what receives under way may have in hand. */
  flush(): void {
    this.#isFlushing = true;
    this.#flushUpTo = this.#window.receivesBegun;
  }

  /** Other settings. They hold once no receive is under way: a batch never mixes two definitions. */
  want(definition: PipelineDefinition): void {
    this.#wanted = definition;
  }

  /** Receives no more, so that the lane can be carried over. */
  windUp(): void {
    this.#isWindingUp = true;
  }

  /** Only where `whyKept` (status.ts) has nothing against it: what is lost is what it remembers of the queue, and its sequence. */
  remove(): void {
    this.#isRemoved = true;
  }

  // What it wants done.

  /** @returns what to begin now, in this order. Call it whenever something came. */
  takeWork(): Work[] {
    const works = [...this.#work()];
    for (const work of works) this.#clock.begin(work);
    return works;
  }

  *#work(): Iterable<Work> {
    yield* this.#waits.splice(0);
    if (this.#isRemoved) return;
    // What another lane wrote lies where the present settings say.
    const mayChange = this.#receiving.underWay === 0 && this.#adopting.isOver;
    if (this.#wanted && mayChange) this.#change(this.#wanted);
    if (this.#standing.isIdle) return;
    if (this.#claim !== 'held') yield* this.#askForClaim();
    else if (!this.#adopting.isOver) yield* this.#adopting.work(this.#definition, this.#life, this.#limits);
    else yield* this.#ownWork();
  }

  /** In this order: what makes room goes before what takes it. */
  *#ownWork(): Iterable<Work> {
    yield* this.#lookAtClock();
    this.#freeze();
    yield* this.#uploading.work();
    yield* this.#deleting.work(
      this.#window,
      this.#definition.queue.name,
      this.#isDraining || this.#isWindingUp,
    );
    yield* this.#measure();
    yield* this.#receive();
  }

  /** The timer that wakes the lane when its oldest row is due. One at a time as far as possible, since each costs three events. */
  takeAlarm(): WaitWork | undefined {
    const { dueAt } = this.#assembler;
    const isAsleep = this.#standing.isIdle || this.#claim !== 'held';
    // What is due already waits for an upload to end, which wakes the lane by itself.
    if (dueAt === undefined || isAsleep || dueAt <= this.#clock.now) return undefined;
    if ([...this.#alarms.values()].some((at) => at <= dueAt)) return undefined;
    const ms = Math.max(1, dueAt - this.#clock.now);
    const alarm: WaitWork = { kind: 'wait', why: 'row is due', ms, summary: 'the oldest row is due' };
    this.#alarms.set(alarm, dueAt);
    return alarm;
  }

  /** Claims queue and lake, or sees whether they still are this lane's. */
  *#askForClaim(): Iterable<ClaimWork> {
    if (this.#isClaiming) return;
    this.#isClaiming = true;
    const { replaces } = this.#adopting;
    yield { kind: 'claim', ...(replaces ? { replaces } : {}) };
  }

  /** The next run looks, too: a claim may be taken away, or vanish with a queue that is made again. */
  get #isClaimDue(): boolean {
    return (
      this.#claimedAt === undefined || Math.abs(this.#clock.now - this.#claimedAt) >= this.#limits.lookAgainMs
    );
  }

  /** Nothing is done before the lane has looked again. */
  #unclaim(): void {
    if (this.#claim === 'held') this.#claim = 'open';
  }

  /** Gives batches their final form, as long as there is room to upload them. */
  #freeze(): void {
    if (this.#look) return;
    // Rows with long receipts may leave no room for as many as a batch should have.
    const isStuck =
      this.#isStill && this.#uploading.load.rows === 0 && !hasRoomForBytes(this.#load(), this.#limits);
    const isPartial = this.#isFlushing || this.#isDraining || isStuck;
    while (this.#uploading.hasRoom && this.#freezeOne(isPartial));
    if (this.#assembler.rows.length === 0) this.#isFlushing = false;
  }

  /** @returns whether there was a batch to freeze */
  #freezeOne(isPartial: boolean): boolean {
    const [first, ...others] = this.#assembler.take(this.#clock.now, isPartial) ?? [];
    if (!first) return false;
    const now = this.#clock.date();
    this.#uploading.freeze([first, ...others], this.#definition, { version: this.#version, now });
    return true;
  }

  /** Any answer of the queue tells the time. */
  *#lookAtClock(): Iterable<MeasureWork> {
    if (!this.#clock.takeLook() || this.#look) return;
    this.#look = { kind: 'measure', queue: this.#definition.queue.name };
    yield this.#look;
  }

  *#measure(): Iterable<MeasureWork> {
    const isQuiet = this.#draining.looksEmpty && this.#isStill && this.#rows === 0;
    if (!this.#standing.isStopping || !isQuiet || this.#window.messages > 0) return;
    this.#draining.measure();
    yield { kind: 'measure', queue: this.#definition.queue.name };
  }

  *#receive(): Iterable<ClaimWork | ReceiveWork> {
    const isHeld =
      this.#standing.isPaused || this.#isWindingUp || this.isChanging || this.#draining.isMeasuring;
    if (isHeld) return;
    if (this.#isClaimDue) yield* this.#askForClaim();
    if (this.#isClaiming) return;
    this.#makeRoom();
    for (let size = this.#receiveSize(); size; size = this.#receiveSize()) {
      const number = this.#window.beginReceive();
      this.#receiving.begin(number, size);
      yield { kind: 'receive', number, input: this.#receiveInput(size) };
    }
  }

  /** Where there is no room for the receive that would make it. */
  #makeRoom(): void {
    if (!onlyReceivingMakesRoom(this.#load())) return;
    while (this.#window.bytes >= this.#limits.mostStateBytes && this.#window.forgetOldest());
  }

  #receiveSize(): ReceiveSize | undefined {
    return receiveSize(this.#load(), this.#limits);
  }

  #receiveInput({ rows, most, bytes }: ReceiveSize): ReceiveInput {
    const { source, queue, lake, drainQuietSeconds } = this.#definition;
    const { bucket, prefix, acl, columns, escapeFormulas } = lake;
    const { kafka, sluice } = ADDED_MEMBERS;
    const visibilityTimeoutSeconds = this.#hidesForSeconds();
    const patience = pollSeconds(visibilityTimeoutSeconds * 1_000);
    const drainPatience = Math.min(patience, Math.max(1, Math.floor(drainQuietSeconds)));
    return {
      queue: queue.name,
      lake: { bucket, prefix, ...(acl === undefined ? {} : { acl }) },
      paths: columns.map(({ path }) => path),
      escapeFormulas,
      addedMembers: isKafkaUrl(source.url) ? [kafka, sluice] : [sluice],
      rows,
      ...(most === rows ? {} : { backlogRows: most }),
      ...(this.#messageEvents === 1 ? {} : { messageEvents: this.#messageEvents }),
      bytes,
      waitSeconds: this.#standing.isStopping ? drainPatience : patience,
      collectMs: Math.min(this.#limits.collectMs, visibilityTimeoutSeconds * 250),
      visibilityTimeoutSeconds,
    };
  }

  /**
   * While no key may leave the window a lost receive is waited for anew, so that the less it hides, the sooner all is over. Only in a backlog,
   * where keys are many and rows wait briefly: rows that wait for longer than their messages are hidden would be received again and again.
   */
  #hidesForSeconds(): number {
    const { visibilityTimeoutSeconds } = this.#definition.queue;
    const { heldVisibilityMs } = this.#limits;
    const isBrief = this.#rowWaitMs < heldVisibilityMs * BRIEF && !this.#deleting.fails;
    const isShort = this.#window.isHeld && this.#receiving.sawBacklog && isBrief;
    return isShort ? Math.min(visibilityTimeoutSeconds, heldVisibilityMs / 1_000) : visibilityTimeoutSeconds;
  }

  // What came of it.

  claimed(_work: ClaimWork, outcome: Outcome<unknown>): void {
    this.#isClaiming = false;
    if (!outcome.ok) return this.#claimFailed(outcome);
    this.#claim = 'held';
    this.#claimedAt = this.#clock.now;
    this.#standing.worked('claim');
  }

  #claimFailed({ problem, isFinal }: Failed): void {
    // Nobody answered: that says nothing of whose they are.
    if (!isFinal && this.#claim === 'held') this.#claimedAt = this.#clock.now;
    else if (isFinal && this.#claim === 'never' && this.#standing.isStopping) {
      // It holds nothing, and has nothing that it could drain.
      this.#standing.note('claim', problem);
      this.#standing.drained();
    } else this.#park('claim', problem, isFinal);
  }

  adopted(_work: AdoptWork, outcome: Outcome<Adopted>): void {
    this.#adopting.ended(outcome.ok);
    if (!outcome.ok) return this.#park('adopt', outcome.problem, outcome.isFinal);
    const { keys, newestHour = 0 } = outcome.value;
    // Dates in keys never go back.
    this.#clock.dateFrom(newestHour);
    this.#window.adopt(keys);
    this.#draining.receiveLost();
    this.#standing.worked('adopt');
  }

  received(work: ReceiveWork, outcome: Outcome<Received>): void {
    const { number } = work;
    const wait = outcome.ok ? this.#admitAll(work, outcome.value) : this.#receiveFailed(work, outcome);
    this.#window.endReceive(number);
    if (number <= this.#flushUpTo) this.#isFlushing = true;
    if (this.#mustTrickle)
      this.#receiveAfter(number, 'trickle', Math.max(wait, trickleMs(this.#load(), this.#limits)));
    else if (wait > 0) this.#receiveAfter(number, 'receive', wait);
    else this.#receiving.end(number);
  }

  uploaded({ sequence }: UploadWork, outcome: Outcome<Uploaded>): void {
    const batch = this.#uploading.ended(sequence, outcome.ok);
    if (!outcome.ok) {
      this.#listener.notWritten(batch, outcome.problem);
      return this.#park('upload', outcome.problem, outcome.isFinal);
    }
    for (const key of batch.keys) this.#window.uploaded(key);
    this.#counts.rows += batch.rows.length;
    this.#counts.batches += 1;
    this.#counts.bytes += outcome.value.bytes;
    this.#lastObject = batch.objectKey;
    this.#rowWaitMs = this.#clock.now - batch.admittedAt;
    this.#standing.worked('upload');
    this.#listener.written(batch, outcome.value);
  }

  deleted(work: DeleteWork, outcome: Outcome<Deleted>): void {
    const { deletions } = work;
    const left = outcome.ok ? new Set(outcome.value.left) : undefined;
    // Where it can't be told when they were deleted, they may come back.
    const isTold = outcome.ok && this.#hear(work, momentOf(outcome.value)) !== 'odd';
    if (outcome.ok) {
      this.#standing.worked('delete');
    } else if (outcome.isFinal) this.#park('delete', outcome.problem, true);
    // Each of them will come back, perhaps long after it had every chance to.
    if (this.#deleting.answered(deletions, left)) this.#window.receiveLost(this.#visibilityMs);
    for (const [place, deletion] of deletions.entries()) {
      const isDeleted = isTold && left?.has(place) === false;
      this.#window.deletionAnswered(deletion, isDeleted, this.#clock.now);
    }
  }

  measured(work: MeasureWork, outcome: Outcome<QueueDepth>): void {
    const isTold = outcome.ok && this.#hear(work, momentOf(outcome.value)) !== 'odd';
    if (outcome.ok) {
      this.#listener.measured(outcome.value);
      this.#standing.worked('measure');
    } else this.#park('measure', outcome.problem, outcome.isFinal);
    if (work === this.#look) this.#look = undefined;
    else this.#drainedMaybe(isTold ? outcome.value : undefined);
  }

  #drainedMaybe(depth: QueueDepth | undefined): void {
    const quietMs = this.#draining.measured(depth, this.#clock.now);
    if (quietMs === undefined || quietMs < this.#definition.drainQuietSeconds * 1_000) return;
    this.#standing.drained();
    // All of its work is done: what was a problem is none any more.
    this.#standing.worked();
  }

  woke(wait: WaitWork): void {
    const alarm = this.#alarms.get(wait);
    if (alarm !== undefined) this.#clock.tick(alarm);
    this.#alarms.delete(wait);
    this.#standing.woke(wait);
    this.#adopting.woke(wait);
    this.#receiving.woke(wait);
    this.#deleting.woke(wait);
  }

  /** Whether a wait has ended before its time: deletions work again, or receives must end. Then it woke. */
  hasEnded({ why }: WaitWork): boolean {
    return why === 'trickle' && (!this.#mustTrickle || this.isChanging || this.#isWindingUp);
  }

  // What others see of it.

  status(): LaneStatus {
    const { problem } = this.#standing;
    const { stage } = this.#adopting;
    return {
      activity: this.#standing.activity,
      ...(problem === undefined ? {} : { problem }),
      claim: this.#claim,
      definition: this.#definition,
      version: this.#version,
      counts: this.#counts,
      nextSequence: this.#uploading.nextSequence,
      rowsWaiting: this.#rows,
      batchesInFlight: this.#uploading.underWay,
      windowKeys: this.#window.size,
      unsettled: this.#window.unsettled,
      ...(this.#lastObject === undefined ? {} : { lastObject: this.#lastObject }),
      ...(stage === undefined ? {} : { adopting: stage }),
    };
  }

  /** What the next run needs. Nothing may be under way. */
  carried(): CarriedLane {
    // A parked lane deletes nothing, and its receipts would be worth nothing when it is mended.
    this.#window.unsettleDue(this.#clock.now);
    return {
      schema: LANE_SCHEMA,
      version: this.#version,
      ...this.#standing.carried(),
      flushing: this.#isFlushing,
      claim: this.#claim,
      nextSequence: this.#uploading.nextSequence,
      ...this.#clock.carried(),
      waiting: this.#assembler.rows,
      frozen: this.#uploading.frozen,
      window: this.#window.state(),
      counts: this.#counts,
      ...(this.#lastObject === undefined ? {} : { lastObject: this.#lastObject }),
      ...this.#adopting.carried(),
    };
  }

  /** What the next run needs of the window, eight bytes for each key; apart, so that they travel as bytes. */
  settledKeys(): Uint8Array {
    return this.#window.packKeys();
  }

  // Within.

  #change(wanted: PipelineDefinition): void {
    while (this.#freezeOne(true));
    this.#definition = wanted;
    this.#version += 1;
    this.#wanted = undefined;
    this.#assembler = this.#newAssembler();
    this.#window.limit(this.#windowLimits());
    this.#standing.retry();
    this.#listener.changed(this.#version);
  }

  /** @returns milliseconds to wait before the next receive */
  #admitAll(work: ReceiveWork, received: Received): number {
    const { messages, events, leftInQueue, from, until, oldestSentAt = until } = received;
    const told = this.#hear(work, received);
    if (told === 'odd') {
      this.#receiveLost(work);
      return this.#receiving.failed();
    }
    // Nothing that was received was sent later. What one answer far ahead says of the queue waits for another.
    const reached = told === 'ahead' ? undefined : Math.min(until, received.reached ?? 0);
    const receive = { from, until, visibilityMs: visibilityMsOf(work) };
    for (const message of messagesOf(received)) this.#admit(message, receive);
    this.#counts.received += messages.length;
    this.#counts.events += events.length;
    if (messages.length > 0) this.#messageEvents = Math.max(1, Math.round(events.length / messages.length));
    this.#listener.received({
      messages: messages.length,
      oldestAgeMs: Math.max(0, until - oldestSentAt),
      reached: received.reached,
    });
    const wait = this.#receiving.answered(received);
    this.#draining.received(messages.length);
    this.#standing.worked('receive');
    for (const left of leftInQueue) this.#window.leftInQueue(left, receive);
    if (received.refusedPolls > 0) this.#receiveRefused();
    // Before the window lets anything go: what the lost polls hid may be a copy of any key.
    if (received.lostPolls > 0) this.#receiveLost(work);
    this.#window.receiveAnswered({ from, until }, reached);
    return wait;
  }

  #admit({ events, ...message }: ReceivedMessage, receive: Receive): void {
    const keys = events.map(({ key }) => key);
    const verdicts = this.#window.admit({ ...message, keys }, receive);
    if (verdicts === 'redelivery') return this.#countRedelivered();
    for (const [place, event] of events.entries()) {
      if (verdicts[place] === 'repeat') this.#countRepeat();
      else if ('reason' in event) this.#rejected(event);
      else this.#assembler.add({ ...event, admittedAt: this.#clock.now });
    }
  }

  #countRedelivered(): void {
    this.#counts.redelivered += 1;
    this.#listener.redelivered();
  }

  #countRepeat(): void {
    this.#counts.repeats += 1;
    this.#listener.repeated();
  }

  /** It is kept already. */
  #rejected({ key, reason }: RejectedEvent): void {
    const { rejected } = this.#counts;
    this.#counts.rejected = { ...rejected, [reason]: (rejected[reason] ?? 0) + 1 };
    this.#listener.rejected(reason);
    this.#window.uploaded(key);
  }

  /** @returns milliseconds to wait before the next receive */
  #receiveFailed(work: ReceiveWork, { problem, isFinal, isRefused = false }: Failed): number {
    if (isRefused) this.#receiveRefused();
    else this.#receiveLost(work);
    if (isFinal) this.#park('receive', problem, true);
    return this.#receiving.failed();
  }

  #receiveRefused(): void {
    this.#counts.refusedReceives += 1;
    this.#listener.receiveRefused();
  }

  #receiveLost(work: ReceiveWork): void {
    this.#counts.lostReceives += 1;
    this.#listener.receiveLost();
    this.#receiving.lost();
    this.#draining.receiveLost();
    this.#window.receiveLost(visibilityMsOf(work));
  }

  #receiveAfter(number: number, why: 'receive' | 'trickle', ms: number): void {
    const wait: WaitWork = { kind: 'wait', why, ms, summary: 'before the next receive' };
    this.#receiving.endAfter(number, wait);
    this.#waits.push(wait);
  }

  /** @param isRefused trying again can't help. A queue or a bucket that is gone may be made again, and be nobody's then */
  #park(doing: string, problem: string, isRefused: boolean): void {
    if (isRefused) this.#unclaim();
    if (!this.#standing.park(doing, problem)) return;
    this.#listener.parked({ doing, problem });
    this.#waitToTry();
  }

  #waitToTry(): void {
    const wait = this.#standing.takeWait();
    if (wait) this.#waits.push(wait);
  }

  #hear(work: Work, span: Span): Told {
    const told = this.#clock.hear(work, span);
    if (told === 'anew') this.#beginAnew();
    return told;
  }

  /** What was told of times before is wrong. */
  #beginAnew(): void {
    const { now } = this.#clock;
    this.#window.beginAnew(now);
    this.#assembler.beginAnew(now);
    this.#draining.begin();
    this.#alarms.clear();
  }

  #load(): Load {
    const { rows, bytes } = this.#assembler;
    const { isFull, undeleted } = this.#window;
    return {
      batchRows: this.#definition.batch.rows,
      visibilityTimeoutMs: this.#visibilityMs,
      waiting: { rows: rows.length, bytes },
      frozen: this.#uploading.load,
      receives: { underWay: this.#receiving.underWay, rows: this.#receiving.rows },
      window: { isFull, bytes: this.#window.bytes, undeleted },
      hasBacklog: this.#receiving.hasBacklog,
      deletionsFail: this.#deleting.fails,
      isStill: this.#isStill,
    };
  }

  get #mustTrickle(): boolean {
    return mustTrickle({ window: this.#window, deletionsFail: this.#deleting.fails });
  }

  /** The queue's setting. */
  get #visibilityMs(): number {
    return this.#definition.queue.visibilityTimeoutSeconds * 1_000;
  }

  /** Rows in the lane's state. */
  get #rows(): number {
    return this.#assembler.rows.length + this.#uploading.load.rows;
  }

  /** The queue looks empty to a stopping lane: nothing waits for more. */
  get #isDraining(): boolean {
    return this.#standing.isStopping && this.#draining.looksEmpty;
  }

  get #isStill(): boolean {
    const underWay = this.#receiving.underWay + this.#uploading.underWay + this.#deleting.underWay;
    return underWay === 0 && !this.#draining.isMeasuring && !this.#isClaiming && !this.#look;
  }

  #newAssembler(waiting?: readonly WaitingRow[]): Assembler {
    const { rows, flushAfterSeconds } = this.#definition.batch;
    return new Assembler({ rows, flushAfterMs: flushAfterSeconds * 1_000 }, waiting);
  }

  #windowLimits(): WindowLimits {
    const { mostKeys, mostKeysHeld, mostUnsettled } = this.#limits;
    const { windowKeys: keys } = this.#definition;
    return { keys, visibilityTimeoutMs: this.#visibilityMs, mostKeys, mostKeysHeld, mostUnsettled };
  }
}

/** When a short piece of work was done. */
function momentOf({ at }: { at: number }): Span {
  return { from: at, until: at };
}

/** That the receive asked with. */
function visibilityMsOf({ input }: ReceiveWork): number {
  return input.visibilityTimeoutSeconds * 1_000;
}

/** Of the rows that are not in the lake. */
function* rowKeysOf(carried: CarriedLane | undefined): Iterable<string> {
  for (const { key } of carried?.waiting ?? []) yield key;
  for (const { keys } of carried?.frozen ?? []) yield* keys;
}
