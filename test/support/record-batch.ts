import { compressionsAlgorithms, crc32c, createRecordsBatch } from '@platformatic/kafka';

export interface BatchOptions {
  first?: number;
  values?: readonly (string | Buffer)[];
  /** `snappy-blocks` is what Java's producers write, `snappy` one block. */
  compression?: 'none' | 'gzip' | 'snappy' | 'snappy-blocks' | 'lz4';
  producerId?: bigint;
  transactional?: boolean;
  /** Of the leader that writes it. */
  epoch?: number;
  /** Of each record. */
  headers?: number;
}

/** A batch as a broker stores it: with the offset and the epoch that it gave it. */
export function recordBatch({
  first = 0,
  values = ['{}'],
  compression = 'none',
  producerId,
  transactional,
  epoch = 0,
  headers: count = 0,
}: BatchOptions = {}): Buffer {
  const headers = new Map(
    Array.from({ length: count }, (_, at) => [Buffer.from(String(at)), Buffer.alloc(0)]),
  );
  const messages = values.map((value) => ({
    topic: 't',
    value: Buffer.from(value),
    timestamp: 1_000n,
    headers,
  }));
  const isInBlocks = compression === 'snappy-blocks';
  const { buffer } = createRecordsBatch(messages, {
    compression: isInBlocks ? 'none' : compression,
    ...(producerId === undefined ? {} : { producerId }),
    ...(transactional ? { transactionalId: 'x' } : {}),
  });
  return placed(isInBlocks ? inSnappyBlocks(Buffer.from(buffer)) : Buffer.from(buffer), first, epoch);
}

/** What ends a transaction: a batch of one control record, whose key says how. */
export function markerBatch({
  first,
  producerId,
  isAbort,
  epoch = 0,
}: Required<Pick<BatchOptions, 'first' | 'producerId'>> & { isAbort: boolean; epoch?: number }): Buffer {
  const key = Buffer.from([0, 0, 0, isAbort ? 0 : 1]);
  const message = { topic: 't', key, value: Buffer.alloc(6), timestamp: 1_000n };
  const bytes = Buffer.from(createRecordsBatch([message], { producerId, transactionalId: 'x' }).buffer);
  return placed(withAttribute(bytes, CONTROL), first, epoch);
}

/** A message as it was stored before Kafka 0.11, shorter than the header of a batch. */
export function oldMessage({ first, magic = 1 }: { first: number; magic?: 0 | 1 }): Buffer {
  const timestamp = magic === 1 ? 8 : 0;
  const bytes = Buffer.alloc(12 + 4 + 1 + 1 + timestamp + 4 + 4 + 2);
  bytes.writeBigInt64BE(BigInt(first), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt8(magic, 16);
  bytes.writeInt32BE(-1, 18 + timestamp);
  bytes.writeInt32BE(2, 22 + timestamp);
  bytes.write('{}', 26 + timestamp);
  return bytes;
}

const CHECKSUM_AT = 17;
const ATTRIBUTES_AT = 21;
const RECORDS_AT = 61;
const SNAPPY = 2;
const CONTROL = 1 << 5;

/** As snappy-java does: 32 KiB each. */
function inSnappyBlocks(bytes: Buffer): Buffer {
  const blocks: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')];
  for (let at = RECORDS_AT; at < bytes.length; at += 32_768) {
    const block = Buffer.from(compressionsAlgorithms.snappy.compressSync(bytes.subarray(at, at + 32_768)));
    const size = Buffer.alloc(4);
    size.writeInt32BE(block.length);
    blocks.push(size, block);
  }
  const packed = Buffer.concat([bytes.subarray(0, RECORDS_AT), ...blocks]);
  packed.writeInt32BE(packed.length - 12, 8);
  return withAttribute(packed, SNAPPY);
}

function withAttribute(bytes: Buffer, attribute: number): Buffer {
  bytes.writeInt16BE(bytes.readInt16BE(ATTRIBUTES_AT) | attribute, ATTRIBUTES_AT);
  return resealed(bytes);
}

/** The same bytes, with the checksum of what stands behind it. */
export function resealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes.subarray(ATTRIBUTES_AT)), CHECKSUM_AT);
  return bytes;
}

/** Neither is under the checksum: brokers set them. */
function placed(bytes: Buffer, first: number, epoch: number): Buffer {
  bytes.writeBigInt64BE(BigInt(first), 0);
  bytes.writeInt32BE(epoch, 12);
  return bytes;
}
