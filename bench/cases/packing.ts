import {
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { DEFAULT_COLUMNS, parseColumns, projectionOf } from '../../src/rows/columns';
import type { Measurement } from '../plan';
import { createQueue, eventTexts, take } from '../queue';
import type { Figures } from '../results';
import { clientsOf } from '../servers/servers';
import { type BenchContext, withEndings } from './context';

const AT_ONCE = 4;
const ENTRIES = 10;

/** What ElasticMQ takes in one batch; SQS takes 1 MiB since August 2025. */
const BATCH_BYTES = 250 * 1024;

/** SQS bills a request for every 64 KB of payload that it carries (SQS pricing). */
const BILLED_BYTES = 64 * 1024;

/**
 * Sends events to a queue and takes them out as rows, with several events in a message: what the queue and its client cost alone,
 * without Temporal, in this process.
 */
export async function measurePacking(
  { servers, name }: BenchContext,
  { events, packed = 1 }: Measurement,
): Promise<Figures> {
  const { sqs, s3 } = clientsOf(servers.endpoints);
  return await withEndings(async (ending) => {
    ending(async () => (sqs.destroy(), s3.destroy()));
    const queueUrl = await createQueue(sqs, name, ending);
    const tally = { requests: 0, billed: 0, bytes: 0 };
    const bodies = bodiesOf(events, packed);
    const sending = await timed(() => atOnce(() => sendAll(sqs, queueUrl, bodies, tally)));
    const left = { rows: events };
    const taking = await timed(() => atOnce(() => takeAll(sqs, queueUrl, left, tally)));
    return {
      sentPerSecond: events / sending.seconds,
      perSecond: events / taking.seconds,
      sqsRequestsPerEvent: tally.requests / events,
      sqsBilledPerEvent: tally.billed / events,
      sqsBytesPerEvent: tally.bytes / events,
      'cpuMsPerEvent: sending': sending.cpuMs / events,
      'cpuMsPerEvent: receiving': taking.cpuMs / events,
    };
  });
}

interface Tally {
  requests: number;
  billed: number;
  bytes: number;
}

function* bodiesOf(events: number, packed: number): Generator<string> {
  const texts = eventTexts(events, 0);
  for (let some = take(texts, packed); some.length > 0; some = take(texts, packed)) {
    yield `[${some.map(({ text }) => text).join(',')}]`;
  }
}

async function sendAll(
  sqs: SQSClient,
  queueUrl: string,
  bodies: Generator<string>,
  tally: Tally,
): Promise<void> {
  let [batch, bytes]: [string[], number] = [[], 0];
  const send = async () => {
    if (batch.length === 0) return;
    const entries = batch.map((body, index) => ({ Id: String(index), MessageBody: body }));
    count(tally, bytes);
    [batch, bytes] = [[], 0];
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }));
  };
  // Not for…of: the first of several that share the generator would end it for all.
  for (let next = bodies.next(); !next.done; next = bodies.next()) {
    const size = Buffer.byteLength(next.value);
    if (bytes + size > BATCH_BYTES) await send();
    batch.push(next.value);
    bytes += size;
    if (batch.length === ENTRIES) await send();
  }
  await send();
}

async function takeAll(
  sqs: SQSClient,
  queueUrl: string,
  left: { rows: number },
  tally: Tally,
): Promise<void> {
  const rowOf = projectionOf(parseColumns(DEFAULT_COLUMNS));
  while (left.rows > 0) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: ENTRIES, WaitTimeSeconds: 1 }),
    );
    count(
      tally,
      Messages.reduce((sum, { Body = '' }) => sum + Buffer.byteLength(Body), 0),
    );
    if (Messages.length === 0) continue;
    for (const { Body = '[]' } of Messages) {
      const rows = (JSON.parse(Body) as object[]).map(rowOf);
      left.rows -= rows.length;
    }
    count(tally, 0);
    await sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
      }),
    );
  }
}

function count(tally: Tally, bytes: number): void {
  tally.requests += 1;
  tally.billed += Math.max(1, Math.ceil(bytes / BILLED_BYTES));
  tally.bytes += bytes;
}

async function atOnce(work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function timed(work: () => Promise<void>): Promise<{ seconds: number; cpuMs: number }> {
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - began) / 1_000, cpuMs: (user + system) / 1_000 };
}
