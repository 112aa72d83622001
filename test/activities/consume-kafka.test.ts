import assert from 'node:assert/strict';
import type { StintInput } from '../../src/activities/consume-stream';
import { whyNoKafka } from '../../local/kafka-jars';
import { findHoles } from '../../src/sources/completeness';
import { type Cursor, cursorTime } from '../../src/sources/cursor';
import { NO_GAPS } from '../../src/sources/gaps';
import { eventually } from '../support/eventually';
import { Attempt } from '../support/attempt';
import { FakeStore } from '../support/fake-store';
import { FAKE_LANE, FakeQueue, neverAnswer, takeAll } from '../support/fake-queue';
import { KafkaCluster } from '../support/kafka-cluster';

const PARTITIONS = 3;
const BEGINNING: Cursor = { since: 0, positions: {}, recent: {} };
/** Of the first event; each one is a second later than the one before. */
const FIRST_AT = Date.parse('2026-01-01T00:00:00Z');

const reason = whyNoKafka();
const suite = reason === undefined ? describe : describe.skip;

suite(
  `The activity consumeStream on a Kafka topic${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  () => {
    let cluster: KafkaCluster;
    let topic: string;
    let published: number;
    let queue: FakeQueue;
    const attempts: Attempt[] = [];

    before(async function () {
      this.timeout(300_000);
      cluster = await KafkaCluster.start();
    });

    beforeEach(async () => {
      topic = await cluster.createTopic(PARTITIONS);
      published = 0;
      queue = new FakeQueue();
    });

    afterEach(async () => {
      for (const attempt of attempts) attempt.cancel();
      await Promise.allSettled(attempts.splice(0).map(({ result }) => result));
    });

    after(() => cluster?.close());

    async function publish(count: number): Promise<void> {
      const numbers = Array.from({ length: count }, (_, index) => published + index);
      published += count;
      await cluster.send(
        topic,
        numbers.map((n) => ({
          value: JSON.stringify({ n }),
          partition: n % PARTITIONS,
          timestamp: FIRST_AT + n * 1_000,
        })),
      );
    }

    function begin(
      input: Partial<StintInput> = {},
      heartbeatDetails?: Attempt['heartbeats'][number],
    ): Attempt {
      const [broker] = cluster.bootstrap;
      const attempt = new Attempt(
        { queue, store: new FakeStore() },
        {
          pipeline: 'test',
          source: { url: `kafka://127.0.0.1:${broker?.port}/${topic}`, contact: '' },
          queue: 'queue',
          lane: FAKE_LANE,
          gaps: NO_GAPS,
          lake: { bucket: 'lake', prefix: 'raw' },
          cursor: BEGINNING,
          completeness: {},
          longestMs: 600_000,
          packEvents: 1,
          mostUnacknowledged: 10_000,
          ...input,
        },
        heartbeatDetails,
      );
      attempts.push(attempt);
      return attempt;
    }

    const sent = () => queue.bodies.map((body) => (JSON.parse(body) as { n: number }).n);
    const numbersTo = (count: number) => Array.from({ length: count }, (_, n) => n);
    const inOrder = (numbers: readonly number[]) => [...numbers].sort((one, other) => one - other);
    /** The next offset of each partition, and where its leader's epoch begins, once so many events are read. */
    const positionsAfter = (count: number) =>
      Object.fromEntries(
        Array.from({ length: PARTITIONS }, (_, partition) => [
          `${topic}/${partition}`,
          {
            offset: numbersTo(count).filter((n) => n % PARTITIONS === partition).length,
            epochs: [[0, 0]],
          },
        ]),
      );

    it('sends each partition in its order, and heartbeats the next offsets and the time of the newest event', async () => {
      await publish(300);
      const { heartbeats } = begin();
      await eventually('all are sent and told', () => heartbeats.at(-1)?.counts.sent === 300);
      assert.deepEqual(inOrder(sent()), numbersTo(300));
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        const ofPartition = sent().filter((n) => n % PARTITIONS === partition);
        assert.deepEqual(ofPartition, inOrder(ofPartition));
      }
      const cursor = heartbeats.at(-1)?.cursor ?? BEGINNING;
      assert.deepEqual(cursor.positions, positionsAfter(300));
      assert.equal(cursorTime(cursor), '2026-01-01T00:04:59.000Z');
    });

    it('passes over a record that repeats a key, once what came before it is safe', async () => {
      const records = ['a', 'b', 'a', 'a'].map((id) => ({ value: JSON.stringify({ id }), partition: 0 }));
      await cluster.send(topic, records);
      const [broker] = cluster.bootstrap;
      const source = { url: `kafka://127.0.0.1:${broker?.port}/${topic}`, contact: '', key: 'id' };
      const first = begin({ source });
      await eventually('all are passed', () => {
        const position = first.heartbeats.at(-1)?.cursor.positions[`${topic}/0`];
        return position !== undefined && 'offset' in position && position.offset === 4;
      });
      first.cancel();
      const { cursor, counts, completeness } = await first.result;
      assert.deepEqual([counts.sent, counts.repeats], [2, 2]);
      assert.equal(findHoles(completeness).offsets, 0);
      assert.deepEqual(cursor.positions[`${topic}/0`], { offset: 4, epochs: [[0, 0]] });
    });

    it('returns its cursor when the workflow cancels it, without what SQS did not confirm', async () => {
      await publish(40);
      // The second batch is never confirmed, the others are.
      queue.take = (entries, call) => (call.count === 2 ? neverAnswer : takeAll)(entries, call);
      const first = begin();
      await eventually('three batches are confirmed', () => queue.bodies.length === 30);
      first.cancel();
      const { ended, cursor, completeness } = await first.result;
      assert.equal(ended, 'cancelled');

      queue.take = takeAll;
      await publish(20);
      const second = begin({ cursor, completeness });
      await eventually('all are sent', () => new Set(sent()).size === 60);
      second.cancel();
      const { cursor: last } = await second.result;
      assert.deepEqual(last.positions, positionsAfter(60));
      assert(sent().length <= 60 + 20, 'what was confirmed behind the second batch is all that comes again');
    });

    it('goes on in a later attempt from the last heartbeat, without loss or repeats', async () => {
      await publish(300);
      const first = begin();
      await eventually('all are sent and told', () => first.heartbeats.at(-1)?.counts.sent === 300);
      first.cancel('workerShutdown');
      assert.equal((await first.result).ended, 'interrupted');

      await publish(50);
      const second = begin({}, first.heartbeats.at(-1));
      await eventually('the others are sent', () => queue.bodies.length === 350);
      second.cancel();
      const { counts } = await second.result;
      assert.deepEqual([counts.sent, counts.repeats], [350, 0]);
      assert.deepEqual(inOrder(sent()), numbersTo(350));
    });
  },
);
