import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { readBatch } from '../../src/lake/reader';
import { rowsObject } from '../../src/lake/rows-object';

const anyKey = fc.stringMatching(/^[0-9a-f]{16}$/);
const anyName = fc.stringMatching(/^[^\s"'=,]{1,10}$/).filter((name) => name.toLowerCase() !== '_key');

/** Rows of up to four columns, with keys or without. */
const anyRows = fc.uniqueArray(anyName, { minLength: 1, maxLength: 4 }).chain((columns) => {
  const cells = fc.array(fc.string({ unit: 'binary' }), {
    minLength: columns.length,
    maxLength: columns.length,
  });
  return fc
    .tuple(fc.array(fc.tuple(cells, anyKey), { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([keyed, hasKeys]) => ({
      version: 1,
      columns,
      place: { kind: 'meta', at: [] } as const,
      rows: keyed.map(([row]) => row),
      ...(hasKeys ? { keys: keyed.map(([, key]) => key) } : {}),
    }));
});

describe('An object of rows', () => {
  it('is read as it was written, with the key of each row, and found to be unchanged', () => {
    fc.assert(
      fc.property(anyRows, (written) => {
        const read = readBatch(rowsObject(written));
        assert.ok(read.ok);
        assert.deepEqual([read.hasKeys, read.changed], [written.keys !== undefined, undefined]);
        assert.deepEqual(
          read.rows.map(({ key }) => key),
          written.rows.map((_, index) => written.keys?.[index]),
        );
        assert.deepEqual(
          read.rows.map(({ cells }) => cells.slice(0, written.columns.length)),
          written.rows,
        );
      }),
    );
  });

  it('is not what was written once a byte of it is another', () => {
    fc.assert(
      fc.property(anyRows, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, place, change) => {
        const { body, metadata } = rowsObject(written);
        const other = Uint8Array.from(body);
        const at = place % other.length;
        other[at] = (other[at] ?? 0) ^ change;
        const read = readBatch({ body: other, metadata });
        assert.ok(!read.ok || read.changed !== undefined);
      }),
    );
  });
});
