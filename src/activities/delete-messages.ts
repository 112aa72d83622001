import { setTimeout as delay } from 'node:timers/promises';
import { type Backoff, backoffMs, jittered } from '../backoff';
import { isTransient } from '../clients/aws-errors';
import type { Deleted } from '../lane/work';
import { type Answer, MESSAGES_PER_REQUEST, type Queue } from '../queue/queue';
import { awsFailure } from './failures';
import { BATCH_HEARTBEAT_MS, withHeartbeat } from './heartbeat';
import { type NamedQueue, requireOwnQueue } from './own-queue';

export interface DeleteInput {
  queue: string;
  receipts: readonly string[];
}

const REQUESTS_AT_ONCE = 4;
const TRIES = 3;

/** The part of a queue that a deletion needs. */
type DeletingQueue = NamedQueue & Pick<Queue, 'clock' | 'delete'>;

/** Before the second try and the third. */
const BACKOFF: Backoff = { first: 400, most: 800 };

/**
 * Deletes messages by their receipts. Safe to run twice: SQS answers success for a message that is gone.
 *
 * @throws a not retryable ApplicationFailure when the queue refuses deletions as such
 */
export async function deleteMessages(queue: DeletingQueue, { receipts }: DeleteInput): Promise<Deleted> {
  return await withHeartbeat({ everyMs: BATCH_HEARTBEAT_MS }, async (signal) => {
    await requireOwnQueue(queue).catch((error: unknown) => {
      throw awsFailure(error, `find the queue ${queue.name}`);
    });
    const deleted = receipts.map(() => false);
    const chunks = Array.from(
      { length: Math.ceil(receipts.length / MESSAGES_PER_REQUEST) },
      (_, index) => index * MESSAGES_PER_REQUEST,
    );
    const next = async (): Promise<void> => {
      for (let start = chunks.shift(); start !== undefined; start = chunks.shift()) {
        const end = Math.min(start + MESSAGES_PER_REQUEST, receipts.length);
        const chunk = Array.from({ length: end - start }, (_, index) => (start ?? 0) + index);
        await deleteChunk(queue, receipts, chunk, deleted, signal);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, next));
    return { left: [...deleted.keys()].filter((index) => !deleted[index]), at: queue.clock.now() };
  });
}

/**
 * Leaves a message whose deletion still fails after some tries: it comes back, and the lane deletes it then.
 *
 * @param chunk places in `receipts`
 */
async function deleteChunk(
  queue: DeletingQueue,
  receipts: readonly string[],
  chunk: readonly number[],
  deleted: boolean[],
  signal: AbortSignal,
): Promise<void> {
  let left = chunk;
  for (let attempt = 1; left.length > 0 && attempt <= TRIES; attempt += 1) {
    if (attempt > 1) await delay(jittered(backoffMs(attempt - 1, BACKOFF)), undefined, { signal });
    try {
      const answers = await queue.delete(
        left.map((place) => receipts[place] ?? ''),
        { abortSignal: signal },
      );
      for (const [index, place] of left.entries()) deleted[place] = answers[index]?.ok === true;
      left = left.filter((_, index) => mayWorkAgain(answers[index]));
    } catch (error) {
      if (!isTransient(error)) throw awsFailure(error, `delete from the queue ${queue.name}`);
    }
  }
}

/** A receipt that SQS calls invalid stays invalid. */
function mayWorkAgain(answer: Answer | undefined): boolean {
  return answer === undefined || !(answer.ok || answer.code.includes('ReceiptHandle'));
}
