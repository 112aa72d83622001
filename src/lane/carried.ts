import type { WaitingRow } from './assembler';
import type { CarriedClock } from './clock';
import type { CarriedStanding } from './standing';
import type { Claim, LaneCounts } from './status';
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
}
