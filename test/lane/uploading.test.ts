import assert from 'node:assert/strict';
import type { WaitingRow } from '../../src/lane/assembler';
import { LIMITS } from '../../src/lane/limits';
import { Uploading } from '../../src/lane/uploading';
import { parseColumns } from '../../src/rows/columns';
import { definitionOf } from '../support/definition';
import { digestOf } from '../support/driven-lane';

const LIFE = { lane: 0, incarnation: '1a2b3c4d' };
const NOW = Date.UTC(2026, 0, 31, 12, 59, 59);
const DEFINITION = definitionOf();

const row = (n: number): WaitingRow => ({
  key: digestOf(n),
  cells: [`event ${n}`, ''],
  bytes: 20,
  admittedAt: NOW - 1_000 + n,
});

function uploadingWith(...firsts: number[]): Uploading {
  const uploading = new Uploading(LIFE, LIMITS);
  for (const n of firsts) uploading.freeze([row(n), row(n + 1)], DEFINITION, { version: 1, now: NOW });
  return uploading;
}

describe('Uploading', () => {
  it('names an object by the hour in which its batch was frozen, sequence and digest of the first key', () => {
    const [first, second] = [...uploadingWith(1, 3).work()].map(({ input }) => input.key);
    assert.equal(first, `raw/date=2026-01-31/hour=12/batch-1a2b3c4d-0000000001-${digestOf(1)}.csv`);
    assert.equal(second, `raw/date=2026-01-31/hour=12/batch-1a2b3c4d-0000000002-${digestOf(3)}.csv`);
  });

  it('says all that the object depends on, and hands it out once', () => {
    const { lake } = DEFINITION;
    const uploading = new Uploading(LIFE, LIMITS);
    const definition = definitionOf({ lake: { ...lake, acl: 'private' } });
    uploading.freeze([row(1)], definition, { version: 1, now: NOW });
    assert.deepEqual(
      [...uploading.work()],
      [
        {
          kind: 'upload',
          sequence: 1,
          input: {
            bucket: 'lake',
            key: `raw/date=2026-01-31/hour=12/batch-1a2b3c4d-0000000001-${digestOf(1)}.csv`,
            acl: 'private',
            version: 1,
            columns: ['key', 'text'],
            place: { kind: 'maybe-meta', at: [] },
            rows: [['event 1', '']],
            keys: [digestOf(1)],
          },
        },
      ],
    );
    assert.deepEqual([...uploading.work()], []);
    assert.equal(uploading.underWay, 1);
  });

  it('leaves the keys of the rows out where the definition wants no column of them, and knows them still', () => {
    const { lake } = DEFINITION;
    const uploading = new Uploading(LIFE, LIMITS);
    const without = definitionOf({ lake: { ...lake, keyColumn: false } });
    uploading.freeze([row(1)], without, { version: 1, now: NOW });
    uploading.freeze([row(2)], DEFINITION, { version: 2, now: NOW });
    assert.deepEqual(
      [...uploading.work()].map(({ input }) => input.keys),
      [undefined, [digestOf(2)]],
    );
    assert.deepEqual(uploading.ended(1, true).keys, [digestOf(1)]);
  });

  it('says under which definition its rows came, and which of its columns hold their places', () => {
    const { lake } = DEFINITION;
    const columns = parseColumns('o=meta.offset,t=meta.topic,p=meta.partition');
    const uploading = new Uploading(LIFE, LIMITS);
    uploading.freeze([row(1)], definitionOf({ lake: { ...lake, columns } }), { version: 7, now: NOW });
    const [work] = [...uploading.work()];
    assert.equal(work?.input.version, 7);
    assert.deepEqual(work.input.place, { kind: 'maybe-meta', at: [1, 2, 0] });
  });

  it('hands out the same again, key and rows, after a try that failed', () => {
    const uploading = uploadingWith(1);
    const first = [...uploading.work()];
    uploading.ended(1, false);
    assert.deepEqual([...uploading.work()], first);
  });

  it('tries those that failed in the order of their sequence', () => {
    const uploading = uploadingWith(1, 3, 5);
    assert.equal([...uploading.work()].length, 3);
    for (const sequence of [3, 1, 2]) uploading.ended(sequence, false);
    assert.deepEqual(
      uploading.frozen.map(({ sequence }) => sequence),
      [1, 2, 3],
    );
  });

  it('has no room for another batch while four are not in the lake, frozen or under way', () => {
    const uploading = uploadingWith(1, 3);
    assert.equal([...uploading.work()].length, 2);
    for (const n of [5, 7]) {
      assert.equal(uploading.hasRoom, true);
      uploading.freeze([row(n)], DEFINITION, { version: 1, now: NOW });
    }
    assert.equal(uploading.hasRoom, false);
    uploading.ended(1, false);
    assert.equal(uploading.hasRoom, false, 'one that failed keeps its place');
    uploading.ended(2, true);
    assert.equal(uploading.hasRoom, true);
  });

  it('counts the rows and bytes of all batches that are not in the lake', () => {
    const uploading = uploadingWith(1, 3);
    assert.deepEqual(uploading.load, { rows: 4, bytes: 80 });
    assert.equal([...uploading.work()].length, 2);
    uploading.ended(1, false);
    assert.deepEqual(uploading.load, { rows: 4, bytes: 80 });
    uploading.ended(2, true);
    assert.deepEqual(uploading.load, { rows: 2, bytes: 40 });
  });

  it('tells of a batch that ended which keys it has, and since when its oldest row waited', () => {
    const uploading = uploadingWith(1);
    assert.equal([...uploading.work()].length, 1);
    const { keys, admittedAt, version } = uploading.ended(1, true);
    assert.deepEqual([keys, admittedAt, version], [[digestOf(1), digestOf(2)], NOW - 999, 1]);
  });

  it('refuses to end what is not under way', () => {
    assert.throws(() => uploadingWith(1).ended(1, true), /^Error: batch 1 is not being uploaded$/);
  });

  it('goes on in the next run with the same batches and the next sequence number', () => {
    const uploading = uploadingWith(1, 3);
    const frozen: typeof uploading.frozen = JSON.parse(JSON.stringify(uploading.frozen));
    const next = new Uploading(LIFE, LIMITS, uploading.nextSequence, frozen);
    assert.equal(next.nextSequence, 3);
    assert.deepEqual([...next.work()], [...uploading.work()]);
  });
});
