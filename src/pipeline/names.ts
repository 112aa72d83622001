import { defineSearchAttributeKey } from '@temporalio/common';

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

/** Signals between the workflows of a pipeline; nobody else sends them. */
export const OWN_SIGNALS = {
  /** To a lane: tell ingest how far it is. */
  askReached: 'ask-reached',
  /** To ingest: the lane's answer. Argument: all that was sent before was received, in epoch milliseconds. */
  reached: 'reached',
} as const;

/** Updates: they answer when what they ask for is done, and say at once why it can't be. */
export const UPDATES = {
  /** Other settings. Argument: a pipeline's definition. */
  update: 'update',
  /** Ends a stopped workflow for good. Argument: a {@link Removal}, or none. */
  remove: 'remove',
} as const;

export const QUERIES = { status: 'status' } as const;

/** The message attribute that carries an event's key. */
export const KEY_ATTRIBUTE = 'sluice.key';

/** The message attribute of a pack: version, events and bytes (src/queue/pack.ts). */
export const PACK_ATTRIBUTE = 'sluice.pack';

/**
 * Members that Sluice adds to an event, for columns to name: what Kafka knows of a record, and what Sluice knows of any event.
 * A member of such a name that the payload has itself is hidden by it.
 */
export const ADDED_MEMBERS = { kafka: 'kafka', sluice: 'sluice' } as const;

/** The last column of the CSV: the digest of what makes the row itself. It is nobody else's, in capitals neither. */
export const KEY_COLUMN = '_key';

/** The queue tag that names the lane which alone may read the queue. */
export const OWNER_TAG = 'sluice:owner';

/** The metadata (`x-amz-meta-…`) of an object of rows, by what it states. */
export const OBJECT_METADATA = {
  digest: 'sluice-digest',
  sha256: 'sluice-sha256',
  rows: 'sluice-rows',
  columns: 'sluice-columns',
  version: 'sluice-version',
  place: 'sluice-place',
} as const;

/** Search attributes, as `sluice provision` registers them. Workflows run without where that was refused. */
export const SEARCH_ATTRIBUTES = {
  pipeline: defineSearchAttributeKey('SluicePipeline', 'KEYWORD'),
  activity: defineSearchAttributeKey('SluiceActivity', 'KEYWORD'),
  problem: defineSearchAttributeKey('SluiceProblem', 'KEYWORD'),
} as const;

/** What a workflow's memo tells without a worker. */
export interface PipelineMemo {
  pipeline: string;
  queue: string;
  /** Workflow id: it follows from the queue, but the queue may be gone. */
  lane: string;
}

/** How a workflow is removed. JSON. */
export interface Removal {
  /** Of a lane: also where it holds rows, or could not drain its queue. Default: not then. */
  abandon?: boolean;
}

/** @returns the id of the workflow that supervises a pipeline's source */
export function ingestWorkflowId(pipeline: string): string {
  return `sluice-ingest/${pipeline}`;
}

const LANE_IDS = 'sluice-batch/';

/** Whether a workflow is a lane that `sluice start` named: see {@link batchWorkflowId}. */
export function isLaneId(workflowId: string): boolean {
  return workflowId.startsWith(LANE_IDS);
}

/**
 * A lane's id follows from its queue, so that two lanes on one queue can't run in one namespace.
 *
 * @param queueArn `arn:aws:sqs:REGION:ACCOUNT:NAME`
 */
export function batchWorkflowId(queueArn: string): string {
  const [, , , region, account, name] = queueArn.split(':');
  return `${LANE_IDS}${account}/${region}/${name}`;
}
