import assert from 'node:assert/strict';
import { ActivityCancelledError, ActivityNotFoundError } from '@temporalio/client';
import type { StintInput, StintProgress } from '../../src/activities/consume-stream';
import type { Acknowledge } from '../../src/activities/lease';
import { seededRandom } from '../../local/simulated-stream/random';
import { NO_GAPS } from '../../src/sources/gaps';
import { eventually } from '../support/eventually';
import { Attempt } from '../support/attempt';
import { FakeStore } from '../support/fake-store';
import { FAKE_LANE, FakeQueue, HeldAnswers, takeAll } from '../support/fake-queue';
import { type Published, PlainStream } from '../support/plain-stream';

/** How streams number their events: by the place of an event, from 0. */
const STYLES: Record<string, (n: number) => Omit<Published, 'data'>> = {
  'an id for each event': (n) => ({ id: `e-${n}` }),
  'ids that stick, now and then one': (n) => (n % 4 === 0 ? { id: String(n) } : {}),
  'one id for several events': (n) => ({ id: String(Math.floor(n / 3)) }),
  'ids only from the third event on': (n) => (n < 2 ? {} : { id: String(n) }),
  'types of events, and an id for each': (n) => ({ id: String(n), event: n % 2 ? 'update' : 'add' }),
};

/** Two payloads for all, one of them with a `meta.id` of a thing. */
const dataOf = (n: number) => (n % 3 === 0 ? '{"meta":{"id":"device-7"},"temp":21}' : '{"temp":21}');

describe('The activity consumeStream on streams that are not Wikimedia’s', () => {
  let stream: PlainStream;
  let queue: FakeQueue;
  let store: FakeStore;
  const attempts: Attempt[] = [];

  beforeEach(async () => {
    stream = await PlainStream.start();
    queue = new FakeQueue();
    store = new FakeStore();
  });

  afterEach(async () => {
    for (const attempt of attempts) attempt.cancel();
    await Promise.allSettled(attempts.splice(0).map(({ result }) => result));
    await stream.close();
  });

  function inputFor(options: Partial<StintInput> = {}): StintInput {
    return {
      pipeline: 'test',
      source: { url: stream.url, contact: 'test@example.org' },
      queue: 'queue',
      lane: FAKE_LANE,
      lake: { bucket: 'lake', prefix: 'raw' },
      cursor: { since: Date.now() - 60_000, positions: {}, recent: {} },
      completeness: {},
      gaps: NO_GAPS,
      longestMs: 600_000,
      packEvents: 1,
      mostUnacknowledged: 10_000,
      ...options,
    };
  }

  /** @param details of the attempt before */
  function begin(input: StintInput, details?: StintProgress, acknowledge?: Acknowledge): Attempt {
    const attempt = new Attempt({ queue, store }, input, details, acknowledge);
    attempts.push(attempt);
    return attempt;
  }

  const listening = () => eventually('a connection', () => stream.connections === 1);
  /** A key that came twice is one row: the lane sees to that. */
  const rows = () => new Map(queue.keys.map((key, index) => [key, queue.bodies[index] ?? '']));
  const inOrder = (texts: Iterable<string>) => [...texts].sort();

  for (const [style, numbering] of Object.entries(STYLES)) {
    it(`makes one row of each event, over kills and cuts: ${style}`, async () => {
      const random = seededRandom(20_261_129);
      const input = inputFor();
      let details: StintProgress | undefined;
      let count = 0;
      const publish = (more: number) => {
        for (let n = 0; n < more; n += 1, count += 1)
          stream.publish({ data: dataOf(count), ...numbering(count) });
      };
      const allRows = () => eventually(`${count} rows`, () => rows().size >= count);

      for (let round = 0; round < 8; round += 1) {
        // What Temporal was told last is all that the next attempt knows.
        const told: StintProgress[] = [];
        const attempt = begin(input, details, async (given) => {
          told.push(JSON.parse(JSON.stringify(given)) as StintProgress);
        });
        await listening();
        publish(random.integer(1, 6));
        if (round === 0) await allRows();
        if (random.chance(0.4)) {
          stream.cut();
          publish(random.integer(0, 2));
          await allRows();
          // A connection that is gone is gone before the next one.
          await listening();
        }
        if (random.chance(0.5)) await allRows();
        if (round === 0 || random.chance(0.5)) {
          const before = told.length;
          await eventually('a heartbeat', () => told.length > before);
        }
        attempt.cancel('workerShutdown');
        await attempt.result.catch(() => {});
        await eventually('no connection', () => stream.connections === 0);
        details = told.at(-1);
      }
      begin(input, details);
      await listening();
      publish(3);
      await allRows();
      assert.deepEqual(inOrder(rows().values()), inOrder(stream.published.map(({ data }) => data)));
    });
  }

  it('takes two equal payloads for two events where the stream has no ids, and knows that it can not be resumed', async () => {
    const attempt = begin(inputFor());
    await listening();
    for (let n = 0; n < 3; n += 1) stream.publish({ data: '{"temp":21}' });
    await eventually('three messages', () => queue.bodies.length === 3);
    assert.equal(rows().size, 3);
    attempt.cancel();
    const { cursor } = await attempt.result;
    assert.deepEqual([cursor.ids, cursor.began, cursor.lastEventId], [undefined, true, undefined]);
  });

  it('goes by the key that SLUICE_SOURCE_KEY names, and rejects an event without it', async () => {
    const input = inputFor();
    begin({ ...input, source: { ...input.source, key: 'order.id' } });
    await listening();
    for (const data of ['{"order":{"id":"a"}}', '{"order":{"id":7}}', '{"order":{"id":{}}}', '{}', '{}'])
      stream.publish({ data });
    await eventually(
      'two messages, three objects',
      () => queue.keys.length === 2 && store.objects.size === 3,
    );
    assert.deepEqual(inOrder(queue.keys), ['payload:7', 'payload:a']);
    for (const body of store.objects.values())
      assert.equal((JSON.parse(body) as { reason: string }).reason, 'no-key');
  });

  it('counts what comes from behind the id that it resumed from', async () => {
    const publish = (from: number, to: number) => {
      for (let n = from; n < to; n += 1) stream.publish({ id: String(n), data: `{"n":${n}}` });
    };
    const attempt = begin(inputFor());
    await listening();
    publish(1, 6);
    await eventually('all are sent', () => queue.keys.length === 5);
    stream.cut();
    await eventually('another connection', () => stream.asked.at(-1) === '5');
    assert.equal(attempt.heartbeats.at(-1)?.counts.behind ?? 0, 0);
    // The server was started anew, and counts from one.
    publish(1, 4);
    await eventually('they are told', () => attempt.heartbeats.at(-1)?.counts.repeats === 3);
    attempt.cancel();
    const { counts } = await attempt.result;
    assert.deepEqual([counts.behind, counts.firstBehind, counts.repeats], [3, '1', 3]);
  });

  it('goes on where an id sticks for more events than its bound: no other place could be told', async () => {
    const attempt = begin(inputFor({ mostUnacknowledged: 30 }));
    await listening();
    for (let n = 0; n < 200; n += 1)
      stream.publish({ data: `{"n":${n}}`, ...(n === 0 ? { id: 'only' } : {}) });
    await eventually('all are sent', () => queue.bodies.length === 200);
    attempt.cancel();
    const { cursor, counts } = await attempt.result;
    assert.deepEqual([cursor.lastEventId, counts.sent], ['only', 200]);
  });

  describe('that give no ids', () => {
    const publish = (count: number) => {
      for (let n = 0; n < count; n += 1) stream.publish({ data: `{"n":${stream.published.length}}` });
    };

    it('does not end by itself: that would be a disconnection', async () => {
      const attempt = begin(inputFor({ longestMs: 1 }));
      await listening();
      publish(40);
      await eventually('all are sent', () => queue.bodies.length === 40);
      publish(1);
      await eventually('one more', () => queue.bodies.length === 41);
      assert.equal(stream.asked.length, 1);
      attempt.cancel();
      assert.equal((await attempt.result).ended, 'cancelled');
    });

    it('sends all that it received when it is asked to end, however slow SQS is, and beyond any bound: nothing comes again', async () => {
      const held = new HeldAnswers();
      queue.take = held.take;
      const attempt = begin(inputFor({ mostUnacknowledged: 5 }));
      await listening();
      publish(300);
      await eventually('requests wait', () => held.count === 4);
      attempt.cancel();
      await eventually('no connection', () => stream.connections === 0);
      queue.take = takeAll;
      held.release();
      const { counts, gaps } = await attempt.result;
      assert.deepEqual([counts.sent, gaps.dropped], [300, 0]);
      assert.equal(rows().size, 300);
    });

    it('counts a disconnection as a gap, with from and to, in its progress and in the lake', async () => {
      const attempt = begin(inputFor());
      await listening();
      publish(3);
      await eventually('all are sent', () => queue.bodies.length === 3);
      const before = Date.now();
      stream.cut();
      await eventually('another connection', () => stream.asked.length === 2);
      await eventually('an object', () => store.objects.size === 1);
      attempt.cancel();
      const { gaps } = await attempt.result;
      assert.equal(gaps.count, 1);
      const [gap] = gaps.recent;
      assert(gap && gap.from <= before && gap.to >= before && gap.to <= Date.now());
      assert.deepEqual(gaps.unkept, []);
      const [[key, body] = ['', '']] = store.objects;
      assert.match(key, /^raw\/gaps\/\d{8}T\d{6}\.\d{3}Z-\d{8}T\d{6}\.\d{3}Z\.json$/);
      assert.deepEqual(JSON.parse(body), {
        source: stream.url,
        from: new Date(gap.from).toISOString(),
        to: new Date(gap.to).toISOString(),
      });
    });

    it('counts from what Temporal was told last until the next attempt listens, after a kill', async () => {
      const told: StintProgress[] = [];
      const first = begin(inputFor(), undefined, async (details) => {
        told.push(JSON.parse(JSON.stringify(details)) as StintProgress);
      });
      await listening();
      publish(3);
      await eventually('all are told', () => told.at(-1)?.counts.sent === 3);
      const known = told.at(-1);
      first.cancel('workerShutdown');
      assert.equal((await first.result).ended, 'interrupted');
      await eventually('no connection', () => stream.connections === 0);
      const second = begin(inputFor(), known);
      await listening();
      publish(1);
      await eventually('one more', () => queue.bodies.length === 4);
      second.cancel();
      const { gaps } = await second.result;
      assert.equal(gaps.count, 1);
      assert.equal(gaps.recent[0]?.from, known?.gaps.safeUntil);
    });

    it('says how many it had to drop', async () => {
      queue.take = () => [];
      const attempt = begin(inputFor());
      await listening();
      publish(25);
      await eventually('a request', () => queue.batches.length > 1);
      attempt.cancel('workerShutdown');
      const { gaps, counts } = await attempt.result;
      assert.deepEqual([counts.sent, gaps.dropped], [0, 25]);
    });
  });

  describe('under its lease', () => {
    it('sends nothing before Temporal has taken its first heartbeat', async () => {
      let answer = () => {};
      const answered = new Promise<void>((resolve) => (answer = resolve));
      begin(inputFor(), undefined, () => answered);
      await listening();
      stream.publish({ data: '{}', id: '1' });
      stream.cut();
      await eventually('it read on', () => stream.asked.length > 1);
      assert.equal(queue.batches.length, 0);
      answer();
      await eventually('a message', () => queue.bodies.length === 1);
    });

    it('sends no more when Temporal has long not answered, and goes on when it does', async () => {
      let isAway = false;
      const attempt = begin(inputFor(), undefined, async () => {
        if (isAway) throw new Error('unavailable');
      });
      await listening();
      stream.publish({ data: '{}', id: '1' });
      await eventually('a message', () => queue.bodies.length === 1);
      isAway = true;
      // Each linger ends in a request, as long as requests may be made.
      let silentSince = performance.now();
      let sent = 0;
      await eventually('requests end', () => {
        stream.publish({ data: '{}', id: String(stream.published.length + 1) });
        if (queue.batches.length > sent) [sent, silentSince] = [queue.batches.length, performance.now()];
        return performance.now() - silentSince > 3_000;
      });
      assert.equal(attempt.isOver, false);
      isAway = false;
      await eventually('all are sent', () => rows().size === stream.published.length);
    });

    it('ends at once, and sends nothing more, when another attempt has taken over', async () => {
      let isSuperseded = false;
      const held = new HeldAnswers();
      queue.take = held.take;
      const attempt = begin(inputFor(), undefined, async () => {
        if (isSuperseded) throw new ActivityNotFoundError('Not found');
      });
      await listening();
      for (let n = 0; n < 45; n += 1) stream.publish({ data: '{}' });
      await eventually('four requests', () => held.count === 4);
      isSuperseded = true;
      await assert.rejects(attempt.result, { type: 'Superseded' });
      held.release();
      assert.equal(queue.batches.length, 4);
    });

    it('hears from its heartbeat that the workflow asks it to end, and returns its cursor', async () => {
      let isAsked = false;
      const attempt = begin(inputFor(), undefined, async () => {
        if (isAsked) throw new ActivityCancelledError('cancelled');
      });
      await listening();
      stream.publish({ data: '{}', id: '1' });
      await eventually('a message', () => queue.bodies.length === 1);
      isAsked = true;
      const { ended, cursor } = await attempt.result;
      assert.deepEqual([ended, cursor.lastEventId], ['cancelled', '1']);
    });
  });

  it('sends nothing to a queue of the same name that is not the lane’s', async () => {
    queue.place = 'arn:aws:queue:eu-west-1:123456789012:queue';
    const { ended, problem = '' } = await begin(inputFor()).result;
    assert.equal(ended, 'blocked');
    assert.match(
      problem,
      /arn:aws:queue:eu-west-1:123456789012:queue.*sluice-batch\/123456789012\/us-east-1\/queue/,
    );
    assert.equal(queue.batches.length, 0);
    assert.equal(stream.asked.length, 0);
  });
});
