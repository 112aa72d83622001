import {
  GetQueueAttributesCommand,
  ListQueueTagsCommand,
  type SQSClient,
  TagQueueCommand,
} from '@aws-sdk/client-sqs';
import { ApplicationFailure } from '@temporalio/common';
import { OWNER_TAG } from '../names';
import { awsFailure } from './failures';
import { ownQueueUrl } from './own-queue';

export interface ClaimInput {
  queue: string;
  /** Namespace and first run of the lane. */
  owner: string;
}

/**
 * Makes sure that one lane alone reads the queue, by a tag that names it. A queue without an owner is claimed.
 *
 * @throws not retryable ApplicationFailure: `QueueHasAnotherOwner`; `QueueHasRedrive` for a queue that would move
 *   messages, of rows not yet written, to a dead-letter queue; others for what SQS refuses
 */
export async function claimQueue(sqs: Pick<SQSClient, 'send'>, { queue, owner }: ClaimInput): Promise<void> {
  try {
    const QueueUrl = await ownQueueUrl(sqs, queue);
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['RedrivePolicy'] }),
    );
    if (Attributes?.RedrivePolicy) throw hasRedrive(queue);
    const { Tags } = await sqs.send(new ListQueueTagsCommand({ QueueUrl }));
    const found = Tags?.[OWNER_TAG];
    if (found === undefined) await sqs.send(new TagQueueCommand({ QueueUrl, Tags: { [OWNER_TAG]: owner } }));
    else if (found !== owner) throw hasAnotherOwner(queue, found);
  } catch (error) {
    throw awsFailure(error, `claim the queue ${queue}`);
  }
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
      `if that lane is gone for good, remove the queue's tag ${OWNER_TAG}, then resume`,
    'QueueHasAnotherOwner',
  );
}
