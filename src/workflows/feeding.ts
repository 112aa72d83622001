import { condition, getExternalWorkflowHandle, log, proxyActivities, sleep } from '@temporalio/workflow';
import type { IngestActivities } from '../activities';
import { describeLeft, judge, type Measured, mustAskLane } from '../queue/retention';
import { askReachedSignal } from './messages';
import { problemOf } from './problems';
import type { QueueStatus } from './status';

const { measureQueue } = proxyActivities<IngestActivities>({
  startToCloseTimeout: '10s',
  retry: { maximumAttempts: 2 },
});

/** A lane that has a worker says at once how far it is. In milliseconds. */
const ANSWER_MS = 5_000;

/** After which a queue that could not be measured is measured again, in milliseconds. */
const NEXT_TRY_MS = 60_000;

/** What continue-as-new carries of {@link Feeding}. JSON. */
export interface CarriedFeeding {
  reached?: number;
  isForced?: boolean;
}

/**
 * Whether ingest may feed its lane. A lane that takes nothing leaves messages in the queue until SQS forgets them, which nobody would hear
 * of: so ingest looks at the queue now and then, and asks the lane how far it is where messages may have waited for long.
 */
export class Feeding {
  readonly #queue: string;
  readonly #lane: string;
  /** Epoch milliseconds: the lane has received all that was sent before; undefined before the first look. */
  #reached: number | undefined;
  #answers = 0;
  #measured: Measured | undefined;
  #isDue = true;
  #isForced: boolean;

  /** @param lane workflow id of the lane that reads the queue */
  constructor(queue: string, lane: string, { reached, isForced = false }: CarriedFeeding = {}) {
    this.#queue = queue;
    this.#lane = lane;
    this.#reached = reached;
    this.#isForced = isForced;
  }

  /** Whether it is time for {@link look}. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** As of the last look of this run. */
  get status(): QueueStatus | undefined {
    if (this.#measured === undefined || this.#reached === undefined) return undefined;
    return { ...this.#measured, reached: this.#reached };
  }

  /** The lane says how far it is. @returns whether that is further than it was */
  told(reached: number): boolean {
    const before = this.#reached ?? 0;
    this.#answers += 1;
    this.#reached = Math.max(before, reached);
    return reached > before;
  }

  /** A person wants ingest to go on, whatever the next look says. */
  force(): void {
    this.#isForced = true;
  }

  /** @returns why nothing more may be sent, for people; undefined: it may */
  async look(): Promise<string | undefined> {
    const measured = await this.#measure();
    if (!measured) return this.#goOn(NEXT_TRY_MS);
    this.#measured = measured;
    // When ingest begins, nothing that it sends was sent before.
    this.#reached ??= measured.at;
    if (mustAskLane(measured, this.#reached)) await this.#askLane();
    const { mayFeed, lookAgainMs } = judge(measured, this.#reached, this.#isForced);
    this.#isForced = false;
    if (mayFeed) return this.#goOn(lookAgainMs);
    return (
      `${this.#lane}: ${describeLeft(measured, this.#reached)}. Nothing more is sent to the queue ${this.#queue} until the lane ` +
      'has received that: mend the lane (`sluice status` says what it does), and ingest goes on by itself. ' +
      '`sluice resume ingest` sends for a quarter of an hour all the same'
    );
  }

  carried(): CarriedFeeding {
    return {
      ...(this.#reached === undefined ? {} : { reached: this.#reached }),
      ...(this.#isForced ? { isForced: true } : {}),
    };
  }

  #goOn(lookAgainMs: number): undefined {
    this.#isDue = false;
    void this.#dueAfter(lookAgainMs);
  }

  async #dueAfter(ms: number): Promise<void> {
    await sleep(ms, { summary: 'before the next look at the queue' });
    this.#isDue = true;
  }

  /** A stint says, too, what SQS refuses. */
  async #measure(): Promise<Measured | undefined> {
    try {
      return await measureQueue(this.#queue, this.#lane);
    } catch (error) {
      log.warn('The queue was not measured', { queue: this.#queue, problem: problemOf(error) });
      return undefined;
    }
  }

  async #askLane(): Promise<void> {
    const before = this.#answers;
    try {
      await getExternalWorkflowHandle(this.#lane).signal(askReachedSignal);
    } catch {
      // A lane that is gone takes nothing.
      return;
    }
    await condition(() => this.#answers > before, ANSWER_MS);
  }
}
