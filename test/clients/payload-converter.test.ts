import assert from 'node:assert/strict';
import { defaultPayloadConverter } from '@temporalio/common';
import * as fc from 'fast-check';
import { payloadConverter } from '../../src/clients/payload-converter';
import { anyText } from '../fuzz/awkward';

/** What workflows and activities pass: texts of any kind among them, in values and in names of members. */
const values = fc.oneof(
  fc.jsonValue({ stringUnit: 'binary' }),
  fc.array(anyText, { maxLength: 30 }),
  fc.dictionary(anyText, anyText, { maxKeys: 5 }),
  fc.constantFrom(null, undefined, 0, '', 'a\ud800', '\udfffb', '\ufeff', { without: undefined }),
  fc.uint8Array(),
);

describe('The payload converter', () => {
  it("writes what the SDK's own writes, byte for byte, and each reads the other's", () => {
    fc.assert(
      fc.property(values, (value) => {
        const [ours, theirs] = [payloadConverter.toPayload(value), defaultPayloadConverter.toPayload(value)];
        assert.deepEqual(plain(ours), plain(theirs));
        const expected = defaultPayloadConverter.fromPayload(theirs);
        assert.deepEqual(payloadConverter.fromPayload(theirs), expected);
        assert.deepEqual(defaultPayloadConverter.fromPayload(ours), expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it("refuses what the SDK's own refuses", () => {
    const cycle: { self?: object } = {};
    cycle.self = cycle;
    for (const value of [cycle, 1n]) {
      assert.throws(() => defaultPayloadConverter.toPayload(value), { name: 'ValueError' });
      assert.throws(() => payloadConverter.toPayload(value), { name: 'ValueError' });
    }
    const unknown = { metadata: { encoding: Buffer.from('json/other') }, data: Buffer.from('{}') };
    assert.throws(() => payloadConverter.fromPayload(unknown), { name: 'ValueError' });
    assert.throws(() => payloadConverter.fromPayload({ metadata: unknown.metadata }), { name: 'ValueError' });
  });
});

/** Bytes as hexadecimal digits, whichever kind of array they came in. */
function plain(payload: ReturnType<typeof defaultPayloadConverter.toPayload>): object {
  const hex = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('hex');
  const metadata = Object.entries(payload.metadata ?? {}).map(([name, value]) => [name, hex(value)]);
  return { metadata, data: hex(payload.data) };
}
