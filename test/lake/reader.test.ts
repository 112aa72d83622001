import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { writeCsv } from '../../src/rows/csv';
import { listObjects, readCsv, readKeptEvent, readObjects } from '../../src/lake/reader';
import { s3Error } from '../support/fake-s3';
import { MemoryS3 } from '../support/memory-s3';

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

describe('An event that is kept whole', () => {
  const event = {
    reason: 'not-json',
    detail: 'd',
    source: 's',
    id: 'i',
    time: '2026-01-31T12:00:00.000Z',
    text: '\r',
  };

  it('is read as it was written, with or without a reason', () => {
    const { reason: _, detail: __, ...canary } = event;
    assert.deepEqual(readKeptEvent(Buffer.from(JSON.stringify(event))), event);
    assert.deepEqual(readKeptEvent(Buffer.from(JSON.stringify(canary))), {
      ...event,
      reason: '',
      detail: '',
    });
  });

  for (const [what, body] of [
    ['is not JSON', '{"text"'],
    ['is no object', 'null'],
    ['has no text', JSON.stringify({ ...event, text: undefined })],
    ['has no time', JSON.stringify({ ...event, time: 'today' })],
    ['has a reason that is no text', JSON.stringify({ ...event, reason: 7 })],
  ] as const) {
    it(`is refused when it ${what}`, () => assert.equal(readKeptEvent(Buffer.from(body)), undefined));
  }
});

describe('Reading a bucket', () => {
  const bucketOf = (count: number) => {
    const s3 = new MemoryS3();
    for (let n = 0; n < count; n += 1) s3.put(`raw/${String(n).padStart(3, '0')}`, `body ${n}`, n * 1_000);
    return s3;
  };

  it('lists all pages, from where it is told', async () => {
    const s3 = bucketOf(25);
    s3.pageSize = 4;
    const listed = await all(listObjects(s3.client, 'lake', { prefix: 'raw/0', startAfter: 'raw/002' }));
    assert.deepEqual(
      listed.map(({ modifiedAt }) => modifiedAt / 1_000),
      Array.from({ length: 22 }, (_, n) => n + 3),
    );
  });

  it('reads eight objects at once, and hands them on in their order', async () => {
    const s3 = bucketOf(30);
    const objects = await all(listObjects(s3.client, 'lake', { prefix: 'raw/' }));
    const read = await all(readObjects(s3.client, 'lake', objects));
    assert.deepEqual(
      read.map(({ content }) => Buffer.from(content?.body ?? '').toString()),
      objects.map((_, n) => `body ${n}`),
    );
    assert.equal(s3.mostGetsAtOnce, 8);
  });

  it('goes on past an object that is gone since it was listed', async () => {
    const s3 = bucketOf(3);
    const objects = await all(listObjects(s3.client, 'lake', { prefix: 'raw/' }));
    s3.objects.delete('raw/001');
    const read = await all(readObjects(s3.client, 'lake', objects));
    assert.deepEqual(
      read.map(({ content }) => content !== undefined),
      [true, false, true],
    );
  });

  it('fails with the first object that can not be read, however many fail after it', async () => {
    const s3 = bucketOf(30);
    const objects = await all(listObjects(s3.client, 'lake', { prefix: 'raw/' }));
    s3.before = () => {
      throw s3Error('AccessDenied', 403);
    };
    await assert.rejects(all(readObjects(s3.client, 'lake', objects)), { name: 'AccessDenied' });
  });
});
