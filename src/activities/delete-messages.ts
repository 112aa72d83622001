import { setTimeout as delay } from 'node:timers/promises';
import { DeleteMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { isTransient } from '../clients/aws-errors';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';
import { ownQueueUrl } from './own-queue';

export interface DeleteInput {
  queue: string;
  receipts: readonly string[];
}

export interface DeletedMessages {
  /** Places in `receipts` of those that got no success from SQS. Success is no proof where a receipt was stale. */
  left: number[];
  /** Epoch milliseconds, by this worker's clock, by which every answer had come. */
  at: number;
}

/** Limit of one DeleteMessageBatch. */
const BATCH_ENTRIES = 10;

const REQUESTS_AT_ONCE = 4;
const TRIES = 3;

/**
 * Deletes messages by their receipts. Safe to run twice: SQS answers success for a message that is gone.
 *
 * @throws a not retryable ApplicationFailure when the queue refuses deletions as such
 */
export async function deleteMessages(
  sqs: Pick<SQSClient, 'send'>,
  { queue, receipts }: DeleteInput,
): Promise<DeletedMessages> {
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async (signal) => {
    const url = await ownQueueUrl(sqs, queue).catch((error: unknown) => {
      throw awsFailure(error, `find the queue ${queue}`);
    });
    const deleted = receipts.map(() => false);
    const chunks = Array.from(
      { length: Math.ceil(receipts.length / BATCH_ENTRIES) },
      (_, index) => index * BATCH_ENTRIES,
    );
    const next = async (): Promise<void> => {
      for (let start = chunks.shift(); start !== undefined; start = chunks.shift()) {
        const entries = receipts
          .slice(start, start + BATCH_ENTRIES)
          .map((ReceiptHandle, index) => ({ Id: String((start ?? 0) + index), ReceiptHandle }));
        await deleteChunk(sqs, { queue, url }, entries, deleted, signal);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, next));
    return { left: [...deleted.keys()].filter((index) => !deleted[index]), at: Date.now() };
  });
}

/** What still fails after some tries is left: its message comes back, and is deleted then. */
async function deleteChunk(
  sqs: Pick<SQSClient, 'send'>,
  { queue, url }: { queue: string; url: string },
  entries: { Id: string; ReceiptHandle: string }[],
  deleted: boolean[],
  signal: AbortSignal,
): Promise<void> {
  let left = entries;
  for (let attempt = 1; left.length > 0 && attempt <= TRIES; attempt += 1) {
    if (attempt > 1) await delay(100 * 2 ** attempt * (0.5 + Math.random() / 2), undefined, { signal });
    try {
      const { Successful = [], Failed = [] } = await sqs.send(
        new DeleteMessageBatchCommand({ QueueUrl: url, Entries: left }),
        { abortSignal: signal },
      );
      for (const { Id } of Successful) deleted[Number(Id)] = true;
      // A receipt that SQS calls invalid stays invalid.
      const invalid = new Set(
        Failed.filter(({ Code = '' }) => Code.includes('ReceiptHandle')).map(({ Id }) => Id),
      );
      left = left.filter(({ Id }) => !deleted[Number(Id)] && !invalid.has(Id));
    } catch (error) {
      if (!isTransient(error)) throw awsFailure(error, `delete from the queue ${queue}`);
    }
  }
}
