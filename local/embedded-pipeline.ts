import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { activityClients, createBatchActivities, createIngestActivities } from '../src/activities';
import type { Context } from '../src/cli/context';
import { provide } from '../src/cli/provision';
import { start } from '../src/cli/start';
import type { PipelineStatus } from '../src/cli/status';
import type { PipelineDefinition } from '../src/pipeline/definition';
import type { WorkerSettings } from '../src/settings/worker';
import { dataConverter } from '../src/clients/payload-codec';
import { kafkaSettings } from '../src/sources/kafka/security';
import { awsClients } from '../src/clients/aws';
import { LakeStore } from '../src/lake/store';
import { Queue } from '../src/queue/queue';
import { installRuntime } from '../src/workers/telemetry';
import { createWorker, type Role, type WorkerEnvironment } from '../src/workers/workers';
import { printableLines } from '../src/printable';
import type { Endings } from './foreground';
import { StackError } from './stack-error';
import { requireAlive, type Stack, type StackOptions, startStack } from './stack';

/** A pipeline that runs: its stack in processes that end with this one, its Workers in this one. */
export interface EmbeddedPipeline {
  /** For the functions behind the commands of `sluice`. */
  context: Context;
  /** Of the stack. */
  s3: S3Client;
  stack: Stack;
  /** Requests to SQS for events so far: sends, receives, deletions. */
  sqsRequests: () => number;
  /** @throws StackError when a server or a Worker ended by itself */
  requireAlive: () => void;
}

export interface EmbeddedPipelineOptions {
  pipeline: PipelineDefinition;
  worker: WorkerSettings;
  stack?: StackOptions;
  /** Gets what ends the pipeline's parts. */
  endings: Endings;
}

/**
 * Starts the embedded stack, makes queue and bucket, and starts both Workers and the pipeline in it. From then on this
 * process's environment points at the stack.
 *
 * @throws StackError when the stack does not start; SettingsError when nothing can listen at the address of the metrics
 */
export async function startEmbeddedPipeline(options: EmbeddedPipelineOptions): Promise<EmbeddedPipeline> {
  const { pipeline, worker, endings } = options;
  const stack = await startStack({ ...options.stack, log: console.log });
  endings.push(() => stack.stop());
  pointAt(stack);
  const connection = await Connection.connect({ address: stack.temporal.address });
  endings.push(() => connection.close());
  const aws = awsClients();
  const context: Context = {
    pipeline,
    temporal: new Client({ connection, dataConverter }),
    store: new LakeStore(aws.s3, pipeline.lake),
    queue: new Queue(aws.sqs, pipeline.queue.name),
    say: (line) => console.log(printableLines(line)),
    write: (lines) => console.log(lines),
  };

  // The Workers end when the command does, and not at a signal.
  await installRuntime(worker, []);
  const { sqs, s3 } = awsClients();
  const sqsRequests = countRequests(sqs);
  const clients = activityClients({ sqs, s3 });
  const activities = {
    ingest: createIngestActivities(clients, { kafka: kafkaSettings(worker.kafka) }),
    batch: createBatchActivities(clients),
  };
  const workers = await startWorkers(stack, activities, endings);
  await provide(context);
  await start(context);
  return {
    context,
    s3,
    stack,
    sqsRequests,
    requireAlive: () => {
      requireAlive(stack);
      if (workers.some((worker) => worker.getState() === 'FAILED')) {
        throw new StackError('A Worker failed: mend what it wrote above, and start again.');
      }
    },
  };
}

/** `1000 rows in 10 objects, 3 waiting, 2 repeats recognised` */
export function progressLine({ batch }: PipelineStatus): string {
  const { rows, batches, repeats } = batch.counts;
  return `${rows} rows in ${batches} objects, ${batch.rowsWaiting} waiting, ${repeats} repeats recognised`;
}

/** What this shell points elsewhere must not reach an embedded pipeline. */
function pointAt(stack: Stack): void {
  for (const name of Object.keys(process.env)) if (/^(AWS|TEMPORAL)_/.test(name)) delete process.env[name];
  Object.assign(process.env, stack.environment);
}

function countRequests(sqs: SQSClient): () => number {
  let requests = 0;
  sqs.middlewareStack.add(
    (next, { commandName = '' }) =>
      (args) => {
        if (/^(SendMessage|ReceiveMessage|DeleteMessage)/.test(commandName)) requests += 1;
        return next(args);
      },
    { step: 'finalizeRequest' },
  );
  return () => requests;
}

async function startWorkers(
  stack: Stack,
  activities: Readonly<Record<Role, WorkerEnvironment['activities']>>,
  endings: Endings,
): Promise<Worker[]> {
  const connection = await NativeConnection.connect({ address: stack.temporal.address });
  const create = (role: Role) =>
    createWorker(role, { connection, namespace: 'default', activities: activities[role] });
  const workers = [await create('ingest'), await create('batch')];
  const running = workers.map((worker) => worker.run());
  endings.push(async () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(running);
    await connection.close();
  });
  return workers;
}
