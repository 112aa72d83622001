import { setTimeout as delay } from 'node:timers/promises';
import {
  Client,
  Connection,
  QueryNotRegisteredError,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { LakeStore } from '../lake/store';
import { loadPipeline } from '../settings/pipeline';
import { type PipelineDefinition } from '../pipeline/definition';
import { batchWorkflowId, ingestWorkflowId } from '../pipeline/names';
import { dataConverter } from '../clients/payload-codec';
import { Queue } from '../queue/queue';
import { awsClients } from '../clients/aws';
import { temporalConnectConfig } from '../clients/temporal';
import { CommandError, explainingQueue } from './errors';

/** What every command works with. */
export interface Context {
  pipeline: PipelineDefinition;
  temporal: Client;
  /** The pipeline's. */
  queue: Queue;
  /** Where the pipeline writes. */
  store: LakeStore;
  /** Writes one line for a person. */
  say: (line: string) => void;
}

export interface ContextOptions {
  /** Whether the command talks to Temporal. Default: it does. */
  needsTemporal?: boolean;
}

/** Opens the connections for one command, and closes them after it. */
export async function withContext<T>(
  work: (context: Context) => Promise<T>,
  { needsTemporal = true }: ContextOptions = {},
): Promise<T> {
  const pipeline = loadPipeline(process.env);
  const { connectionOptions, namespace = 'default' } = temporalConnectConfig(process.env);
  const connection = Connection.lazy(connectionOptions);
  const { sqs, s3 } = awsClients();
  try {
    if (needsTemporal) await ensureConnected(connection, connectionOptions.address ?? 'localhost:7233');
    const temporal = new Client({ connection, namespace, dataConverter });
    const queue = new Queue(sqs, pipeline.queue.name);
    const store = new LakeStore(s3, pipeline.lake);
    return await work({ pipeline, temporal, queue, store, say: (line) => console.log(line) });
  } finally {
    sqs.destroy();
    s3.destroy();
    await connection.close();
  }
}

async function ensureConnected(connection: Connection, address: string): Promise<void> {
  try {
    await connection.ensureConnected();
  } catch (error) {
    throw new CommandError(`Temporal does not answer at ${address} (set TEMPORAL_ADDRESS): ${String(error)}`);
  }
}

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

/** For how long a workflow may be at work, in milliseconds, before no worker counts as answering. */
const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 50;

/**
 * Asks a workflow. A query needs a worker.
 *
 * @throws CommandError when none answers
 */
export async function query<T>(handle: WorkflowHandle, name: string, patienceMs = PATIENCE_MS): Promise<T> {
  await untilIdle(handle, patienceMs);
  try {
    return await handle.query<T>(name);
  } catch (error) {
    if (error instanceof QueryNotRegisteredError) throw error;
    if (isNotFound(error)) throw neverStarted();
    throw new CommandError(
      `No worker answers for ${handle.workflowId} (is \`npm run worker\` running?): ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/**
 * Waits until no workflow task is pending. Where the worker of a pending one is dead, another worker would answer the query from a
 * copy of the workflow that is ahead of its history; when that worker is then given the task, the copy goes on otherwise
 * than a replay would, and every later task fails as nondeterministic (SDK 1.24.0; found by the chaos runs).
 */
async function untilIdle(handle: WorkflowHandle, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const { raw } = await handle.describe().catch((error: unknown) => {
      throw isNotFound(error) ? neverStarted() : error;
    });
    if (!raw.pendingWorkflowTask) return;
    if (Date.now() > deadline) {
      throw new CommandError(`No worker answers for ${handle.workflowId} (is \`npm run worker\` running?)`);
    }
    await delay(LOOK_EVERY_MS);
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
 * What an update under way comes to. An update needs a worker.
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
