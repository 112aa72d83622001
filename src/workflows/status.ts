import type { PipelineDefinition } from '../pipeline/definition';
import type { RejectReason } from '../event/event';
import type { Holes } from '../sources/completeness';
import type { Cursor } from '../sources/cursor';
import type { Gaps } from '../sources/gaps';
import type { SourceKind } from '../sources/identity';
import type { StintCounts } from '../sources/stint-counts';

/** What a workflow is doing. `parked` says what a person must change; it tries again by itself, slowly. */
export type Activity = 'running' | 'paused' | 'stopping' | 'stopped' | 'parked';

/** Answer of the ingest workflow's `status` query. */
export interface IngestStatus extends SourceKind {
  activity: Activity;
  /** Why it is parked. */
  problem?: string;
  definition: PipelineDefinition;
  /** Counts the changes of the definition. */
  version: number;
  /** As of the last stint that ended; the running one is ahead. So are all the others here. */
  cursor: Cursor;
  /** How far the cursor is, as an ISO 8601 time; none for one that begins at the earliest event and has not read any. */
  cursorTime?: string;
  /** When a source that can't be resumed was not listened to. */
  gaps: Pick<Gaps, 'count' | 'dropped' | 'recent'>;
  /** Offsets that the source passed over and nothing explains. */
  holes: Holes;
  counts: StintCounts & { stints: number };
}

/** Answer of the batch workflow's `status` query. */
export interface BatchStatus {
  activity: Activity;
  /** Why it is parked. */
  problem?: string;
  definition: PipelineDefinition;
  /** Counts the changes of the definition. */
  version: number;
  counts: BatchCounts;
  /** Sequence number of the next batch. */
  nextSequence: number;
  /** Rows in the lane's state that no confirmed object holds. */
  rowsWaiting: number;
  batchesInFlight: number;
  /** Keys recognised as repeats. */
  windowKeys: number;
  /** Messages whose deletion is not known to have worked. */
  unsettled: number;
  lastObject?: string;
}

/** Counted since the pipeline's first start. */
export interface BatchCounts {
  /** Messages received, redeliveries and repeats included. */
  received: number;
  /** Messages that SQS delivered again. */
  redelivered: number;
  /** Messages with a key that was known. */
  repeats: number;
  rejected: Readonly<Partial<Record<RejectReason, number>>>;
  /** Receives whose answer was lost. */
  lostReceives: number;
  rows: number;
  batches: number;
  bytes: number;
}

/** Of a lane that has done nothing yet. */
export const NO_COUNTS: BatchCounts = {
  received: 0,
  redelivered: 0,
  repeats: 0,
  rejected: {},
  lostReceives: 0,
  rows: 0,
  batches: 0,
  bytes: 0,
};
