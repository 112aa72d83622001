import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { batchKey, HOUR_MS, UPLOADS_AT_ONCE } from '../../src/lake/layout';
import { readNewest, writtenLives } from '../../src/lake/newest';
import { rowsObject } from '../../src/lake/rows-object';
import { MemoryBucket } from '../support/memory-bucket';

const LAKE = { bucket: 'lake', prefix: 'raw' };
const BEGAN = Date.UTC(2026, 0, 31, 22);
const LIFE = { lane: 0, incarnation: '1a2b3c4d' };
const NEVER = new AbortController().signal;

const digestOf = (n: number) => n.toString(16).padStart(16, '0');

describe('The newest rows of a lake', () => {
  let s3: MemoryBucket;

  beforeEach(() => {
    s3 = new MemoryBucket();
  });

  /** An object of these events. */
  function put(
    sequence: number,
    events: readonly number[],
    { life = LIFE, hour = 0, hasKeys = true } = {},
  ): string {
    const frozenAt = BEGAN + hour * HOUR_MS;
    const name = { ...life, sequence, frozenAt, firstKeyDigest: digestOf(events[0] ?? 0) };
    const { body, metadata } = rowsObject({
      version: 1,
      columns: ['title'],
      place: { kind: 'none', at: [] },
      rows: events.map((event) => [`event, ${event}`]),
      ...(hasKeys ? { keys: events.map(digestOf) } : {}),
    });
    const key = batchKey(LAKE.prefix, name);
    s3.put(key, body, frozenAt + sequence * 1_000, metadata);
    return key;
  }

  const read = (most: number, lane = 0) => readNewest(s3.store(LAKE), { lane, most, signal: NEVER });
  const events = async (most: number) => (await read(most)).keys.map((key) => Number.parseInt(key, 16));

  it('are read backwards over hours and days, and no more of them than are wanted', async () => {
    put(1, [1, 2]);
    put(2, [3, 4]);
    put(3, [5, 6], { hour: 1 });
    const newest = put(4, [7, 8], { hour: 2 });
    assert.deepEqual(await events(100), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual(await events(3), [6, 7, 8]);
    s3.commands.length = 0;
    await read(2);
    assert.deepEqual(
      s3.commands.filter((command) => command.startsWith('Get')),
      [`Get ${newest}`],
    );
  });

  it('tell the hour in which the newest were frozen', async () => {
    assert.equal((await read(10)).newestHour, undefined);
    put(1, [1]);
    put(2, [2], { hour: 3 });
    assert.equal((await read(10)).newestHour, BEGAN + 3 * HOUR_MS);
  });

  it('are those of one lane', async () => {
    put(1, [1]);
    put(1, [2], { life: { lane: 3, incarnation: '1a2b3c4d' } });
    assert.deepEqual(await events(10), [1]);
    assert.deepEqual((await read(10, 3)).keys, [digestOf(2)]);
  });

  it('are those of all incarnations, each of which counts by itself', async () => {
    put(1, [1]);
    put(2, [2]);
    put(1, [3], { life: { lane: 0, incarnation: '9a9a9a9a' }, hour: 1 });
    const { keys, lives } = await read(10);
    assert.deepEqual(keys, [1, 2, 3].map(digestOf));
    const ends = Object.fromEntries(lives.map(({ incarnation, last }) => [incarnation, last]));
    assert.deepEqual(ends, { '1a2b3c4d': 2, '9a9a9a9a': 1 });
  });

  it('leave out all that is no object of rows, and what lies under the prefixes of others', async () => {
    put(1, [1]);
    for (const key of [
      'raw/_sluice/owner.json',
      'raw/rejected/a.json',
      'raw/date=x/hour=1/a.csv',
      'date=2026-01-31/hour=22/b.csv',
    ]) {
      s3.put(key, 'none');
    }
    assert.deepEqual(await events(10), [1]);
  });

  it('are read to the end where there are few', async () => {
    assert.deepEqual(await read(10), { keys: [], lives: [] });
  });

  it('are not known where an object does not say what its rows are, which is said', async () => {
    const key = put(1, [1], { hasKeys: false });
    await assert.rejects(read(10), {
      name: 'KeysUnreadable',
      message: new RegExp(
        `^s3://lake/${key} does not say what its rows are \\(column _key, which SLUICE_KEY_COLUMN=off leaves out\\)`,
      ),
    });
  });

  it('are not known where an object is cut off', async () => {
    const key = put(1, [1]);
    s3.put(key, 'title,_key');
    await assert.rejects(read(10), {
      name: 'KeysUnreadable',
      message: /can't be relied on: it does not end with a line end/,
    });
  });

  it('are not known where somebody changed an object, whatever it says now', async () => {
    const key = put(1, [1, 2]);
    const metadata = s3.objects.get(key)?.metadata;
    s3.put(key, `title,_key\nchanged,${digestOf(1)}\n`, BEGAN, metadata);
    await assert.rejects(read(10), {
      name: 'KeysUnreadable',
      message: /Put back what was written, or move it away/,
    });
  });

  it('are read no further once that is given up', async () => {
    put(1, [1]);
    const given = AbortSignal.abort(new Error('given up'));
    await assert.rejects(readNewest(s3.store(LAKE), { lane: 0, most: 10, signal: given }), /given up/);
  });

  it('are the last that were written, whatever is asked for, in however many objects and hours', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (objects, most, perHour) => {
          s3 = new MemoryBucket();
          let next = 1;
          for (const [index, size] of objects.entries()) {
            const rows = Array.from({ length: size }, (_, row) => next + row);
            put(index + 1, rows, { hour: Math.floor(index / perHour) });
            next += size;
          }
          const all = Array.from({ length: next - 1 }, (_, index) => index + 1);
          assert.deepEqual(await events(most), all.slice(-most));
        },
      ),
    );
  });
});

describe('The numbers of a lane that is gone', () => {
  const objects = (...numbers: number[]) => numbers.map((sequence) => ({ ...LIFE, sequence }));

  it('end with the highest, and those that are missing below it will never come', () => {
    assert.deepEqual(writtenLives(objects(7, 8, 10)), [{ ...LIFE, last: 10, missing: [9] }]);
    assert.deepEqual(writtenLives(objects(3)), [{ ...LIFE, last: 3, missing: [1, 2] }]);
    assert.deepEqual(writtenLives([]), []);
  });

  it('lack no more than were under way at once, the newest', () => {
    const [life] = writtenLives(objects(1, 10));
    assert.deepEqual(life?.missing, [6, 7, 8, 9]);
    assert.equal(life.missing.length, UPLOADS_AT_ONCE);
  });

  it('do not lack what lies before the oldest that was listed', () => {
    assert.deepEqual(writtenLives(objects(500, 502))[0]?.missing, [501]);
  });
});
