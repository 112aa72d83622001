import { createHash } from 'node:crypto';
import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { keptKey, resentKey } from './layout';
import type { ObjectContent } from './reader';
import { putIfAbsent } from './put-if-absent';
import type { Lake } from '../pipeline/definition';

/** One rejection of an event: what is under `rejected/`, and what will be under `resent/`. */
export interface Rejection {
  /** What names the event under `rejected/`, in hexadecimal. */
  digest: string;
  /** When it was rejected, ISO 8601. */
  time: string;
  content: ObjectContent;
}

/**
 * The key of the message that brings a rejected event again. Not the event's own: the lane remembers that one, and would
 * take the message for a repeat. The same for one rejection however often it is sent, so that the lane recognises a second
 * try.
 */
export function keyOfResent({ digest, time }: Pick<Rejection, 'digest' | 'time'>): string {
  return createHash('sha256').update(`${digest}\n${time}`).digest('hex');
}

/**
 * Moves a rejected event from `rejected/` to `resent/`, to be sent afterwards. In this order, since a lane that rejects it
 * again must find its place free; after a crash the copy is there. Safe to run twice, also at the same time.
 *
 * @returns false when the event was rejected anew since it was read: then it stays
 * @throws the S3 client's error
 */
export async function setAside(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  { content, ...rejection }: Rejection,
): Promise<boolean> {
  await putJson(s3, lake, resentKey(lake.prefix, rejection), content.body);
  return await deleteUnchanged(s3, lake, keptKey(lake.prefix, 'rejected', rejection.digest), content.etag);
}

/**
 * Undoes {@link setAside} for an event that the queue refused.
 *
 * @throws the S3 client's error
 */
export async function putBack(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  { content, ...rejection }: Rejection,
): Promise<void> {
  await putJson(s3, lake, keptKey(lake.prefix, 'rejected', rejection.digest), content.body);
  await s3.send(new DeleteObjectCommand({ Bucket: lake.bucket, Key: resentKey(lake.prefix, rejection) }));
}

async function putJson(s3: Pick<S3Client, 'send'>, lake: Lake, Key: string, Body: Uint8Array): Promise<void> {
  await putIfAbsent(s3, lake, { Key, Body, ContentType: 'application/json' });
}

/** @returns whether the object is gone; false when it is another one than was read */
async function deleteUnchanged(
  s3: Pick<S3Client, 'send'>,
  { bucket }: Lake,
  key: string,
  etag: string | undefined,
): Promise<boolean> {
  try {
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, IfMatch: etag }));
    return true;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.name === 'PreconditionFailed') return false;
    // Without `If-Match` S3 deletes what is not there; with it, it says so.
    if (error.name === 'NoSuchKey') return true;
    throw error;
  }
}
