import { createHash } from 'node:crypto';
import { membersOf, valueAt } from './json-path';

/** A key as it may travel: SQS limits the characters and the length of message attributes. */
export function attributeKey(key: string): string {
  return /^[\x21-\x7e]{1,128}$/.test(key) ? key : sha256(key, 'utf16le');
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
  const isKey = (typeof value === 'string' && value !== '') || Number.isSafeInteger(value);
  return isKey ? attributeKey(String(value)) : undefined;
}

/** @param encoding UTF-8 makes one character of all halves of surrogate pairs, which JSON can state; UTF-16 keeps them apart */
export function sha256(text: string, encoding: 'utf8' | 'utf16le' = 'utf8'): string {
  return createHash('sha256').update(text, encoding).digest('hex');
}
