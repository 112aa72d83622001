import { UPLOADS_AT_ONCE } from '../lake/layout';

/** What bounds a lane. Every number that is not a setting stands here. */
export interface LaneLimits {
  // How much at once.
  /** Receives under way in a backlog; otherwise there is one. */
  receivesAtOnce: number;
  uploadsAtOnce: number;
  deletesAtOnce: number;
  /**
   * Rows that a receive may bring in a backlog, as whole batches. Each activity costs three events and a share of a workflow task, the
   * dearest part of a row: fewer of them in a backlog.
   */
  backlogRows: number;
  /** Messages that one activity deletes. */
  deletions: number;
  /** Batches of rows that the lane holds. */
  batches: number;

  // What continue-as-new carries, in bytes. Temporal takes 2 MiB for all of its arguments, and one message may bring 256 KiB of rows
  // (src/activities/receive-messages.ts) and 99 rows more than were asked for.
  /** Window, rows, receipts, and what receives under way may bring. */
  stateBytes: number;
  /** Where nothing else can make room, one more receive may take the state up to here. */
  mostStateBytes: number;
  /** Of one receive. */
  receiveBytes: number;
  /** Of one receive that brings no more than `trickleRows`, or one message: one row of the largest kind. */
  trickleBytes: number;
  /** Of a row beside its cells, its message's receipt above all. Receipts of SQS are some 400 characters long, 1,024 at most. */
  receiptBytes: number;
  /** Of a message in the window, the receipt aside. */
  entryBytes: number;

  // What the window holds.
  /**
   * Keys that are settled, from which on the lane receives a trickle and a message that may come back is waited for by time alone:
   * a backlog that must be read through first may be longer than any window.
   */
  mostKeys: number;
  /** Settled keys that are kept while a lost receive keeps all of them, however often receives are lost. */
  mostKeysHeld: number;
  /** Unsettled messages, from which on the lane receives a trickle, and forgets those that had their time. It keeps their keys. */
  mostUnsettled: number;

  /**
   * Keys that a lane reads from the lake when it takes another one's place. More than a window: what the other one had not settled may be
   * older. Fewer than {@link mostKeys}, so that it can receive on.
   */
  adoptedKeys: number;

  // Deletions.
  /**
   * Messages to delete, from which on nothing is received. Uploads must not outrun deletions that are slow or fail: a message that
   * could not be deleted leaves the window only by being received.
   */
  mostUndeleted: number;
  /** Copies to delete wait until there are so many, */
  deleteAt: number;
  /** or for so many milliseconds. */
  deleteAfterMs: number;

  // Receives.
  /** Milliseconds for which a receive collects rows after its first; a quarter of the visibility timeout at most. */
  collectMs: number;
  /**
   * For how long a receive in a backlog hides what it brings while no key may leave the window, in milliseconds; the visibility timeout
   * at most. What it hides where it is lost is waited for half as long again.
   */
  heldVisibilityMs: number;
  /** Longest wait in milliseconds between receives that fail. It doubles from one second. */
  longestReceiveWaitMs: number;
  /** A lane whose window is full, or whose deletions fail, receives so many rows, since only receiving lets messages leave. */
  trickleRows: number;
  /** Milliseconds between such receives, at least. */
  trickleMs: number;
  /** What a trickle brings while one message is waited for: it must fit in the state, however long the visibility timeout is. */
  trickleMessages: number;

  // The claim.
  /** Milliseconds after which the lane looks again whether queue and lake are its own. Each run of its workflow does, too. */
  lookAgainMs: number;
}

export const LIMITS: LaneLimits = {
  receivesAtOnce: 4,
  uploadsAtOnce: UPLOADS_AT_ONCE,
  deletesAtOnce: 2,
  backlogRows: 300,
  deletions: 300,
  batches: 2 * UPLOADS_AT_ONCE,
  stateBytes: 1_650 * 1024,
  mostStateBytes: 1_700 * 1024,
  receiveBytes: 256 * 1024,
  trickleBytes: 64 * 1024,
  receiptBytes: 550,
  entryBytes: 195,
  mostKeys: 75_000,
  mostKeysHeld: 100_000,
  mostUnsettled: 4_000,
  adoptedKeys: 60_000,
  mostUndeleted: 1_500,
  deleteAt: 10,
  deleteAfterMs: 5_000,
  collectMs: 5_000,
  heldVisibilityMs: 30_000,
  longestReceiveWaitMs: 15_000,
  trickleRows: 10,
  trickleMs: 1_000,
  trickleMessages: 2_000,
  lookAgainMs: 3_600_000,
};
