import {
  ActivityCancellationType,
  ActivityFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  type SignalDefinition,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type { IngestActivities } from '../activities';
import type { StintProgress, StintResult } from '../activities/consume-stream';
import type { PipelineDefinition } from '../config';
import { QUERIES, SIGNALS } from '../names';
import type { Cursor } from '../sources/cursor';
import { neverEnding } from './never-ending';
import { park, type Parked, parkedMs, problemOf } from './park';
import type { IngestStatus } from './status';

const startSignal: SignalDefinition = defineSignal(SIGNALS.start);
const stopSignal: SignalDefinition = defineSignal(SIGNALS.stop);
const pauseSignal = defineSignal(SIGNALS.pause);
const resumeSignal = defineSignal(SIGNALS.resume);
const statusQuery = defineQuery<IngestStatus>(QUERIES.status);

export interface IngestInput {
  definition: PipelineDefinition;
  /** Workflow id of the lane that is drained once ingest has stopped. */
  lane: string;
}

/** What continue-as-new carries. JSON. */
export interface IngestState {
  /** Of this record; another number is another shape. */
  schema: 1;
  cursor: Cursor;
  paused: boolean;
  stopping: boolean;
  stopped: boolean;
  parked?: Parked;
  mayTry: boolean;
  counts: IngestStatus['counts'];
}

const STINT_MS = 15 * 60_000;

/** Two stints and what a resumed stream sends again must fit the window. */
const STINTS_PER_WINDOW = 3;

const { consumeStream } = proxyActivities<IngestActivities>({
  // A stint ends by itself; this is for one that can't.
  startToCloseTimeout: '20m',
  // How long after a worker's death another takes over, and how late a cancellation may arrive.
  heartbeatTimeout: '5s',
  // Every deploy is a failed attempt: none may lengthen the back-off much.
  retry: {
    initialInterval: '1s',
    backoffCoefficient: 1.5,
    maximumInterval: '5s',
    nonRetryableErrorTypes: ['PayloadsTooLarge'],
  },
  // The cursor that a cancelled stint returns matters.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/**
 * Supervises a pipeline's source: one stint after the other, each from the cursor that the last one returned. Never ends
 * by itself; `stop` ends the stint, keeps the cursor and lets the lane drain.
 */
export async function ingest(input: IngestInput, state?: IngestState): Promise<void> {
  const supervisor = new Supervisor(input, state);
  setHandler(startSignal, () => supervisor.start());
  setHandler(stopSignal, () => supervisor.stop());
  setHandler(pauseSignal, () => supervisor.pause());
  setHandler(resumeSignal, () => supervisor.resume());
  setHandler(statusQuery, () => supervisor.status());
  await neverEnding(
    () => supervisor.stop(),
    async () => {
      await supervisor.runUntilHistoryIsLong();
      await continueAsNew<typeof ingest>(input, supervisor.state());
    },
  );
}

class Supervisor {
  readonly #input: IngestInput;
  readonly #counts: IngestStatus['counts'];
  #cursor: Cursor;
  #paused: boolean;
  #stopping: boolean;
  #stopped: boolean;
  #parked: Parked | undefined;
  #stint: CancellationScope | undefined;
  #told = Promise.resolve();
  /** A parked workflow tries again: it waited long enough, or was asked to. */
  #mayTry: boolean;

  constructor(input: IngestInput, state?: IngestState) {
    const { since } = input.definition.source;
    this.#input = input;
    // Set here and not by the first stint: one that is killed at once must begin again at the same place.
    this.#cursor = state?.cursor ?? {
      since: since ?? workflowInfo().startTime.getTime(),
      positions: {},
      recent: {},
    };
    this.#paused = state?.paused ?? false;
    this.#stopping = state?.stopping ?? false;
    this.#stopped = state?.stopped ?? false;
    this.#parked = state?.parked;
    this.#mayTry = state?.mayTry ?? true;
    this.#counts = state?.counts ?? {
      sent: 0,
      repeats: 0,
      canaries: 0,
      rejected: 0,
      reconnects: 0,
      stints: 0,
    };
  }

  start(): void {
    this.#stopping = false;
    this.#stopped = false;
    void this.#tellLane(startSignal);
    this.resume();
  }

  stop(): void {
    this.#stopping = true;
    this.#stint?.cancel();
  }

  pause(): void {
    this.#paused = true;
    this.#stint?.cancel();
  }

  resume(): void {
    this.#paused = false;
    this.#mayTry = true;
  }

  status(): IngestStatus {
    const problem = this.#problem();
    return {
      activity: this.#activity(),
      ...(problem === undefined ? {} : { problem }),
      definition: this.#input.definition,
      cursor: this.#cursor,
      counts: this.#counts,
    };
  }

  state(): IngestState {
    return {
      schema: 1,
      cursor: this.#cursor,
      paused: this.#paused,
      stopping: this.#stopping,
      stopped: this.#stopped,
      ...(this.#parked ? { parked: this.#parked } : {}),
      mayTry: this.#mayTry,
      counts: this.#counts,
    };
  }

  async runUntilHistoryIsLong(): Promise<void> {
    while (!workflowInfo().continueAsNewSuggested) {
      setCurrentDetails(this.#details());
      if (this.#stopping && !this.#stopped) await this.#drainLane();
      else if (this.#paused || this.#stopped) await condition(() => this.#isWanted() || this.#mustDrain());
      else if (this.#parked && !this.#mayTry) await this.#waitParked(this.#parked);
      else await this.#runStint();
    }
    await this.#allTold();
  }

  async #runStint(): Promise<void> {
    const { source, queue, lake, windowKeys } = this.#input.definition;
    const stint = new CancellationScope();
    this.#stint = stint;
    try {
      const result = await stint.run(() =>
        consumeStream({
          source,
          queue: queue.name,
          lake: { bucket: lake.bucket, prefix: lake.prefix },
          cursor: this.#cursor,
          longestMs: STINT_MS,
          mostEvents: Math.floor(windowKeys / STINTS_PER_WINDOW),
        }),
      );
      this.#take(result);
    } catch (error) {
      this.#stintFailed(error, stint.consideredCancelled);
    } finally {
      this.#stint = undefined;
    }
  }

  #take({ cursor, counts, ended, problem }: StintResult): void {
    this.#progress({ cursor, counts });
    this.#counts.stints += 1;
    if (ended === 'blocked') this.#park(problem ?? 'the source can not be read');
    else this.#parked = undefined;
  }

  /** The stint starts again at its last heartbeat where one is known, else where it began. */
  #stintFailed(error: unknown, wasAskedToEnd: boolean): void {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    if (cause instanceof TimeoutFailure && cause.lastHeartbeatDetails) {
      this.#progress(cause.lastHeartbeatDetails as StintProgress);
    }
    // One that was asked to end and whose worker is dead ends with its heartbeat timeout.
    if (!wasAskedToEnd && !isCancellation(error)) this.#park(problemOf(error));
  }

  #progress({ cursor, counts }: StintProgress): void {
    this.#cursor = cursor;
    this.#counts.sent += counts.sent;
    this.#counts.repeats += counts.repeats;
    this.#counts.canaries += counts.canaries;
    this.#counts.rejected += counts.rejected;
    this.#counts.reconnects += counts.reconnects;
  }

  /** The lane may drain only now: before, the stint could still have sent. */
  async #drainLane(): Promise<void> {
    await this.#tellLane(stopSignal);
    // Unless it was started again meanwhile.
    this.#stopped = this.#stopping;
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
      this.#parked = park('lane', problem, undefined);
    }
  }

  #park(problem: string): void {
    this.#parked = park('consume', problem, this.#parked);
    this.#mayTry = false;
  }

  async #waitParked(parked: Parked): Promise<void> {
    await condition(() => this.#mayTry || this.#paused || this.#stopping, parkedMs(parked));
    this.#mayTry = true;
  }

  #isParked(): boolean {
    return this.#parked !== undefined && !this.#mayTry;
  }

  #isWanted(): boolean {
    return !this.#paused && !this.#stopped;
  }

  #mustDrain(): boolean {
    return this.#stopping && !this.#stopped;
  }

  #activity(): IngestStatus['activity'] {
    if (this.#stopped) return 'stopped';
    if (this.#stopping) return 'stopping';
    if (this.#isParked()) return 'parked';
    return this.#paused ? 'paused' : 'running';
  }

  /** Not while it is being tried again: a stint is long, and its end would clear the problem only then. */
  #problem(): string | undefined {
    return this.#isParked() || this.#stopped ? this.#parked?.problem : undefined;
  }

  #details(): string {
    const { sent, rejected, canaries, stints } = this.#counts;
    const problem = this.#problem();
    const head = `**${this.#activity()}**${problem === undefined ? '' : `: ${problem}`}`;
    return `${head}\n\n${sent} events sent in ${stints} stints, ${rejected} rejected, ${canaries} canaries`;
  }
}
