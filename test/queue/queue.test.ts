import assert from 'node:assert/strict';
import { isNoQueue, Queue, Queues } from '../../src/queue/queue';
import { type Operations, Refused, sqsClient } from '../support/sqs-client';
import { encodeMessage } from '../../src/queue/message';
import { keyOf } from '../support/received';

const URL = 'http://sqs/1/queue';

/** A client that knows one queue, and what it was asked. */
class StubSqs {
  readonly asked: { operation: string; input: Record<string, unknown> }[] = [];
  readonly client = sqsClient((operation, input) => {
    this.asked.push({ operation, input });
    return this.answer(operation, input);
  });

  constructor(public answer: Operations = () => ({})) {}

  get operations(): string[] {
    return this.asked.map(({ operation }) => operation);
  }

  /** What the last request held. */
  get last(): Record<string, unknown> | undefined {
    return this.asked.at(-1)?.input;
  }
}

/** Whatever the operation, the queue is there. */
const withUrl =
  (answer: Operations): Operations =>
  (operation, input) =>
    operation === 'GetQueueUrl' ? { QueueUrl: URL } : answer(operation, input);

const stub = (answer: Operations = () => ({})) => {
  const sqs = new StubSqs(withUrl(answer));
  return { sqs, queue: new Queue(sqs.client, 'queue') };
};

const messages = ['a', 'b', 'c'].map((text) => encodeMessage({ key: `key of ${text}`, text }));

describe('A queue', () => {
  describe('finds its URL', () => {
    it('once, by its name', async () => {
      const { sqs, queue } = stub();
      await queue.owner();
      await queue.owner();
      assert.deepEqual(sqs.operations, ['GetQueueUrl', 'ListQueueTags', 'ListQueueTags']);
      assert.deepEqual(sqs.asked[0]?.input, { QueueName: 'queue' });
      assert.equal(sqs.last?.['QueueUrl'], URL);
    });

    it('anew with another client, whose host name may differ', async () => {
      const [one, other] = [stub(), stub()];
      await one.queue.owner();
      await other.queue.owner();
      assert.deepEqual(other.sqs.operations, ['GetQueueUrl', 'ListQueueTags']);
    });

    it('anew where there was no queue', async () => {
      const { sqs, queue } = stub();
      sqs.answer = () => {
        throw new Refused('QueueDoesNotExist');
      };
      await assert.rejects(queue.owner(), isNoQueue);
      sqs.answer = withUrl(() => ({}));
      assert.equal(await queue.owner(), undefined);
    });

    it('once for all who ask for the queue of that name', async () => {
      const { sqs } = stub();
      const queues = new Queues(sqs.client);
      for (const name of ['one', 'two', 'one']) await queues.named(name).owner();
      assert.deepEqual(
        sqs.operations.filter((operation) => operation === 'GetQueueUrl'),
        ['GetQueueUrl', 'GetQueueUrl'],
      );
    });
  });

  it('sends messages with their keys beside them, and tells what SQS said of each', async () => {
    const { sqs, queue } = stub(() => ({
      Successful: [{ Id: '2', MessageId: 'm', MD5OfMessageBody: '' }],
      Failed: [{ Id: '0', Code: 'InternalError', Message: 'again', SenderFault: false }],
    }));
    assert.deepEqual(await queue.send(messages), [
      { ok: false, code: 'InternalError', message: 'again' },
      { ok: false, code: '', message: '' },
      { ok: true },
    ]);
    assert.deepEqual(sqs.last, {
      QueueUrl: URL,
      Entries: messages.map((message, index) => ({
        Id: String(index),
        MessageBody: message.body,
        MessageAttributes: { 'sluice.key': { DataType: 'String', StringValue: keyOf(message) } },
      })),
    });
  });

  it('sends one message', async () => {
    const { sqs, queue } = stub(() => ({ MessageId: 'm', MD5OfMessageBody: '' }));
    await queue.sendOne(encodeMessage({ key: 'k', text: '{}' }));
    assert.deepEqual(sqs.last, {
      QueueUrl: URL,
      MessageBody: '{}',
      MessageAttributes: { 'sluice.key': { DataType: 'String', StringValue: 'k' } },
    });
  });

  it('receives messages, and leaves out what nobody could delete', async () => {
    const key = { 'sluice.key': { DataType: 'String', StringValue: 'k' } };
    const { sqs, queue } = stub(() => ({
      Messages: [
        {
          MessageId: 'm-1',
          ReceiptHandle: 'r-1',
          Body: '{}',
          Attributes: { SentTimestamp: '1700000000000' },
          MessageAttributes: key,
        },
        { MessageId: 'm-2', ReceiptHandle: 'r-2', Attributes: { SentTimestamp: 'soon' } },
        { MessageId: 'm-3', Body: '{}' },
      ],
    }));
    assert.deepEqual(await queue.receive({ most: 10, waitSeconds: 20, visibilityTimeoutSeconds: 60 }), [
      { id: 'm-1', receipt: 'r-1', body: '{}', key: 'k', sentAt: 1_700_000_000_000 },
      { id: 'm-2', receipt: 'r-2', body: '' },
    ]);
    assert.deepEqual(sqs.last, {
      QueueUrl: URL,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 20,
      VisibilityTimeout: 60,
      MessageSystemAttributeNames: ['SentTimestamp'],
      MessageAttributeNames: ['sluice.key', 'sluice.pack'],
    });
  });

  it('deletes messages, and tells what SQS said of each', async () => {
    const { sqs, queue } = stub(() => ({
      Successful: [{ Id: '0' }],
      Failed: [{ Id: '1', Code: 'ReceiptHandleIsInvalid', SenderFault: true }],
    }));
    assert.deepEqual(await queue.delete(['r-1', 'r-2']), [
      { ok: true },
      { ok: false, code: 'ReceiptHandleIsInvalid', message: '' },
    ]);
    assert.deepEqual(sqs.last?.['Entries'], [
      { Id: '0', ReceiptHandle: 'r-1' },
      { Id: '1', ReceiptHandle: 'r-2' },
    ]);
  });

  it('releases messages ten at a time, and tells of each request why it did not release all', async () => {
    let requests = 0;
    const { sqs, queue } = stub(() => {
      requests += 1;
      if (requests === 1) return { Failed: [{ Id: '3', Code: 'E', Message: 'why', SenderFault: false }] };
      if (requests === 2) throw new Refused('AccessDenied', 403);
      return { Successful: [], Failed: [] };
    });
    const receipts = Array.from({ length: 23 }, (_, index) => `r-${index}`);
    assert.deepEqual(await queue.release(receipts), ['E: why', 'AccessDenied: AccessDenied, said SQS']);
    const last = [20, 21, 22].map((number, index) => ({
      Id: String(index),
      ReceiptHandle: `r-${number}`,
      VisibilityTimeout: 0,
    }));
    assert.deepEqual(sqs.last?.['Entries'], last);
  });

  it('tells how much is in it', async () => {
    const { queue } = stub(() => ({
      Attributes: {
        ApproximateNumberOfMessages: '3',
        ApproximateNumberOfMessagesNotVisible: '2',
        ApproximateNumberOfMessagesDelayed: '1',
        MessageRetentionPeriod: '1209600',
      },
    }));
    assert.deepEqual(await queue.depth(), {
      visible: 3,
      notVisible: 2,
      delayed: 1,
      retentionSeconds: 1_209_600,
    });
  });

  it('is taken to keep messages for 14 days where it states less than SQS allows: ElasticMQ states 0, and forgets none', async () => {
    for (const MessageRetentionPeriod of ['0', undefined]) {
      const { queue } = stub(() => ({ Attributes: { MessageRetentionPeriod } }));
      assert.equal((await queue.depth()).retentionSeconds, 14 * 24 * 60 * 60);
    }
  });

  it('tells its ARN, which it asks for once, its largest message, whether it moves messages away, and since when it is there', async () => {
    const arn = 'arn:aws:sqs:us-east-1:123456789012:queue';
    const { sqs, queue } = stub(() => ({
      Attributes: {
        QueueArn: arn,
        MaximumMessageSize: '1048576',
        RedrivePolicy: '{}',
        CreatedTimestamp: '1769860800',
      },
    }));
    assert.deepEqual(await queue.attributes(), {
      arn,
      maximumBytes: 1_048_576,
      hasRedrivePolicy: true,
      createdAt: Date.UTC(2026, 0, 31, 12),
    });
    assert.deepEqual([await queue.arn(), await queue.arn()], [arn, arn]);
    assert.deepEqual(sqs.operations, ['GetQueueUrl', 'GetQueueAttributes', 'GetQueueAttributes']);
    sqs.answer = () => ({ Attributes: {} });
    assert.deepEqual(await queue.attributes(), {
      arn: undefined,
      maximumBytes: 256 * 1024,
      hasRedrivePolicy: false,
      createdAt: undefined,
    });
  });

  it('has one owner, by a tag', async () => {
    const { sqs, queue } = stub(() => ({ Tags: { 'sluice:owner': 'default/run', other: 'x' } }));
    assert.equal(await queue.owner(), 'default/run');
    await queue.claim('default/run');
    assert.deepEqual(sqs.last, { QueueUrl: URL, Tags: { 'sluice:owner': 'default/run' } });
    assert.equal(await queue.unclaim('default/run'), undefined);
    assert.deepEqual(sqs.last, { QueueUrl: URL, TagKeys: ['sluice:owner'] });
  });

  for (const [what, owner] of [
    ['another lane', 'default/another'],
    ['a lane that nobody remembers', undefined],
  ] as const) {
    it(`keeps the tag of its owner where ${what} leaves it`, async () => {
      const { sqs, queue } = stub(() => ({ Tags: { 'sluice:owner': 'default/run' } }));
      assert.equal(await queue.unclaim(owner), 'default/run');
      assert.deepEqual(sqs.operations, ['GetQueueUrl', 'ListQueueTags']);
    });
  }

  it('is left as it is where it has no owner', async () => {
    const { sqs, queue } = stub(() => ({}));
    assert.equal(await queue.unclaim('default/run'), undefined);
    assert.deepEqual(sqs.operations, ['GetQueueUrl', 'ListQueueTags']);
  });

  it('is made where it is not there, and keeps messages for so long where it is', async () => {
    const { sqs, queue } = stub();
    assert.equal(await queue.provide(60), 'there');
    assert.deepEqual(sqs.operations, ['GetQueueUrl', 'SetQueueAttributes']);
    assert.deepEqual(sqs.last, { QueueUrl: URL, Attributes: { MessageRetentionPeriod: '60' } });
    const missing = new StubSqs((operation) => {
      if (operation === 'GetQueueUrl') throw new Refused('QueueDoesNotExist');
      return { QueueUrl: URL };
    });
    assert.equal(await new Queue(missing.client, 'queue').provide(60), 'created');
    assert.deepEqual(missing.last, { QueueName: 'queue', Attributes: { MessageRetentionPeriod: '60' } });
  });
});
