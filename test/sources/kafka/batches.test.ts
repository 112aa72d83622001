import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type LogPiece, readBatches, UnreadableBatch } from '../../../src/sources/kafka/batches';
import { markerBatch, oldMessage, recordBatch, resealed } from '../../support/record-batch';

interface Read {
  values: string[];
  offsets: number[];
  next: number;
}

/** @returns what is read, with what it fails with, if it does */
async function read(
  bytes: Buffer,
  from: number,
  aborted: Parameters<typeof readBatches>[2] = [],
): Promise<Read & { problem?: unknown }> {
  const all: Read = { values: [], offsets: [], next: from };
  try {
    for await (const { records, next } of readBatches(bytes, from, aborted)) {
      all.values.push(...records.map(({ value }) => String(value)));
      all.offsets.push(...records.map(({ offset }) => offset));
      assert(next >= all.next);
      all.next = next;
    }
    return all;
  } catch (problem) {
    return { ...all, problem };
  }
}

async function valuesOf(...args: Parameters<typeof read>): Promise<string[]> {
  const { values, problem } = await read(...args);
  assert.equal(problem, undefined);
  return values;
}

async function problemOf(bytes: Buffer, from = 0): Promise<string> {
  const { problem } = await read(bytes, from);
  assert(problem instanceof UnreadableBatch, String(problem));
  return problem.message;
}

describe('Record batches', () => {
  it('are refused where a record has more headers than could be told apart from an attack', async () => {
    assert.deepEqual(await valuesOf(recordBatch({ values: ['x'], headers: 10_000 }), 0), ['x']);
    assert.match(
      await problemOf(recordBatch({ values: ['x'], headers: 10_001, compression: 'gzip' })),
      /its records can not be read \(one has 10001 headers, and 10000 are read at most\)/,
    );
  });

  for (const compression of ['none', 'gzip', 'snappy', 'snappy-blocks', 'lz4'] as const) {
    it(`are read, each record with its offset: ${compression}`, async () => {
      const values = Array.from({ length: 100 }, (_, index) =>
        JSON.stringify({ index, text: 'é'.repeat(50) }),
      );
      assert.deepEqual(await read(recordBatch({ first: 500, values, compression }), 500), {
        values,
        offsets: Array.from(values, (_, index) => 500 + index),
        next: 600,
      });
    });

    it(`are read a thousand records at a time at most, however many they hold: ${compression}`, async () => {
      const values = Array.from({ length: 5_500 }, () => '');
      const sizes: number[] = [];
      for await (const { records } of readBatches(recordBatch({ first: 0, values, compression }), 0, []))
        sizes.push(records.length);
      assert.ok(Math.max(...sizes) <= 1_000, sizes.join());
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        values.length,
      );
    });

    it(`of records of any size are read, however the pieces fall: ${compression}`, async () => {
      const sizes = fc.array(
        fc.oneof(fc.nat(10), fc.integer({ min: 63_000, max: 67_000 }), fc.nat(300_000)),
        {
          minLength: 1,
          maxLength: 6,
        },
      );
      await fc.assert(
        fc.asyncProperty(sizes, fc.nat(), async (sizes, seed) => {
          const values = sizes.map((size, index) => text(size, seed + index));
          assert.deepEqual(await valuesOf(recordBatch({ values, compression }), 0), values);
        }),
        { numRuns: 25 },
      );
    });
  }

  it('say of each record in which epoch its leader wrote it, and when', async () => {
    const pieces: LogPiece[] = [];
    for await (const piece of readBatches(recordBatch({ epoch: 7 }), 0, [])) pieces.push(piece);
    assert.deepEqual(
      pieces.map(({ epoch }) => epoch),
      [7, 7],
    );
    assert.deepEqual(
      pieces.flatMap(({ records }) => records.map(({ epoch, timestamp }) => [epoch, timestamp])),
      [[7, 1_000]],
    );
  });

  it('begin before the offset that was asked for, which is passed over', async () => {
    const bytes = recordBatch({ first: 10, values: ['a', 'b', 'c'] });
    assert.deepEqual(await read(bytes, 12), { values: ['c'], offsets: [12], next: 13 });
  });

  it('may be cut off at the end: what is whole is read', async () => {
    const bytes = Buffer.concat([
      recordBatch({ first: 0, values: ['a'] }),
      recordBatch({ first: 1, values: ['b'] }),
    ]);
    for (let length = 0; length < bytes.length; length += 1) {
      assert.deepEqual(await valuesOf(bytes.subarray(0, length), 0), length < bytes.length / 2 ? [] : ['a']);
    }
  });

  it('with a single changed byte are refused', async () => {
    const bytes = recordBatch({ values: ['{"n":1}', '{"n":2}'] });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 16, max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const broken = Buffer.from(bytes);
          broken.writeUInt8(broken.readUInt8(at) ^ change, at);
          await problemOf(broken);
        },
      ),
    );
  });

  it('whose length is none are refused, rather than read for ever', async () => {
    for (const length of [-13, -12, 0, 4]) {
      const broken = recordBatch();
      broken.writeInt32BE(length, 8);
      assert.match(await problemOf(broken), /^the record batch at offset 0 can not be read: it says that it/);
    }
  });

  it('that end before they begin are refused, rather than passed over', async () => {
    const broken = recordBatch({ first: 7, values: ['a', 'b'] });
    broken.writeInt32BE(-1, 23);
    const sentence = 'the record batch at offset 7 can not be read: it says that it ends at offset 6';
    assert.equal(await problemOf(resealed(broken), 7), sentence);
  });

  it('whose records stand in another order than their offsets, or outside, are refused', async () => {
    for (const [last, sentence] of [
      [1, 'a record of it stands at offset 9, where 9 to 8 may stand'],
      [0, 'a record of it stands at offset 8, where 8 to 7 may stand'],
    ] as const) {
      const broken = recordBatch({ first: 7, values: ['a', 'b', 'c'] });
      broken.writeInt32BE(last, 23);
      assert.equal(
        await problemOf(resealed(broken), 7),
        `the record batch at offset 7 can not be read: ${sentence}`,
      );
    }
    const bytes = recordBatch({ first: 7, values: ['a', 'b'] });
    // The second record's own distance from the first offset: length, attributes and time have a byte each before it.
    const size = (bytes.length - 61) / 2;
    bytes.writeUInt8(0, 61 + size + 3);
    assert.match(
      await problemOf(resealed(bytes), 7),
      /a record of it stands at offset 7, where 8 to 8 may stand$/,
    );
  });

  it('of control with a key that is none are refused', async () => {
    const broken = recordBatch({ first: 3, values: ['{}'] });
    broken.writeInt16BE(1 << 5, 21);
    // Behind length, attributes, and how far time and offset are from those of the batch.
    broken.writeUInt8(0x7e, 61 + 4);
    assert.match(
      await problemOf(resealed(broken), 3),
      /at offset 3 can not be read: its control record can not be read \(/,
    );
  });

  it('before one that can not be read are read first', async () => {
    const broken = recordBatch({ first: 2, values: ['c'] });
    broken.writeUInt8(broken.readUInt8(60) ^ 1, 60);
    const bytes = Buffer.concat([recordBatch({ first: 0, values: ['a', 'b'] }), broken]);
    const { values, next } = await read(bytes, 0);
    assert.deepEqual([values, next], [['a', 'b'], 2]);
    assert.match(await problemOf(bytes, 2), /batch at offset 2 can not be read: its checksum is wrong/);
  });

  for (const magic of [0, 1] as const) {
    it(`are refused where a message of format ${magic} stands, which may be shorter than a batch's header`, async () => {
      const message = oldMessage({ first: 5, magic });
      const sentence = `the record batch at offset 5 can not be read: it is of format ${magic}, older than Kafka 0.11`;
      assert.equal(await problemOf(message, 5), sentence);
      const { values, problem } = await read(Buffer.concat([recordBatch({ first: 4 }), message]), 4);
      assert.deepEqual([values, (problem as Error).message], [['{}'], sentence]);
    });
  }

  it('of an aborted transaction are passed over, and those of others are not', async () => {
    const bytes = Buffer.concat([
      recordBatch({ first: 0, values: ['void'], producerId: 7n, transactional: true }),
      recordBatch({ first: 1, values: ['of another'], producerId: 8n, transactional: true }),
      recordBatch({ first: 2, values: ['void too'], producerId: 7n, transactional: true }),
      recordBatch({ first: 3, values: ['plain'] }),
    ]);
    const { values, next } = await read(bytes, 0, [{ producerId: 7n, firstOffset: 0n }]);
    assert.deepEqual([values, next], [['of another', 'plain'], 4]);
  });

  it('of a producer count again once a marker has ended the transaction that it gave up', async () => {
    const of7 = { producerId: 7n, transactional: true };
    const bytes = Buffer.concat([
      recordBatch({ first: 0, values: ['void'], ...of7 }),
      markerBatch({ first: 1, producerId: 7n, isAbort: true }),
      recordBatch({ first: 2, values: ['kept'], ...of7 }),
      markerBatch({ first: 3, producerId: 7n, isAbort: false }),
    ]);
    const { values, next } = await read(bytes, 0, [{ producerId: 7n, firstOffset: 0n }]);
    assert.deepEqual([values, next], [['kept'], 4]);
  });

  it('that the producer wrote before the transaction was begun count', async () => {
    const bytes = Buffer.concat([
      recordBatch({ first: 0, values: ['committed'], producerId: 7n, transactional: true }),
      recordBatch({ first: 1, values: ['void'], producerId: 7n, transactional: true }),
    ]);
    assert.deepEqual(await valuesOf(bytes, 0, [{ producerId: 7n, firstOffset: 1n }]), ['committed']);
  });

  for (const compression of ['gzip', 'snappy-blocks', 'lz4'] as const) {
    it(`are unpacked as far as they are read, however small they were packed: ${compression}`, async () => {
      const values = Array.from({ length: 200 }, () => 'x'.repeat(100_000));
      const packed = recordBatch({ values, compression });
      const before = process.memoryUsage();
      const pieces = readBatches(packed, 0, []);
      const first = await pieces.next();
      const { arrayBuffers } = process.memoryUsage();
      await pieces.return(undefined);
      assert(first.value);
      const held = first.value.records.length;
      assert(held < 50, `${held} of ${values.length} records at once`);
      assert(arrayBuffers - before.arrayBuffers < 10_000_000, `${arrayBuffers - before.arrayBuffers} bytes`);
    });
  }

  it('with a record that is larger than what is unpacked at once are refused, before it is unpacked', async () => {
    const bytes = recordBatch({ values: [Buffer.alloc(70_000_000)], compression: 'gzip' });
    assert(bytes.length < 200_000);
    const before = process.memoryUsage().arrayBuffers;
    assert.match(
      await problemOf(bytes),
      /^the record batch at offset 0 can not be read: a record of it has 700000\d\d bytes, and 67108864 are unpacked at most$/,
    );
    const held = process.memoryUsage().arrayBuffers - before;
    assert(held < 30_000_000, `${held} bytes`);
  });

  it('of one snappy block that says it holds more than is unpacked at once are refused', async () => {
    const bytes = recordBatch({ values: [Buffer.alloc(70_000_000)], compression: 'snappy' });
    assert.match(
      await problemOf(bytes),
      /a piece of it may have 700000\d\d bytes, and 67108864 are unpacked at once$/,
    );
  });
});

/** Text that does not compress to nothing. */
function text(size: number, seed: number): string {
  let state = seed % 2_147_483_647;
  let made = '';
  while (made.length < size) {
    state = (state * 48_271 + 1) % 2_147_483_647;
    made += state.toString(36);
  }
  return made.slice(0, size);
}
