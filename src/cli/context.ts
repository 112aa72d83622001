import type { S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { Client, Connection, QueryNotRegisteredError, type WorkflowHandle } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { loadPipeline, type PipelineDefinition } from '../config';
import { batchWorkflowId, ingestWorkflowId } from '../names';
import { queueUrl } from '../queue/queue-url';
import { awsClients } from '../workers/clients';

/** What every command works with. */
export interface Context {
  pipeline: PipelineDefinition;
  temporal: Client;
  sqs: SQSClient;
  s3: S3Client;
  /** Writes one line for a person. */
  say: (line: string) => void;
}

/** An error that is the user's to mend: shown as one sentence, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Opens the connections for one command, and closes them after it. */
export async function withContext<T>(work: (context: Context) => Promise<T>): Promise<T> {
  const pipeline = loadPipeline(process.env);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const connection = await Connection.connect(connectionOptions).catch((error: unknown) => {
    const address = connectionOptions.address ?? 'localhost:7233';
    throw new CommandError(`Temporal does not answer at ${address} (set TEMPORAL_ADDRESS): ${String(error)}`);
  });
  const { sqs, s3 } = awsClients();
  try {
    const temporal = new Client({ connection, namespace });
    return await work({ pipeline, temporal, sqs, s3, say: (line) => console.log(line) });
  } finally {
    sqs.destroy();
    s3.destroy();
    await connection.close();
  }
}

export interface PipelineHandles {
  ingest: WorkflowHandle;
  batch: WorkflowHandle;
}

/** @throws CommandError when the queue is not there */
export async function pipelineHandles({ pipeline, temporal, sqs }: Context): Promise<PipelineHandles> {
  return {
    ingest: temporal.workflow.getHandle(ingestWorkflowId(pipeline.name)),
    batch: temporal.workflow.getHandle(batchWorkflowId(await queueArn(sqs, pipeline.queue.name))),
  };
}

async function queueArn(sqs: SQSClient, name: string): Promise<string> {
  try {
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: await queueUrl(sqs, name), AttributeNames: ['QueueArn'] }),
    );
    if (Attributes?.QueueArn) return Attributes.QueueArn;
  } catch (error) {
    if (error instanceof Error && error.name === 'QueueDoesNotExist') {
      throw new CommandError(`There is no queue ${name}: run \`sluice provision\`, or correct SLUICE_QUEUE`);
    }
    throw error;
  }
  throw new CommandError(`SQS named no ARN for the queue ${name}`);
}

/**
 * Asks a workflow. A query needs a worker.
 *
 * @throws CommandError when none answers
 */
export async function query<T>(handle: WorkflowHandle, name: string): Promise<T> {
  try {
    return await handle.query<T>(name);
  } catch (error) {
    if (error instanceof QueryNotRegisteredError) throw error;
    if (isNotFound(error)) throw new CommandError('The pipeline was never started here: run `sluice start`');
    throw new CommandError(
      `No worker answers for ${handle.workflowId} (is \`npm run worker\` running?): ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowNotFoundError';
}
