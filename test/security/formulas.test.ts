import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { loadPipeline } from '../../src/settings/pipeline';
import { RowReader } from '../../src/rows/row';
import { anyText } from '../fuzz/awkward';

function read(title: unknown, { escapeFormulas = false } = {}) {
  return new RowReader({ paths: ['title'], escapeFormulas, addedMembers: [] }).read(
    JSON.stringify({ title }),
    'key',
  );
}

function field(title: unknown, options?: { escapeFormulas: boolean }): string | undefined {
  const row = read(title, options);
  return row.ok ? row.cells[0] : row.reason;
}

const escaped = (title: unknown) => field(title, { escapeFormulas: true });

describe('A text that a spreadsheet would run', () => {
  for (const formula of [
    "=cmd|' /C calc'!A0",
    '=1+1',
    '@SUM(A1)',
    '+1+cmd',
    '-1+cmd',
    '--5',
    '-',
    '+',
    '\t=1',
    '\r=1',
    '\n=1',
    '-5 apples',
    '+49 30 1234',
    '-0x1f',
    '=5',
    '-1e',
    '＝1+1',
    '＋1+1',
    '－1+1',
    '＠SUM(A1)',
    '－5',
    '\0=1',
  ]) {
    it(`is marked as text where that is asked for: ${JSON.stringify(formula)}`, () => {
      assert.equal(escaped(formula), `'${formula}`);
    });
  }

  for (const plain of [
    '-5',
    '+5',
    '-5.25',
    '+1e3',
    '-.5',
    '-1E-7',
    '5',
    '',
    "it's",
    'a=b',
    ' -x',
    "'=1",
    '１',
    'a＝b',
    '，',
    'é',
  ]) {
    it(`is not what is a number or begins otherwise: ${JSON.stringify(plain)}`, () => {
      assert.equal(escaped(plain), plain);
    });
  }

  it('is never a number, a truth value, an object or an array of the event', () => {
    for (const value of [-5, -0.5, -1e30, true, ['=1'], { '=': '=1' }]) {
      assert.equal(escaped(value), JSON.stringify(value));
    }
  });

  it('stays as it is unless asked for', () => {
    assert.equal(loadPipeline({}).lake.escapeFormulas, false);
    fc.assert(fc.property(anyText, (text) => assert.equal(field(text), text)));
  });

  it('counts with its mark, and in a row that is too large is not looked at', () => {
    const LARGEST = 64 * 1024;
    // Brackets and quotes.
    const fits = `=${'x'.repeat(LARGEST - 5)}`;
    assert.deepEqual([field(fits), escaped(fits)], [fits, 'row-too-large']);
    assert.equal(escaped(`${'1'.repeat(160_000)}x`), 'row-too-large');
  });

  it('is what it was once the mark is taken away', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc
            .tuple(fc.constantFrom('=', '+', '-', '@', '＝', '＋', '－', '＠', '\0'), anyText)
            .map((parts) => parts.join('')),
        ),
        (text) => {
          const shown = escaped(text) ?? '';
          assert(shown === text || shown === `'${text}`);
          const runs =
            /^[=@＝＋－＠\t\r\n\0]/.test(shown) || (/^[+-]/.test(shown) && Number.isNaN(Number(shown)));
          assert(!runs, shown);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
