import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  batchKey,
  classify,
  compactTime,
  gapKey,
  HOUR_MS,
  hourFolder,
  incarnationOf,
  keptFolder,
  keptKey,
  ownerKey,
  partsOf,
  prefixClaimedBy,
  resentKey,
  underPrefix,
} from '../../src/lake/layout';
import { sha256 } from '../support/sha256';

const batch = {
  lane: 0,
  incarnation: '1a2b3c4d',
  sequence: 42,
  frozenAt: Date.UTC(2026, 0, 31, 23, 59, 59, 999),
  firstKeyDigest: '0123456789abcdef',
};

const digest = sha256('text');

const hexDigits = (count: number) =>
  fc
    .uint8Array({ minLength: count / 2, maxLength: count / 2 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

const prefixes = fc.oneof(
  fc.constantFrom('', 'raw', 'a/b=c', 'date=2026-01-31', 'rejected', 'batch-0/gaps'),
  fc.string({ minLength: 1 }),
);
const times = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) });
const batches = fc.record({
  lane: fc.integer({ min: 0, max: 63 }),
  incarnation: hexDigits(8),
  sequence: fc.integer({ min: 1, max: 1e12 }),
  frozenAt: times,
  firstKeyDigest: hexDigits(16),
});
const keptDigests = hexDigits(64);

describe("A batch's object key", () => {
  it('is partitioned by the UTC hour, and has incarnation, sequence and digest', () => {
    assert.equal(
      batchKey('raw/changes', batch),
      'raw/changes/date=2026-01-31/hour=23/batch-1a2b3c4d-0000000042-0123456789abcdef.csv',
    );
  });

  it('names a lane from the second one on', () => {
    assert.equal(
      batchKey('raw', { ...batch, lane: 7 }),
      'raw/date=2026-01-31/hour=23/batch-l7-1a2b3c4d-0000000042-0123456789abcdef.csv',
    );
  });

  it('begins without a slash where there is no prefix', () => {
    assert.equal(
      batchKey('', { ...batch, frozenAt: batch.frozenAt + 1 }),
      'date=2026-02-01/hour=00/batch-1a2b3c4d-0000000042-0123456789abcdef.csv',
    );
    assert.equal(underPrefix('', 'x'), 'x');
    assert.equal(underPrefix('a/b', 'x'), 'a/b/x');
  });

  it('sorts within an hour as the batches of one lane were frozen', () => {
    const sequence = fc.integer({ min: 1, max: 9_999_999_999 });
    fc.assert(
      fc.property(sequence, sequence, (one, other) => {
        const [first, second] = [one, other].map((number) => batchKey('p', { ...batch, sequence: number }));
        assert.equal((first ?? '') < (second ?? ''), one < other);
      }),
    );
  });
});

describe('The incarnation of a lane', () => {
  it("is the end of its first run's id, which is random where ids begin with the time", () => {
    assert.equal(incarnationOf('0198f5a2-7b31-7c1e-9d00-3f2a1A2B3C4D'), '1a2b3c4d');
  });
});

describe('The key of an object', () => {
  const understood = (prefix: string, key: string) => {
    const { key: itself, modifiedAt, ...what } = classify(prefix, { key, modifiedAt: 5 });
    assert.deepEqual([itself, modifiedAt], [key, 5]);
    return what;
  };
  const kindOf = (key: string, prefix = 'raw') => understood(prefix, key).kind;

  it('is understood as it was made: of a batch', () => {
    fc.assert(
      fc.property(prefixes, batches, (prefix, made) => {
        const { lane, incarnation, sequence, frozenAt } = made;
        const hour = Math.floor(frozenAt / HOUR_MS);
        const key = batchKey(prefix, made);
        assert.deepEqual(understood(prefix, key), { kind: 'batch', lane, incarnation, sequence, hour });
        assert.ok(key.startsWith(`${hourFolder(prefix, hour)}/`));
      }),
    );
  });

  it('is understood as it was made: of an event that is kept whole', () => {
    fc.assert(
      fc.property(prefixes, keptDigests, times, (prefix, own, time) => {
        for (const kind of ['rejected', 'canary'] as const) {
          const key = keptKey(prefix, kind, own);
          assert.deepEqual(understood(prefix, key), { kind, digest: own });
          assert.ok(key.startsWith(keptFolder(prefix, kind)));
        }
        const key = resentKey(prefix, { digest: own, time: new Date(time).toISOString() });
        assert.deepEqual(understood(prefix, key), { kind: 'resent', digest: own });
        assert.ok(key.startsWith(keptFolder(prefix, 'resent')));
        assert.ok(key.endsWith(`-${compactTime(time)}.json`));
      }),
    );
  });

  it('is understood as it was made: of a gap', () => {
    fc.assert(
      fc.property(prefixes, times, times, (prefix, one, other) => {
        const gap = { from: Math.min(one, other), to: Math.max(one, other) };
        assert.deepEqual(understood(prefix, gapKey(prefix, gap)), { kind: 'gap', gap });
      }),
    );
  });

  it('is understood as it was made: of the one that names the owner, of this prefix and no other', () => {
    fc.assert(
      fc.property(prefixes, (prefix) => {
        const key = ownerKey(prefix);
        assert.deepEqual(understood(prefix, key), { kind: 'owner' });
        if (prefix !== '') assert.equal(prefixClaimedBy(key), prefix);
        assert.equal(kindOf(underPrefix(prefix, ownerKey('orders')), prefix), 'unknown');
      }),
    );
    assert.equal(kindOf('raw/_sluice/other.json'), 'unknown');
    assert.equal(prefixClaimedBy('raw/_sluice/other.json'), undefined);
  });

  it('is found where the hours are listed in which it stands, or whatever the hours', () => {
    fc.assert(
      fc.property(prefixes, batches, (prefix, made) => {
        const hour = Math.floor(made.frozenAt / HOUR_MS);
        // The hours of a pipeline have four digits of a year.
        fc.pre(hour > 1);
        const [hours, ...others] = partsOf(prefix, { since: hour, until: hour + 1 });
        const key = batchKey(prefix, made);
        assert.ok(key.startsWith(hours?.prefix ?? ''));
        assert.ok(key > (hours?.startAfter ?? '') && key < (hours?.end ?? ''));
        const kept = [
          keptKey(prefix, 'canary', digest),
          keptKey(prefix, 'rejected', digest),
          resentKey(prefix, { digest, time: '2026-01-31T12:00:00Z' }),
          gapKey(prefix, { from: 0, to: 1 }),
          ownerKey(prefix),
        ];
        for (const one of kept) assert.equal(others.filter((part) => one.startsWith(part.prefix)).length, 1);
      }),
    );
    assert.deepEqual(partsOf('raw', { since: -Infinity, until: Infinity }), [{ prefix: 'raw/' }]);
  });

  it('is unknown where the pipeline writes none like it', () => {
    const hour = 'raw/date=2026-01-31/hour=12';
    for (const key of [
      'raw/',
      'raw/notes.txt',
      'raw/date=2026-13-45/hour=00/batch-1a2b3c4d-0000000001-0123456789abcdef.csv',
      'raw/date=2026-02-30/hour=00/batch-1a2b3c4d-0000000001-0123456789abcdef.csv',
      'raw/date=2026-01-31/hour=24/batch-1a2b3c4d-0000000001-0123456789abcdef.csv',
      `${hour}/batch-0000000001-0123456789abcdef.csv`,
      `${hour}/batch-1a2b3c4d-1-0123456789abcdef.csv`,
      `${hour}/batch-1a2b3c4d-00000000001-0123456789abcdef.csv`,
      `${hour}/batch-1A2B3C4D-0000000001-0123456789abcdef.csv`,
      `${hour}/batch-l0-1a2b3c4d-0000000001-0123456789abcdef.csv`,
      `${hour}/batch-l01-1a2b3c4d-0000000001-0123456789abcdef.csv`,
      `${hour}/batch-1a2b3c4d-0000000001-0123456789abcdef.csv.gz`,
      `raw/x/date=2026-01-31/hour=12/batch-1a2b3c4d-0000000001-0123456789abcdef.csv`,
      `raw/rejected/${digest}-20260131T120000.000Z.json`,
      `raw/resent/${digest}.json`,
      `raw/resent/${digest}-today.json`,
      `raw/resent/${digest}-20260230T120000.000Z.json`,
      `raw/other/${digest}.json`,
      `raw/rejected/${digest}`,
      'raw/gaps/20260131T120000.000Z-20260131T110000.000Z.json',
      'raw/gaps/today-tomorrow.json',
      'raw/gaps/20260230T120000.000Z-20260303T110000.000Z.json',
    ]) {
      assert.equal(kindOf(key), 'unknown', key);
    }
  });
});
