import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { ServerClock } from '../../src/clients/server-clock';
import { keyDigest } from '../../src/event/key';
import type { QueueMessage } from '../../src/queue/message';
import { pack } from '../../src/queue/pack';
import type { Queue } from '../../src/queue/queue';
import { FakeStore } from '../support/fake-store';
import type { ReceiveInput } from '../../src/lane/work';
import { receiveMessages } from '../../src/activities/receive-messages';
import { HANDED_NOTHING, type Received } from '../../src/lane/received';
import { sqsError } from '../support/fake-queue';
import { rejectedIn, rowsIn } from '../support/received';
import { RECEIVE_TASK, taken } from '../support/receive-task';

const OLD_MS = 60_000;

/** A queue that answers at once, as long as it has messages. */
class StubQueue implements Pick<Queue, 'name' | 'arn' | 'clock' | 'receive' | 'release'> {
  readonly name = 'stub';
  readonly clock = new ServerClock();
  /** What each poll asked for, and what it got. */
  readonly polls: { wanted: number; got: number }[] = [];
  mostPollsAtOnce = 0;
  released = 0;
  /** What polls fail with, by their number from 0. */
  failures: Record<number, Error> = {};
  /** Why a release did not work. */
  problems: string[] = [];
  #polling = 0;
  readonly #messages: QueueMessage[];

  /** Packs of events that are there at once, each of so many. */
  static ofPacks(sizes: readonly number[], text = '', sentAt = Date.now() - OLD_MS): StubQueue {
    const queue = new StubQueue([]);
    for (const [place, size] of sizes.entries()) {
      const events = Array.from({ length: size }, (_, index) => ({
        key: `payload:${place}-${index}`,
        text: JSON.stringify({ meta: { id: `${place}-${index}` }, text }),
      }));
      const { body, statement } = pack(events);
      queue.add({ id: `pack-${place}`, receipt: `receipt-${place}`, body, pack: statement, sentAt });
    }
    return queue;
  }

  add(message: QueueMessage): void {
    this.#messages.push(message);
  }

  /** @param sentAt epoch milliseconds of each message, in order */
  constructor(sentAt: number[], text = '') {
    this.#messages = sentAt.map((time, index) => ({
      id: `message-${index}`,
      receipt: `receipt-${index}`,
      body: JSON.stringify({ meta: { id: `id-${index}` }, text }),
      sentAt: time,
    }));
  }

  get left(): number {
    return this.#messages.length;
  }

  arn(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async receive({ most }: { most: number }): Promise<QueueMessage[]> {
    const failure = this.failures[this.polls.length];
    if (failure) {
      this.polls.push({ wanted: most, got: 0 });
      throw failure;
    }
    this.#polling += 1;
    this.mostPollsAtOnce = Math.max(this.mostPollsAtOnce, this.#polling);
    const messages = this.#messages.splice(0, most);
    this.polls.push({ wanted: most, got: messages.length });
    // Polls that are made at once are all under way before one is answered.
    await setImmediate();
    this.#polling -= 1;
    return messages;
  }

  release(receipts: readonly string[]): Promise<string[]> {
    this.released += receipts.length;
    return Promise.resolve(this.problems);
  }
}

async function receive(
  queue: StubQueue,
  input: Partial<ReceiveInput> = {},
  acknowledge = taken,
  store = new FakeStore(),
): Promise<Received> {
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
  return await new MockActivityEnvironment(RECEIVE_TASK, { logger: new DefaultLogger('ERROR') }).run(() =>
    receiveMessages({ queue, store }, whole, { acknowledge }),
  );
}

const fullPolls = (count: number) => Array.from({ length: count }, () => ({ wanted: 10, got: 10 }));

const sentLongAgo = (count: number) => Array<number>(count).fill(Date.now() - OLD_MS);

describe('receiveMessages', () => {
  it('brings as many rows as a backlog may have, in full polls', async () => {
    const queue = new StubQueue(sentLongAgo(1_000));
    const { messages, behind } = await receive(queue, { rows: 100, backlogRows: 300 });
    assert.deepEqual([messages.length, queue.left, behind], [300, 700, true]);
    assert.deepEqual(queue.polls, fullPolls(30));
    assert.equal(queue.mostPollsAtOnce, 8);
  });

  it('says of each message when it was sent, of those that it leaves in the queue, too', async () => {
    const { messages } = await receive(new StubQueue([7_000, 5_000, 6_000]));
    assert.deepEqual(
      messages.map(({ sentAt }) => sentAt),
      [7_000, 5_000, 6_000],
    );
    const large = new StubQueue(Array<number>(10).fill(9_000), 'x'.repeat(2_000));
    const { leftInQueue } = await receive(large, { bytes: 5_000 });
    assert.deepEqual(
      leftInQueue.map(({ sentAt }) => sentAt),
      Array<number>(8).fill(9_000),
    );
  });

  it('brings no more than the rows that are wanted where a backlog may have no more', async () => {
    const queue = new StubQueue(sentLongAgo(1_000));
    const { messages, behind } = await receive(queue, { rows: 95 });
    assert.deepEqual([messages.length, queue.left, behind], [95, 905, true]);
  });

  it('ends with the backlog, once it has the rows that are wanted', async () => {
    const queue = new StubQueue(sentLongAgo(130));
    const { messages, behind } = await receive(queue, { rows: 100, backlogRows: 300 });
    assert.deepEqual([messages.length, behind], [130, false]);
  });

  it('receives no more large rows than there is room for', async () => {
    const queue = new StubQueue(sentLongAgo(1_000), 'x'.repeat(2_000));
    const { messages, leftInQueue } = await receive(queue, { rows: 100, backlogRows: 300, bytes: 101_000 });
    assert.deepEqual([leftInQueue, queue.released], [[], 0]);
    assert(messages.length >= 45 && messages.length <= 50, `${messages.length} rows`);
    assert.equal(queue.left, 1_000 - messages.length);
  });

  describe('that releases what is too large together', () => {
    for (const problems of [[], ['InternalError: again']]) {
      const lost = problems.length;
      it(`counts ${lost} lost polls where ${lost} requests did not release all of them`, async () => {
        const queue = new StubQueue(sentLongAgo(10), 'x'.repeat(2_000));
        queue.problems = problems;
        const { messages, leftInQueue, lostPolls } = await receive(queue, { bytes: 5_000 });
        assert.deepEqual([messages.length, leftInQueue.length, queue.released], [2, 8, 8]);
        assert.equal(lostPolls, lost, 'what stays hidden may be a copy of any key');
      });
    }
  });

  describe('where a poll fails', () => {
    const noAnswer = Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
    const failures: [what: string, failure: Error, isRefused: boolean][] = [
      ['SQS throttles', sqsError('RequestThrottled', 403), true],
      ['too many messages are hidden', sqsError('OverLimit', 403), true],
      ['the queue is gone', sqsError('QueueDoesNotExist', 400), true],
      ['SQS fails', sqsError('InternalFailure', 500), false],
      ['SQS throttles as a failure', sqsError('ServiceUnavailable', 503), false],
      ['time runs out', sqsError('RequestTimeout', 408), false],
      ['time runs out, with another status', sqsError('RequestTimeout', 400), false],
      ['no answer comes', noAnswer, false],
      ['the answer can not be read', sqsError('SyntaxError', 200), false],
    ];
    for (const [what, failure, isRefused] of failures) {
      const outcome = isRefused ? 'was handed nothing' : 'may have hidden messages';

      it(`says that it ${outcome} when ${what}`, async () => {
        const queue = new StubQueue(sentLongAgo(100));
        queue.failures = { 0: failure };
        await assert.rejects(receive(queue), (error) => {
          assert(error instanceof ApplicationFailure);
          assert.deepEqual(error.details ?? [], isRefused ? [HANDED_NOTHING] : []);
          assert.equal(error.type, failure.name);
          return true;
        });
      });

      it(`brings what it has, and polls no more, when ${what} later`, async () => {
        const queue = new StubQueue(sentLongAgo(100));
        queue.failures = { 1: failure };
        const { messages, lostPolls, refusedPolls } = await receive(queue);
        assert.deepEqual([lostPolls, refusedPolls], isRefused ? [0, 1] : [1, 0]);
        assert.deepEqual(
          [messages.length, queue.polls.length],
          [20, 3],
          'the third was made together with it',
        );
      });
    }
  });

  it('polls nothing and says so where Temporal takes no heartbeat of it', async () => {
    const queue = new StubQueue(sentLongAgo(100));
    const refused = () => Promise.reject(new Error('NOT_FOUND'));
    await assert.rejects(receive(queue, {}, refused), (error) => {
      assert(error instanceof ApplicationFailure);
      assert.deepEqual([error.type, error.details], ['NotAllowed', [HANDED_NOTHING]]);
      return true;
    });
    assert.deepEqual(queue.polls, []);
  });

  it('polls several times at once where messages come that fast, and calls that no backlog', async () => {
    const now = Date.now();
    const queue = new StubQueue(Array.from({ length: 100 }, (_, index) => now - 1_000 + 10 * index));
    const { messages, behind } = await receive(queue);
    assert.deepEqual([messages.length, behind], [100, false]);
    assert.deepEqual(queue.polls, fullPolls(10));
    assert(queue.mostPollsAtOnce > 1 && queue.mostPollsAtOnce <= 8, `${queue.mostPollsAtOnce} polls at once`);
  });

  it('calls it a backlog where hundreds should be waiting, though none has waited for two seconds', async () => {
    const now = Date.now();
    const queue = new StubQueue(Array.from({ length: 1_000 }, (_, index) => now - 1_000 + index));
    assert.equal((await receive(queue)).behind, true);
  });

  describe('of packs', () => {
    const sizes = (count: number) => Array<number>(count).fill(100);

    it('polls for as many messages as should bring the rows that are wanted', async () => {
      const queue = StubQueue.ofPacks(sizes(20));
      const received = await receive(queue, { rows: 100, backlogRows: 300, messageEvents: 100 });
      assert.deepEqual([received.messages.length, rowsIn(received).length], [3, 300]);
      assert.deepEqual([queue.released, queue.left], [0, 17]);
      assert.deepEqual(
        received.messages.map(({ events }) => events),
        [100, 100, 100],
      );
    });

    it('finds out what messages carry where that is another than before', async () => {
      const plain = new StubQueue(sentLongAgo(200));
      const { messages } = await receive(plain, { rows: 100, messageEvents: 100 });
      assert.deepEqual([messages.length, plain.polls[0]], [100, { wanted: 1, got: 1 }]);
      const packs = StubQueue.ofPacks([1, 100, 100, 100]);
      const received = await receive(packs, { rows: 100, messageEvents: 1, bytes: 1_000_000 });
      assert.deepEqual([rowsIn(received).length, packs.left], [301, 0], 'all that the poll brought is taken');
    });

    it('takes the first whatever its size, and releases those that do not fit beside it', async () => {
      const queue = StubQueue.ofPacks([100, 100], 'x'.repeat(1_000));
      const received = await receive(queue, { rows: 200, messageEvents: 100, bytes: 5_000 });
      assert.deepEqual([rowsIn(received).length, received.leftInQueue.length], [100, 1]);
      assert.equal(received.leftInQueue[0]?.keys.length, 100);
    });

    it('brings the rows of one message as far as they have 256 KiB, and keeps the others as too large', async () => {
      const store = new FakeStore();
      const paths = Array<string>(30).fill('text');
      const queue = StubQueue.ofPacks([100], 'x'.repeat(1_000));
      const received = await receive(queue, { paths, messageEvents: 100 }, taken, store);
      const bytes = rowsIn(received).reduce((sum, row) => sum + row.bytes, 0);
      assert(bytes <= 256 * 1024 && rowsIn(received).length === 8, `${bytes} bytes`);
      assert.equal(rejectedIn(received).length, 92);
      const [kept] = [...store.objects.values()].map((text) => JSON.parse(text) as Record<string, string>);
      assert.equal(kept?.reason, 'row-too-large');
      assert.match(
        String(kept?.detail),
        /^its message has more than 262144 bytes of rows; sent again, it has/,
      );
      assert.equal(store.objects.size, 92);
    });

    it('keeps what of one can become no row, each event by itself', async () => {
      const store = new FakeStore();
      const queue = StubQueue.ofPacks([2]);
      const { body, statement } = pack([
        { key: 'payload:bad', text: '{"half":' },
        { key: 'payload:good', text: '{"text":"good"}' },
      ]);
      queue.add({ id: 'mixed', receipt: 'r', body, pack: statement, sentAt: Date.now() - OLD_MS });
      const received = await receive(queue, { rows: 4 }, taken, store);
      assert.equal(rowsIn(received).length, 3);
      assert.deepEqual(rejectedIn(received), [{ key: keyDigest('payload:bad'), reason: 'not-json' }]);
      assert.equal(store.objects.size, 1);
    });

    it('keeps one that is not whole under rejected/, with its id for a key, and hurts no neighbour', async () => {
      const store = new FakeStore();
      const queue = StubQueue.ofPacks([3]);
      const { body, statement } = pack([{ key: 'payload:0-0', text: '{"text":"of a neighbour"}' }]);
      const cut = { id: 'cut', receipt: 'r', body: body.slice(0, 20), pack: statement };
      queue.add({ ...cut, sentAt: Date.now() - OLD_MS });
      const received = await receive(queue, { rows: 4 }, taken, store);
      assert.equal(rowsIn(received).length, 3);
      assert.deepEqual(rejectedIn(received), [{ key: keyDigest('message:cut'), reason: 'broken-pack' }]);
      const [kept] = [...store.objects.values()].map((text) => JSON.parse(text) as Record<string, string>);
      assert.deepEqual([kept?.reason, kept?.key, kept?.text], ['broken-pack', 'message:cut', cut.body]);
      assert.match(String(kept?.detail), /^the pack can not be read: /);
    });
  });

  it('polls once at a time where messages come slowly', async () => {
    const now = Date.now();
    const queue = new StubQueue(Array.from({ length: 20 }, (_, index) => now - (index < 10 ? 1_000 : 0)));
    const { messages, behind } = await receive(queue, { collectMs: 2_000 });
    assert.deepEqual([messages.length, behind, queue.mostPollsAtOnce], [20, false, 1]);
  });
});
