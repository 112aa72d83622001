import assert from 'node:assert/strict';
import { keyDigest } from '../../src/event/key';
import { keepCanary } from '../../src/lake/kept';
import { batchKey } from '../../src/lake/layout';
import { claimLake } from '../../src/lake/owner';
import { writeCsv } from '../../src/rows/csv';
import { auditLake } from '../../src/verify/audit';
import { definitionOf } from '../support/definition';
import { MemoryBucket } from '../support/memory-bucket';

const LAKE = { bucket: 'lake', prefix: 'raw' };

const COLUMNS = ['meta.id', 'meta.topic', 'meta.partition', 'meta.offset'].map((path) => ({
  name: path,
  path,
}));

const PIPELINE = definitionOf({
  lake: { ...LAKE, columns: COLUMNS, keyColumn: true, escapeFormulas: false },
  source: { url: 'https://stream.wikimedia.org/v2/stream/recentchange', contact: '' },
});

const NOW = Date.parse('2026-01-31T12:00:00Z');

const RULES = { hours: { since: -Infinity, until: Infinity }, graceMs: 0, now: NOW };

/** An object with one row for each offset of the partition `t/0`. */
function put(bucket: MemoryBucket, sequence: number, offsets: readonly number[], modifiedAt = NOW): void {
  const rows = offsets.map((offset) => [`id-${offset}`, 't', '0', String(offset)]);
  const key = batchKey(LAKE.prefix, {
    lane: 0,
    incarnation: '1a2b3c4d',
    sequence,
    frozenAt: NOW,
    firstKeyDigest: keyDigest(`id-${offsets[0]}`),
  });
  bucket.put(
    key,
    writeCsv(
      COLUMNS.map(({ name }) => name),
      rows,
    ),
    modifiedAt,
  );
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
    const report = await auditLake(store, PIPELINE, RULES);
    assert.deepEqual([report.whole, report.claimed, report.objects, report.rows], [false, true, 2, 4]);
    assert.equal(report.canaries, 1);
    assert.equal(report.sequence.missing.count, 1);
    assert.deepEqual(
      report.keys?.repeated.named.map(({ key }) => key),
      ['id-2'],
    );
    assert.deepEqual(
      report.offsets?.missing.named.map(({ from, to }) => [from, to]),
      [
        [3, 3],
        [5, 5],
      ],
    );
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
      PIPELINE,
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
});
