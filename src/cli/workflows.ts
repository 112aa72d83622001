import {
  QueryNotRegisteredError,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { batchWorkflowId, ingestWorkflowId } from '../pipeline/names';
import type { Context } from './context';
import { CommandError } from './errors';
import { explainingQueue } from './explain';

/** The workflows of a pipeline. */
export interface PipelineHandles {
  ingest: WorkflowHandle;
  batch: WorkflowHandle;
}

/** @throws CommandError when the queue is not there */
export async function pipelineHandles({ pipeline, temporal, queue }: Context): Promise<PipelineHandles> {
  const arn = await explainingQueue(queue, () => queue.arn());
  if (arn === undefined || arn === '') throw new CommandError(`SQS named no ARN for the queue ${queue.name}`);
  return {
    ingest: temporal.workflow.getHandle(ingestWorkflowId(pipeline.name)),
    batch: temporal.workflow.getHandle(batchWorkflowId(arn)),
  };
}

/** For how long a query may wait for a worker, in milliseconds. */
const PATIENCE_MS = 20_000;

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
    throw new CommandError(
      `No worker answers for ${handle.workflowId} (is \`sluice worker\` running?): ${error instanceof Error ? error.message : String(error)}`,
    );
  }
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

/** @returns undefined where no such workflow is running */
export async function describeRunning(
  handle: WorkflowHandle,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    const description = await handle.describe();
    return description.status.name === 'RUNNING' ? description : undefined;
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
