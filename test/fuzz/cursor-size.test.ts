import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ConfirmedCursor } from '../../src/sources/confirmed-cursor';
import { type Cursor, cursorTime, parsePositions, resumeRequest } from '../../src/sources/cursor';
import { keyDigest } from '../../src/event/key';
import { anyJson, anyText } from './awkward';
import { FUZZ_TIMEOUT_MS, runs } from './runs';

const CURSORS = runs(400);
const IDS = runs(10_000);

/** With 131 KB of digests, 16 Ki characters of positions and an id of 16 KiB; Temporal takes 2 MiB. */
const LARGEST_CURSOR_BYTES = 256 * 1024;

const START: Cursor = { since: Date.UTC(2026, 0, 31), positions: {}, recent: {} };

const position = fc.record(
  {
    topic: fc.oneof(fc.constantFrom('a', 'b'), anyText, fc.string({ minLength: 500, maxLength: 2_000 })),
    partition: fc.oneof(fc.nat(3), fc.maxSafeNat(), fc.integer()),
    timestamp: fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
    offset: fc.oneof(fc.integer({ min: -1 }), fc.maxSafeNat()),
  },
  { requiredKeys: ['topic', 'partition'] },
);

/** As the source lets them through: 16 KiB at most. */
const anyId = fc
  .oneof(
    {
      weight: 5,
      arbitrary: fc.array(position, { maxLength: 100 }).map((entries) => JSON.stringify(entries)),
    },
    { weight: 1, arbitrary: anyText },
    { weight: 1, arbitrary: anyJson.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 16_384 }).map((length) => '7'.repeat(length)) },
  )
  .filter((id) => Buffer.byteLength(id) <= 16 * 1024);

describe('Any id of an event', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it(`states positions or none (${IDS.numRuns} ids)`, () => {
    fc.assert(
      fc.property(fc.oneof(anyId, anyText), (id) => {
        const positions = parsePositions(id);
        assert(positions === undefined || Object.keys(positions).every((name) => name.includes('/')));
      }),
      IDS,
    );
  });

  it(`leaves a cursor that a heartbeat can carry and a request can ask for (${CURSORS.numRuns} streams)`, () => {
    const ids = fc.array(anyId, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(ids, fc.nat(400), (ids, repeats) => {
        const cursor = new ConfirmedCursor(START);
        for (const [count, id] of [...ids, ...Array<string>(repeats).fill(ids[0] ?? '')].entries()) {
          const positions = parsePositions(id);
          const [partition = ''] = Object.keys(positions ?? {});
          const place = { partition, offset: undefined };
          cursor.confirm(cursor.received({ id, positions }, keyDigest(String(count)), place));
        }
        const told = JSON.parse(JSON.stringify(cursor.resume())) as Cursor;
        const bytes = Buffer.byteLength(JSON.stringify(told));
        assert(bytes <= LARGEST_CURSOR_BYTES, `${bytes} bytes`);
        assert((cursorTime(told) ?? '') <= new Date().toISOString());
        const request = resumeRequest(told);
        if ('lastEventId' in request) assert(Buffer.byteLength(request.lastEventId) < 96 * 1024);
        assert.deepEqual(new ConfirmedCursor(told).cursor(), told);
      }),
      CURSORS,
    );
  });
});
