import type { Depth, Queue } from '../queue/queue';
import { awsFailure } from './failures';
import { type NamedQueue, requireOwnQueue } from './own-queue';

export interface QueueDepth extends Depth {
  /** Epoch milliseconds, by this worker's clock. */
  at: number;
}

/** Asks how much waits in a queue. @throws ApplicationFailure, not retryable where the queue refuses */
export async function measureQueue(queue: NamedQueue & Pick<Queue, 'depth'>): Promise<QueueDepth> {
  try {
    await requireOwnQueue(queue);
    return { ...(await queue.depth()), at: Date.now() };
  } catch (error) {
    throw awsFailure(error, `measure the queue ${queue.name}`);
  }
}
