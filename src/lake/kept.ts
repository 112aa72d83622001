import type { RejectReason } from '../event/event';
import type { Lake } from '../pipeline/definition';
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { keptKey } from './layout';
import { putIfAbsent } from './put-if-absent';

/** An event or message that can't become a row, kept whole with the reason. */
export interface Rejected {
  reason: RejectReason;
  /** What is wrong with it, in words. */
  detail: string;
  /** The stream's URL, or the queue's name for a message that another program may have put there. */
  source: string;
  /** The source's id of the event, or the SQS MessageId. */
  id: string;
  /** What makes the event itself. */
  key: string;
  text: string;
  /** What the source knows of it beside its payload. */
  record?: object | undefined;
}

/**
 * Keeps a rejected event under `rejected/`, named by the SHA-256 of its key: however often it comes, there is one object for
 * it, and the first one stays. A hundred events with the same text are a hundred objects.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepRejected(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  { reason, detail, source, id, key, text, record }: Rejected,
  options: { abortSignal?: AbortSignal } = {},
): Promise<void> {
  await keep(s3, lake, 'rejected', { reason, detail, source, id, key, record, text }, options);
}

/**
 * Keeps a canary event under `canaries/`: it is no row, but it uses up an offset, and whoever looks for holes in the lake
 * must be able to tell it from a loss. A few come an hour.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepCanary(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  { source, id, key, text }: Pick<Rejected, 'source' | 'id' | 'key' | 'text'>,
  options: { abortSignal?: AbortSignal } = {},
): Promise<void> {
  await keep(s3, lake, 'canary', { source, id, key, text }, options);
}

async function keep(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  kind: 'rejected' | 'canary',
  { text, ...facts }: Partial<Rejected> & Pick<Rejected, 'key' | 'text'>,
  options: { abortSignal?: AbortSignal },
): Promise<void> {
  const digest = createHash('sha256').update(facts.key).digest('hex');
  const object = {
    Key: keptKey(lake.prefix, kind, digest),
    Body: JSON.stringify({ ...facts, time: new Date().toISOString(), text }),
    ContentType: 'application/json',
  };
  await putIfAbsent(s3, lake, object, options);
}
