import type { CarriedAdopting } from './adopting';
import type { WaitingRow } from './assembler';
import type { CarriedClock } from './clock';
import type { CarriedStanding } from './standing';
import { type Claim, type LaneCounts, NO_COUNTS } from './status';
import type { FrozenBatch } from './uploading';
import type { WindowState } from './window';

/** Of {@link CarriedLane}; another number is another shape. */
export const LANE_SCHEMA = 1;

/** What continue-as-new carries of a lane, the settled keys aside. JSON. */
export interface CarriedLane extends CarriedStanding, CarriedClock {
  schema: number;
  /** Counts the changes of the definition. */
  version: number;
  /** Writes the partial batch next. */
  flushing: boolean;
  claim: Claim;
  nextSequence: number;
  waiting: readonly WaitingRow[];
  frozen: readonly FrozenBatch[];
  window: WindowState;
  counts: LaneCounts;
  lastObject?: string;
  /** Another lane's objects are still to be read. */
  adopting?: CarriedAdopting;
}

/** Of a lane that has done nothing, and takes the place of another one, which is gone for good. */
export function toAdopt(replaces: CarriedAdopting['replaces']): CarriedLane {
  return {
    schema: LANE_SCHEMA,
    version: 1,
    paused: false,
    stopping: false,
    stopped: false,
    mayTry: true,
    flushing: false,
    claim: 'never',
    nextSequence: 1,
    now: 0,
    dated: 0,
    waiting: [],
    frozen: [],
    window: {
      messages: [],
      sentAt: [],
      wanted: '',
      holds: [],
      lost: [],
      received: 0,
      receivedUntil: 0,
      reached: 0,
    },
    counts: NO_COUNTS,
    adopting: { replaces, hasWaited: false },
  };
}
