import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type Completeness, describeHoles, findHoles, passOffset } from '../../src/sources/completeness';

const NOW = Date.UTC(2026, 10, 22);
const PARTITION = 'eqiad.recentchange/0';

function passAll(offsets: readonly (number | undefined)[], before: Completeness = {}): Completeness {
  return offsets.reduce<Completeness>(
    (passed, offset, index) => passOffset(passed, { partition: PARTITION, offset }, NOW + index),
    before,
  );
}

const countHoles = (passed: Completeness) => findHoles(passed).offsets;

describe('Completeness', () => {
  it('counts exactly the offsets between the first and the last that did not come, in whatever order the others did', () => {
    const offsets = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 60 });
    fc.assert(
      fc.property(offsets, (later) => {
        // The first one says where the partition begins for us: what comes before it was never asked for.
        const passed = passAll([0, ...later]);
        assert.equal(countHoles(passed), Math.max(0, ...later) - later.length);
      }),
    );
  });

  it('is not changed by an event that comes again', () => {
    const passed = passAll([5, 6, 9, 10]);
    assert.deepEqual(passAll([9, 5, 6, 10, 9], passed), passed);
    assert.equal(countHoles(passed), 2);
  });

  it('takes a rejected event whose offset can not be read for one that is missing', () => {
    assert.equal(countHoles(passAll([5, undefined, 7, 9])), 1);
    assert.equal(countHoles(passAll([5, undefined, 6])), 0);
    assert.equal(countHoles(passAll([undefined, 5, 7])), 1, 'one before the first offset explains nothing');
  });

  describe('of a source that reads the log itself', () => {
    const pass = (places: readonly (readonly [from: number, offset: number])[], before: Completeness = {}) =>
      places.reduce<Completeness>(
        (passed, [from, offset]) => passOffset(passed, { partition: PARTITION, from, offset }, NOW),
        before,
      );

    it('takes no offset for missing that the log does not hold: compacted away, aborted, or a marker', () => {
      const passed = pass([
        [5, 5],
        [6, 20],
        [21, 500_000],
      ]);
      assert.equal(findHoles(passed).offsets, 0);
      assert.equal(findHoles(passed).jumps, 0);
      assert.equal(passed[PARTITION]?.next, 500_001);
    });

    it('counts what was deleted before it was read, however much', () => {
      const passed = pass([
        [0, 9],
        [500_000, 500_003],
      ]);
      assert.equal(findHoles(passed).offsets, 499_990);
      assert.equal(findHoles(passed).jumps, 0);
    });

    it('is not changed by what comes again', () => {
      const passed = pass([
        [0, 9],
        [10, 12],
      ]);
      assert.equal(
        pass(
          [
            [5, 9],
            [0, 3],
          ],
          passed,
        )[PARTITION]?.next,
        13,
      );
      assert.equal(countHoles(pass([[5, 9]], passed)), 0);
    });
  });

  it('keeps partitions apart', () => {
    const one = passOffset({}, { partition: 'a/0', offset: 1 }, NOW);
    const two = passOffset(one, { partition: 'b/0', offset: 7 }, NOW);
    const both = passOffset(two, { partition: 'b/0', offset: 9 }, NOW);
    assert.equal(countHoles(both), 1);
  });

  it('tells since when the oldest missing offset is missed, until it comes', () => {
    const passed = passAll([1, 3, 5]);
    const missing = { offsets: 2, since: new Date(NOW + 1).toISOString(), jumps: 0 };
    assert.deepEqual(findHoles(passed), { ...missing, partitions: [{ partition: PARTITION, ...missing }] });
    assert.deepEqual(findHoles(passAll([2], passed)).since, new Date(NOW + 2).toISOString());
    const none = { offsets: 0, jumps: 0 };
    assert.deepEqual(findHoles(passAll([2, 4], passed)), {
      ...none,
      partitions: [{ partition: PARTITION, ...none }],
    });
  });

  it('says to people what is missing, and of which topic partition', () => {
    const quote = (partition: string) => `<${partition}>`;
    const one = passOffset(passAll([1, 3, 5]), { partition: 'b/1', offset: 7 }, NOW);
    assert.equal(
      describeHoles(findHoles(one), quote),
      `2 offsets missing, since 2026-11-22T00:00:00.001Z; <${PARTITION}>: 2 offsets missing, since 2026-11-22T00:00:00.001Z`,
    );
    assert.equal(describeHoles(findHoles(passAll([1, 2])), quote), '0 offsets missing');
  });

  it('names five partitions at most, none at great length', () => {
    const partitions = Array.from({ length: 7 }, (_, index) => `${index}${'x'.repeat(1_000)}/0`);
    const passed = partitions.reduce<Completeness>(
      (before, partition) =>
        [1, 3].reduce((then, offset) => passOffset(then, { partition, offset }, NOW), before),
      {},
    );
    const said = describeHoles(findHoles(passed), (partition) => partition);
    assert.match(
      said,
      /^7 offsets missing, since .+; 4x+: 1 offsets missing, since [^;]+; 2 partitions more$/,
    );
    assert(said.length < 2_000);
  });

  it("begins anew where another cluster's count begins, forwards or backwards, and keeps what was missing", () => {
    for (const elsewhere of [5_000_000_000, 17]) {
      const passed = passAll([2_000_000, 2_000_002, elsewhere, elsewhere + 1, elsewhere + 3]);
      assert.deepEqual([findHoles(passed).offsets, findHoles(passed).jumps], [2, 1], JSON.stringify(passed));
    }
  });

  it('keeps book of fifty partitions at most', () => {
    const passed = Array.from({ length: 60 }, (_, index) => `topic-${index}/0`).reduce<Completeness>(
      (before, partition) => passOffset(before, { partition, offset: 1 }, NOW),
      {},
    );
    assert.equal(Object.keys(passed).length, 50);
  });

  it('stays small, and forgets no hole that it counted', () => {
    const everySecond = Array.from({ length: 1_000 }, (_, index) => index * 2);
    const passed = passAll(everySecond);
    assert.equal(countHoles(passed), 999);
    assert(JSON.stringify(passed).length < 4_000);
    assert.equal(countHoles(passAll([1_997], passed)), 998, 'a young hole is filled');
    assert.equal(countHoles(passAll([1], passed)), 999, 'one that was given up is not');
  });
});
