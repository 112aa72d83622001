import assert from 'node:assert/strict';
import { keyDigest } from '../../src/event/key';
import { keepAdoption } from '../../src/lake/adoption';
import { keepCanary } from '../../src/lake/kept';
import { batchKey } from '../../src/lake/layout';
import { claimLake } from '../../src/lake/owner';
import { rowsObject } from '../../src/lake/rows-object';
import { LIMITS } from '../../src/lane/limits';
import { Uploading } from '../../src/lane/uploading';
import { loadPipeline } from '../../src/settings/pipeline';
import { auditLake } from '../../src/verify/audit';
import { describeReport } from '../../src/verify/describe';
import { MemoryBucket } from '../support/memory-bucket';

const LAKE = { bucket: 'lake', prefix: 'raw' };

const NOW = Date.parse('2026-01-31T12:00:00Z');

const RULES = { hours: { since: -Infinity, until: Infinity }, graceMs: 0, now: NOW };

/** An object with one row for each offset of the partition `t/0`. */
function put(
  bucket: MemoryBucket,
  sequence: number,
  offsets: readonly number[],
  modifiedAt = NOW,
  incarnation = '1a2b3c4d',
): void {
  const key = batchKey(LAKE.prefix, {
    lane: 0,
    incarnation,
    sequence,
    frozenAt: NOW,
    firstKeyDigest: keyDigest(`id-${offsets[0]}`),
  });
  const { body, metadata } = rowsObject({
    version: 1,
    columns: ['topic', 'partition', 'offset'],
    place: { kind: 'meta', at: [0, 1, 2] },
    rows: offsets.map((offset) => ['t', '0', String(offset)]),
    keys: offsets.map((offset) => keyDigest(`id-${offset}`)),
  });
  bucket.put(key, body, modifiedAt, metadata);
}

describe('The audit of a lake', () => {
  it('finds by the objects alone what is missing and what is there twice', async () => {
    const bucket = new MemoryBucket();
    const store = bucket.store(LAKE);
    await claimLake(store, { pipeline: 'test', lane: 'lane', run: 'default/run' });
    put(bucket, 1, [1, 2]);
    put(bucket, 3, [2, 6]);
    const canary = { meta: { id: 'id-4', domain: 'canary', topic: 't', partition: 0, offset: 4 } };
    await keepCanary(store, { source: 's', id: '', key: 'id-4', text: JSON.stringify(canary) });
    const report = await auditLake(store, RULES);
    assert.deepEqual([report.whole, report.claimed, report.objects, report.rows], [false, true, 2, 4]);
    assert.equal(report.canaries, 1);
    assert.equal(report.sequence.missing.count, 1);
    assert.deepEqual(
      report.keys?.repeated.named.map(({ key }) => key),
      [keyDigest('id-2')],
    );
    assert.deepEqual(
      report.offsets?.missing.named.map(({ from, to }) => [from, to]),
      [
        [3, 3],
        [5, 5],
      ],
    );
  });

  it('tells by the clock of S3 how young an object is, whatever that of this machine says', async () => {
    const bucket = new MemoryBucket();
    const { now, ...rules } = { ...RULES, graceMs: 60_000 };
    bucket.now = () => now + 59_000;
    put(bucket, 1, [1]);
    put(bucket, 3, [3]);
    const look = () => auditLake(bucket.store(LAKE), rules, { pause: () => Promise.resolve() });
    assert.equal((await look()).sequence.onTheWay, 1);
    bucket.now = () => now + 61_000;
    assert.equal((await look()).sequence.missing.count, 1);
  });

  it('looks again for what may be on its way, and hands on what it reads', async () => {
    const bucket = new MemoryBucket();
    const store = bucket.store(LAKE);
    put(bucket, 1, [1]);
    put(bucket, 3, [3]);
    const pauses: number[] = [];
    const read: string[] = [];
    const report = await auditLake(
      store,
      { ...RULES, graceMs: 60_000 },
      {
        pause: (milliseconds) => {
          pauses.push(milliseconds);
          if (pauses.length === 2) put(bucket, 2, [2]);
          return Promise.resolve();
        },
        progress: (items, { what, total }) => {
          if (total > 0) read.push(`${what}: ${total}`);
          return items;
        },
      },
    );
    assert.deepEqual([report.whole, report.unchecked], [true, []]);
    assert.deepEqual(pauses, [1_000, 2_000]);
    assert.deepEqual(read, ['objects read: 2', 'late objects read: 1']);
  });

  it('takes numbers for no loss that a lane never wrote, whose place another one took, and tells of it', async () => {
    const bucket = new MemoryBucket();
    const store = bucket.store(LAKE);
    put(bucket, 1, [1, 2]);
    put(bucket, 3, [5, 6]);
    assert.equal((await auditLake(store, RULES)).sequence.missing.count, 1);
    const closed = [{ lane: 0, incarnation: '1a2b3c4d', last: 3, missing: [2] }];
    const time = '2026-01-31T12:30:00.000Z';
    const life = { lane: 0, incarnation: '9a9a9a9a' };
    await keepAdoption(store, life, { pipeline: 'test', run: 'default/run-2', time, closed });
    put(bucket, 1, [3, 4], NOW, '9a9a9a9a');
    const report = await auditLake(store, RULES);
    assert.deepEqual([report.whole, report.unchecked], [true, []]);
    const notes = describeReport(report).filter((line) => /^(?:adoption|sequence) /.test(line));
    assert.deepEqual(notes, [
      'adoption by lane 0 (9a9a9a9a) at 2026-01-31T12:30:00.000Z: it goes on where another one ended',
      'sequence 2 of lane 0 (1a2b3c4d) was never written: its lane died before, and its rows are in objects of another',
    ]);
  });

  it('finds what a dead lane wrote behind the back of the one that took its place', async () => {
    const bucket = new MemoryBucket();
    const store = bucket.store(LAKE);
    put(bucket, 1, [1, 2]);
    const closed = [{ lane: 0, incarnation: '1a2b3c4d', last: 1, missing: [] }];
    await keepAdoption(
      store,
      { lane: 0, incarnation: '9a9a9a9a' },
      { pipeline: 'test', run: 'r', time: 'now', closed },
    );
    put(bucket, 1, [3, 4], NOW, '9a9a9a9a');
    put(bucket, 2, [4], NOW);
    const { keys } = await auditLake(store, RULES);
    assert.deepEqual(
      keys?.repeated.named.map(({ key }) => key),
      [keyDigest('id-4')],
    );
  });

  it('finds an adoption broken that does not say what it is', async () => {
    const bucket = new MemoryBucket();
    put(bucket, 1, [1]);
    bucket.put('raw/_sluice/adoptions/9a9a9a9a.json', '{}');
    const { broken } = await auditLake(bucket.store(LAKE), RULES);
    assert.deepEqual(
      broken.named.map(({ problem }) => problem),
      ['it does not say which lanes were taken over'],
    );
  });

  it('knows the cursor that a pipeline keeps', async () => {
    const bucket = new MemoryBucket();
    put(bucket, 1, [1]);
    bucket.put('raw/_sluice/cursor.json', '{}');
    assert.equal((await auditLake(bucket.store(LAKE), RULES)).whole, true);
  });

  describe('of what a lane wrote', () => {
    /** Two batches of one row each: the second row says that it is the first one again. */
    async function auditOf(settings: Record<string, string>) {
      const bucket = new MemoryBucket();
      const columns = 'title,topic=kafka.topic,partition=kafka.partition,offset=kafka.offset,from=kafka.from';
      const definition = loadPipeline({
        SLUICE_SOURCE_URL: 'kafka://localhost:9092/t',
        SLUICE_COLUMNS: columns,
        SLUICE_PREFIX: LAKE.prefix,
        ...settings,
      });
      const uploading = new Uploading({ lane: 0, incarnation: '1a2b3c4d' }, LIMITS);
      for (const offset of ['1', '2']) {
        const cells = ['x', 't', '0', offset, offset];
        const row = { key: keyDigest('t/0/1'), cells, bytes: 20, admittedAt: NOW };
        uploading.freeze([row], definition, { version: 1, now: NOW });
      }
      for (const { input } of uploading.work()) {
        const { body, metadata } = rowsObject(input);
        bucket.put(input.key, body, NOW, metadata);
      }
      return await auditLake(bucket.store(LAKE), RULES);
    }

    it('compares the keys of its rows, and knows by the objects that they are records of Kafka', async () => {
      const { keys, offsets, unchecked } = await auditOf({});
      assert.equal(keys?.repeated.named[0]?.key, keyDigest('t/0/1'));
      assert.deepEqual(offsets?.partitions, [{ partition: 't/0', from: 1, to: 2 }]);
      assert.deepEqual(unchecked, []);
    });

    it('can not compare them where SLUICE_KEY_COLUMN is off, and says so', async () => {
      const { keys, whole, unchecked } = await auditOf({ SLUICE_KEY_COLUMN: 'off' });
      assert.deepEqual([keys, whole], [undefined, true]);
      assert.deepEqual(unchecked, [{ check: 'keys', reason: 'no-key-column', count: 2 }]);
    });
  });
});
