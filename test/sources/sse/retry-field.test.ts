import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { RetryField } from '../../../src/sources/sse/retry-field';

function lastStated(chunks: readonly Uint8Array[]): number | undefined {
  const field = new RetryField();
  return chunks.reduce<number | undefined>((last, chunk) => field.read(chunk) ?? last, undefined);
}

describe('The retry field', () => {
  const streams: [what: string, text: string, stated: number | undefined][] = [
    ['a number', 'retry: 3000\n', 3_000],
    ['a number without a space', 'data: 1\nretry:0\r\n', 0],
    ['the last of several', 'retry: 1\nretry: 2\rretry: 3\r\n', 3],
    ['a number behind a byte order mark', '\uFEFFretry: 7\n', 7],
    ['more than a number holds', `retry: ${'9'.repeat(400)}\n`, Infinity],
    ['no number', 'retry: soon\nretry:\nretry: -1\nretry:  2\nretry: 1.5\n', undefined],
    ['a line that has not ended', 'retry: 3', undefined],
    ['the word inside another line', 'data: retry: 3\n:retry: 4\n', undefined],
  ];
  for (const [what, text, stated] of streams) {
    it(`reads ${what}`, () => assert.equal(lastStated([Buffer.from(text)]), stated));
  }

  it('reads the same however the bytes arrive', () => {
    const line = fc.tuple(
      fc.constantFrom('retry', 'data', 'Retry', 'é', ''),
      fc.constantFrom(':', ': ', ''),
      fc.oneof(fc.nat().map(String), fc.constantFrom('', 'x', '0', '5'.repeat(99)), fc.string()),
      fc.constantFrom('\n', '\r', '\r\n'),
    );
    const stream = fc.array(line, { maxLength: 8 }).map((lines) => lines.flat().join(''));
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (text, sizes) => {
        const bytes = Buffer.from(text);
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += chunks.at(-1)?.length ?? 1) {
          chunks.push(bytes.subarray(at, at + (sizes[chunks.length % sizes.length] ?? 1)));
        }
        // The last piece has not ended.
        const lines = text.split(/\r\n|\r|\n/).slice(0, -1);
        const stated = lines.flatMap((each) => /^retry: ?(\d+)$/.exec(each)?.[1] ?? []).at(-1);
        const seen = lastStated(chunks);
        // Of a line that is longer than what is kept, the size is all that matters.
        if (Number(stated ?? 0) > 1e50) assert((seen ?? 0) > 1e50);
        else assert.equal(seen, stated === undefined ? undefined : Number(stated));
      }),
      { numRuns: 2_000 },
    );
  });
});
