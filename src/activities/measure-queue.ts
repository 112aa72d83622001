import type { QueueDepth } from '../lane/work';
import type { Queue } from '../queue/queue';
import { awsFailure } from './failures';
import { type NamedQueue, requireOwnQueue } from './own-queue';

/**
 * Asks how much waits in a queue.
 *
 * @param lane see {@link requireOwnQueue}
 * @throws ApplicationFailure, not retryable where the queue refuses
 */
export async function measureQueue(
  queue: NamedQueue & Pick<Queue, 'clock' | 'depth'>,
  lane?: string,
): Promise<QueueDepth> {
  try {
    await requireOwnQueue(queue, lane);
    return { ...(await queue.depth()), at: queue.clock.now() };
  } catch (error) {
    throw awsFailure(error, `measure the queue ${queue.name}`);
  }
}
