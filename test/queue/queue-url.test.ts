import assert from 'node:assert/strict';
import { queueUrl } from '../../src/queue/queue-url';
import { FakeSqs, sqsError } from '../support/fake-sqs';

describe("A queue's URL", () => {
  it('is asked for once per client and queue', async () => {
    const sqs = new FakeSqs();
    const urls = [await queueUrl(sqs, 'one'), await queueUrl(sqs, 'two'), await queueUrl(sqs, 'one')];
    assert.deepEqual(urls, ['http://sqs/1/one', 'http://sqs/1/two', 'http://sqs/1/one']);
    assert.deepEqual(sqs.asked, ['GetQueueUrlCommand', 'GetQueueUrlCommand']);
  });

  it('is asked for again by another client, whose host name may differ', async () => {
    const other = new FakeSqs();
    await queueUrl(new FakeSqs(), 'one');
    await queueUrl(other, 'one');
    assert.equal(other.asked.length, 1);
  });

  it('is not remembered when the queue was missing', async () => {
    const sqs = new FakeSqs();
    sqs.openingFails = async () => {
      throw sqsError('QueueDoesNotExist');
    };
    await assert.rejects(queueUrl(sqs, 'one'), { name: 'QueueDoesNotExist' });
    sqs.openingFails = undefined;
    assert.equal(await queueUrl(sqs, 'one'), 'http://sqs/1/one');
  });
});
