import { setTimeout as delay } from 'node:timers/promises';
import { PutObjectCommand, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import type { Lake } from '../pipeline/definition';

/** What is written, and as what. */
export type NewObject = Required<Pick<PutObjectCommandInput, 'Key' | 'Body' | 'ContentType'>> &
  Pick<PutObjectCommandInput, 'Metadata'>;

/** Milliseconds before another try at a key that another request was writing, one for each. */
const CONFLICT_WAITS_MS = [100, 200, 400, 800];

/**
 * Writes an object, unless its key is taken: nothing in the lake is ever replaced. Where another request is writing the
 * same key at that moment, S3 answers 409 ConditionalRequestConflict and wants the upload to be tried again: it is, a
 * few times (S3 user guide, "Prevent object overwrites with conditional writes").
 *
 * @returns whether it was written; false when the key is taken
 * @throws the S3 client's error when neither is known
 */
export async function putIfAbsent(
  s3: Pick<S3Client, 'send'>,
  { bucket, acl }: Pick<Lake, 'bucket' | 'acl'>,
  object: NewObject,
  options: { abortSignal?: AbortSignal } = {},
): Promise<boolean> {
  const command = new PutObjectCommand({
    Bucket: bucket,
    ...object,
    IfNoneMatch: '*',
    ...(acl === undefined ? {} : { ACL: acl }),
  });
  for (let conflicts = 0; ; conflicts += 1) {
    try {
      await s3.send(command, options);
      return true;
    } catch (error) {
      if (isAlreadyThere(error)) return false;
      const waitMs = isConflict(error) ? CONFLICT_WAITS_MS[conflicts] : undefined;
      if (waitMs === undefined) throw error;
      await delay(waitMs, undefined, { signal: options.abortSignal });
    }
  }
}

/** S3's answer to `If-None-Match: *` when the key exists. */
export function isAlreadyThere(error: unknown): boolean {
  return error instanceof Error && error.name === 'PreconditionFailed';
}

/** S3's answer while another conditional request is writing the same key. */
function isConflict(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConditionalRequestConflict';
}
