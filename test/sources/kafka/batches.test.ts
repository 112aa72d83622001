import assert from 'node:assert/strict';
import { createRecordsBatch } from '@platformatic/kafka';
import * as fc from 'fast-check';
import { readBatches, UnreadableBatch } from '../../../src/sources/kafka/batches';

interface BatchOptions {
  first?: number;
  values?: readonly string[];
  compression?: 'none' | 'gzip' | 'snappy' | 'lz4';
  producerId?: bigint;
  transactional?: boolean;
}

/** A batch as a broker stores it: with the offset that it gave it. */
function batch({
  first = 0,
  values = ['{}'],
  compression = 'none',
  producerId,
  transactional,
}: BatchOptions = {}): Buffer {
  const messages = values.map((value) => ({ topic: 't', value: Buffer.from(value), timestamp: 1_000n }));
  const { buffer } = createRecordsBatch(messages, {
    compression,
    ...(producerId === undefined ? {} : { producerId }),
    ...(transactional ? { transactionalId: 'x' } : {}),
  });
  const bytes = Buffer.from(buffer);
  // The offset is not under the checksum: brokers set it.
  bytes.writeBigInt64BE(BigInt(first), 0);
  return bytes;
}

const valuesOf = (read: ReturnType<typeof readBatches>) => read.records.map(({ value }) => String(value));
const offsetsOf = (read: ReturnType<typeof readBatches>) => read.records.map(({ offset }) => offset);

describe('Record batches', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4'] as const) {
    it(`are read, each record with its offset: ${compression}`, () => {
      const values = Array.from({ length: 100 }, (_, index) =>
        JSON.stringify({ index, text: 'é'.repeat(50) }),
      );
      const read = readBatches(batch({ first: 500, values, compression }), 500, []);
      assert.deepEqual(valuesOf(read), values);
      assert.deepEqual(
        offsetsOf(read),
        Array.from(values, (_, index) => 500 + index),
      );
      assert.equal(read.next, 600);
      assert.equal(read.records[0]?.timestamp, 1_000);
    });
  }

  it('begin before the offset that was asked for, which is passed over', () => {
    const read = readBatches(batch({ first: 10, values: ['a', 'b', 'c'] }), 12, []);
    assert.deepEqual([valuesOf(read), offsetsOf(read), read.next], [['c'], [12], 13]);
  });

  it('may be cut off at the end: what is whole is read', () => {
    const bytes = Buffer.concat([batch({ first: 0, values: ['a'] }), batch({ first: 1, values: ['b'] })]);
    for (let length = 0; length < bytes.length; length += 1) {
      const read = readBatches(bytes.subarray(0, length), 0, []);
      assert.deepEqual(valuesOf(read), length < bytes.length / 2 ? [] : ['a']);
    }
  });

  it('with a single changed byte are refused', () => {
    const bytes = batch({ values: ['{"n":1}', '{"n":2}'] });
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const broken = Buffer.from(bytes);
          broken.writeUInt8(broken.readUInt8(at) ^ change, at);
          assert.throws(() => readBatches(broken, 0, []), UnreadableBatch);
        },
      ),
    );
  });

  it('before one that can not be read are read first', () => {
    const broken = batch({ first: 2, values: ['c'] });
    broken.writeUInt8(broken.readUInt8(60) ^ 1, 60);
    const bytes = Buffer.concat([batch({ first: 0, values: ['a', 'b'] }), broken]);
    const read = readBatches(bytes, 0, []);
    assert.deepEqual([valuesOf(read), read.next], [['a', 'b'], 2]);
    assert.throws(
      () => readBatches(bytes, 2, []),
      /batch at offset 2 can not be read: its checksum is wrong/,
    );
  });

  it('of an aborted transaction are passed over, and those of others are not', () => {
    const bytes = Buffer.concat([
      batch({ first: 0, values: ['void'], producerId: 7n, transactional: true }),
      batch({ first: 1, values: ['of another'], producerId: 8n, transactional: true }),
      batch({ first: 2, values: ['void too'], producerId: 7n, transactional: true }),
      batch({ first: 3, values: ['plain'] }),
    ]);
    const read = readBatches(bytes, 0, [{ producerId: 7n, firstOffset: 0n }]);
    assert.deepEqual([valuesOf(read), read.next], [['of another', 'plain'], 4]);
  });

  it('that the producer wrote before the transaction was begun count', () => {
    const bytes = Buffer.concat([
      batch({ first: 0, values: ['committed'], producerId: 7n, transactional: true }),
      batch({ first: 1, values: ['void'], producerId: 7n, transactional: true }),
    ]);
    assert.deepEqual(valuesOf(readBatches(bytes, 0, [{ producerId: 7n, firstOffset: 1n }])), ['committed']);
  });
});
