import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Assembler, BATCH_BYTES, type WaitingRow } from '../../src/lane/assembler';

const LIMITS = { rows: 5, flushAfterMs: 1_000 };

const row = (n: number, bytes = 10, admittedAt = 0): WaitingRow => ({
  key: String(n),
  cells: [String(n)],
  bytes,
  admittedAt,
});

describe('Assembler', () => {
  it('makes a batch as soon as there are rows enough, and not before', () => {
    const assembler = new Assembler(LIMITS);
    for (let n = 0; n < 4; n += 1) assembler.add(row(n));
    assert.equal(assembler.take(0), undefined);
    assembler.add(row(4));
    assert.equal(assembler.take(0)?.length, 5);
    assert.equal(assembler.take(0), undefined);
  });

  it('makes a smaller batch when the oldest row has waited long enough', () => {
    const assembler = new Assembler(LIMITS);
    assembler.add(row(1, 10, 500));
    assembler.add(row(2, 10, 900));
    assert.equal(assembler.dueAt, 1_500);
    assert.equal(assembler.take(1_499), undefined);
    assert.equal(assembler.take(1_500)?.length, 2);
    assert.equal(assembler.dueAt, undefined);
  });

  it('makes a smaller batch on request, and none of no rows', () => {
    const assembler = new Assembler(LIMITS);
    assert.equal(assembler.take(0, true), undefined);
    assembler.add(row(1));
    assert.equal(assembler.take(0, true)?.length, 1);
  });

  it('closes a batch before the row that would make it too large', () => {
    const assembler = new Assembler(LIMITS);
    const third = BATCH_BYTES / 3;
    for (let n = 0; n < 3; n += 1) assembler.add(row(n, third));
    assert.equal(assembler.take(0), undefined, 'three thirds fit');
    assembler.add(row(3, 1));
    assert.deepEqual(
      assembler.take(0)?.map(({ key }) => key),
      ['0', '1', '2'],
    );
  });

  it('lets every row leave once, in order, in batches within the limits, also across continue-as-new', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: BATCH_BYTES / 2 }), { maxLength: 60 });
    const rules = fc.record({
      rows: fc.integer({ min: 1, max: 20 }),
      flushAfterMs: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(sizes, rules, fc.array(fc.nat(20)), (bytes, limits, pauses) => {
        let assembler = new Assembler(limits);
        const left: WaitingRow[] = [];
        let now = 0;
        const takeAll = (flush: boolean) => {
          for (let batch = assembler.take(now, flush); batch; batch = assembler.take(now, flush)) {
            assert.ok(batch.length <= limits.rows);
            assert.ok(batch.reduce((sum, each) => sum + each.bytes, 0) <= BATCH_BYTES);
            left.push(...batch);
          }
        };
        bytes.forEach((size, n) => {
          now += pauses[n] ?? 0;
          assembler.add(row(n, size, now));
          takeAll(false);
          if (assembler.dueAt !== undefined) assert.ok(assembler.dueAt > now);
          if (n % 7 === 0)
            assembler = new Assembler(limits, JSON.parse(JSON.stringify(assembler.rows)) as WaitingRow[]);
        });
        takeAll(true);
        assert.deepEqual(
          left.map(({ key }) => key),
          bytes.map((_, n) => String(n)),
        );
        assert.equal(assembler.bytes, 0);
      }),
    );
  });
});
