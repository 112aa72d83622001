import assert from 'node:assert/strict';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  ListQueueTagsCommand,
  SendMessageBatchCommand,
  SetQueueAttributesCommand,
  SQSClient,
  type SQSClientConfig,
  UntagQueueCommand,
} from '@aws-sdk/client-sqs';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { activityClients, createBatchActivities } from '../../src/activities';
import { HANDED_NOTHING, type Received } from '../../src/lane/received';
import type { Adoption } from '../../src/lake/adoption';
import { batchKey } from '../../src/lake/layout';
import type { ReceiveInput, Replaced } from '../../src/lane/work';
import { KEY_ATTRIBUTE, OWNER_TAG } from '../../src/pipeline/names';
import { keyDigest } from '../../src/event/key';
import { type MotoServer, startMotoServer } from '../../local/moto-server';
import { RECEIVE_TASK, taken } from '../support/receive-task';
import { rejectedIn, rowsIn } from '../support/received';
import { sha256 } from '../support/sha256';
import { withClockAhead } from '../support/wall-clock';

const BUCKET = 'lake-bucket';
const PATHS = ['meta.id', 'title'];

const BATCH = {
  bucket: BUCKET,
  version: 3,
  columns: ['a', 'b'],
  place: { kind: 'meta', at: [] } as const,
  rows: [['1', 'x,"y"']],
};

/** A failure that Temporal does not retry, of this type. */
const hopeless = (type: string) => (error: unknown) =>
  error instanceof ApplicationFailure && error.nonRetryable === true && error.type === type;

const cellsIn = (received: Received) => rowsIn(received).map(({ cells }) => cells);

describe('The activities of a lane, against moto', () => {
  let moto: MotoServer;
  let client: SQSClientConfig & S3ClientConfig;
  let sqs: SQSClient;
  let s3: S3Client;
  let activities: ReturnType<typeof createBatchActivities>;
  let url: string;
  let queue: string;
  let queues = 0;
  /** Of whoever runs the activities. */
  let workflowId: string;

  const run = <T>(activity: () => Promise<T>): Promise<T> =>
    new MockActivityEnvironment(
      { ...RECEIVE_TASK, workflowExecution: { workflowId, runId: 'run' } },
      { logger: new DefaultLogger('ERROR') },
    ).run(activity);

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
    activities = createBatchActivities(activityClients({ sqs, s3 }), { acknowledge: taken });
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  });

  after(async () => {
    sqs.destroy();
    s3.destroy();
    await moto.stop();
  });

  beforeEach(async () => {
    queues += 1;
    queue = `queue-${queues}`;
    workflowId = `sluice-batch/123456789012/us-east-1/${queue}`;
    url = (await sqs.send(new CreateQueueCommand({ QueueName: queue }))).QueueUrl ?? '';
  });

  const event = (id: string, title: string) => JSON.stringify({ meta: { id }, title });

  async function send(bodies: string[], key?: (body: string) => string): Promise<void> {
    for (let at = 0; at < bodies.length; at += 10) {
      const Entries = bodies.slice(at, at + 10).map((MessageBody, index) => ({
        Id: String(index),
        MessageBody,
        ...(key && {
          MessageAttributes: { [KEY_ATTRIBUTE]: { DataType: 'String', StringValue: key(MessageBody) } },
        }),
      }));
      await sqs.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }));
    }
  }

  const receive = (input: Partial<ReceiveInput> = {}) =>
    run(() =>
      activities.receiveMessages({
        queue,
        lake: { bucket: BUCKET, prefix: queue },
        paths: PATHS,
        escapeFormulas: false,
        addedMembers: ['sluice'],
        rows: 100,
        bytes: 256 * 1024,
        waitSeconds: 1,
        collectMs: 500,
        visibilityTimeoutSeconds: 60,
        ...input,
      }),
    );

  /** What lies under rejected/. */
  async function keptEvents() {
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${queue}/rejected/` }),
    );
    return await Promise.all(
      Contents.map(async ({ Key }) => {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
        return JSON.parse((await Body?.transformToString()) ?? '') as {
          text: string;
          reason: string;
          detail: string;
          source: string;
        };
      }),
    );
  }

  describe('a lane of another account or region than this worker', () => {
    it('gets nothing from the queue of that name which the worker finds, and both names are told', async () => {
      await send([event('id-1', 'one')]);
      const works: Record<string, () => Promise<unknown>> = {
        receive: () => receive(),
        delete: () => run(() => activities.deleteMessages({ queue, receipts: [] })),
        measure: () => run(() => activities.measureQueue(queue)),
        claim: () =>
          run(() =>
            activities.claimQueue({
              queue,
              lake: { bucket: BUCKET, prefix: queue },
              owner: { pipeline: 'p', lane: workflowId, run: 'default/run-1' },
            }),
          ),
      };
      workflowId = `sluice-batch/123456789012/eu-west-1/${queue}`;
      for (const [name, work] of Object.entries(works)) {
        await assert.rejects(work(), (error) => {
          assert(hopeless('AnotherQueue')(error), name);
          assert.match(
            String(error),
            /arn:aws:sqs:us-east-1:123456789012:.*sluice-batch\/123456789012\/eu-west-1\//,
          );
          return true;
        });
      }
      workflowId = `sluice-batch/123456789012/us-east-1/${queue}`;
      assert.equal((await run(() => activities.measureQueue(queue))).visible, 1);
    });
  });

  describe('a worker whose clock is off', () => {
    const HOUR = 3_600_000;
    let far: SQSClient;
    let farS3: S3Client;

    beforeEach(() => {
      // Clients of a process that has asked nothing yet.
      far = new SQSClient(client);
      farS3 = new S3Client({ ...client, forcePathStyle: true });
      activities = createBatchActivities(activityClients({ sqs: far, s3: farS3 }), { acknowledge: taken });
    });

    afterEach(() => {
      far.destroy();
      farS3.destroy();
      activities = createBatchActivities(activityClients({ sqs, s3 }), { acknowledge: taken });
    });

    for (const hours of [10, -10]) {
      it(`tells the times of SQS and S3 where it is ${hours} hours ahead`, async () => {
        await send([event('id-1', 'one'), event('id-2', 'two')]);
        const began = Date.now();
        const told = await withClockAhead(hours * HOUR, async () => {
          const { messages, from, until, reached, oldestSentAt, behind } = await receive();
          assert.equal(messages.length, 2);
          assert.equal(behind, false, 'what was sent just now is no backlog');
          const receipts = messages.map(({ receipt }) => receipt);
          const deleted = await run(() => activities.deleteMessages({ queue, receipts }));
          const measured = await run(() => activities.measureQueue(queue));
          const uploaded = await run(() => activities.uploadBatch({ ...BATCH, key: `${queue}/a.csv` }));
          return [from, until, reached, oldestSentAt, deleted.at, measured.at, uploaded.at];
        });
        const ended = Date.now();
        for (const time of told) {
          assert(
            time !== undefined && time > began - 2_000 && time < ended + 2_000,
            `${time} is not between ${began} and ${ended}: ${told.join(', ')}`,
          );
        }
      });
    }
  });

  describe('uploadBatch', () => {
    const batch = BATCH;

    it('writes the CSV once, and is done when the same batch is there already', async () => {
      const key = 'twice/batch-1.csv';
      const first = await run(() => activities.uploadBatch({ ...batch, key }));
      const before = await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
      const second = await run(() => activities.uploadBatch({ ...batch, key }));
      const { Body, LastModified, Metadata } = await s3.send(
        new GetObjectCommand({ Bucket: BUCKET, Key: key }),
      );
      const text = await Body?.transformToString();
      assert.equal(text, 'a,b\n1,"x,""y"""\n');
      assert.equal(first.bytes, Buffer.byteLength(text));
      assert.equal(second.bytes, first.bytes);
      // S3's clock is known to a second.
      assert.ok(first.at <= second.at + 1_000 && second.at <= Date.now() + 1_000);
      assert.deepEqual(LastModified, before.LastModified, 'it was not written again');
      assert.deepEqual(Metadata, {
        'sluice-digest': sha256('[["a","b"],[["1","x,\\"y\\""]]]'),
        'sluice-sha256': sha256(text),
        'sluice-rows': '1',
        'sluice-columns': 'a,b',
        'sluice-version': '3',
        'sluice-place': 'meta',
      });
    });

    it('writes the key of each row into a last column where it is given keys', async () => {
      const key = 'keys/batch-1.csv';
      const keys = ['0123456789abcdef'];
      await run(() => activities.uploadBatch({ ...batch, key, keys }));
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      assert.equal(await Body?.transformToString(), 'a,b,_key\n1,"x,""y""",0123456789abcdef\n');
      await assert.rejects(
        run(() => activities.uploadBatch({ ...batch, key, keys: ['f'.repeat(16)] })),
        hopeless('ObjectDiffers'),
      );
    });

    it('is done where an older version wrote the same batch in other bytes', async () => {
      const key = 'bytes/batch-1.csv';
      await run(() => activities.uploadBatch({ ...batch, key: 'bytes/now.csv' }));
      const { Metadata } = await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'bytes/now.csv' }));
      const before = { ...Metadata, 'sluice-sha256': sha256('"a","b"\n') };
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: '"a","b"\n', Metadata: before }));
      await run(() => activities.uploadBatch({ ...batch, key }));
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      assert.equal(await Body?.transformToString(), '"a","b"\n');
    });

    it('states many columns, and names that are not ASCII, in what S3 takes', async () => {
      const key = 'wide/batch-1.csv';
      const columns = Array.from({ length: 200 }, (_, n) => `spalte-für-größen-${n}-\u0001`);
      const wide = { ...batch, columns, rows: [columns.map(() => '1')], key };
      await run(() => activities.uploadBatch(wide));
      await run(() =>
        activities.uploadBatch({ ...wide, columns: ['größe'], rows: [['1']], key: 'wide/2.csv' }),
      );
      const statedBy = async (Key: string) =>
        (await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }))).Metadata?.['sluice-columns'] ?? '';
      assert.match(await statedBy(key), /^sha256:[0-9a-f]{64}$/);
      assert.equal(await statedBy('wide/2.csv'), 'gr%C3%B6%C3%9Fe');
    });

    it('replaces no object that holds other rows, and says what to do', async () => {
      const key = 'differs/batch-1.csv';
      await run(() => activities.uploadBatch({ ...batch, key }));
      await assert.rejects(
        run(() => activities.uploadBatch({ ...batch, key, rows: [['2', 'other']] })),
        hopeless('ObjectDiffers'),
      );
    });

    it('replaces no object that somebody else wrote', async () => {
      const key = 'foreign/batch-1.csv';
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: 'mine' }));
      await assert.rejects(
        run(() => activities.uploadBatch({ ...batch, key })),
        hopeless('ObjectDiffers'),
      );
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      assert.equal(await Body?.transformToString(), 'mine');
    });

    it('is not retried without its bucket', async () => {
      await assert.rejects(
        run(() => activities.uploadBatch({ ...batch, bucket: 'no-such-bucket', key: 'a.csv' })),
        hopeless('NoSuchBucket'),
      );
    });
  });

  describe('receiveMessages', () => {
    it('brings chosen columns, digests and receipts, and never a payload', async () => {
      await send(
        [event('id-1', 'one'), event('id-2', 'two')],
        (body) => (JSON.parse(body) as { meta: { id: string } }).meta.id,
      );
      const received = await receive();
      assert.deepEqual(cellsIn(received), [
        ['id-1', 'one'],
        ['id-2', 'two'],
      ]);
      assert.deepEqual(
        rowsIn(received).map(({ key }) => key),
        [keyDigest('id-1'), keyDigest('id-2')],
      );
      assert.equal(new Set(received.messages.map(({ receipt }) => receipt)).size, 2);
      for (const { cells, bytes } of rowsIn(received)) assert.equal(bytes, JSON.stringify(cells).length);
      assert.ok(received.until >= received.from);
    });

    it('takes a message that another program put there for itself: two that are equal are two', async () => {
      await send([event('id-7', 'seven'), event('id-7', 'seven')]);
      const received = await receive();
      const keys = rowsIn(received).map(({ key }) => key);
      assert.equal(new Set(keys).size, 2);
      assert.deepEqual(
        keys,
        received.messages.map(({ id }) => keyDigest(`message:${id}`)),
      );
    });

    it('brings the key as a cell, where a column asks for it', async () => {
      await send([event('id-1', 'one')], () => 'key-1');
      const received = await receive({ paths: ['sluice.key', 'title'] });
      assert.deepEqual(cellsIn(received), [['key-1', 'one']]);
    });

    const sns = JSON.stringify({ Type: 'Notification', MessageId: 'm', Message: event('id-1', 'one') });

    it('keeps what has none of the columns whole under rejected/, each one by itself', async () => {
      await send([sns, sns, '{}', event('id-1', 'good')]);
      const received = await receive();
      assert.deepEqual(cellsIn(received), [['id-1', 'good']]);
      assert.deepEqual(
        rejectedIn(received).map(({ reason }) => reason),
        ['no-columns', 'no-columns', 'no-columns'],
      );
      const kept = await keptEvents();
      assert.deepEqual(kept.map(({ text }) => text).sort(), [sns, sns, '{}'].sort());
      assert(kept.some(({ detail }) => detail.includes('its members are Type, MessageId, Message')));
    });

    it('takes a member with null for one that is there, and a name like __proto__ for none', async () => {
      await send(['{"title":null}', '{"other":1}']);
      const received = await receive({ paths: ['title', '__proto__', 'constructor.name'] });
      const [rows, rejected] = [cellsIn(received), rejectedIn(received)];
      assert.deepEqual([rows, rejected.length], [[['', '', '']], 1]);
    });

    it('does not count what Sluice has added, save for a tombstone, which has no payload by nature', async () => {
      const kafka = { topic: 't', partition: 0, offset: 1 };
      const bodies = [
        { kafka },
        { kafka: { ...kafka, offset: 2, tombstone: true } },
        { title: 'x', kafka: { ...kafka, offset: 3 } },
      ];
      await send(bodies.map((body) => JSON.stringify(body)));
      const paths = ['kafka.offset', 'title'];
      const received = await receive({ paths, addedMembers: ['kafka', 'sluice'] });
      const [rows, rejected] = [cellsIn(received), rejectedIn(received)];
      assert.deepEqual(
        new Map(rows.map(([offset = '', title]) => [offset, title])),
        new Map([
          ['2', ''],
          ['3', 'x'],
        ]),
      );
      assert.deepEqual(
        rejected.map(({ reason }) => reason),
        ['no-columns'],
      );
    });

    it('asks for no member of the payload where no column names one', async () => {
      await send(['{"kafka":{"offset":1}}']);
      const received = await receive({ paths: ['kafka.offset'], addedMembers: ['kafka', 'sluice'] });
      assert.deepEqual(cellsIn(received), [['1']]);
    });

    it('brings as many as were asked for, and leaves the others where they are', async () => {
      await send(Array.from({ length: 40 }, (_, n) => event(`id-${n}`, 'x')));
      const first = await receive({ rows: 25, collectMs: 60_000 });
      assert.equal(first.messages.length, 25);
      const second = await receive({ rows: 15, collectMs: 60_000 });
      assert.equal(new Set([...rowsIn(first), ...rowsIn(second)].map(({ key }) => key)).size, 40);
    });

    it('releases at once what would be too many bytes', async () => {
      await send(Array.from({ length: 10 }, (_, n) => event(`id-${n}`, 'x'.repeat(20_000))));
      const first = await receive({ bytes: 100_000 });
      assert.equal(first.messages.length, 4);
      assert.equal(new Set(first.leftInQueue.map(({ id }) => id)).size, 6);
      assert.equal((await run(() => activities.measureQueue(queue))).visible, 6);
    });

    it('tells the beginning of an empty long poll as what it has seen', async () => {
      const before = Date.now();
      const { reached, from, until, messages, behind } = await receive();
      assert.deepEqual([messages, behind], [[], false]);
      assert.equal(reached, from);
      assert.ok(before <= from && from < until);
    });

    it('keeps what can become no row under rejected/, once for each message, and brings the others', async () => {
      const large = event('id-2', 'x'.repeat(70_000));
      await send(['not json', '[1]', large, 'not json', event('id-1', 'good')]);
      const received = await receive();
      assert.deepEqual(cellsIn(received), [['id-1', 'good']]);
      assert.equal(rejectedIn(received).length, 4);
      const kept = await keptEvents();
      assert.deepEqual(kept.map(({ text }) => text).sort(), ['not json', 'not json', '[1]', large].sort());
      assert.ok(kept.every(({ source, reason }) => source === queue && reason !== ''));
    });

    it('keeps what is nested deeper than JSON can be written under rejected/, and brings its neighbours', async () => {
      const levels = 5_000;
      await send([`{"title":${'['.repeat(levels)}${']'.repeat(levels)}}`, event('id-1', 'good')]);
      const received = await receive();
      assert.deepEqual(cellsIn(received), [['id-1', 'good']]);
      assert.deepEqual(
        rejectedIn(received).map(({ reason }) => reason),
        ['nested-too-deep'],
      );
    });

    it('leaves a message that it can not keep in the queue, and brings the others', async () => {
      await send(['not json', event('id-1', 'good')]);
      const received = await receive({
        lake: { bucket: 'no-such-bucket', prefix: '' },
      });
      assert.deepEqual(cellsIn(received), [['id-1', 'good']]);
      assert.deepEqual(rejectedIn(received), []);
      const [left] = received.leftInQueue;
      assert.deepEqual([received.leftInQueue.length, left?.keys.length], [1, 1]);
    });

    it('is not retried without its queue', async () => {
      queue = 'no-such-queue';
      await assert.rejects(receive(), (error) => {
        assert.ok(hopeless('QueueDoesNotExist')(error));
        assert.deepEqual(error instanceof ApplicationFailure && error.details, [HANDED_NOTHING]);
        return true;
      });
    });
  });

  describe('deleteMessages', () => {
    it('deletes more than one request takes, and tells what is left', async () => {
      await send(Array.from({ length: 23 }, (_, n) => event(`id-${n}`, 'x')));
      const { messages } = await receive({ rows: 23, collectMs: 60_000 });
      const receipts = messages.map(({ receipt }) => receipt);
      const { left } = await run(() =>
        activities.deleteMessages({ queue, receipts: [...receipts, 'no receipt'] }),
      );
      assert.deepEqual(left, [receipts.length]);
      const { visible, notVisible } = await run(() => activities.measureQueue(queue));
      assert.deepEqual([visible, notVisible], [0, 0]);
    });
  });

  describe('adoptLake', () => {
    const HOUR_MS = 3_600_000;
    const BEGAN = Date.UTC(2026, 0, 31, 12);
    const digestOf = (n: number) => n.toString(16).padStart(16, '0');
    const lifeOf = (incarnation: string) => ({ lane: 0, incarnation });
    let prefix: string;

    beforeEach(() => {
      prefix = `adopted-${queue}`;
    });

    const upload = (sequence: number, events: number[], { keys = events.map(digestOf), hour = 0 } = {}) => {
      const [firstKeyDigest = ''] = events.map(digestOf);
      const name = { ...lifeOf('1a2b3c4d'), sequence, frozenAt: BEGAN + hour * HOUR_MS, firstKeyDigest };
      const rows = events.map((event) => [`event ${event}`]);
      const place = { kind: 'none' as const, at: [] };
      const input = {
        bucket: BUCKET,
        key: batchKey(prefix, name),
        version: 1,
        columns: ['title'],
        place,
        rows,
      };
      return run(() => activities.uploadBatch({ ...input, ...(keys.length > 0 ? { keys } : {}) }));
    };

    const adopt = (keys: number, incarnation = '9a9a9a9a') =>
      run(() =>
        activities.adoptLake({
          pipeline: 'orders',
          lake: { bucket: BUCKET, prefix },
          life: lifeOf(incarnation),
          keys,
          run: 'default/run-2',
        }),
      );

    async function record(incarnation = '9a9a9a9a') {
      const Key = `${prefix}/_sluice/adoptions/${incarnation}.json`;
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      return JSON.parse((await Body?.transformToString()) ?? '') as Adoption;
    }

    it('reads the keys of the newest rows, and writes down where the lane before ended', async () => {
      await upload(1, [1, 2]);
      await upload(2, [3], { hour: 1 });
      await upload(4, [4, 5], { hour: 1 });
      const { keys, newestHour } = await adopt(4);
      assert.equal(keys, [2, 3, 4, 5].map(digestOf).join(''));
      assert.equal(newestHour, BEGAN + HOUR_MS);
      const { closed, run: by } = await record();
      assert.deepEqual(closed, [{ lane: 0, incarnation: '1a2b3c4d', last: 4, missing: [3] }]);
      assert.equal(by, 'default/run-2');
    });

    it('reads an empty lake', async () => {
      assert.deepEqual(await adopt(4), { keys: '' });
      assert.deepEqual((await record()).closed, []);
    });

    it('tells what came since, when it is done once more, and leaves what it wrote down', async () => {
      await upload(1, [1]);
      await adopt(4);
      await upload(2, [2]);
      assert.equal((await adopt(4)).keys, [1, 2].map(digestOf).join(''));
      assert.equal((await record()).closed[0]?.last, 1);
    });

    it('is not retried where rows do not say what they are', async () => {
      await upload(1, [1], { keys: [] });
      await assert.rejects(adopt(4), hopeless('KeysUnreadable'));
    });

    it('is not retried without its bucket', async () => {
      const input = {
        pipeline: 'orders',
        lake: { bucket: 'no-such', prefix },
        life: lifeOf('9a9a9a9a'),
        keys: 1,
        run: '',
      };
      await assert.rejects(
        run(() => activities.adoptLake(input)),
        hopeless('NoSuchBucket'),
      );
    });
  });

  describe('claimQueue', () => {
    const claim = (name: string, prefix = `of-${queue}`, replaces?: Replaced) => {
      const owner = { pipeline: 'orders', lane: `sluice-batch/${queue}`, run: name };
      return run(() => activities.claimQueue({ queue, lake: { bucket: BUCKET, prefix }, owner, replaces }));
    };

    it('claims a queue and a prefix without an owner, and is content with its own', async () => {
      await claim('default/run-1');
      await claim('default/run-1');
      const { Tags } = await sqs.send(new ListQueueTagsCommand({ QueueUrl: url }));
      assert.equal(Tags?.[OWNER_TAG], 'default/run-1');
      const { Body } = await s3.send(
        new GetObjectCommand({ Bucket: BUCKET, Key: `of-${queue}/_sluice/owner.json` }),
      );
      assert.deepEqual(JSON.parse((await Body?.transformToString()) ?? ''), {
        pipeline: 'orders',
        lane: `sluice-batch/${queue}`,
        run: 'default/run-1',
      });
    });

    it('refuses a prefix that another lane owns, names it, and says what to do', async () => {
      await claim('default/run-1');
      await sqs.send(new UntagQueueCommand({ QueueUrl: url, TagKeys: [OWNER_TAG] }));
      await assert.rejects(claim('default/run-2'), (error) => {
        assert.ok(hopeless('LakeHasAnotherOwner')(error));
        assert.match(
          String(error),
          /s3:\/\/lake-bucket\/of-\S+ belongs to the pipeline orders \(lane \S+, default\/run-1: .*\(SLUICE_PREFIX\) or, if that lane is gone for good, .*sluice start --adopt/,
        );
        return true;
      });
      await claim('default/run-2', `another-of-${queue}`);
    });

    it('is not retried without its bucket', async () => {
      const owner = { pipeline: 'orders', lane: 'lane', run: 'default/run-1' };
      await assert.rejects(
        run(() => activities.claimQueue({ queue, lake: { bucket: 'no-such', prefix: '' }, owner })),
        hopeless('NoSuchBucket'),
      );
    });

    it('refuses a queue that another lane owns, and names it', async () => {
      await claim('default/run-1');
      await assert.rejects(claim('default/run-2'), (error) => {
        assert.ok(hopeless('QueueHasAnotherOwner')(error));
        assert.match(String(error), /default\/run-1/);
        return true;
      });
    });

    it('takes queue and prefix from lanes that are gone, and from no others', async () => {
      await claim('default/run-1');
      const prefix = `of-${queue}`;
      await assert.rejects(
        claim('default/run-2', prefix, { queue: 'default/run-0', lake: 'default/run-1' }),
        hopeless('QueueHasAnotherOwner'),
      );
      await assert.rejects(
        claim('default/run-2', prefix, { queue: 'default/run-1', lake: 'default/run-0' }),
        hopeless('LakeHasAnotherOwner'),
      );
      const replaces = { queue: 'default/run-1', lake: 'default/run-1' };
      await claim('default/run-2', prefix, replaces);
      await claim('default/run-2', prefix, replaces);
      await claim('default/run-2');
      await assert.rejects(claim('default/run-1'), hopeless('QueueHasAnotherOwner'));
      await assert.rejects(claim('default/run-3', prefix, replaces), hopeless('QueueHasAnotherOwner'));
    });

    it('refuses a queue that moves messages to a dead-letter queue', async () => {
      await sqs.send(new CreateQueueCommand({ QueueName: `${queue}-dead` }));
      const RedrivePolicy = JSON.stringify({
        deadLetterTargetArn: `arn:aws:sqs:us-east-1:123456789012:${queue}-dead`,
        maxReceiveCount: 3,
      });
      await sqs.send(new SetQueueAttributesCommand({ QueueUrl: url, Attributes: { RedrivePolicy } }));
      await assert.rejects(claim('default/run-1'), hopeless('QueueHasRedrive'));
    });
  });
});
