import { createHash } from 'node:crypto';
import { membersOf, valueAt } from './json-path';

/**
 * What makes an event itself. Each kind has names of its own, so that who may choose a name of one kind can't take one of another:
 * - `payload`: what its payload has where `SLUICE_SOURCE_KEY` says, or Wikimedia's `meta.id`
 * - `record`: its topic, partition and offset, and the epoch of the leader that wrote it
 * - `id`: the stream's id in force, the payload and a count
 * - `content`: the whole payload
 * - `arrival`: that it came
 * - `message`: the MessageId of another program's message
 * - `resent`: which rejection it comes back from
 */
export type KeyKind = 'payload' | 'record' | 'id' | 'content' | 'arrival' | 'message' | 'resent';

/**
 * A key as it may travel: `payload:4c1a…`, or `payload-sha256:` and 64 hexadecimal digits where a message attribute can't hold the name.
 * SQS limits the characters and the length of attributes.
 *
 * @returns printable ASCII, 128 characters at most
 */
export function keyOf(kind: KeyKind, name: string): string {
  const key = `${kind}:${name}`;
  return isKey(key) ? key : `${kind}-sha256:${sha256(name, 'utf16le')}`;
}

/** Whether a text may travel as a key. */
export function isKey(text: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(text);
}

/** @returns 16 hexadecimal digits. State holds digests of keys, never fewer bits: a false repeat would be a silent loss. */
export function keyDigest(key: string): string {
  return sha256(key).slice(0, 16);
}

/**
 * The key that a payload has at a path.
 *
 * @returns undefined where there is none. Numbers beyond 2^53 are none: they are rounded when they are parsed, so that two of them would
 *   be one key, and the second event be taken for a repeat
 */
export function keyAt(payload: object, path: string): string | undefined {
  const value = valueAt(payload, membersOf(path));
  const isName = (typeof value === 'string' && value !== '') || Number.isSafeInteger(value);
  return isName ? keyOf('payload', String(value)) : undefined;
}

/** @param encoding UTF-8 makes one character of all halves of surrogate pairs, which JSON can state; UTF-16 keeps them apart */
export function sha256(text: string, encoding: 'utf8' | 'utf16le' = 'utf8'): string {
  return createHash('sha256').update(text, encoding).digest('hex');
}
