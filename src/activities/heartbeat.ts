import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';

export interface HeartbeatOptions {
  /** Milliseconds between heartbeats. */
  everyMs: number;
  /** What the next attempt should know; asked at every heartbeat. */
  details?: () => unknown;
}

/**
 * Does `work` while telling Temporal that this attempt lives, also when nothing happens.
 *
 * The signal aborts when the activity is cancelled, and when the process was stopped (SIGSTOP, a laptop's lid) for
 * longer than the heartbeat timeout: by then another attempt does the work, and what this one still holds is old.
 *
 * @throws the `CancelledFailure` of a cancelled activity instead of the AbortError that the work ended with:
 *   the server refuses a raw AbortError, and the attempt would hang until its heartbeat timeout
 */
export async function withHeartbeat<T>(
  { everyMs, details }: HeartbeatOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { heartbeatTimeoutMs = Infinity } = activityInfo();
  const suspended = new AbortController();
  let last = performance.now();
  const beat = setInterval(() => {
    const now = performance.now();
    if (now - last > heartbeatTimeoutMs) {
      suspended.abort(
        ApplicationFailure.retryable(
          'The process was stopped for longer than the heartbeat timeout',
          'Suspended',
        ),
      );
    }
    last = now;
    heartbeat(details?.());
  }, everyMs);
  try {
    return await work(AbortSignal.any([cancellationSignal(), suspended.signal]));
  } catch (error) {
    cancellationSignal().throwIfAborted();
    suspended.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** For the short activities of a lane: often enough that a killed worker is noticed within their heartbeat timeout. */
export const BATCH_HEARTBEAT_MS = 2_000;
