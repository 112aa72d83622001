import assert from 'node:assert/strict';
import { encodeMessage, type OutgoingMessage } from '../../src/queue/message';
import type { Answer } from '../../src/queue/queue';
import { BatchSender, type Outcome, type SenderOptions } from '../../src/queue/sender';
import { eventually } from '../support/eventually';
import { FakeQueue, HeldAnswers, neverAnswer, sqsError, type Take, takeAll } from '../support/fake-queue';
import { settled } from '../support/settled';

const MEBIBYTE = 1024 * 1024;

/** Of a message that is neither among those that SQS took nor among those that failed. */
const UNSAID: Answer = { ok: false, code: '', message: '' };

/** What became of each message: the ones that are not in it have no fate yet. */
class Sending {
  readonly outcomes = new Map<string, Outcome[]>();
  readonly failures: unknown[] = [];
  readonly stop = new AbortController();
  readonly sender: BatchSender;

  constructor(
    readonly queue: FakeQueue,
    options: Partial<SenderOptions> = {},
  ) {
    this.sender = new BatchSender({
      queue,
      backoffMs: 1,
      lingerMs: 60_000,
      signal: this.stop.signal,
      onFailure: (error) => this.failures.push(error),
      ...options,
    });
  }

  async add(...bodies: string[]): Promise<void> {
    for (const body of bodies) {
      await this.addMessage(encodeMessage({ key: `key of ${body.slice(0, 20)}`, text: body }));
    }
  }

  async addMessage(message: OutgoingMessage): Promise<void> {
    await this.sender.add(message, (outcome) => {
      this.outcomes.set(message.body, [...(this.outcomes.get(message.body) ?? []), outcome]);
    });
  }
}

function bodies(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `{"n":${from + index}}`);
}

/** Each body with the outcome it is to have. */
function all(bodies: readonly string[], outcome: Outcome = 'sent'): Map<string, Outcome[]> {
  return new Map(bodies.map((body) => [body, [outcome]]));
}

/** Fails those messages whose body is in the list, and takes the others. */
function failing(code: string, list: readonly string[]): Take {
  return (messages) =>
    messages.map(({ body }) =>
      list.includes(body) ? { ok: false, code, message: 'so there' } : { ok: true },
    );
}

/** The nth answer is the nth in the list; from then on everything is taken. */
function inTurn(...takes: Take[]): Take {
  return (messages, call) => (takes[call.count - 1] ?? takeAll)(messages, call);
}

function throwing(error: unknown): Take {
  return () => {
    throw error;
  };
}

describe('A batch sender', () => {
  const sendings: Sending[] = [];

  afterEach(() => {
    for (const { stop } of sendings.splice(0)) stop.abort();
  });

  function start(take: Take = takeAll, options: Partial<SenderOptions> = {}): Sending {
    const sending = new Sending(new FakeQueue(take), options);
    sendings.push(sending);
    return sending;
  }

  describe('fills batches', () => {
    it('of ten messages, and sends the rest when asked to flush', async () => {
      const sending = start();
      await sending.add(...bodies(25));
      assert.deepEqual(
        sending.queue.batches.map(({ length }) => length),
        [10, 10],
      );
      await sending.sender.flush();
      assert.deepEqual(sending.queue.batches, [bodies(10), bodies(10, 10), bodies(5, 20)]);
      assert.deepEqual(sending.outcomes, all(bodies(25)));
    });

    it('of one mebibyte at most, in bytes and with their attributes', async () => {
      const sending = start();
      // 300 KiB each in UTF-8, half of that in characters: three fit, a fourth does not.
      const large = ['a', 'b', 'c', 'd', 'e'].map((name) => name + 'é'.repeat(150 * 1024));
      await sending.add(...large);
      await sending.sender.flush();
      assert.deepEqual(sending.queue.batches, [large.slice(0, 3), large.slice(3)]);
    });

    it('that are exactly one mebibyte, and one byte more not', async () => {
      const attribute = 'sluice.keyStringk'.length;
      for (const [extra, batches] of [
        [0, 1],
        [1, 2],
      ] as const) {
        const sending = start();
        await sending.addMessage(encodeMessage({ key: 'k', text: 'x'.repeat(MEBIBYTE / 2 - attribute) }));
        await sending.addMessage(
          encodeMessage({ key: 'k', text: 'y'.repeat(MEBIBYTE / 2 - attribute + extra) }),
        );
        await sending.sender.flush();
        assert.equal(sending.queue.batches.length, batches);
      }
    });

    it('within 256 KiB, once a server has refused more: those that stand in for SQS may take no more', async () => {
      const old: Take = (messages) => {
        const bytes = messages.reduce((sum, message) => sum + message.bytes, 0);
        if (bytes > 256 * 1024) throw sqsError('BatchRequestTooLong', 400);
        return takeAll(messages, { count: 0, signal: undefined });
      };
      const sending = start(old);
      const large = Array.from({ length: 20 }, (_, index) => `${index} ${'x'.repeat(60 * 1024)}`);
      await sending.add(...large);
      await sending.sender.flush();
      assert.deepEqual(sending.outcomes, all(large));
      const sizes = sending.queue.batches.map((batch) => batch.length);
      assert.deepEqual(
        sizes.filter((size) => size > 4),
        [10],
      );
      await sending.add(...bodies(1));
    });

    it('and sends one that is not full when it has waited for so long', async () => {
      const sending = start(takeAll, { lingerMs: 30 });
      await sending.add(...bodies(3));
      assert.equal(sending.queue.batches.length, 0);
      await eventually('the batch is sent', () => sending.outcomes.size === 3);
      await sending.add(...bodies(2, 3));
      await eventually('the next one too', () => sending.outcomes.size === 5);
      assert.deepEqual(sending.queue.batches, [bodies(3), bodies(2, 3)]);
    });

    it('and sends nothing when there is nothing', async () => {
      const sending = start();
      await sending.sender.flush();
      assert.equal(sending.queue.batches.length, 0);
    });

    it('with the key of each message beside it', async () => {
      const sending = start();
      await sending.addMessage(encodeMessage({ key: 'its key', text: '{}' }));
      await sending.sender.flush();
      assert.deepEqual(sending.queue.keys, ['its key']);
    });
  });

  describe('sends several batches at once', () => {
    it('but no more than it may, and takes nothing more meanwhile', async () => {
      const held = new HeldAnswers();
      const sending = start(held.take, { batchesInFlight: 3, lingerMs: 5 });
      let taken = 0;
      const adding = (async () => {
        for (const body of bodies(200)) {
          await sending.add(body);
          taken += 1;
        }
      })();
      await settled('messages taken', () => taken);
      assert.equal(sending.queue.underWay, 3);
      assert(taken < 40, `${taken} messages taken`);
      await eventually('all are taken', () => {
        held.release();
        return taken === 200;
      });
      await adding;
      const flushed = sending.sender.flush();
      await eventually('all are sent', () => {
        held.release();
        return sending.outcomes.size === 200;
      });
      await flushed;
      assert.equal(sending.queue.mostUnderWay, 3);
      assert(sending.queue.batches.every(({ length }) => length <= 10));
      assert.deepEqual(sending.outcomes, all(bodies(200)));
    });
  });

  describe('sends a message again until SQS has taken it', () => {
    it('when it failed, and that message alone', async () => {
      const sending = start(
        inTurn(failing('InternalError', bodies(2, 3)), failing('InternalError', bodies(1, 4))),
      );
      await sending.add(...bodies(10));
      await sending.sender.flush();
      assert.deepEqual(sending.queue.batches, [bodies(10), bodies(2, 3), bodies(1, 4)]);
      assert.deepEqual(sending.outcomes, all(bodies(10)));
    });

    it('when SQS says nothing of it', async () => {
      const sending = start(
        inTurn(
          (messages) => messages.map((_, index) => (index === 1 ? { ok: true } : UNSAID)),
          () => [],
        ),
      );
      await sending.add(...bodies(3));
      await sending.sender.flush();
      const missing = bodies(3).toSpliced(1, 1);
      assert.deepEqual(sending.queue.batches, [bodies(3), missing, missing]);
      assert.deepEqual(sending.outcomes, all(bodies(3)));
    });

    it('when it failed since it came too fast', async () => {
      const sending = start(inTurn(failing('ThrottlingException', bodies(10))));
      await sending.add(...bodies(10));
      await sending.sender.flush();
      assert.deepEqual(sending.outcomes, all(bodies(10)));
    });

    const transient: Record<string, unknown> = {
      'a throttling error': sqsError('ThrottlingException'),
      'RequestThrottled under status 403': sqsError('RequestThrottled', 403),
      'a 500': sqsError('InternalError', 500),
      'a 503': sqsError('ServiceUnavailable', 503),
      'a network error': Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }),
      'expired credentials': sqsError('ExpiredToken', 403),
    };
    for (const [what, error] of Object.entries(transient)) {
      it(`after ${what} for the whole batch`, async () => {
        const sending = start(inTurn(throwing(error), throwing(error)));
        await sending.add(...bodies(4));
        await sending.sender.flush();
        assert.deepEqual(sending.queue.batches, [bodies(4), bodies(4), bodies(4)]);
        assert.deepEqual(sending.outcomes, all(bodies(4)));
        assert.deepEqual(sending.failures, []);
      });
    }

    it('waiting longer each time', async () => {
      const at: number[] = [];
      const sending = start(
        (messages, call) => {
          at.push(performance.now());
          return call.count <= 5 ? [] : takeAll(messages, call);
        },
        { backoffMs: 10 },
      );
      await sending.add('{}');
      await sending.sender.flush();
      const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
      gaps.forEach((gap, index) => assert(gap >= 5 * 2 ** index - 1, `${gap} ms before try ${index + 2}`));
    });
  });

  describe('gives up a message', () => {
    for (const code of [
      'InvalidMessageContents',
      'InvalidParameterValue',
      'AWS.SimpleQueueService.MessageTooLong',
    ]) {
      it(`that SQS refuses with ${code}, and sends the others`, async () => {
        const [refused = ''] = bodies(1, 4);
        const sending = start(failing(code, [refused]));
        await sending.add(...bodies(10));
        await sending.sender.flush();
        assert.deepEqual(
          sending.outcomes,
          new Map([...all(bodies(10)), ...all([refused], { refused: `${code}: so there` })]),
        );
        assert.equal(sending.queue.batches.length, 1);
      });
    }

    it('that is the cause why SQS refuses its batch as a whole', async () => {
      const [bad = ''] = bodies(1, 7);
      const sending = start((messages, call) => {
        if (messages.some(({ body }) => body === bad)) throw sqsError('InvalidParameterValue');
        return takeAll(messages, call);
      });
      await sending.add(...bodies(10));
      await sending.sender.flush();
      assert.deepEqual(
        sending.outcomes,
        new Map([
          ...all(bodies(10)),
          ...all([bad], { refused: 'InvalidParameterValue: InvalidParameterValue, said SQS' }),
        ]),
      );
      assert.deepEqual(sending.failures, []);
    });

    it('only when it is refused alone: what is throttled one by one is sent again', async () => {
      const sending = start(
        inTurn(
          throwing(sqsError('BatchRequestTooLong')),
          throwing(sqsError('ThrottlingException')),
          takeAll,
          failing('InternalError', bodies(1, 2)),
        ),
      );
      await sending.add(...bodies(3));
      await sending.sender.flush();
      assert.deepEqual(sending.queue.batches, [
        bodies(3),
        bodies(1),
        bodies(1, 1),
        bodies(1, 2),
        [...bodies(1), ...bodies(1, 2)],
      ]);
      assert.deepEqual(sending.outcomes, all(bodies(3)));
    });
  });

  describe('fails', () => {
    for (const name of ['QueueDoesNotExist', 'AccessDenied', 'KmsDisabled']) {
      it(`once at ${name}, and sends nothing afterwards`, async () => {
        const sending = start(throwing(sqsError(name)));
        await sending.add(...bodies(30));
        await sending.sender.flush();
        assert.deepEqual(
          sending.failures.map((error) => (error instanceof Error ? error.name : error)),
          [name],
        );
        const before = sending.queue.batches.length;
        await sending.add(...bodies(10, 30));
        await sending.sender.flush();
        assert.equal(sending.queue.batches.length, before);
        assert.equal(sending.outcomes.size, 0);
      });
    }

    it('also when it is told so for one message of a batch that was refused as a whole', async () => {
      const sending = start(
        inTurn(throwing(sqsError('BatchRequestTooLong')), takeAll, throwing(sqsError('AccessDenied', 403))),
      );
      await sending.add(...bodies(3));
      await sending.sender.flush();
      assert.equal(sending.failures.length, 1);
      assert.deepEqual(sending.outcomes, all(bodies(1)));
    });
  });

  describe('when it is aborted', () => {
    it('drops what SQS has not confirmed, and settles none of it', async () => {
      const sending = start((entries, call) => (call.count === 1 ? takeAll : neverAnswer)(entries, call));
      await sending.add(...bodies(35));
      await eventually('the first batch is confirmed', () => sending.outcomes.size === 10);
      const flushed = sending.sender.flush();
      sending.stop.abort();
      await flushed;
      assert.deepEqual(sending.outcomes, all(bodies(10)));
      assert.deepEqual(sending.failures, []);
      assert.equal(sending.queue.underWay, 0);
    });

    it('ends a wait before another try', async () => {
      const sending = start(throwing(sqsError('InternalError', 500)), { backoffMs: 60_000 });
      await sending.add(...bodies(10));
      await eventually('a try', () => sending.queue.batches.length === 1);
      const flushed = sending.sender.flush();
      sending.stop.abort();
      await flushed;
      assert.equal(sending.queue.batches.length, 1);
      assert.deepEqual(sending.failures, []);
    });

    it('lets go of whoever waits to add', async () => {
      const sending = start(neverAnswer, { batchesInFlight: 1 });
      await sending.add(...bodies(10));
      const adding = sending.add(...bodies(10, 10));
      await eventually('a batch is under way', () => sending.queue.underWay === 1);
      sending.stop.abort();
      await adding;
      await sending.sender.flush();
      assert.equal(sending.queue.batches.length, 1);
      assert.equal(sending.outcomes.size, 0);
    });
  });
});
