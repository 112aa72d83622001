import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cursor, OffsetPosition } from '../../../src/sources/cursor';
import { findHoles } from '../../../src/sources/completeness';
import { type KafkaOptions, kafkaSource } from '../../../src/sources/kafka/source';
import { type ReconnectReason, SourceRefused } from '../../../src/sources/source';
import { keyDigest } from '../../../src/event/key';
import { ConfirmedCursor } from '../../../src/sources/confirmed-cursor';
import { Gate } from '../../support/gate';
import { type EntryKind, FakeCluster, type FakePartition, FakeTopic } from '../../support/fake-cluster';

const EARLIEST: Cursor = { since: 0, positions: {}, recent: {} };

/** A reader that confirms what it gets, and the rows of all readers of one topic. */
class Reader {
  readonly cursor: ConfirmedCursor;
  /** Payloads in the order in which they came. */
  readonly texts: string[] = [];
  /** Cursors as heartbeats told them, of which the last may not have arrived. */
  readonly told: Cursor[] = [];
  readonly reconnects: ReconnectReason[] = [];
  readonly #stop = new AbortController();
  readonly #ended: Promise<unknown>;
  #problem: unknown;

  /** @param rows payloads by key, as the window knows them: two payloads of one key would be one row */
  constructor(
    topic: FakeTopic,
    readonly rows: Map<string, string>,
    from: Cursor,
    options: Partial<KafkaOptions>,
  ) {
    this.cursor = new ConfirmedCursor(from);
    const source = kafkaSource({
      bootstrap: [{ host: 'nowhere', port: 1 }],
      topic: 't',
      backoffMs: 1,
      refreshMs: 2,
      connect: () => new FakeCluster(topic),
      onReconnect: (reason) => this.reconnects.push(reason),
      ...options,
    });
    this.#ended = this.#follow(source).catch((error: unknown) => (this.#problem = error));
  }

  async #follow(source: ReturnType<typeof kafkaSource>): Promise<void> {
    for await (const event of source.read(() => this.cursor.resume(), this.#stop.signal)) {
      if ('mark' in event) this.cursor.mark(event.mark, event.place);
      else {
        const { key } = event.read;
        this.texts.push(event.text);
        assert.equal(this.rows.get(key) ?? event.text, event.text, `${key} is the key of two records`);
        this.rows.set(key, event.text);
        const digest = keyDigest(key);
        this.cursor.confirm(this.cursor.received(event, digest, event.read));
      }
      this.told.push(JSON.parse(JSON.stringify(this.cursor.cursor())) as Cursor);
    }
  }

  at(partition: number): OffsetPosition {
    const position = this.cursor.positions[`t/${partition}`];
    return position && 'offset' in position ? position : { offset: -1 };
  }

  /** Whether it is where the log ends, as this leader has it. */
  isDone({ end, newestEpoch }: FakePartition, partition: number): boolean {
    const { offset, epochs } = this.at(partition);
    return offset === end && (newestEpoch === undefined || epochs?.at(-1)?.[0] === newestEpoch);
  }

  async done({ partitions }: FakeTopic): Promise<void> {
    await this.until(() => partitions.every((each, index) => this.isDone(each, index)));
  }

  /** Or until it has failed. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!condition() && this.#problem === undefined) {
      if (Date.now() > deadline) throw new Error(`not reached: ${JSON.stringify(this.cursor.positions)}`);
      await delay(1);
    }
  }

  /** @returns with what it failed, if it did */
  async stop(): Promise<unknown> {
    this.#stop.abort();
    await this.#ended;
    return this.#problem;
  }

  /** @returns the message, once it refused */
  async refusal(): Promise<{ message: string; isFinal: boolean }> {
    await this.until(() => false);
    assert(this.#problem instanceof SourceRefused, String(this.#problem));
    return this.#problem;
  }
}

let texts = 0;

function append(partition: FakePartition, kinds: readonly EntryKind[]): void {
  for (const kind of kinds) partition.append(kind, JSON.stringify({ n: (texts += 1) }));
}

const records = (count: number) => Array<EntryKind>(count).fill('record');

describe('A Kafka source', () => {
  const readers: Reader[] = [];
  afterEach(async () => {
    await Promise.all(readers.splice(0).map((reader) => reader.stop()));
  });

  function read(
    topic: FakeTopic,
    {
      from = EARLIEST,
      rows = new Map<string, string>(),
      ...options
    }: Partial<KafkaOptions> & { from?: Cursor; rows?: Map<string, string> } = {},
  ): Reader {
    const reader = new Reader(topic, rows, from, options);
    readers.push(reader);
    return reader;
  }

  describe('of which the end was replaced', () => {
    /** Read up to 10, of which the other broker, which leads now, has 6; it has gone on to 15. */
    async function replaced() {
      const topic = new FakeTopic();
      const [partition = topic.at(0)] = topic.partitions;
      append(partition, records(6));
      partition.follow(false);
      append(partition, records(4));
      const first = read(topic);
      await first.done(topic);
      await first.stop();
      partition.elect(1);
      append(partition, records(9));
      return { topic, partition, from: first.cursor.cursor(), rows: first.rows };
    }

    const SENTENCE =
      '4 offsets of t/0 (6 to 9) hold other records than those that were read there, or none: ' +
      'the log lost its end, as in an unclean leader election';

    it('refuses for good, before it reads anything behind', async () => {
      const { topic, from, rows } = await replaced();
      const reader = read(topic, { from, rows });
      const { message, isFinal } = await reader.refusal();
      assert.equal(
        message,
        `${SENTENCE}. What was read stays in the lake. To read what is there now, update with SLUICE_SOURCE_LOSS=continue`,
      );
      assert.equal(isFinal, true);
      assert.deepEqual(reader.texts, []);
    });

    it('goes back to where it was replaced where that is wanted, and each record is itself', async () => {
      const { topic, partition, from, rows } = await replaced();
      const told: string[] = [];
      const onReconnect = (reason: ReconnectReason, detail: string) => told.push(`${reason}: ${detail}`);
      const reader = read(topic, { from, rows, afterLoss: 'continue', onReconnect });
      await reader.done(topic);
      assert.deepEqual(reader.texts, partition.texts.slice(6));
      assert.deepEqual(told, [`replaced: ${SENTENCE}`]);
      assert.equal(rows.size, 19);
      assert.deepEqual([...rows.keys()].slice(9, 11), ['record:t/0/9@0', 'record:t/0/6@1']);
      assert.deepEqual(reader.at(0), {
        offset: 15,
        epochs: [
          [0, 0],
          [1, 6],
        ],
        cuts: 1,
      });
      // Once for all.
      const next = read(topic, { from: reader.cursor.cursor(), rows, afterLoss: 'continue', onReconnect });
      append(partition, records(1));
      await next.done(topic);
      assert.deepEqual([next.texts.length, told.length], [1, 1]);
    });

    it('goes back though nothing has come there yet, and asks no more', async () => {
      const topic = new FakeTopic();
      const [partition = topic.at(0)] = topic.partitions;
      append(partition, records(6));
      partition.follow(false);
      append(partition, records(4));
      const first = read(topic, { afterLoss: 'continue' });
      await first.done(topic);
      partition.elect(1);
      await first.until(() => first.at(0).cuts === 1);
      assert.deepEqual(first.at(0), { offset: 6, epochs: [[0, 0]], cuts: 1 });
    });

    it('goes on in a cursor from before epochs were kept, with what is there', async () => {
      const { topic, partition } = await replaced();
      const from = { ...EARLIEST, positions: { 't/0': { offset: 10 } } };
      const reader = read(topic, { from });
      await reader.done(topic);
      assert.deepEqual(reader.texts, partition.texts.slice(10));
      assert.deepEqual(reader.at(0), { offset: 15, epochs: [[1, 10]] });
    });

    it('goes on where brokers do not say where epochs end', async () => {
      const { topic, partition, from } = await replaced();
      topic.knowsEpochs = false;
      const reader = read(topic, { from });
      await reader.done(topic);
      assert.deepEqual(reader.texts, partition.texts.slice(10));
    });
  });

  it('reads nothing from a leader that does not answer for what was read, and the other partitions all the same', async () => {
    const topic = new FakeTopic(2);
    topic.epochError = 6;
    for (const each of topic.partitions) append(each, records(5));
    const positions = { 't/0': { offset: 3, epochs: [[0, 0]] as const }, 't/1': { offset: 3 } };
    const reader = read(topic, { from: { ...EARLIEST, positions } });
    await reader.until(() => reader.isDone(topic.at(1), 1) && reader.reconnects.length > 3);
    assert.equal(reader.at(0).offset, 3);
    topic.epochError = 0;
    await reader.done(topic);
  });

  it('drops what a leader answered that is none any more: it may have been replaced meanwhile', async () => {
    const topic = new FakeTopic();
    const partition = topic.at(0);
    append(partition, records(4));
    const rows = new Map<string, string>();
    const first = read(topic, { rows });
    await first.done(topic);
    await first.stop();
    partition.follow(false);
    append(partition, records(2));
    const gate = new Gate();
    topic.onItsWay = () => (gate.waiting === 0 ? gate.pass() : delay(0));
    const reader = read(topic, { rows, from: first.cursor.cursor() });
    await reader.until(() => gate.waiting > 0);
    topic.asked.splice(0);
    partition.elect(1);
    append(partition, records(5));
    await reader.until(() => topic.asked.length > 0);
    gate.open();
    await reader.done(topic);
    assert.deepEqual(reader.texts, partition.texts.slice(4));
  });

  it('refuses more partitions than a cursor can hold', async () => {
    const { message } = await read(new FakeTopic(400)).refusal();
    assert.match(message, /has 400 partitions in the topic t, and a cursor holds the positions of 3\d\d:/);
  });

  it('asks a leader once, and the next one again', async () => {
    const topic = new FakeTopic();
    append(topic.at(0), records(5));
    const reader = read(topic);
    await reader.done(topic);
    assert.equal(topic.asked.length, 0);
    for (const epoch of [1, 2]) {
      topic.at(0).elect(0);
      append(topic.at(0), records(5));
      await reader.done(topic);
      assert.deepEqual(topic.asked.splice(0), [{ partition: 0, leaderEpoch: epoch, epoch: epoch - 1 }]);
    }
  });

  it('refuses a topic that was created anew, though it has grown as long', async () => {
    const topic = new FakeTopic();
    topic.at(0).elect(0);
    append(topic.at(0), records(5));
    const first = read(topic);
    await first.done(topic);
    await first.stop();
    topic.at(0).createAnew();
    append(topic.at(0), records(10));
    const reader = read(topic, { from: first.cursor.cursor() });
    const { message, isFinal } = await reader.refusal();
    assert.match(
      message,
      /^t\/0 has a leader of epoch 0, and was read in epoch 1 before: the topic was created anew/,
    );
    assert.deepEqual([isFinal, reader.texts], [true, []]);
  });

  it('refuses one that was created anew and is shorter, also where it is to go on after a loss', async () => {
    const topic = new FakeTopic();
    append(topic.at(0), records(5));
    const first = read(topic);
    await first.done(topic);
    await first.stop();
    topic.at(0).createAnew();
    append(topic.at(0), records(2));
    const reader = read(topic, { from: first.cursor.cursor(), afterLoss: 'continue' });
    const { message, isFinal } = await reader.refusal();
    assert.match(message, /^t\/0 ends at offset 2, and was read up to 5 before: the topic was created anew/);
    assert.deepEqual([isFinal, reader.texts], [true, []]);
  });

  it('forgets where epochs begin that it did not read, as they were deleted', async () => {
    const topic = new FakeTopic();
    const partition = topic.at(0);
    append(partition, records(5));
    const first = read(topic);
    await first.done(topic);
    await first.stop();
    for (const kinds of [records(5), records(5)]) {
      partition.elect(0);
      append(partition, kinds);
    }
    partition.trim(12);
    const reader = read(topic, { from: first.cursor.cursor(), afterLoss: 'continue' });
    await reader.done(topic);
    assert.deepEqual(reader.at(0), { offset: 15, epochs: [[2, 12]] });
    assert.deepEqual(reader.reconnects, ['expired']);
  });

  describe('of which the end holds no record', () => {
    it('has passed it: what is deleted later parks nothing', async () => {
      const topic = new FakeTopic();
      const partition = topic.at(0);
      append(partition, ['record', 'aborted', 'abort']);
      const first = read(topic);
      await first.done(topic);
      await first.stop();
      assert.deepEqual(first.at(0), { offset: 3, from: 1, epochs: [[0, 0]] });
      partition.trim(3);
      const reader = read(topic, { from: first.cursor.cursor() });
      append(partition, records(1));
      await reader.done(topic);
      assert.deepEqual(reader.reconnects, []);
      assert.equal(findHoles(reader.cursor.completeness).offsets, 0);
    });

    it('says of the next record from where on there was none, so that nothing is missed in the lake', async () => {
      const topic = new FakeTopic();
      append(topic.at(0), ['record', 'aborted', 'abort']);
      const first = read(topic);
      await first.done(topic);
      await first.stop();
      append(topic.at(0), records(1));
      const source = kafkaSource({
        bootstrap: [],
        topic: 't',
        connect: () => new FakeCluster(topic),
      });
      const stop = new AbortController();
      for await (const event of source.read(() => first.cursor.cursor(), stop.signal)) {
        if ('mark' in event) continue;
        assert.deepEqual([event.read.from, event.read.offset], [1, 3]);
        stop.abort();
      }
    });

    it('waits at it for what is not confirmed before it', async () => {
      const topic = new FakeTopic();
      append(topic.at(0), ['record', 'commit']);
      const cursor = new ConfirmedCursor(EARLIEST);
      const source = kafkaSource({ bootstrap: [], topic: 't', connect: () => new FakeCluster(topic) });
      const stop = new AbortController();
      let marks = 0;
      for await (const event of source.read(() => cursor.resume(), stop.signal)) {
        if (!('mark' in event)) {
          cursor.received(event, keyDigest(event.read.key), event.read);
          continue;
        }
        cursor.mark(event.mark, event.place);
        marks += 1;
        if (marks === 2) stop.abort();
      }
      assert.deepEqual(cursor.positions, { 't/0': { offset: 0 } });
    });
  });

  describe('over any log', () => {
    const kind: fc.Arbitrary<EntryKind> = fc.constantFrom('record', 'record', 'aborted', 'abort', 'commit');

    it('has a cursor at the end of each partition once all is read, whatever stands there', async () => {
      const logs = fc.array(fc.array(fc.array(kind, { maxLength: 7 }), { maxLength: 4 }), {
        minLength: 1,
        maxLength: 3,
      });
      await fc.assert(
        fc.asyncProperty(logs, async (logs) => {
          const topic = new FakeTopic(logs.length);
          const rows = new Map<string, string>();
          let from = EARLIEST;
          for (let stint = 0; stint < 4; stint += 1) {
            for (const [partition, stints] of logs.entries()) {
              append(topic.at(partition), ended(stints[stint] ?? []));
            }
            const reader = read(topic, { from, rows });
            await reader.done(topic);
            assert.equal(await reader.stop(), undefined);
            assert.equal(findHoles(reader.cursor.completeness).offsets, 0);
            from = reader.told.at(-1) ?? from;
            // Whatever was read may be deleted.
            for (const each of topic.partitions) each.trim(each.end);
            readers.splice(0);
          }
        }),
        { numRuns: 40 },
      );
    });

    type Step =
      | { do: 'append'; kinds: EntryKind[] }
      | { do: 'follow'; isFollowed: boolean }
      | { do: 'elect' }
      | { do: 'drain' }
      | { do: 'stop'; isSudden: boolean };

    const step: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant('append' as const),
          kinds: fc.array(kind, { minLength: 1, maxLength: 6 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('follow' as const), isFollowed: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('elect' as const) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('drain' as const) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('stop' as const), isSudden: fc.boolean() }) },
    );

    /** Lives through elections, at any of which the leader's log may be another one. */
    async function live(steps: readonly Step[], afterLoss: 'stop' | 'continue') {
      const topic = new FakeTopic();
      const partition = topic.at(0);
      const rows = new Map<string, string>();
      const refused: string[] = [];
      let reader = read(topic, { rows, afterLoss });
      for (const each of steps) {
        if (each.do === 'append') append(partition, ended(each.kinds));
        else if (each.do === 'follow') partition.follow(each.isFollowed);
        else if (each.do === 'elect') partition.elect(1 - partition.leader);
        else if (each.do === 'drain') await reader.done(topic);
        else {
          const before = reader;
          const problem = await before.stop();
          if (problem !== undefined) refused.push((problem as Error).message);
          const told = each.isSudden ? before.told.at(-3) : before.told.at(-1);
          reader = read(topic, { rows, afterLoss, from: told ?? before.told[0] ?? EARLIEST });
        }
        await delay(0);
      }
      await reader.done(topic);
      const problem = await reader.stop();
      readers.splice(0);
      return { topic, partition, rows, reader, refused, problem };
    }

    it('has all that the last leader has, each record once, whatever was replaced and whenever it was killed', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
          const { partition, rows, problem } = await live(steps, 'continue');
          assert.equal(problem, undefined);
          const texts = [...rows.values()];
          assert.equal(new Set(texts).size, texts.length, 'a record has two keys');
          const missing = partition.texts.filter((text) => !texts.includes(text));
          assert.deepEqual(missing, []);
        }),
        { numRuns: 100 },
      );
    });

    it('reads nothing behind a cut, unless it is to', async () => {
      let cuts = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 9 }),
          fc.integer({ min: 1, max: 9 }),
          fc.integer({ min: 1, max: 20 }),
          fc.boolean(),
          async (shared, own, regrown, isLive) => {
            const topic = new FakeTopic();
            const partition = topic.at(0);
            append(partition, records(shared));
            partition.follow(false);
            append(partition, records(own));
            const first = read(topic);
            await first.done(topic);
            if (!isLive) await first.stop();
            const before = first.texts.length;
            partition.elect(1);
            append(partition, records(regrown));
            const reader = isLive ? first : read(topic, { from: first.cursor.cursor() });
            const { message } = await reader.refusal();
            assert.match(
              message,
              new RegExp(`^${own} offsets of t/0 \\(${shared} to ${shared + own - 1}\\) hold`),
            );
            assert.equal(reader.texts.length, isLive ? before : 0);
            cuts += 1;
            readers.splice(0);
          },
        ),
        { numRuns: 40 },
      );
      assert(cuts >= 40);
    });
  });
});

/** Transactions end before the reading does: records of one that is open are not handed out. */
function ended(kinds: readonly EntryKind[]): EntryKind[] {
  return kinds.lastIndexOf('aborted') > Math.max(kinds.lastIndexOf('abort'), kinds.lastIndexOf('commit'))
    ? [...kinds, 'abort']
    : [...kinds];
}
