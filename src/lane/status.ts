import type { RejectReason } from '../event/event';
import type { PipelineDefinition } from '../pipeline/definition';
import type { Removal } from '../pipeline/names';
import type { AdoptingStage } from './adopting';
import type { Activity } from './standing';

/**
 * Whether queue and lake are the lane's: it never claimed them; they were its own, and it must look again before it does anything; it holds
 * them, as far as it saw.
 */
export type Claim = 'never' | 'open' | 'held';

/** Answer of the batch workflow's `status` query. */
export interface LaneStatus {
  activity: Activity;
  /** Why it is parked. */
  problem?: string;
  /** A lane that has `stopped` and `never` claimed has read nothing of its queue. */
  claim: Claim;
  definition: PipelineDefinition;
  /** Counts the changes of the definition. */
  version: number;
  counts: LaneCounts;
  /** Sequence number of the next batch. */
  nextSequence: number;
  /** Rows in the lane's state that no confirmed object holds. */
  rowsWaiting: number;
  batchesInFlight: number;
  /** Keys recognised as repeats. */
  windowKeys: number;
  /** Messages whose deletion is not known to have worked, or that were received and left in the queue. */
  unsettled: number;
  lastObject?: string;
  /** It takes another lane's place, and receives nothing yet: it waits until nothing of that one is under way, or reads the lake. */
  adopting?: AdoptingStage;
}

/**
 * Why a lane can't be removed; undefined where it can.
 *
 * @param abandon whether what it holds, and what is in its queue, is given up
 */
export function whyKept(
  { activity, claim }: Pick<LaneStatus, 'activity' | 'claim'>,
  { abandon = false }: Removal = {},
): string | undefined {
  const isStopped = activity === 'stopped';
  if (abandon && activity !== 'running') return undefined;
  if (isStopped && claim === 'never')
    return 'it could never claim its queue, and nobody has read what is there; `sluice remove --abandon` gives that up';
  const also =
    activity === 'running' ? '' : '. Where it can not stop, `sluice remove --abandon` gives up what it holds';
  return isStopped ? undefined : `it is ${activity}; stop it first (\`sluice stop --wait\`)${also}`;
}

/** Counted since the pipeline's first start. */
export interface LaneCounts {
  /** Messages received, redeliveries included. */
  received: number;
  /** Events that they carried. */
  events: number;
  /** Messages that SQS delivered again. */
  redelivered: number;
  /** Events with a key that was known. They became no row. */
  repeats: number;
  /** Events that can become no row, by the reason. */
  rejected: Readonly<Partial<Record<RejectReason, number>>>;
  /** Receives whose answer was lost. */
  lostReceives: number;
  /** Receives that SQS refused, or that failed before they asked it: they were handed nothing. */
  refusedReceives: number;
  rows: number;
  batches: number;
  bytes: number;
}

/** Of a lane that has done nothing yet. */
export const NO_COUNTS: LaneCounts = {
  received: 0,
  events: 0,
  redelivered: 0,
  repeats: 0,
  rejected: {},
  lostReceives: 0,
  refusedReceives: 0,
  rows: 0,
  batches: 0,
  bytes: 0,
};
