import { setTimeout as delay } from 'node:timers/promises';
import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import {
  claimLake,
  lakeAddress,
  type LakeOwner,
  notYours,
  ownerAddress,
  OwnerUnreadable,
  takeOverLake,
} from '../lake/owner';
import type { Replaced } from '../lane/work';
import type { LakeStore } from '../lake/store';
import type { Lake } from '../pipeline/definition';
import { OWNER_TAG } from '../pipeline/names';
import type { Queue } from '../queue/queue';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';
import { type NamedQueue, requireOwnQueue } from './own-queue';

export interface ClaimInput {
  queue: string;
  lake: Lake;
  owner: LakeOwner;
  /** The lanes that may have had them, which are gone for good. Default: none */
  replaces?: Replaced | undefined;
}

type ClaimedQueue = NamedQueue & Pick<Queue, 'attributes' | 'owner' | 'claim'>;

/** After it a tag is looked at once more. Two lanes that found none, and both wrote their own, see the same one then. Milliseconds. */
const SECOND_LOOK_MS = 1_500;

/** The parts of a queue and of a lake's store that a claim needs. */
interface Clients {
  queue: ClaimedQueue;
  store: Pick<LakeStore, 'lake' | 'putIfAbsent' | 'read' | 'replace'>;
}

/**
 * Makes sure that one lane alone reads the queue, by a tag that names it, and that it alone writes under the lake's prefix, by an
 * object that does. What has no owner is claimed. The queue comes first: its tag can be taken back, the object stays.
 *
 * A tag is read and then written, which two lanes may do at once: the later one's stands. So whoever wrote it looks again, and a lane
 * looks later, too. The lane's first run tells lanes apart, those of the same name in another Temporal as well: its id is random.
 *
 * @param secondLookMs default: {@link SECOND_LOOK_MS}
 * @throws not retryable ApplicationFailure: `QueueHasAnotherOwner`; `QueueHasRedrive` for a queue that would move
 *   messages, of rows not yet written, to a dead-letter queue; `LakeHasAnotherOwner`; others for what SQS and S3 refuse
 */
export async function claimQueue(
  { queue: claimed, store }: Clients,
  { queue, lake, owner, replaces = {} }: ClaimInput,
  secondLookMs = SECOND_LOOK_MS,
): Promise<void> {
  await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async () => {
    await claimTag(claimed, owner.run, { replaces: replaces.queue, secondLookMs }).catch((error: unknown) => {
      throw awsFailure(error, `claim the queue ${queue}`);
    });
    const claiming =
      replaces.lake === undefined ? claimLake(store, owner) : takeOverLake(store, owner, replaces.lake);
    const found = await claiming.catch((error: unknown) => {
      if (error instanceof OwnerUnreadable) throw lakeHasAnotherOwner(error.message);
      throw awsFailure(error, `claim ${lakeAddress(lake)} by ${ownerAddress(lake)}`);
    });
    if (found.run !== owner.run) throw lakeHasAnotherOwner(notYours(lake, found));
  });
}

async function claimTag(
  queue: ClaimedQueue,
  run: string,
  { replaces, secondLookMs }: { replaces: string | undefined; secondLookMs: number },
): Promise<void> {
  await requireOwnQueue(queue);
  const { hasRedrivePolicy } = await queue.attributes();
  if (hasRedrivePolicy) throw hasRedrive(queue.name);
  const found = await queue.owner();
  if (found === undefined || found === replaces) await queue.claim(run);
  // An attempt before this one may have written it just now.
  else if (found === run && activityInfo().attempt === 1) return;
  else if (found !== run) throw hasAnotherOwner(queue.name, found);
  await delay(secondLookMs);
  const stands = await queue.owner();
  // SQS does not promise that a tag is seen at once.
  if (stands === undefined) throw new Error(`The tag ${OWNER_TAG} was written and is not there`);
  if (stands !== run) throw hasAnotherOwner(queue.name, stands);
}

function lakeHasAnotherOwner(why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${why}. Then run \`sluice update\`, or \`sluice resume\``,
    'LakeHasAnotherOwner',
  );
}

function hasRedrive(queue: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The queue ${queue} has a redrive policy, which would move messages away before their rows are written: ` +
      'remove it from the queue, then resume',
    'QueueHasRedrive',
  );
}

function hasAnotherOwner(queue: string, found: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The queue ${queue} belongs to another lane, ${found}: give this pipeline a queue of its own (SLUICE_QUEUE) or, ` +
      'if that lane is gone for good, take its place with `sluice start --adopt`',
    'QueueHasAnotherOwner',
  );
}
