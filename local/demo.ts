import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { PipelineDefinition } from '../src/pipeline/definition';
import type { Context } from '../src/cli/context';
import { readStatus } from '../src/cli/status';
import { stop } from '../src/cli/stop';
import { loadPipeline } from '../src/settings/pipeline';
import { loadWorkerSettings } from '../src/settings/worker';
import { auditLake, formatAudit } from './audit';
import { progressLine, startEmbeddedPipeline } from './embedded-pipeline';
import { type Endings, INTERRUPTED, runInForeground } from './foreground';
import { StackError } from './stack-error';
import { type Ledger, startSimulatedStream } from './simulated-stream';
import { startSimulatedTopic } from './simulated-topic';

interface DemoOptions {
  source: string;
  keep: boolean;
  endings: Endings;
}

const EVENTS = 1_003;
const BROKEN = 3;

/** Less than Wikimedia's 30 to 55: moto searches its whole queue for every message it sends or receives. */
const RATE_PER_SECOND = 20;

/** After this, in milliseconds, the demo stops waiting and counts what is there. */
const PATIENCE_MS = 5 * 60_000;

/** Where the events come from, and what they are. */
interface Simulation {
  ledger: Ledger;
  settings: Record<string, string>;
}

const SIMULATIONS: Readonly<Record<string, (endings: Endings) => Promise<Simulation>>> = {
  sse: simulateStream,
  kafka: simulateTopic,
};

async function simulateStream(endings: Endings): Promise<Simulation> {
  console.log('Starting Temporal, moto and a simulated Wikimedia EventStreams …');
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
  endings.push(() => stream.close());
  stream.refuseNextLastEventId();
  return { ledger: stream.ledger, settings: { SLUICE_SOURCE_URL: stream.url } };
}

async function simulateTopic(endings: Endings): Promise<Simulation> {
  console.log('Starting Temporal, moto and Apache Kafka …');
  const topic = await startSimulatedTopic({
    seed: 7,
    events: EVENTS,
    broken: BROKEN,
    ratePerSecond: RATE_PER_SECOND,
    log: console.log,
  });
  endings.push(() => topic.close());
  return { ledger: topic.ledger, settings: topic.settings };
}

async function demo({ source, keep, endings }: DemoOptions): Promise<boolean> {
  const simulate = SIMULATIONS[source];
  if (!simulate) throw new StackError(`--source is sse or kafka, and not ${source}.`);
  const { ledger, settings } = await simulate(endings);
  const pipeline = loadPipeline({
    SLUICE_PIPELINE: 'demo',
    ...settings,
    // moto's counts don't lag, and nobody should wait long for a demo's last poll.
    SLUICE_DRAIN_QUIET: '2s',
    SLUICE_VISIBILITY_TIMEOUT: '20s',
  });
  const worker = loadWorkerSettings({ SLUICE_LOG_LEVEL: 'ERROR' });
  const { context, s3, stack, sqsRequests } = await startEmbeddedPipeline({ pipeline, worker, endings });
  console.log(`Temporal's web UI: ${stack.temporal.webUrl}`);

  await showProgress(context);
  await stop(context, { wait: true });
  await showLake(s3, pipeline);
  console.log(`${(sqsRequests() / EVENTS).toFixed(2)} SQS requests (send, receive, delete) per event`);
  if (keep) console.log(`All stays up until Ctrl-C: ${stack.temporal.webUrl}, moto at ${stack.moto.url}`);

  const { bucket, prefix } = pipeline.lake;
  const audit = await auditLake({ s3, bucket, prefix, ledger });
  console.log(formatAudit(audit));
  const isWhole = [audit.missing, audit.repeated, audit.unknown, audit.changed].every(
    ({ length }) => length === 0,
  );
  return isWhole && audit.rows === EVENTS - BROKEN && audit.rejected === BROKEN;
}

/** Until every event has its place, or patience ends: the count at the end tells the truth in any case. */
async function showProgress(context: Context): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let shown = '';
  for (;;) {
    const status = await readStatus(context);
    const line = progressLine(status);
    if (line !== shown) console.log(line);
    shown = line;
    if (status.batch.counts.rows >= EVENTS - BROKEN || Date.now() > deadline) return;
    await delay(1_000);
  }
}

async function showLake(s3: S3Client, pipeline: PipelineDefinition): Promise<void> {
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

/** `npm run demo [-- --source kafka]`: a pipeline on simulated events, and a separate count of what it wrote. */
void runInForeground(async ({ endings, interrupted }) => {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean', default: false }, source: { type: 'string', default: 'sse' } },
  });
  const outcome = await Promise.race([demo({ ...values, endings }), interrupted]);
  if (outcome === 'interrupted') return INTERRUPTED;
  if (values.keep) await interrupted;
  return outcome ? 0 : 1;
});
