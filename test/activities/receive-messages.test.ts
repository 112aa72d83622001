import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { Message, ReceiveMessageCommandInput } from '@aws-sdk/client-sqs';
import { MockActivityEnvironment } from '@temporalio/testing';
import {
  type ReceivedMessages,
  type ReceiveInput,
  receiveMessages,
} from '../../src/activities/receive-messages';

type Clients = Parameters<typeof receiveMessages>[0];

const URL = 'http://127.0.0.1/000000000000/stub';
const OLD_MS = 60_000;

/** A queue that answers at once, as long as it has messages. */
class StubQueue {
  /** What each poll asked for, and what it got. */
  readonly polls: { wanted: number; got: number }[] = [];
  mostPollsAtOnce = 0;
  released = 0;
  /** What a release is answered; throws what it fails with. */
  onRelease: () => object = () => ({});
  #polling = 0;
  readonly #messages: Message[];

  /** @param sentAt epoch milliseconds of each message, in order */
  constructor(sentAt: number[], text = '') {
    this.#messages = sentAt.map((time, index) => ({
      MessageId: `message-${index}`,
      ReceiptHandle: `receipt-${index}`,
      Body: JSON.stringify({ meta: { id: `id-${index}` }, text }),
      Attributes: { SentTimestamp: String(time) },
    }));
  }

  get left(): number {
    return this.#messages.length;
  }

  async receive(input: Partial<ReceiveInput> = {}): Promise<ReceivedMessages> {
    const send = ({ constructor, input: asked }: { constructor: { name: string }; input: object }) =>
      this.#answer(constructor.name, asked as ReceiveMessageCommandInput & { Entries?: object[] });
    const clients = { sqs: { send }, s3: { send } } as unknown as Clients;
    const whole = {
      queue: 'stub',
      lake: { bucket: 'lake', prefix: 'p' },
      paths: ['meta.id', 'text'],
      escapeFormulas: false,
      addedMembers: ['sluice'],
      rows: 100,
      bytes: 256 * 1024,
      waitSeconds: 1,
      collectMs: 60_000,
      visibilityTimeoutSeconds: 60,
      ...input,
    };
    return await new MockActivityEnvironment().run(() => receiveMessages(clients, whole));
  }

  async #answer(name: string, asked: ReceiveMessageCommandInput & { Entries?: object[] }): Promise<object> {
    if (name === 'GetQueueUrlCommand') return { QueueUrl: URL };
    if (name === 'ChangeMessageVisibilityBatchCommand') {
      this.released += asked.Entries?.length ?? 0;
      return this.onRelease();
    }
    if (name !== 'ReceiveMessageCommand') return {};
    this.#polling += 1;
    this.mostPollsAtOnce = Math.max(this.mostPollsAtOnce, this.#polling);
    const wanted = asked.MaxNumberOfMessages ?? 1;
    const Messages = this.#messages.splice(0, wanted);
    this.polls.push({ wanted, got: Messages.length });
    // Polls that are made at once are all under way before one is answered.
    await setImmediate();
    this.#polling -= 1;
    return { Messages };
  }
}

const fullPolls = (count: number) => Array.from({ length: count }, () => ({ wanted: 10, got: 10 }));

const sentLongAgo = (count: number) => Array<number>(count).fill(Date.now() - OLD_MS);

describe('receiveMessages', () => {
  it('brings as many rows as a backlog may have, in full polls', async () => {
    const queue = new StubQueue(sentLongAgo(1_000));
    const { rows, behind } = await queue.receive({ rows: 100, backlogRows: 300 });
    assert.deepEqual([rows.length, queue.left, behind], [300, 700, true]);
    assert.deepEqual(queue.polls, fullPolls(30));
    assert.equal(queue.mostPollsAtOnce, 8);
  });

  it('brings no more than the rows that are wanted where a backlog may have no more', async () => {
    const queue = new StubQueue(sentLongAgo(1_000));
    const { rows, behind } = await queue.receive({ rows: 95 });
    assert.deepEqual([rows.length, queue.left, behind], [95, 905, true]);
  });

  it('ends with the backlog, once it has the rows that are wanted', async () => {
    const queue = new StubQueue(sentLongAgo(130));
    const { rows, behind } = await queue.receive({ rows: 100, backlogRows: 300 });
    assert.deepEqual([rows.length, behind], [130, false]);
  });

  it('receives no more large rows than there is room for', async () => {
    const queue = new StubQueue(sentLongAgo(1_000), 'x'.repeat(2_000));
    const { rows, leftInQueue } = await queue.receive({ rows: 100, backlogRows: 300, bytes: 101_000 });
    assert.deepEqual([leftInQueue, queue.released], [[], 0]);
    assert(rows.length >= 45 && rows.length <= 50, `${rows.length} rows`);
    assert.equal(queue.left, 1_000 - rows.length);
  });

  describe('that releases what is too large together', () => {
    const answers = {
      'all of them': () => ({}),
      'not one of them': () => ({ Failed: [{ Id: '0', Code: 'InternalError', Message: 'again' }] }),
      'nobody knows': () => {
        throw new Error('socket hang up');
      },
    };
    for (const [answer, onRelease] of Object.entries(answers)) {
      const lost = answer === 'all of them' ? 0 : 1;
      it(`counts ${lost} lost polls where SQS released ${answer}`, async () => {
        const queue = new StubQueue(sentLongAgo(10), 'x'.repeat(2_000));
        queue.onRelease = onRelease;
        const { rows, leftInQueue, lostPolls } = await queue.receive({ bytes: 5_000 });
        assert.deepEqual([rows.length, leftInQueue.length, queue.released], [2, 8, 8]);
        assert.equal(lostPolls, lost, 'what stays hidden may be a copy of any key');
      });
    }
  });

  it('polls several times at once where messages come that fast, and calls that no backlog', async () => {
    const now = Date.now();
    const queue = new StubQueue(Array.from({ length: 100 }, (_, index) => now - 1_000 + 10 * index));
    const { rows, behind } = await queue.receive();
    assert.deepEqual([rows.length, behind], [100, false]);
    assert.deepEqual(queue.polls, fullPolls(10));
    assert(queue.mostPollsAtOnce > 1 && queue.mostPollsAtOnce <= 8, `${queue.mostPollsAtOnce} polls at once`);
  });

  it('calls it a backlog where hundreds should be waiting, though none has waited for two seconds', async () => {
    const now = Date.now();
    const queue = new StubQueue(Array.from({ length: 1_000 }, (_, index) => now - 1_000 + index));
    assert.equal((await queue.receive()).behind, true);
  });

  it('polls once at a time where messages come slowly', async () => {
    const now = Date.now();
    const queue = new StubQueue(Array.from({ length: 20 }, (_, index) => now - (index < 10 ? 1_000 : 0)));
    const { rows, behind } = await queue.receive({ collectMs: 2_000 });
    assert.deepEqual([rows.length, behind, queue.mostPollsAtOnce], [20, false, 1]);
  });
});
