import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { PlaceKind } from '../../src/lake/place-columns';
import { columnsText, metadataOf, statedIn } from '../../src/lake/stated';

const STATED = {
  digest: 'd'.repeat(64),
  sha256: 'e'.repeat(64),
  rows: 1_000,
  columns: 'a,_key',
  version: 7,
  place: { kind: 'kafka' as PlaceKind, at: [3, 1, 2, 0] },
};

const anyHeader = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1 }), {
  minLength: 1,
  maxLength: 300,
});

/** As S3 counts them. */
const bytesOf = (metadata: Record<string, string>) =>
  Object.entries(metadata).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);

describe('What an object states of itself', () => {
  it('is read as it was written', () => {
    assert.deepEqual(statedIn(metadataOf(STATED)), STATED);
    assert.deepEqual(metadataOf(STATED), {
      'sluice-digest': STATED.digest,
      'sluice-sha256': STATED.sha256,
      'sluice-rows': '1000',
      'sluice-columns': 'a,_key',
      'sluice-version': '7',
      'sluice-place': 'kafka 4,2,3,1',
    });
  });

  it('is printable ASCII, and less than the 2 KB that S3 takes, whatever the columns are called', () => {
    fc.assert(
      fc.property(anyHeader, (header) => {
        const metadata = metadataOf({ ...STATED, columns: columnsText(header) });
        assert.ok(bytesOf(metadata) <= 1_500, String(bytesOf(metadata)));
        assert.match(Object.values(metadata).join(' '), /^[\x20-\x7e]*$/);
      }),
    );
  });

  it('is nothing where another hand wrote the object', () => {
    assert.equal(statedIn({}), undefined);
    assert.equal(statedIn({ mtime: '1' }), undefined);
  });

  it('is never right where a part of it is missing or wrong', () => {
    const { 'sluice-sha256': sha256 = '' } = metadataOf(STATED);
    const { rows, columns, version, place } =
      statedIn({ 'sluice-sha256': sha256, 'sluice-place': 'here' }) ?? assert.fail();
    assert.deepEqual([rows, columns, version, place], [NaN, '', NaN, undefined]);
  });
});

describe('The columns that an object states', () => {
  it('are their names, joined by commas, as far as they are short', () => {
    assert.equal(columnsText(['event_id', 'length.old', '_key']), 'event_id,length.old,_key');
    assert.equal(columnsText(['größe', 'a,b', '%']), 'gr%C3%B6%C3%9Fe,a%2Cb,%25');
    assert.equal(columnsText(['\ud800']), columnsText(['\ufffd']), 'as in the CSV');
  });

  it('are a digest where they are long, which no name can be taken for', () => {
    const many = Array.from({ length: 300 }, (_, index) => `column_${index}`);
    assert.match(columnsText(many), /^sha256:[0-9a-f]{64}$/);
    assert.notEqual(columnsText(many), columnsText(many.toReversed()));
    assert.equal(columnsText(['sha256:0']), 'sha256%3A0');
  });

  it('tell any two headers apart', () => {
    fc.assert(
      fc.property(anyHeader, anyHeader, (one, other) => {
        const isSame = one.length === other.length && one.every((name, index) => name === other[index]);
        assert.equal(columnsText(one) === columnsText(other), isSame);
      }),
    );
  });
});
