import type { Acknowledge } from '../../src/activities/lease';

/** What an activity is told of itself, as hands.ts asks for receives. */
export const RECEIVE_TASK = { startToCloseTimeoutMs: 60_000 };

/** Temporal takes each heartbeat. */
export const taken: Acknowledge = () => Promise.resolve();
