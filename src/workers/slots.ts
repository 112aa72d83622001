import type { Logger, Worker } from '@temporalio/worker';

/**
 * Activities that a Worker runs at once. They wait more than they work: an idle lane holds one for each long poll, one in a backlog up to
 * ten, and a pipeline's source one for as long as it is read. Where there are too few, pipelines wait for each other while the CPU is idle.
 */
export const ACTIVITY_SLOTS = 1_000;

/** Between looks, in milliseconds. A long poll takes up to 20 s: whoever waits for a slot waits about as long. */
const LOOK_MS = 10_000;

/** Between two warnings of one Worker, in milliseconds. */
const WARN_MS = 10 * 60_000;

/** The part of a Worker that says how much it does. */
export type BusyWorker = {
  getStatus: () => Pick<ReturnType<Worker['getStatus']>, 'numInFlightNonLocalActivities'>;
  readonly options: Pick<Worker['options'], 'taskQueue'>;
};

/**
 * Says in the log when a Worker has no slot left for another activity: once, and again after ten minutes. For as long as the process runs.
 */
export function watchSlots(
  workers: readonly BusyWorker[],
  logger: Pick<Logger, 'warn'>,
  { slots = ACTIVITY_SLOTS, lookMs = LOOK_MS }: { slots?: number; lookMs?: number } = {},
): void {
  const warnedAt = new Map<BusyWorker, number>();
  const look = (worker: BusyWorker) => {
    if (worker.getStatus().numInFlightNonLocalActivities < slots) return;
    const now = performance.now();
    if (now - (warnedAt.get(worker) ?? -Infinity) < WARN_MS) return;
    warnedAt.set(worker, now);
    logger.warn('A Worker has no slot left: pipelines wait for each other. Start more worker processes', {
      taskQueue: worker.options.taskQueue,
      slots,
    });
  };
  setInterval(() => workers.forEach(look), lookMs).unref();
}
