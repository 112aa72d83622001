import type { Depth } from './queue';

const DAY_MS = 24 * 60 * 60_000;

/** A queue that forgets sooner leaves too little time to mend a lane. In seconds. */
const SHORT_RETENTION_SECONDS = (2 * DAY_MS) / 1_000;

/** Looks at a queue, in the time that the lane may take to empty it. */
const LOOKS = 8;

/** For how long a queue is fed all the same where a person says so, in milliseconds. */
const FORCED_MS = 15 * 60_000;

/** Milliseconds between two looks, at least. */
const SOONEST_LOOK_MS = 1_000;

/** What a queue holds, and when SQS said so: epoch milliseconds. */
export interface Measured extends Depth {
  at: number;
}

/** Whether more may be sent to a queue. */
export interface Judgement {
  mayFeed: boolean;
  /** Milliseconds until the next look. */
  lookAgainMs: number;
}

/**
 * For how long, in milliseconds, messages may wait until no more are sent. The rest of the retention is there to mend the lane: a quarter, a
 * day at least, and half of a retention under two days.
 */
export function feedLimitMs({ retentionSeconds }: Pick<Depth, 'retentionSeconds'>): number {
  const retentionMs = retentionSeconds * 1_000;
  return Math.max(retentionMs - Math.max(DAY_MS, retentionMs / 4), retentionMs / 2);
}

/** How many messages a queue holds, as far as SQS knows. */
export function messagesIn({ visible, notVisible, delayed }: Depth): number {
  return visible + notVisible + delayed;
}

/**
 * For how long the oldest message may wait, in milliseconds; 0 where none waits.
 *
 * @param reached epoch milliseconds: the lane has received all that was sent before
 */
export function waitedMs(measured: Measured, reached: number): number {
  return messagesIn(measured) === 0 ? 0 : Math.max(0, measured.at - reached);
}

/** Whether messages may have waited for so long that the lane must say how far it is. */
export function mustAskLane(measured: Measured, reached: number): boolean {
  return waitedMs(measured, reached) > feedLimitMs(measured) / 2;
}

/** Whether messages may have waited for half of the retention. */
export function isNearRetention(measured: Measured, reached: number): boolean {
  return waitedMs(measured, reached) > (measured.retentionSeconds * 1_000) / 2;
}

/**
 * What a lane has left in its queue, for people.
 *
 * @param reached see {@link waitedMs}
 */
export function describeLeft({ retentionSeconds }: Pick<Depth, 'retentionSeconds'>, reached: number): string {
  const forgottenAt = new Date(reached + retentionSeconds * 1_000);
  return (
    `the lane has not received what was sent since ${new Date(reached).toISOString()}, ` +
    `and SQS forgets that from ${forgottenAt.toISOString()} on`
  );
}

/**
 * Whether more may be sent to a queue, before SQS forgets what a lane does not take.
 *
 * An empty queue proves nothing of what it holds later: the time for which the lane took nothing goes on.
 *
 * @param reached see {@link waitedMs}
 * @param isForced a person wants to send, whatever SQS may forget: for a quarter of an hour
 */
export function judge(measured: Measured, reached: number, isForced = false): Judgement {
  const limitMs = feedLimitMs(measured);
  const leftMs = limitMs - (measured.at - reached);
  const lookMs = limitMs / LOOKS;
  const mayFeed = waitedMs(measured, reached) <= limitMs;
  if (!mayFeed && isForced) return { mayFeed: true, lookAgainMs: FORCED_MS };
  return {
    mayFeed,
    // Just beyond the limit, not at it.
    lookAgainMs: Math.max(SOONEST_LOOK_MS, Math.ceil(leftMs >= 0 ? Math.min(lookMs, leftMs + 1) : lookMs)),
  };
}

/** What is wrong with a queue's retention, for people; undefined: nothing. */
export function whyShortRetention({ retentionSeconds }: Pick<Depth, 'retentionSeconds'>): string | undefined {
  if (retentionSeconds >= SHORT_RETENTION_SECONDS) return undefined;
  return (
    `SQS forgets a message of this queue after ${Math.round(retentionSeconds / 360) / 10} h: so long may a lane stand still. ` +
    'Raise its MessageRetentionPeriod; `sluice provision` makes it 14 days'
  );
}
