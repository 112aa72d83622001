import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { BatchObject, KeptObject } from '../../src/lake/layout';
import {
  checkSequence,
  ClosedNumbers,
  mayComeYet,
  OffsetCheck,
  type Rules,
} from '../../src/verify/verification';
import { Intervals } from '../../src/event/intervals';

const HOUR = 500_000;
const NOW = (HOUR + 1) * 3_600_000;
const OLD = NOW - 3_600_000;

const strict: Rules = { hours: { since: -Infinity, until: Infinity }, graceMs: 0, now: NOW };

/** Lane and incarnation. */
const LIFE = { lane: 0, incarnation: '1a2b3c4d' };

const batch = (sequence: number, { hour = HOUR, modifiedAt = OLD, life = LIFE } = {}): BatchObject => ({
  kind: 'batch',
  ...life,
  key: `batch-${sequence}`,
  sequence,
  hour,
  modifiedAt,
});

const kept = (kind: KeptObject['kind'], digest = 'd', modifiedAt = OLD): KeptObject => ({
  kind,
  digest,
  key: `${kind}/${digest}.json`,
  modifiedAt,
});

/** The numbers of a span, one by one. */
const numbers = ({ from, to }: { from: number; to: number }) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('Intervals', () => {
  const small = fc.integer({ min: 0, max: 60 });

  it('holds what was added, in whatever order and however often, and tells what was new', () => {
    fc.assert(
      fc.property(fc.array(small), (values) => {
        const intervals = new Intervals<number>();
        const model = new Set<number>();
        for (const [index, value] of values.entries()) {
          assert.equal(intervals.add(value, index), !model.has(value));
          model.add(value);
        }
        for (let value = -1; value <= 61; value += 1)
          assert.equal(intervals.contains(value), model.has(value));
      }),
    );
  });

  it('misses exactly what was not added, within any span', () => {
    fc.assert(
      fc.property(fc.array(small), small, small, (values, one, other) => {
        const intervals = new Intervals<undefined>();
        for (const value of values) intervals.add(value, undefined);
        const span = { from: Math.min(one, other), to: Math.max(one, other) };
        const expected = numbers(span).filter((value) => !values.includes(value));
        const missing = intervals.missing(span);
        assert.deepEqual(missing.flatMap(numbers), expected);
        assert.ok(
          missing.every(({ from }, index) => index === 0 || from > (missing[index - 1]?.to ?? 0) + 1),
        );
      }),
    );
  });

  it('names for each hole whoever brought the number after it, first', () => {
    fc.assert(
      fc.property(fc.array(small, { minLength: 1 }), (values) => {
        const intervals = new Intervals<number>();
        for (const [index, value] of values.entries()) intervals.add(value, index);
        const lowest = Math.min(...values);
        const all = { from: lowest, to: Math.max(...values) };
        assert.deepEqual(intervals.extent, all);
        const holes = intervals.holes();
        assert.deepEqual(
          holes.map(({ from, to }) => ({ from, to })),
          intervals.missing(all),
        );
        for (const { to, next } of holes) assert.equal(next, values.indexOf(to + 1));
        if (lowest > 0)
          assert.deepEqual(intervals.holes(0)[0], { from: 0, to: lowest - 1, next: values.indexOf(lowest) });
      }),
    );
  });

  it('is one span when a long stream came nearly in order', () => {
    const intervals = new Intervals<undefined>();
    for (let at = 0; at < 100_000; at += 2) {
      intervals.add(at + 1, undefined);
      intervals.add(at, undefined);
    }
    assert.deepEqual(intervals.holes(), []);
    assert.deepEqual(intervals.extent, { from: 0, to: 99_999 });
  });

  it('has no extent and no holes when it is empty', () => {
    const empty = new Intervals<undefined>();
    assert.equal(empty.extent, undefined);
    assert.deepEqual(empty.holes(), []);
    assert.deepEqual(empty.missing({ from: 2, to: 3 }), [{ from: 2, to: 3 }]);
  });
});

describe('The sequence of objects', () => {
  it('begins at 1 and has no holes', () => {
    assert.deepEqual(checkSequence([batch(1), batch(2)], strict).missing.count, 0);
    const { missing, extents } = checkSequence([batch(3), batch(6)], strict);
    assert.deepEqual(extents, [{ ...LIFE, from: 3, to: 6 }]);
    assert.equal(missing.count, 4);
    assert.deepEqual(missing.named, [
      { ...LIFE, from: 1, to: 2, before: 'batch-3' },
      { ...LIFE, from: 4, to: 5, before: 'batch-6' },
    ]);
  });

  it('has each number once', () => {
    const twice = { ...batch(2), key: 'other' };
    assert.deepEqual(checkSequence([batch(1), batch(2), twice], strict).repeated.named, [
      { ...LIFE, sequence: 2, objects: ['batch-2', 'other'] },
    ]);
  });

  it('may lack a number for as long as the object after it is young, since several are written at once', () => {
    const rules = { ...strict, graceMs: 60_000 };
    const young = batch(3, { modifiedAt: NOW - 59_000 });
    const { missing, onTheWay } = checkSequence([batch(1), young], rules);
    assert.deepEqual([missing.count, onTheWay], [0, 1]);
    assert.equal(checkSequence([batch(1), young, batch(5)], rules).missing.count, 1);
  });

  it('lacks no number below the newest few for that reason, however young the objects are', () => {
    const rules = { ...strict, graceMs: 60_000 };
    const young = (sequence: number) => batch(sequence, { modifiedAt: NOW - 1_000 });
    const { missing, onTheWay } = checkSequence([young(1), young(9)], rules);
    // Four are written at once: with 9 there, 6, 7 and 8 may be on their way.
    assert.deepEqual(missing.named, [{ ...LIFE, from: 2, to: 5, before: 'batch-9' }]);
    assert.deepEqual([missing.count, onTheWay], [4, 3]);
    assert.deepEqual(
      [5, 6, 7, 8, 9].map(
        (newest) => checkSequence([young(1), young(3), young(newest)], rules).missing.named[0],
      ),
      [undefined, ...[6, 7, 8, 9].map(() => ({ ...LIFE, from: 2, to: 2, before: 'batch-3' }))],
    );
  });

  it('may be filled by objects that came later, and is not judged in these', () => {
    const rules = { ...strict, graceMs: 60_000 };
    const young = (sequence: number) => batch(sequence, { modifiedAt: NOW - 1_000 });
    const late = (sequence: number) => ({ ...young(sequence), isLate: true as const });
    const { missing, onTheWay, extents } = checkSequence([young(1), young(3), late(2), late(20)], rules);
    assert.deepEqual([missing.count, onTheWay, extents], [0, 0, [{ ...LIFE, from: 1, to: 3 }]]);
  });

  it('is judged from the first object of the hours asked for', () => {
    const rules = { ...strict, hours: { since: HOUR, until: HOUR + 1 } };
    const before = batch(7, { hour: HOUR - 1 });
    const after = batch(20, { hour: HOUR + 1 });
    const { missing, extents } = checkSequence([before, batch(9), batch(11), after], rules);
    assert.deepEqual(extents, [{ ...LIFE, from: 9, to: 11 }]);
    assert.deepEqual(
      missing.named.map(({ from, to }) => [from, to]),
      [
        [8, 8],
        [10, 10],
      ],
    );
    assert.equal(checkSequence([batch(9)], rules).missing.count, 0);
  });

  it('is judged for each lane by itself, and anew for one that was removed and begun again', () => {
    const other = { lane: 1, incarnation: '1a2b3c4d' };
    const again = { lane: 0, incarnation: '5e6f7a8b' };
    const objects = [batch(1), batch(2), batch(1, { life: other }), batch(3, { life: other })];
    const { extents, missing, repeated } = checkSequence(
      [...objects, batch(2, { life: again }), { ...batch(2, { life: again }), key: 'twice' }],
      strict,
    );
    assert.deepEqual(extents, [
      { ...LIFE, from: 1, to: 2 },
      { ...again, from: 2, to: 2 },
      { ...other, from: 1, to: 3 },
    ]);
    assert.deepEqual(missing.named, [
      { ...again, from: 1, to: 1, before: 'batch-2' },
      { ...other, from: 2, to: 2, before: 'batch-3' },
    ]);
    assert.deepEqual(repeated.named, [{ ...again, sequence: 2, objects: ['batch-2', 'twice'] }]);
  });

  it('lacks numbers on the way among the newest few of each lane', () => {
    const rules = { ...strict, graceMs: 60_000 };
    const young = (sequence: number, lane: number) =>
      batch(sequence, { modifiedAt: NOW - 1_000, life: { ...LIFE, lane } });
    const objects = [1, 2, 3, 4, 5, 6, 9].map((sequence) => young(sequence, 0));
    const { missing, onTheWay } = checkSequence([...objects, young(1, 1), young(3, 1)], rules);
    assert.deepEqual([missing.count, onTheWay], [0, 3]);
    assert.equal(mayComeYet([young(1, 1), young(3, 1)], rules), true);
    assert.equal(mayComeYet([young(2, 0), young(1, 0), young(3, 1)], strict), false);
  });
});

describe('The sequence of a lane whose place another one took', () => {
  const closedBy = (...missing: number[]) => {
    const closed = new ClosedNumbers();
    closed.add({ ...LIFE, last: 10, missing });
    return closed;
  };

  it('lacks what was never written, which is told and no finding', () => {
    const report = checkSequence(
      [1, 2, 5].map((n) => batch(n)),
      strict,
      closedBy(3, 4),
    );
    assert.deepEqual([report.missing.count, report.onTheWay], [0, 0]);
    assert.deepEqual(
      report.closed.named.map(({ sequence }) => sequence),
      [3, 4],
    );
  });

  it('lacks nothing besides', () => {
    const report = checkSequence(
      [1, 2, 7].map((n) => batch(n)),
      strict,
      closedBy(5),
    );
    assert.deepEqual(
      report.missing.named.map(({ from, to }) => [from, to]),
      [
        [3, 4],
        [6, 6],
      ],
    );
  });

  it('is not waited for', () => {
    const young: Rules = { ...strict, graceMs: 3_600_000 };
    const objects = [1, 3].map((n) => batch(n, { modifiedAt: NOW }));
    assert.equal(mayComeYet(objects, young), true);
    assert.equal(mayComeYet(objects, young, closedBy(2)), false);
  });

  it('does not excuse another lane, nor a number that was written all the same', () => {
    const other = { lane: 0, incarnation: '9a9a9a9a' };
    const objects = [...[1, 3].map((n) => batch(n, { life: other })), ...[1, 2, 3].map((n) => batch(n))];
    const report = checkSequence(objects, strict, closedBy(2));
    assert.deepEqual([report.missing.count, report.closed.count], [1, 0]);
  });
});

describe('The offsets of rows', () => {
  const check = (rules: Rules, rows: readonly number[], partition = 't/0') => {
    const offsets = new OffsetCheck(rules);
    for (const offset of rows) offsets.addRow(batch(offset), { partition, offset });
    return offsets;
  };

  it('have no holes within a topic partition, wherever they begin', () => {
    const offsets = check(strict, [10, 12, 11]);
    for (const offset of [500, 503]) offsets.addRow(batch(offset), { partition: 't/1', offset });
    const { missing, partitions } = offsets.report();
    assert.deepEqual(missing.named, [{ partition: 't/1', from: 501, to: 502, before: 'batch-503' }]);
    assert.equal(missing.count, 2);
    assert.deepEqual(partitions, [
      { partition: 't/0', from: 10, to: 12 },
      { partition: 't/1', from: 500, to: 503 },
    ]);
  });

  it('begin another count where they are 100,000 apart, which is told and no finding', () => {
    const offsets = check(strict, [1, 2, 100_003, 100_004, 7_000_000, 7_000_002]);
    const { missing, jumps, unexplained } = offsets.report();
    assert.deepEqual(jumps.named, [
      { partition: 't/0', from: 100_005, to: 6_999_999, before: 'batch-7000000' },
    ]);
    assert.equal(jumps.count, 1);
    assert.equal(missing.count, 100_000 + 1);
    assert.equal(unexplained, missing.count);
  });

  it('may lack those of canary and rejected events of the same partition', () => {
    const offsets = check(strict, [1, 3, 5, 7]);
    offsets.addKept(kept('canary'), { partition: 't/0', offset: 2 });
    offsets.addKept(kept('rejected'), { partition: 't/0', offset: 4 });
    offsets.addKept(kept('canary'), { partition: 't/1', offset: 6 });
    assert.deepEqual(
      offsets.report().missing.named.map(({ from, to }) => [from, to]),
      [[6, 6]],
    );
  });

  it('are not expected up to an event that is no row, since it did not wait in the queue', () => {
    const offsets = check(strict, [1, 2]);
    offsets.addKept(kept('canary'), { partition: 't/0', offset: 9 });
    assert.equal(offsets.report().missing.count, 0);
  });

  it('may lack as many as there are rejected events whose offset can not be read, and not one more', () => {
    const offsets = check(strict, [1, 4]);
    offsets.addKept(kept('rejected', 'a'), undefined);
    assert.equal(offsets.report().missing.count, 2);
    offsets.addKept(kept('canary', 'b'), undefined);
    assert.equal(offsets.report().missing.count, 2, 'canary events can always be read');
    offsets.addKept(kept('rejected', 'b'), undefined);
    const { missing, unexplained, unreadable } = offsets.report();
    assert.deepEqual([missing.count, unexplained, unreadable], [0, 2, 2]);
  });

  it('are not excused by unreadable events of other hours than those that are judged', () => {
    const rules = { ...strict, hours: { since: HOUR, until: HOUR + 1 } };
    const offsets = check(rules, [1, 3]);
    offsets.addKept(kept('rejected', 'a', (HOUR - 2) * 3_600_000), undefined);
    assert.equal(offsets.report().missing.count, 1);
    offsets.addKept(kept('rejected', 'b', (HOUR - 1) * 3_600_000), undefined);
    assert.equal(offsets.report().missing.count, 0);
  });

  it('may still be on their way for as long as the object after them is young', () => {
    const offsets = new OffsetCheck({ ...strict, graceMs: 60_000 });
    offsets.addRow(batch(1), { partition: 't/0', offset: 1 });
    offsets.addRow(batch(2), { partition: 't/0', offset: 3 });
    offsets.addRow(batch(3, { modifiedAt: NOW - 59_000 }), { partition: 't/0', offset: 6 });
    const { missing, onTheWay } = offsets.report();
    assert.deepEqual([missing.count, onTheWay], [1, 2]);
  });

  it('are strict without a grace, also where the clock of S3 is ahead', () => {
    const offsets = check(strict, [1]);
    offsets.addRow(batch(2, { modifiedAt: NOW + 5_000 }), { partition: 't/0', offset: 3 });
    assert.equal(offsets.report().missing.count, 1);
  });

  it('count only where the object after the hole lies in the hours asked for', () => {
    const offsets = new OffsetCheck({ ...strict, hours: { since: HOUR, until: HOUR + 1 } });
    for (const [hour, offset] of [
      [HOUR - 1, 1],
      [HOUR - 1, 3],
      [HOUR, 5],
      [HOUR + 1, 7],
    ] as const) {
      offsets.addRow(batch(offset, { hour }), { partition: 't/0', offset });
    }
    assert.deepEqual(
      offsets.report().missing.named.map(({ from }) => from),
      [4],
    );
  });

  it('name an event that was sent to the queue again and never came', () => {
    const offsets = check(strict, [1, 3, 5]);
    offsets.addKept(kept('resent', 'lost'), { partition: 't/0', offset: 2 });
    offsets.addKept(kept('resent', 'came'), { partition: 't/0', offset: 3 });
    offsets.addKept(kept('resent', 'refused'), { partition: 't/0', offset: 4 });
    offsets.addKept(kept('rejected', 'refused'), { partition: 't/0', offset: 4 });
    const { lostAgain, missing } = offsets.report();
    assert.deepEqual(lostAgain.named, [{ partition: 't/0', offset: 2, digest: 'lost' }]);
    assert.equal(missing.count, 0);
  });

  it('wait for an event that was sent again just now, also when it was sent long ago before', () => {
    const offsets = new OffsetCheck({ ...strict, graceMs: 60_000 });
    for (const offset of [1, 3]) offsets.addRow(batch(offset), { partition: 't/0', offset });
    offsets.addKept(kept('resent', 'a', OLD), { partition: 't/0', offset: 2 });
    offsets.addKept(kept('resent', 'a', NOW - 1_000), { partition: 't/0', offset: 2 });
    const { lostAgain, onTheWay, missing } = offsets.report();
    assert.deepEqual([lostAgain.count, onTheWay, missing.count], [0, 1, 0]);
  });

  it('names twenty holes and counts the others', () => {
    const every = Array.from({ length: 31 }, (_, index) => index * 3);
    const { missing } = check(strict, every).report();
    assert.deepEqual([missing.count, missing.named.length], [60, 20]);
  });
});
