import { ActivityFailure, ApplicationFailure, rootCause } from '@temporalio/workflow';

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

/** The failure's own words; those of an activity failure say only that an activity failed. */
export function problemOf(error: unknown): string {
  return rootCause(error) ?? String(error);
}

/** Whether an activity ended because trying again can't help, rather than because its tries were used up. */
export function isNotRetryable(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.nonRetryable === true
  );
}
