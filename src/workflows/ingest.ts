import {
  allHandlersFinished,
  ActivityCancellationType,
  ActivityFailure,
  type ActivityOptions,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  metricMeter,
  proxyActivities,
  setCurrentDetails,
  type SignalDefinition,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type { IngestActivities } from '../activities';
import { type Backoff, backoffMs } from '../backoff';
import type { StintInput, StintProgress, StintResult } from '../activities/consume-stream';
import type { KeptProgress } from '../lake/kept-cursor';
import { type CarriedStanding, Standing } from '../lane/standing';
import { mostUnacknowledged, type PipelineDefinition } from '../pipeline/definition';
import { differences } from '../settings/changes';
import { metersOf, type Meters } from '../metrics';
import { type Completeness, findHoles } from '../sources/completeness';
import { type Cursor, cursorTime, describeCursor, hasRead } from '../sources/cursor';
import { type Gaps, NO_GAPS } from '../sources/gaps';
import { sourceKindOf } from '../sources/identity';
import { isKafkaUrl } from '../sources/kafka/address';
import { addCounts, NO_COUNTS } from '../sources/stint-counts';
import { ingestDetails } from './details';
import { neverEnding } from './never-ending';
import { type Asked, parkUntilNewer, whyUnreadable } from './newer-state';
import { type CarriedFeeding, Feeding } from './feeding';
import { handleMessages, hearHowFar, startSignal, stopSignal } from './messages';
import { problemOf } from './problems';
import { SearchAttributes } from './search-attributes';
import type { GivenUp, IngestStatus } from './status';

export interface IngestInput {
  definition: PipelineDefinition;
  /** Workflow id of the lane that is drained once ingest has stopped. */
  lane: string;
  /** Where another ingest was, which is gone for good. Only of a first run. */
  adopts?: KeptProgress;
}

/** Of {@link CarriedIngest}; another number is another shape. */
const INGEST_SCHEMA = 1;

/** What continue-as-new carries. JSON. */
export interface CarriedIngest extends CarriedStanding {
  /** Of this record; another number is another shape. */
  schema: number;
  /** Counts the changes of the definition. */
  version: number;
  cursor: Cursor;
  completeness: Completeness;
  gaps: Gaps;
  counts: IngestStatus['counts'];
  feeding: CarriedFeeding;
}

/** What it is parked for where the lane takes nothing. */
const FEED = 'feed';

const STINT_MS = 15 * 60_000;

/** For a stint that can't end though it should. */
const STINT_AT_MOST_MS = 20 * 60_000;

/** Of a source that may not be one to resume no stint ends by time: each end is a disconnection. Heartbeats tell whether it lives. */
const NEVER_MS = 365 * 24 * 60 * 60_000;

/** Before the stint after one that failed. */
const BACKOFF: Backoff = { first: 1_000, most: 5_000 };

/** Characters of a timer's summary: Temporal takes 400 bytes. */
const LONGEST_SUMMARY = 120;

const stintOptions = {
  startToCloseTimeout: STINT_AT_MOST_MS,
  // The workflow must hear of each end. An activity that waits to be tried again and is cancelled loses what its heartbeats told.
  retry: { maximumAttempts: 1 },
  // The cursor that a cancelled stint returns matters.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} satisfies ActivityOptions;

const { consumeStream } = proxyActivities<IngestActivities>(stintOptions);

/**
 * Supervises a pipeline's source: one stint after the other, each from the cursor that the last one returned. Never ends
 * by itself; `stop` ends the stint, keeps the cursor and lets the lane drain.
 *
 * @param carried what the run before carried
 * @param asked signals that the run before could not act on
 */
export async function ingest(input: IngestInput, carried?: CarriedIngest, asked: Asked = []): Promise<void> {
  const problem = whyUnreadable(carried?.schema, INGEST_SCHEMA);
  if (problem !== undefined) {
    const all = await parkUntilNewer('ingest', problem, new Ingest(input).status(), asked);
    return await continueAsNew<typeof ingest>(input, carried, all);
  }
  const supervisor = new Ingest(input, carried);
  handleMessages(
    {
      start: () => supervisor.start(),
      stop: () => supervisor.stop(),
      pause: () => supervisor.pause(),
      resume: () => supervisor.resume(),
      status: () => supervisor.status(),
      update: (wanted) => supervisor.update(wanted),
      remove: () => supervisor.remove(),
      whyKept: () => supervisor.whyKept(),
      hasRead: () => supervisor.hasRead,
    },
    {
      start: 'Read again from the cursor, after a stop',
      stop: 'Read no more, let the lane drain, then idle',
      pause: 'Read no more until resumed',
      status: 'What ingest does and has done',
    },
  );
  hearHowFar((reached) => supervisor.laneReached(reached));
  await neverEnding(
    () => supervisor.stop(),
    async () => {
      for (const signal of asked) supervisor.ask(signal);
      await supervisor.runUntilHistoryIsLong();
      await condition(allHandlersFinished);
      if (supervisor.isRemoved) return;
      await continueAsNew<typeof ingest>(supervisor.input, supervisor.carried());
    },
  );
}

class Ingest {
  readonly #meters: Meters;
  readonly #attributes = new SearchAttributes();
  readonly #standing: Standing;
  readonly #feeding: Feeding;
  #counts: IngestStatus['counts'];
  #input: IngestInput;
  #version: number;
  #cursor: Cursor;
  #completeness: Completeness;
  #gaps: Gaps;
  #removed = false;
  #stint: CancellationScope | undefined;
  /** Stints in a row that failed and sent nothing, and why the last one did. */
  #failures = 0;
  #lastFailure = '';
  /** The last stint of a larger window that an update ended. */
  #outgrown: CancellationScope | undefined;
  /** Where an update has moved the beginning while a stint ran, which returns the one that it was given. Epoch milliseconds. */
  #movedTo: number | undefined;
  #told = Promise.resolve();

  constructor({ adopts, ...input }: IngestInput, carried?: CarriedIngest) {
    const { since } = input.definition.source;
    const begun = carried ?? adopts;
    this.#input = input;
    this.#meters = metersOf(metricMeter, input.definition.name);
    this.#version = carried?.version ?? 1;
    this.#completeness = begun?.completeness ?? {};
    this.#gaps = begun?.gaps ?? NO_GAPS;
    // Set here and not by the first stint: one that is killed at once must begin again at the same place.
    this.#cursor = begun?.cursor ?? {
      since: since ?? workflowInfo().startTime.getTime(),
      positions: {},
      recent: {},
    };
    this.#standing = new Standing(carried);
    this.#feeding = new Feeding(input.definition.queue.name, input.lane, carried?.feeding);
    this.#counts = carried?.counts ?? { ...NO_COUNTS, stints: 0 };
  }

  get input(): IngestInput {
    return this.#input;
  }

  get isRemoved(): boolean {
    return this.#removed;
  }

  get hasRead(): boolean {
    return hasRead(this.#cursor);
  }

  start(): void {
    void this.#tellLane(startSignal);
    this.#standing.start();
  }

  stop(): void {
    this.#standing.stop();
    this.#stint?.cancel();
  }

  pause(): void {
    this.#standing.pause();
    this.#stint?.cancel();
  }

  resume(): void {
    if (this.#standing.isTroubledBy(FEED)) this.#feeding.force();
    this.#standing.resume();
  }

  /** The lane has received all that was sent before. @param reached epoch milliseconds */
  laneReached(reached: number): void {
    // Where nobody asked for it now, it is an answer that came late.
    if (this.#feeding.told(reached) && this.#standing.isTroubledBy(FEED)) this.#standing.retry();
  }

  /**
   * Where the settings are ingest's, the stint under way ends and another begins. Those of the lane leave it alone: each end is a
   * disconnection. Where the window shrinks, the answer waits for the end of that stint: the lane keeps as many keys as before until it
   * has received all that was sent by then.
   *
   * @returns the version of the definition that holds now
   */
  async update(wanted: PipelineDefinition): Promise<number> {
    const version = this.#change(wanted);
    if (this.#outgrown) await condition(() => this.#stint !== this.#outgrown);
    return version;
  }

  #change(wanted: PipelineDefinition): number {
    const { definition } = this.#input;
    if (differences(wanted, definition).length === 0) return this.#version;
    const before = this.#stintSettings();
    const { since } = wanted.source;
    if (since !== undefined && since !== definition.source.since) this.#begin(since);
    this.#input = { ...this.#input, definition: wanted };
    this.#version += 1;
    this.#standing.retry();
    const isSmaller = wanted.windowKeys < definition.windowKeys;
    if (isSmaller) this.#outgrown = this.#stint;
    if (isSmaller || JSON.stringify(this.#stintSettings()) !== JSON.stringify(before)) this.#stint?.cancel();
    log.info('Other settings hold', { version: this.#version });
    return this.#version;
  }

  /** What an earlier run was told. */
  ask(signal: Asked[number]): void {
    if (signal !== 'flush') this[signal]();
  }

  /** Only of stopped ingest: what is lost is the cursor. */
  remove(): GivenUp {
    this.#removed = true;
    return { rows: 0 };
  }

  whyKept(): string | undefined {
    const { activity } = this.#standing;
    return activity === 'stopped' ? undefined : `it is ${activity}; stop it first (\`sluice stop --wait\`)`;
  }

  status(): IngestStatus {
    const { activity, problem } = this.#standing;
    const time = cursorTime(this.#cursor);
    const { count, dropped, recent } = this.#gaps;
    const { status: queue } = this.#feeding;
    return {
      activity,
      ...(problem === undefined ? {} : { problem }),
      definition: this.#input.definition,
      version: this.#version,
      ...sourceKindOf(this.#input.definition.source, this.#cursor),
      gaps: { count, dropped, recent },
      cursor: this.#cursor,
      ...(time === undefined ? {} : { cursorTime: time }),
      holes: findHoles(this.#completeness),
      ...(queue === undefined ? {} : { queue }),
      counts: this.#counts,
    };
  }

  carried(): CarriedIngest {
    return {
      schema: INGEST_SCHEMA,
      version: this.#version,
      cursor: this.#cursor,
      completeness: this.#completeness,
      gaps: this.#gaps,
      ...this.#standing.carried(),
      counts: this.#counts,
      feeding: this.#feeding.carried(),
    };
  }

  async runUntilHistoryIsLong(): Promise<void> {
    while (!workflowInfo().continueAsNewSuggested && !this.#removed) {
      this.#show();
      if (this.#mustDrain()) await this.#drainLane();
      else if (!this.#isWanted())
        await condition(() => this.#isWanted() || this.#mustDrain() || this.#removed);
      else if (this.#standing.isParked) await this.#waitToTry();
      else if (this.#feeding.isDue) await this.#look();
      else {
        await this.#runStint();
        await this.#waitAfterFailure();
      }
    }
    await this.#allTold();
    // The next run may go to another worker.
    this.#meters.close();
  }

  /** Parks, and ends the stint under way, where the lane leaves in the queue what SQS would forget. */
  async #look(): Promise<void> {
    const problem = await this.#feeding.look();
    if (problem === undefined) return this.#standing.worked(FEED);
    const { canResume } = sourceKindOf(this.#input.definition.source, this.#cursor);
    const meanwhile =
      canResume === false
        ? 'What the source publishes meanwhile is lost'
        : 'The source keeps what it publishes for as long as it remembers: Wikimedia for 7 days or more';
    this.#park(`${problem}. ${meanwhile}`, { doing: FEED });
    this.#stint?.cancel();
  }

  /** Looks may be due meanwhile. Each adds to the history, and the stint of a source that can't be resumed may last for a year. */
  async #runStint(): Promise<void> {
    const running = this.#stintUnderWay();
    const isOver = () => this.#stint === undefined;
    const isLookDue = () => this.#feeding.isDue && this.#isWanted() && !this.#standing.isParked;
    while (!isOver()) {
      await condition(() => isOver() || isLookDue());
      if (isOver()) break;
      await this.#look();
      if (workflowInfo().continueAsNewSuggested) this.#stint?.cancel();
    }
    await running;
  }

  async #stintUnderWay(): Promise<void> {
    this.#movedTo = undefined;
    const stint = new CancellationScope();
    this.#stint = stint;
    try {
      const result = await stint.run(() =>
        consumeStream.executeWithOptions(
          {
            ...stintOptions,
            ...this.#stintTimeouts(),
            summary: `from ${describeCursor(this.#cursor)}`,
          },
          [
            {
              ...this.#stintSettings(),
              cursor: this.#cursor,
              completeness: this.#completeness,
              gaps: this.#gaps,
            },
          ],
        ),
      );
      this.#take(result);
    } catch (error) {
      this.#stintFailed(error, stint.consideredCancelled);
    } finally {
      this.#stint = undefined;
    }
  }

  /** What of a stint follows from the settings. */
  #stintSettings(): Omit<StintInput, 'cursor' | 'completeness' | 'gaps'> {
    const { definition, lane } = this.#input;
    const { name, source, queue, lake, packEvents, windowKeys } = definition;
    return {
      pipeline: name,
      source,
      queue: queue.name,
      packEvents,
      lane,
      lake: { bucket: lake.bucket, prefix: lake.prefix, ...(lake.acl ? { acl: lake.acl } : {}) },
      longestMs: STINT_MS,
      mostUnacknowledged: mostUnacknowledged(windowKeys),
    };
  }

  #stintTimeouts(): ActivityOptions {
    const { source, heartbeatTimeoutSeconds } = this.#input.definition;
    const endsByItself = isKafkaUrl(source.url) || this.#cursor.ids === 'wikimedia';
    return {
      heartbeatTimeout: heartbeatTimeoutSeconds * 1_000,
      startToCloseTimeout: endsByItself ? STINT_AT_MOST_MS : NEVER_MS,
    };
  }

  #take({ ended, problem, isFinal, ...progress }: StintResult): void {
    this.#progress(progress);
    this.#counts = { ...this.#counts, stints: this.#counts.stints + 1 };
    if (ended === 'blocked') return this.#park(problem ?? 'the source can not be read', { isFinal });
    if (ended === 'failed') return this.#failed(problem ?? 'it does not say why', progress);
    this.#failures = 0;
    // Parked meanwhile, it ended for that. What is interrupted by its worker's shutdown may have done nothing yet.
    if (!this.#standing.isParked && ended !== 'interrupted') this.#standing.worked();
  }

  /** It was cancelled before it began, or its worker is dead, or it is none that could run: no other stint throws. */
  #stintFailed(error: unknown, wasAskedToEnd: boolean): void {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    const isTimeout = cause instanceof TimeoutFailure;
    // Without a heartbeat it has sent nothing.
    const told = isTimeout ? (cause.lastHeartbeatDetails as StintProgress | undefined) : undefined;
    if (told) this.#progress(told);
    // One that was asked to end and whose worker is dead ends with its heartbeat timeout.
    if (wasAskedToEnd || isCancellation(error)) return;
    if (isTimeout) this.#failed(problemOf(error), told);
    else this.#park(problemOf(error));
  }

  #failed(problem: string, progress?: StintProgress): void {
    this.#failures = progress && progress.counts.sent > 0 ? 1 : this.#failures + 1;
    this.#lastFailure = problem;
    log.warn('A stint failed', { problem });
  }

  async #waitAfterFailure(): Promise<void> {
    if (this.#failures === 0) return;
    await condition(() => !this.#isWanted() || this.#mustDrain(), backoffMs(this.#failures, BACKOFF), {
      summary: `the next stint, after: ${this.#lastFailure}`.slice(0, LONGEST_SUMMARY),
    });
  }

  /** Where nothing was read. */
  #begin(since: number): void {
    if (this.hasRead) return;
    this.#movedTo = since;
    this.#cursor = { ...this.#cursor, since };
  }

  #progress({ cursor, completeness, counts, gaps }: StintProgress): void {
    this.#cursor = cursor;
    if (this.#movedTo !== undefined) this.#begin(this.#movedTo);
    this.#completeness = completeness;
    this.#gaps = gaps;
    this.#counts = { ...addCounts(this.#counts, counts), stints: this.#counts.stints };
  }

  /** The lane may drain only now: before, the stint could still have sent. */
  async #drainLane(): Promise<void> {
    await this.#tellLane(stopSignal);
    this.#standing.drained();
  }

  /** One after the other, so that the lane hears of a stop and a start in the order in which ingest did. */
  #tellLane(signal: SignalDefinition): Promise<void> {
    this.#told = this.#told.then(() => this.#signalLane(signal));
    return this.#told;
  }

  /** What is begun now must be done before continue-as-new; a start that arrives meanwhile begins one more. */
  async #allTold(): Promise<void> {
    let told: Promise<void>;
    do {
      told = this.#told;
      await told;
    } while (told !== this.#told);
  }

  async #signalLane(signal: SignalDefinition): Promise<void> {
    try {
      await getExternalWorkflowHandle(this.#input.lane).signal(signal);
    } catch (error) {
      // Ingest goes on, or stops, all the same.
      const problem = `the lane ${this.#input.lane} could not be told to ${signal.name}: ${problemOf(error)}`;
      this.#standing.note('lane', problem);
    }
  }

  #park(problem: string, { doing = 'consume', isFinal = false } = {}): void {
    this.#standing.park(doing, problem, { isFinal });
    log.warn('Parked', { problem });
  }

  /** Until the next try; what people ask meanwhile goes first. */
  async #waitToTry(): Promise<void> {
    const standing = this.#standing;
    const wait = standing.takeWait();
    const isWoken = () => !standing.isParked || standing.isPaused || standing.isStopping;
    if (!wait) return await condition(isWoken);
    await condition(isWoken, wait.ms, { summary: wait.summary });
    standing.woke(wait);
  }

  #isWanted(): boolean {
    return !this.#standing.isPaused && !this.#standing.isStopped;
  }

  #mustDrain(): boolean {
    return this.#standing.isStopping && !this.#standing.isStopped;
  }

  /** What people see of it: current details, search attributes, metrics. */
  #show(): void {
    const status = this.status();
    setCurrentDetails(ingestDetails(status));
    this.#attributes.show(status);
    this.#meters.parked(status.activity === 'parked' ? 1 : 0, { workflow: 'ingest' });
    // The clock of this machine, which decides nothing.
    this.#meters.workflowSeen(workflowInfo().unsafe.now() / 1_000, { workflow: 'ingest' });
  }
}
