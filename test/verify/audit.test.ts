import assert from 'node:assert/strict';
import { keyDigest } from '../../src/event/key';
import { keepCanary } from '../../src/lake/kept';
import { batchKey } from '../../src/lake/layout';
import { claimLake } from '../../src/lake/owner';
import { rowsObject } from '../../src/lake/rows-object';
import { LIMITS } from '../../src/lane/limits';
import { Uploading } from '../../src/lane/uploading';
import { loadPipeline } from '../../src/settings/pipeline';
import { auditLake } from '../../src/verify/audit';
import { MemoryBucket } from '../support/memory-bucket';

const LAKE = { bucket: 'lake', prefix: 'raw' };

const NOW = Date.parse('2026-01-31T12:00:00Z');

const RULES = { hours: { since: -Infinity, until: Infinity }, graceMs: 0, now: NOW };

/** An object with one row for each offset of the partition `t/0`. */
function put(bucket: MemoryBucket, sequence: number, offsets: readonly number[], modifiedAt = NOW): void {
  const key = batchKey(LAKE.prefix, {
    lane: 0,
    incarnation: '1a2b3c4d',
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
