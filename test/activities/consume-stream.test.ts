import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type StintInput, type StintProgress, type StintResult } from '../../src/activities/consume-stream';
import type { Acknowledge } from '../../src/activities/lease';
import {
  type SimulatedStream,
  type SimulatedStreamOptions,
  startSimulatedStream,
} from '../../local/simulated-stream';
import { keyDigest } from '../../src/event/key';
import { findHoles } from '../../src/sources/completeness';
import { wikimediaEvent } from '../../src/sources/sse/wikimedia';
import { NO_GAPS } from '../../src/sources/gaps';
import { NO_COUNTS } from '../../src/sources/stint-counts';
import { eventually } from '../support/eventually';
import { Attempt } from '../support/attempt';
import { FakeStore, s3Error } from '../support/fake-store';
import { FAKE_LANE, FakeQueue, HeldAnswers, neverAnswer, sqsError, takeAll } from '../support/fake-queue';
import { frame, LocalServer, openStream } from '../support/local-server';
import { ownTimeOf } from '../support/own-time';
import { settled } from '../support/settled';
import { sha256 } from '../support/sha256';

const MINUTE = 60_000;

describe('The activity consumeStream', () => {
  const streams: SimulatedStream[] = [];
  const servers: LocalServer[] = [];
  const attempts: Attempt[] = [];
  let queue: FakeQueue;
  let store: FakeStore;

  beforeEach(() => {
    queue = new FakeQueue();
    store = new FakeStore();
  });

  afterEach(async () => {
    for (const attempt of attempts) attempt.cancel();
    await Promise.allSettled(attempts.splice(0).map(({ result }) => result));
    await Promise.all([...streams.splice(0), ...servers.splice(0)].map((server) => server.close()));
  });

  async function simulate(options: SimulatedStreamOptions = {}): Promise<SimulatedStream> {
    const stream = await startSimulatedStream({
      cutAfterEvents: false,
      retryMilliseconds: 1,
      ratePerSecond: Infinity,
      ...options,
    });
    streams.push(stream);
    return stream;
  }

  function inputFor(url: string, options: Partial<StintInput> = {}): StintInput {
    return {
      pipeline: 'test',
      completeness: {},
      source: { url, contact: 'test@example.org' },
      queue: 'queue',
      lane: FAKE_LANE,
      gaps: NO_GAPS,
      lake: { bucket: 'lake', prefix: 'raw' },
      cursor: { since: Date.now() - MINUTE, positions: {}, recent: {} },
      longestMs: 10 * MINUTE,
      packEvents: 1,
      mostUnacknowledged: 10_000,
      ...options,
    };
  }

  function begin(input: StintInput, heartbeatDetails?: StintProgress, acknowledge?: Acknowledge): Attempt {
    const attempt = new Attempt({ queue, store }, input, heartbeatDetails, acknowledge);
    attempts.push(attempt);
    return attempt;
  }

  /** Cancels a stint once so many events are in the queue. */
  async function endAt(attempt: Attempt, count: number): Promise<StintResult> {
    await eventually(`${count} events are sent`, () => queue.keys.length >= count);
    attempt.cancel();
    return await attempt.result;
  }

  const keptUnder = (folder: string) =>
    [...store.objects.keys()].filter((key) => key.startsWith(`raw/${folder}/`));
  const keyOf = (text: string) => wikimediaEvent(text).key;
  const keysOf = ({ ledger }: SimulatedStream) => ledger.published.map(({ key }) => `payload:${key}`).sort();

  it('sends every event once, keeps the broken ones under rejected/, and counts canaries', async () => {
    const stream = await simulate({ events: 1_000, broken: 6 });
    const attempt = begin(inputFor(stream.url));
    await stream.published;
    const { cursor, counts, ended, problem } = await endAt(attempt, 994);

    assert.deepEqual([ended, problem], ['cancelled', undefined]);
    assert.deepEqual([...queue.keys].sort(), keysOf(stream));
    const { ledger } = stream;
    const rejected = Object.values(counts.rejected).reduce((sum, count) => sum + count, 0);
    for (const { text } of ledger.broken.slice(0, rejected)) {
      const kept = JSON.parse(store.objects.get(`raw/rejected/${sha256(keyOf(text))}.json`) ?? 'null') as {
        text: string;
        reason: string;
        detail: string;
        source: string;
      };
      assert.equal(kept.text, text);
      assert.match(
        `${kept.reason}: ${kept.detail}`,
        /^not-json: .|^not-an-object: not a JSON object but an array$|^message-too-large: \d+ bytes, and the queue takes 1048576/,
      );
      assert.equal(kept.source, stream.url);
    }
    assert.equal(keptUnder('rejected').length, rejected);
    assert(rejected >= 4);
    assert(counts.canaries > 0);
    assert.equal(keptUnder('canaries').length, counts.canaries);
    assert.equal(counts.sent, 994);
    assert.equal(counts.repeats, 0);
    assert.equal(Object.keys(cursor.positions).length, 2);
  });

  it('sends bodies that are the JSON as published, without the characters that SQS refuses', async () => {
    const stream = await simulate({ events: 400, broken: 0 });
    await endAt(begin(inputFor(stream.url)), 400);
    const texts = new Set(stream.ledger.published.map(({ text }) => text));
    const changed = queue.bodies.filter((body) => !texts.has(body));
    assert(changed.length > 0 && changed.every((body) => body.includes('\\ufffe')));
    assert(queue.bodies.every((body) => !/[\ufffe\uffff]/.test(body)));
  });

  it('moves its cursor by the clock of SQS: that of its own machine may be hours behind', async () => {
    const HOUR = 60 * MINUTE;
    const held = Date.now() - 10 * HOUR;
    queue.clock = { now: () => held, takeProblem: () => undefined };
    const stream = await simulate({ events: 20, broken: 0 });
    const since = held - HOUR;
    const input = inputFor(stream.url, { cursor: { since, positions: {}, recent: {} } });
    const { cursor } = await endAt(begin(input), 20);
    for (const position of Object.values(cursor.positions)) {
      assert('timestamp' in position && position.timestamp <= held);
    }
  });

  it('goes on where the stint before it ended, without loss or repeats', async () => {
    const stream = await simulate();
    let { cursor } = inputFor(stream.url);
    const results: StintResult[] = [];
    for (let round = 1; round <= 8; round += 1) {
      const attempt = begin(inputFor(stream.url, { cursor }));
      await eventually('a connection', () => stream.connections === 1);
      stream.publish(100);
      const result = await endAt(attempt, keysOf(stream).length);
      results.push(result);
      cursor = JSON.parse(JSON.stringify(result.cursor)) as typeof cursor;
    }
    assert.deepEqual([...queue.keys].sort(), keysOf(stream));
    assert(
      results.slice(1).every(({ counts }) => counts.repeats > 0),
      'the source did send some again',
    );
  });

  it('ends after its time, with everything confirmed that it had read', async () => {
    const stream = await simulate();
    const attempt = begin(inputFor(stream.url, { longestMs: 3_000 }));
    await eventually('a connection', () => stream.connections === 1);
    stream.publish(15);
    const { ended, cursor, counts } = await attempt.result;
    assert.equal(ended, 'done');
    assert.equal(counts.sent, 15);
    assert.equal(queue.bodies.length, 15);
    const last = JSON.parse(stream.ledger.published.at(-1)?.text ?? '') as { meta: { dt: string } };
    const [position] = Object.values(cursor.positions).filter((position) => 'timestamp' in position);
    assert(position && 'timestamp' in position && position.timestamp >= Date.parse(last.meta.dt));
  });

  it('loses and repeats nothing when connections are cut', async () => {
    const stream = await simulate({ events: 200, broken: 3, cutAfterEvents: [850, 900] });
    const first = begin(inputFor(stream.url));
    await eventually('some are sent', () => queue.keys.length > 100);
    stream.sendError('Broker gone');
    stream.publish(200);
    await eventually('more are sent', () => queue.keys.length > 300);
    stream.sendError('Broker gone again');
    stream.publish(200);
    const { counts } = await endAt(first, 597);
    assert.deepEqual([...queue.keys].sort(), keysOf(stream));
    assert.deepEqual(counts.reconnects, { refused: 2 });
    assert(counts.repeats > 0);
  });

  describe('a later attempt', () => {
    it('goes on from the last heartbeat, and counts on', async () => {
      const stream = await simulate({ events: 300, broken: 0 });
      const first = begin(inputFor(stream.url));
      await eventually('all are sent and told', () => first.heartbeats.at(-1)?.counts.sent === 300);
      first.cancel('workerShutdown');
      assert.equal((await first.result).ended, 'interrupted');

      const second = begin(inputFor(stream.url), first.heartbeats.at(-1));
      await eventually('another connection', () => stream.requests.length === 2);
      stream.publish(50);
      const { counts } = await endAt(second, 350);
      assert.equal(counts.sent, 350);
      assert.deepEqual([...queue.keys].sort(), keysOf(stream));
      assert.notEqual(stream.requests[1]?.lastEventId, undefined);
    });
  });

  it('tells Temporal that it lives while the stream is quiet', async () => {
    const stream = await simulate();
    const input = inputFor(stream.url);
    const { heartbeats } = begin(input);
    await eventually('two heartbeats', () => heartbeats.length >= 2);
    const { gaps, ...told } = heartbeats.at(-1) ?? assert.fail();
    assert.deepEqual(told, { cursor: input.cursor, completeness: {}, counts: NO_COUNTS });
    assert.equal(gaps.count, 0);
  });

  it('reports the offsets that the source withheld, and none for canaries and broken events', async () => {
    const stream = await simulate({ events: 300, broken: 6 });
    const attempt = begin(inputFor(stream.url));
    await eventually('some are sent', () => queue.keys.length > 100);
    stream.withhold(7);
    stream.publish(300);
    const { completeness, counts } = await endAt(attempt, 587);
    assert(counts.canaries > 0);
    assert.equal(stream.ledger.withheld.length, 7);
    assert.equal(findHoles(completeness).offsets, 7);
  });

  describe('when it is cancelled', () => {
    it('by the workflow returns its cursor and counts, with what SQS confirms within its grace', async () => {
      const stream = await simulate({ events: 25, broken: 0 });
      const held = new HeldAnswers();
      queue.take = held.take;
      const attempt = begin(inputFor(stream.url));
      await eventually('three batches are under way', () => held.count === 3);
      attempt.cancel();
      // No wait between two looks: the grace is half a second.
      while (stream.connections > 0) await nextTurn();
      held.release();
      const { ended, counts, problem } = await attempt.result;
      assert.deepEqual([ended, problem], ['cancelled', undefined]);
      assert.equal(counts.sent, 25);
    });

    it('drops what SQS does not confirm, and its cursor does not cover it', async () => {
      const stream = await simulate({ events: 40, broken: 0 });
      // The second batch is never confirmed, the third one is.
      queue.take = (entries, call) => (call.count === 2 ? neverAnswer : takeAll)(entries, call);
      const attempt = begin(inputFor(stream.url));
      await eventually('three batches are confirmed', () => queue.bodies.length === 30);
      attempt.cancel();
      assert((await ownTimeOf(() => attempt.result)) < 2_000);
      const { ended, cursor, counts } = await attempt.result;
      assert.equal(ended, 'cancelled');
      assert.equal(counts.sent, 30);

      queue.take = takeAll;
      const before = queue.keys.length;
      await endAt(begin(inputFor(stream.url, { cursor })), before + 30);
      assert.equal(queue.keys.length - before, 30);
      assert.deepEqual([...new Set(queue.keys)].sort(), keysOf(stream));
    });

    for (const reason of ['workerShutdown', 'reset'] as const) {
      it(`for ${reason} returns what is confirmed, too, so that another stint can go on at once`, async () => {
        const stream = await simulate({ events: 50, broken: 0 });
        const attempt = begin(inputFor(stream.url));
        await eventually('all are sent', () => queue.bodies.length === 50);
        attempt.cancel(reason);
        const { ended, counts } = await attempt.result;
        assert.deepEqual([ended, counts.sent], ['interrupted', 50]);
      });
    }

    it('since its activity was paused in Temporal, returns what is confirmed, and that a person has to say when to go on', async () => {
      const stream = await simulate({ events: 50, broken: 0 });
      const attempt = begin(inputFor(stream.url));
      await eventually('all are sent', () => queue.bodies.length === 50);
      attempt.cancel('paused');
      const { ended, counts, problem = '', isFinal } = await attempt.result;
      assert.deepEqual([ended, counts.sent, isFinal], ['blocked', 50, true]);
      assert.match(problem, /paused in Temporal.*sluice resume/);
    });

    it('while SQS does not answer its first question', async () => {
      const stream = await simulate();
      queue.openingFails = async (signal) => void (await neverAnswer([], { count: 1, signal }));
      const attempt = begin(inputFor(stream.url));
      await eventually('a question', () => queue.asked.length > 0);
      attempt.cancel();
      assert.equal((await attempt.result).ended, 'cancelled');
      assert.equal(stream.requests.length, 0);
    });

    it('while S3 does not take a rejected event', async () => {
      const stream = await simulate({ events: 5, broken: 5, brokenKinds: ['not-json'] });
      store.before = async (_count, signal) => void (await neverAnswer([], { count: 1, signal }));
      const input = inputFor(stream.url);
      const attempt = begin(input);
      await eventually('a PUT', () => store.puts.length === 1);
      attempt.cancel();
      const { ended, cursor, completeness, counts } = await attempt.result;
      assert.equal(ended, 'cancelled');
      assert.deepEqual([cursor, completeness], [{ ...input.cursor, ids: 'wikimedia' }, {}]);
      assert.deepEqual(counts, NO_COUNTS);
    });
  });

  describe('within its bound', () => {
    it('sends no more beyond the last heartbeat that Temporal took, and goes on when it takes one', async () => {
      const stream = await simulate({ events: 30, broken: 0 });
      let isAway = false;
      const told: StintProgress[] = [];
      const attempt = begin(inputFor(stream.url, { mostUnacknowledged: 100 }), undefined, async (details) => {
        if (isAway) throw new Error('unavailable');
        told.push(JSON.parse(JSON.stringify(details)) as StintProgress);
      });
      await eventually('all are told', () => told.at(-1)?.counts.sent === 30);
      isAway = true;
      stream.publish(500);
      await eventually('some are sent', () => queue.keys.length > 30);
      await settled('events sent', () => queue.keys.length);
      assert(queue.keys.length <= 130, `${queue.keys.length} events are sent`);
      isAway = false;
      await eventually('all are sent', () => queue.keys.length === keysOf(stream).length);
      const { counts } = await endAt(attempt, queue.keys.length);
      assert.equal(counts.sent, keysOf(stream).length);
    });

    it('waits behind an event that SQS does not take, and goes on when it does', async () => {
      const stream = await simulate({ events: 500, broken: 0 });
      const held = new HeldAnswers();
      queue.take = (entries, call) => (call.count === 1 ? held.take : takeAll)(entries, call);
      const attempt = begin(inputFor(stream.url, { mostUnacknowledged: 100 }));
      const { canaries } = stream.ledger;
      await settled('events sent', () => queue.keys.length);
      assert(queue.keys.length <= 90, `${queue.keys.length} events are sent beside those ten`);
      assert(queue.keys.length >= 90 - 10 - canaries, `only ${queue.keys.length}`);
      held.release();
      const { counts } = await endAt(attempt, 500);
      assert.equal(counts.sent, 500);
    });

    // Chaos, seed 1: what a datacenter had last published before a switch was sent once more minutes later, long beyond the window.
    it('sends nothing again that an earlier connection brings while it waits, though a later one is open', async () => {
      const began = Date.now() - 120 * MINUTE;
      const eventAt = (topic: string, name: string, at: Record<string, number>): string => {
        const id = Object.entries(at).map(([of, timestamp]) => ({ topic: of, partition: 0, timestamp }));
        const payload = { meta: { id: name, topic, partition: 0, offset: at[topic] } };
        return frame(JSON.stringify(payload), { id: JSON.stringify(id) });
      };
      const later = began + 60 * MINUTE;
      const both = eventAt('silent', 'old', { silent: began }) + eventAt('silent', 'new', { silent: later });
      const answers: ServerResponse[] = [];
      const server = await LocalServer.start((_, response) => {
        answers.push(openStream(response));
        if (answers.length === 1) response.end(both);
        if (answers.length === 2) response.write(both);
        if (answers.length === 3) response.write(eventAt('silent', 'last', { silent: later + 1 }));
      });
      servers.push(server);
      const held = new HeldAnswers();
      queue.take = held.take;
      let isAway = false;
      const cursor = {
        since: began - MINUTE,
        positions: { 'silent/0': { timestamp: began } },
        recent: { 'silent/0': keyDigest('payload:old') },
        ids: 'wikimedia',
      } as const;
      const attempt = begin(inputFor(server.url, { mostUnacknowledged: 1, cursor }), undefined, async () => {
        if (isAway) throw new Error('unavailable');
      });
      await server.asked(2);
      await eventually('the new one is on its way', () => held.count > 0);
      isAway = true;
      queue.take = takeAll;
      held.release();
      await eventually('the new one is sent', () => queue.keys.length === 1);
      answers[1]?.end();
      await server.asked(3);
      isAway = false;
      await eventually('the last one is sent', () => queue.keys.includes('payload:last'));
      attempt.cancel();
      await attempt.result;
      assert.deepEqual(queue.keys, ['payload:new', 'payload:last']);
    });

    it('ends by time while it waits, with what is confirmed', async () => {
      const stream = await simulate({ events: 500, broken: 0 });
      queue.take = (entries, call) => (call.count === 2 ? neverAnswer : takeAll)(entries, call);
      const input = inputFor(stream.url, { mostUnacknowledged: 50, longestMs: 2_000 });
      const attempt = begin(input);
      await eventually('it reads no more', () => stream.requests.length > 0 && stream.connections === 0);
      attempt.cancel();
      const { cursor } = await attempt.result;
      queue.take = takeAll;
      const before = queue.keys.length;
      // Ten, and what is within the bound beyond them but the second ten.
      assert(before <= 50, `${before} events are sent`);
      begin(inputFor(stream.url, { cursor }));
      await eventually('all are sent', () => new Set(queue.keys).size === 500);
      assert(queue.keys.length <= 540, `${queue.keys.length} events are sent in all`);
    });
  });

  describe('when SQS is slow', () => {
    it('stops reading, holds a bounded number of events, and goes on when SQS does', async () => {
      const stream = await simulate({ events: 15_000, broken: 0 });
      const held = new HeldAnswers();
      queue.take = held.take;
      const attempt = begin(inputFor(stream.url, { mostUnacknowledged: 15_000 }));
      await stream.published;
      await settled('bytes held by the server', () => stream.bufferedBytes);
      assert(stream.bufferedBytes > 0, 'the server could write everything');
      assert(held.count > 1 && held.count < 10, `${held.count} batches under way`);

      queue.take = takeAll;
      held.release();
      const { counts } = await endAt(attempt, 15_000);
      assert.equal(counts.sent, 15_000);
      assert.equal(new Set(queue.keys).size, 15_000);
    });

    it('sends again what it throttles, and loses nothing', async () => {
      const stream = await simulate({ events: 40, broken: 0 });
      queue.take = (entries, call) => {
        if (call.count <= 2) throw sqsError('ThrottlingException');
        return call.count <= 4 ? [] : takeAll(entries, call);
      };
      await endAt(begin(inputFor(stream.url)), 40);
      assert.deepEqual([...queue.keys].sort(), keysOf(stream));
    });
  });

  describe('rejects', () => {
    it("what is larger than the queue's own limit", async () => {
      const stream = await simulate({ events: 50, broken: 0 });
      queue.maximumBytes = 1024;
      const attempt = begin(inputFor(stream.url));
      await eventually('all are sorted', () => queue.bodies.length + store.objects.size === 50);
      const large = stream.ledger.published.filter(
        ({ text, key }) => Buffer.byteLength(text) + key.length + 'sluice.keyStringpayload:'.length > 1_024,
      );
      assert(large.length > 5 && large.length < 50);
      assert.deepEqual(
        [...store.objects.keys()].sort(),
        large.map(({ key }) => `raw/rejected/${sha256(`payload:${key}`)}.json`).sort(),
      );
      attempt.cancel();
      await attempt.result;
    });

    it('what SQS refuses, and moves its cursor over it', async () => {
      const stream = await simulate({ events: 30, broken: 0 });
      queue.take = (messages) =>
        messages.map((_, index) =>
          index > 0 ? { ok: true } : { ok: false, code: 'InvalidMessageContents', message: 'bad' },
        );
      // Slower than SQS: the stint is to end with these under way.
      store.before = () => eventually('all others are sent', () => queue.keys.length === 27);
      const attempt = begin(inputFor(stream.url));
      await eventually('all are kept', () => keptUnder('rejected').length === 3);
      const { counts, ended, cursor } = await endAt(attempt, 27);
      assert.equal(ended, 'cancelled');
      assert.equal(counts.sent, 27);
      assert.deepEqual(counts.rejected, { 'refused-by-sqs': 3 });
      const kept = keptUnder('rejected').map((key) => store.objects.get(key) ?? '');
      assert.equal(kept.length, 3);
      for (const body of kept) assert(body.includes('InvalidMessageContents: bad'), body);
      assert.equal(Object.values(cursor.recent).join('').length, (30 + stream.ledger.canaries) * 16);
    });

    it('again after S3 has failed for a while', async () => {
      const stream = await simulate({ events: 3, broken: 3, brokenKinds: ['not-json'] });
      store.before = (count) => {
        if (count === 1) throw s3Error('InternalError', 500);
        if (count === 2) throw s3Error('SlowDown', 503);
      };
      begin(inputFor(stream.url));
      await eventually('all are kept', () => store.objects.size === 3);
      assert.equal(store.puts.length, 5);
    });
  });

  describe('is blocked, and says what to do,', () => {
    async function blocked(input: StintInput): Promise<string> {
      const { ended, problem = '' } = await begin(input).result;
      assert.equal(ended, 'blocked');
      return problem;
    }

    it('when a hundred events in a row can not become messages', async () => {
      const stream = await simulate({ events: 150, broken: 150, brokenKinds: ['not-json', 'not-an-object'] });
      const problem = await blocked(inputFor(stream.url));
      assert.match(
        problem,
        /^100 events in a row could not become messages, the last one for not-(json|an-object) \(/,
      );
      assert(problem.includes(`Check that ${stream.url} is the stream you mean, then resume`));
      assert.equal(store.objects.size, 100);
    });

    it('but not when some of a hundred can', async () => {
      const stream = await simulate({ events: 400, broken: 300, brokenKinds: ['not-json'] });
      const { ended } = await endAt(begin(inputFor(stream.url)), 100);
      assert.equal(ended, 'cancelled');
      assert.deepEqual([...queue.keys].sort(), keysOf(stream));
    });

    it('when the source is not there', async () => {
      const stream = await simulate();
      const problem = await blocked(inputFor(stream.url.replace('recentchange', 'other')));
      assert.match(problem, /\/other answered 404 .*: correct SLUICE_SOURCE_URL/);
    });

    it('when the queue is missing', async () => {
      const stream = await simulate();
      queue.openingFails = async () => {
        throw sqsError('QueueDoesNotExist');
      };
      assert.equal(
        await blocked(inputFor(stream.url)),
        'Could not open the queue queue: QueueDoesNotExist: QueueDoesNotExist, said SQS. ' +
          'Mend it (`sluice provision` creates what is missing), then resume',
      );
    });

    it('when it may not send', async () => {
      const stream = await simulate({ events: 50, broken: 0 });
      queue.take = () => {
        throw sqsError('AccessDenied', 403);
      };
      assert.match(
        await blocked(inputFor(stream.url)),
        /^Could not send to the queue queue: AccessDenied: .* then resume$/,
      );
      assert.equal(queue.bodies.length, 0);
    });

    it('when the bucket for rejected events is missing', async () => {
      const stream = await simulate({ events: 5, broken: 5, brokenKinds: ['not-json'] });
      store.before = () => {
        throw s3Error('NoSuchBucket', 404);
      };
      assert.match(
        await blocked(inputFor(stream.url)),
        /^Could not write a rejected event to the bucket lake: NoSuchBucket: .* then resume$/,
      );
    });
  });

  it('returns that it failed where that may pass, with what it knows', async () => {
    const stream = await simulate();
    queue.openingFails = async () => {
      throw sqsError('InternalError', 500);
    };
    const input = inputFor(stream.url);
    const { ended, problem, cursor } = await begin(input).result;
    assert.deepEqual([ended, problem], ['failed', 'InternalError: InternalError, said SQS']);
    assert.deepEqual(cursor, input.cursor);
  });
});
