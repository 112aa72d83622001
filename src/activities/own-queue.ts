import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { batchWorkflowId, isLaneId } from '../pipeline/names';
import type { Queue } from '../queue/queue';

/** The part of a queue that says which one it is. */
export type NamedQueue = Pick<Queue, 'name' | 'arn'>;

/**
 * Makes sure that a queue is the one which the lane that runs this activity reads. A queue's name says too little: a worker of another
 * account or region finds another queue by it, would find it empty, and the lane would stop with the real one full.
 *
 * @param lane the workflow id of the lane that reads the queue. Default: of the workflow that runs this activity
 * @throws not retryable ApplicationFailure `AnotherQueue`; the SQS client's errors
 */
export async function requireOwnQueue(
  queue: NamedQueue,
  lane = activityInfo().workflowExecution?.workflowId ?? '',
): Promise<void> {
  // Asked for in any case: the first answer of SQS tells its clock, before anything is timed.
  const arn = await queue.arn();
  // Workflows of other names are tests of their own.
  if (!isLaneId(lane)) return;
  const problem = whyAnotherQueue(queue.name, arn, lane);
  if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'AnotherQueue');
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
