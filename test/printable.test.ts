import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { printable, printableLines } from '../src/printable';
import { problemDetails } from '../src/workflows/details';
import { anyText } from './fuzz/awkward';
import { FUZZ_TIMEOUT_MS, runs } from './fuzz/runs';

const ACTS = /\p{Cc}|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

const TEXTS = runs(10_000);

describe('A text from elsewhere, as people read it', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it('has what could act on a terminal written out', () => {
    assert.equal(printable('\u001b[2J\r\u009b1m\u202e\n'), '\\u001b[2J\\u000d\\u009b1m\\u202e\\u000a');
    assert.equal(printableLines('a\r\nb\u202e'), 'a\\u000d\nb\\u202e');
  });

  it(`acts on nothing, whatever it is, and stays as it is the second time (${TEXTS.numRuns} texts)`, () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = printable(text);
        assert.doesNotMatch(shown, ACTS);
        assert.equal(printable(shown), shown);
        assert.doesNotMatch(printableLines(text).replaceAll('\n', ''), ACTS);
      }),
      TEXTS,
    );
  });

  it('is the same text in JSON', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.equal(JSON.parse(printable(JSON.stringify(text))), text);
      }),
      TEXTS,
    );
  });

  it('is code in the web UI, on one line', () => {
    const problem = 'a`b\n\u202e<b>\u001b';
    assert.equal(problemDetails({ activity: 'parked', problem }), "**parked**: `a'b \\u202e<b>\\u001b`\n");
  });
});
