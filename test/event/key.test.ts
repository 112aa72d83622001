import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type KeyKind, keyAt, keyOf, sha256 } from '../../src/event/key';
import { anyText } from '../fuzz/awkward';
import { FUZZ_TIMEOUT_MS, runs } from '../fuzz/runs';

const KINDS: readonly KeyKind[] = ['payload', 'record', 'id', 'content', 'arrival', 'message', 'resent'];
const PAIRS = runs(10_000);

describe('A key', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it(`is one that SQS takes, and another for each kind and each name (${PAIRS.numRuns} pairs)`, () => {
    const kind = fc.constantFrom(...KINDS);
    // Names that were made as keys of another kind are what somebody would try.
    const name = fc.oneof(
      anyText,
      fc.tuple(kind, anyText).map(([of, text]) => keyOf(of, text)),
      fc.string({ minLength: 100, maxLength: 140 }),
      anyText.map((text) => sha256(text, 'utf16le')),
      fc.constantFrom('t/0/7', 'sha256:', '-sha256:', ':'),
    );
    fc.assert(
      fc.property(kind, name, kind, name, (oneKind, one, otherKind, other) => {
        const isSame = oneKind === otherKind && one === other;
        assert.equal(keyOf(oneKind, one) === keyOf(otherKind, other), isSame);
        assert.match(keyOf(oneKind, one), /^[\x21-\x7e]{1,128}$/);
      }),
      PAIRS,
    );
  });

  it('of a payload is a text or a whole number at a path', () => {
    assert.equal(keyAt({ order: { id: 'a-1' } }, 'order.id'), 'payload:a-1');
    assert.equal(keyAt({ order: { id: 17 } }, 'order.id'), 'payload:17');
    for (const id of ['', 1.5, 2 ** 53, true, null, {}, []]) assert.equal(keyAt({ id }, 'id'), undefined);
  });

  it("that a message attribute can't hold is a digest of it", () => {
    assert.equal(keyOf('payload', 'x'.repeat(120)), `payload:${'x'.repeat(120)}`);
    assert.equal(keyOf('payload', 'x'.repeat(121)), `payload-sha256:${sha256('x'.repeat(121), 'utf16le')}`);
  });
});
