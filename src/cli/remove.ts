import { setTimeout as delay } from 'node:timers/promises';
import { lakeAddress } from '../lake/owner';
import { type LaneStatus, whyKept } from '../lane/status';
import { OWNER_TAG, QUERIES, type Removal, UPDATES } from '../pipeline/names';
import { type Depth, isNoQueue, type Queue } from '../queue/queue';
import { messagesIn } from '../queue/retention';
import type { GivenUp, IngestStatus } from '../workflows/status';
import { askForName } from './ask';
import type { Context } from './context';
import { runOf } from './lake-owner';
import { printable } from '../printable';
import {
  describeLast,
  describeRunning,
  execute,
  pipelineHandles,
  type PipelineHandles,
  query,
} from './workflows';
import { CommandError } from './errors';

export interface RemoveOptions extends Removal {
  /** Whether to ask nothing. */
  yes?: boolean;
}

/**
 * `sluice remove`: ends a stopped pipeline for good. Cursor, window and sequence are forgotten; queue, bucket and lake stay.
 * The queue may be another pipeline's then; the prefix stays this one's, since another would number its objects from 1 again. One that was
 * interrupted can be run again. It needs no queue.
 *
 * @throws CommandError when the pipeline is not stopped, or was not meant; then nothing is ended
 */
export async function remove(
  context: Context,
  { yes = false, abandon = false }: RemoveOptions = {},
): Promise<void> {
  const { pipeline, temporal, say } = context;
  const { ingest, batch } = await pipelineHandles(context);
  const isFed = (await describeRunning(ingest)) !== undefined;
  const hasLane = (await describeRunning(batch)) !== undefined;
  const run = runOf(temporal, await describeLast(batch));
  // Ingest that is gone while its lane goes on would begin again without its cursor: both must be ready.
  if (isFed) await requireStopped(ingest);
  const removal = hasLane ? await whatIsGivenUp(context, batch, abandon) : {};
  if ((isFed || hasLane) && !yes) {
    const what = `This ends the pipeline ${pipeline.name} for good: its cursor, window and sequence are forgotten`;
    await askForName(pipeline.name, what, 'Nothing was removed');
  }
  if (isFed) await execute<GivenUp>(ingest, UPDATES.remove);
  if (hasLane) {
    const { rows } = await execute<GivenUp>(batch, UPDATES.remove, removal);
    // A claim that is under way would write the tag anew.
    await batch.result();
    if (removal.abandon === true) say(await describeGivenUp(context.queue, rows));
  }
  await leaveQueue(context, run);
  say(
    `pipeline ${pipeline.name}: removed. What it wrote stays, and so does its claim to ${lakeAddress(pipeline.lake)}: give a new ` +
      'one a prefix of its own (SLUICE_PREFIX)',
  );
}

async function requireStopped(ingest: PipelineHandles['ingest']): Promise<void> {
  const { activity } = await query<IngestStatus>(ingest, QUERIES.status);
  if (activity !== 'stopped')
    throw new CommandError(
      `Refused: ingest is ${activity}; stop the pipeline first (\`sluice stop --wait\`)`,
    );
}

/** A lane that could never claim its queue gives nothing up where nothing is in it. */
async function whatIsGivenUp(
  { queue, say }: Context,
  batch: PipelineHandles['batch'],
  abandon: boolean,
): Promise<Removal> {
  const lane = await query<LaneStatus>(batch, QUERIES.status);
  const why = whyKept(lane, { abandon });
  if (why === undefined) return { abandon };
  if (lane.activity !== 'stopped') throw new CommandError(`Refused: of the lane, ${why}`);
  say('the lane could never claim its queue: looking whether anything is in it');
  const left = await leftIn(queue, lane.definition.drainQuietSeconds);
  if (left > 0) throw new CommandError(`Refused: of the lane, ${why}: about ${left} messages`);
  return { abandon: true };
}

const LOOK_EVERY_MS = 1_000;

/** The counts of SQS lag. @returns messages in the queue; 0 once it was empty for so long, or where there is none */
async function leftIn(queue: Queue, quietSeconds: number): Promise<number> {
  const until = Date.now() + quietSeconds * 1_000;
  for (;;) {
    const depth = await depthOf(queue);
    const left = depth === undefined ? 0 : messagesIn(depth);
    if (left > 0 || Date.now() >= until) return left;
    await delay(LOOK_EVERY_MS);
  }
}

/** @returns undefined where there is no queue */
async function depthOf(queue: Queue): Promise<Depth | undefined> {
  return await ifThere(() => queue.depth());
}

async function ifThere<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isNoQueue(error)) return undefined;
    throw error;
  }
}

async function describeGivenUp(queue: Queue, rows: number): Promise<string> {
  const depth = await depthOf(queue).catch(() => undefined);
  const messages =
    depth === undefined
      ? 'their messages are gone with the queue'
      : `the queue has about ${messagesIn(depth)} messages, theirs among them`;
  return `given up: ${rows} rows that the lane held and that are in no object; ${messages}`;
}

/** Takes away the tag that the lane wrote, and no other's: another lane may have claimed the queue since. */
async function leaveQueue({ queue, say }: Context, run: string | undefined): Promise<void> {
  const owner = await ifThere(() => queue.unclaim(run));
  if (owner === undefined) return;
  const isKnown = run === undefined ? ', if that lane is gone for good, remove it' : '';
  say(`the queue ${queue.name} keeps its tag ${OWNER_TAG}, which names ${printable(owner)}${isKnown}`);
}
