import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Column } from '../../src/pipeline/definition';
import { writeCsv } from '../../src/rows/csv';
import { Findings } from '../../src/verify/findings';
import { LakeAudit, type LakeReport, rowPathsOf } from '../../src/verify/lake-audit';
import type { BatchObject } from '../../src/lake/layout';
import { readCsv } from '../../src/lake/reader';

const COLUMNS: Column[] = [
  { name: 'event_id', path: 'meta.id' },
  { name: 'title', path: 'title' },
  { name: 'topic', path: 'meta.topic' },
  { name: 'partition', path: 'meta.partition' },
  { name: 'offset', path: 'meta.offset' },
];
const HEADER = COLUMNS.map(({ name }) => name);

interface Row {
  id: string;
  partition: number;
  offset: number;
}

const fieldsOf = ({ id, partition, offset }: Row) => [
  id,
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

/** The report of a lake of these objects, by sequence number. */
function audit(
  objects: ReadonlyMap<number, Uint8Array>,
  {
    columns = COLUMNS,
    source = { url: 'https://stream.wikimedia.org/v2/stream/recentchange' },
    keep = () => {},
  }: {
    columns?: Column[];
    source?: Parameters<typeof rowPathsOf>[0];
    keep?: (lake: LakeAudit) => void;
  } = {},
): LakeReport {
  const lake = new LakeAudit(columns, rowPathsOf(source), {
    hours: { since: -Infinity, until: Infinity },
    graceMs: 0,
    now: 1e9,
  });
  const batches = [...objects.keys()].map(batchOf);
  for (const [sequence, body] of objects) lake.addBatch(batchOf(sequence), readCsv(body));
  keep(lake);
  if (lake.wantsMore()) {
    for (const [sequence, body] of objects) lake.lookForRepeats(batchOf(sequence), readCsv(body));
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

const lakeOf = (...objects: (readonly (readonly string[])[])[]) =>
  new Map(objects.map((rows, index) => [index + 1, writeCsv(HEADER, rows)]));

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
      written.slice(index * rowsPerObject, (index + 1) * rowsPerObject).map(fieldsOf),
    );
    return { objects, dropped, repeated, rows: written.length };
  });

describe('The report of a lake', () => {
  it('finds exactly the rows that were dropped and those that were written twice', () => {
    fc.assert(
      fc.property(damagedLakes, ({ objects, dropped, repeated, rows }) => {
        const report = audit(lakeOf(...objects));
        assert.equal(report.rows, rows);
        assert.equal(report.objects, objects.length);
        const { missing } = report.offsets ?? assert.fail('the offsets can be checked');
        assert.equal(missing.count, dropped.length);
        const found = missing.named.flatMap(({ partition, from, to }) =>
          Array.from({ length: to - from + 1 }, (_, index) => `${partition} ${from + index}`),
        );
        const expected = dropped.map(({ partition, offset }) => `t/${partition} ${offset}`);
        assert.ok(found.every((place) => expected.includes(place)));
        const repeats = report.keys?.repeated ?? assert.fail('the keys can be checked');
        assert.equal(repeats.count, repeated.length);
        assert.ok(
          repeats.named.every(({ key, times }) => times === 2 && repeated.some(({ id }) => id === key)),
        );
        assert.equal(repeats.named.length, Math.min(20, repeated.length));
        assert.equal(report.whole, dropped.length + repeated.length === 0);
      }),
    );
  });

  it('names a repeated key with each of its places, up to five', () => {
    const row = (id: string, offset: number) => fieldsOf({ id, partition: 0, offset });
    const report = audit(
      lakeOf([row('a', 1), row('b', 2)], [row('b', 2)], ...Array.from({ length: 6 }, () => [row('a', 1)])),
    );
    const [one, other] = report.keys?.repeated.named.sort((x, y) => x.key.localeCompare(y.key)) ?? [];
    assert.equal(one?.times, 7);
    assert.equal(one.places.length, 5);
    assert.deepEqual(other, {
      key: 'b',
      times: 2,
      places: [
        { object: 'batch-1', row: 2 },
        { object: 'batch-2', row: 1 },
      ],
    });
    assert.equal(report.offsets?.missing.count, 0, 'an offset that comes twice leaves no hole');
  });

  it('reads each object by its own header, since columns may have been changed', () => {
    const now = writeCsv(HEADER, [fieldsOf({ id: 'a', partition: 0, offset: 1 })]);
    const before = writeCsv(['offset', 'event_id', 'partition', 'topic'], [['2', 'a', '0', 't']]);
    const without = writeCsv(['title', 'topic', 'partition', 'offset'], [['x', 't', '0', '4']]);
    const report = audit(
      new Map([1, 2, 3].map((sequence, index) => [sequence, [now, before, without][index] ?? now])),
    );
    assert.equal(report.keys?.repeated.named[0]?.key, 'a');
    assert.equal(report.keys.rowsWithout, 1);
    assert.deepEqual(
      report.offsets?.missing.named.map(({ from, to }) => [from, to]),
      [[3, 3]],
    );
  });

  it('tells rows by topic, partition and offset where no column has the id', () => {
    const columns = COLUMNS.filter(({ path }) => path !== 'meta.id');
    const row = fieldsOf({ id: 'a', partition: 0, offset: 1 });
    const report = audit(lakeOf([row], [fieldsOf({ id: 'b', partition: 0, offset: 1 })]), { columns });
    assert.deepEqual(report.keys?.paths, ['meta.topic', 'meta.partition', 'meta.offset']);
    assert.equal(report.keys.repeated.named[0]?.key, 't/0 offset 1');
  });

  it('does not compare rows that nothing tells apart, and is whole', () => {
    const columns = COLUMNS.filter(({ path }) => path === 'title');
    const report = audit(lakeOf([['', 'x', '', '', '']]), { columns });
    assert.deepEqual([report.keys, report.offsets, report.whole], [undefined, undefined, true]);
    assert.deepEqual(report.unchecked, [
      { check: 'keys', reason: 'no-columns', count: 1 },
      { check: 'offsets', reason: 'no-columns', count: 1 },
    ]);
  });

  describe('of a Kafka topic', () => {
    const url = 'kafka://localhost:9092/t';
    const columns = [
      { name: 'event_id', path: 'meta.id' },
      ...['topic', 'partition', 'offset', 'from'].map((name) => ({ name, path: `kafka.${name}` })),
    ];
    const header = columns.map(({ name }) => name);
    const csv = (...rows: [id: string, offset: number, from: number][]) =>
      writeCsv(
        header,
        rows.map(([id, offset, from]) => [id, 't', '0', String(offset), String(from)]),
      );

    it('tells rows by their place, and takes what is no record for no loss', () => {
      // 3 to 5 were compacted; 8 is missing, and what comes after says so.
      const body = csv(['a', 2, 2], ['a', 6, 3], ['b', 7, 7], ['c', 9, 9]);
      const report = audit(new Map([[1, body]]), { columns, source: { url } });
      assert.deepEqual(report.keys?.paths, ['kafka.topic', 'kafka.partition', 'kafka.offset']);
      assert.equal(report.keys.repeated.count, 0, 'a producer may write the same twice');
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
          const report = audit(new Map([[1, csv(...written.map(({ row }) => row))]]), {
            columns,
            source: { url },
          });
          // What lies before a dropped record is as unknown as the record itself.
          const dropped = all.filter((one) => one.dropped);
          const unknown = dropped.reduce((sum, { row: [, offset, from] }) => sum + offset - from + 1, 0);
          assert.equal(report.offsets?.missing.count, unknown);
          assert.equal(report.whole, dropped.length === 0);
        }),
      );
    });

    it('takes a gap of millions for none where a row covers it', () => {
      const report = audit(new Map([[1, csv(['a', 2, 2], ['b', 50_000_000, 3])]]), {
        columns,
        source: { url },
      });
      assert.equal(report.offsets?.jumps.count, 0);
      assert.ok(report.whole);
    });

    it('takes a gap of millions that no row covers for a loss', () => {
      const body = csv(['a', 2, 2], ['b', 5_000_000, 4_000_000]);
      const report = audit(new Map([[1, body]]), { columns, source: { url } });
      assert.equal(report.offsets?.missing.count, 4_000_000 - 3);
      assert.deepEqual([report.offsets.jumps.count, report.whole], [0, false]);
    });

    it('compares no key that is none in a payload: those records were told apart by their place', () => {
      const keys = ['{"$oid":"1"}', '[1]', 'true', ''].flatMap((id) => [id, id]);
      const body = csv(
        ...keys.map((id, index): [string, number, number] => [id, index, index]),
        ['[x', 9, 9],
        ['[x', 10, 10],
      );
      const { keys: found } = audit(new Map([[1, body]]), { columns, source: { url, key: 'meta.id' } });
      assert.deepEqual(
        found?.repeated.named.map(({ key }) => key),
        ['[x'],
      );
      assert.equal(found.rowsWithout, keys.length);
    });

    it('finds a row that stands there twice', () => {
      const body = csv(['a', 2, 2], ['b', 2, 2]);
      const report = audit(new Map([[1, body]]), { columns, source: { url } });
      assert.equal(report.keys?.repeated.named[0]?.key, 't/0 offset 2');
    });

    it('goes by the key in the payload where the pipeline does, whose second record is no row', () => {
      const body = csv(['a', 2, 2], ['b', 4, 4], ['a', 5, 5]);
      const report = audit(new Map([[1, body]]), { columns, source: { url, key: 'meta.id' } });
      assert.equal(report.keys?.repeated.named[0]?.key, 'a');
      assert.equal(report.offsets, undefined);
    });

    it('names the columns that it would take', () => {
      const { wanted } = audit(new Map(), { source: { url } });
      assert.deepEqual(wanted, {
        keys: ['kafka.topic', 'kafka.partition', 'kafka.offset'],
        offsets: ['kafka.topic', 'kafka.partition', 'kafka.offset', 'kafka.from'],
      });
    });
  });

  it('counts rows without an id, and those whose offset is none', () => {
    const report = audit(
      lakeOf([
        ['', 'x', 't', '0', ''],
        ['a', 'x', 't', '0', '1e3'],
        ['b', 'x', '', '0', '1'],
      ]),
    );
    assert.equal(report.keys?.rowsWithout, 1);
    assert.equal(report.offsets?.rowsWithout, 3);
    assert.ok(report.whole);
    assert.deepEqual(report.unchecked, [
      { check: 'keys', reason: 'rows-without', count: 1 },
      { check: 'offsets', reason: 'rows-without', count: 3 },
    ]);
  });

  it('can not say what is missing between two counts, and leaves that to a person', () => {
    const row = (offset: number) => fieldsOf({ id: `id-${offset}`, partition: 0, offset });
    const report = audit(lakeOf([row(1), row(7_000_000)]));
    assert.ok(report.whole);
    assert.deepEqual(report.unchecked, [{ check: 'offsets', reason: 'another-count', count: 1 }]);
  });

  it('has nothing to compare where there are no rows', () => {
    assert.deepEqual(audit(new Map(), { columns: [{ name: 'title', path: 'title' }] }).unchecked, []);
  });

  it('goes on past an object that is not CSV', () => {
    const report = audit(new Map([[1, Buffer.from('a,b\n1\n')]]));
    assert.deepEqual(report.broken.named, [
      { object: 'batch-1', problem: 'row 1 has 1 fields, and the header 2' },
    ]);
    assert.equal(report.whole, false);
  });

  it('is JSON, with everything in it', () => {
    const report = audit(lakeOf([fieldsOf({ id: 'a', partition: 0, offset: 1 })]));
    assert.deepEqual(JSON.parse(JSON.stringify(report)), {
      whole: true,
      unchecked: [],
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
        repeated: { count: 0, named: [] },
      },
      keys: { paths: ['meta.id'], rowsWithout: 0, repeated: { count: 0, named: [] } },
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
      wanted: { keys: [], offsets: [] },
      broken: { count: 0, named: [] },
    });
  });
});
