import { setTimeout as delay } from 'node:timers/promises';
import { activityInfo, cancellationDetails, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { IngestActivities } from '../../src/activities';
import type { StintInput, StintProgress, StintResult } from '../../src/activities/consume-stream';
import type { Cursor } from '../../src/sources/cursor';
import type { QueueDepth } from '../../src/lane/work';
import { NO_GAPS } from '../../src/sources/gaps';
import { NO_COUNTS } from '../../src/sources/stint-counts';

/** One attempt at a stint. */
export interface SeenStint {
  input: StintInput;
  attempt: number;
  heartbeatDetails: StintProgress | undefined;
}

/** What an attempt does. */
export type Play = (input: StintInput) => Promise<StintResult>;

/** The ingest activity, played from a script. What comes after the script runs until it is cancelled. */
export class FakeStints {
  readonly seen: SeenStint[] = [];
  readonly #script: Play[];

  constructor(...script: Play[]) {
    this.#script = script;
  }

  get last(): SeenStint | undefined {
    return this.seen.at(-1);
  }

  /** How often the queue was measured. */
  looks = 0;
  /** What SQS says of the queue. Default: nothing waits. */
  measure: () => QueueDepth = () => measuredAt(Date.now());

  readonly activities: IngestActivities = {
    measureQueue: async () => {
      this.looks += 1;
      return this.measure();
    },
    consumeStream: async (input) => {
      const { attempt, heartbeatDetails } = activityInfo();
      this.seen.push({ input, attempt, heartbeatDetails: heartbeatDetails as StintProgress | undefined });
      const play = this.#script.shift() ?? untilCancelled(input.cursor);
      return await play(input);
    },
  };
}

/** A queue in which so many messages wait. @param at epoch milliseconds */
export function measuredAt(at: number, visible = 0, retentionSeconds = 1_209_600): QueueDepth {
  return { visible, notVisible: 0, delayed: 0, retentionSeconds, at };
}

/** A cursor that is told apart by its number. */
export function cursorAt(id: number): Cursor {
  return { since: 0, positions: {}, lastEventId: String(id), recent: {} };
}

function progressAt(cursor: Cursor, sent = 0): StintProgress {
  return { cursor, completeness: {}, gaps: NO_GAPS, counts: { ...NO_COUNTS, sent } };
}

export function done(cursor: Cursor, sent = 0): Play {
  return async () => ({ ...progressAt(cursor, sent), ended: 'done' });
}

export function blocked(cursor: Cursor, problem: string, isFinal = false): Play {
  return async () => ({ ...progressAt(cursor), ended: 'blocked', problem, ...(isFinal ? { isFinal } : {}) });
}

export function failed(cursor: Cursor, problem: string, sent = 0): Play {
  return async () => ({ ...progressAt(cursor, sent), ended: 'failed', problem });
}

export function interrupted(cursor: Cursor, sent = 0): Play {
  return async () => ({ ...progressAt(cursor, sent), ended: 'interrupted' });
}

/** What consumeStream does not. */
export function thrown(error: Error): Play {
  return async () => {
    throw error;
  };
}

/** Ends as consumeStream does: it returns when the workflow cancels it, and when the Worker shuts down. */
export function untilCancelled(cursor: Cursor, sent = 0): Play {
  return async () => {
    const progress = progressAt(cursor, sent);
    const signal = cancellationSignal();
    while (!signal.aborted) {
      heartbeat(progress);
      await delay(100, undefined, { signal }).catch(() => {});
    }
    return { ...progress, ended: cancellationDetails()?.cancelRequested ? 'cancelled' : 'interrupted' };
  };
}

/** Tells its cursor once, where it has one, and is not heard of again, like a Worker that was killed. */
export function silentAfter(cursor: Cursor | undefined, released: Promise<void>): Play {
  return async () => {
    if (cursor) heartbeat(progressAt(cursor));
    await released;
    throw new Error('too late');
  };
}
