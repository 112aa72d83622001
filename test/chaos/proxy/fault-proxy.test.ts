import assert from 'node:assert/strict';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueueTagsCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
  TagQueueCommand,
  UntagQueueCommand,
} from '@aws-sdk/client-sqs';
import { type MotoServer, startMotoServer } from '../../../local/moto-server';
import { eventually } from '../../support/eventually';
import { Gate } from '../../support/gate';
import { LocalServer } from '../../support/local-server';
import { type FaultProxy, type FaultProxyOptions, startFaultProxy } from './fault-proxy';

const BUCKET = 'lake-bucket';
const MIB = 1024 * 1024;

describe('The fault proxy, in front of moto', () => {
  let moto: MotoServer;
  let behind: { sqs: SQSClient; s3: S3Client };
  let proxy: FaultProxy;
  let sqs: SQSClient;
  let s3: S3Client;
  let QueueUrl: string;
  let queues = 0;

  const clientsOf = (endpoint: string) => {
    const options = {
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    };
    return {
      sqs: new SQSClient({ ...options, useQueueUrlAsEndpoint: false }),
      s3: new S3Client({ ...options, forcePathStyle: true }),
    };
  };

  before(async () => {
    moto = await startMotoServer();
    behind = clientsOf(moto.url);
    await behind.s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  });

  after(async () => {
    behind.sqs.destroy();
    behind.s3.destroy();
    await moto.stop();
  });

  beforeEach(async () => {
    queues += 1;
    const created = await behind.sqs.send(new CreateQueueCommand({ QueueName: `queue-${queues}` }));
    QueueUrl = created.QueueUrl ?? '';
  });

  afterEach(async () => {
    sqs.destroy();
    s3.destroy();
    await proxy.close();
    assert.deepEqual(proxy.failures, []);
  });

  async function start(options: Partial<FaultProxyOptions> = {}): Promise<void> {
    proxy = await startFaultProxy({ target: moto.url, seed: 1, countsLagMs: 0, ...options });
    ({ sqs, s3 } = clientsOf(proxy.url));
  }

  const send = async (bodies: string[], client = sqs) =>
    await client.send(
      new SendMessageBatchCommand({
        QueueUrl,
        Entries: bodies.map((MessageBody, index) => ({ Id: String(index), MessageBody })),
      }),
    );

  async function receive(seconds = 30, most = 10, client = sqs): Promise<Message[]> {
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: most,
        VisibilityTimeout: seconds,
        MessageSystemAttributeNames: ['SentTimestamp'],
      }),
    );
    return Messages;
  }

  const remove = async (messages: Message[]) =>
    await sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl,
        Entries: messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
      }),
    );

  const bodiesOf = (messages: Message[]) => messages.map(({ Body = '' }) => Body);

  /** Messages that moto has, hidden ones included. */
  async function left(): Promise<number> {
    const { Attributes } = await behind.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
    );
    const { ApproximateNumberOfMessages: visible, ApproximateNumberOfMessagesNotVisible: hidden } =
      Attributes ?? {};
    return Number(visible) + Number(hidden);
  }

  const put = async (Key: string, more: object = {}) =>
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'hello', IfNoneMatch: '*', ...more }));

  async function textBehind(Key: string): Promise<string | undefined> {
    const { Body } = await behind.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    return await Body?.transformToString();
  }

  const isNamed = (name: RegExp | string, status?: number) => (error: unknown) => {
    assert.ok(error instanceof Error);
    assert.match(error.name, new RegExp(name));
    const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
    if (status !== undefined) assert.equal($metadata?.httpStatusCode, status);
    return true;
  };
  const isReset = (error: unknown) =>
    error instanceof Error && 'code' in error && error.code === 'ECONNRESET';

  describe('without faults', () => {
    beforeEach(async () => await start());

    it('changes nothing about a queue', async () => {
      const { QueueUrl: found } = await sqs.send(new GetQueueUrlCommand({ QueueName: `queue-${queues}` }));
      assert.ok(found?.startsWith(proxy.url), 'a QueueUrl holds the host name of whoever asks');
      await sqs.send(new TagQueueCommand({ QueueUrl, Tags: { owner: 'me', other: 'x' } }));
      await sqs.send(new UntagQueueCommand({ QueueUrl, TagKeys: ['other'] }));
      assert.deepEqual((await sqs.send(new ListQueueTagsCommand({ QueueUrl }))).Tags, { owner: 'me' });
      const { Successful, Failed = [] } = await send(['one', 'zwei €']);
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'three' }));
      assert.deepEqual([Successful?.length, Failed.length], [2, 0]);
      const messages = await receive();
      assert.deepEqual(bodiesOf(messages), ['one', 'zwei €', 'three']);
      const [first, ...others] = messages;
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: first?.ReceiptHandle }));
      assert.equal((await remove(others)).Successful?.length, 2);
      assert.equal(await left(), 0);
      const nobody = `${QueueUrl}-not`;
      await assert.rejects(
        sqs.send(new GetQueueAttributesCommand({ QueueUrl: nobody })),
        isNamed('QueueDoesNotExist', 400),
      );
    });

    it('changes nothing about a bucket', async () => {
      const Key = 'date=2026-01-01/a b.csv';
      await put(Key, { ContentType: 'text/csv', Metadata: { digest: 'd' } });
      await assert.rejects(put(Key), isNamed('PreconditionFailed', 412));
      const { ContentLength, Metadata } = await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
      assert.deepEqual([ContentLength, Metadata], [5, { digest: 'd' }]);
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      assert.equal(await Body?.transformToString(), 'hello');
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'date=' }));
      assert.deepEqual(
        Contents.map(({ Key }) => Key),
        [Key],
      );
      await assert.rejects(
        s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'none' })),
        isNamed('NotFound', 404),
      );
      await assert.rejects(put(Key, { Bucket: 'no-bucket' }), isNamed('NoSuchBucket', 404));
    });

    it('lets a long poll wait, and end when a message comes', async () => {
      const poll = sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }));
      await eventually('the poll is under way', () => proxy.requests.ReceiveMessage === 1);
      await send(['late'], behind.sqs);
      assert.deepEqual(bodiesOf((await poll).Messages ?? []), ['late']);
    });

    it('takes a poll back when its client goes away', async () => {
      const leave = new AbortController();
      const poll = sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }), {
        abortSignal: leave.signal,
      });
      await eventually('the poll is under way', () => proxy.requests.ReceiveMessage === 1);
      leave.abort();
      await assert.rejects(poll, isNamed('AbortError'));
    });

    it('counts requests by operation, and no fault', async () => {
      await send(['one']);
      await receive();
      await put('counted');
      assert.deepEqual(proxy.requests, { SendMessageBatch: 1, ReceiveMessage: 1, PutObject: 1 });
      assert.ok(Object.values(proxy.counts).every((count) => count === 0));
    });
  });

  describe('refuses and resets', () => {
    it('before a request is carried out', async () => {
      await start({ rates: { resetBefore: 1 } });
      await assert.rejects(send(['one']), isReset);
      await assert.rejects(put('reset-before'), isReset);
      assert.equal(await left(), 0);
      await assert.rejects(textBehind('reset-before'), isNamed('NoSuchKey'));
      assert.equal(proxy.counts.resetBefore, 2);
    });

    it('with 500, and nothing was done', async () => {
      await start({ rates: { failedBefore: 1 } });
      await assert.rejects(send(['one']), isNamed('InternalFailure', 500));
      await assert.rejects(put('failed-before'), isNamed('InternalError', 500));
      await assert.rejects(s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'a' })), isNamed('', 500));
      assert.equal(await left(), 0);
      assert.equal(proxy.counts.failedBefore, 3);
    });

    it('with 503', async () => {
      await start({ rates: { unavailable: 1 } });
      await assert.rejects(send(['one']), isNamed('', 503));
      await assert.rejects(put('unavailable'), isNamed('ServiceUnavailable', 503));
      assert.equal(await left(), 0);
      assert.equal(proxy.counts.unavailable, 2);
    });

    it('with throttling, of both kinds in SQS', async () => {
      await start({ rates: { throttled: 1 } });
      const names = new Set<string>();
      for (let n = 0; n < 10; n += 1) {
        await send(['one']).catch((error: unknown) => names.add(error instanceof Error ? error.name : ''));
      }
      assert.deepEqual([...names].sort(), ['RequestThrottled', 'ThrottlingException']);
      await assert.rejects(put('throttled'), isNamed('SlowDown', 503));
      assert.equal(await left(), 0);
    });

    it('with 409 to a conditional PUT', async () => {
      await start({ rates: { conflict: 1 } });
      await assert.rejects(put('conflict'), isNamed('ConditionalRequestConflict', 409));
      await assert.rejects(textBehind('conflict'), isNamed('NoSuchKey'));
      await put('conflict', { IfNoneMatch: undefined });
      assert.equal(proxy.counts.conflict, 1);
    });

    it('a whole service while it is cut off, and not the other', async () => {
      await start();
      const mend = proxy.cut('sqs');
      await assert.rejects(send(['one']), isReset);
      await put('while-sqs-is-cut');
      mend();
      await send(['one']);
      assert.equal(await left(), 1);
    });

    it('deletions alone while they are cut off', async () => {
      await start();
      await send(['one']);
      const mend = proxy.cut('deletions');
      const messages = await receive();
      await assert.rejects(remove(messages), isReset);
      assert.equal(await left(), 1);
      mend();
      await remove(messages);
      assert.equal(await left(), 0);
    });

    it('receives alone, with 400 or 403, and hands out nothing meanwhile', async () => {
      await start();
      await send(['one']);
      const mend = proxy.refuseReceives();
      for (let times = 0; times < 5; times += 1)
        await assert.rejects(receive(), ({ name }: Error) => /Throttl/.test(name));
      mend();
      assert.equal((await receive()).length, 1);
    });
  });

  describe('loses the answer', () => {
    it('to sends, receives, deletions and PUTs that were carried out', async () => {
      await start({ rates: { resetAfter: 1 } });
      await assert.rejects(send(['one']), isReset);
      assert.equal(await left(), 1);
      await assert.rejects(receive(), isReset);
      assert.deepEqual(await receive(30, 10, behind.sqs), [], 'what nobody got is hidden');
      await assert.rejects(put('reset-after'), isReset);
      assert.equal(await textBehind('reset-after'), 'hello');
      await assert.rejects(put('reset-after'), isNamed('PreconditionFailed'));
      assert.equal(proxy.counts.resetAfter, 3);
    });

    it('to a deletion', async () => {
      await start({ seed: 1, rates: { resetAfter: 0.5 } });
      await eventually('a deletion was carried out and its answer lost', async () => {
        await send(['one']).catch(() => {});
        const messages = await receive().catch(() => []);
        if (messages.length === 0) return false;
        const before = await left();
        const isLost = await remove(messages).then(
          () => false,
          (error: unknown) => isReset(error),
        );
        assert.equal(await left(), before - messages.length);
        return isLost;
      });
    });

    it('and says 500 instead', async () => {
      await start({ rates: { failedAfter: 1 } });
      await assert.rejects(send(['one']), isNamed('InternalFailure', 500));
      await assert.rejects(put('failed-after'), isNamed('InternalError', 500));
      assert.equal(await left(), 1);
      assert.equal(await textBehind('failed-after'), 'hello');
    });
  });

  describe('is slow', () => {
    it('until it is healed, which lets everybody go on', async () => {
      await start({ rates: { slow: 1 }, slowestMs: 3_600_000 });
      const sending = send(['one']);
      await eventually('the request waits', () => proxy.counts.slow === 1);
      await proxy.heal();
      assert.equal((await sending).Successful?.length, 1);
      await send(['two']);
      assert.equal(proxy.counts.slow, 1);
    });
  });

  describe('fails single entries', () => {
    it('of a send, and does not send them', async () => {
      await start({ seed: 3, rates: { entryFailed: 0.4, entryThrottled: 0.4 } });
      const bodies = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
      const { Successful = [], Failed = [] } = await send(bodies);
      assert.equal(Successful.length + Failed.length, 10);
      assert.ok(Successful.length > 0);
      assert.equal(new Set(Failed.map(({ Code, SenderFault }) => `${Code} ${SenderFault}`)).size, 2);
      assert.deepEqual(bodiesOf(await receive()), Successful.map(({ Id = '' }) => Id).sort());
      assert.equal(proxy.counts.entryFailed + proxy.counts.entryThrottled, Failed.length);
    });

    it('of a deletion or a change of visibility, all of them if need be', async () => {
      await start({ rates: { entryFailed: 1 } });
      await send(['one', 'two'], behind.sqs);
      const messages = await receive();
      const { Successful = [], Failed = [] } = await remove(messages);
      assert.deepEqual(
        [Successful.length, Failed.map(({ Code }) => Code)],
        [0, ['InternalError', 'InternalError']],
      );
      const released = await sqs.send(
        new ChangeMessageVisibilityBatchCommand({
          QueueUrl,
          Entries: messages.map(({ ReceiptHandle }, n) => ({
            Id: `${n}`,
            ReceiptHandle,
            VisibilityTimeout: 0,
          })),
        }),
      );
      assert.equal(released.Failed?.length, 2);
      assert.deepEqual(await receive(), []);
      assert.equal(await left(), 2);
    });
  });

  describe('delivers', () => {
    it('a message twice: the copy has a receipt of its own, which alone deletes', async () => {
      await start({ rates: { copied: 1 } });
      await send(['one']);
      const [first] = await receive();
      const [copy] = await receive();
      assert.equal(copy?.MessageId, first?.MessageId);
      assert.notEqual(copy?.ReceiptHandle, first?.ReceiptHandle);
      assert.equal(proxy.counts.copied, 1);
      assert.equal((await remove([first ?? {}])).Successful?.length, 1);
      assert.deepEqual([await left(), proxy.counts.supersededReceipt], [1, 1]);
      assert.equal((await remove([copy ?? {}])).Successful?.length, 1);
      assert.equal(await left(), 0);
    });

    it('never more than were asked for', async () => {
      await start({ rates: { copied: 1, revived: 1 } });
      await send(['one', 'two', 'three']);
      await remove(await receive(30, 1));
      await receive(30, 1);
      assert.equal((await receive(30, 1)).length, 1);
      assert.equal((await receive(30, 2)).length, 2);
    });

    it('a message once more after its deletion', async () => {
      await start({ rates: { revived: 1 } });
      await send(['one']);
      const messages = await receive();
      await remove(messages);
      const again = await receive();
      assert.deepEqual(
        again.map(({ MessageId }) => MessageId),
        messages.map(({ MessageId }) => MessageId),
      );
      assert.equal((await remove(again)).Successful?.length, 1);
      assert.deepEqual(await receive(), []);
      assert.equal(proxy.counts.revived, 1);
    });

    it('messages in another order', async () => {
      await start({ rates: { shuffled: 1 } });
      const bodies = ['1', '2', '3', '4', '5', '6'];
      await send(bodies);
      const received = bodiesOf(await receive());
      assert.notDeepEqual(received, bodies);
      assert.deepEqual(received.sort(), bodies);
    });

    it('a message later than younger ones', async () => {
      await start({ rates: { withheld: 1 } });
      await send(['1', '2', '3']);
      const received = bodiesOf(await receive());
      assert.equal(received.length, 2);
      await eventually('the one that stayed behind', async () => {
        received.push(...bodiesOf(await receive()));
        return received.length === 3;
      });
      assert.deepEqual(received.sort(), ['1', '2', '3']);
    });
  });

  describe('as AWS does and moto does not', () => {
    it('answers success to a deletion after the visibility timeout, and keeps the message', async () => {
      await start();
      await send(['one']);
      const [early] = await receive(1);
      await eventually('the message is visible again', async () => {
        const { Attributes } = await sqs.send(
          new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] }),
        );
        return Attributes?.ApproximateNumberOfMessages === '1';
      });
      await eventually('its receipt is stale', async () => {
        const { Successful = [] } = await remove([early ?? {}]);
        assert.equal(Successful.length, 1);
        return proxy.counts.expiredReceipt === 1;
      });
      const [again] = await receive();
      assert.equal(again?.MessageId, early?.MessageId);
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: early?.ReceiptHandle }));
      assert.deepEqual([await left(), proxy.counts.supersededReceipt], [1, 1]);
      await remove([again ?? {}]);
      assert.equal(await left(), 0);
    });

    it('counts a released message as visible again, and deletes it no more', async () => {
      await start();
      await send(['one']);
      const [released] = await receive();
      const { ReceiptHandle } = released ?? {};
      const release = async () =>
        await sqs.send(
          new ChangeMessageVisibilityBatchCommand({
            QueueUrl,
            Entries: [{ Id: '0', ReceiptHandle, VisibilityTimeout: 0 }],
          }),
        );
      assert.equal((await release()).Successful?.length, 1);
      assert.equal((await release()).Failed?.[0]?.Code, 'InvalidParameterValue');
      await remove([released ?? {}]);
      assert.deepEqual([await left(), proxy.counts.expiredReceipt], [1, 1]);
    });

    it('knows the queue’s own visibility timeout', async () => {
      await start();
      await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: '0' } }));
      await send(['one']);
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
      await remove(Messages);
      assert.deepEqual([await left(), proxy.counts.expiredReceipt], [1, 1]);
    });

    it('refuses receipts that it never gave', async () => {
      await start();
      const garbage = { ReceiptHandle: 'garbage' };
      assert.equal((await remove([garbage])).Failed?.[0]?.Code, 'ReceiptHandleIsInvalid');
      await assert.rejects(
        sqs.send(new DeleteMessageCommand({ QueueUrl, ...garbage })),
        isNamed('ReceiptHandleIsInvalid', 400),
      );
      assert.equal(proxy.counts.unknownReceipt, 2);
    });

    it('refuses batches that are malformed', async () => {
      await start();
      await assert.rejects(send([]), isNamed('EmptyBatchRequest', 400));
      await assert.rejects(
        send(Array.from({ length: 11 }, () => 'x')),
        isNamed('TooManyEntriesInBatchRequest', 400),
      );
      const Entries = ['one', 'two'].map((MessageBody) => ({ Id: 'same', MessageBody }));
      await assert.rejects(
        sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries })),
        isNamed('BatchEntryIdsNotDistinct', 400),
      );
      assert.deepEqual([await left(), proxy.counts.malformedBatch], [0, 3]);
    });

    it('counts bytes: a batch in all, and a message by its queue’s limit', async () => {
      await start();
      await assert.rejects(send(['é'.repeat(MIB / 2), 'x']), isNamed('BatchRequestTooLong', 400));
      await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { MaximumMessageSize: '1024' } }));
      const { Successful, Failed } = await send(['é'.repeat(513), 'é'.repeat(512)]);
      assert.deepEqual(
        [Failed?.[0]?.Code, Successful?.map(({ Id }) => Id)],
        ['InvalidParameterValue', ['1']],
      );
      await assert.rejects(
        sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'é'.repeat(513) })),
        isNamed('InvalidParameterValue', 400),
      );
      assert.deepEqual([await left(), proxy.counts.tooLong], [1, 3]);
    });

    it('refuses some characters, sometimes with the whole batch', async () => {
      await start();
      const whole: boolean[] = [];
      for (let n = 0; n < 10; n += 1) {
        const isWhole = await send(['good', 'bad \uFFFF']).then(
          ({ Failed }) => {
            assert.equal(Failed?.[0]?.Code, 'InvalidMessageContents');
            return false;
          },
          (error: unknown) => isNamed('InvalidMessageContents', 400)(error),
        );
        whole.push(isWhole);
      }
      assert.equal(new Set(whole).size, 2);
      assert.equal(await left(), whole.filter((isWhole) => !isWhole).length);
    });

    it('refuses ACLs, unless the bucket takes them', async () => {
      await start();
      await assert.rejects(put('acl', { ACL: 'public-read' }), isNamed('AccessControlListNotSupported', 400));
      assert.equal(proxy.counts.aclRefused, 1);
      await proxy.close();
      await start({ acls: 'taken' });
      await put('acl', { ACL: 'public-read' });
    });

    it('refuses a body that is not the one of its checksum', async () => {
      await start();
      await assert.rejects(put('digest', { ChecksumCRC32: 'AAAAAA==' }), isNamed('BadDigest', 400));
      assert.equal(proxy.counts.badDigest, 1);
      await put('digest');
    });

    it('lets one of many conditional PUTs at once win', async () => {
      await start();
      const puts = await Promise.allSettled(Array.from({ length: 8 }, () => put('race')));
      assert.equal(puts.filter(({ status }) => status === 'fulfilled').length, 1);
    });

    it('answers with old counts of messages', async () => {
      await start({ countsLagMs: 3_000 });
      const count = async () => {
        const { Attributes } = await sqs.send(
          new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
        );
        return Attributes?.ApproximateNumberOfMessages;
      };
      await send(['one', 'two']);
      assert.equal(await count(), '0');
      assert.ok(proxy.counts.lateCounts > 0);
      await eventually('the counts have caught up', async () => (await count()) === '2');
      await send(['three']);
      await proxy.heal();
      assert.equal(await count(), '3');
    });
  });

  describe('shows', () => {
    it('each point at which only the backend knows, and holds the answer back', async () => {
      await start();
      const held = async <T>(
        point: 'sent' | 'received' | 'put' | 'deleted',
        call: () => Promise<T>,
      ): Promise<T> => {
        const gate = new Gate();
        const end = proxy.observe(point, async ({ messageIds }) => {
          assert.equal(messageIds.length, point === 'put' ? 0 : 1);
          await gate.pass();
        });
        let isAnswered = false;
        const answer = call().finally(() => (isAnswered = true));
        await eventually(`${point} is seen`, () => gate.waiting === 1);
        assert.equal(isAnswered, false);
        end();
        gate.open();
        return await answer;
      };
      await held('sent', () => send(['one']));
      const messages = await held('received', () => receive());
      await held('deleted', () => remove(messages));
      assert.equal(await left(), 0);
      await held('put', () => put('seen'));
    });

    it('what a client that was killed meanwhile never learns', async () => {
      await start();
      const leave = new AbortController();
      proxy.observe('put', () => leave.abort());
      const command = new PutObjectCommand({ Bucket: BUCKET, Key: 'killed', Body: 'hello' });
      await assert.rejects(s3.send(command, { abortSignal: leave.signal }), isNamed('AbortError'));
      assert.equal(await textBehind('killed'), 'hello');
    });
  });

  it('stands in front of one server for each service', async () => {
    const store = await LocalServer.start((_, response) => response.end());
    await start({ target: { sqs: moto.url, s3: store.url } });
    await send(['one']);
    await put('elsewhere');
    assert.deepEqual([await left(), store.requests.length], [1, 1]);
    await store.close();
  });

  it('does the same again for the same seed', async () => {
    const fates = async () => {
      await start({ seed: 42, rates: { resetBefore: 0.2, unavailable: 0.2, entryFailed: 0.2 } });
      const seen: string[] = [];
      for (let n = 0; n < 15; n += 1) {
        const fate = await send(['a', 'b', 'c']).then(
          ({ Failed = [] }) => Failed.map(({ Id }) => Id).join(),
          (error: unknown) => (isReset(error) ? 'reset' : 'refused'),
        );
        seen.push(fate);
      }
      return seen;
    };
    const first = await fates();
    await proxy.close();
    assert.deepEqual(await fates(), first);
    assert.ok(new Set(first).size > 3);
  });
});
