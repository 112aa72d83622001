import assert from 'node:assert/strict';
import { CreateBucketCommand, ListObjectsV2Command, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  ReceiveMessageCommand,
  SQSClient,
  type SQSClientConfig,
} from '@aws-sdk/client-sqs';
import { listRejected, type RejectedList, showRejected } from '../../src/cli/rejected';
import { resendRejected, type ResendOptions } from '../../src/cli/rejected-again';
import { keepRejected, keyOfResent, type Rejected } from '../../src/lake/kept';
import { resentKey } from '../../src/lake/layout';
import { LakeStore } from '../../src/lake/store';
import { type MotoServer, startMotoServer } from '../../local/moto-server';
import { KEY_ATTRIBUTE } from '../../src/pipeline/names';
import type { OutgoingMessage } from '../../src/queue/message';
import { Queue, type QueueAttributes } from '../../src/queue/queue';
import { sqsError } from '../support/fake-queue';
import { MemoryBucket } from '../support/memory-bucket';
import { sha256 } from '../support/sha256';
import { keyOf } from '../support/received';

const EVENT = JSON.stringify({ meta: { id: 'id-1' }, title: 'a\uffff' });
const DIGEST = sha256(EVENT);
const TIME = '2025-01-31T10:00:00.000Z';
const KEY = keyOfResent({ digest: DIGEST, time: TIME });

const facts: Omit<Rejected, 'text' | 'key'> = {
  reason: 'row-too-large',
  detail: 'too large',
  source: 'queue',
  id: 'm-1',
};

const LAKE = { bucket: 'lake', prefix: 'raw', columns: [], escapeFormulas: false };

/** A queue that takes messages or throws. */
class TakingQueue implements Pick<Queue, 'name' | 'attributes' | 'sendOne'> {
  readonly name = 'queue';
  readonly messages: OutgoingMessage[] = [];
  maximumBytes = 1024 * 1024;
  /** Throws what sending fails with. */
  before: () => void = () => {};

  attributes(): Promise<QueueAttributes> {
    const { maximumBytes } = this;
    return Promise.resolve({ arn: undefined, maximumBytes, hasRedrivePolicy: false });
  }

  async sendOne(message: OutgoingMessage): Promise<void> {
    this.before();
    this.messages.push(message);
  }
}

describe('sluice rejected', () => {
  let s3: MemoryBucket;
  let queue: TakingQueue;
  let lines: string[];

  beforeEach(() => {
    s3 = new MemoryBucket();
    queue = new TakingQueue();
    lines = [];
  });

  const context = () => ({
    store: s3.store(LAKE),
    queue,
    say: (line: string) => lines.push(line),
    write: (line: string) => lines.push(line),
  });

  /** Puts a rejected event into the bucket; its time counts in minutes. */
  function reject(text: string, { reason = 'row-too-large', minute = 0, detail = 'too large' } = {}): string {
    const time = new Date(Date.parse(TIME) + minute * 60_000).toISOString();
    const key = `raw/rejected/${sha256(text)}.json`;
    s3.put(key, JSON.stringify({ ...facts, reason, detail, time, text }), Date.parse(time));
    return key;
  }

  const event = (id: string) => JSON.stringify({ meta: { id } });
  const again = (beginning?: string, options: ResendOptions = {}) =>
    resendRejected(context(), beginning, options);
  const keys = () => [...s3.objects.keys()].sort();

  describe('list', () => {
    it('shows events newest first, with what is wrong and how large they are', async () => {
      reject('é', { minute: 1, reason: 'not-json', detail: 'Unexpected token' });
      reject(EVENT, { minute: 2 });
      await listRejected(context());
      assert.deepEqual(lines, [
        `${DIGEST.slice(0, 12)}  2025-01-31T10:02:00.000Z  row-too-large  ${Buffer.byteLength(EVENT)} bytes  too large`,
        `${sha256('é').slice(0, 12)}  2025-01-31T10:01:00.000Z  not-json  2 bytes  Unexpected token`,
      ]);
    });

    it('shows as many as asked for, and says how many there are besides', async () => {
      for (let minute = 0; minute < 10; minute += 1) reject(event(String(minute)), { minute });
      await listRejected(context(), { limit: 2 });
      assert.equal(lines.length, 3);
      assert.match(lines[0] ?? '', /T10:09:/);
      assert.match(lines[1] ?? '', /T10:08:/);
      assert.match(lines[2] ?? '', /8 older ones were not looked at/);
    });

    it('shows those of one reason only when asked to', async () => {
      for (let minute = 0; minute < 20; minute += 1) {
        reject(event(String(minute)), { minute, reason: minute % 5 === 0 ? 'not-json' : 'row-too-large' });
      }
      await listRejected(context(), { reason: 'not-json' });
      assert.equal(lines.length, 4);
      await listRejected(context(), { reason: 'refused-by-sqs' });
      assert.equal(lines.at(-1), 'no rejected events for refused-by-sqs');
    });

    it('shows a detail in one line that can not act on the terminal, and shortened', async () => {
      reject('x', { detail: `\u001b[2J\n${'y'.repeat(100)}` });
      await listRejected(context());
      assert.match(lines[0] ?? '', /\\u001b\[2J\\u000ay{55}…$/);
    });

    it('shows an object that is not what it should be', async () => {
      s3.put(`raw/rejected/${DIGEST}.json`, 'x', Date.parse(TIME));
      await listRejected(context());
      assert.match(lines[0] ?? '', /unreadable/);
    });

    it('says so when there are none', async () => {
      await listRejected(context());
      assert.deepEqual(lines, ['no rejected events']);
    });

    it('says everything but the texts as JSON when asked to', async () => {
      const key = reject(EVENT);
      reject(event('2'), { minute: -1 });
      await listRejected(context(), { json: true, limit: 1 });
      assert.deepEqual(JSON.parse(lines.join('\n')) as RejectedList, {
        rejected: [{ ...facts, digest: DIGEST, key, time: TIME, bytes: Buffer.byteLength(EVENT) }],
        older: 1,
      });
    });

    it('refuses a limit that is none', async () => {
      for (const limit of [0, -1, 1.5, NaN]) {
        await assert.rejects(listRejected(context(), { limit }), {
          name: 'UsageError',
          message: /--limit/,
        });
      }
    });
  });

  describe('show', () => {
    it('shows all that is known, and the whole text as it is', async () => {
      const text = '{"a":\u001b[2J\nx';
      const key = reject(text);
      await showRejected(context(), sha256(text).slice(0, 6), { escape: false });
      assert.deepEqual(lines, [
        `digest     ${sha256(text)}`,
        `object     s3://lake/${key}`,
        `rejected   ${TIME}`,
        'reason     row-too-large',
        'detail     too large',
        'source     queue',
        'id         m-1',
        'bytes      11',
        '',
        text,
      ]);
    });

    it('shows control characters escaped on a terminal', async () => {
      const text = '\u001b[2J\r\u009b1m\u202e\nnext line';
      reject(text);
      await showRejected(context(), sha256(text), { escape: true });
      assert.equal(lines.at(-1), '\\u001b[2J\\u000d\\u009b1m\\u202e\nnext line');
    });

    it('finds an event that was sent again, too', async () => {
      reject(EVENT);
      await again(DIGEST);
      lines = [];
      await showRejected(context(), DIGEST.toUpperCase(), { escape: false });
      assert.match(lines[1] ?? '', /s3:\/\/lake\/raw\/resent\//);
      assert.match(lines[3] ?? '', /^sent again \d{4}-/);
    });

    it('says so when no digest begins so, or more than one', async () => {
      const texts = Array.from({ length: 17 }, (_, n) => event(String(n)));
      for (const text of texts) reject(text);
      const digits = texts.map((text) => sha256(text)[0] ?? '');
      const shared =
        digits.find((digit, index) => digits.indexOf(digit) < index) ?? assert.fail('17 digits of 16');
      await assert.rejects(showRejected(context(), shared), {
        name: 'CommandError',
        message: /digests begin with .: .*, .*Give more digits/,
      });
      for (const wrong of ['ffffffffff', '', 'xyz', '../canaries/']) {
        await assert.rejects(showRejected(context(), wrong), {
          name: 'CommandError',
          message: /sluice rejected list/,
        });
      }
    });
  });

  describe('again', () => {
    it('sends the event under a key of its own, and keeps it under resent/', async () => {
      const body = s3.text(reject(EVENT));
      assert.equal(await again(DIGEST.slice(0, 8)), true);
      assert.deepEqual(lines, [`${DIGEST.slice(0, 12)}: sent again`]);
      assert.deepEqual(
        queue.messages.map(({ body }) => body),
        [EVENT.replace('\uffff', '\\uffff')],
      );
      assert.deepEqual(queue.messages.map(keyOf), [KEY]);
      assert.notEqual(KEY, 'id-1');
      const copy = `raw/resent/${DIGEST}-20250131T100000.000Z.json`;
      assert.deepEqual(keys(), [copy]);
      assert.equal(s3.text(copy), body);
    });

    it('sends a record of Kafka with what Kafka knew of it, and two with the same text as two', async () => {
      const record = { topic: 't', partition: 0, offset: 7, from: 7, timestamp: 1, key: 'k' };
      const lake = { bucket: 'lake', prefix: 'raw' };
      const rejected: Rejected = { ...facts, reason: 'message-too-large', key: 'k', text: '{"a": 1.0}' };
      await keepRejected(s3.store(lake), { ...rejected, id: 't/0/7', key: 't/0/7', record });
      await keepRejected(s3.store(lake), {
        ...rejected,
        id: 't/0/8',
        key: 't/0/8',
        record: { ...record, offset: 8, from: 8 },
      });
      await again(undefined, { all: true });
      assert.deepEqual(
        new Set(queue.messages.map(({ body }) => body)),
        new Set([
          `{"a": 1.0,"kafka":${JSON.stringify(record)}}`,
          `{"a": 1.0,"kafka":${JSON.stringify({ ...record, offset: 8, from: 8 })}}`,
        ]),
      );
      assert.equal(new Set(queue.messages.map(keyOf)).size, 2);
    });

    it('makes room for another rejection before it sends', async () => {
      const key = reject(EVENT);
      queue.before = () => assert.ok(!s3.objects.has(key));
      await again(DIGEST);
      assert.deepEqual(
        s3.commands.slice(-2).map((command) => command.split(' ')[0]),
        ['Put', 'Delete'],
      );
    });

    for (const crash of ['Put', 'Delete']) {
      it(`sends it when it is run again after it died before its ${crash}`, async () => {
        reject(EVENT);
        s3.before = (command) => {
          if (command.startsWith(crash)) throw new RangeError('died');
        };
        await assert.rejects(again(DIGEST), { name: 'RangeError' });
        assert.equal(queue.messages.length, 0);
        s3.before = () => {};
        await again(DIGEST);
        assert.equal(queue.messages.length, 1);
        assert.equal(keys().length, 1);
      });
    }

    it('sends it once more under the same key, only when forced, after it died around sending', async () => {
      reject(EVENT);
      await again(DIGEST);
      await assert.rejects(again(DIGEST), {
        name: 'CommandError',
        message: /^[0-9a-f]{12} was not sent: it was sent again at \d{4}-.*--force sends it once more$/,
      });
      assert.equal(queue.messages.length, 1);
      await again(DIGEST, { force: true });
      assert.deepEqual(queue.messages[0], queue.messages[1]);
    });

    it('sends what the lane rejected anew under another key, and keeps each rejection', async () => {
      reject(EVENT);
      await again(DIGEST);
      reject(EVENT, { minute: 1 });
      await again(DIGEST);
      assert.deepEqual(queue.messages.map(keyOf), [
        KEY,
        keyOfResent({ digest: DIGEST, time: '2025-01-31T10:01:00.000Z' }),
      ]);
      assert.equal(keys().length, 2);
      await again(DIGEST, { force: true });
      const sent = queue.messages.map(keyOf);
      assert.equal(sent[2], sent[1], 'the newest rejection counts');
    });

    it('leaves an event that was rejected anew since it was read', async () => {
      const key = reject(EVENT);
      s3.before = (command) => {
        if (command.startsWith('Delete')) reject(EVENT, { minute: 1 });
      };
      await assert.rejects(again(DIGEST), { name: 'CommandError', message: /rejected anew just now/ });
      assert.equal(queue.messages.length, 0);
      assert.ok(s3.objects.has(key));
    });

    it('sends the same message as another one that runs at the same time', async () => {
      reject(EVENT);
      s3.before = (command) => {
        if (command.startsWith('Delete')) s3.objects.delete(`raw/rejected/${DIGEST}.json`);
      };
      await again(DIGEST);
      assert.deepEqual(queue.messages.map(keyOf), [KEY]);
    });

    it('puts it back when the queue refuses it', async () => {
      const key = reject(EVENT);
      const body = s3.text(key);
      queue.before = () => {
        throw sqsError('InvalidMessageContents');
      };
      await assert.rejects(again(DIGEST), {
        name: 'CommandError',
        message: /^The queue queue refused [0-9a-f]{12}, which stays where it was: InvalidMessageContents/,
      });
      assert.deepEqual(keys(), [key]);
      assert.equal(s3.text(key), body);
    });

    it('says that the queue may have it when no answer tells', async () => {
      reject(EVENT);
      queue.before = () => {
        throw sqsError('InternalError', 500);
      };
      await assert.rejects(again(DIGEST), { name: 'CommandError', message: /may have .* or not .*--force/ });
      assert.deepEqual(keys(), [resentKey('raw', { digest: DIGEST, time: TIME })]);
    });

    it('does not move what the queue would not take or the lane reject again', async () => {
      queue.maximumBytes = 200;
      const kept = [reject('{"half'), reject(event('x'.repeat(200)))];
      s3.put(`raw/rejected/${DIGEST}.json`, '{}');
      for (const [digest, says] of [
        [sha256('{"half'), /it would be rejected again: /],
        [sha256(event('x'.repeat(200))), /\d+ bytes, and the queue takes 200 \(MaximumMessageSize\)/],
        [DIGEST, /not the JSON of a rejected event/],
      ] as const) {
        await assert.rejects(again(digest), { name: 'CommandError', message: says });
      }
      assert.deepEqual(keys(), [...kept, `raw/rejected/${DIGEST}.json`].sort());
      assert.deepEqual(queue.messages, []);
    });

    it('sends all of them, and tells which could not be sent', async () => {
      for (let n = 0; n < 20; n += 1) reject(event(String(n)));
      const left = reject('[1]', { reason: 'not-an-object' });
      assert.equal(await again(undefined, { all: true }), false);
      assert.equal(queue.messages.length, 20);
      assert.equal(new Set(queue.messages.map(keyOf)).size, 20);
      assert.deepEqual(
        keys().filter((key) => key.startsWith('raw/rejected')),
        [left],
      );
      assert.deepEqual(lines, [
        `${sha256('[1]').slice(0, 12)}: not sent: it would be rejected again: not a JSON object but an array`,
        'sent again: 20; not sent: 1',
      ]);
    });

    it('sends all of one reason when asked to', async () => {
      reject(EVENT);
      const other = reject('[1]', { reason: 'not-an-object' });
      assert.equal(await again(undefined, { all: true, reason: 'row-too-large' }), true);
      assert.equal(queue.messages.length, 1);
      assert.ok(s3.objects.has(other));
    });

    it('stops at the first one that the queue does not take, since it would move all of them', async () => {
      for (let n = 0; n < 20; n += 1) reject(event(String(n)));
      queue.before = () => {
        throw sqsError('ServiceUnavailable', 503);
      };
      await assert.rejects(again(undefined, { all: true }), { name: 'CommandError' });
      assert.equal(keys().filter((key) => key.startsWith('raw/resent')).length, 1);
    });

    it('wants one digest or all', async () => {
      for (const [beginning, options] of [
        [undefined, {}],
        [DIGEST, { all: true }],
      ] as const) {
        await assert.rejects(again(beginning, options), {
          name: 'UsageError',
          message: /one digest, or give --all/,
        });
      }
    });
  });
});

describe('sluice rejected, against moto', () => {
  let moto: MotoServer;
  let client: SQSClientConfig & S3ClientConfig;
  let sqs: SQSClient;
  let s3: S3Client;
  let url: string;

  before(async () => {
    moto = await startMotoServer();
    client = {
      endpoint: moto.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    };
    sqs = new SQSClient(client);
    s3 = new S3Client({ ...client, forcePathStyle: true });
    await s3.send(new CreateBucketCommand({ Bucket: 'lake' }));
    url = (await sqs.send(new CreateQueueCommand({ QueueName: 'queue' }))).QueueUrl ?? '';
  });

  after(async () => {
    sqs.destroy();
    s3.destroy();
    await moto.stop();
  });

  it('moves an event from rejected/ to resent/ and into the queue', async () => {
    const lines: string[] = [];
    const context = {
      store: new LakeStore(s3, LAKE),
      queue: new Queue(sqs, 'queue'),
      say: (line: string) => lines.push(line),
      write: (line: string) => lines.push(line),
    };
    await keepRejected(context.store, { ...facts, key: EVENT, text: EVENT });
    await listRejected(context);
    assert.match(lines[0] ?? '', new RegExp(`^${DIGEST.slice(0, 12)} .* row-too-large `));
    assert.equal(await resendRejected(context, DIGEST.slice(0, 12)), true);
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'lake' }));
    assert.deepEqual(
      Contents.map(({ Key = '' }) => Key.replace(/-\d{8}T\d{6}\.\d{3}Z/, '-TIME')),
      [`raw/resent/${DIGEST}-TIME.json`],
    );
    await assert.rejects(resendRejected(context, DIGEST), { name: 'CommandError', message: /--force/ });
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: url, MessageAttributeNames: [KEY_ATTRIBUTE] }),
    );
    assert.equal(Messages.length, 1);
    assert.deepEqual(JSON.parse(Messages[0]?.Body ?? ''), JSON.parse(EVENT));
    assert.match(Messages[0]?.MessageAttributes?.[KEY_ATTRIBUTE]?.StringValue ?? '', /^resent:[0-9a-f]{64}$/);
  });

  it('does not delete what was written anew, since the deletion names what was read', async () => {
    const text = JSON.stringify({ meta: { id: 'id-2' } });
    const context = {
      store: new LakeStore(s3, LAKE),
      queue: new Queue(sqs, 'queue'),
      say: () => {},
      write: () => {},
    };
    await keepRejected(context.store, { ...facts, key: text, text });
    // Another one moves it, sends it, and the lane rejects it once more, all between this one's read and its deletion.
    const slow = new S3Client({ ...client, forcePathStyle: true });
    slow.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (commandName === 'PutObjectCommand') {
            await resendRejected(context, sha256(text));
            await keepRejected(context.store, { ...facts, key: text, text });
          }
          return await next(args);
        },
      { step: 'initialize' },
    );
    await assert.rejects(resendRejected({ ...context, store: new LakeStore(slow, LAKE) }, sha256(text)), {
      message: /rejected anew/,
    });
    slow.destroy();
    await showRejected(context, sha256(text), { escape: false });
  });

  it('says what to do without the queue', async () => {
    const context = { store: new LakeStore(s3, LAKE), queue: new Queue(sqs, 'no-such-queue'), say: () => {} };
    await assert.rejects(resendRejected(context, DIGEST, { force: true }), {
      name: 'CommandError',
      message: /^There is no queue no-such-queue: run `sluice provision`/,
    });
  });
});
