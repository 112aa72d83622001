import type { Activity } from '../lane/standing';
import type { PipelineDefinition } from '../pipeline/definition';
import type { Holes } from '../sources/completeness';
import type { Cursor } from '../sources/cursor';
import type { Gaps } from '../sources/gaps';
import type { Measured } from '../queue/retention';
import type { SourceKind } from '../sources/identity';
import type { StintCounts } from '../sources/stint-counts';

/** What ingest knows of its queue, as of its last look. */
export interface QueueStatus extends Measured {
  /** Epoch milliseconds: the lane has received all that was sent before. */
  reached: number;
}

/** Answer of the update `remove`. */
export interface GivenUp {
  /** Rows that the workflow held and that are in no object. */
  rows: number;
}

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
  /** Without one before the first look. */
  queue?: QueueStatus;
  counts: StintCounts & { stints: number };
}
