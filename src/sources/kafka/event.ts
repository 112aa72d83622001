import { valueAt } from '../../event/json-path';
import { ADDED_MEMBERS } from '../../pipeline/names';
import { keyAt, keyOf } from '../../event/key';
import { readPayload } from '../../event/event';
import { isCount, type KnownPlace, partitionName } from '../../event/place';
import type { SourceEvent } from '../source';
import type { LogRecord } from './batches';
import type { LogMemory } from './epochs';

/** The member that carries what Kafka knows of a record, so that columns such as `kafka.key` or `kafka.headers.trace` find it. */
const RECORD_MEMBER = ADDED_MEMBERS.kafka;

/** What is known of a record beside what brokers say of it, and how its event gets a key. */
export interface RecordContext {
  topic: string;
  partition: number;
  /** The offset after the record that was read before: what lies between holds no record. */
  from: number;
  /** Names of members joined by dots: where the payload has the key. Empty: topic, partition, offset and the leader's epoch are it. */
  keyPath: string;
  /** What the cursor is to remember of the log behind the record. Default: nothing. */
  memory?: LogMemory;
}

/** A record as an event: the value is the payload, and on its way to the queue {@link RECORD_MEMBER} is put at its end. */
export function eventOf(
  record: LogRecord,
  { topic, partition, from, keyPath, memory }: RecordContext,
): SourceEvent {
  const { offset, epoch } = record;
  const name = partitionName(topic, partition);
  // Another leader may write another record at an offset, after an unclean election.
  const place = `${name}/${offset}${epoch < 0 ? '' : `@${epoch}`}`;
  const published = textOf(record.value);
  const payload = readPayload(published);
  const whereabouts = { partition: name, offset, from };
  const positions = { [name]: { offset: offset + 1, ...memory } };
  // -1 is a record without one.
  const time = record.timestamp >= 0 ? { time: record.timestamp } : {};
  const facts = factsOf(record, { topic, partition, from });
  if (!payload.ok) {
    const read = { ...payload, ...whereabouts, key: keyOf('record', place), isCanary: false };
    return { id: place, positions, ...time, text: published, record: facts, read };
  }
  const key = keyPath === '' ? undefined : keyAt(payload.value, keyPath);
  return {
    id: place,
    positions,
    ...time,
    text: published,
    body: withRecord(published, facts),
    record: facts,
    read: {
      ...payload,
      ...whereabouts,
      key: key ?? keyOf('record', place),
      // A canary is Wikimedia's.
      isCanary: false,
    },
  };
}

function factsOf(
  { offset, epoch, timestamp, key, value, headers }: LogRecord,
  { topic, partition, from }: Pick<RecordContext, 'topic' | 'partition' | 'from'>,
): object {
  return {
    topic,
    partition,
    offset,
    from,
    ...(epoch < 0 ? {} : { epoch }),
    timestamp,
    ...(key === null ? {} : { key: readable(key) }),
    // Of several headers with one name the last holds, as with Kafka's own `lastHeader`.
    ...(headers.length === 0
      ? {}
      : {
          headers: Object.fromEntries(
            headers.map(([header, content]) => [String(header), content === null ? null : readable(content)]),
          ),
        }),
    ...(value === null ? { tombstone: true } : {}),
  };
}

/**
 * Where a record stood that was kept or came through the queue, by what Kafka knew of it: JSON that somebody may have changed.
 *
 * @param record what was kept beside the payload; without it, the payload's own member
 * @returns undefined where topic, partition and offset are not there
 */
export function recordPlace(text: string, record?: object): KnownPlace | undefined {
  const { topic, partition, offset, from } = (record ?? memberOf(text)) as Record<string, unknown>;
  if (typeof topic !== 'string' || topic === '' || !isCount(partition) || !isCount(offset)) return undefined;
  // Objects written before there was `from` have none.
  return { partition: partitionName(topic, partition), offset, ...(isCount(from) ? { from } : {}) };
}

function memberOf(text: string): object {
  const event = readPayload(text);
  const member = event.ok ? valueAt(event.value, [RECORD_MEMBER]) : undefined;
  return typeof member === 'object' && member !== null ? member : {};
}

/** UTF-8 as text; other bytes as `{"base64": "…"}`. */
function readable(bytes: Buffer): string | { base64: string } {
  return decode(bytes) ?? { base64: bytes.toString('base64') };
}

/**
 * A tombstone is an event without payload. Bytes that are no UTF-8 are no JSON either: they are kept whole, as base64, under
 * `rejected/`.
 */
function textOf(value: Buffer | null): string {
  if (value === null) return '{}';
  return decode(value) ?? `base64:${value.toString('base64')}`;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * A payload with {@link RECORD_MEMBER} at its end. The rest of the text stays as it was published: no number is rounded, no member
 * moves.
 *
 * @param object a JSON object, as text
 */
export function withRecord(object: string, record: object): string {
  const end = object.lastIndexOf('}');
  const head = object.slice(0, end).trimEnd();
  return `${head}${head.endsWith('{') ? '' : ','}"${RECORD_MEMBER}":${JSON.stringify(record)}}`;
}
