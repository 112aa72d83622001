import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { describeError, isTransient } from '../clients/aws-errors';

/**
 * What an activity throws for an error of AWS: a failure that says what was tried, to what. Temporal retries it where another
 * try may help, and else does not, so that the workflow parks with the reason instead of trying for ever in silence.
 *
 * @param doing what was tried, to what; such as `read the queue sse_queue`
 */
export function awsFailure(error: unknown, doing: string): unknown {
  if (error instanceof TemporalFailure || isAbort(error)) return error;
  return ApplicationFailure.create({
    message: `Could not ${doing}: ${describeError(error)}`,
    type: error instanceof Error ? error.name : 'Error',
    nonRetryable: !isTransient(error),
    ...(error instanceof Error ? { cause: error } : {}),
  });
}

/** It says that the activity was cancelled, by which Temporal tells a cancellation from a failure. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
