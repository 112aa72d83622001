import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { readCsv } from '../../src/lake/reader';
import { writeCsv } from '../../src/rows/csv';
import { tableOf } from '../../src/rows/table';

const anyKey = fc.stringMatching(/^[0-9a-f]{16}$/);

/** Rows of so many columns, each with its key. */
const anyBatch = fc.integer({ min: 1, max: 3 }).chain((width) => {
  const cells = fc.array(fc.string({ unit: 'binary' }), { minLength: width, maxLength: width });
  return fc.record({
    columns: fc.constant(['a', 'b', 'c'].slice(0, width)),
    keyed: fc.array(fc.tuple(cells, anyKey), { minLength: 1, maxLength: 4 }),
  });
});

describe('The table of a batch', () => {
  it('has the key of each row in the last column, also once it was written and read', () => {
    fc.assert(
      fc.property(anyBatch, ({ columns, keyed }) => {
        const rows = keyed.map(([cells]) => cells);
        const keys = keyed.map(([, key]) => key);
        const { header, rows: records } = tableOf({ columns, rows, keys });
        const read = readCsv(writeCsv(header, records));
        assert.ok(read.ok);
        assert.deepEqual(read.header, [...columns, '_key']);
        assert.deepEqual(
          read.rows,
          keyed.map(([cells, key]) => [...cells, key]),
        );
      }),
    );
  });

  it('is columns and rows alone without keys', () => {
    const batch = { columns: ['a'], rows: [['1'], ['2']] };
    assert.deepEqual(tableOf(batch), { header: ['a'], rows: [['1'], ['2']] });
  });

  it('is none where there is not a key for each row', () => {
    assert.throws(() => tableOf({ columns: ['a'], rows: [['1'], ['2']], keys: ['0'.repeat(16)] }), {
      message: '1 keys are not those of 2 rows',
    });
  });
});
