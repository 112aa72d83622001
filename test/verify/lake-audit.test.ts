import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { keyDigest } from '../../src/event/key';
import type { BatchObject } from '../../src/lake/layout';
import type { PlaceColumns } from '../../src/lake/place-columns';
import { readBatch } from '../../src/lake/reader';
import { rowsObject } from '../../src/lake/rows-object';
import { writeCsv } from '../../src/rows/csv';
import { Findings } from '../../src/verify/findings';
import { LakeAudit, type LakeReport } from '../../src/verify/lake-audit';

const COLUMNS = ['title', 'topic', 'partition', 'offset'];
const PLACE: PlaceColumns = { kind: 'meta', at: [1, 2, 3] };

interface Row {
  id: string;
  partition: number;
  offset: number;
}

const fieldsOf = ({ partition, offset }: Pick<Row, 'partition' | 'offset'>) => [
  'a, "title"\r',
  't',
  String(partition),
  String(offset),
];

const batchOf = (sequence: number): BatchObject => ({
  kind: 'batch',
  lane: 0,
  incarnation: '1a2b3c4d',
  key: `batch-${sequence}`,
  sequence,
  hour: 500_000,
  modifiedAt: 0,
});

/** An object as it lies in the lake. */
type Stored = Parameters<typeof readBatch>[0];

const stored = (rows: readonly Row[]) =>
  rowsObject({
    version: 1,
    columns: COLUMNS,
    place: PLACE,
    rows: rows.map(fieldsOf),
    keys: rows.map(({ id }) => keyDigest(id)),
  });

/** The report of a lake of these objects, numbered from 1. */
function audit(objects: readonly Stored[]): LakeReport {
  const lake = new LakeAudit({ hours: { since: -Infinity, until: Infinity }, graceMs: 0, now: 1e9 });
  const batches = objects.map((_, index) => batchOf(index + 1));
  for (const [index, object] of objects.entries()) lake.addBatch(batchOf(index + 1), readBatch(object));
  if (lake.wantsMore()) {
    for (const [index, object] of objects.entries())
      lake.lookForRepeats(batchOf(index + 1), readBatch(object));
  }
  assert.ok(!lake.wantsMore(), 'the second pass has seen every row that the first one counted');
  const counts = {
    claimed: true,
    canaries: 0,
    rejected: 0,
    unknown: new Findings<never>(),
    others: new Findings<never>(),
    gaps: new Findings<never>(),
  };
  return lake.report({ bucket: 'b', prefix: '', batches, ...counts });
}

/** Rows of two partitions, in an order that is a little wrong, some left out and some there twice. */
const damagedLakes = fc
  .record({
    offsets: fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 })),
    seed: fc.infiniteStream(fc.nat({ max: 99 })),
    rowsPerObject: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ offsets, seed, rowsPerObject }) => {
    const next = () => seed.next().value as number;
    const rows = offsets.flatMap((count, partition) =>
      Array.from({ length: count }, (_, index) => ({
        id: `id-${partition}-${index}`,
        partition,
        offset: 100 + index,
      })),
    );
    // The ends stay: what is missing there nobody can tell.
    const isEnd = ({ partition, offset }: Row) => offset === 100 || offset === 99 + (offsets[partition] ?? 0);
    const dropped = rows.filter((row) => !isEnd(row) && next() < 10);
    const repeated = rows.filter((row) => !dropped.includes(row) && next() < 10);
    const written = [...rows.filter((row) => !dropped.includes(row)), ...repeated]
      .map((row, index) => ({ row, at: index + next() / 10 }))
      .sort((a, b) => a.at - b.at)
      .map(({ row }) => row);
    const objects = Array.from({ length: Math.ceil(written.length / rowsPerObject) }, (_, index) =>
      written.slice(index * rowsPerObject, (index + 1) * rowsPerObject),
    );
    return { objects, dropped, repeated, rows: written.length };
  });

describe('The report of a lake', () => {
  it('finds exactly the rows that were dropped and those that were written twice', () => {
    fc.assert(
      fc.property(damagedLakes, ({ objects, dropped, repeated, rows }) => {
        const report = audit(objects.map(stored));
        assert.equal(report.rows, rows);
        assert.equal(report.objects, objects.length);
        const missing = report.offsets?.missing ?? new Findings<never>();
        assert.equal(report.offsets === undefined, rows === 0);
        assert.equal(missing.count, dropped.length);
        const found = missing.named.flatMap(({ partition, from, to }) =>
          Array.from({ length: to - from + 1 }, (_, index) => `${partition} ${from + index}`),
        );
        const expected = dropped.map(({ partition, offset }) => `t/${partition} ${offset}`);
        assert.ok(found.every((place) => expected.includes(place)));
        const repeats = report.keys?.repeated ?? new Findings<never>();
        assert.equal(repeats.count, repeated.length);
        const keys = new Set(repeated.map(({ id }) => keyDigest(id)));
        assert.ok(repeats.named.every(({ key, times }) => times === 2 && keys.has(key)));
        assert.equal(repeats.named.length, Math.min(20, repeated.length));
        assert.equal(report.whole, dropped.length + repeated.length === 0);
        assert.deepEqual(report.unchecked, []);
      }),
    );
  });

  it('names a repeated key with each of its places, up to five', () => {
    const row = (id: string, offset: number) => ({ id, partition: 0, offset });
    const report = audit([
      stored([row('a', 1), row('b', 2)]),
      stored([row('b', 2)]),
      ...Array.from({ length: 6 }, () => stored([row('a', 1)])),
    ]);
    const named = report.keys?.repeated.named ?? [];
    const one = named.find(({ key }) => key === keyDigest('a'));
    assert.deepEqual([named.length, one?.times, one?.places.length], [2, 7, 5]);
    assert.deepEqual(
      named.find(({ key }) => key === keyDigest('b')),
      {
        key: keyDigest('b'),
        times: 2,
        places: [
          { object: 'batch-1', row: 2 },
          { object: 'batch-2', row: 1 },
        ],
      },
    );
    assert.equal(report.offsets?.missing.count, 0, 'an offset that comes twice leaves no hole');
  });

  it('takes a key that begins with zeros for what it is', () => {
    const key = '000000000000000f';
    const object = rowsObject({
      version: 1,
      columns: ['a'],
      place: { kind: 'none', at: [] },
      rows: [['1'], ['2']],
      keys: [key, key],
    });
    assert.equal(audit([object]).keys?.repeated.named[0]?.key, key);
  });

  it('reads each object by its own header and metadata, since columns may have been changed', () => {
    const before = rowsObject({
      version: 1,
      columns: ['offset', 'partition', 'topic'],
      place: { kind: 'meta', at: [2, 1, 0] },
      rows: [['2', '0', 't']],
      keys: [keyDigest('a')],
    });
    const withoutKeys = rowsObject({
      version: 2,
      columns: COLUMNS,
      place: PLACE,
      rows: [fieldsOf({ partition: 0, offset: 4 })],
    });
    const now = stored([{ id: 'a', partition: 0, offset: 1 }]);
    const report = audit([now, before, withoutKeys]);
    assert.equal(report.keys?.repeated.named[0]?.key, keyDigest('a'));
    assert.equal(report.keys.rowsWithout, 1);
    assert.deepEqual(
      report.offsets?.missing.named.map(({ from, to }) => [from, to]),
      [[3, 3]],
    );
    assert.deepEqual(report.unchecked, [{ check: 'keys', reason: 'no-key-column', count: 1 }]);
  });

  it('does not compare rows that nothing tells apart, and is whole', () => {
    const object = rowsObject({
      version: 1,
      columns: ['title'],
      place: { kind: 'meta', at: [] },
      rows: [['x'], ['x']],
    });
    const report = audit([object]);
    assert.deepEqual([report.keys, report.offsets, report.whole], [undefined, undefined, true]);
    assert.deepEqual(report.unchecked, [
      { check: 'keys', reason: 'no-key-column', count: 2 },
      { check: 'offsets', reason: 'no-columns', count: 2 },
    ]);
    assert.deepEqual(report.wanted, { offsets: ['meta.topic', 'meta.partition', 'meta.offset'] });
  });

  describe('where objects are not what was written', () => {
    const row = (offset: number) => ({ id: `id-${offset}`, partition: 0, offset });
    const one = stored([row(1), row(2)]);
    const two = stored([row(3)]);

    it('finds a body that somebody changed, and judges its rows all the same', () => {
      const { body, metadata } = stored([row(1), row(2)]);
      const changed = Buffer.from(Buffer.from(body).toString().replace('title', 'titel'));
      const report = audit([{ body: changed, metadata }, two]);
      assert.deepEqual(report.broken.named, [
        {
          object: 'batch-1',
          problem:
            'its body is not the one that was written: it has another SHA-256 than its metadata states',
        },
      ]);
      assert.deepEqual([report.rows, report.offsets?.missing.count, report.whole], [3, 0, false]);
    });

    it('finds one whose number of rows is not the one that it states', () => {
      const { body, metadata } = one;
      const report = audit([{ body, metadata: { ...metadata, 'sluice-rows': '3' } }, two]);
      assert.deepEqual(report.broken.named, [
        { object: 'batch-1', problem: 'it has 2 rows, and its metadata states 3' },
      ]);
    });

    it('finds one that states nothing beside those that do: another hand wrote it', () => {
      const report = audit([{ body: one.body, metadata: {} }, two]);
      assert.deepEqual(report.broken.named, [
        {
          object: 'batch-1',
          problem: 'it states nothing in its metadata, as others do: another hand wrote it',
        },
      ]);
      assert.deepEqual(report.unchecked, [{ check: 'offsets', reason: 'no-metadata', count: 2 }]);
      assert.equal(report.keys?.rowsWithout, 0, 'the header says which column has the keys');
    });

    it('can not say what was changed in a copy of bodies alone', () => {
      const report = audit([one, two].map(({ body }) => ({ body, metadata: {} })));
      assert.deepEqual([report.whole, report.broken.count, report.offsets], [true, 0, undefined]);
      assert.deepEqual(report.unchecked, [
        { check: 'bodies', reason: 'no-metadata', count: 2 },
        { check: 'offsets', reason: 'no-metadata', count: 3 },
      ]);
    });
  });

  describe('of a Kafka topic', () => {
    const object = (...rows: [id: string, offset: number, from: number][]) =>
      rowsObject({
        version: 1,
        columns: ['topic', 'partition', 'offset', 'from'],
        place: { kind: 'kafka', at: [0, 1, 2, 3] },
        rows: rows.map(([, offset, from]) => ['t', '0', String(offset), String(from)]),
        keys: rows.map(([id]) => keyDigest(id)),
      });

    it('takes what is no record for no loss', () => {
      // 3 to 5 were compacted; 8 is missing, and what comes after says so.
      const report = audit([object(['a', 2, 2], ['b', 6, 3], ['c', 7, 7], ['d', 9, 9])]);
      assert.deepEqual(report.offsets?.missing.named, [
        { partition: 't/0', from: 8, to: 8, before: 'batch-1' },
      ]);
      assert.equal(report.offsets.jumps.count, 0);
    });

    it('finds exactly the rows that were dropped, whatever Kafka left out between records', () => {
      const gapsAndDrops = fc.array(fc.record({ gap: fc.nat({ max: 3 }), dropped: fc.boolean() }), {
        maxLength: 50,
      });
      fc.assert(
        fc.property(gapsAndDrops, fc.infiniteStream(fc.nat()), (records, order) => {
          let end = 0;
          const all = [{ gap: 0, dropped: false }, ...records, { gap: 0, dropped: false }].map(
            ({ gap, dropped }, index) => {
              const from = end;
              const offset = from + gap;
              end = offset + 1;
              return {
                row: [String(index), offset, from] as [string, number, number],
                dropped,
                at: order.next().value ?? 0,
              };
            },
          );
          const written = all.filter(({ dropped }) => !dropped).sort((a, b) => a.at - b.at);
          const report = audit([object(...written.map(({ row }) => row))]);
          // What lies before a dropped record is as unknown as the record itself.
          const dropped = all.filter((one) => one.dropped);
          const unknown = dropped.reduce((sum, { row: [, offset, from] }) => sum + offset - from + 1, 0);
          assert.equal(report.offsets?.missing.count, unknown);
          assert.equal(report.whole, dropped.length === 0);
        }),
      );
    });

    it('takes a gap of millions for none where a row covers it', () => {
      const report = audit([object(['a', 2, 2], ['b', 50_000_000, 3])]);
      assert.equal(report.offsets?.jumps.count, 0);
      assert.ok(report.whole);
    });

    it('takes a gap of millions that no row covers for a loss', () => {
      const report = audit([object(['a', 2, 2], ['b', 5_000_000, 4_000_000])]);
      assert.equal(report.offsets?.missing.count, 4_000_000 - 3);
      assert.deepEqual([report.offsets.jumps.count, report.whole], [0, false]);
    });

    it('asks for no offsets where the key stands in the payload, whose second record is no row', () => {
      const report = audit([
        rowsObject({
          version: 1,
          columns: ['offset'],
          place: { kind: 'none', at: [] },
          rows: [['2'], ['9']],
          keys: ['a', 'b'].map(keyDigest),
        }),
      ]);
      assert.deepEqual([report.offsets, report.unchecked, report.whole], [undefined, [], true]);
    });

    it('names the columns that it would take', () => {
      const { wanted, unchecked } = audit([
        rowsObject({
          version: 1,
          columns: ['offset'],
          place: { kind: 'kafka', at: [] },
          rows: [['2']],
          keys: [keyDigest('a')],
        }),
      ]);
      assert.deepEqual(wanted, { offsets: ['kafka.topic', 'kafka.partition', 'kafka.offset', 'kafka.from'] });
      assert.deepEqual(unchecked, [{ check: 'offsets', reason: 'no-columns', count: 1 }]);
    });
  });

  describe('of a stream that need not count its events', () => {
    const object = (...offsets: string[]) =>
      rowsObject({
        version: 1,
        columns: COLUMNS,
        place: { kind: 'maybe-meta', at: [1, 2, 3] },
        rows: offsets.map((offset) => ['x', offset === '' ? '' : 't', '0', offset]),
        keys: offsets.map((_, index) => keyDigest(`${offsets.join()} ${index}`)),
      });

    it('asks for no offsets where no row has one', () => {
      const { offsets, unchecked } = audit([object('', ''), object('')]);
      assert.deepEqual([offsets, unchecked], [undefined, []]);
    });

    it('judges them where rows have them, and says how many do not', () => {
      const { offsets, unchecked } = audit([object('1', ''), object('3')]);
      assert.equal(offsets?.missing.count, 1);
      assert.deepEqual(unchecked, [{ check: 'offsets', reason: 'rows-without', count: 1 }]);
    });
  });

  it('counts rows whose offset is none', () => {
    const rows = [
      ['x', 't', '0', ''],
      ['x', 't', '0', '1e3'],
      ['x', '', '0', '1'],
    ];
    const keys = ['a', 'b', 'c'].map(keyDigest);
    const report = audit([rowsObject({ version: 1, columns: COLUMNS, place: PLACE, rows, keys })]);
    assert.equal(report.offsets?.rowsWithout, 3);
    assert.ok(report.whole);
    assert.deepEqual(report.unchecked, [{ check: 'offsets', reason: 'rows-without', count: 3 }]);
  });

  it('can not say what is missing between two counts, and leaves that to a person', () => {
    const row = (offset: number) => ({ id: `id-${offset}`, partition: 0, offset });
    const report = audit([stored([row(1), row(7_000_000)])]);
    assert.ok(report.whole);
    assert.deepEqual(report.unchecked, [{ check: 'offsets', reason: 'another-count', count: 1 }]);
  });

  it('has nothing to compare where there are no rows', () => {
    assert.deepEqual(audit([]).unchecked, []);
  });

  it('goes on past an object that is not CSV', () => {
    const report = audit([
      { body: Buffer.from('a,b\n1\n'), metadata: {} },
      { body: writeCsv(['a', '_key'], [['1', 'x']]), metadata: {} },
    ]);
    assert.deepEqual(report.broken.named, [
      { object: 'batch-1', problem: 'row 1 has 1 fields, and the header 2' },
      { object: 'batch-2', problem: 'row 1 has no key in _key' },
    ]);
    assert.equal(report.whole, false);
  });

  it('is JSON, with everything in it', () => {
    const report = audit([stored([{ id: 'a', partition: 0, offset: 1 }])]);
    assert.deepEqual(JSON.parse(JSON.stringify(report)), {
      whole: true,
      unchecked: [],
      adoptions: { count: 0, named: [] },
      gaps: { count: 0, named: [] },
      claimed: true,
      bucket: 'b',
      prefix: '',
      canaries: 0,
      rejected: 0,
      unknown: { count: 0, named: [] },
      others: { count: 0, named: [] },
      hours: {},
      graceSeconds: 0,
      objects: 1,
      rows: 1,
      sequence: {
        extents: [{ lane: 0, incarnation: '1a2b3c4d', from: 1, to: 1 }],
        missing: { count: 0, named: [] },
        onTheWay: 0,
        closed: { count: 0, named: [] },
        repeated: { count: 0, named: [] },
      },
      keys: { rowsWithout: 0, repeated: { count: 0, named: [] } },
      offsets: {
        partitions: [{ partition: 't/0', from: 1, to: 1 }],
        missing: { count: 0, named: [] },
        onTheWay: 0,
        unexplained: 0,
        unreadable: 0,
        jumps: { count: 0, named: [] },
        lostAgain: { count: 0, named: [] },
        rowsWithout: 0,
      },
      wanted: { offsets: [] },
      broken: { count: 0, named: [] },
    });
  });
});
