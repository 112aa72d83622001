import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { BatchClients } from '../src/activities';
import type { Lake } from '../src/pipeline/definition';
import type { QueueMessage } from '../src/queue/message';
import { eventTexts } from './queue';

/** Of real SQS: some 400 characters. */
const RECEIPT_CHARACTERS = 400;

/** Bodies that come round again, each time with another key: making events would cost what is to be measured. */
const BODIES = 1_000;

/** Old enough that the lane sees a backlog. */
const AGE_MS = 60_000;

const REPORT_EVERY_MS = 50;

const RETENTION_SECONDS = 14 * 24 * 60 * 60;

/**
 * The batch Worker of a build with an SQS and an S3 that answer at once: workflow, activities and Temporal are what is left. Prints
 * the number of messages that were deleted, again and again.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { built: { type: 'string' }, temporal: { type: 'string' }, events: { type: 'string' } },
  });
  const { built = '', temporal = '', events = '0' } = values;
  Runtime.install({
    logger: new DefaultLogger('WARN'),
    shutdownSignals: ['SIGTERM'],
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  });
  const { createWorker } = require(
    join(built, 'src/workers/workers.js'),
  ) as typeof import('../src/workers/workers');
  const { createBatchActivities } = require(
    join(built, 'src/activities'),
  ) as typeof import('../src/activities');
  const stub = stubs(Number(events));
  const worker = await createWorker('batch', {
    connection: await NativeConnection.connect({ address: temporal }),
    namespace: 'default',
    activities: createBatchActivities(stub.clients),
  });
  const report = setInterval(() => console.log(stub.deleted()), REPORT_EVERY_MS);
  await worker.run();
  clearInterval(report);
  process.exit();
}

/** That of this machine. */
const clock = { now: () => Date.now(), takeProblem: () => undefined };

/** A queue and a bucket that answer at once. */
function stubs(events: number): { clients: BatchClients; deleted: () => number } {
  const bodies = [...eventTexts(BODIES, 0)].map(({ text }) => text);
  let [sent, deleted] = [0, 0];

  const receive = async ({ most }: { most: number }): Promise<QueueMessage[]> => {
    if (sent >= events) await delay(1_000);
    return Array.from({ length: Math.min(most, events - sent) }, () => {
      sent += 1;
      return {
        id: `00000000-0000-4000-8000-${String(sent).padStart(12, '0')}`,
        receipt: String(sent).padStart(RECEIPT_CHARACTERS, 'x'),
        body: bodies[sent % BODIES] ?? '',
        key: `key-${sent}`,
        sentAt: Date.now() - AGE_MS,
      };
    });
  };

  const queue: ReturnType<BatchClients['queue']> = {
    name: 'lane',
    clock,
    arn: () => Promise.resolve(undefined),
    attributes: () => Promise.resolve({ arn: undefined, maximumBytes: 1024 * 1024, hasRedrivePolicy: false }),
    owner: () => Promise.resolve(undefined),
    claim: () => Promise.resolve(),
    receive,
    release: () => Promise.resolve([]),
    delete: (receipts) => {
      deleted += receipts.length;
      return Promise.resolve(receipts.map(() => ({ ok: true })));
    },
    depth: () =>
      Promise.resolve({ visible: 0, notVisible: 0, delayed: 0, retentionSeconds: RETENTION_SECONDS }),
  };
  const store = (lake: Lake): ReturnType<BatchClients['store']> => ({
    lake,
    clock,
    putIfAbsent: () => Promise.resolve(true),
    replace: () => Promise.resolve(true),
    folders: () => Promise.resolve([]),
    async *list() {},
    read: () => Promise.resolve(undefined),
    metadata: () => Promise.resolve({}),
  });
  return { clients: { queue: () => queue, store }, deleted: () => deleted };
}

// With whoever started it.
process.stdin.on('end', () => process.exit()).resume();
void main();
