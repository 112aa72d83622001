import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { batchKey, resentKey } from '../../src/lake/layout';
import { keepCanary, keepRejected, keyOfResent } from '../../src/lake/kept';
import { keyDigest } from '../../src/event/key';
import { anyText, eventTexts } from '../fuzz/awkward';
import { FakeStore } from '../support/fake-store';
import { sha256 } from '../support/sha256';

const RUNS = { numRuns: 2_000 };
const PREFIX = 'raw/changes';

const LAKE = { bucket: 'lake', prefix: PREFIX };

/** All that an event's author or a source can choose. */
const chosen = fc.record({
  text: fc.oneof(eventTexts({ levels: 10 }), anyText, fc.constantFrom('../../../etc', '/', '..', '\0')),
  id: anyText,
});

describe('The key of an object', () => {
  it(`can't be steered by an event: of a batch (${RUNS.numRuns} events)`, () => {
    const sequence = fc.integer({ min: 1, max: 9_999_999_999 });
    const frozenAt = fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(chosen, sequence, frozenAt, ({ text }, sequence, time) => {
        const firstKeyDigest = keyDigest(text);
        const name = { lane: 0, incarnation: '1a2b3c4d', sequence, frozenAt: time.getTime(), firstKeyDigest };
        const key = batchKey(PREFIX, name);
        assert.match(
          key,
          /^raw\/changes\/date=\d{4}-\d\d-\d\d\/hour=\d\d\/batch-1a2b3c4d-\d{10}-[0-9a-f]{16}\.csv$/,
        );
      }),
      RUNS,
    );
  });

  it(`can't be steered by an event: of a rejected one and of a canary (${RUNS.numRuns} events)`, async () => {
    await fc.assert(
      fc.asyncProperty(chosen, async ({ text, id }) => {
        const store = new FakeStore(LAKE);
        const facts = { source: id, id, key: text, text };
        await keepRejected(store, { reason: 'not-json', detail: text, ...facts });
        await keepCanary(store, facts);
        assert.deepEqual(
          [...store.objects.keys()],
          [`raw/changes/rejected/${sha256(text)}.json`, `raw/changes/canaries/${sha256(text)}.json`],
        );
      }),
      RUNS,
    );
  });

  it(`can't be steered by an event: of one that is sent again (${RUNS.numRuns} events)`, () => {
    const time = fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(chosen, time, ({ text }, time) => {
        const rejection = { digest: sha256(text), time: time.toISOString() };
        assert.match(
          resentKey(PREFIX, rejection),
          /^raw\/changes\/resent\/[0-9a-f]{64}-\d{8}T\d{6}\.\d{3}Z\.json$/,
        );
        assert.match(keyOfResent(rejection), /^resent:[0-9a-f]{64}$/);
      }),
      RUNS,
    );
  });

  it("can't leave its folder by the time that a rejected object states", () => {
    for (const time of ['../../x', '', 'x', '2026-01-01T00:00:00Z/../..']) {
      assert.throws(() => resentKey(PREFIX, { digest: sha256(''), time }), RangeError);
    }
  });
});
