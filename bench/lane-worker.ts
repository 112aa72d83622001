import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { ActivityClients } from '../src/activities';
import { KEY_ATTRIBUTE } from '../src/pipeline/names';
import { eventTexts } from './queue';

/** Of real SQS: some 400 characters. */
const RECEIPT_CHARACTERS = 400;

/** Bodies that come round again, each time with another key: making events would cost what is to be measured. */
const BODIES = 1_000;

/** Old enough that the lane sees a backlog. */
const AGE_MS = 60_000;

const REPORT_EVERY_MS = 50;

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
  const stub = stubs(Number(events));
  const worker = await createWorker('batch', {
    connection: await NativeConnection.connect({ address: temporal }),
    namespace: 'default',
    clients: stub.clients,
  });
  const report = setInterval(() => console.log(stub.deleted()), REPORT_EVERY_MS);
  await worker.run();
  clearInterval(report);
  process.exit();
}

function stubs(events: number): { clients: ActivityClients; deleted: () => number } {
  const bodies = [...eventTexts(BODIES, 0)].map(({ text }) => text);
  let [sent, deleted] = [0, 0];

  const receive = async (most: number) => {
    if (sent >= events) await delay(1_000);
    const Messages = Array.from({ length: Math.min(most, events - sent) }, () => {
      sent += 1;
      return {
        MessageId: `00000000-0000-4000-8000-${String(sent).padStart(12, '0')}`,
        ReceiptHandle: String(sent).padStart(RECEIPT_CHARACTERS, 'x'),
        Body: bodies[sent % BODIES],
        Attributes: { SentTimestamp: String(Date.now() - AGE_MS) },
        MessageAttributes: { [KEY_ATTRIBUTE]: { DataType: 'String', StringValue: `key-${sent}` } },
      };
    });
    return { Messages };
  };

  const answer = async (
    name: string,
    input: { MaxNumberOfMessages?: number; Entries?: { Id: string }[] },
  ) => {
    switch (name) {
      case 'GetQueueUrlCommand':
        return { QueueUrl: 'http://127.0.0.1/000000000000/lane' };
      case 'ReceiveMessageCommand':
        return await receive(input.MaxNumberOfMessages ?? 1);
      case 'DeleteMessageBatchCommand':
        deleted += input.Entries?.length ?? 0;
        return { Successful: input.Entries, Failed: [] };
      default:
        return {};
    }
  };
  const send = ({ constructor, input }: { constructor: { name: string }; input: object }) =>
    answer(constructor.name, input);
  // Whatever a command answers with, the activities read these few fields of it.
  const client = { send } as unknown as ActivityClients['sqs'] & ActivityClients['s3'];
  return { clients: { sqs: client, s3: client }, deleted: () => deleted };
}

// With whoever started it.
process.stdin.on('end', () => process.exit()).resume();
void main();
