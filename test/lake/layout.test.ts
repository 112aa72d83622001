import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { batchObjectKey, underPrefix } from '../../src/lake/layout';

const batch = {
  sequence: 42,
  frozenAt: Date.UTC(2026, 0, 31, 23, 59, 59, 999),
  firstKeyDigest: '0123456789abcdef',
};

describe("A batch's object key", () => {
  it('is partitioned by the UTC hour, and has sequence and digest', () => {
    assert.equal(
      batchObjectKey('raw/changes', batch),
      'raw/changes/date=2026-01-31/hour=23/batch-0000000042-0123456789abcdef.csv',
    );
  });

  it('begins without a slash where there is no prefix', () => {
    assert.equal(
      batchObjectKey('', { ...batch, frozenAt: batch.frozenAt + 1 }),
      'date=2026-02-01/hour=00/batch-0000000042-0123456789abcdef.csv',
    );
    assert.equal(underPrefix('', 'x'), 'x');
    assert.equal(underPrefix('a/b', 'x'), 'a/b/x');
  });

  it('sorts within an hour as the batches were frozen', () => {
    const sequence = fc.integer({ min: 1, max: 9_999_999_999 });
    fc.assert(
      fc.property(sequence, sequence, (one, other) => {
        const [first, second] = [one, other].map((sequence) => batchObjectKey('p', { ...batch, sequence }));
        assert.equal((first ?? '') < (second ?? ''), one < other);
      }),
    );
  });
});
