import { ApplicationFailure } from '@temporalio/common';
import { describeError, isTransient } from '../aws-errors';

/**
 * What an activity throws for an error of AWS: left alone where another try may help, else a failure that Temporal
 * does not retry, so that the workflow parks with the reason instead of trying for ever in silence.
 *
 * @param doing what was tried, to what; such as `read the queue sse_queue`
 */
export function awsFailure(error: unknown, doing: string): unknown {
  if (error instanceof ApplicationFailure || isTransient(error)) return error;
  return ApplicationFailure.create({
    message: `Could not ${doing}: ${describeError(error)}`,
    type: error instanceof Error ? error.name : 'Error',
    nonRetryable: true,
    ...(error instanceof Error ? { cause: error } : {}),
  });
}
