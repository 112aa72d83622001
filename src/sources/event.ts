import { createHash } from 'node:crypto';
import type { RejectReason } from '../lake/rejected';
import { partitionName } from './cursor';

/** What makes an event itself, and where it stands in its source. */
interface Identity {
  /** Printable ASCII, 128 characters at most: it travels as a message attribute. */
  key: string;
  /** Name of the event's topic partition; empty where nothing says. */
  partition: string;
  /** Within the partition, where something says. */
  offset: number | undefined;
  /** Of a source that knows: the first offset from which on there is nothing up to the event. See {@link passOffset}. */
  from?: number;
}

/** What a payload turned out to be. */
export type ReadEvent = Identity &
  ({ ok: true; value: object; canary: boolean } | { ok: false; reason: RejectReason; detail: string });

/** Parses a payload and finds what makes the event itself. Never throws. */
export function readEvent(text: string): ReadEvent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: 'not-json', detail: says, ...unknownPlace(text) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const kind = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    return {
      ok: false,
      reason: 'not-an-object',
      detail: `not a JSON object but ${kind}`,
      ...unknownPlace(text),
    };
  }
  const meta = metaOf(value);
  return {
    ok: true,
    value,
    key: keyOf(meta, text),
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

function unknownPlace(text: string): Identity {
  return { key: sha256(text), partition: '', offset: undefined };
}

/** `meta.id` where there is one, its SHA-256 where SQS would not take it, else the SHA-256 of the payload. */
function keyOf(meta: Record<string, unknown>, text: string): string {
  return typeof meta.id === 'string' && meta.id !== '' ? attributeKey(meta.id) : sha256(text);
}

function partitionOf({ topic, partition }: Record<string, unknown>): string {
  return typeof topic === 'string' && typeof partition === 'number' ? partitionName(topic, partition) : '';
}

function metaOf(event: object): Record<string, unknown> {
  const meta = 'meta' in event ? event.meta : undefined;
  return typeof meta === 'object' && meta !== null ? (meta as Record<string, unknown>) : {};
}

/** @param encoding UTF-8 makes one character of all halves of surrogate pairs, which JSON can state; UTF-16 keeps them apart */
function sha256(text: string, encoding: 'utf8' | 'utf16le' = 'utf8'): string {
  return createHash('sha256').update(text, encoding).digest('hex');
}
