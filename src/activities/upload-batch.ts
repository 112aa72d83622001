import { ApplicationFailure } from '@temporalio/common';
import { rowsObject } from '../lake/rows-object';
import { digestIn } from '../lake/stated';
import type { LakeStore } from '../lake/store';
import type { Uploaded, UploadInput } from '../lane/work';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';

/** The part of a lake's store that an upload needs. */
type UploadingStore = Pick<LakeStore, 'clock' | 'putIfAbsent' | 'metadata'>;

/**
 * Writes one frozen batch as a CSV object. Safe to run twice, also at the same time: key and rows are fixed, and an
 * object that is already there is compared, never replaced. Compared are the digests of header and rows, not
 * bytes, since a deploy between two attempts may have changed the CSV writer.
 *
 * @throws ApplicationFailure `ObjectDiffers` (not retryable) when the key holds another batch; other not retryable
 *   ones for what S3 refuses
 */
export async function uploadBatch(
  store: UploadingStore,
  { bucket, key, ...rows }: UploadInput,
): Promise<Uploaded> {
  const { body, metadata, digest } = rowsObject(rows);
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async (signal) => {
    const object = { key, body, contentType: 'text/csv; charset=utf-8', metadata };
    const isNew = await store.putIfAbsent(object, { abortSignal: signal }).catch((error: unknown) => {
      throw awsFailure(error, `write s3://${bucket}/${key}`);
    });
    if (!isNew) {
      const found = await digestOf(store, bucket, key);
      if (found !== digest) throw objectDiffers(bucket, key, found);
    }
    return { bytes: body.byteLength, at: store.clock.now() };
  });
}

async function digestOf(store: UploadingStore, bucket: string, key: string): Promise<string | undefined> {
  try {
    return digestIn(await store.metadata(key));
  } catch (error) {
    throw awsFailure(error, `read the metadata of s3://${bucket}/${key}`);
  }
}

function objectDiffers(bucket: string, key: string, found: string | undefined): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `s3://${bucket}/${key} holds another batch (${found === undefined ? 'without a digest' : `digest ${found}`}). ` +
      'Another pipeline writes under this prefix: move that object away, or give one of them another prefix, then resume',
    'ObjectDiffers',
  );
}
