import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { backoffMs, jittered } from '../src/backoff';

describe('A back-off', () => {
  it('doubles with each failure, up to its longest wait', () => {
    const waits = [1, 2, 3, 4, 5, 2_000].map((failures) => backoffMs(failures, { first: 200, most: 1_000 }));
    assert.deepEqual(waits, [200, 400, 800, 1_000, 1_000, 1_000]);
  });

  it('is spread between half of it and all of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600_000 }), (ms) => {
        const wait = jittered(ms);
        assert(wait >= ms / 2 && wait <= ms);
      }),
    );
  });
});
