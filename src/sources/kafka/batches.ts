import * as zlib from 'node:zlib';
import { compressionsAlgorithms, crc32c, type KafkaRecord, Reader, readRecord } from '@platformatic/kafka';

/** One record of a partition, with what its batch says of it. */
export interface LogRecord {
  offset: number;
  /** Epoch milliseconds: the producer's or, where the topic says so, the broker's. */
  timestamp: number;
  key: Buffer | null;
  /** Null: a tombstone. */
  value: Buffer | null;
  headers: KafkaRecord['headers'];
}

export interface ReadBatches {
  records: LogRecord[];
  /** The offset after the last batch. Between the records there may be offsets without one: see {@link readBatches}. */
  next: number;
}

/** A transaction that was given up: what this producer wrote from this offset on is void, up to its abort marker. */
export interface AbortedTransaction {
  producerId: bigint;
  firstOffset: bigint;
}

/** A batch that can't be read: reading it again won't help, and passing over it would lose its records. */
export class UnreadableBatch extends Error {
  override readonly name = 'UnreadableBatch';
}

/** Before the batch's length counts: base offset and the length itself. */
const LENGTH_END = 12;
const HEADER_BYTES = 61;
/** What the checksum covers begins here: everything after it. */
const ATTRIBUTES_AT = 21;

const COMPRESSION = 0b111;
const LOG_APPEND_TIME = 1 << 3;
const TRANSACTIONAL = 1 << 4;
const CONTROL = 1 << 5;

const ABORT_MARKER = 0;

/** Of one batch, unpacked. Brokers bound batches as they are stored, which packed ones stretch: gzip by a thousand. */
const LARGEST_BATCH_BYTES = 128 * 1024 * 1024;

/**
 * Reads the record batches of one partition as a fetch returns them (Kafka protocol guide, "Record Batch"). The client
 * library reads them too, but checks no checksum.
 *
 * Offsets without a record are no loss: compaction took the record, or it belonged to an aborted transaction, or it is the
 * marker that ends a transaction.
 *
 * @param from the offset asked for; a broker returns whole batches, which may begin before it
 * @throws {@link UnreadableBatch}
 */
export function readBatches(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
): ReadBatches {
  const toCome = [...aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  const givenUp = new Set<bigint>();
  const records: LogRecord[] = [];
  let next = from;
  let at = 0;
  // The last batch may be cut off by the size that was asked for.
  while (bytes.length - at >= HEADER_BYTES && bytes.length - at >= LENGTH_END + bytes.readInt32BE(at + 8)) {
    const size = LENGTH_END + bytes.readInt32BE(at + 8);
    try {
      const batch = openBatch(bytes.subarray(at, at + size));
      for (; toCome[0] && toCome[0].firstOffset <= BigInt(batch.last); toCome.shift()) {
        givenUp.add(toCome[0].producerId);
      }
      if (batch.attributes & CONTROL) {
        if (markerOf(batch) === ABORT_MARKER) givenUp.delete(batch.producerId);
      } else if (!(batch.attributes & TRANSACTIONAL && givenUp.has(batch.producerId))) {
        for (const record of recordsOf(batch)) if (record.offset >= from) records.push(record);
      }
      next = Math.max(next, batch.last + 1);
    } catch (error) {
      // What comes before it is read first.
      if (next > from) break;
      throw error;
    }
    at += size;
  }
  return { records, next };
}

interface Batch {
  first: number;
  last: number;
  attributes: number;
  firstTimestamp: number;
  maxTimestamp: number;
  producerId: bigint;
  count: number;
  /** As stored: maybe compressed. */
  body: Buffer;
}

function openBatch(bytes: Buffer): Batch {
  const first = Number(bytes.readBigInt64BE(0));
  const magic = bytes.readInt8(16);
  if (magic !== 2) throw unreadable(first, `it is of format ${magic}, older than Kafka 0.11`);
  if (bytes.readUInt32BE(17) !== crc32c(bytes.subarray(ATTRIBUTES_AT))) {
    throw unreadable(first, 'its checksum is wrong');
  }
  return {
    first,
    attributes: bytes.readInt16BE(ATTRIBUTES_AT),
    last: first + bytes.readInt32BE(23),
    firstTimestamp: Number(bytes.readBigInt64BE(27)),
    maxTimestamp: Number(bytes.readBigInt64BE(35)),
    producerId: bytes.readBigInt64BE(43),
    count: bytes.readInt32BE(57),
    body: bytes.subarray(HEADER_BYTES),
  };
}

/** Version and type, 16 bits each, are the key of a control record. */
function markerOf(batch: Batch): number | undefined {
  return batch.count === 0 ? undefined : readRecord(Reader.from(batch.body)).key?.readInt16BE(2);
}

function recordsOf(batch: Batch): LogRecord[] {
  const reader = Reader.from(decompressed(batch));
  const { first, firstTimestamp, maxTimestamp, attributes } = batch;
  try {
    return Array.from({ length: batch.count }, () => {
      const { key, value, headers, offsetDelta, timestampDelta } = readRecord(reader);
      const timestamp = attributes & LOG_APPEND_TIME ? maxTimestamp : firstTimestamp + Number(timestampDelta);
      return { offset: first + offsetDelta, timestamp, key, value, headers };
    });
  } catch (error) {
    throw unreadable(first, `its records can not be read (${messageOf(error)})`);
  }
}

function decompressed({ attributes, body, first }: Batch): Buffer {
  const codec = attributes & COMPRESSION;
  try {
    switch (codec) {
      case 0:
        return body;
      case 1:
        return zlib.gunzipSync(body, { maxOutputLength: LARGEST_BATCH_BYTES });
      case 2:
        return unsnappy(body);
      case 3:
        return Buffer.from(compressionsAlgorithms.lz4.decompressSync(body));
      case 4:
        return unzstd(body, first);
    }
  } catch (error) {
    if (error instanceof UnreadableBatch) throw error;
    throw unreadable(first, `it can not be decompressed (${messageOf(error)})`);
  }
  throw unreadable(first, `its compression ${codec} is unknown`);
}

/** "\x82SNAPPY\0", a version and the oldest compatible one. */
const FRAMED = Buffer.from('82534e4150505900', 'hex');
const FRAME_HEADER_BYTES = 16;

/**
 * Java's producers, and brokers, write snappy in blocks, each with its length before it (snappy-java's stream format);
 * others write one block without a frame. The library reads only those.
 */
function unsnappy(body: Buffer): Buffer {
  const unpack = (block: Buffer) => Buffer.from(compressionsAlgorithms.snappy.decompressSync(block));
  if (!body.subarray(0, FRAMED.length).equals(FRAMED)) return unpack(body);
  const blocks: Buffer[] = [];
  for (let at = FRAME_HEADER_BYTES; at < body.length;) {
    const end = at + 4 + body.readInt32BE(at);
    blocks.push(unpack(body.subarray(at + 4, end)));
    at = end;
  }
  return Buffer.concat(blocks);
}

/** Node has zstd since 22.15. */
function unzstd(body: Buffer, first: number): Buffer {
  const { zstdDecompressSync } = zlib as {
    zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;
  };
  if (!zstdDecompressSync) {
    throw unreadable(
      first,
      `it is compressed with zstd, which Node ${process.versions.node} can not read: run workers on Node 22.15 or later, ` +
        'or have the topic compressed in another way (compression.type)',
    );
  }
  return zstdDecompressSync(body, { maxOutputLength: LARGEST_BATCH_BYTES });
}

function unreadable(offset: number, why: string): UnreadableBatch {
  return new UnreadableBatch(`the record batch at offset ${offset} can not be read: ${why}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
