import { condition, proxyActivities, type RetryPolicy, sleep, workflowInfo } from '@temporalio/workflow';
import type { BatchActivities } from '../activities';
import type { Lane } from '../lane/lane';
import type {
  AdoptWork,
  ClaimWork,
  DeleteWork,
  Outcome,
  ReceiveWork,
  UploadWork,
  WaitWork,
  Work,
} from '../lane/work';
import type { PipelineDefinition } from '../pipeline/definition';
import { differences } from '../settings/changes';
import { isNotRetryable, problemOf, wasHandedNothing } from './problems';
import { refused } from './refusals';

const once = { startToCloseTimeout: '60s', heartbeatTimeout: '10s', retry: { maximumAttempts: 1 } } as const;
const patient: RetryPolicy = {
  initialInterval: '500ms',
  maximumInterval: '15s',
  nonRetryableErrorTypes: ['PayloadsTooLarge'],
};
const patiently = { ...once, retry: patient };
/** A lake that must be read far back takes a while. */
const atLength = { ...patiently, startToCloseTimeout: '15m' } as const;
const thrice = { ...once, retry: { ...patient, maximumAttempts: 3 } };
/** For the better part of a minute where nobody answers: then the lane parks, and people see why. */
const aFewTimes = { ...once, retry: { ...patient, maximumAttempts: 8 } };

const { claimQueue, adoptLake, receiveMessages, uploadBatch, deleteMessages, measureQueue } =
  proxyActivities<BatchActivities>(patiently);

/** Does what a lane decides: activities and timers. Whatever came of it, the lane is told. */
export class Hands {
  readonly #lane: Lane;
  #hasNews = false;
  #updates = 0;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  /** Updates wait for the settings that they want: continue-as-new must wait for them. */
  get isUpdating(): boolean {
    return this.#updates > 0;
  }

  /** Resolves when the lane may decide otherwise than it did. */
  async somethingCame(): Promise<void> {
    await condition(() => this.#hasNews);
    this.#hasNews = false;
  }

  tell(what: () => void): void {
    what();
    this.#hasNews = true;
  }

  perform(work: readonly Work[]): void {
    for (const piece of work) void this.#perform(piece);
  }

  /**
   * @returns the version of the definition that holds when the wanted settings do
   * @throws ApplicationFailure `UpdateRefused` where the lake that is wanted is another lane's; then nothing changes
   */
  async update(wanted: PipelineDefinition): Promise<number> {
    const lane = this.#lane;
    this.#updates += 1;
    try {
      // What was claimed stays this lane's: it does not matter which settings hold when an update before this one is done.
      if (!isSameLake(wanted, lane.definition)) await claimFor(wanted);
      await condition(() => !lane.isChanging);
      if (differences(wanted, lane.definition).length === 0) return lane.version;
      this.tell(() => lane.want(wanted));
      await condition(() => !lane.isChanging);
      return lane.version;
    } finally {
      this.#updates -= 1;
      this.#hasNews = true;
    }
  }

  /** Never rejects. One promise for each piece of work: the SDK keeps a stack for each, which is the dearest part of a small step. */
  async #perform(work: Work): Promise<void> {
    const lane = this.#lane;
    switch (work.kind) {
      case 'claim': {
        const outcome = await outcomeOf(claim(lane.definition, work));
        return this.tell(() => lane.claimed(work, outcome));
      }
      case 'adopt': {
        const outcome = await outcomeOf(adopt(work));
        return this.tell(() => lane.adopted(work, outcome));
      }
      case 'receive': {
        const outcome = await outcomeOf(receive(work));
        return this.tell(() => lane.received(work, outcome));
      }
      case 'upload': {
        const outcome = await outcomeOf(upload(work));
        return this.tell(() => lane.uploaded(work, outcome));
      }
      case 'delete': {
        const outcome = await outcomeOf(remove(work));
        return this.tell(() => lane.deleted(work, outcome));
      }
      case 'measure': {
        const outcome = await outcomeOf(measureQueue(work.queue));
        return this.tell(() => lane.measured(work, outcome));
      }
      case 'wait': {
        await this.#wait(work);
        return this.tell(() => lane.woke(work));
      }
    }
  }

  async #wait(wait: WaitWork): Promise<void> {
    const { why, ms, summary } = wait;
    if (why === 'trickle') await condition(() => this.#lane.hasEnded(wait), ms);
    else await sleep(ms, { summary });
  }
}

async function outcomeOf<T>(doing: Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await doing };
  } catch (error) {
    const failed = { ok: false, problem: problemOf(error), isFinal: isNotRetryable(error) } as const;
    return wasHandedNothing(error) ? { ...failed, isRefused: true } : failed;
  }
}

function claim(
  definition: PipelineDefinition,
  { replaces }: Pick<ClaimWork, 'replaces'>,
  options = aFewTimes,
): Promise<void> {
  const { namespace, workflowId, firstExecutionRunId } = workflowInfo();
  const { name, queue, lake } = definition;
  const { bucket, prefix, acl } = lake;
  return claimQueue.executeWithOptions(options, [
    {
      queue: queue.name,
      lake: { bucket, prefix, ...(acl === undefined ? {} : { acl }) },
      owner: { pipeline: name, lane: workflowId, run: `${namespace}/${firstExecutionRunId}` },
      ...(replaces ? { replaces } : {}),
    },
  ]);
}

/** Somebody waits for the answer. */
async function claimFor(wanted: PipelineDefinition): Promise<void> {
  try {
    await claim(wanted, {}, thrice);
  } catch (error) {
    throw refused(problemOf(error));
  }
}

function adopt({ input }: AdoptWork) {
  const { namespace, firstExecutionRunId } = workflowInfo();
  const summary = `the newest ${input.keys} rows of s3://${input.lake.bucket}/${input.lake.prefix}`;
  return adoptLake.executeWithOptions({ ...atLength, summary }, [
    { ...input, run: `${namespace}/${firstExecutionRunId}` },
  ]);
}

function receive({ input }: ReceiveWork) {
  const summary = `up to ${input.backlogRows ?? input.rows} rows from ${input.queue}`;
  return receiveMessages.executeWithOptions({ ...once, summary }, [input]);
}

function upload({ sequence, input }: UploadWork) {
  const summary = `batch ${sequence}: ${input.rows.length} rows to ${input.key}`;
  return uploadBatch.executeWithOptions({ ...patiently, summary }, [input]);
}

function remove({ queue, deletions }: DeleteWork) {
  const receipts = deletions.map(({ receipt }) => receipt);
  return deleteMessages.executeWithOptions(
    { ...thrice, summary: `${receipts.length} messages of ${queue}` },
    [{ queue, receipts }],
  );
}

function isSameLake({ lake: one }: PipelineDefinition, { lake: other }: PipelineDefinition): boolean {
  return one.bucket === other.bucket && one.prefix === other.prefix;
}
