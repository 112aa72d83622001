import { crc32c, type KafkaRecord, Reader, readRecord } from '@platformatic/kafka';
import { CannotUnpack, LARGEST_PIECE_BYTES, unpacked } from './unpack';

/** One record of a partition, with what its batch says of it. */
export interface LogRecord {
  offset: number;
  /** Of the leader that wrote it, which makes it itself together with the offset; -1 where brokers state none. */
  epoch: number;
  /** Epoch milliseconds: the producer's or, where the topic says so, the broker's. */
  timestamp: number;
  key: Buffer | null;
  /** Null: a tombstone. */
  value: Buffer | null;
  headers: KafkaRecord['headers'];
}

/** A stretch of a partition. */
export interface LogPiece {
  records: LogRecord[];
  /** The offset behind it. Between the records there may be offsets without one: see {@link readBatches}. */
  next: number;
  /** Of the leader that wrote it; -1 where brokers state none. */
  epoch: number;
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
const EPOCH_AT = 12;
/** At the same place in all formats. */
const MAGIC_AT = 16;
const HEADER_BYTES = 61;
/** What the checksum covers begins here: everything after it. */
const ATTRIBUTES_AT = 21;

const COMPRESSION = 0b111;
const LOG_APPEND_TIME = 1 << 3;
const TRANSACTIONAL = 1 << 4;
const CONTROL = 1 << 5;

const ABORT_MARKER = 0;

/** Of one record. */
const MOST_HEADERS = 10_000;

/** Records that are made before their reader has taken those before. The smallest has seven bytes, and takes a hundred times that when it is made. */
const MOST_AT_ONCE = 1_000;

/**
 * Reads the record batches of one partition as a fetch returns them (Kafka protocol guide, "Record Batch"), in pieces: what was packed
 * small is unpacked as far as its reader takes it. The client library reads batches too, but checks no checksum and unpacks them whole.
 *
 * Offsets without a record are no loss: compaction took the record, or it belonged to an aborted transaction, or it is the
 * marker that ends a transaction.
 *
 * @param from the offset asked for; a broker returns whole batches, which may begin before it
 * @throws {@link UnreadableBatch} after what comes before the batch
 */
export async function* readBatches(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
): AsyncGenerator<LogPiece> {
  /** The next one last. */
  const toCome = [...aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? 1 : -1));
  const givenUp = new Set<bigint>();
  for (const batch of batchesIn(bytes)) {
    for (let next = toCome.at(-1); next && next.firstOffset <= BigInt(batch.last); next = toCome.at(-1)) {
      givenUp.add(next.producerId);
      toCome.pop();
    }
    const { epoch } = batch;
    if (batch.attributes & CONTROL) {
      if (markerOf(batch) === ABORT_MARKER) givenUp.delete(batch.producerId);
    } else if (batch.last >= from && !(batch.attributes & TRANSACTIONAL && givenUp.has(batch.producerId))) {
      for await (const records of recordsOf(batch)) {
        const wanted = records.filter(({ offset }) => offset >= from);
        const last = wanted.at(-1);
        if (last) yield { records: wanted, next: last.offset + 1, epoch };
      }
    }
    if (batch.last >= from) yield { records: [], next: batch.last + 1, epoch };
  }
}

interface Batch {
  first: number;
  last: number;
  epoch: number;
  attributes: number;
  firstTimestamp: number;
  maxTimestamp: number;
  producerId: bigint;
  count: number;
  /** As stored: maybe compressed. */
  body: Buffer;
}

/** The last batch may be cut off by the size that was asked for. */
function* batchesIn(bytes: Buffer): Generator<Batch> {
  for (let at = 0; bytes.length - at > MAGIC_AT;) {
    const size = LENGTH_END + bytes.readInt32BE(at + 8);
    const first = Number(bytes.readBigInt64BE(at));
    if (size <= MAGIC_AT) throw unreadable(first, `it says that it has ${size} bytes`);
    if (bytes.length - at < size) return;
    yield openBatch(first, bytes.subarray(at, at + size));
    at += size;
  }
}

function openBatch(first: number, bytes: Buffer): Batch {
  // A message of an older format may be shorter than the header of a batch.
  const magic = bytes.readInt8(MAGIC_AT);
  if (magic !== 2) throw unreadable(first, `it is of format ${magic}, older than Kafka 0.11`);
  if (bytes.length < HEADER_BYTES) throw unreadable(first, `it says that it has ${bytes.length} bytes`);
  if (bytes.readUInt32BE(17) !== crc32c(bytes.subarray(ATTRIBUTES_AT))) {
    throw unreadable(first, 'its checksum is wrong');
  }
  const last = first + bytes.readInt32BE(23);
  // Taken for one that was read long ago, it would be passed over.
  if (last < first) throw unreadable(first, `it says that it ends at offset ${last}`);
  return {
    first,
    last,
    epoch: bytes.readInt32BE(EPOCH_AT),
    attributes: bytes.readInt16BE(ATTRIBUTES_AT),
    firstTimestamp: Number(bytes.readBigInt64BE(27)),
    maxTimestamp: Number(bytes.readBigInt64BE(35)),
    producerId: bytes.readBigInt64BE(43),
    count: bytes.readInt32BE(57),
    body: bytes.subarray(HEADER_BYTES),
  };
}

/** Version and type, 16 bits each, are the key of a control record. */
function markerOf({ first, count, body }: Batch): number | undefined {
  try {
    return count === 0 ? undefined : readRecord(Reader.from(body)).key?.readInt16BE(2);
  } catch (error) {
    throw unreadable(first, `its control record can not be read (${messageOf(error)})`);
  }
}

/** As many at a time as one piece of the unpacked batch completes, and {@link MOST_AT_ONCE} at most. */
async function* recordsOf(batch: Batch): AsyncGenerator<LogRecord[]> {
  let left = batch.count;
  let least = batch.first;
  const waiting = new RecordBytes(batch);
  for await (const piece of piecesOf(batch)) {
    waiting.add(piece);
    let records: LogRecord[] = [];
    for (let bytes = waiting.take(); bytes && left > 0; bytes = waiting.take()) {
      const record = recordOf(batch, bytes);
      requireInOrder(batch, record, least);
      records.push(record);
      least = record.offset + 1;
      left -= 1;
      if (records.length < MOST_AT_ONCE) continue;
      yield records;
      records = [];
    }
    if (records.length > 0) yield records;
    if (left === 0) return;
  }
  if (left > 0) throw unreadable(batch.first, `${left} of its ${batch.count} records are not there`);
}

async function* piecesOf({ attributes, body, first }: Batch): AsyncGenerator<Buffer> {
  try {
    yield* unpacked(attributes & COMPRESSION, body);
  } catch (error) {
    if (error instanceof CannotUnpack) throw unreadable(first, error.message);
    throw unreadable(first, `it can not be decompressed (${messageOf(error)})`);
  }
}

function recordOf(batch: Batch, bytes: Buffer): LogRecord {
  const { first, epoch, firstTimestamp, maxTimestamp, attributes } = batch;
  try {
    requireFewHeaders(bytes);
    const { key, value, headers, offsetDelta, timestampDelta } = readRecord(Reader.from(bytes));
    const timestamp = attributes & LOG_APPEND_TIME ? maxTimestamp : firstTimestamp + Number(timestampDelta);
    return { offset: first + offsetDelta, epoch, timestamp, key, value, headers };
  } catch (error) {
    throw unreadable(first, `its records can not be read (${messageOf(error)})`);
  }
}

/** The cursor goes by offsets: one that is behind, or ahead of its batch, would move it past records that nobody has read. */
function requireInOrder({ first, last }: Batch, { offset }: LogRecord, least: number): void {
  if (offset >= least && offset <= last) return;
  throw unreadable(first, `a record of it stands at offset ${offset}, where ${least} to ${last} may stand`);
}

/** A header may have two bytes, and the library makes all of a record at once. */
function requireFewHeaders(bytes: Buffer): void {
  if (bytes.length <= MOST_HEADERS) return;
  const reader = Reader.from(bytes);
  // Length, attributes, and how far time and offset are from the batch's.
  reader.readVarInt();
  reader.readInt8();
  reader.readVarInt64();
  reader.readVarInt();
  reader.readVarIntBytes();
  reader.readVarIntBytes();
  const headers = reader.readVarInt();
  if (headers > MOST_HEADERS)
    throw new Error(`one has ${headers} headers, and ${MOST_HEADERS} are read at most`);
}

/** Cuts pieces of any size into records. Each has its length before it, as a variable number of bytes. */
class RecordBytes {
  readonly #batch: Batch;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** So many are needed before it is worth to look again: a large record comes in many pieces. */
  #needed = 1;

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** @returns the next record with its length, if all of it is there */
  take(): Buffer | undefined {
    if (this.#bytes < this.#needed) return undefined;
    const [first = Buffer.alloc(0), ...others] = this.#pieces;
    const bytes = others.length === 0 ? first : Buffer.concat(this.#pieces);
    const size = this.#sizeOf(bytes);
    const isWhole = size !== undefined && size <= bytes.length;
    const rest = isWhole ? bytes.subarray(size) : bytes;
    this.#needed = isWhole ? 1 : (size ?? bytes.length + 1);
    this.#pieces = [rest];
    this.#bytes = rest.length;
    return isWhole ? bytes.subarray(0, size) : undefined;
  }

  /** @returns undefined while not even its length is there */
  #sizeOf(bytes: Buffer): number | undefined {
    let zigzag = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes.readUInt8(at);
      zigzag += (byte & 0x7f) * 2 ** (7 * at);
      if (byte < 0x80) return at + 1 + this.#lengthOf(zigzag);
      if (at === 4) break;
    }
    return bytes.length < 5 ? undefined : 5 + this.#lengthOf(zigzag);
  }

  #lengthOf(zigzag: number): number {
    const { first } = this.#batch;
    const length = zigzag / 2;
    if (!Number.isInteger(length)) throw unreadable(first, 'a record of it has no length');
    if (length <= LARGEST_PIECE_BYTES) return length;
    throw unreadable(
      first,
      `a record of it has ${length} bytes, and ${LARGEST_PIECE_BYTES} are unpacked at most`,
    );
  }
}

function unreadable(offset: number, why: string): UnreadableBatch {
  return new UnreadableBatch(`the record batch at offset ${offset} can not be read: ${why}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
