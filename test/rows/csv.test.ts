import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import Papa from 'papaparse';
import { awkwardTexts } from '../../local/simulated-stream';
import { writeCsv } from '../../src/rows/csv';

const field = fc.oneof(
  fc.constantFrom(
    '',
    '"',
    '""',
    ',',
    '\n',
    '\r',
    '\r\n',
    ' ',
    '=1+1',
    '-1',
    '\u2028',
    '\ufeff',
    '\u0000',
    '\\',
  ),
  fc.constantFrom(...awkwardTexts),
  fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', ' ', 'a', '=', "'", ';', '\t') }),
  fc.string({ unit: 'binary' }),
);

const table = fc
  .integer({ min: 1, max: 5 })
  .chain((width) =>
    fc.tuple(
      fc.constant(Array.from({ length: width }, (_, index) => `c${index}`)),
      fc.array(fc.array(field, { minLength: width, maxLength: width }), { maxLength: 8 }),
    ),
  );

/** UTF-8 can't hold half of a surrogate pair. */
function wellFormed(rows: readonly (readonly string[])[]): string[][] {
  return rows.map((row) => row.map((text) => Buffer.from(text).toString()));
}

function written(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return Buffer.from(writeCsv(header, rows)).toString('utf8');
}

/** The grammar of RFC 4180 and nothing else, with LF between records. */
function readStrictly(csv: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let rest = csv;
  while (rest !== '') {
    const [whole, quoted, plain, end] = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\n)/.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`No RFC 4180 at ${JSON.stringify(rest.slice(0, 40))}`);
    record.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\n') records.push(record.splice(0));
    rest = rest.slice(whole.length);
  }
  assert.deepEqual(record, [], 'the last record ends too');
  return records;
}

describe('A CSV object', () => {
  it('is a header, a record per row and LF between', () => {
    assert.equal(
      written(
        ['a', 'b'],
        [
          ['1', ''],
          ['', 'x y'],
        ],
      ),
      'a,b\n1,\n,x y\n',
    );
  });

  it('has quotes where they are needed and nowhere else, and escapes no formula', () => {
    const row = ['say "hi"', 'a,b', 'c\nd', 'e\rf', 'g\r\nh', '=1+1', '-3', "'", 'i;j\tk', '\u2028'];
    assert.equal(
      written(['h'], [row]),
      `h\n"say ""hi""","a,b","c\nd","e\rf","g\r\nh",=1+1,-3,',i;j\tk,\u2028\n`,
    );
  });

  it('is read back by a reader that takes the RFC at its word', () => {
    fc.assert(
      fc.property(table, ([header, rows]) => {
        assert.deepEqual(readStrictly(written(header, rows)), wellFormed([header, ...rows]));
      }),
      { numRuns: 500 },
    );
  });

  it('is read back by papaparse', () => {
    fc.assert(
      fc.property(table, ([header, rows]) => {
        const { data, errors } = Papa.parse<string[]>(written(header, rows), {
          newline: '\n',
          delimiter: ',',
        });
        assert.deepEqual(errors, []);
        // What papaparse sees behind the last LF.
        assert.deepEqual(data.pop(), ['']);
        assert.deepEqual(data, wellFormed([header, ...rows]));
      }),
      { numRuns: 500 },
    );
  });

  it("is read back by Python's csv module", () => {
    const tables = [...fc.sample(table, 200), [['only'], [['a'], [''], ['b']]] as const];
    const read = [
      'import csv, io, json, sys',
      'csv.field_size_limit(sys.maxsize)',
      'read = lambda text: list(csv.reader(io.StringIO(text, newline=""), strict=True))',
      'print(json.dumps([read(text) for text in json.load(sys.stdin)]))',
    ].join('\n');
    const input = JSON.stringify(tables.map(([header, rows]) => written(header, rows)));
    const output = execFileSync('python3', ['-c', read], { input, encoding: 'utf8', maxBuffer: 2 ** 28 });
    assert.deepEqual(
      JSON.parse(output),
      tables.map(([header, rows]) => wellFormed([header, ...rows])),
    );
  });

  it('keeps a row of one empty field, which as an empty line readers would skip', () => {
    assert.equal(written(['only'], [['a'], [''], ['b']]), 'only\na\n""\nb\n');
  });

  it('is the same bytes for the same rows', () => {
    fc.assert(
      fc.property(table, ([header, rows]) => {
        assert.deepEqual(writeCsv(header, rows), writeCsv([...header], structuredClone(rows)));
      }),
    );
  });

  it('is UTF-8 without a byte order mark', () => {
    assert.deepEqual([...writeCsv(['é'], [])], [0xc3, 0xa9, 0x0a]);
  });
});
