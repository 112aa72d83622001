import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { writeCsv } from '../../src/rows/csv';
import { readBatch, readCsv, readObjects } from '../../src/lake/reader';
import { bodyDigest, columnsText, metadataOf } from '../../src/lake/stated';
import { s3Error } from '../support/fake-store';
import { MemoryBucket } from '../support/memory-bucket';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('A CSV object', () => {
  it('is read as it was written, whatever the fields hold', () => {
    const field = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', '"', ',', '\r', '\n', '\r\n', ',"\r'),
    );
    const rows = fc
      .integer({ min: 1, max: 3 })
      .chain((width) =>
        fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 4 }),
      );
    fc.assert(
      fc.property(rows, (rows) => {
        const header = ['a', 'b', 'c'].slice(0, rows[0]?.length);
        assert.deepEqual(readCsv(writeCsv(header, rows)), { ok: true, header, rows });
      }),
    );
  });

  for (const [what, body, problem] of [
    ['is empty', '', /line end/],
    ['is cut off', 'a,b\n1,2\n3', /cut off/],
    ['is cut off in a quoted field', 'a,b\n1,"2\n', /record 1 is not CSV/],
    ['has a row too short', 'a,b\n1,2\n3\n', /row 2 has 1 fields, and the header 2/],
    ['has a row too long', 'a,b\n1,2,3\n', /row 1 has 3 fields/],
    ['has an empty line', 'a,b\n1,2\n\n', /row 2/],
    ['has no row', 'a,b\n', /no row/],
    ['has CRLF between records', 'a,b\r\n1,2\r\n', /header/],
    ['has no header', '1 2,x y\n1,2\n', /header/],
    ['names a column twice', 'a,a\n1,2\n', /header/],
    ['is not UTF-8', Buffer.from([0x61, 0x0a, 0xff, 0x0a]), /UTF-8/],
  ] as const) {
    it(`is refused when it ${what}`, () => {
      const read = readCsv(Buffer.from(body));
      assert.ok(!read.ok);
      assert.match(read.problem, problem);
    });
  }
});

describe('An object of rows', () => {
  const header = ['title', 'topic', 'partition', 'offset', '_key'];
  const rows = [
    ['x', 't', '0', '7', '0123456789abcdef'],
    ['y', '', '', '', 'fedcba9876543210'],
  ];
  const body = writeCsv(header, rows);
  const metadata = metadataOf({
    digest: '',
    sha256: bodyDigest(body),
    rows: 2,
    columns: columnsText(header),
    version: 1,
    place: { kind: 'meta', at: [1, 2, 3] },
  });

  it('is read by its header and metadata alone: keys and places, and what it states', () => {
    const read = readBatch({ body, metadata });
    assert.ok(read.ok);
    assert.deepEqual([read.header, read.hasKeys, read.changed], [header, true, undefined]);
    assert.equal(read.stated?.version, 1);
    assert.deepEqual(read.rows, [
      { cells: rows[0], key: '0123456789abcdef', place: { partition: 't/0', offset: 7 } },
      { cells: rows[1], key: 'fedcba9876543210', place: undefined },
    ]);
  });

  it('has no keys without the column, and no places where nothing says which columns hold them', () => {
    const read = readBatch({ body: writeCsv(['title', 'offset'], [['x', '7']]), metadata: {} });
    assert.ok(read.ok);
    assert.deepEqual([read.hasKeys, read.stated, read.changed], [false, undefined, undefined]);
    assert.deepEqual(read.rows, [{ cells: ['x', '7'], key: undefined, place: undefined }]);
  });

  it('is known to be changed where its body, its number of rows or its columns are not what it states', () => {
    const changed = (other: Uint8Array, stated: Record<string, string>) => {
      const read = readBatch({ body: other, metadata: { ...metadata, ...stated } });
      return read.ok && read.changed;
    };
    assert.match(
      String(changed(writeCsv(header, rows.toReversed()), {})),
      /^its body is not the one that was written/,
    );
    assert.equal(changed(body, { 'sluice-rows': '3' }), 'it has 2 rows, and its metadata states 3');
    assert.match(String(changed(body, { 'sluice-columns': 'title' })), /^its columns are not/);
  });

  it('is refused where a row has no key in the column of keys', () => {
    const other = Buffer.from('a,_key\n1,0123456789abcdef\n2,1.23E+15\n');
    assert.deepEqual(readBatch({ body: other, metadata: {} }), {
      ok: false,
      problem: 'row 2 has no key in _key',
    });
  });

  it('is refused where it is no CSV', () => {
    assert.equal(readBatch({ body: Buffer.from('a,b\n1\n'), metadata }).ok, false);
  });
});

describe('Reading a bucket', () => {
  const bucketOf = (count: number) => {
    const s3 = new MemoryBucket();
    for (let n = 0; n < count; n += 1) s3.put(`raw/${String(n).padStart(3, '0')}`, `body ${n}`, n * 1_000);
    return { s3, store: s3.store({ bucket: 'lake', prefix: 'raw' }) };
  };

  it('reads eight objects at once, and hands them on in their order', async () => {
    const { s3, store } = bucketOf(30);
    const objects = await all(store.list({ prefix: 'raw/' }));
    const read = await all(readObjects(store, objects));
    assert.deepEqual(
      read.map(({ content }) => Buffer.from(content?.body ?? '').toString()),
      objects.map((_, n) => `body ${n}`),
    );
    assert.equal(s3.mostGetsAtOnce, 8);
  });

  it('goes on past an object that is gone since it was listed', async () => {
    const { s3, store } = bucketOf(3);
    const objects = await all(store.list({ prefix: 'raw/' }));
    s3.objects.delete('raw/001');
    const read = await all(readObjects(store, objects));
    assert.deepEqual(
      read.map(({ content }) => content !== undefined),
      [true, false, true],
    );
  });

  it('fails with the first object that can not be read, however many fail after it', async () => {
    const { s3, store } = bucketOf(30);
    const objects = await all(store.list({ prefix: 'raw/' }));
    s3.before = () => {
      throw s3Error('AccessDenied', 403);
    };
    await assert.rejects(all(readObjects(store, objects)), { name: 'AccessDenied' });
  });
});
