import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { readBatches, UnreadableBatch } from '../../src/sources/kafka/batches';
import { recordBatch, resealed } from '../support/record-batch';
import { FUZZ_TIMEOUT_MS, runs } from './runs';

const BATCHES = runs(2_000);

/** Where a batch's records begin, packed or not; before it stands the header. */
const RECORDS_AT = 61;

/** A thousand at a time, as the source hands them on. */
const MOST_AT_ONCE = 1_000;

describe("A broker's bytes with a checksum that fits", function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const values = Array.from({ length: 40 }, (_, index) => JSON.stringify({ index, text: 'é'.repeat(index) }));

  for (const compression of ['none', 'gzip', 'snappy', 'snappy-blocks', 'lz4'] as const) {
    it(`are records, or refused in words, in bounded pieces: ${compression} (${BATCHES.numRuns} batches)`, async () => {
      const whole = recordBatch({ first: 100, values, compression, headers: 2 });
      const change = fc.record({
        at: fc.oneof(
          fc.nat(whole.length - 1),
          fc.integer({ min: RECORDS_AT, max: Math.min(whole.length - 1, RECORDS_AT + 40) }),
        ),
        byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x7f, 0x80, 0xff)),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
          const bytes = Buffer.from(whole);
          // What stands before is not under the checksum; other tests have it.
          for (const { at, byte } of changes) if (at >= 21) bytes.writeUInt8(byte, at);
          resealed(bytes);
          let next = 100;
          try {
            for await (const piece of readBatches(bytes, 100, [])) {
              assert.ok(piece.records.length <= MOST_AT_ONCE);
              assert.ok(piece.next >= next);
              next = piece.next;
            }
          } catch (error) {
            assert.ok(error instanceof UnreadableBatch, String(error));
            assert.match(
              error.message,
              /^the record batch at offset \d+ can not be read|records can not be read/,
            );
          }
        }),
        BATCHES,
      );
    });
  }
});
