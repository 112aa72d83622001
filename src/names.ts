/**
 * Every name that another program sees: the temporal CLI, the web UI, SQS, the lake's readers.
 * One name per thing; renaming one is a breaking change.
 */

/** One Worker per task queue: they shut down in different ways. */
export const TASK_QUEUES = { ingest: 'sluice-ingest', batch: 'sluice-batch' } as const;

/** Workflow types. They are also the names of the workflow functions. */
export const WORKFLOWS = { ingest: 'ingest', batch: 'batch' } as const;

export const SIGNALS = {
  start: 'start',
  stop: 'stop',
  pause: 'pause',
  resume: 'resume',
  flush: 'flush',
} as const;

export const QUERIES = { status: 'status' } as const;

/** The message attribute that carries an event's key. */
export const KEY_ATTRIBUTE = 'sluice.key';

/** The queue tag that names the lane which alone may read the queue. */
export const OWNER_TAG = 'sluice:owner';

/** The object metadata (`x-amz-meta-…`) that holds the digest of a batch's columns and rows. */
export const DIGEST_METADATA = 'sluice-digest';

/** Folder of rejected events, below the lake's prefix. */
export const REJECTED_FOLDER = 'rejected';

/** @returns the id of the workflow that supervises a pipeline's source */
export function ingestWorkflowId(pipeline: string): string {
  return `sluice-ingest/${pipeline}`;
}

/**
 * A lane's id follows from its queue, so that two lanes on one queue can't run in one namespace.
 *
 * @param queueArn `arn:aws:sqs:REGION:ACCOUNT:NAME`
 */
export function batchWorkflowId(queueArn: string): string {
  const [, , , region, account, name] = queueArn.split(':');
  return `sluice-batch/${account}/${region}/${name}`;
}
