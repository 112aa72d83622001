import { PutObjectCommand, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import type { Lake } from './rejected';

/** What is written, and as what. */
export type NewObject = Required<Pick<PutObjectCommandInput, 'Key' | 'Body' | 'ContentType'>> &
  Pick<PutObjectCommandInput, 'Metadata'>;

/**
 * Writes an object, unless its key is taken: nothing in the lake is ever replaced.
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
  try {
    await s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        ...object,
        IfNoneMatch: '*',
        ...(acl === undefined ? {} : { ACL: acl }),
      }),
      options,
    );
    return true;
  } catch (error) {
    if (isAlreadyThere(error)) return false;
    throw error;
  }
}

/** S3's answer to `If-None-Match: *` when the key exists. */
export function isAlreadyThere(error: unknown): boolean {
  return error instanceof Error && error.name === 'PreconditionFailed';
}
