import * as zlib from 'node:zlib';
import { decompressFrameSync } from 'lz4-napi';
import { uncompressSync } from 'snappy';

/**
 * What is unpacked at once, in bytes, where the format leaves no smaller pieces: a batch of one snappy block, or of an lz4 frame whose blocks
 * build on each other. A record may have as much (see `batches.ts`).
 */
export const LARGEST_PIECE_BYTES = 64 * 1024 * 1024;

/** The message says why. */
export class CannotUnpack extends Error {}

/** Bytes that a stream unpacks before it waits for its reader. */
const CHUNK_BYTES = 64 * 1024;

/** Deflate packs a thousand bytes into one at most: what is not larger than this is unpacked at once, which costs less than a stream. */
const SMALL_BYTES = 16 * 1024;

/** Codecs, by their number in a batch's attributes. */
const NONE = 0;
const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

/**
 * The records of a batch in pieces, so that a reader who takes one piece after the other holds no more than that, however small they
 * were packed: gzip packs a thousand bytes into one.
 *
 * Not with the codecs of the Kafka client (WebAssembly, @platformatic/wasm-utils 0.2.1): a block that can't be unpacked traps there, and what it had taken of
 * the memory is never given back [ran: after some hundred broken lz4 blocks the process had 2 GiB, and no batch could be read any more, checksums
 * included].
 *
 * @throws {@link CannotUnpack}, or what the decompressor says
 */
export async function* unpacked(codec: number, body: Buffer): AsyncGenerator<Buffer> {
  switch (codec) {
    case NONE:
      return yield body;
    case GZIP:
      if (body.length <= SMALL_BYTES) return yield zlib.gunzipSync(body);
      return yield* through(zlib.createGunzip({ chunkSize: CHUNK_BYTES }), body);
    case SNAPPY:
      return yield* unsnappy(body);
    case LZ4:
      return yield* unlz4(body);
    case ZSTD:
      return yield* through(zstd(), body);
  }
  throw new CannotUnpack(`its compression ${codec} is unknown`);
}

async function* through(stream: zlib.Gunzip, body: Buffer): AsyncGenerator<Buffer> {
  stream.end(body);
  for await (const chunk of stream) yield chunk as Buffer;
}

/** Node has zstd since 22.15. */
function zstd(): zlib.Gunzip {
  const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: object) => zlib.Gunzip };
  if (createZstdDecompress) return createZstdDecompress({ chunkSize: CHUNK_BYTES });
  throw new CannotUnpack(
    `it is compressed with zstd, which Node ${process.versions.node} can not read: run workers on Node 22.15 or later, ` +
      'or have the topic compressed in another way (compression.type)',
  );
}

/** "\x82SNAPPY\0", a version and the oldest compatible one. */
const FRAMED = Buffer.from('82534e4150505900', 'hex');
const FRAME_HEADER_BYTES = 16;

/**
 * Java's producers, and brokers, write snappy in blocks, each with its length before it (snappy-java's stream format);
 * others write one block without a frame. The library reads only those.
 */
function* unsnappy(body: Buffer): Generator<Buffer> {
  if (!body.subarray(0, FRAMED.length).equals(FRAMED)) {
    yield unsnappyBlock(body);
    return;
  }
  for (let at = FRAME_HEADER_BYTES; at < body.length;) {
    const end = at + 4 + body.readInt32BE(at);
    if (end <= at) throw new CannotUnpack('a block of it has no length');
    yield unsnappyBlock(body.subarray(at + 4, end));
    at = end;
  }
}

/** A block begins with the size of what it holds, which is taken on before it is unpacked. */
function unsnappyBlock(block: Buffer): Buffer {
  let size = 0;
  for (let at = 0; at < 5; at += 1) {
    const byte = block.readUInt8(at);
    size += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) break;
  }
  requireRoom(size);
  return uncompressSync(block, { asBuffer: true }) as Buffer;
}

/** Of an lz4 frame (its specification, "General Structure of LZ4 Frame format"). */
const LZ4_MAGIC = 0x184d2204;
const INDEPENDENT_BLOCKS = 1 << 5;
const BLOCK_CHECKSUMS = 1 << 4;
const CONTENT_SIZE = 1 << 3;
const DICTIONARY = 1;
const IS_STORED = 0x8000_0000;

/** A frame of one block: independent, up to 4 MiB, without checksums; the last byte belongs to the two before it. */
const ONE_BLOCK = Buffer.from('04224d18607073', 'hex');
const NO_MORE_BLOCKS = Buffer.alloc(4);

/** The library unpacks whole frames only, so each block becomes one. */
function* unlz4(body: Buffer): Generator<Buffer> {
  if (body.readUInt32LE(0) !== LZ4_MAGIC) throw new CannotUnpack('it is no lz4 frame');
  const flags = body.readUInt8(4);
  const blocks = lz4Blocks(body, flags);
  if (flags & INDEPENDENT_BLOCKS) {
    for (const block of blocks) yield decompressFrameSync(Buffer.concat([ONE_BLOCK, block, NO_MORE_BLOCKS]));
    return;
  }
  // Kafka's own clients do not read these.
  const largestBlock = 2 ** (8 + 2 * ((body.readUInt8(5) >> 4) & 0b111));
  requireRoom([...blocks].length * largestBlock);
  yield decompressFrameSync(body);
}

/** Each with its size before it. */
function* lz4Blocks(body: Buffer, flags: number): Generator<Buffer> {
  let at = 7 + (flags & CONTENT_SIZE ? 8 : 0) + (flags & DICTIONARY ? 4 : 0);
  for (;;) {
    const size = body.readUInt32LE(at);
    if (size === 0) return;
    const end = at + 4 + (size % IS_STORED);
    if (end > body.length) throw new CannotUnpack('a block of it is cut off');
    yield body.subarray(at, end);
    at = end + (flags & BLOCK_CHECKSUMS ? 4 : 0);
  }
}

function requireRoom(size: number): void {
  if (size <= LARGEST_PIECE_BYTES) return;
  throw new CannotUnpack(
    `a piece of it may have ${size} bytes, and ${LARGEST_PIECE_BYTES} are unpacked at once`,
  );
}
