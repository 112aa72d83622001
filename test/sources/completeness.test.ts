import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type Completeness, countHoles, passOffset } from '../../src/sources/completeness';

const PARTITION = 'eqiad.recentchange/0';

function passAll(offsets: readonly (number | undefined)[], before: Completeness = {}): Completeness {
  return offsets.reduce<Completeness>((passed, offset) => passOffset(passed, PARTITION, offset), before);
}

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

  it('keeps partitions apart', () => {
    const one = passOffset({}, 'a/0', 1);
    const both = passOffset(passOffset(one, 'b/0', 7), 'b/0', 9);
    assert.equal(countHoles(both), 1);
  });

  it('stays small, and forgets no hole that it counted', () => {
    const everySecond = Array.from({ length: 1_000 }, (_, index) => index * 2);
    const passed = passAll(everySecond);
    assert.equal(countHoles(passed), 999);
    assert(JSON.stringify(passed).length < 3_000);
    assert.equal(countHoles(passAll([1_997], passed)), 998, 'a young hole is filled');
    assert.equal(countHoles(passAll([1], passed)), 999, 'one that was given up is not');
  });
});
