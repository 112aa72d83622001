import { promisify } from 'node:util';
import { deflate, inflate, type ZlibOptions } from 'node:zlib';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';

/**
 * In a payload's metadata: its data are a whole payload, as protobuf, in the zlib format (RFC 1950). The name and the form of
 * the zlib codec of Temporal's Go SDK, so that programs which know that one read Sluice's histories, too.
 */
const ENCODING = 'binary/zlib';

/**
 * Smaller data, in bytes, stay as they are. Definitions, status and current details are below it, and so readable in the web
 * UI and the CLI without help; rows and receipts are far above it.
 */
export const COMPRESSED_FROM = 4 * 1024;

/**
 * Larger payloads, in bytes, are neither compressed nor made: a few bytes from elsewhere must not fill the memory. Temporal
 * takes 2 MiB at most, and what Sluice makes is smaller before it is compressed.
 */
export const LARGEST_PAYLOAD = 8 * 1024 * 1024;

/** Two below zlib's own: a payload of rows and receipts gets more tables of codes, and is 2 % smaller. */
const MEMORY_LEVEL = 6;

const { Payload: PayloadMessage } = temporal.api.common.v1;
const deflated = promisify<Uint8Array, ZlibOptions, Buffer>(deflate);
const inflated = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate);

/** A payload that says it was compressed, and can't be read. */
export class PayloadCodecError extends Error {
  override readonly name = 'PayloadCodecError';
}

/** Compresses what is large and becomes smaller; what was never compressed is read as it is. */
export const payloadCodec: PayloadCodec = {
  encode: (payloads) => Promise.all(payloads.map(compress)),
  decode: (payloads) => Promise.all(payloads.map((payload) => decompress(payload))),
};

/** For everything that talks to Temporal: clients, Workers, and who replays. */
export const dataConverter = {
  payloadCodecs: [payloadCodec],
  payloadConverterPath: require.resolve('./payload-converter'),
} satisfies DataConverter;

/** @returns the payload itself where compressing it is not worth it, or was done before */
async function compress(payload: Payload): Promise<Payload> {
  if ((payload.data?.length ?? 0) < COMPRESSED_FROM || isCompressed(payload)) return payload;
  const whole = PayloadMessage.encode(payload).finish();
  if (whole.length > LARGEST_PAYLOAD) return payload;
  const data = await deflated(whole, { memLevel: MEMORY_LEVEL });
  return data.length < whole.length ? { metadata: { encoding: Buffer.from(ENCODING) }, data } : payload;
}

/**
 * @param most bytes that the payload may have
 * @returns the payload that was compressed; one that was not, itself
 * @throws PayloadCodecError when it is damaged, or larger than it may be
 */
export async function decompress(payload: Payload, most = LARGEST_PAYLOAD): Promise<Payload> {
  if (!isCompressed(payload)) return payload;
  const data = payload.data ?? new Uint8Array();
  try {
    return PayloadMessage.decode(await inflated(data, { maxOutputLength: most }));
  } catch (error) {
    const isTooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    const what = `A payload of ${data.length} bytes with the encoding ${ENCODING}`;
    throw new PayloadCodecError(
      isTooLarge
        ? `${what} would have more than ${most} bytes, which Sluice never writes`
        : `${what} can't be read (${error instanceof Error ? error.message : String(error)}): it was damaged, or written by another codec of that name`,
      { cause: error },
    );
  }
}

function isCompressed({ metadata }: Payload): boolean {
  const encoding = metadata?.['encoding'];
  return encoding !== undefined && Buffer.from(encoding).toString() === ENCODING;
}
