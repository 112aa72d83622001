/** One column of the lake: its name in the CSV header and where its value stands in an event. */
export interface Column {
  name: string;
  /** Names of object members joined by dots, such as `meta.id`. */
  path: string;
}

/**
 * A named pipeline: the input of its workflows, written by `sluice start` and readable in the web UI.
 * Workers know nothing of it but what workflows hand them.
 */
export interface PipelineDefinition {
  name: string;
  source: {
    url: string;
    /** Epoch milliseconds of the first event wanted. Without it: the moment the ingest workflow starts. */
    since?: number;
    /** Stands in the User-Agent: Wikimedia answers 403 to clients that name nobody. */
    contact: string;
    /** Path in the payload of what makes an event itself. Without it the source decides. */
    key?: string;
    /** First offsets wanted, by partition. */
    offsets?: Record<string, number>;
    /** What happens when the source no longer has what the cursor points at. Without it: `stop`. */
    afterLoss?: AfterLoss;
  };
  queue: { name: string; visibilityTimeoutSeconds: number };
  lake: {
    bucket: string;
    prefix: string;
    columns: Column[];
    /** Whether each row has its key in a last column. */
    keyColumn: boolean;
    /** Of every object written. Without it none is sent: new buckets refuse them. */
    acl?: ObjectAcl;
    /** Whether texts that a spreadsheet takes for formulas are marked as text. */
    escapeFormulas: boolean;
  };
  /** Events that ingest puts into one message at most, 1 to 100. */
  packEvents: number;
  batch: { rows: number; flushAfterSeconds: number };
  /** How many settled keys are recognised as repeats. */
  windowKeys: number;
  /** How long the queue must have looked empty before a stopping lane is drained. */
  drainQuietSeconds: number;
  /** After how long without a heartbeat Temporal takes a stint's worker for dead. */
  heartbeatTimeoutSeconds: number;
}

/** Canned ACLs that an object may have (S3 user guide, "Canned ACL"). */
export const OBJECT_ACLS = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
] as const;

export type ObjectAcl = (typeof OBJECT_ACLS)[number];

export const AFTER_LOSS = ['stop', 'continue'] as const;
export type AfterLoss = (typeof AFTER_LOSS)[number];

/** Where in the bucket objects go, and how. */
export interface Lake {
  bucket: string;
  prefix: string;
  acl?: ObjectAcl;
}

/**
 * Of the window: a third for what comes again, a third for what takes a cursor back, and a third for messages that overtake each other
 * (docs/protocol.md, "How a stint ends").
 */
export const BOUNDS_PER_WINDOW = 3;

/** How many events a stint receives beyond the cursor of its last acknowledged heartbeat: what may come again. */
export function mostUnacknowledged(windowKeys: number): number {
  return Math.floor(windowKeys / BOUNDS_PER_WINDOW);
}
