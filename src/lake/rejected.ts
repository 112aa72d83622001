import { createHash } from 'node:crypto';
import { type S3Client, PutObjectCommand } from '@aws-sdk/client-s3';
import { REJECTED_FOLDER } from '../names';
import { underPrefix } from './object-key';

/** An event or message that can't become a row, kept whole with the reason. */
export interface Rejected {
  /** What is wrong with it, in words. */
  reason: string;
  /** The stream's URL, or the queue's name for a message that another program may have put there. */
  source: string;
  /** The source's id of the event, or the SQS MessageId. */
  id: string;
  text: string;
}

/**
 * Keeps a rejected event under `rejected/`, named by the SHA-256 of its text: however often it comes, and
 * from wherever, there is one object for it, and the first one stays.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepRejected(
  s3: Pick<S3Client, 'send'>,
  lake: { bucket: string; prefix: string },
  rejected: Rejected,
  options: { abortSignal?: AbortSignal } = {},
): Promise<void> {
  const digest = createHash('sha256').update(rejected.text).digest('hex');
  const { reason, source, id, text } = rejected;
  try {
    await s3.send(
      new PutObjectCommand({
        Bucket: lake.bucket,
        Key: underPrefix(lake.prefix, `${REJECTED_FOLDER}/${digest}.json`),
        Body: JSON.stringify({ reason, source, id, time: new Date().toISOString(), text }),
        ContentType: 'application/json',
        IfNoneMatch: '*',
      }),
      options,
    );
  } catch (error) {
    if (!isAlreadyThere(error)) throw error;
  }
}

/** S3's answer to `If-None-Match: *` when the key exists. */
export function isAlreadyThere(error: unknown): boolean {
  return error instanceof Error && error.name === 'PreconditionFailed';
}
