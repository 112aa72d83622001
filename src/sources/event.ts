import { createHash } from 'node:crypto';
import { membersOf, valueAt } from '../lake/columns';
import type { RejectReason } from '../lake/rejected';
import { partitionName } from './cursor';

/** Where an event stands in its source. */
interface Place {
  /** Name of the event's topic partition; empty where nothing says. */
  partition: string;
  /** Within the partition, where something says. */
  offset: number | undefined;
  /** Of a source that knows: the first offset from which on there is nothing up to the event. See {@link passOffset}. */
  from?: number;
}

/** What a payload turned out to be, with what Wikimedia's payloads state of their place. */
export type Payload = Place &
  ({ ok: true; value: object; canary: boolean } | { ok: false; reason: RejectReason; detail: string });

/** An event's payload, and what makes the event itself. */
export type ReadEvent = Payload & {
  /** Printable ASCII, 128 characters at most: it travels as a message attribute. */
  key: string;
};

const NOWHERE: Place = { partition: '', offset: undefined };

/** Parses a payload. Never throws. */
export function readPayload(text: string): Payload {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: 'not-json', detail: says, ...NOWHERE };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const kind = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    return {
      ok: false,
      reason: 'not-an-object',
      detail: `not a JSON object but ${kind}`,
      ...NOWHERE,
    };
  }
  const meta = metaOf(value);
  return {
    ok: true,
    value,
    partition: partitionOf(meta),
    offset: Number.isSafeInteger(meta.offset) ? Number(meta.offset) : undefined,
    canary: meta.domain === 'canary',
  };
}

/** A key as it may travel: SQS limits the characters and the length of message attributes. */
export function attributeKey(key: string): string {
  return /^[\x21-\x7e]{1,128}$/.test(key) ? key : sha256(key, 'utf16le');
}

/** @returns 16 hexadecimal digits. State holds digests of keys, never fewer bits: a false repeat would be a silent loss. */
export function keyDigest(key: string): string {
  return sha256(key).slice(0, 16);
}

/** Of an event of Wikimedia's: its `meta.id`, else the SHA-256 of the payload. */
export function wikimediaKey(payload: Payload, text: string): string {
  const id = payload.ok ? metaOf(payload.value).id : undefined;
  return typeof id === 'string' && id !== '' ? attributeKey(id) : sha256(text);
}

/**
 * The key that a payload has at a path.
 *
 * @returns undefined where there is none. Numbers beyond 2^53 are none: they are rounded when they are parsed, so that two of them would
 *   be one key, and the second event be taken for a repeat
 */
export function keyAt(payload: object, path: string): string | undefined {
  const value = valueAt(payload, membersOf(path));
  const isKey = (typeof value === 'string' && value !== '') || Number.isSafeInteger(value);
  return isKey ? attributeKey(String(value)) : undefined;
}

function partitionOf({ topic, partition }: Record<string, unknown>): string {
  return typeof topic === 'string' && typeof partition === 'number' ? partitionName(topic, partition) : '';
}

function metaOf(event: object): Record<string, unknown> {
  const meta = 'meta' in event ? event.meta : undefined;
  return typeof meta === 'object' && meta !== null ? (meta as Record<string, unknown>) : {};
}

/** @param encoding UTF-8 makes one character of all halves of surrogate pairs, which JSON can state; UTF-16 keeps them apart */
export function sha256(text: string, encoding: 'utf8' | 'utf16le' = 'utf8'): string {
  return createHash('sha256').update(text, encoding).digest('hex');
}
