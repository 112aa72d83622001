import type { LaneLife } from '../lake/layout';
import type { RowsToWrite } from '../lake/rows-object';
import type { Lake, ObjectAcl } from '../pipeline/definition';
import type { Depth } from '../queue/queue';

/** What a lane wants done, and what came of it. Whoever does it tells the lane the {@link Outcome} by the method named after the kind. */
export type Work = ClaimWork | AdoptWork | ReceiveWork | UploadWork | DeleteWork | MeasureWork | WaitWork;

/** What became of a piece of work. */
export type Outcome<T> = { ok: true; value: T } | Failed;

export interface Failed {
  ok: false;
  problem: string;
  /** Trying again can't help. */
  isFinal: boolean;
  /** Of a receive: it is sure that it was handed nothing. Default: it may have hidden messages. */
  isRefused?: boolean;
}

/** Make sure that queue and lake are this lane's alone. Its failure is final where they are another's, or where somebody must mend something. */
export interface ClaimWork {
  kind: 'claim';
  /** The lanes that may have had them, which are gone for good. Default: none */
  replaces?: Replaced;
}

/** Lanes that another one takes the place of: namespace and first run of each. */
export interface Replaced {
  /** Whose the queue was; without it nobody's. */
  queue?: string;
  /** Whose the lake was; without it nobody's. */
  lake?: string;
}

/** Read what another lane wrote, and write down that this one goes on from there. */
export interface AdoptWork {
  kind: 'adopt';
  input: AdoptInput;
}

export interface AdoptInput {
  pipeline: string;
  lake: Lake;
  /** Of the lane that goes on. */
  life: LaneLife;
  /** Of how many of the newest rows the keys are wanted. */
  keys: number;
}

export interface Adopted {
  /** Digests of the newest rows' keys, 16 hexadecimal digits each, one after the other, the newest last. */
  keys: string;
  /** Epoch milliseconds: the beginning of the newest hour that has objects. Undefined where there are none. */
  newestHour?: number;
}

/** Receive from the queue. Done once: what a lost receive has hidden must be known to the window. */
export interface ReceiveWork {
  kind: 'receive';
  /** Receives are counted as they begin. */
  number: number;
  input: ReceiveInput;
}

export interface ReceiveInput {
  queue: string;
  /** Where rejected events are kept. */
  lake: Lake;
  /** Where the cells of a row stand in an event, such as `meta.id`. Their names are not needed, and would stand in every history. */
  paths: readonly string[];
  escapeFormulas: boolean;
  /** Members that Sluice has added to the events: columns of them say nothing of what was published. */
  addedMembers: readonly string[];
  /** Rows wanted. */
  rows: number;
  /** Rows wanted at most, as long as there is a backlog. Default: {@link rows}. */
  backlogRows?: number;
  /** Events that a message is likely to carry. Default: 1 */
  messageEvents?: number;
  /** Bytes of rows (as JSON) wanted at most; messages beyond it are released at once. */
  bytes: number;
  /** Long polling, in seconds, for the first message. */
  waitSeconds: number;
  /** Milliseconds for which more messages are collected after the first. */
  collectMs: number;
  /** For how long it hides what it is handed: the queue's setting, or less while receives are lost in a backlog. */
  visibilityTimeoutSeconds: number;
}

/** Write a frozen batch. Every try writes the same bytes to the same key. */
export interface UploadWork {
  kind: 'upload';
  sequence: number;
  input: UploadInput;
}

/** One frozen batch: everything that its object depends on. */
export interface UploadInput extends RowsToWrite {
  bucket: string;
  /** Key of the object. */
  key: string;
  acl?: ObjectAcl;
}

export interface Uploaded {
  /** Of the object. */
  bytes: number;
  /** Epoch milliseconds, by the clock of S3: for people. */
  at: number;
}

/** Delete messages from the queue. */
export interface DeleteWork {
  kind: 'delete';
  queue: string;
  deletions: readonly Deletion[];
}

export interface Deletion {
  messageId: string;
  receipt: string;
}

export interface Deleted {
  /** Places of those that got no success from SQS. Success is no proof where a receipt was stale. */
  left: readonly number[];
  /** Epoch milliseconds, by the clock of SQS: when the last answer came. */
  at: number;
}

/** Ask how many messages the queue has. */
export interface MeasureWork {
  kind: 'measure';
  queue: string;
}

export interface QueueDepth extends Depth {
  /** Epoch milliseconds, by the clock of SQS. */
  at: number;
}

/** Wait, and then tell the lane that it `woke`. */
export interface WaitWork {
  kind: 'wait';
  why: 'parked' | 'adopting' | 'receive' | 'trickle' | 'copies' | 'row is due';
  /** Milliseconds. A `trickle` ends sooner once the lane's `hasEnded(wait)` says so. */
  ms: number;
  /** For people. */
  summary: string;
}
