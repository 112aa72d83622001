import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { Context } from '../cli/context';
import { provision } from '../cli/provision';
import { start } from '../cli/start';
import { readStatus } from '../cli/status';
import { stop } from '../cli/stop';
import { loadPipeline } from '../config';
import { awsClients } from '../workers/clients';
import { createWorker } from '../workers/workers';
import { auditLake, formatAudit } from './audit';
import { type SimulatedStream, startSimulatedStream } from './simulated-stream';
import { StackError } from './stack-error';
import { type Stack, startStack } from './stack';

const EVENTS = 1_003;
const BROKEN = 3;

/** Less than Wikimedia's 30 to 55: moto searches its whole queue for every message it sends or receives. */
const RATE_PER_SECOND = 20;

/** After this, in milliseconds, the demo stops waiting and counts what is there. */
const PATIENCE_MS = 5 * 60_000;

/** What was started, the newest last: all of it is ended in the opposite order, however the demo ends. */
const started: (() => Promise<unknown>)[] = [];

/** Requests to SQS for events: sends, receives, deletions. */
let requests = 0;

async function demo({ keep }: { keep: boolean }): Promise<boolean> {
  console.log('Starting Temporal, moto and a simulated Wikimedia EventStreams …');
  const stack = await startStack({ log: console.log });
  started.push(() => stack.stop());
  const stream = await startSimulatedStream({
    seed: 7,
    events: EVENTS,
    broken: BROKEN,
    ratePerSecond: RATE_PER_SECOND,
    refusals: [
      { request: 2, status: 429, retryAfterSeconds: 1 },
      { request: 4, status: 503 },
    ],
    retryMilliseconds: 500,
  });
  started.push(() => stream.close());
  stream.refuseNextLastEventId();

  const context = await connect(stack, stream);
  await startWorkers(stack);
  await provision(context);
  await start(context);
  console.log(`Temporal's web UI: ${stack.temporal.webUrl}`);

  await showProgress(context);
  await stop(context, { wait: true });
  await showLake(context);
  console.log(`${(requests / EVENTS).toFixed(2)} SQS requests (send, receive, delete) per event`);
  if (keep) console.log(`All stays up until Ctrl-C: ${stack.temporal.webUrl}, moto at ${stack.moto.url}`);

  const { s3, pipeline } = context;
  const audit = await auditLake({
    s3,
    bucket: pipeline.lake.bucket,
    prefix: pipeline.lake.prefix,
    ledger: stream.ledger,
  });
  console.log(formatAudit(audit));
  const isWhole = [audit.missing, audit.repeated, audit.unknown, audit.changed].every(
    ({ length }) => length === 0,
  );
  return isWhole && audit.rows === EVENTS - BROKEN && audit.rejected === BROKEN;
}

async function connect(stack: Stack, stream: SimulatedStream): Promise<Context> {
  // What this shell points elsewhere must not reach the demo.
  for (const name of Object.keys(process.env)) if (/^(AWS|TEMPORAL)_/.test(name)) delete process.env[name];
  Object.assign(process.env, stack.environment, { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' });
  const connection = await Connection.connect({ address: stack.temporal.address });
  started.push(() => connection.close());
  const clients = awsClients();
  const pipeline = loadPipeline({
    SLUICE_PIPELINE: 'demo',
    SLUICE_SOURCE_URL: stream.url,
    // moto's counts don't lag, and nobody should wait long for a demo's last poll.
    SLUICE_DRAIN_QUIET: '2s',
    SLUICE_VISIBILITY_TIMEOUT: '20s',
  });
  return { pipeline, temporal: new Client({ connection }), ...clients, say: (line) => console.log(line) };
}

function counted(sqs: SQSClient): SQSClient {
  sqs.middlewareStack.add(
    (next, { commandName = '' }) =>
      (args) => {
        if (/^(SendMessage|ReceiveMessage|DeleteMessage)/.test(commandName)) requests += 1;
        return next(args);
      },
    { step: 'finalizeRequest' },
  );
  return sqs;
}

async function startWorkers(stack: Stack): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const connection = await NativeConnection.connect({ address: stack.temporal.address });
  const { sqs, s3 } = awsClients();
  const environment = { connection, namespace: 'default', clients: { sqs: counted(sqs), s3 } };
  const workers = [await createWorker('ingest', environment), await createWorker('batch', environment)];
  const running = workers.map((worker) => worker.run());
  started.push(async () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(running);
    await connection.close();
  });
}

/** Until every event has its place, or patience ends: the count at the end tells the truth in any case. */
async function showProgress(context: Context): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let shown = '';
  for (;;) {
    const { batch } = await readStatus(context);
    const { rows, batches, repeats } = batch.counts;
    const line = `${rows} rows in ${batches} objects, ${batch.rowsWaiting} waiting, ${repeats} repeats recognised`;
    if (line !== shown) console.log(line);
    shown = line;
    if (rows >= EVENTS - BROKEN || Date.now() > deadline) return;
    await delay(1_000);
  }
}

async function showLake({ s3, pipeline }: Context): Promise<void> {
  const { bucket } = pipeline.lake;
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  console.log(`\nObjects in s3://${bucket}:`);
  for (const { Key, Size } of Contents) console.log(`  ${Key}  ${Size} bytes`);
  const first = Contents.find(({ Key = '' }) => Key.endsWith('.csv'))?.Key;
  if (first !== undefined)
    console.log(`\nThe first lines of ${first}:\n${await firstLines(s3, bucket, first, 4)}\n`);
}

async function firstLines(s3: S3Client, Bucket: string, Key: string, count: number): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  const text = (await Body?.transformToString()) ?? '';
  return text.split('\n', count).join('\n');
}

async function cleanUp(): Promise<void> {
  for (let end = started.pop(); end; end = started.pop()) await end();
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  const interrupted = new Promise<'interrupted'>((resolve) => {
    process.once('SIGINT', () => resolve('interrupted'));
    process.once('SIGTERM', () => resolve('interrupted'));
  });
  try {
    const outcome = await Promise.race([demo(values), interrupted]);
    if (values.keep && outcome !== 'interrupted') await interrupted;
    process.exitCode = outcome === 'interrupted' ? 130 : outcome ? 0 : 1;
  } finally {
    await cleanUp();
  }
}

main()
  .catch((error: unknown) => {
    console.error(error instanceof StackError ? error.message : error);
    process.exitCode = 1;
  })
  // An interrupted demo still waits for something that no longer answers.
  .finally(() => process.exit());
