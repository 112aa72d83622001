import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { parse } from 'papaparse';
import { DEFAULT_COLUMNS, parseColumns, projectionOf, withoutFormula } from '../../src/rows/columns';
import { writeCsv } from '../../src/rows/csv';
import { encodeMessage } from '../../src/queue/message';
import { readPayload } from '../../src/event/event';
import { wikimediaEvent } from '../../src/sources/sse/wikimedia';
import { anyText, eventTexts } from './awkward';
import { FUZZ_TIMEOUT_MS, runs } from './runs';

const COLUMNS = parseColumns(`${DEFAULT_COLUMNS},log_params,own=__proto__.meta,deep=meta.a.b.c`);

const READ = runs(10_000);
const WRITTEN = runs(4_000);

/** Characters that an SQS body may have (SendMessage in the API reference). */
const SQS_BODY = /^[\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]*$/u;

/** UTF-8 can't hold half of a surrogate pair; what comes as bytes has none. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

describe('Any text in the place of an event', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it(`is read or refused, with a key that SQS takes, and never throws (${READ.numRuns} texts)`, () => {
    fc.assert(
      fc.property(eventTexts({ levels: 12_000 }), (text) => {
        const event = wikimediaEvent(text);
        const { key } = event;
        assert.match(key, /^[\x21-\x7e]{1,128}$/);
        assert.equal(wikimediaEvent(text).key, key);
        if (event.ok) assert.equal(Object.getPrototypeOf(event.value), Object.prototype);
        else assert(event.detail.length < 400, event.detail);
        assert(!('polluted' in {}));
      }),
      READ,
    );
  });

  it(`becomes a message with the same JSON, in characters that SQS takes (${READ.numRuns} texts)`, () => {
    fc.assert(
      fc.property(eventTexts({ levels: 1_000 }).map(wellFormed), (text) => {
        const event = readPayload(text);
        const { body } = encodeMessage({ key: 'key', text });
        if (!event.ok) return;
        assert.match(body, SQS_BODY);
        assert.deepEqual(JSON.parse(body), event.value);
      }),
      READ,
    );
  });

  it(`becomes a record that another reader of CSV reads back (${WRITTEN.numRuns} batches)`, () => {
    const header = COLUMNS.map(({ name }) => name);
    const texts = fc.array(eventTexts({ levels: 1_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(texts, fc.boolean(), (batch, escapeFormulas) => {
        const rows = batch.flatMap((text) => {
          const event = readPayload(text);
          if (!event.ok) return [];
          const cells = projectionOf(COLUMNS)(event.value);
          return [escapeFormulas ? cells.map(withoutFormula) : cells];
        });
        for (const row of rows) assert.equal(row.length, COLUMNS.length);
        const { data, errors } = parse<string[]>(Buffer.from(writeCsv(header, rows)).toString(), {
          delimiter: ',',
          newline: '\n',
        });
        assert.deepEqual(errors, []);
        assert.deepEqual(data.slice(0, -1), [header, ...rows.map((row) => row.map(wellFormed))]);
      }),
      WRITTEN,
    );
  });

  it(`has a key of its own, whatever its meta.id (${READ.numRuns} pairs)`, () => {
    const textOf = (id: string) => JSON.stringify({ meta: { id } });
    const keyOf = (text: string) => wikimediaEvent(text).key;
    // JSON can state halves of surrogate pairs, and UTF-8 would make them all the same.
    const anyId = fc.oneof(anyText, fc.string({ unit: fc.constantFrom('\uD800', '\uDFFF', '\uFFFD', 'x') }));
    fc.assert(
      fc.property(anyId, anyId, (one, other) => {
        assert.equal(keyOf(textOf(one)) === keyOf(textOf(other)), one === other);
      }),
      READ,
    );
  });
});
