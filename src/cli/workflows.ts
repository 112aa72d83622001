import { setTimeout as delay } from 'node:timers/promises';
import {
  type Client,
  QueryNotRegisteredError,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { batchWorkflowId, ingestWorkflowId } from '../pipeline/names';
import { isNoQueue, type Queue } from '../queue/queue';
import type { Context } from './context';
import { CommandError } from './errors';
import { explainingQueue } from './explain';

/** The workflows of a pipeline. */
export interface PipelineHandles {
  ingest: WorkflowHandle;
  batch: WorkflowHandle;
}

/**
 * The lane is named after its queue. Where there is none any more, ingest's memo has the name, for a pipeline that was removed, too.
 *
 * @throws CommandError when neither is there
 */
export async function pipelineHandles({ pipeline, temporal, queue }: Context): Promise<PipelineHandles> {
  const ingest = temporal.workflow.getHandle(ingestWorkflowId(pipeline.name));
  const lane = await laneOf(queue, () => describeLast(ingest));
  return { ingest, batch: temporal.workflow.getHandle(lane) };
}

async function laneOf(
  queue: Pick<Queue, 'name' | 'arn'>,
  ingest: () => Promise<WorkflowExecutionDescription | undefined>,
): Promise<string> {
  try {
    return batchWorkflowId(await arnOf(queue));
  } catch (error) {
    const { lane } = isNoQueue(error) ? ((await ingest())?.memo ?? {}) : {};
    if (typeof lane === 'string') return lane;
    return await explainingQueue(queue, () => Promise.reject(error as Error));
  }
}

async function arnOf(queue: Pick<Queue, 'name' | 'arn'>): Promise<string> {
  const arn = await queue.arn();
  if (arn === undefined || arn === '') throw new CommandError(`SQS named no ARN for the queue ${queue.name}`);
  return arn;
}

/** For how long a query or an update may wait for a worker, in milliseconds. */
const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 50;

/**
 * Asks a workflow. A query needs a worker.
 *
 * @throws CommandError when none answers
 */
export async function query<T>(handle: WorkflowHandle, name: string, patienceMs = PATIENCE_MS): Promise<T> {
  try {
    return await handle.client.withDeadline(Date.now() + patienceMs, () => handle.query<T>(name));
  } catch (error) {
    if (error instanceof QueryNotRegisteredError) throw error;
    if (isNotFound(error)) throw neverStarted();
    throw noAnswer(handle, error instanceof Error ? error.message : String(error));
  }
}

function noAnswer({ workflowId }: WorkflowHandle, why: string): CommandError {
  return new CommandError(`No worker answers for ${workflowId} (is \`sluice worker\` running?): ${why}`);
}

/**
 * A query without a worker waits for a minute and more. What was started with its worker yet to come, as under compose, need not:
 * Temporal knows who polled in the last five minutes.
 */
export async function hasWorker({ workflowService, options }: Client, taskQueue: string): Promise<boolean> {
  const { pollers } = await workflowService.describeTaskQueue({
    namespace: options.namespace,
    taskQueue: { name: taskQueue },
    // TASK_QUEUE_TYPE_WORKFLOW of Temporal's API.
    taskQueueType: 1,
  });
  return pollers.length > 0;
}

/**
 * Tells a workflow something that it need not answer.
 *
 * @throws CommandError when it was never started
 */
export async function signal(handle: WorkflowHandle, name: string): Promise<void> {
  try {
    await handle.signal(name);
  } catch (error) {
    if (isNotFound(error)) throw neverStarted();
    throw error;
  }
}

/**
 * Waits for the result of an update under way. An update needs a worker.
 *
 * @throws CommandError when the workflow refuses it, or none is there
 */
export async function outcomeOf<T>({ workflowId }: WorkflowHandle, update: Promise<T>): Promise<T> {
  try {
    return await update;
  } catch (error) {
    if (isNotFound(error)) throw neverStarted();
    if (error instanceof WorkflowUpdateFailedError) {
      throw new CommandError(`${workflowId}: ${error.cause?.message ?? error.message}`);
    }
    throw error;
  }
}

/** @throws CommandError when a workflow task waits for a worker for too long */
async function untilIdle(handle: WorkflowHandle, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const description = await describeLast(handle);
    if (!description) throw neverStarted();
    if (!description.raw.pendingWorkflowTask) return;
    if (Date.now() > deadline) throw noAnswer(handle, 'a workflow task waits for one');
    await delay(LOOK_EVERY_MS);
  }
}

/**
 * Does an update, and waits for its result. An update needs a worker: so where a workflow task waits for one, none is sent, which would be
 * done whenever one comes.
 *
 * @throws CommandError when the workflow refuses it, or none is there
 */
export async function execute<T>(
  handle: WorkflowHandle,
  name: string,
  argument?: unknown,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  await untilIdle(handle, patienceMs);
  return await outcomeOf(handle, handle.executeUpdate<T, [unknown]>(name, { args: [argument] }));
}

/** @returns undefined where no such workflow is running */
export async function describeRunning(
  handle: WorkflowHandle,
): Promise<WorkflowExecutionDescription | undefined> {
  const description = await describeLast(handle);
  return description?.status.name === 'RUNNING' ? description : undefined;
}

/** @returns undefined where there never was such a workflow, or Temporal has forgotten it; one that has ended is described, too */
export async function describeLast(
  handle: WorkflowHandle,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await handle.describe();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export function neverStarted(): CommandError {
  return new CommandError('The pipeline was never started here, or was removed: run `sluice start`');
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowNotFoundError';
}
