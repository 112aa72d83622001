import assert from 'node:assert/strict';
import type { Message, MessageAttributeValue } from '@aws-sdk/client-sqs';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import * as fc from 'fast-check';
import { receiveMessages } from '../../src/activities/receive-messages';
import { ServerClock } from '../../src/clients/server-clock';
import { DEFAULT_COLUMNS, parseColumns } from '../../src/rows/columns';
import { KEY_ATTRIBUTE, PACK_ATTRIBUTE } from '../../src/pipeline/names';
import { messageOf } from '../../src/queue/message';
import { FakeStore, s3Error } from '../support/fake-store';
import { anyText, eventTexts } from './awkward';
import { FUZZ_TIMEOUT_MS, runs } from './runs';
import { pack } from '../../src/queue/pack';
import type { Received } from '../../src/lane/received';
import { RECEIVE_TASK, taken } from '../support/receive-task';
import { rejectedIn, rowsIn } from '../support/received';

const RECEIVES = runs(700);

/** What the lane asks for. */
const MOST_BYTES = 64 * 1024;

/** SQS: ids of at most 100 characters, receipt handles of at most 1,024. */
const LONGEST_ID = 100;
const LONGEST_RECEIPT = 1_024;

/** Of one message beside its rows: id, receipt and a digest for each event, with a few numbers and quotes. */
const BYTES_BESIDE_ROWS = LONGEST_ID + LONGEST_RECEIPT + 200 + 100 * 80;

/** Of the rows of the first message, which is taken whatever its size. */
const MOST_BYTES_OF_FIRST = 256 * 1024;

const MOST_MESSAGES = 10;

const anyAttribute: fc.Arbitrary<MessageAttributeValue | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record({
    DataType: fc.constant('String'),
    StringValue: fc.oneof(anyText, fc.string({ minLength: 1_000 })),
  }),
  fc.record({ DataType: fc.constant('Number.int'), StringValue: fc.integer().map(String) }),
  fc.record({ DataType: fc.constant('Binary.gif'), BinaryValue: fc.uint8Array() }),
  fc.record({ DataType: fc.constantFrom('String', 'Binary', '') }),
  fc.record({ DataType: fc.constant('String'), StringListValues: fc.array(anyText) }),
);

const anyBody = fc.oneof(
  { weight: 6, arbitrary: eventTexts({ levels: 12_000 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 1_000_000 }).map((size) => `{"title":"${'x'.repeat(size)}`),
  },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: 1, max: 100_000 })
      .map((size) => JSON.stringify({ title: '"é'.repeat(size / 4) })),
  },
);

/** What a pack may state, and what not. */
const anyStatement = fc
  .oneof(
    anyText,
    fc.tuple(fc.nat(2), fc.nat(101), fc.nat(2_000_000)).map((numbers) => numbers.join(' ')),
  )
  .map((StringValue) => ({ DataType: 'String', StringValue }));

/** A pack as Sluice would make it, of whatever was published. */
const anyPack: fc.Arbitrary<Partial<Message>> = fc
  .array(fc.record({ key: fc.stringMatching(/^[\x21-\x7e]{1,128}$/), text: eventTexts({ levels: 1_000 }) }), {
    minLength: 1,
    maxLength: 100,
  })
  .map(pack)
  .map(({ body, statement }) => ({
    Body: body,
    MessageAttributes: { [PACK_ATTRIBUTE]: { DataType: 'String', StringValue: statement } },
  }));

/** SQS gives epoch milliseconds; what only resembles it need not. */
const absurdTime = fc.oneof(
  anyText,
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1.5',
    'NaN',
    'Infinity',
    '1e999',
    '9007199254740993',
    '2026-01-31T12:00:00Z',
  ),
);

/** A message that another program sent: SQS alone gives it id, receipt and time. */
const foreignMessage: fc.Arbitrary<Partial<Message>> = fc
  .tuple(
    fc.record({
      Body: fc.option(anyBody, { nil: undefined }),
      MessageAttributes: fc.oneof(
        fc.constant(undefined),
        fc.tuple(anyAttribute, fc.oneof(fc.constant(undefined), anyStatement)).map(([value, pack]) => ({
          ...(value && { [KEY_ATTRIBUTE]: value }),
          ...(pack && { [PACK_ATTRIBUTE]: pack }),
          other: { DataType: 'String' },
        })),
      ),
      MessageId: fc.oneof(
        { weight: 9, arbitrary: fc.uuid() },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
      ReceiptHandle: fc.oneof(
        { weight: 9, arbitrary: fc.base64String({ minLength: 1, maxLength: LONGEST_RECEIPT }) },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
      Attributes: fc.oneof(
        { weight: 6, arbitrary: fc.nat().map((time) => ({ SentTimestamp: String(time) })) },
        { weight: 2, arbitrary: absurdTime.map((time) => ({ SentTimestamp: time })) },
        { weight: 1, arbitrary: fc.constantFrom(undefined, {}) },
      ),
    }),
    fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: anyPack }),
  )
  .map(([message, packed]) => ({ ...message, ...packed }));

/** Hands out some messages once. */
function queueOf(messages: readonly Message[]): Parameters<typeof receiveMessages>[0]['queue'] {
  const left = [...messages];
  return {
    name: 'queue',
    clock: new ServerClock(),
    arn: () => Promise.resolve(undefined),
    receive: ({ most }) => Promise.resolve(left.splice(0, most).flatMap((one) => messageOf(one) ?? [])),
    release: () => Promise.resolve([]),
  };
}

describe('Messages that another program put on the queue', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const activity = new MockActivityEnvironment(RECEIVE_TASK, { logger: new DefaultLogger('ERROR') });

  async function receive(messages: readonly Message[], store = new FakeStore()): Promise<Received> {
    const input = {
      queue: 'queue',
      lake: { bucket: 'lake', prefix: '' },
      paths: parseColumns(DEFAULT_COLUMNS).map(({ path }) => path),
      escapeFormulas: false,
      addedMembers: ['sluice'],
      rows: MOST_MESSAGES,
      bytes: MOST_BYTES,
      waitSeconds: 0,
      collectMs: 0,
      visibilityTimeoutSeconds: 60,
    };
    const clients = { queue: queueOf(messages), store };
    return await activity.run(() => receiveMessages(clients, input, { acknowledge: taken }));
  }

  const some = fc.array(foreignMessage, { maxLength: MOST_MESSAGES - 2 });

  it(`are a row, kept as rejected, or left alone, and cost no neighbour (${RECEIVES.numRuns} receives)`, async () => {
    await fc.assert(
      fc.asyncProperty(some, async (foreign) => {
        const store = new FakeStore();
        const received = await receive([neighbour('first'), ...foreign, neighbour('last')], store);
        assert.equal(received.messages[0]?.id, 'first');
        const outcomes = [...received.messages, ...received.leftInQueue].map(({ id }) => id);
        assert(outcomes.includes('last'));
        const usable = foreign.filter(({ MessageId, ReceiptHandle }) => MessageId && ReceiptHandle);
        assert.equal(outcomes.length, usable.length + 2);
        assert.equal(new Set(outcomes).size, outcomes.length);
        assert(store.objects.size <= rejectedIn(received).length);
      }),
      RECEIVES,
    );
  });

  it(`add a bounded number of bytes to a history, and times that are numbers (${RECEIVES.numRuns} receives)`, async () => {
    await fc.assert(
      fc.asyncProperty(some, async (foreign) => {
        const received = await receive(foreign);
        const bytes = Buffer.byteLength(JSON.stringify(received));
        const mostOfRows = Math.max(MOST_BYTES, MOST_BYTES_OF_FIRST);
        assert(bytes <= mostOfRows + MOST_MESSAGES * BYTES_BESIDE_ROWS, `${bytes} bytes`);
        const { reached = 0, oldestSentAt = 0, from, until } = received;
        const numbers = [reached, oldestSentAt, from, until, ...rowsIn(received).map((row) => row.bytes)];
        assert(
          numbers.every((number) => Number.isSafeInteger(number) && number >= 0),
          String(numbers),
        );
        assert(received.events.every(({ key }) => /^[0-9a-f]{16}$/.test(key)));
      }),
      RECEIVES,
    );
  });

  it(`stay in the queue when S3 takes none, and the others go on (${RECEIVES.numRuns} receives)`, async () => {
    await fc.assert(
      fc.asyncProperty(some, async (foreign) => {
        const store = new FakeStore();
        store.before = () => {
          throw s3Error('AccessDenied', 403);
        };
        const received = await receive([...foreign, neighbour('last')], store);
        assert.deepEqual(rejectedIn(received), []);
        assert([...received.messages, ...received.leftInQueue].some(({ id }) => id === 'last'));
      }),
      RECEIVES,
    );
  });
});

function neighbour(name: string): Message {
  return {
    MessageId: name,
    ReceiptHandle: `${name} receipt`,
    Body: JSON.stringify({ meta: { id: name } }),
    Attributes: { SentTimestamp: '1700000000000' },
    MessageAttributes: { [KEY_ATTRIBUTE]: { DataType: 'String', StringValue: name } },
  };
}
