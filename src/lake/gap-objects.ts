import type { S3Client } from '@aws-sdk/client-s3';
import type { Gap } from '../sources/gaps';
import { gapKey } from './layout';
import { putIfAbsent } from './put-if-absent';
import type { Lake } from '../pipeline/definition';

/**
 * Keeps under `gaps/` that a source was not listened to for a while: whoever checks the lake can't see it in the rows. The key
 * says when; the first object stays.
 *
 * @throws the S3 client's error when the object could not be written
 */
export async function keepGap(
  s3: Pick<S3Client, 'send'>,
  lake: Lake,
  { source, from, to }: Gap & { source: string },
  options: { abortSignal?: AbortSignal } = {},
): Promise<void> {
  const times = { from: isoTime(from), to: isoTime(to) };
  const object = {
    Key: gapKey(lake.prefix, { from, to }),
    Body: JSON.stringify({ source, ...times }),
    ContentType: 'application/json',
  };
  await putIfAbsent(s3, lake, object, options);
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}
