import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';

/** First and longest wait, in milliseconds, before a parked workflow tries again by itself. */
const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 10 * 60_000;

/** Why a workflow is parked. JSON: it travels through continue-as-new. */
export interface Parked {
  /** What failed; when it works again, the workflow is no longer parked. */
  doing: string;
  problem: string;
  /** How often it failed in a row. */
  tries: number;
  /** Tried again only when a person says so. */
  isFinal?: boolean;
}

export function park(doing: string, problem: string, before: Parked | undefined, isFinal = false): Parked {
  const tries = before?.doing === doing ? before.tries + 1 : 1;
  return { doing, problem, tries, ...(isFinal ? { isFinal } : {}) };
}

/** @returns milliseconds until a parked workflow tries again by itself: longer each time that the same thing fails */
export function parkedMs({ tries }: Parked): number {
  return Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS);
}

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

/** Whether an activity ended because trying again can't help, rather than because its tries were used up. */
export function isNotRetryable(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.nonRetryable === true
  );
}
