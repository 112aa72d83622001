import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { batchWorkflowId, isLaneId } from '../pipeline/names';
import { queueUrl } from '../queue/queue-url';

/** Queues that were seen to be a lane's own, as `lane name`, per client. */
const known = new WeakMap<object, Set<string>>();

/**
 * The URL of the queue that the lane which runs this activity reads. A queue's name says too little: a worker of another account or
 * region finds another queue by it, would find it empty, and the lane would stop with the real one full.
 *
 * @throws not retryable ApplicationFailure `AnotherQueue`; the SQS client's errors
 */
export async function ownQueueUrl(sqs: Pick<SQSClient, 'send'>, name: string): Promise<string> {
  const url = await queueUrl(sqs, name);
  const { workflowId = '' } = activityInfo().workflowExecution ?? {};
  const seen = known.get(sqs) ?? new Set<string>();
  known.set(sqs, seen);
  // Workflows of other names are tests of their own.
  if (!isLaneId(workflowId) || seen.has(`${workflowId} ${name}`)) return url;
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }),
  );
  const problem = whyAnotherQueue(name, Attributes?.QueueArn, workflowId);
  if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'AnotherQueue');
  seen.add(`${workflowId} ${name}`);
  return url;
}

/**
 * Why the queue that a worker finds by a name is not the one that a lane reads; undefined where it is.
 *
 * @param arn of the queue that the worker finds
 * @param lane the lane's workflow id: see {@link batchWorkflowId}
 */
export function whyAnotherQueue(name: string, arn: string | undefined, lane: string): string | undefined {
  if (arn !== undefined && batchWorkflowId(arn) === lane) return undefined;
  return (
    `This worker finds the queue ${name} as ${arn ?? 'one without an ARN'}, and the lane is ${lane}: give all workers the ` +
    'account and region of the lane (AWS_REGION, credentials, AWS_ENDPOINT_URL), then resume'
  );
}
