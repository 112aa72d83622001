import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import * as fc from 'fast-check';
import {
  COMPRESSED_FROM,
  decompress,
  LARGEST_PAYLOAD,
  payloadCodec,
  PayloadCodecError,
} from '../../src/clients/payload-codec';

const { Payload: PayloadMessage } = temporal.api.common.v1;

/** Alike whether its bytes are a Buffer, an Uint8Array, or absent. */
function shape({ metadata, data }: Payload): object {
  const entries = Object.entries(metadata ?? {}).map(([name, value]) => [name, hex(value)] as const);
  return { metadata: Object.fromEntries(entries), data: hex(data ?? new Uint8Array()) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

async function encode(payload: Payload): Promise<Payload> {
  const [encoded] = await payloadCodec.encode([payload]);
  assert(encoded);
  return encoded;
}

function encodingOf({ metadata }: Payload): string {
  return Buffer.from(metadata?.['encoding'] ?? []).toString();
}

function compressed(whole: Uint8Array): Payload {
  return { metadata: { encoding: Buffer.from('binary/zlib') }, data: deflateSync(whole) };
}

const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value) ?? {};

/** Around and above the size from which data are compressed, some of them compressible and some not. */
const data = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.uint8Array({ minLength: COMPRESSED_FROM - 2, maxLength: COMPRESSED_FROM + 2, size: 'max' }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat({ max: 20_000 }))
    .map(([pattern, length]) =>
      Uint8Array.from({ length }, (_, index) => pattern[index % pattern.length] ?? 0),
    ),
);
const encodings = fc.constantFrom('json/plain', 'binary/plain', 'binary/encrypted', 'binary/null');
const payloads = fc.record({
  metadata: fc
    .tuple(
      encodings,
      fc.dictionary(fc.string({ maxLength: 8 }), fc.uint8Array({ maxLength: 40 }), { maxKeys: 3 }),
    )
    .map(([encoding, others]) => ({ ...others, encoding: Buffer.from(encoding) })),
  data,
});

describe('The payload codec', () => {
  it('gives back every payload as it was, and makes none larger', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => {
        const encoded = await encode(payload);
        const [decoded] = await payloadCodec.decode([encoded]);
        assert(decoded);
        assert.deepEqual(shape(decoded), shape(payload));
        assert(
          PayloadMessage.encode(encoded).finish().length <=
            PayloadMessage.encode(payload).finish().length + 32,
        );
      }),
    );
  });

  it('leaves small payloads, what does not become smaller, and what is compressed already as they are', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => {
        const encoded = await encode(payload);
        if (payload.data.length < COMPRESSED_FROM) assert.equal(encoded, payload);
        assert.equal(await encode(encoded), encoded);
      }),
    );
  });

  it('reads what is not its own as it is', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => {
        assert.equal((await payloadCodec.decode([payload]))[0], payload);
      }),
    );
    assert.deepEqual(await payloadCodec.decode([{}, {}]), [{}, {}]);
  });

  it('compresses a batch of rows, in the order of the payloads', async () => {
    const rows = payloadOf(
      Array.from({ length: 100 }, (_, n) => [`row ${n}`, 'https://en.wikipedia.org/wiki/Sluice']),
    );
    const encoded = await payloadCodec.encode([payloadOf('small'), rows]);
    assert.deepEqual(encoded.map(encodingOf), ['json/plain', 'binary/zlib']);
    const [first, second] = await payloadCodec.decode(encoded);
    assert(first && second);
    assert.equal(defaultPayloadConverter.fromPayload(first), 'small');
    assert.deepEqual(shape(second), shape(rows));
  });

  it('says so when what was compressed is damaged, cut off, empty or no payload', async () => {
    const whole = await encode(payloadOf('x'.repeat(COMPRESSED_FROM)));
    const bytes = Buffer.from(whole.data ?? []);
    const damaged = Buffer.from(bytes);
    damaged.writeUInt32BE((damaged.readUInt32BE(bytes.length - 4) ^ 1) >>> 0, bytes.length - 4);
    const broken = [damaged, bytes.subarray(0, -5), Buffer.alloc(0), deflateSync(Buffer.from([0x0a, 0xff]))];
    for (const data of broken) {
      await assert.rejects(payloadCodec.decode([{ ...whole, data }]), (error) => {
        assert(error instanceof PayloadCodecError);
        assert.match(
          error.message,
          /^A payload of \d+ bytes with the encoding binary\/zlib can't be read \(.+\): it was damaged/,
        );
        return true;
      });
    }
  });

  it('makes nothing larger than it may be of a few bytes', async () => {
    const bomb = compressed(Buffer.alloc(LARGEST_PAYLOAD + 1));
    assert((bomb.data?.length ?? 0) < 10_000);
    await assert.rejects(decompress(bomb), /would have more than 8388608 bytes, which Sluice never writes/);
    await assert.rejects(
      decompress(compressed(PayloadMessage.encode(payloadOf('x'.repeat(1_000))).finish()), 100),
    );
  });

  it('leaves what it could not read again as it is', async () => {
    const payload: Payload = { metadata: {}, data: new Uint8Array(LARGEST_PAYLOAD) };
    assert.equal(await encode(payload), payload);
  });
});
