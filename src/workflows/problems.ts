import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { HANDED_NOTHING } from '../lane/received';

/**
 * What happened, to what, in one sentence. It is taken from the outermost failure that says so: an activity's failure says only
 * that an activity failed, and what stands below the activity's own words is what AWS answered, to whatever question.
 */
export function problemOf(error: unknown): string {
  if (!(error instanceof ActivityFailure)) return wordsOf(error);
  const activity = `The activity ${error.activityType}`;
  const { cause } = error;
  if (cause instanceof TimeoutFailure) return `${activity} ${whatTimedOut(cause)}`;
  // The activity itself said that trying again can't help, and why.
  if (cause instanceof ApplicationFailure && cause.nonRetryable === true) return wordsOf(cause);
  return `${activity} failed: ${wordsOf(cause ?? error)}`;
}

const TIMEOUTS: Readonly<Record<NonNullable<TimeoutFailure['timeoutType']>, string>> = {
  HEARTBEAT: 'gave no sign of life in time: its worker may be dead, or cut off from Temporal',
  START_TO_CLOSE: 'did not end in time',
  SCHEDULE_TO_CLOSE: 'did not end in time',
  SCHEDULE_TO_START: 'was not begun in time: no worker took it',
};

/** Where tries were made before, Temporal has the failure of the last one as the cause. */
function whatTimedOut({ timeoutType, cause }: TimeoutFailure): string {
  const what = timeoutType === undefined ? 'timed out' : TIMEOUTS[timeoutType];
  return cause ? `${what}; its last try failed: ${wordsOf(cause)}` : what;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? error.name : error.message;
}

/** Whether a receive says that it was handed nothing. One that says nothing, such as one that timed out, may have been. */
export function wasHandedNothing(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.details?.[0] === HANDED_NOTHING
  );
}

/** Whether an activity ended because trying again can't help, rather than because its tries were used up. */
export function isNotRetryable(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.nonRetryable === true
  );
}
