import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { writeCsv } from '../../src/rows/csv';
import { readCsv, readObjects } from '../../src/lake/reader';
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
